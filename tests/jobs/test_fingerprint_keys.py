"""Each key of `transcribe` and `generate` either changes the fingerprint of a job, or is known not to matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from speechrnn.core.config import options_from
from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.jobs import generation_job, transcription_job
from speechrnn.jobs.fingerprint import flatten
from speechrnn.jobs.generation_job import GenerationJobOptions
from speechrnn.jobs.transcription_job import TranscriptionJobOptions
from speechrnn.transcription.options import TranscriptionOptions

CONF = Path(__file__).parents[2] / "conf"

# Keys that cannot change what is written for an input, each with the reason.
WITHOUT_EFFECT = {
    "transcribe": {
        "inputs": "each input has a state of its own in the journal",
        "output": "the journal lies in it",
        "remote.allow": "says what may be read, not what is made of it",
        "retry_failed": "about what is left",
        "overwrite": "about what is left",
        "batch_seconds": "words do not depend on the batch",
        "executor.*": "where the work is done",
    },
    "generate": {
        "output": "the journal lies beside it",
        "overwrite": "about what is left",
        "batch_size": "texts do not depend on the batch",
        "prompt": "a job has a file of prompts",
        "stream": "a job has a file of prompts",
        "interactive": "a job has a file of prompts",
        "words": "a job has a file of prompts",
        "executor.*": "where the work is done",
    },
}

# Values of keys whose change does not follow from their default.
OTHER = {
    "remote.allow": ["https"],
    "formats": ["srt"],
    "decoding.language_weight": 0.5,
    "decoding.ngram_weight": 0.5,
    "decoding.length_reward": 0.5,
    "decoding.unknown_penalty": -1.0,
    "decoding.hot_words": ["ADA"],
    "decoding.lexicon_mode": "prefer",
    "decoding.beam_size": 30,
    "decoding.beam_threshold": 5.0,
    "decoding.blank_threshold": 0.5,
    "decoding.symbol_threshold": 0.5,
    "segmentation.threshold": 0.25,
    "segmentation.padding": 0.1,
    "segmentation.vad": "none",
    "engine": "torch",
    "precision": "float32",
    "device": "cuda",
    "executor.workers": 3,
    "executor.address": "127.0.0.1:6379",
    "ignore_eos": True,
    "top_p": 0.5,
    "typical_p": 0.5,
    "min_p": 0.5,
    "max_new_tokens": 7,
    "stop_strings": ["."],
    "bad_words": ["a"],
    "prompt": "text",
    "output": "elsewhere",
    "inputs": ["b.wav"],
}
CHOICES = {"channels": ("mix", "split"), "decoding.name": ("greedy", "beam"), "executor.name": ("local", "ray")}
FILES = {"model", "language_model", "decoding.ngram", "decoding.lexicon", "decoding.rescoring_model", "prompts"}

CASES = [
    ("transcribe", ("decoding=greedy", "executor=local")),
    ("transcribe", ("decoding=beam", "executor=processes")),
    ("transcribe", ("decoding=beam", "executor=ray")),
    ("generate", ("executor=local",)),
    ("generate", ("executor=processes",)),
    ("generate", ("executor=ray",)),
]


def transcription_fingerprint(config: Mapping[str, Any]) -> dict[str, Any]:
    job, options = options_from(config, TranscriptionJobOptions), options_from(config, TranscriptionOptions)
    return transcription_job.job_fingerprint(job, options)


def generation_fingerprint(config: Mapping[str, Any]) -> dict[str, Any]:
    job, text = options_from(config, GenerationJobOptions), options_from(config, GenerationOptions)
    return generation_job.job_fingerprint(job, text, Path(config["prompts"]))


FINGERPRINTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "transcribe": transcription_fingerprint,
    "generate": generation_fingerprint,
}


def changed(key: str, value: Any, other: Path) -> Any:
    """Return another value of a key."""
    if key in FILES:
        return str(other)
    if key in CHOICES:
        return next(choice for choice in CHOICES[key] if choice != value)
    if key in OTHER:
        return OTHER[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    raise AssertionError(f"{key}={value}: add another value of it to OTHER")


def is_without_effect(recipe: str, key: str) -> bool:
    names = WITHOUT_EFFECT[recipe]
    return key in names or (key.partition(".")[0] == "executor" and "executor.*" in names)


@pytest.mark.parametrize(("recipe", "choices"), CASES, ids=lambda value: value if isinstance(value, str) else value[-1])
def test_a_key_changes_the_fingerprint_or_is_known_not_to_matter(
    recipe: str, choices: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (transcription_job, generation_job):
        monkeypatch.setattr(module, "device_type", lambda device, executor: device)
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("a")
    other.write_text("b")
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config: Any = OmegaConf.to_container(compose(recipe, list(choices)))
    config |= {"model": str(file)}
    config |= {"inputs": ["a.wav"]} if recipe == "transcribe" else {"prompts": str(file)}
    before = FINGERPRINTS[recipe](config)
    keys = flatten(config)
    assert len(keys) > 20
    wrong = []
    for key, value in keys.items():
        copy = OmegaConf.create(config)
        OmegaConf.update(copy, key, changed(key, value, other))
        after = FINGERPRINTS[recipe](OmegaConf.to_container(copy))  # type: ignore[arg-type]
        if (after == before) != is_without_effect(recipe, key):
            wrong.append(key)
    assert wrong == []


def test_a_job_knows_the_detector_that_auto_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").write_text("a")
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config: Any = OmegaConf.to_container(compose("transcribe", ["device=cpu"]))
    config |= {"model": str(tmp_path / "model"), "inputs": ["a.wav"]}
    known = {}
    for found in (None, "a module"):
        monkeypatch.setattr("speechrnn.audio.vad.importlib.util.find_spec", lambda name, found=found: found)
        known[found] = transcription_fingerprint(config)["segmentation"]["vad"]
    assert known == {None: "energy", "a module": "silero"}


@pytest.mark.parametrize("recipe", FINGERPRINTS)
def test_each_key_without_effect_exists(recipe: str) -> None:
    """So that the table keeps no key that was renamed or removed."""
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        keys = flatten(OmegaConf.to_container(compose(recipe)))  # type: ignore[arg-type]
    for key in WITHOUT_EFFECT[recipe]:
        assert key in keys or any(name.startswith(key.removesuffix("*")) for name in keys), key


def test_a_wrong_value_is_no_other_value() -> None:
    """The values of the table are checked by the options themselves."""
    with pytest.raises(UserError):
        options_from({"engine": "tensorrt"}, TranscriptionOptions)

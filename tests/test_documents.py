"""Every page of conf/ composes into checked options, and every command in the documents is one that would start."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers.corpora import RATE, say
from omegaconf import DictConfig, OmegaConf

from speechrnn.audio import save_audio
from speechrnn.audio.features import FeatureOptions
from speechrnn.cli import help, overrides
from speechrnn.core.config import build
from speechrnn.data.corpora import CORPORA, corpus_options
from speechrnn.data.texts import TEXTS, text_options
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.experiments.speech_to_text import SpeechOptions
from speechrnn.experiments.text_prediction import TextPredictionOptions
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import CharTokenizer

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"


def compose(recipe: str, given: list[str]) -> DictConfig:
    overrides.check(given, recipe, CONF, False)
    config = overrides.compose(given, recipe, CONF)
    overrides.settle(config, recipe)
    return config


def pages(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize("corpus", sorted(CORPORA))
def test_every_corpus_has_a_page_whose_keys_it_knows(corpus: str) -> None:
    config = compose("speech_to_text", [f"corpus={corpus}", "corpus.root=somewhere"])
    assert corpus_options(config.corpus).name == corpus


@pytest.mark.parametrize("text", sorted(TEXTS))
def test_every_text_has_a_page_whose_keys_it_knows(text: str) -> None:
    config = compose("text_prediction", [f"text={text}", "text.root=somewhere"])
    assert text_options(config.text).name == text


@pytest.mark.parametrize("group", ["features", "tokenizer", "normalisation", "acoustic", "augmentation"])
def test_every_option_of_speech_is_understood(group: str) -> None:
    for page in pages(group):
        SpeechOptions.from_config(compose("speech_to_text", ["corpus=an4", "corpus.root=x", f"{group}={page}"]))


@pytest.mark.parametrize("group", ["tokenizer", "normalisation", "language", "adaptation"])
def test_every_option_of_text_is_understood(group: str) -> None:
    for page in pages(group):
        TextPredictionOptions.from_config(compose("text_prediction", ["text=ptb", "text.root=x", f"{group}={page}"]))


@pytest.mark.parametrize("experiment", pages("experiment"))
def test_every_experiment_composes(experiment: str) -> None:
    """With the recipe that it is for: those of text_prediction choose a text, or are named as one."""
    page = (CONF / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    if experiment in TEXTS:
        config = compose("text_prediction", [f"text={experiment}", "text.root=x"])
        assert config.trainer == compose("text_prediction", [f"experiment={experiment}", "text=file"]).trainer
    elif "/text:" not in page:
        config = compose("speech_to_text", [f"experiment={experiment}", "corpus.root=x"])
        corpus_options(config.corpus)
        SpeechOptions.from_config(config)
    else:
        config = compose("text_prediction", [f"experiment={experiment}", "text.root=x"])
    if config.get("text"):
        text_options(config.text)
        TextPredictionOptions.from_config(config)


def test_the_demo_composes() -> None:
    config = compose("demo", [])
    TextPredictionOptions.from_config(config.prediction)
    OmegaConf.set_struct(config, False)
    for key in ("score", "adaptation", "sample"):  # of text prediction alone
        del config.prediction[key]
    SpeechOptions.from_config(config)


@pytest.mark.parametrize("decoding", pages("decoding"))
def test_every_way_of_decoding_is_understood(decoding: str) -> None:
    for recipe, keys in (("transcribe", ["model=x", "inputs=x"]), ("tune", ["run=x"])):
        config = compose(recipe, [*keys, f"decoding={decoding}"])
        assert build(DecodingOptions, config.decoding, "decoding").name == decoding


def test_every_recipe_has_a_config_and_a_help_page() -> None:
    recipes = help.recipes(ROOT)
    assert {path.stem for path in CONF.glob("*.yaml")} == set(recipes)
    for name in recipes:
        assert len(help.page(name, ROOT).splitlines()) > 10


def documented_commands() -> list[str]:
    commands = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        commands += re.findall(r"^speechrnn .+$", text, re.MULTILINE) + re.findall(r"`(speechrnn [a-z_]+ [^`]+)`", text)
    return sorted(set(commands))


@pytest.mark.parametrize("command", documented_commands())
def test_documented_commands_are_right(command: str) -> None:
    _, recipe, *given = shlex.split(command)
    if "--multirun" in given:  # its first job; the launcher is Hydra's to know
        given = [one for one in given if not one.startswith(("--multirun", "hydra"))]
        given = [re.sub(r"=([^\[{',]+),.*", r"=\1", one) for one in given]
    if given != ["--help"]:
        compose(recipe, given)
    assert recipe in help.recipes(ROOT)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL))
def test_the_readmes_python_runs(code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letters = CharTokenizer.build(["ABCD"])
    model = AcousticModel(len(letters), FeatureOptions(bins=16), AcousticOptions(layers=1, units=8, channels=2))
    save_acoustic(tmp_path / "acoustic", model, letters, {})
    save_audio(tmp_path / "talk.wav", say("ABC"), RATE)
    alphabet = CharTokenizer.build([" ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
    save_language(
        tmp_path / "language", LanguageModel(len(alphabet), LanguageOptions(units=8, embedding=8)), alphabet, {}
    )
    code = code.replace("outputs/demo", str(tmp_path)).replace("talk.wav", f"{tmp_path}/talk.wav")
    exec(code, {})
    assert capsys.readouterr().out.strip()

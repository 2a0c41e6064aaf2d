"""The recipe tune on a prepared corpus, and transcribe with what it found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.corpora import SMALL, write_corpus
from helpers.language_models import toy_model

from speechrnn import Transcriber
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.cli import main as cli
from speechrnn.decoding.model_facts import read_facts
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.language import save_language


def run(*arguments: str) -> int:
    """The exit status of the command."""
    try:
        return cli.main(list(arguments))
    except SystemExit as ended:
        return int(str(ended.code))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tune")
    corpus = write_corpus(place / "corpus", 24)
    arguments = ["corpus=folder", f"corpus.root={corpus}", "corpus.dev_fraction=0.2", f"output={place / 'run'}"]
    arguments += [*SMALL, "stages=[prepare,train]"]
    assert run("speech_to_text", *arguments) == 0
    _, tokenizer = load_acoustic(place / "run" / "acoustic")
    save_language(place / "language", toy_model(len(tokenizer), embedding=6, units=10), tokenizer, training={})
    return place


def test_what_is_found_lies_with_the_model_and_transcribe_uses_it(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, language = trained / "run" / "acoustic", trained / "language"
    keys = [f"run={trained / 'run'}", f"language_model={language}", "decoding.beam_size=4"]
    assert run("tune", *keys, "tuning.weights=[0.25]", "tuning.rewards=[1.0]") == 0
    assert "decoding.language_weight=0.25" in capsys.readouterr().out
    found = json.loads((model / "decoding.json").read_text())
    (entry,) = (entry for entry in found.values() if entry["system"] == "beam")
    assert entry["weights"] == {"language_weight": 0.25, "ngram_weight": None, "length_reward": 1.0}
    assert found["greedy"]["calibration"] is not None
    assert len(found["greedy"]["confidences"]) == len(entry["confidences"]) == 7
    facts = read_facts(model)  # of a training without the stage tune, the first half is there already
    assert facts.training is not None and facts.dev is not None
    assert facts.dev.utterances == found["greedy"]["figures"]["utterances"]

    audio = next((trained / "corpus").rglob("*.wav"))
    output = trained / "out"
    keys = [f"model={model}", f"inputs=[{audio}]", f"output={output}", "decoding=beam", f"language_model={language}"]
    keys += ["segmentation.vad=none", "precision=float32"]  # the corpus is of tones, which are no speech
    assert run("transcribe", *keys) == 0
    transcript = json.loads((output / f"{audio.stem}.json").read_text())
    best = transcript["alternatives"][0]
    assert transcript["decoding"] == "beam" and best["text"] == transcript["text"]
    parts = best["parts"]
    assert best["score"] == pytest.approx(best["acoustic"] + 0.25 * parts["language"] + parts["length"], abs=1e-2)
    everything = SegmentationOptions(vad="none")
    same = Transcriber.load(
        model, decoding="beam", language_model=language, segmentation=everything, precision="float32"
    )(audio)
    assert same.text == transcript["text"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["run={tmp}"], "holds no trained acoustic model; give a run's folder"),
        (["run={tmp}/gone"], "gone does not exist"),
        (["decoding=greedy"], "is not used by decoding=greedy"),
        (["decoding.beam_size=0"], "decoding.beam_size=0"),
        (["language_model={tmp}"], "model.json"),
    ],
)
def test_bad_input_is_one_sentence(
    trained: Path, tmp_path: Path, change: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [f"run={trained / 'run'}", f"language_model={trained / 'language'}"]
    keys += [override.format(tmp=tmp_path) for override in change]
    assert run("tune", *keys) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1

"""The recipe speech_to_text from a folder of recordings to a report, in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.corpora import SMALL, write_corpus

from speechrnn.cli import main as cli
from speechrnn.transcription.transcriber import Transcriber


def run(*arguments: str) -> int:
    """The exit status of the command."""
    try:
        return cli.main(["speech_to_text", *arguments])
    except SystemExit as ended:  # a recipe that was started ends its process
        return int(str(ended.code))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), 24)


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["corpus=folder", f"corpus.root={corpus}", f"output={folder}", *SMALL]
    assert run(*arguments) == 0
    return folder, arguments


def test_everything_of_the_contract_is_there(trained: tuple[Path, list[str]]) -> None:
    folder, _ = trained
    for name in ("config.yaml", "acoustic/model.json", "acoustic/model.safetensors", "report.html", "run.log"):
        assert (folder / name).stat().st_size > 0, name
    description = json.loads((folder / "acoustic" / "model.json").read_text())
    assert description["normalisation"]["case"] == "upper"  # by which words that a user gives are normalised
    assert list((folder / "events" / "acoustic").iterdir())
    assert (folder / "checkpoints" / "acoustic" / "last.ckpt").exists()
    metrics = json.loads((folder / "metrics.json").read_text())
    figures = metrics["decode"]["greedy"]
    assert {"wer", "cer", "wer_ci95", "utterances", "words", "audio_seconds", "rtf"} <= figures.keys()
    assert figures["utterances"] == 6 and figures["split"] == "test"
    rows = [json.loads(line) for line in (folder / "hypotheses.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    assert all(Path(row["audio"]).with_suffix(".txt").read_text().strip() == row["reference"] for row in rows)


def test_the_model_knows_what_it_was_trained_on(trained: tuple[Path, list[str]]) -> None:
    folder, _ = trained
    part = json.loads((folder / "prepared" / "summary.json").read_text())["splits"]["train"]
    facts = Transcriber.load(folder / "acoustic", device="cpu").facts
    assert facts.training is not None and facts.dev is not None and facts.dev.uncertainty > 0
    assert (facts.training.utterances, facts.training.words) == (part["utterances"], part["words"])
    assert facts.training.hours == pytest.approx(part["hours"], abs=1e-4)
    assert list(facts.training.sampling_rates) == ["8000"] and facts.training.narrow_band is False


def test_the_same_command_goes_on_and_finds_all_done(
    trained: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, arguments = trained
    before = (folder / "acoustic" / "model.safetensors").read_bytes()
    assert run(*arguments) == 0
    assert (folder / "acoustic" / "model.safetensors").read_bytes() == before
    said = capsys.readouterr().err
    assert "finished before, after 2 epochs" in said and "epoch 1/2" not in said


def test_another_configuration_is_refused(trained: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    _, arguments = trained
    wider = [argument.replace("units=16", "units=24") for argument in arguments]
    assert run(*wider) == 2
    said = capsys.readouterr().err
    assert "acoustic.units was 16 and is now 24" in said and "restart=true" in said


def test_epochs_may_be_raised_and_a_wall_time_given_on_a_run_that_exists(
    trained: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, arguments = trained
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    arguments = [argument.replace(str(folder), str(copy)) for argument in arguments]
    assert run(*arguments, "stages=[train]") == 0
    assert "decode" in json.loads((copy / "metrics.json").read_text())
    assert run(*arguments, "trainer.epochs=3", "stages=[train]") == 0
    said = capsys.readouterr().err
    assert "planned for 2 epochs and ends after 3 now" in said and "epoch 3/3" in said
    figures = json.loads((copy / "metrics.json").read_text())
    assert figures["acoustic"]["epochs"] == 3 and "decode" not in figures  # those were of other weights
    assert run(*arguments, "trainer.minutes=0.1", "stages=[train]") == 0
    assert "trainer.minutes=0.1 is enough for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("features.sampling_rate=8000", None),
        ("features.sampling_rate=16000", "features.sampling_rate is 16000"),
        ("features.sampling_rate=11025", "features.sampling_rate is 11025"),
        ("features.bins=20", "features.bins is 20"),
        ("acoustic.units=24", "acoustic.units is 24"),
        ("trainer.frozen_layers=1", "trainer.frozen_steps=0"),
    ],
)
def test_a_model_is_fine_tuned_and_what_does_not_fit_it_is_refused(
    trained: tuple[Path, list[str]],
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
    part: str | None,
) -> None:
    """A value that is typed must be the model's, the default of the key too."""
    folder, _ = trained
    command = ["corpus=folder", f"corpus.root={corpus}", f"output={tmp_path / 'tuned'}", f"init_from={folder}", change]
    command += ["trainer.epochs=1", "trainer.min_steps=0", "trainer.accelerator=cpu", "stages=[prepare,train]"]
    capsys.readouterr()
    status = run(*command)
    said = capsys.readouterr().err
    assert (part or "Weights are those of") in said
    assert status == (0 if part is None else 2)


def test_dev_can_be_decoded_alone(trained: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, arguments = trained
    kept = (folder / "hypotheses.jsonl").read_bytes(), (folder / "metrics.json").read_bytes()
    assert run(*arguments, "stages=[decode]", "decode.split=dev") == 0
    assert json.loads((folder / "metrics.json").read_text())["decode"]["greedy"]["split"] == "dev"
    (folder / "hypotheses.jsonl").write_bytes(kept[0])
    (folder / "metrics.json").write_bytes(kept[1])


def test_decoding_without_a_model_says_so(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["corpus=folder", f"corpus.root={corpus}", f"output={tmp_path / 'new'}", "stages=[prepare,decode]"]
    arguments += SMALL
    assert run(*arguments) == 2
    assert "There is no model directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("corpus.root=/nowhere", "/nowhere"),
        ("acoustic.layerz=3", "did you mean acoustic.layers?"),
        ("acoustic.cell=lstmm", "acoustic.cell=lstmm is wrong: it must be one of lstm, gru, rnn_tanh"),
        ("trainer.epochs=many", "trainer.epochs=many is wrong"),
        ("trainer.minutes=0", "trainer.minutes=0 is wrong: it must be at least 0.1"),
        ("prediction.trainer.minutes=0", "prediction.trainer.minutes=0 is wrong"),
        ("stages=[trian]", "stages"),
        ("features=log_mell", "log_mel"),
    ],
)
def test_bad_input_has_one_sentence_and_status_2(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str, said: str
) -> None:
    assert run("corpus=folder", f"corpus.root={corpus}", f"output={tmp_path / 'run'}", wrong) == 2
    message = capsys.readouterr().err
    assert said in message and "Traceback" not in message
    assert len(message.strip().splitlines()) == 1


def test_a_model_to_begin_with_that_is_unknown(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("corpus=folder", f"corpus.root={corpus}", f"output={tmp_path / 'run'}", "init_from=nowhere") == 2
    assert "no model of that name; known names: english" in capsys.readouterr().err


def test_a_dictionary_without_the_words_of_the_transcripts(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "foreign.dict").write_text("zebra Z IY B R AH\n")
    command = ["corpus=folder", f"corpus.root={corpus}", f"output={tmp_path / 'run'}", "trainer.accelerator=cpu"]
    assert run(*command, "tokenizer=phone", f"tokenizer.pronunciations={tmp_path / 'foreign.dict'}") == 2
    message = capsys.readouterr().err
    assert "can write none of the" in message and "look at tokenizer.pronunciations" in message
    assert "Traceback" not in message


def test_an_output_that_cannot_be_written(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run("corpus=folder", f"corpus.root={corpus}", f"output={tmp_path / 'file' / 'run'}") == 2
    assert "choose another output" in capsys.readouterr().err


def test_a_language_model_is_trained_weighed_asked_and_changed(
    trained: tuple[Path, list[str]], corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, arguments = trained
    kept = (folder / "acoustic" / "model.safetensors").read_bytes()
    fused = [
        *arguments,
        "decoding=beam",
        "decoding.beam_size=4",
        "ngram_order=3",
        "corpus.dev_fraction=0.2",
        "prediction.language.layers=1",
        "prediction.language.units=8",
        "prediction.language.embedding=8",
        "prediction.trainer.epochs=1",
        "prediction.trainer.min_steps=0",
        "prediction.trainer.accelerator=cpu",
        "tuning.weights=[0.5]",
        "tuning.rewards=[0.0,1.0]",
    ]
    fused = [override.replace(str(folder), str(folder.parent / "fused")) for override in fused]
    folder = folder.parent / "fused"
    assert run(*fused) == 0
    for name in ("language/model.safetensors", "ngram.arpa", "acoustic/decoding.json", "report.html"):
        assert (folder / name).stat().st_size > 0, name
    assert len(kept) == len((folder / "acoustic" / "model.safetensors").read_bytes())
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics["decode"]) == ["greedy", "ngram", "beam"] and set(metrics["tuning"]) == {
        "greedy",
        "ngram",
        "beam",
    }
    assert metrics["tuning"]["beam"]["weights"]["language_weight"] == 0.5
    rows = [json.loads(line) for line in (folder / "hypotheses.jsonl").read_text().splitlines()]
    assert all(row["decoding"] == "beam" and "greedy" in row for row in rows)
    parts = [row["alternatives"][0]["parts"] for row in rows]
    assert all(part.keys() == {"language", "length"} for part in parts)
    assert "What the language model changed" in (folder / "report.html").read_text()

    acoustic = (folder / "acoustic" / "model.safetensors").stat().st_mtime_ns
    before = json.loads((folder / "language" / "model.json").read_text())
    changed = [override.replace("prediction.language.units=8", "prediction.language.units=12") for override in fused]
    capsys.readouterr()
    assert run(*changed, "ngram_order=2", "prediction.language.tied=false", "stages=[language]") == 0
    said = capsys.readouterr().err
    assert (
        "The language model of this run is trained anew: language.tied was True, is False; language.units was 8, is 12."
        in said
    )
    assert json.loads((folder / "language" / "model.json").read_text()) != before
    assert (folder / "acoustic" / "model.safetensors").stat().st_mtime_ns == acoustic
    assert run(*changed, "ngram_order=2", "prediction.language.tied=false", "stages=[language]") == 0
    assert "finished before, after 1 epoch" in capsys.readouterr().err


def test_an_unfitting_language_model_is_one_sentence(
    trained: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, arguments = trained
    capsys.readouterr()
    again = [*arguments, "stages=[decode]", "decoding=beam", f"language_model={tmp_path}"]
    assert run(*again) == 2
    assert f"{tmp_path}" in capsys.readouterr().err

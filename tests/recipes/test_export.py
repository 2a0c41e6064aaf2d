"""`speechrnn export` as a user types it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from speechrnn.audio.features import FeatureOptions
from speechrnn.cli import main as cli
from speechrnn.decoding.ngram import kneser_ney, write_quantised
from speechrnn.decoding.tuned_weights import TunedDecoding, read_tuned, write_tuned
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, load_acoustic, save_acoustic
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, save_language
from speechrnn.text.tokenizers import CharTokenizer

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

Run = Callable[..., tuple[int, str, str]]
TOKENIZER = CharTokenizer.build([], "ABC ")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("key=value", ...)`, in this process -> (exit status, stdout, stderr)."""

    def export(*overrides: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(["export", *overrides])
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return export


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """models/{acoustic, language}"""
    folder = tmp_path / "models"
    torch.manual_seed(0)
    network = AcousticModel(len(TOKENIZER), FeatureOptions(bins=16), AcousticOptions(units=8, layers=2, channels=2))
    save_acoustic(folder / "acoustic", network, TOKENIZER, training={})
    save_language(
        folder / "language",
        LanguageModel(4, LanguageOptions(units=8, embedding=6)),
        CharTokenizer.build([], "AB "),
        training={},
    )
    return folder


def test_an_acoustic_model_becomes_one_file(run: Run, models: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "model.onnx"
    status, out, err = run(f"model={models / 'acoustic'}", f"output={file}", "format=onnx")
    assert (status, err) == (0, "")
    assert out.startswith("acoustic model, ") and out.rstrip().endswith(f"MB: {file}")
    assert [path.name for path in file.parent.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    waveforms = np.random.default_rng(0).standard_normal((2, 8000), np.float32)
    log_probs, frames = session.run(None, {"waveforms": waveforms, "lengths": np.array([8000, 8000])})
    assert log_probs.shape == (2, frames[0], len(TOKENIZER))
    assert json.loads(session.get_modelmeta().custom_metadata_map["alphabet"]) == TOKENIZER.symbols


def test_a_language_model_becomes_one_file(run: Run, models: Path, tmp_path: Path) -> None:
    status, out, err = run(f"model={models / 'language'}", f"output={tmp_path / 'model.onnx'}")
    assert (status, err) == (0, "") and out.startswith("language model, ")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    size = int(session.get_modelmeta().custom_metadata_map["state_size"])
    log_probs, states = session.run(None, {"tokens": np.zeros(3, np.int64), "states": np.zeros((3, size), np.float32)})
    assert log_probs.shape == (3, 4) and states.shape == (3, size)


def test_without_a_name_the_file_lies_in_the_models_directory(run: Run, models: Path) -> None:
    status, out, _ = run(f"model={models / 'acoustic'}")
    assert status == 0 and out.rstrip().endswith(f"MB: {models / 'acoustic' / 'model.onnx'}")
    assert (models / "acoustic" / "model.onnx").is_file()


def test_a_name_gives_its_acoustic_model_and_the_file_lies_here(
    run: Run, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPEECHRNN_MODELS", str(models.parent))
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("model=models")  # a bundle in this folder, of that name
    assert status == 0 and (models / "acoustic" / "model.onnx").is_file() is False
    assert out.startswith("acoustic model, ") and (tmp_path / "models.onnx").is_file()


def test_a_directory_with_small_weights_is_a_model_as_any_other(run: Run, models: Path, tmp_path: Path) -> None:
    write_tuned(models / "acoustic", {"greedy": TunedDecoding()})
    (models / "acoustic" / "README.md").write_text("a card")
    (models / "acoustic" / "model.onnx").write_text("")
    for kind, load in (("acoustic", load_acoustic), ("language", load_language)):
        output = tmp_path / "small" / kind
        status, out, err = run(f"model={models / kind}", "format=directory", "weights=int8", f"output={output}")
        assert (status, err) == (0, "") and out.startswith(f"{kind} model, ") and out.rstrip().endswith(str(output))
        load(output)
        sizes = [(folder / kind / "model.safetensors").stat().st_size for folder in (models, tmp_path / "small")]
        assert sizes[1] < sizes[0]
    names = sorted(path.name for path in (tmp_path / "small" / "acoustic").iterdir())
    assert names == ["README.md", "decoding.json", "model.json", "model.safetensors"]
    assert read_tuned(tmp_path / "small" / "acoustic") == {"greedy": TunedDecoding()}


def test_a_directory_needs_a_place_of_its_own_and_a_whole_model(run: Run, models: Path, tmp_path: Path) -> None:
    model = f"model={models / 'acoustic'}"
    before = {path: path.read_bytes() for path in (models / "acoustic").iterdir()}
    cases = {
        (model, "format=directory"): "format=directory needs a place: give output=DIR",
        (model, "format=directory", f"output={models / 'acoustic'}"): "is the directory of the model itself",
        (model, "format=directory", "weights=int4", "output=x"): "weights=int4 is wrong",
    }
    for overrides, sentence in cases.items():
        status, out, err = run(*overrides)
        assert (status, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert {path: path.read_bytes() for path in (models / "acoustic").iterdir()} == before
    (models / "acoustic" / "model.json").write_text("{")
    status, _, err = run(model, "format=directory", f"output={tmp_path / 'new'}")
    assert status == 2 and "model.json is damaged" in err and not (tmp_path / "new").exists()


def test_a_folder_with_other_files_is_no_output_of_a_model(run: Run, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "talk.txt").write_text("ABC")
    status, _, err = run(f"model={models / 'acoustic'}", "format=directory", f"output={folder}")
    assert status == 2 and "is no model directory; choose another output" in err
    assert [path.name for path in folder.iterdir()] == ["talk.txt"]


def test_two_runs_become_a_bundle_whose_size_is_printed(run: Run, models: Path, tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    (models / "acoustic").rename(tmp_path / "speech" / "acoustic")
    tokenizer = CharTokenizer.build([], "ABC ")
    language = LanguageModel(len(tokenizer), LanguageOptions(units=8, embedding=6))
    save_language(tmp_path / "text" / "language", language, tokenizer, training={})
    write_quantised(tmp_path / "text" / "ngram.q8", kneser_ney([[2, 3, 1, 4], [4, 2]], tokenizer.symbols, 2))
    output = tmp_path / "models" / "mine"
    parts = [f"language_model={tmp_path / 'text'}", f"ngram={tmp_path / 'text'}", "weights=int8"]
    status, out, err = run(f"model={tmp_path / 'speech'}", "format=bundle", *parts, f"output={output}")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split(" MB  ")[1] for line in lines[:3]] == [
        str(output / part) for part in ("acoustic", "language", "ngram.q8")
    ]
    assert lines[3].endswith(f"MB  {output}, for model={output}")
    assert sorted(path.name for path in output.iterdir()) == ["acoustic", "language", "ngram.q8"]
    # By default, the parts that lie together.
    status, out, _ = run(f"model={output}", "format=bundle", "ngram=null", f"output={tmp_path / 'models' / 'less'}")
    assert status == 0 and not (tmp_path / "models" / "less" / "ngram.q8").exists()


def test_bad_input_of_a_bundle_is_one_sentence(run: Run, models: Path, tmp_path: Path) -> None:
    model, output = f"model={models}", f"output={tmp_path / 'new'}"
    cases = {
        (model, "format=bundle"): "format=bundle needs a place: give output=DIR",
        (model, "ngram=x", output): "are parts of a bundle: add format=bundle",
        (model, "language_model=x", "format=directory", output): "are parts of a bundle: add format=bundle",
        (model, "format=bundle", f"ngram={tmp_path}", output): "is no n-gram file, and no folder of a run with one",
        (model, "format=bundle", f"language_model={tmp_path / 'x'}", output): "There is no model directory",
    }
    for overrides, sentence in cases.items():
        status, out, err = run(*overrides)
        assert (status, out) == (2, "") and sentence in err and err.count("\n") == 1
        assert not (tmp_path / "new").exists()


def test_bad_input_is_one_sentence(run: Run, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, output = f"model={models / 'acoustic'}", f"output={tmp_path / 'model.onnx'}"
    (tmp_path / "file").write_text("a file, no folder")
    cases = {
        (
            model,
            output,
            "format=onx",
        ): "format=onx is wrong: it must be one of onnx, directory, bundle; did you mean format=onnx?",
        (f"model={tmp_path}", output): f"{tmp_path} is no model directory, for it has no model.json; give the folder",
        (f"model={tmp_path / 'none'}", output): f"There is no model directory {tmp_path / 'none'}",
        (model, f"output={tmp_path / 'file' / 'model.onnx'}"): f"Cannot write {tmp_path / 'file' / 'model.onnx'}: ",
    }
    for overrides, sentence in cases.items():
        status, out, err = run(*overrides)
        assert (status, out) == (2, ""), overrides
        assert err.startswith(f"speechrnn: {sentence}") and err.count("\n") == 1
    for weights in ("int8", "float16"):
        status, out, err = run(model, output, f"weights={weights}")
        assert (status, out) == (2, "") and f"weights={weights} is for format=directory and format=bundle" in err
        assert not (tmp_path / "model.onnx").exists()
    (models / "acoustic" / "model.json").write_text("{")
    status, _, err = run(model, output)
    assert status == 2 and "model.json is damaged" in err
    monkeypatch.setitem(sys.modules, "onnx", None)
    status, _, err = run(f"model={models / 'language'}", output)
    assert status == 2 and err == "speechrnn: ONNX needs the package onnx; pip install 'speechrnn[export]'.\n"
    assert not (tmp_path / "model.onnx").exists()

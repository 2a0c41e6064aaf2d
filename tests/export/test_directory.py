"""Tests of model directories with small weights: what travels, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from helpers.acoustic_models import save_listener
from helpers.language_models import toy_model

from speechrnn.core.errors import UserError
from speechrnn.export.directory import export_directory
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.language import load_language, save_language
from speechrnn.text.tokenizers import CharTokenizer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_listener(tmp_path / "model")


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_small_weights_are_nearly_the_same(model: Path, tmp_path: Path, weights: str) -> None:
    assert export_directory(model, tmp_path / "small", weights) == "acoustic"  # type: ignore[arg-type]
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "small", model)]
    assert sizes[0] < 0.7 * sizes[1]
    small, large = load_acoustic(tmp_path / "small")[0], load_acoustic(model)[0]
    torch.testing.assert_close(small.head.weight, large.head.weight, atol=0.1, rtol=0.02)


def test_a_language_model_is_recognised(tmp_path: Path) -> None:
    tokenizer = CharTokenizer.build([], "AB")
    save_language(tmp_path / "model", toy_model(len(tokenizer)), tokenizer, training={})
    assert export_directory(tmp_path / "model", tmp_path / "small", "float16") == "language"
    assert load_language(tmp_path / "small")[1].symbols == tokenizer.symbols


def test_other_files_travel_along(model: Path, tmp_path: Path) -> None:
    (model / "decoding.json").write_text("{}")
    for name in ("model.onnx", ".hidden", "half.tmp"):
        (model / name).touch()
    (model / "folder").mkdir()
    export_directory(model, tmp_path / "small", "float16")
    names = {path.name for path in (tmp_path / "small").iterdir()}
    assert names == {"model.json", "model.safetensors", "decoding.json"}
    kinds = [json.loads((folder / "model.json").read_text())["kind"] for folder in (model, tmp_path / "small")]
    assert kinds == ["acoustic", "acoustic"]


def test_nothing_but_a_model_is_replaced(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="directory of the model itself"):
        export_directory(model, model, "int8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    for name in ("mine", "mine/notes.txt"):
        with pytest.raises(UserError, match="no model directory; choose another output"):
            export_directory(model, tmp_path / name, "int8")
    export_directory(model, tmp_path / "small", "int8")
    export_directory(model, tmp_path / "small", "float16")  # a model takes the place of a model

"""Model directories: what is loaded is what was saved, and each field of a description is checked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.model_directories import change_field, remove_digests, save_small
from safetensors.torch import load_file, save_file
from torch import nn

from speechrnn.audio.features import FeatureOptions
from speechrnn.core import model_names
from speechrnn.core.errors import UserError
from speechrnn.core.model_names import DESCRIPTION, WEIGHTS
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, load_acoustic, save_acoustic
from speechrnn.nn.checkpoint import FORMAT, load_model, load_weights, save_model
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, save_language
from speechrnn.nn.quantisation import WeightFormat
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_small(tmp_path / "model")  # without digests, so that damage is found by what it is


def test_a_loaded_model_is_the_saved_one(tmp_path: Path) -> None:
    torch.manual_seed(1)
    tokenizer = CharTokenizer.build(["Ä b"])
    features = FeatureOptions(bins=20, normalisation="training")
    model = AcousticModel(len(tokenizer), features, AcousticOptions(layers=2, units=8, channels=4)).eval()
    model.front_end.normalise.fit(torch.ones(20), torch.full((20,), 3.0), 1)
    save_acoustic(tmp_path / "m", model, tokenizer, training={})
    loaded, loaded_tokenizer = load_acoustic(tmp_path / "m")
    assert loaded_tokenizer.symbols == tokenizer.symbols
    waveforms, lengths = torch.randn(2, 4000), torch.tensor([4000, 2500])
    for mine, theirs in zip(model(waveforms, lengths), loaded(waveforms, lengths), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("weight_format", ["float16", "int8"])
def test_small_weights_are_read_back_as_float32(folder: Path, weight_format: WeightFormat, tmp_path: Path) -> None:
    description, weights = load_model(folder, "acoustic")
    size = (folder / WEIGHTS).stat().st_size
    save_model(tmp_path / "small", "acoustic", description, weights=weights, weight_format=weight_format)
    assert (tmp_path / "small" / WEIGHTS).stat().st_size < size
    loaded, _ = load_acoustic(tmp_path / "small")
    original, _ = load_acoustic(folder)
    waveforms, lengths = torch.randn(2, 4000), torch.tensor([4000, 2500])
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == original.state_dict()[name].dtype
    torch.testing.assert_close(loaded(waveforms, lengths)[0], original(waveforms, lengths)[0], atol=0.05, rtol=0)
    # Saved again as float32, it is a model of its own.
    save_model(tmp_path / "back", "acoustic", *load_model(tmp_path / "small", "acoustic"))
    assert FORMAT not in json.loads((tmp_path / "back" / DESCRIPTION).read_text())
    assert torch.equal(load_acoustic(tmp_path / "back")[0].head.weight, loaded.head.weight)


@pytest.mark.parametrize("value", ["float64", None, 8, ["int8"], "int8", "float16"])
def test_a_format_that_is_not_that_of_the_weights_is_refused(folder: Path, value: object) -> None:
    change_field(folder, FORMAT, value)
    with pytest.raises(UserError, match=r"model\.(json|safetensors) is damaged"):
        load_acoustic(folder)


def test_small_weights_without_their_format_are_refused(folder: Path) -> None:
    save_model(folder, "acoustic", *load_model(folder, "acoustic"), "float16")
    remove_digests(folder)
    change_field(folder, FORMAT, "float32")
    with pytest.raises(UserError, match=r"differs"):
        load_acoustic(folder)


def test_weights_too_large_for_a_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot write .*w holds numbers .* choose weights=float32"):
        save_model(tmp_path / "m", "acoustic", {}, weights={"w": torch.full((2, 2), 1e6)}, weight_format="float16")
    assert not (tmp_path / "m").exists()


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model directory .*nowhere"):
        load_model(tmp_path / "nowhere", "acoustic")


def test_missing_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"no model\.safetensors"):
        load_acoustic(folder)


def test_missing_weights_of_a_model_of_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_names, "PRETRAINED", folder.parent)
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"model\.safetensors is missing, .* incomplete: install it again"):
        load_acoustic(folder)


def test_a_run_folder_names_the_model_inside_it(folder: Path) -> None:
    with pytest.raises(UserError, match=r"did you mean .*model\?"):
        load_acoustic(folder.parent)


def test_description_without_a_part(folder: Path) -> None:
    description = json.loads((folder / DESCRIPTION).read_text())
    del description["acoustic"]
    (folder / DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(UserError, match=r"model\.json is damaged"):
        load_acoustic(folder)


@pytest.fixture
def language_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = WordTokenizer.build(["a b c d e f"])
    options = LanguageOptions(units=6, embedding=4, softmax="adaptive", cutoffs=(3, 5))
    save_language(tmp_path / "language", LanguageModel(len(tokenizer), options), tokenizer, training={"loss": math.nan})
    return remove_digests(tmp_path / "language")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("features", None),
        ("features", []),
        ("features/bins", 10**9),
        ("features/bins", "20"),
        ("features/bins", 20.5),
        ("features/sampling_rate", 10**9),
        ("features/sampling_rate", 1),
        ("features/window", 10**9),
        ("features/window", math.nan),
        ("features/hop", math.inf),
        ("features/low", 1e5),
        ("features/kind", "kaldi; import os"),
        ("features/kind", {"a": 1}),
        ("features/secret", 1),
        ("acoustic/layers", 10**9),
        ("acoustic/layers", 0),
        ("acoustic/layers", True),
        ("acoustic/units", 10**9),
        ("acoustic/units", -1),
        ("acoustic/stride", 10**9),
        ("acoustic/stride", 2),
        ("acoustic/cell", "gru"),
        ("acoustic/subsampling", "convolution"),
        ("acoustic/dropout", 2.0),
        ("acoustic/bidirectional", "yes"),
        ("tokenizer", None),
        ("tokenizer", "char"),
        ("tokenizer/kind", "pickle"),
        ("tokenizer/kind", "subword"),
        ("tokenizer/kind", []),
        ("tokenizer/symbols", "abc"),
        ("tokenizer/symbols", []),
        ("tokenizer/symbols", ["<blank>", "A", "A", "B", "C"]),
        ("tokenizer/symbols", ["<blank>", 1, 2, 3, 4]),
        ("tokenizer/symbols", ["<blank>", *(chr(300 + number) for number in range(90))]),
        ("kind", None),
        ("kind", 5),
        ("kind", ["acoustic"]),
    ],
)
def test_each_field_of_an_acoustic_description_is_checked(folder: Path, path: str, value: Any) -> None:
    change_field(folder, path, value)
    with pytest.raises(UserError) as caught:
        load_acoustic(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("language/units", 10**9),
        ("language/embedding", 10**9),
        ("language/layers", 10**9),
        ("language/components", "4"),
        ("language/softmax", "full"),
        ("language/softmax", "mixture"),
        ("language/cutoffs", [5, 3]),
        ("language/cutoffs", 7),
        ("language/cutoffs", [10**9]),
        ("language/tied", False),
        ("tokenizer/symbols", ["<blank>", "<unk>"]),
        ("tokenizer/symbols", ["<blank>", "a", "b", "c", "d", "e", "f", "g"]),
    ],
)
def test_each_field_of_a_language_description_is_checked(language_folder: Path, path: str, value: Any) -> None:
    load_language(language_folder)
    change_field(language_folder, path, value)
    with pytest.raises(UserError) as caught:
        load_language(language_folder)
    assert str(language_folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"kind":' * 100_000,
        '{"kind": "acoustic", "x": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"kind": "acoustic", "kind": "language"}',
        '{"kind": "acoustic", "features": NaN}',
        '{"kind": "acoustic", "features": {"window": -Infinity}}',
        '{"kind": "acoustic", "features": {"bins": ' + "9" * 5000 + "}}",
        '{"kind": "acoustic", "features": 1e999}',
        "null",
        "",
        "\0" * 4096,
        '"acoustic"',
    ],
)
def test_a_description_that_is_no_description(folder: Path, text: str) -> None:
    (folder / DESCRIPTION).write_text(text)
    with pytest.raises(UserError, match=r"model\.json is damaged"):
        load_acoustic(folder)


def test_a_description_that_is_no_text(folder: Path) -> None:
    (folder / DESCRIPTION).write_bytes(b"\xff\xfe{")
    with pytest.raises(UserError, match=r"model\.json is damaged"):
        load_acoustic(folder)


def test_what_is_no_json_is_not_written_and_old_summaries_with_nan_still_load(folder: Path) -> None:
    save_model(
        folder, "acoustic", {"training": {"loss": math.nan, "history": [math.inf, 1.0]}}, weights={"w": torch.zeros(2)}
    )
    assert json.loads((folder / DESCRIPTION).read_text(), parse_constant=pytest.fail)["training"] == {
        "loss": None,
        "history": [None, 1.0],
    }
    remove_digests(folder)
    text = (folder / DESCRIPTION).read_text().replace("null", "NaN")
    (folder / DESCRIPTION).write_text(text)
    description, _ = load_model(folder, "acoustic")
    assert description["training"]["loss"] is None


def test_a_deviation_of_zero_is_refused(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["front_end.normalise.deviation"].zero_()
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(UserError, match=r"deviation is not positive"):
        load_acoustic(folder)


def test_wrong_kind(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", "language", {}, weights={"w": torch.zeros(2)})
    with pytest.raises(UserError, match=r"kind 'language'.*'acoustic'"):
        load_acoustic(tmp_path / "lm")


def test_weights_of_another_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weight differs"):
        load_weights(nn.Linear(3, 2), nn.Linear(4, 2).state_dict(), tmp_path)

"""Model directories: what goes in comes out, and each kind of damage has its sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.model_directories import remove_digests
from safetensors.torch import load_file, save_file
from torch import nn

from speechrnn.audio.features import FeatureOptions
from speechrnn.core import model_names
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, load_acoustic, save_acoustic
from speechrnn.nn.checkpoint import DESCRIPTION, DIGESTS, FORMAT, WEIGHTS, load_model, load_weights, save_model
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, save_language
from speechrnn.nn.quantisation import WeightFormat
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build(["AB C"])
    model = AcousticModel(
        len(tokenizer), FeatureOptions(bins=20), AcousticOptions(layers=1, units=8, channels=4, subsampling="stack")
    )
    save_acoustic(tmp_path / "model", model, tokenizer, {"epochs": 1})
    return remove_digests(tmp_path / "model")  # so that what is damaged is found by what it is


def test_a_loaded_model_is_the_saved_one(tmp_path: Path) -> None:
    torch.manual_seed(1)
    tokenizer = CharTokenizer.build(["Ä b"])
    features = FeatureOptions(bins=20, normalisation="training")
    model = AcousticModel(len(tokenizer), features, AcousticOptions(layers=2, units=8, channels=4)).eval()
    model.front_end.normalise.fit(torch.ones(20), torch.full((20,), 3.0), 1)
    save_acoustic(tmp_path / "m", model, tokenizer, {})
    loaded, loaded_tokenizer = load_acoustic(tmp_path / "m")
    assert loaded_tokenizer.symbols == tokenizer.symbols
    waveforms, lengths = torch.randn(2, 4000), torch.tensor([4000, 2500])
    for mine, theirs in zip(model(waveforms, lengths), loaded(waveforms, lengths), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("weight_format", ["float16", "int8"])
def test_small_weights_are_read_back_as_float32(folder: Path, weight_format: WeightFormat, tmp_path: Path) -> None:
    description, weights = load_model(folder, "acoustic")
    size = (folder / WEIGHTS).stat().st_size
    save_model(tmp_path / "small", "acoustic", description, weights, weight_format)
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


@pytest.mark.parametrize("weight_format", ["float16", "int8"])
def test_flipped_bits_of_small_weights_are_refused_or_load_finite_weights(
    folder: Path, weight_format: WeightFormat
) -> None:
    save_model(folder, "acoustic", *load_model(folder, "acoustic"), weight_format)
    remove_digests(folder)
    before = (folder / WEIGHTS).read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(before), 200):
        changed = bytearray(before)
        changed[place] ^= 1 << int(random.integers(8))
        (folder / WEIGHTS).write_bytes(changed)
        try:
            model, _ = load_acoustic(folder)
        except UserError as error:
            assert str(folder) in str(error) and "\n" not in str(error)
        else:
            assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


@pytest.mark.parametrize("value", ["float64", None, 8, ["int8"], "int8", "float16"])
def test_a_format_that_is_not_that_of_the_weights_is_refused(folder: Path, value: object) -> None:
    change(folder, FORMAT, value)
    with pytest.raises(UserError, match=r"model\.(json|safetensors) is damaged"):
        load_acoustic(folder)


def test_small_weights_without_their_format_are_refused(folder: Path) -> None:
    save_model(folder, "acoustic", *load_model(folder, "acoustic"), "float16")
    remove_digests(folder)
    change(folder, FORMAT, "float32")
    with pytest.raises(UserError, match=r"differs"):
        load_acoustic(folder)


def test_weights_too_large_for_a_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot write .*w holds numbers .* choose weights=float32"):
        save_model(tmp_path / "m", "acoustic", {}, {"w": torch.full((2, 2), 1e6)}, "float16")
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


@pytest.mark.parametrize("keep", [0, 4, 100])
def test_damaged_weights(folder: Path, keep: int) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_acoustic(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_damaged_description(folder: Path, text: str) -> None:
    (folder / DESCRIPTION).write_text(text)
    with pytest.raises(UserError, match=r"model\.json is damaged"):
        load_acoustic(folder)


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
    save_language(tmp_path / "language", LanguageModel(len(tokenizer), options), tokenizer, {"loss": math.nan})
    return remove_digests(tmp_path / "language")


def change(folder: Path, path: str, value: Any) -> None:
    """Set a value of the description, by the path of its keys."""
    description = json.loads((folder / DESCRIPTION).read_text())
    group = description
    *parents, last = path.split("/")
    for key in parents:
        group = group[key]
    group[last] = value
    (folder / DESCRIPTION).write_text(json.dumps(description))


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
    change(folder, path, value)
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
    change(language_folder, path, value)
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
    save_model(folder, "acoustic", {"training": {"loss": math.nan, "history": [math.inf, 1.0]}}, {"w": torch.zeros(2)})
    assert json.loads((folder / DESCRIPTION).read_text(), parse_constant=pytest.fail)["training"] == {
        "loss": None,
        "history": [None, 1.0],
    }
    remove_digests(folder)
    text = (folder / DESCRIPTION).read_text().replace("null", "NaN")
    (folder / DESCRIPTION).write_text(text)
    description, _ = load_model(folder, "acoustic")
    assert description["training"]["loss"] is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["head.bias"][1] = value
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(UserError, match=r"model\.safetensors is damaged \(head\.bias .*not finite"):
        load_acoustic(folder)


@pytest.mark.parametrize("name", ["head.bias", "recurrent.layers.0.network.weight_hh_l0"])
@pytest.mark.parametrize("value", [2e10, -3e38])
def test_weights_with_which_every_output_overflows_are_refused(folder: Path, name: str, value: float) -> None:
    weights = load_file(folder / WEIGHTS)
    weights[name].view(-1)[0] = value
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(UserError, match=rf"model\.safetensors is damaged \({name} holds numbers above 1e\+10"):
        load_acoustic(folder)


@pytest.mark.parametrize("kind", [torch.float16, torch.float64, torch.int32, torch.bool])
def test_weights_of_another_type_are_refused(folder: Path, kind: torch.dtype) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["head.bias"] = weights["head.bias"].to(kind)
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(UserError, match=r"head\.bias differs"):
        load_acoustic(folder)


def test_a_deviation_of_zero_is_refused(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["front_end.normalise.deviation"].zero_()
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(UserError, match=r"deviation is not positive"):
        load_acoustic(folder)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"{" * 5000,
        b'{"head.bias": {"dtype": "F32", "shape": [1000000000, 1000000000], "data_offsets": [0, 4]}}',
        b'{"head.bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4000000000000]}}',
        b'{"head.bias": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"head.bias": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"head.bias": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}',
    ],
)
def test_a_header_of_other_tensors(folder: Path, header: bytes) -> None:
    for length in (len(header), 2**40, 2**64 - 1):
        (folder / WEIGHTS).write_bytes(length.to_bytes(8, "little") + header + bytes(4))
        with pytest.raises(UserError, match=r"model\.safetensors (is damaged|does not fit)"):
            load_acoustic(folder)


def test_flipped_bits_are_refused_or_load_finite_weights(folder: Path) -> None:
    """A flipped bit gives a sentence or a model of finite numbers, and nothing else."""
    for name, places in ((DESCRIPTION, 300), (WEIGHTS, 300)):
        path = folder / name
        before = path.read_bytes()
        random = np.random.default_rng(0)
        for place in random.integers(0, len(before), places):
            changed = bytearray(before)
            changed[place] ^= 1 << int(random.integers(8))
            path.write_bytes(changed)
            try:
                model, _ = load_acoustic(folder)
            except UserError as error:
                assert str(folder) in str(error)
            else:
                assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
        path.write_bytes(before)


@pytest.mark.parametrize("weight_format", ["float32", "float16", "int8"])
def test_each_flipped_bit_of_a_saved_model_is_found(folder: Path, weight_format: WeightFormat) -> None:
    """A bit of a weight that stays finite changes words, and so does one in a description."""
    save_model(folder, "acoustic", *load_model(folder, "acoustic"), weight_format)
    load_acoustic(folder)
    for name in (DESCRIPTION, WEIGHTS):
        path = folder / name
        before = path.read_bytes()
        random = np.random.default_rng(1)
        for place in random.integers(0, len(before), 60):
            changed = bytearray(before)
            changed[place] ^= 1 << int(random.integers(8))
            path.write_bytes(changed)
            if name == DESCRIPTION and _other_digests(changed, before):
                continue
            with pytest.raises(UserError, match=rf"{folder}.* (is damaged|does not fit|holds a model of kind)"):
                load_acoustic(folder)
        path.write_bytes(before)


def _other_digests(changed: bytes | bytearray, before: bytes) -> bool:
    """Return whether the names of the digests differ, without which a model loads."""
    try:
        values, other = json.loads(changed), json.loads(before)
    except ValueError:
        return False
    return bool(DIGESTS not in values or values[DIGESTS].keys() != other[DIGESTS].keys())


def test_weights_of_another_training_of_the_same_model_are_refused(folder: Path, tmp_path: Path) -> None:
    description, weights = load_model(folder, "acoustic")
    for name, sign in (("a", 1), ("b", -1)):
        changed = {**weights, "head.bias": weights["head.bias"] + sign}
        save_model(tmp_path / name, "acoustic", description, changed)
    load_acoustic(tmp_path / "a")
    (tmp_path / "a" / WEIGHTS).write_bytes((tmp_path / "b" / WEIGHTS).read_bytes())
    with pytest.raises(UserError, match=r"model\.safetensors is damaged .*model\.json was written for"):
        load_acoustic(tmp_path / "a")


def test_a_description_that_somebody_changed_is_refused_and_says_how_to_use_it(folder: Path) -> None:
    save_model(folder, "acoustic", *load_model(folder, "acoustic"))
    change(folder, "tokenizer/symbols", ["<blank>", " ", "B", "A", "C"])
    with pytest.raises(UserError, match=r"model\.json is damaged .*has changed .*remove its key digests"):
        load_acoustic(folder)
    remove_digests(folder)
    load_acoustic(folder)


def test_a_description_may_have_the_line_ends_of_another_system(folder: Path) -> None:
    save_model(folder, "acoustic", *load_model(folder, "acoustic"))
    (folder / DESCRIPTION).write_bytes((folder / DESCRIPTION).read_bytes().replace(b"\n", b"\r\n"))
    load_acoustic(folder)


@pytest.mark.parametrize("digests", [None, [], "x", {WEIGHTS: 5}, {WEIGHTS: ["a"]}])
def test_digests_that_are_none_are_refused(folder: Path, digests: object) -> None:
    change(folder, DIGESTS, digests)
    with pytest.raises(UserError, match=r"model\.json is damaged .*digests"):
        load_acoustic(folder)


def test_a_save_that_is_killed_leaves_no_description_of_other_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A description beside the weights of another save would be taken for a damaged model."""
    save_model(folder, "acoustic", *load_model(folder, "acoustic"))
    replace, left = Path.replace, []

    def killed(source: Path, target: Path) -> None:
        left.append((Path(target).name, (folder / DESCRIPTION).exists()))
        replace(source, target)

    monkeypatch.setattr(Path, "replace", killed)
    save_model(folder, "acoustic", *load_model(folder, "acoustic"))
    assert left == [(WEIGHTS, False), (DESCRIPTION, False)]


def test_wrong_kind(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", "language", {}, {"w": torch.zeros(2)})
    with pytest.raises(UserError, match=r"kind 'language'.*'acoustic'"):
        load_acoustic(tmp_path / "lm")


def test_weights_of_another_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weight differs"):
        load_weights(nn.Linear(3, 2), nn.Linear(4, 2).state_dict(), tmp_path)


def test_nothing_half_written_on_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / WEIGHTS).read_bytes()
    description = (folder / DESCRIPTION).read_bytes()

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(UserError, match="No space left on device"):
        save_model(folder, "acoustic", {}, {"w": torch.zeros(100_000)})
    assert (folder / WEIGHTS).read_bytes() == before
    assert (folder / DESCRIPTION).read_bytes() == description
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, WEIGHTS]

"""Damaged model directories: each kind of damage has its sentence, and no damaged weights are loaded."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.model_directories import change_field, remove_digests, save_small
from safetensors.torch import load_file, save_file

from speechrnn.core.errors import UserError
from speechrnn.core.model_names import DESCRIPTION, WEIGHTS
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.checkpoint import DIGESTS, load_model, save_model
from speechrnn.nn.quantisation import WeightFormat


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_small(tmp_path / "model")  # without digests, so that damage is found by what it is


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
        save_model(tmp_path / name, "acoustic", description, weights=changed)
    load_acoustic(tmp_path / "a")
    (tmp_path / "a" / WEIGHTS).write_bytes((tmp_path / "b" / WEIGHTS).read_bytes())
    with pytest.raises(UserError, match=r"model\.safetensors is damaged .*model\.json was written for"):
        load_acoustic(tmp_path / "a")


def test_a_description_that_somebody_changed_is_refused_and_says_how_to_use_it(folder: Path) -> None:
    save_model(folder, "acoustic", *load_model(folder, "acoustic"))
    change_field(folder, "tokenizer/symbols", ["<blank>", " ", "B", "A", "C"])
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
    change_field(folder, DIGESTS, digests)
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


def test_nothing_half_written_on_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / WEIGHTS).read_bytes()
    description = (folder / DESCRIPTION).read_bytes()

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(UserError, match="No space left on device"):
        save_model(folder, "acoustic", {}, weights={"w": torch.zeros(100_000)})
    assert (folder / WEIGHTS).read_bytes() == before
    assert (folder / DESCRIPTION).read_bytes() == description
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, WEIGHTS]

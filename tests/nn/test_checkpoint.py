"""Model directories: what goes in comes out, and each kind of damage has its sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, load_acoustic, save_acoustic
from speechrnn.nn.checkpoint import DESCRIPTION, WEIGHTS, load_model, load_weights, save_model
from speechrnn.text.tokenizers import CharTokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build(["AB C"])
    model = AcousticModel(
        len(tokenizer), FeatureOptions(bins=20), AcousticOptions(layers=1, units=8, channels=4, subsampling="stack")
    )
    save_acoustic(tmp_path / "model", model, tokenizer, {"epochs": 1})
    return tmp_path / "model"


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


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model directory .*nowhere"):
        load_model(tmp_path / "nowhere", "acoustic")


def test_missing_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"no model\.safetensors"):
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


def test_wrong_kind(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", "language", {}, {"w": torch.zeros(2)})
    with pytest.raises(UserError, match=r"kind 'language'.*'acoustic'"):
        load_acoustic(tmp_path / "lm")


def test_weights_of_another_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weight differs"):
        load_weights(nn.Linear(3, 2), nn.Linear(4, 2).state_dict(), tmp_path)


def test_nothing_half_written_on_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / WEIGHTS).read_bytes()

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(UserError, match="No space left on device"):
        save_model(folder, "acoustic", {}, {"w": torch.zeros(100_000)})
    assert (folder / WEIGHTS).read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, WEIGHTS]

"""The acoustic model: shapes, and independence of the batch; its training options and its directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.model_directories import change_description
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.augmentation import SpecAugmentOptions
from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import (
    AcousticModel,
    AcousticOptions,
    ConvolutionalSubsampling,
    StackFrames,
    load_acoustic,
    save_acoustic,
)
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer


def small(subsampling: str, stride: int = 3) -> AcousticModel:
    torch.manual_seed(0)
    options = AcousticOptions(layers=2, units=16, subsampling=subsampling, stride=stride, channels=4)  # type: ignore[arg-type]
    return AcousticModel(5, FeatureOptions(bins=20), options, masks=SpecAugmentOptions())


@pytest.mark.parametrize("subsampling", ["stack", "convolution"])
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(160, 9000), min_size=1, max_size=4), stride=st.integers(1, 4))
def test_a_row_does_not_depend_on_its_batch(subsampling: str, lengths: list[int], stride: int) -> None:
    model = small(subsampling, stride).eval()
    waves = [torch.randn(length) for length in lengths]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    together, frames = model(batch, torch.tensor(lengths))
    assert torch.equal(frames, model.frames(torch.tensor(lengths)))
    for wave, row, count in zip(waves, together, frames.tolist(), strict=True):
        alone, _ = model(wave[None], torch.tensor([len(wave)]))
        assert alone.shape == (1, count, 5)
        # A bin of the few frames of a short sound may hardly vary; its normalisation then enlarges rounding.
        torch.testing.assert_close(row[:count], alone[0], atol=1e-4 if len(wave) > 1000 else 2e-3, rtol=0)
        torch.testing.assert_close(alone.exp().sum(2), torch.ones(1, count))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050])
def test_frames_keep_time_at_any_rate(rate: int) -> None:
    """Ten minutes have as many frames as seconds_per_frame says, within two of them."""
    model = AcousticModel(
        5, FeatureOptions(sampling_rate=rate, bins=10), AcousticOptions(layers=1, units=4, channels=2)
    )
    frames = int(model.frames(torch.tensor(600 * rate)))
    assert abs(frames * model.seconds_per_frame - 600) < 2 * model.seconds_per_frame


def test_stacking_by_construction() -> None:
    features = torch.arange(10.0).reshape(1, 5, 2)
    stacked, lengths = StackFrames(2, 2)(features, torch.tensor([5]))
    assert stacked.tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]]
    assert lengths.tolist() == [3]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_every_frame_is_seen_by_the_convolutions(stride: int) -> None:
    subsampling = ConvolutionalSubsampling(8, stride, 3)
    features = torch.randn(1, 31, 8, requires_grad=True)
    outputs, _ = subsampling(features, torch.tensor([31]))
    assert outputs.shape[2] == subsampling.dimensions
    torch.nn.functional.conv2d(features.unsqueeze(1), torch.ones_like(subsampling.first.weight[:1]), stride=(stride, 2),
                               padding=subsampling.first.padding).sum().backward()  # fmt: skip
    assert features.grad is not None
    assert (features.grad[0].abs().sum(1) > 0).all()


def test_masks_only_in_training() -> None:
    model = small("stack")
    waveforms, lengths = torch.randn(1, 16000), torch.tensor([16000])
    model.eval()
    assert torch.equal(model(waveforms, lengths)[0], model(waveforms, lengths)[0])
    model.train()
    assert not torch.equal(model(waveforms, lengths)[0], model(waveforms, lengths)[0])


def test_drawn_blocks_have_a_latency_in_the_range() -> None:
    options = AcousticOptions(layers=3, units=4, channels=2, streaming=0.5, latency=(0.2, 1.5))
    model = AcousticModel(5, FeatureOptions(bins=10), options)
    torch.manual_seed(0)
    drawn = [model.draw_blocks() for _ in range(400)]
    blocks = [block for block in drawn if block is not None]
    assert 150 < len(blocks) < 250
    seconds = [block.latency * model.seconds_per_frame for block in blocks]
    assert 0.18 <= min(seconds) < 0.25 and 1.4 < max(seconds) <= 1.52
    assert abs(sum(second < 0.55 for second in seconds) / len(seconds) - 0.5) < 0.1  # the middle of their logarithms
    assert all(block.size >= 1 for block in blocks)
    assert {block.right for block in blocks} >= {0, 1, 5, 7} and max(block.right for block in blocks) > 20
    assert 0.6 < max(block.right / block.latency for block in blocks) <= 0.7


def test_an_intermediate_head_travels_with_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build(["abc"])
    options = AcousticOptions(layers=2, units=8, channels=2, intermediate_layer=1)
    model = AcousticModel(len(tokenizer), FeatureOptions(bins=10), options, intermediate_symbols=7).eval()
    save_acoustic(tmp_path, model, tokenizer, training={})
    loaded, _ = load_acoustic(tmp_path)
    wave, length = torch.randn(1, 8000), torch.tensor([8000])
    for ours, theirs in zip(
        loaded.training_outputs(wave, length, 1), model.training_outputs(wave, length, 1), strict=True
    ):
        assert ours is not None and theirs is not None
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)


def test_the_normalisation_of_the_transcripts_travels_with_the_model(tmp_path: Path) -> None:
    tokenizer = CharTokenizer.build(["abc"])
    model = AcousticModel(len(tokenizer), FeatureOptions(bins=10), AcousticOptions(layers=1, units=8, channels=2))
    save_acoustic(tmp_path / "old", model, tokenizer, training={})
    assert load_acoustic(tmp_path / "old")[1].normalisation is None  # a model of an older version
    tokenizer.normalisation = NormalisationOptions(case="lower", keep="'-")
    save_acoustic(tmp_path / "new", model, tokenizer, training={})
    assert load_acoustic(tmp_path / "new")[1].normalisation == tokenizer.normalisation


@pytest.mark.parametrize("value", [5, [], "upper", {"case": "title"}, {"cases": "upper"}, {"keep": []}])
def test_a_damaged_normalisation_is_refused(tmp_path: Path, value: object) -> None:
    tokenizer = CharTokenizer.build(["abc"])
    model = AcousticModel(len(tokenizer), FeatureOptions(bins=10), AcousticOptions(layers=1, units=8, channels=2))
    save_acoustic(tmp_path, model, tokenizer, training={})
    change_description(tmp_path, normalisation=value)
    with pytest.raises(UserError, match=r"model\.json is damaged"):
        load_acoustic(tmp_path)


@pytest.mark.parametrize("symbols", [0, 6, -1, 10**9, "seven", None, [7], True])
def test_a_wrong_size_of_the_intermediate_head_is_refused(tmp_path: Path, symbols: object) -> None:
    tokenizer = CharTokenizer.build(["abc"])
    options = AcousticOptions(layers=2, units=8, channels=2, intermediate_layer=1)
    save_acoustic(
        tmp_path,
        AcousticModel(len(tokenizer), FeatureOptions(bins=10), options, intermediate_symbols=7),
        tokenizer,
        training={},
    )
    change_description(tmp_path, intermediate_symbols=symbols)
    with pytest.raises(UserError, match=r"model\.(json|safetensors)"):
        load_acoustic(tmp_path)

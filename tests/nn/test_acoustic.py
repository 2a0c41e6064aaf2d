"""The acoustic model: shapes, independence of the batch, and its loss."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.augmentation import SpecAugmentOptions
from speechrnn.audio.features import FeatureOptions
from speechrnn.nn.acoustic import (
    AcousticModel,
    AcousticOptions,
    ConvolutionalSubsampling,
    StackFrames,
    ctc_loss,
    required_frames,
)


def small(subsampling: str, stride: int = 3) -> AcousticModel:
    torch.manual_seed(0)
    options = AcousticOptions(layers=2, units=16, subsampling=subsampling, stride=stride, channels=4)  # type: ignore[arg-type]
    return AcousticModel(5, FeatureOptions(bins=20), options, SpecAugmentOptions())


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
        torch.testing.assert_close(row[:count], alone[0], atol=1e-4, rtol=0)
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


def brute_force(log_probs: torch.Tensor, labels: list[int]) -> float:
    """Log of the summed probability of every path that reads as the labels."""
    frames, symbols = log_probs.shape
    total = 0.0
    for path in itertools.product(range(symbols), repeat=frames):
        joined = [symbol for symbol, _ in itertools.groupby(path)]
        if [symbol for symbol in joined if symbol != 0] == labels:
            total += math.exp(sum(float(log_probs[frame, symbol]) for frame, symbol in enumerate(path)))
    return math.log(total)


def test_loss_sums_all_paths() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(2, 5, 3).log_softmax(2)
    labels = [[1, 1], [2, 1, 2]]
    loss = ctc_loss(log_probs, torch.tensor([5, 4]), torch.tensor([1, 1, 2, 1, 2]), torch.tensor([2, 3]))
    expected = -(brute_force(log_probs[0], labels[0]) / 2 + brute_force(log_probs[1, :4], labels[1]) / 3) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_around_the_speech_only_blanks_count() -> None:
    """Frames 0, 1 and 6 are pauses when two frames pass before the speech and five until its end, one to spare each."""
    torch.manual_seed(0)
    logits = torch.randn(1, 7, 3, requires_grad=True)
    log_probs = logits.log_softmax(2)
    arguments = (torch.tensor([7]), torch.tensor([1, 2]), torch.tensor([2]))
    loss = ctc_loss(log_probs, *arguments, spoken=torch.tensor([[3, 5]]))
    blanks = float(log_probs.detach()[0, [0, 1, 6], 0].sum())
    assert loss.item() == pytest.approx(-(brute_force(log_probs[0, 2:6].detach(), [1, 2]) + blanks) / 2, abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    # as for any negative log-likelihood: probability minus what should have been, over the number of labels
    expected = (log_probs[0, 0].detach().exp() - torch.tensor([1.0, 0.0, 0.0])) / 2
    torch.testing.assert_close(gradient[0, 0], expected)


def test_speech_from_end_to_end_changes_nothing() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(2, 5, 3).log_softmax(2)
    arguments = (log_probs, torch.tensor([5, 4]), torch.tensor([1, 1, 2]), torch.tensor([2, 1]))
    assert torch.equal(ctc_loss(*arguments), ctc_loss(*arguments, spoken=torch.tensor([[1, 5], [1, 4]])))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_required_frames_is_the_least_with_a_finite_loss(labels: list[int]) -> None:
    needed = required_frames(labels)
    for frames, finite in ((needed, True), (needed - 1, False)):
        if frames < 1:
            continue
        log_probs = torch.zeros(1, frames, 4).log_softmax(2)
        loss = ctc_loss(log_probs, torch.tensor([frames]), torch.tensor(labels), torch.tensor([len(labels)]))
        assert bool(torch.isfinite(loss)) is finite

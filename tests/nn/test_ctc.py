"""The losses of CTC against sums over all paths."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.nn.ctc import LabelPriors, consistency_loss, ctc_loss, required_frames


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
    loss = ctc_loss(log_probs, torch.tensor([5, 4]), torch.tensor([1, 1, 2, 1, 2]), label_lengths=torch.tensor([2, 3]))
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
        loss = ctc_loss(
            log_probs, torch.tensor([frames]), torch.tensor(labels), label_lengths=torch.tensor([len(labels)])
        )
        assert bool(torch.isfinite(loss)) is finite


def test_consistency_is_the_divergence_of_the_two_views() -> None:
    """Equation 3 of CR-CTC, frame by frame, without the frames of the padding."""
    torch.manual_seed(0)
    log_probs = torch.randn(4, 5, 3).log_softmax(2).requires_grad_()
    frames, labels = torch.tensor([5, 3, 5, 3]), torch.tensor([2, 1, 2, 1])
    loss = consistency_loss(log_probs, frames, labels)
    expected = 0.0
    for row, other in ((0, 2), (1, 3), (2, 0), (3, 1)):
        for frame in range(int(frames[row])):
            p, q = log_probs[other, frame].detach().exp(), log_probs[row, frame]
            expected += float((p * (p.log() - q)).sum().detach()) / int(labels[row]) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert log_probs.grad is not None
    assert not log_probs.grad[1, 3:].any()


def sum_of_paths(scores: torch.Tensor, labels: list[int]) -> torch.Tensor:
    """As `brute_force`, with a gradient, for scores that are no probabilities."""
    frames, symbols = scores.shape
    sums = []
    for path in itertools.product(range(symbols), repeat=frames):
        joined = [symbol for symbol, _ in itertools.groupby(path)]
        if [symbol for symbol in joined if symbol != 0] == labels:
            sums.append(scores[torch.arange(frames), torch.tensor(path)].sum())
    return torch.stack(sums).logsumexp(0)


def test_label_priors_have_the_gradient_of_the_sum_over_all_paths() -> None:
    """torch's own gradient is right for probabilities only."""
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    labels, frames = [[1], [2, 1]], [4, 5]
    log_priors = 0.3 * torch.tensor([0.8, 0.15, 0.05], dtype=torch.float64).log()
    scores = logits.log_softmax(2) - log_priors
    expected = torch.stack(
        [-sum_of_paths(scores[row, : frames[row]], labels[row]) / len(labels[row]) for row in (0, 1)]
    ).mean()
    loss = ctc_loss(
        logits.log_softmax(2),
        torch.tensor(frames),
        torch.tensor([1, 2, 1]),
        label_lengths=torch.tensor([1, 2]),
        log_priors=log_priors,
    )
    assert loss.item() == pytest.approx(expected.item())
    (wanted,) = torch.autograd.grad(expected, logits)
    (found,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(found, wanted)


def test_label_priors_leave_pauses_to_the_blank() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 6, 3, dtype=torch.float64, requires_grad=True)
    log_priors = 0.3 * torch.tensor([0.8, 0.15, 0.05], dtype=torch.float64).log()
    log_probs = logits.log_softmax(2)
    spoken = torch.tensor([[3, 6]])  # with a frame of tolerance from frame 2 on
    loss = ctc_loss(
        log_probs,
        torch.tensor([6]),
        torch.tensor([1]),
        label_lengths=torch.tensor([1]),
        spoken=spoken,
        log_priors=log_priors,
    )
    expected = -log_probs[0, :2, 0].sum() - sum_of_paths(log_probs[0, 2:] - log_priors, [1])
    assert loss.item() == pytest.approx(expected.item())
    (wanted,) = torch.autograd.grad(expected, logits, retain_graph=True)
    (found,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(found, wanted)


def test_label_priors_become_the_mean_of_the_outputs() -> None:
    log_probs = torch.tensor([[[0.7, 0.2, 0.1], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]]]).log()
    priors = LabelPriors(0.5, symbols=3)
    for _ in range(2000):
        priors.update(log_probs, torch.tensor([2]))  # the third frame is padding
    torch.testing.assert_close(priors.mean, torch.tensor([0.8, 0.125, 0.075]))
    torch.testing.assert_close(priors.weighted(), 0.5 * priors.mean.log())
    priors.update(log_probs * float("nan"), torch.tensor([2]))
    assert torch.isfinite(priors.mean).all()

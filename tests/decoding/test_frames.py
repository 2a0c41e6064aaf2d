"""Tests of the frames of a search: which are left out, and in which order the symbols of the others stand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding import frames as frames_module
from speechrnn.decoding.frames import Frames, largest

BLANK_SURE = [0.98, 0.01, 0.01]
LABEL = [0.1, 0.7, 0.2]


def log_probs(*utterances: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Return (batch, frames, symbols) log-probabilities, padded with zeros, and (batch,) numbers of frames."""
    most = max(len(rows) for rows in utterances)
    padded = [rows + [[1.0, 1.0, 1.0]] * (most - len(rows)) for rows in utterances]
    return torch.tensor(padded).log(), torch.tensor([len(rows) for rows in utterances])


def test_frames_of_a_sure_blank_are_left_out() -> None:
    values, lengths = log_probs([BLANK_SURE, LABEL, BLANK_SURE, BLANK_SURE, LABEL, BLANK_SURE])
    frames = Frames(values, lengths, blank_threshold=0.95, symbol_threshold=0.0, labels=2)
    steps = list(frames)
    assert len(steps) == 2
    assert [step.after_blank is not None and bool(step.after_blank[0]) for step in steps] == [True, True]
    assert frames.trailing_blanks().tolist() == [True]
    common = 4 * math.log(0.98) + 2 * math.log(0.7)
    assert frames.offsets.tolist() == pytest.approx([common], abs=1e-6)


def test_a_threshold_of_1_leaves_nothing_out() -> None:
    values, lengths = log_probs([BLANK_SURE, [1.0, 0.0, 0.0], LABEL])
    assert len(list(Frames(values, lengths, blank_threshold=1.0, symbol_threshold=0.0, labels=2))) == 3


def test_utterances_leave_as_they_end() -> None:
    values, lengths = log_probs([LABEL], [LABEL] * 3, [BLANK_SURE] * 3)
    frames = Frames(values, lengths, blank_threshold=0.95, symbol_threshold=0.0, labels=2)
    assert [len(step.log_probs) for step in frames] == [2, 1, 1]
    assert frames.order.tolist()[0] == 1  # the longest first
    assert frames.trailing_blanks().tolist() == [False, False, True]


def test_improbable_symbols_are_not_tried() -> None:
    values, lengths = log_probs([[0.5, 0.49, 0.01]])
    (step,) = Frames(values, lengths, blank_threshold=0.95, symbol_threshold=0.1, labels=2)
    assert step.tried == 1 and step.values[0, 1] == -math.inf and step.labels[0].tolist() == [1, 2, 0]


def test_impossible_frames_count_as_none() -> None:
    values, lengths = log_probs([LABEL, LABEL])
    values[0, 0] = -math.inf
    assert len(list(Frames(values, lengths, blank_threshold=0.95, symbol_threshold=0.0, labels=2))) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    values, lengths = log_probs([LABEL], [LABEL])
    values[1, 0, 2] = value
    with pytest.raises(UserError, match="utterance 1 of the batch"):
        Frames(values, lengths, blank_threshold=0.95, symbol_threshold=0.0, labels=2)


def test_what_lies_in_the_padding_does_not_matter() -> None:
    values, lengths = log_probs([LABEL], [LABEL, LABEL])
    values[0, 1] = math.nan
    assert len(list(Frames(values, lengths, blank_threshold=0.95, symbol_threshold=0.0, labels=2))) == 2


@given(st.integers(1, 9), st.integers(0, 2**31))
def test_chunks_of_frames_are_the_frames_of_the_whole(chunk: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(3, 7, 4, generator=generator).mul(3).log_softmax(2)
    lengths = torch.tensor([7, 2, 5])
    whole = list(Frames(values, lengths, blank_threshold=0.6, symbol_threshold=0.01, labels=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames_module, "CHUNK", chunk * 12)
        parts = list(Frames(values, lengths, blank_threshold=0.6, symbol_threshold=0.01, labels=3))
    assert len(parts) == len(whole)
    for part, step in zip(parts, whole, strict=True):
        assert part.tried <= step.tried or part.tried == step.tried
        for left, right in zip(part, step, strict=True):
            if isinstance(left, Tensor) and isinstance(right, Tensor):
                assert torch.equal(left, right)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_the_largest_values_are_those_of_topk(count: int, seed: int) -> None:
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
    found, indices = largest(values, count)
    assert torch.equal(found, values.topk(count).values)
    assert torch.equal(values.gather(-1, indices), found)

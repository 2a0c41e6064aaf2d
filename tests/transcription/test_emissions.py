"""Pieces whose frames are numbered, so that a missing or a doubled one shows."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.transcription.emissions import LONGEST, SegmentAssembler, SpeechSegment, find_pause, trim_context

FRAME = 0.03  # seconds
MOST = round(LONGEST / FRAME)


def numbered(count: int, first: int = 0) -> Tensor:
    """(count, 2) frames that know their place, and are no pauses."""
    return torch.stack([torch.full((count,), -5.0), torch.arange(first, first + count).float()], 1)


def joined(stretches: list[SpeechSegment]) -> list[float]:
    return torch.cat([stretch.log_probs for stretch in stretches])[:, 1].tolist()


def test_pieces_of_a_stretch_are_one_and_those_of_others_are_not() -> None:
    stretches = SegmentAssembler(FRAME)
    assert list(stretches.add(1.0, numbered(50), True, False)) == []
    (first,) = stretches.add(2.5, numbered(30, 50), False, True)
    (second,) = stretches.add(9.0, numbered(20), True, True)
    assert (first.start, len(first.log_probs), joined([first])) == (1.0, 80, list(range(80)))
    assert (second.start, len(second.log_probs)) == (9.0, 20)


def test_a_stretch_without_frames_is_none() -> None:
    assert list(SegmentAssembler(FRAME).add(0.0, numbered(0), True, True)) == []


@settings(max_examples=30)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=12), st.lists(st.integers(0, 40_000), max_size=20))
def test_long_speech_is_cut_at_the_same_places_however_its_pieces_lie(sizes: list[int], pauses: list[int]) -> None:
    total = sum(sizes)
    frames = numbered(total)
    for place in pauses:
        frames[place : place + 30, 0] = 0.0

    def add(lengths: list[int]) -> list[SpeechSegment]:
        stretches, found, done = SegmentAssembler(FRAME), list[SpeechSegment](), 0
        for number, length in enumerate(lengths):
            part = frames[done : done + length]
            found += stretches.add(done * FRAME, part, number == 0, number == len(lengths) - 1)
            done += length
        return found

    found = add(sizes)
    assert joined(found) == list(range(total))
    assert all(len(stretch.log_probs) <= MOST for stretch in found)
    place = 0
    for stretch in found:
        assert stretch.start == pytest.approx(place * FRAME)
        place += len(stretch.log_probs)
    assert [len(stretch.log_probs) for stretch in add([total])] == [len(stretch.log_probs) for stretch in found]


def test_no_more_than_the_longest_is_held_back() -> None:
    stretches, given_back = SegmentAssembler(FRAME), 0
    for number in range(100):
        parts = list(stretches.add(number * 900 * FRAME, numbered(900, number * 900), number == 0, False))
        given_back += sum(len(stretch.log_probs) for stretch in parts)
        assert 900 * (number + 1) - given_back < MOST


def test_a_cut_lies_amid_the_longest_pause_of_the_second_half() -> None:
    log_probs = numbered(1000)
    log_probs[100:300, 0] = math.log(0.999)  # longer, but in the first half
    log_probs[600:620, 0] = math.log(0.999)
    log_probs[700:760, 0] = math.log(0.999)
    log_probs[800:990, 0] = math.log(0.9)  # not sure
    assert find_pause(log_probs) == 730


def test_without_a_pause_the_likeliest_frame_has_to_do() -> None:
    log_probs = numbered(1000)
    log_probs[777, 0] = math.log(0.4)
    assert find_pause(log_probs) == 777


def test_margins_are_dropped_on_the_grid_of_frames() -> None:
    frames = numbered(31)  # of a piece of 30 steps of 480 samples and some, from sample 4800 on
    assert trim_context(frames, 4800, (4800 + 5 * 480, 4800 + 20 * 480), step=480, last=False)[:, 1].tolist() == list(
        range(5, 20)
    )
    assert trim_context(frames, 4800, (4800 + 5 * 480, 4800 + 30 * 480 + 7), step=480, last=True)[:, 1].tolist() == [
        *range(5, 31)
    ]

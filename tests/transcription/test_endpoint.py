"""Segments of a stream end at pauses, and between words when they are long."""

from __future__ import annotations

import pytest
import torch
from helpers.emissions import TOKENIZER, emission
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer
from speechrnn.transcription.endpoint import HARD_LIMIT, Endpointer, EndpointOptions, SilenceGate

FRAME = 0.03  # seconds


def silence(frames: int) -> torch.Tensor:
    return emission("")[:1].repeat(frames, 1)


def cuts_of(endpointer: Endpointer, log_probs: torch.Tensor) -> list[int]:
    """Frames of the stream at which segments end."""
    found, done = [], 0
    while (cut := endpointer.find(log_probs[done:])) is not None:
        done += cut
        found.append(done)
        endpointer.restart()
    return found


def test_a_pause_ends_a_segment() -> None:
    log_probs = torch.cat([emission("BAD ACE"), silence(40), emission("BEECH"), silence(5)])
    endpointer = Endpointer(EndpointOptions(silence=0.6), TOKENIZER, FRAME)
    last_label = 13  # BAD ACE has 7 characters, and a blank before, between and behind them
    assert cuts_of(endpointer, log_probs)[0] == last_label + 1 + 20


def test_spaces_are_no_speech() -> None:
    log_probs = torch.cat([emission("BAD"), silence(10), emission(" "), silence(15)])
    assert len(cuts_of(Endpointer(EndpointOptions(silence=0.6), TOKENIZER, FRAME), log_probs)) == 1


def test_a_long_segment_ends_before_a_word() -> None:
    log_probs = emission("BAD " * 30)
    cuts = cuts_of(Endpointer(EndpointOptions(longest=1.0), TOKENIZER, FRAME), log_probs)
    assert len(cuts) > 4
    space = TOKENIZER.encode(" ")[0]
    assert all(int(log_probs[cut].argmax()) == space for cut in cuts)


def test_a_segment_ends_at_the_hard_limit_within_a_word() -> None:
    (cut, *_) = cuts_of(Endpointer(EndpointOptions(longest=1.0), TOKENIZER, FRAME), emission("A" * 100))
    assert cut == pytest.approx(HARD_LIMIT / FRAME, abs=1)


def test_labels_that_begin_words_may_be_words() -> None:
    tokenizer = WordTokenizer.build(["ADA BELL CAB"])
    labels = tokenizer.encode("ADA BELL CAB ADA BELL CAB")
    log_probs = torch.full((2 * len(labels), len(tokenizer)), -9.0)
    log_probs[::2, 0] = 0.0
    log_probs[torch.arange(len(labels)) * 2 + 1, labels] = 0.0
    assert cuts_of(Endpointer(EndpointOptions(longest=1.0), tokenizer, 0.25), log_probs)


@settings(max_examples=30)
@given(
    text=st.text("AB  ", max_size=60),
    pauses=st.lists(st.integers(0, 60), min_size=1, max_size=3),
    blocks=st.lists(st.integers(1, 30), min_size=1, max_size=4),
)
def test_blocks_do_not_matter(text: str, pauses: list[int], blocks: list[int]) -> None:
    log_probs = torch.cat([part for pause in pauses for part in (emission(text), silence(pause))])
    options = EndpointOptions(silence=0.5, longest=1.5)
    expected = cuts_of(Endpointer(options, TOKENIZER, FRAME), log_probs)
    endpointer, found, place, turn = Endpointer(options, TOKENIZER, FRAME), [], 0, 0
    while place < len(log_probs):
        block = log_probs[place : place + blocks[turn % len(blocks)]]
        found += [place + cut for cut in cuts_of(endpointer, block)]
        place, turn = place + len(block), turn + 1
    assert found == expected


@settings(max_examples=30)
@given(blocks=st.lists(st.integers(1, 500), min_size=1, max_size=4))
def test_frames_of_digital_silence_are_blanks(blocks: list[int]) -> None:
    tokenizer = CharTokenizer.build(["A"])
    samples = torch.cat([torch.full((3000,), 0.2), torch.randn(1000) * 0.1, torch.full((3000,), 1e-5)])
    found: list[torch.Tensor] = []
    gate, place, turn = SilenceGate(100, 2.0**-13), 0, 0
    log_probs = torch.zeros(70, len(tokenizer)).log_softmax(1)
    while place < 7000:
        part = samples[place : place + blocks[turn % len(blocks)]]
        gate.accept(part)
        place, turn = place + len(part), turn + 1
        while len(found) + 2 <= place // 100:  # a frame comes out when a little more than its samples is known
            found.append(gate.apply(log_probs[len(found) : len(found) + 1])[0])
    blank = [bool(row[0] == 0.0) for row in found]
    assert blank == [frame < 30 or frame >= 50 for frame in range(len(found))]

"""Greedy decoding of paths that the tests lay out themselves."""

from __future__ import annotations

import math
from itertools import groupby

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.decoding.greedy import greedy
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer

TOKENIZER = CharTokenizer.build([], "AB ")  # blank 0, A 1, B 2, space 3
PEAK = 0.7  # probability of the path's symbol; the others share the rest

paths = st.lists(st.integers(0, len(TOKENIZER) - 1), min_size=1, max_size=12)


def emissions(path: list[int], frames: int | None = None) -> Tensor:
    """(frames, symbols) log-probabilities whose best path is `path`; further frames shout "B"."""
    log_probs = torch.full((frames or len(path), len(TOKENIZER)), math.log((1 - PEAK) / (len(TOKENIZER) - 1)))
    for frame in range(len(log_probs)):
        log_probs[frame, path[frame] if frame < len(path) else 2] = math.log(PEAK)
    return log_probs


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([1, 1, 2, 2], "AB"),
        ([1, 0, 1], "AA"),
        ([1, 1, 1], "A"),
        ([0, 0, 0], ""),
        ([0, 1, 0, 3, 0, 2, 0], "A B"),
        ([1, 3, 3, 0, 3, 2], "A  B"),
    ],
)
def test_repeats_are_joined_and_blanks_dropped(path: list[int], text: str) -> None:
    (hypothesis,) = greedy(emissions(path)[None], torch.tensor([len(path)]))
    assert TOKENIZER.decode(hypothesis.tokens) == text
    assert hypothesis.score == pytest.approx(len(path) * math.log(PEAK), rel=1e-5)


@settings(max_examples=50)
@given(st.lists(paths, min_size=1, max_size=4), st.integers(0, 5))
def test_a_batch_is_its_rows_whatever_the_padding_says(rows: list[list[int]], padding: int) -> None:
    frames = torch.tensor([len(path) for path in rows])
    longest = int(frames.max()) + padding
    batch = torch.stack([emissions(path, longest) for path in rows])
    hypotheses = greedy(batch, frames)
    assert [hypothesis.tokens for hypothesis in hypotheses] == [
        tuple(symbol for symbol, _ in groupby(path) if symbol) for path in rows
    ]
    for hypothesis, path in zip(hypotheses, rows, strict=True):
        assert hypothesis.score == pytest.approx(len(path) * math.log(PEAK), rel=1e-5)


def test_words_as_symbols_are_joined_by_spaces() -> None:
    tokenizer = WordTokenizer.build(["sharks feed on tuna"])
    labels = tokenizer.encode("sharks feed on tuna")
    log_probs = torch.full((1, 8, len(tokenizer)), -5.0)
    for frame, symbol in enumerate(label for pair in zip(labels, [0] * 4, strict=True) for label in pair):
        log_probs[0, frame, symbol] = -0.1
    (hypothesis,) = greedy(log_probs, torch.tensor([8]))
    assert tokenizer.decode(hypothesis.tokens) == "sharks feed on tuna"

"""Alignment of words that the tests put in known places."""

from __future__ import annotations

import math
from itertools import groupby, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.decoding.alignment import PAUSE, align_words
from speechrnn.decoding.greedy import greedy
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer

FRAME = 0.03  # seconds
TEXTS = [f"{a} feed on a {b}" for a in ("sharks", "squid", "krill") for b in ("tuna", "squid", "seal", "krill")]
TOKENIZERS: list[Tokenizer] = [
    CharTokenizer.build(TEXTS),
    WordTokenizer.build(TEXTS),
    SubwordTokenizer.train(TEXTS, 21),
]


def emissions(path: list[int], symbols: int, peak: float = 0.9) -> Tensor:
    """(frames, symbols) log-probabilities with `peak` on the path."""
    log_probs = torch.full((len(path), symbols), math.log((1 - peak) / (symbols - 1)))
    log_probs[torch.arange(len(path)), torch.tensor(path)] = math.log(peak)
    return log_probs


def test_words_last_from_their_first_label_to_their_last() -> None:
    tokenizer = CharTokenizer.build([], "AB ")
    #       0  1  2  3  4  5  6  7  8  9 10 11
    path = [0, 1, 1, 0, 2, 3, 0, 0, 0, 0, 2, 0]
    words = align_words(emissions(path, 4), (1, 2, 3, 2), tokenizer, seconds_per_frame=FRAME)
    assert [(word.word, word.start, word.end) for word in words] == [
        ("AB", pytest.approx(1 * FRAME), pytest.approx(5 * FRAME)),
        ("B", pytest.approx(10 * FRAME), pytest.approx(11 * FRAME)),
    ]


@pytest.mark.parametrize(("blanks", "start"), [(0, 2), (3, 2), (4, 7), (9, 12)])
def test_words_without_a_pause_follow_each_other(blanks: int, start: int) -> None:
    tokenizer = CharTokenizer.build([], "AB ")
    path = [0, 1, 3, *[0] * blanks, 2]  # at 0.03 s a frame, the space and four blanks are a pause
    first, second = align_words(emissions(path, 4), (1, 3, 2), tokenizer, seconds_per_frame=FRAME)
    assert (first.end, second.start) == (pytest.approx(2 * FRAME), pytest.approx(start * FRAME))


def test_words_without_a_label_for_the_space_keep_their_own_frames() -> None:
    tokenizer = WordTokenizer.build(["a b"])
    a, b = tokenizer.encode("a b")
    first, second = align_words(emissions([a, 0, b], len(tokenizer)), (a, b), tokenizer, seconds_per_frame=FRAME)
    assert (first.end, second.start) == (pytest.approx(FRAME), pytest.approx(2 * FRAME))


def test_the_confidence_is_the_geometric_mean_of_the_labels_peaks() -> None:
    tokenizer = CharTokenizer.build([], "AB ")
    log_probs = emissions([1, 1, 0, 2, 3, 1], 4)
    for frame, symbol, probability in ((0, 1, 0.5), (1, 1, 0.8), (3, 2, 0.45), (5, 1, 0.97)):
        log_probs[frame, symbol] = math.log(probability)
    first, second = align_words(log_probs, (1, 2, 3, 1), tokenizer, seconds_per_frame=FRAME)
    assert first.confidence == pytest.approx(math.sqrt(0.8 * 0.45), rel=1e-4)
    assert second.confidence == pytest.approx(0.97, rel=1e-4)


def test_spaces_in_a_row_and_at_the_ends_make_no_words() -> None:
    tokenizer = CharTokenizer.build([], "AB ")
    path = [3, 0, 1, 3, 0, 3, 2, 3]
    words = align_words(emissions(path, 4), (3, 1, 3, 3, 2, 3), tokenizer, seconds_per_frame=FRAME)
    assert [(word.word, round(word.start / FRAME), round(word.end / FRAME)) for word in words] == [
        ("A", 2, 3),
        ("B", 3, 7),
    ]


def test_no_labels_are_no_words() -> None:
    assert align_words(emissions([0, 0], 4), (), TOKENIZERS[0], seconds_per_frame=FRAME) == ()


def test_a_text_that_is_not_the_loudest_is_found_where_it_is_most_probable() -> None:
    tokenizer = CharTokenizer.build([], "AB ")
    log_probs = emissions([0, 0, 0, 0, 0], 4)  # greedily, nothing was said
    log_probs[3, 1] = math.log(0.3)
    (word,) = align_words(log_probs, (1,), tokenizer, seconds_per_frame=FRAME)
    assert (round(word.start / FRAME), round(word.end / FRAME)) == (3, 4)
    assert word.confidence == pytest.approx(0.3, rel=1e-4)


@settings(max_examples=60)
@given(
    st.sampled_from(TOKENIZERS),
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), min_size=30, max_size=30),
)
def test_labels_of_any_kind_become_the_words_of_their_text(
    tokenizer: Tokenizer, text: str, layout: list[tuple[int, int]]
) -> None:
    labels = tokenizer.encode(text)
    path: list[int] = []
    for label, (frames, pause) in zip(labels, layout, strict=False):
        needed = [0] if path and path[-1] == label else []  # equal neighbours need a blank
        path += needed + [label] * frames + [0] * pause
    words = align_words(emissions(path, len(tokenizer)), tuple(labels), tokenizer, seconds_per_frame=FRAME)
    assert [word.word for word in words] == text.split()
    assert all(word.start < word.end for word in words)
    assert all(word.end <= later.start for word, later in pairwise(words))
    assert words[0].start == 0.0 and words[-1].end <= len(path) * FRAME + 1e-9


@settings(max_examples=60)
@given(st.integers(1, 25), st.integers(0, 10_000))
def test_a_greedy_reading_is_aligned_with_its_own_best_path(frames: int, seed: int) -> None:
    tokenizer = CharTokenizer.build([], "AB ")
    log_probs = torch.randn(frames, 4, generator=torch.Generator().manual_seed(seed)).mul(3).log_softmax(1)
    (hypothesis,) = greedy(log_probs[None], torch.tensor([frames]))
    spans, frame = [], 0
    for symbol, run in groupby(log_probs.argmax(1).tolist()):
        length = len(list(run))
        if symbol:
            spans.append((symbol, frame, frame + length))
        frame += length
    expected: list[list[int]] = []
    previous = 3
    for symbol, start, end in spans:
        if symbol != 3:
            if previous == 3:
                follows = bool(expected) and start - expected[-1][1] <= PAUSE / FRAME
                expected.append([expected[-1][1] if follows else start, end])
            expected[-1][1] = end
        previous = symbol
    words = align_words(log_probs, hypothesis.tokens, tokenizer, seconds_per_frame=FRAME)
    assert [[round(word.start / FRAME), round(word.end / FRAME)] for word in words] == expected

"""Word times: from the frames of a CTC path, given by a decoder or found by forced alignment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import forced_align

from speechrnn.decoding.hypothesis import Word
from speechrnn.nn.ctc import BLANK
from speechrnn.text.tokenizers import Tokenizer

PAUSE = 0.125  # seconds between two words; in less, words follow each other without a pause


def align_words(
    log_probs: Tensor,
    tokens: Sequence[int],
    tokenizer: Tokenizer,
    seconds_per_frame: float,
    open_word: Sequence[int] = (),
) -> tuple[Word, ...]:
    """Find the times of a text's words on its most probable CTC path (Kürzinger et al. 2020).

    Takes a byte of memory for each frame and label: some GB for a recording of an hour. The path of a greedy hypothesis
    is known without a search: give it to `words_on_path`.

    Args:
        log_probs: (frames, symbols) of one utterance, without padding.
        tokens: labels without blanks; with `open_word` they must fit into the frames, as a decoder's result always
            does.
        tokenizer: of the acoustic model.
        seconds_per_frame: time between two frames.
        open_word: labels that follow in the audio and that are left out of the result.

    Returns:
        as `words_on_path`.
    """
    if not tokens:
        return ()
    labels = torch.tensor([[*tokens, *open_word]], dtype=torch.int32)
    paths, log_probs_on_path = forced_align(log_probs[None].cpu().float(), labels, blank=BLANK)
    path, scores = paths[0].numpy(), log_probs_on_path[0].numpy()
    if open_word:
        _, first, _, _ = labels_on_path(path, scores)[len(tokens)]
        path, scores = path[:first], scores[:first]
    return words_on_path(path, scores, tokenizer, seconds_per_frame=seconds_per_frame)


def words_on_path(
    path: np.ndarray, scores: np.ndarray, tokenizer: Tokenizer, seconds_per_frame: float
) -> tuple[Word, ...]:
    """Read the words and their times off a CTC path.

    Args:
        path: (frames,) symbols, blanks and repeats included.
        scores: (frames,) their log-probabilities.
        tokenizer: of the acoustic model.
        seconds_per_frame: time between two frames.

    Returns:
        words in order; a word lasts from its first label's first frame to its last label's last, and its confidence is
        the geometric mean of its labels' highest probabilities. Where a space takes less than `PAUSE`, the next word
        begins at the end of the word before: the network writes the space when the next word has begun
        (benchmarks/word_times.py).

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> words_on_path(np.array([0, 1, 1, 0]), np.log([0.9, 0.4, 0.8, 0.9]), CharTokenizer.build(["A"]), 0.02)
    (Word(word='A', start=0.02, end=0.06, confidence=0.8),)
    """
    words: list[Word] = []
    tokens: list[int] = []  # of the word being read
    peaks: list[float] = []  # their log-probabilities
    start = end = previous = 0

    is_space, begins_word = _boundaries(tokenizer)  # type: ignore[arg-type]  # which mypy holds to have no hash

    def close() -> None:
        if tokens:
            confidence = min(1.0, math.exp(sum(peaks) / len(peaks)))
            words.append(
                Word(
                    tokenizer.decode(tokens).strip(),
                    start * seconds_per_frame,
                    end * seconds_per_frame,
                    confidence=confidence,
                )
            )

    for token, begin, behind, peak in labels_on_path(path, scores):
        if not is_space(token):  # a space belongs to no word
            if not tokens or begins_word(previous, token):
                close()
                follows = bool(words) and is_space(previous) and (begin - end) * seconds_per_frame < PAUSE
                tokens, peaks, start = [], [], end if follows else begin
            tokens.append(token)
            peaks.append(peak)
            end = behind
        previous = token
    close()
    return tuple(words)


def labels_on_path(path: np.ndarray, scores: np.ndarray) -> list[tuple[int, int, int, float]]:
    """Return (label, first frame, frame behind its last, highest score) for each label of a CTC path.

    >>> labels_on_path(np.array([0, 3, 3, 0]), np.array([-0.1, -0.4, -0.2, -0.1]))
    [(3, 1, 3, -0.2)]
    """
    if not len(path):
        return []
    begins = np.flatnonzero(np.concatenate([[True], path[1:] != path[:-1]]))
    ends = np.concatenate([begins[1:], [len(path)]])
    peaks = np.maximum.reduceat(scores, begins)
    labels = path[begins]
    some = labels != BLANK
    return list(
        zip(labels[some].tolist(), begins[some].tolist(), ends[some].tolist(), peaks[some].tolist(), strict=True)
    )


@lru_cache(8)
def _boundaries(tokenizer: Tokenizer) -> tuple[Callable[[int], bool], Callable[[int, int], bool]]:
    """Return two cached functions: is a label a space, and does a label begin a word after another label?"""

    @lru_cache(2**16)
    def is_space(token: int) -> bool:
        return not tokenizer.decode([token]).strip()

    @lru_cache(2**18)
    def begins_word(previous: int, token: int) -> bool:
        # There is a space between two labels if they are two words of their own, or if a space is a label.
        before = tokenizer.decode([previous])
        return len(tokenizer.decode([previous, token]).split()) > len(before.split())

    return is_space, begins_word

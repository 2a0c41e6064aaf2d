"""When each word was said: the frames of a CTC path, given by a decoder or found by forced alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchaudio.functional import forced_align, merge_tokens

from speechrnn.decoding.hypothesis import Word
from speechrnn.nn.acoustic import BLANK
from speechrnn.text import Tokenizer


def align_words(
    log_probs: Tensor, tokens: Sequence[int], tokenizer: Tokenizer, seconds_per_frame: float
) -> tuple[Word, ...]:
    """Places the words of a text in time, on its most probable CTC path (Kürzinger et al. 2020).

    Takes a byte for each frame and label: for a recording of an hour, some GB. A greedy decoder's own reading needs no
    search, see `best_path_words`.

    Args:
        log_probs: (frames, symbols) of one utterance, without padding.
        tokens: labels without blanks; they must fit into the frames, which a decoder's own result always does.

    Returns:
        as `words_on_path`.
    """
    if not tokens:
        return ()
    labels = torch.tensor([list(tokens)], dtype=torch.int32)
    path, scores = forced_align(log_probs[None].cpu().float(), labels, blank=BLANK)
    return words_on_path(path[0], scores[0], tokenizer, seconds_per_frame)


def best_path_words(log_probs: Tensor, tokenizer: Tokenizer, seconds_per_frame: float) -> tuple[Word, ...]:
    """The words of the most probable symbols, (frames, symbols) log-probabilities of one utterance without padding.

    No path of the greedy reading is more probable, so this is `align_words` of it, without its search.
    """
    scores, path = log_probs.cpu().float().max(dim=1)
    return words_on_path(path, scores, tokenizer, seconds_per_frame)


def words_on_path(path: Tensor, scores: Tensor, tokenizer: Tokenizer, seconds_per_frame: float) -> tuple[Word, ...]:
    """The words along a CTC path.

    Args:
        path: (frames,) symbols, blanks and repeats included.
        scores: (frames,) their log-probabilities.

    Returns:
        words in order; a word lasts from its first label's first frame to its last label's last, and its confidence is
        the geometric mean of its labels' highest probabilities.
    """
    words: list[Word] = []
    tokens: list[int] = []  # of the open word
    peaks: list[float] = []  # their log-probabilities
    start = end = previous = 0

    def close() -> None:
        if tokens:
            confidence = math.exp(sum(peaks) / len(peaks))
            words.append(
                Word(tokenizer.decode(tokens).strip(), start * seconds_per_frame, end * seconds_per_frame, confidence)
            )

    for span in merge_tokens(path, scores, blank=BLANK):
        if tokenizer.decode([span.token]).strip():  # a space belongs to no word
            if not tokens or _begins_word(tokenizer, previous, span.token):
                close()
                tokens, peaks, start = [], [], span.start
            tokens.append(span.token)
            peaks.append(float(scores[span.start : span.end].max()))
            end = span.end
        previous = span.token
    close()
    return tuple(words)


def _begins_word(tokenizer: Tokenizer, previous: int, token: int) -> bool:
    """Whether there is a space between two labels: two words of their own, or a space that is a label."""
    before = tokenizer.decode([previous])
    return len(tokenizer.decode([previous, token]).split()) > len(before.split())

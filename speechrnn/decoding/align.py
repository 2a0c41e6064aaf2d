"""When each word was said: forced alignment of a text with the acoustic model's log-probabilities."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchaudio.functional import forced_align, merge_tokens

from speechrnn.decoding.hypothesis import Word
from speechrnn.nn.acoustic import BLANK
from speechrnn.text import Tokenizer


def align_words(
    log_probs: Tensor, tokens: tuple[int, ...], tokenizer: Tokenizer, seconds_per_frame: float
) -> tuple[Word, ...]:
    """Places the words of a text in time, on its most probable CTC path (Kürzinger et al. 2020).

    Args:
        log_probs: (frames, symbols) of one utterance, without padding.
        tokens: labels without blanks; they must fit into the frames, which a decoder's own result always does.

    Returns:
        words in order; a word lasts from its first label's first frame to its last label's last, and its confidence is the
        geometric mean of its labels' highest probabilities.
    """
    if not tokens:
        return ()
    path, scores = forced_align(log_probs[None].cpu().float(), torch.tensor([tokens], dtype=torch.int32), blank=BLANK)
    spans = merge_tokens(path[0], scores[0], blank=BLANK)
    words: list[Word] = []
    peaks: list[float] = []  # log-probabilities of the open word's labels
    text_before = ""
    for number, span in enumerate(spans):
        text = tokenizer.decode(tokens[: number + 1])
        if not tokenizer.decode([tokens[number]]).strip():
            text_before = text
            continue  # a space belongs to no word
        peak = float(scores[0, span.start : span.end].max())
        begins = len(text.split()) > len(text_before.split())
        text_before = text
        start, end = span.start * seconds_per_frame, span.end * seconds_per_frame
        if begins:
            words.append(Word(text.split()[-1], start, end, math.exp(peak)))
            peaks = [peak]
        else:
            peaks.append(peak)
            words[-1] = Word(text.split()[-1], words[-1].start, end, math.exp(sum(peaks) / len(peaks)))
    return tuple(words)

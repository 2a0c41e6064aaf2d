"""N-gram models of a text: their estimation, pruning and perplexity, as options say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from speechrnn.decoding.ngram.arpa import Ngrams
from speechrnn.decoding.ngram.kneser_ney import kneser_ney, token_stream
from speechrnn.decoding.ngram.lookup import NgramLookup
from speechrnn.decoding.ngram.pruning import prune

AT_ONCE = 2**20  # n-grams that are looked up together


@dataclass(frozen=True)
class NgramOptions:
    """Options of an n-gram model; conf/text_prediction.yaml explains each key.

    >>> NgramOptions(order=4, pruning=1e-7).min_counts
    (1,)
    """

    order: int = field(default=3, metadata={"min": 1})
    pruning: float = field(default=0.0, metadata={"min": 0.0})
    min_counts: tuple[int, ...] = field(default=(1,), metadata={"min": 1})
    format: Literal["arpa", "q8"] = "arpa"


def estimate(lines: Iterable[Sequence[int]], symbols: Sequence[str], options: NgramOptions) -> Ngrams:
    """Estimate an n-gram model with Kneser-Ney smoothing, and prune it.

    Args:
        lines: the tokens of each line, without END OF LINE.
        symbols: of the tokenizer.
        options: order and pruning.

    Raises:
        UserError: see `kneser_ney` and `prune`.

    >>> estimate([[1, 2], [1]], ["<blank>", "a", "b"], NgramOptions(order=2)).order
    2
    """
    ngrams = kneser_ney(lines, symbols, options.order)
    return prune(ngrams, threshold=options.pruning, min_counts=options.min_counts)


def perplexity(ngrams: Ngrams, lines: Iterable[Sequence[int]]) -> float:
    """Compute the perplexity of lines, their ends included.

    Args:
        ngrams: the model.
        lines: the tokens of each line, without END OF LINE, as indices of the model's words.

    >>> round(perplexity(estimate([[1]], ["<blank>", "a"], NgramOptions(order=1)), [[1]]), 3)
    2.0
    """
    tokens, ages = token_stream(lines, len(ngrams.names))
    lookup = NgramLookup(ngrams)
    total = 0.0
    for size in range(1, ngrams.order + 1):
        last = size == ngrams.order
        # `<s>` itself is not predicted; n-grams at the begin of a line are shorter.
        places = ((ages >= max(1, size - 1)) if last else (ages == size - 1) & (ages > 0)).nonzero()[:, 0]
        for part in places.split(AT_ONCE):
            total += float(lookup.log_probs(tokens[part[:, None] + torch.arange(1 - size, 1)]).sum())
    return math.exp(-total / int((ages > 0).sum()))

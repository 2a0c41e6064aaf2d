"""Make an n-gram model smaller: entropy pruning and count cutoffs.

Stolcke 1998, "Entropy-based pruning of backoff language models". A context's probability is taken from the counts of
the text, since the lower orders of Kneser-Ney smoothing are no probabilities of what comes in a text (Chelba et al.
2010, "Study on interaction between entropy pruning and Kneser-Ney smoothing").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import Ngrams
from speechrnn.decoding.ngram.lookup import NgramLookup

LEAST = 1e-9  # least probability of all unseen words after a context; smaller values are rounding errors


def prune(ngrams: Ngrams, threshold: float = 0.0, min_counts: Sequence[int] = ()) -> Ngrams:
    """Drop the least important n-grams of order 2 and more, and compute the backoff weights again.

    An n-gram with which a longer kept one begins stays. An order of which nothing is left is dropped as a whole. The
    probabilities after each context sum to one again.

    Args:
        ngrams: as estimated, with the counts of the text.
        threshold: an n-gram is dropped without which the perplexity of the model rises by a smaller share than this.
        min_counts: of orders 1, 2, ...: how often an n-gram came in the text at least; the first has no effect, since
            no word is dropped, and the last one holds for the orders above it. Empty: 1.

    Raises:
        UserError: a threshold below 0, or a count below 1.
        ValueError: the n-grams are without counts.

    >>> from speechrnn.decoding.ngram.kneser_ney import kneser_ney
    >>> model = kneser_ney([[1, 2], [1, 2], [2, 1]], ["<blank>", "a", "b"], 2)
    >>> len(model.words[1]), len(prune(model, min_counts=[1, 2]).words[1])
    (6, 3)
    """
    if not threshold >= 0:
        raise UserError(f"The threshold of entropy pruning is {threshold}; give 0 or more, such as 1e-8.")
    if any(count < 1 for count in min_counts):
        raise UserError(f"The least counts of n-grams are {list(min_counts)}; give whole numbers from 1 up.")
    if len(ngrams.counts) != ngrams.order:
        raise ValueError(f"{ngrams.source} has no counts to prune by")
    if threshold == 0 and all(count == 1 for count in min_counts):
        return ngrams
    lookup = NgramLookup(ngrams)
    keep = [torch.ones(len(ngrams.words[0]), dtype=torch.bool)]
    needed = torch.zeros(len(ngrams.words[-1]), dtype=torch.bool)  # by a longer n-gram that stays
    kept: list[Tensor] = []
    for order in range(ngrams.order, 1, -1):
        least = min_counts[min(order, len(min_counts)) - 1] if min_counts else 1
        contexts = lookup.rows(ngrams.words[order - 1][:, :-1])
        stays = ngrams.counts[order - 1] >= least
        if threshold > 0:
            stays &= _perplexity_rises(ngrams, lookup, order, contexts=contexts) >= threshold
        stays |= needed
        needed = torch.zeros(len(ngrams.words[order - 2]), dtype=torch.bool)
        needed[contexts[stays]] = True
        kept.append(stays)
    keep += kept[::-1]
    while not bool(keep[-1].any()):  # nothing is left of the highest order
        keep.pop()
    return _renormalise(
        replace(
            ngrams,
            words=_select(ngrams.words, keep),
            log_probs=_select(ngrams.log_probs, keep),
            backoffs=_select(ngrams.backoffs, keep),
            counts=_select(ngrams.counts, keep),
        )
    )


def _select(columns: Sequence[Tensor], keep: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(column[rows] for column, rows in zip(columns, keep, strict=False))


def _perplexity_rises(ngrams: Ngrams, lookup: NgramLookup, order: int, contexts: Tensor) -> Tensor:
    """Compute the share by which perplexity rises without each n-gram of an order; the paper's section 3.

    Args:
        contexts: (number,) rows of the n-grams without their last word.
    """
    log_probs = ngrams.log_probs[order - 1].double()
    lower = lookup.log_probs(ngrams.words[order - 1][:, 1:])
    probs, lower_probs = log_probs.exp(), lower.exp()
    size = len(ngrams.words[order - 2])
    left = (1 - _sums(probs, contexts, size)).clamp_min(LEAST)[contexts]
    lower_left = (1 - _sums(lower_probs, contexts, size)).clamp_min(LEAST)[contexts]
    backoffs = left.log() - lower_left.log()
    without = (left + probs).log() - (lower_left + lower_probs).log()
    # Log-likelihood that the n-gram itself loses, and that of all unseen words of its context.
    change = probs * (lower + without - log_probs) + left * (without - backoffs)
    counts = ngrams.counts[0]
    total = counts.sum() - counts[ngrams.words[0][:, 0] == len(ngrams.names)].sum()  # `<s>` is never predicted
    shares = ngrams.counts[order - 2][contexts].double() / total
    return torch.expm1(-shares * change)


def _renormalise(ngrams: Ngrams) -> Ngrams:
    """Return the n-grams with backoff weights with which the probabilities after each context sum to one."""
    backoffs = [torch.zeros_like(column) for column in ngrams.backoffs]
    made = replace(ngrams, backoffs=tuple(backoffs))
    lookup = NgramLookup(made)
    for order in range(2, ngrams.order + 1):  # each needs the weights of the lower orders
        words = ngrams.words[order - 1]
        contexts = lookup.rows(words[:, :-1])
        size = len(backoffs[order - 2])
        left = 1 - _sums(ngrams.log_probs[order - 1].double().exp(), contexts, size)
        lower_left = 1 - _sums(lookup.log_probs(words[:, 1:]).exp(), contexts, size)
        backoffs[order - 2].copy_(left.clamp_min(LEAST).log() - lower_left.clamp_min(LEAST).log())
    return made


def _sums(values: Tensor, groups: Tensor, size: int) -> Tensor:
    return values.new_zeros(size).index_add(0, groups, values)

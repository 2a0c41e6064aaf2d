"""N-gram models from text: interpolated modified Kneser-Ney smoothing.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", with Kneser and Ney's counts
for the lower orders: not how often a word occurred, but after how many different words. Where the paper leaves a
    choice, it
is that of KenLM's lmplz (Heafield et al. 2013): one `<s>` before a line; n-grams that begin with it keep their plain
counts; the unigrams are interpolated with the uniform distribution.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import Ngrams
from speechrnn.decoding.ngram.symbols import BEGIN, END, visible
from speechrnn.text.tokenizers import UNKNOWN

FALLBACK = (0.5, 1.0, 1.5)  # discounts where the text is too small or too regular to estimate them; those of lmplz


@dataclass(frozen=True)
class _Counted:
    """The different n-grams of an order, sorted.

    Attributes:
        words: (number, order) symbols; the number of symbols stands for `<s>`.
        contexts: (number,) where all words but the last stand among the n-grams of the order below.
        ends: (number,) where all words but the first stand there.
        counts: (number,) how often each came.
    """

    words: Tensor
    contexts: Tensor
    ends: Tensor
    counts: Tensor


def kneser_ney(lines: Iterable[Sequence[int]], symbols: Sequence[str], order: int) -> Ngrams:
    """Estimate an n-gram model from token sequences.

    In each context the probabilities of END OF LINE and of all symbols but `<blank>` sum to one. Takes about a second
    for a million tokens and an order.

    >>> ngrams = kneser_ney([[1, 2], [1]], ["<blank>", "a", "b"], order=2)
    >>> ngrams.names, ngrams.order
    (['</s>', 'a', 'b'], 2)

    Args:
        lines: the tokens of each line, without END OF LINE. Empty lines count; `<unk>` is a word like others.
        symbols: of the tokenizer, the blank included; symbols without a count have a probability too.
        order: tokens of the longest n-grams; fewer where no line is that long.

    Raises:
        UserError: no lines, an order below 1, or symbols that can't be written in an ARPA file.
    """
    if order < 1:
        raise UserError(f"The order of the n-gram model is {order}; give 1 or more.")
    names = _names(symbols)
    counted = _count(lines, len(symbols), order)
    order = len(counted)
    probabilities: list[Tensor] = []
    backoffs: list[Tensor] = []
    lower = torch.full((1,), 1 / len(symbols), dtype=torch.float64)
    for number, table in enumerate(counted):
        counts = table.counts
        if number + 1 < order:
            different = torch.bincount(counted[number + 1].ends, minlength=len(counts))
            counts = torch.where(table.words[:, 0] == len(symbols), counts, different)
        if number == 0:
            counts = counts.clone()
            counts[-1] = 0  # `<s>` is never predicted
        taken = _discounts(counts)[counts.clamp_max(3)]
        contexts = 1 if number == 0 else len(counted[number - 1].counts)
        totals = counts.new_zeros(contexts).index_add(0, table.contexts, counts)
        weights = taken.new_zeros(contexts).index_add(0, table.contexts, taken) / totals.clamp_min(1)
        own = (counts - taken) / totals[table.contexts]
        lower = own + weights[table.contexts] * lower[table.ends]
        if number == 0:
            lower[-1] = 0.0
        else:
            backoffs.append(torch.where(totals > 0, weights, 1.0))
        probabilities.append(lower)
    backoffs.append(torch.ones_like(lower))
    return Ngrams(
        "the estimated n-gram model",
        names,
        tuple(table.words for table in counted),
        log_probs=tuple(values.log().float() for values in probabilities),
        backoffs=tuple(values.log().float() for values in backoffs),
        counts=tuple(table.counts for table in counted),
    )


def _count(lines: Iterable[Sequence[int]], begin: int, order: int) -> list[_Counted]:
    """Count the n-grams of orders 1 to `order` or the longest there is; order 1 lists all symbols, `begin` last."""
    tokens, ages = token_stream(lines, begin)
    counts = torch.bincount(tokens, minlength=begin + 1)
    nowhere = torch.zeros_like(counts)
    counted = [_Counted(torch.arange(begin + 1)[:, None], nowhere, nowhere, counts=counts)]
    numbers = tokens  # where the n-gram that ends at a token stands among those of its order
    for age in range(1, order):
        places = (ages >= age).nonzero()[:, 0]
        if not len(places):
            break
        keys = numbers[places - 1] * (begin + 1) + tokens[places]
        different, inverse, counts = torch.unique(keys, return_inverse=True, return_counts=True)
        contexts = different // (begin + 1)
        ends = torch.empty_like(contexts).scatter_(0, inverse, numbers[places])
        words = torch.cat([counted[-1].words[contexts], different[:, None] % (begin + 1)], 1)
        counted.append(_Counted(words, contexts, ends, counts=counts))
        numbers = torch.empty_like(numbers).scatter_(0, places, inverse)
    return counted


def token_stream(lines: Iterable[Sequence[int]], begin: int) -> tuple[Tensor, Tensor]:
    """Join lines: return their tokens, (length,), and how far into its line each token stands, (length,).

    Args:
        lines: the tokens of each line, without END OF LINE.
        begin: the token before each line; behind each stands END OF LINE.

    >>> [column.tolist() for column in token_stream([[1, 2], []], 3)]
    [[3, 1, 2, 0, 3, 0], [0, 1, 2, 3, 0, 1]]
    """
    stream, lengths = array("q"), array("q")
    for line in lines:
        stream.append(begin)
        stream.extend(line)
        stream.append(0)
        lengths.append(len(line) + 2)
    if not lengths:
        raise UserError("The text to estimate an n-gram model from holds no lines; give more text.")
    # torch.tensor(array) would take it item by item.
    tokens, sizes = torch.from_numpy(np.array(stream)), torch.from_numpy(np.array(lengths))
    starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    ages = torch.arange(len(tokens)) - starts
    inside = (ages > 0) & (ages < sizes.repeat_interleave(sizes) - 1)
    if ((tokens[inside] < 1) | (tokens[inside] >= begin)).any():
        raise ValueError(f"tokens of lines are 1 to {begin - 1}")
    return tokens, ages


def _discounts(counts: Tensor) -> Tensor:
    """Return the discounts of n-grams that count 0, 1, 2, and 3 or more; the paper's equation 26."""
    n1, n2, n3, n4 = (float((counts == count).sum()) for count in (1, 2, 3, 4))
    discounts = FALLBACK
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        # With a discount of 0, words that were not seen in a context would have no probability.
        if all(0 < discount <= most for most, discount in enumerate(found, 1)):
            discounts = found
    return torch.tensor([0.0, *discounts], dtype=torch.float64)


def _names(symbols: Sequence[str]) -> list[str]:
    """Return the symbols as an ARPA file spells them."""
    names = [END, *map(visible, symbols[1:])]
    for name in names[1:]:
        if name in (BEGIN, END) or len(name.split()) != 1:
            raise UserError(f"{name!r} can't be a symbol of an n-gram model; take it out of the text or the tokenizer.")
    if UNKNOWN in names[2:]:
        raise ValueError(f"{UNKNOWN} is index 1 of the tokenizers that have it")
    return names

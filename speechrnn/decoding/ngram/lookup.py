"""Look up n-grams and their probabilities, many at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from speechrnn.decoding.ngram.arpa import Ngrams


class NgramLookup:
    """Find the rows of n-grams, and the probabilities that a backing-off model gives them.

    Words are the indices of `Ngrams.names`, and `len(names)` stands for `<s>`.

    >>> from speechrnn.decoding.ngram.kneser_ney import kneser_ney
    >>> lookup = NgramLookup(kneser_ney([[1, 2], [1]], ["<blank>", "a", "b"], 2))
    >>> lookup.rows(torch.tensor([[1, 2], [2, 2]])).tolist()
    [1, -1]
    """

    def __init__(self, ngrams: Ngrams) -> None:
        self.ngrams = ngrams
        self._base = len(ngrams.names) + 1
        self._keys: list[Tensor] = []  # of an order, sorted: row of the n-gram without its last word, and that word
        self._rows: list[Tensor] = []  # of each key
        for words in ngrams.words:
            keys, rows = self._key(words).sort()
            self._keys.append(keys)
            self._rows.append(rows)

    def rows(self, words: Tensor) -> Tensor:
        """Return the rows, (n,), of n-grams, (n, order), among those of their order; -1 where there is none."""
        order = words.shape[1]
        keys, wanted = self._keys[order - 1], self._key(words)
        if not len(keys):
            return torch.full_like(wanted, -1)
        places = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        return torch.where((keys[places] == wanted) & (wanted >= 0), self._rows[order - 1][places], -1)

    def log_probs(self, words: Tensor) -> Tensor:
        """Compute the natural log-probability of the last word after the others: (n, order) -> (n,) float64.

        Where the model lacks an n-gram, its first word is dropped at the price of the context's backoff weight.
        """
        order = words.shape[1]
        rows = self.rows(words)
        there, missing = (rows >= 0).nonzero()[:, 0], (rows < 0).nonzero()[:, 0]
        found = torch.full((len(rows),), -math.inf, dtype=torch.float64)
        found[there] = self.ngrams.log_probs[order - 1][rows[there]].double()
        if len(missing) and order > 1:
            shorter = words[missing]
            contexts = self.rows(shorter[:, :-1])
            backoffs = found.new_zeros(len(missing))
            known = contexts >= 0
            backoffs[known] = self.ngrams.backoffs[order - 2][contexts[known]].double()
            found[missing] = backoffs + self.log_probs(shorter[:, 1:])
        return found

    def _key(self, words: Tensor) -> Tensor:
        if words.shape[1] == 1:
            return words[:, 0].contiguous()
        contexts = self.rows(words[:, :-1])
        return torch.where(contexts < 0, -1, contexts * self._base + words[:, -1])

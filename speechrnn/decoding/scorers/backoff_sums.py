"""Sums of the probabilities of ranges of words of a backing-off n-gram model, without a column for each word."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.decoding.ranges import ranges
from speechrnn.decoding.scorers.spelt_words import SpeltWords
from speechrnn.decoding.scorers.word_sums import NO_ROW, WordSums, grown
from speechrnn.nn.language import END_OF_LINE

EMPTY = 0  # the context without words
ENTRIES_BYTES = 2**27  # memory for the n-grams of contexts; when it is full, all are dropped
ENTRY_BYTES = 28
TYPICAL_ENTRIES = 1000  # n-grams of a context that is in use often


class BackoffWordSums(WordSums):
    """A row is that of the shorter context, scaled by the backoff weight, but for the n-grams of the context itself.

    After most contexts the model knows a few of all words. A row holds, for the spellings of these, by how much their
    probabilities differ from the scaled ones, cumulated; a sum over any range is that over the same range in the
    shorter context, scaled, and a difference of two cumulated corrections. The empty context has a column for each
    spelling.

    A spelling of several words stands for the most probable of them. The scaling leaves it the same, so that only
    spellings with an n-gram of the context are compared again.
    """

    def __init__(self, model: NgramModel, words: SpeltWords) -> None:
        device = words.first.device
        self._ngrams = model
        values, chosen = words.choose(model.log_probs(torch.full((1,), EMPTY, device=device)))
        self._base = torch.zeros(len(words) + 1, dtype=torch.float64, device=device)  # sums in the empty context
        torch.cumsum(values[0].double().exp(), 0, out=self._base[1:])
        self._base_logs = values[0].clone()
        self._base_tokens = words.first.clone()
        self._base_tokens[words.shared] = chosen[0]
        self._levels = model.order - 1  # a row's own context, and the shorter ones down to that of one word
        self._width = len(words) + 1
        self._offsets, self._spellings = _invert(words, model.vocabulary)
        self._most_spellings = int(self._offsets.diff().max())  # of a token
        super().__init__(model, words)

    @property
    def capacity(self) -> int:
        """As `WordSums.capacity`, if contexts have as many n-grams as those that are in use often."""
        return ENTRIES_BYTES // (ENTRY_BYTES * TYPICAL_ENTRIES)

    def forget(self) -> None:
        """As `WordSums.forget`."""
        super().forget()
        device = self.words.first.device
        self._row_of = torch.full((self._ngrams.contexts,), NO_ROW, device=device)  # of all: it never grows
        # Of each row, for its own context and the shorter ones: their rows, the natural logarithms of their backoff
        # weights, and the products of the weights of the longer ones, the last of which is that of all.
        self._chain = torch.empty(0, self._levels, dtype=torch.long, device=device)
        self._backoffs = torch.empty(0, self._levels, device=device)
        self._scales = torch.empty(0, self._levels + 1, dtype=torch.float64, device=device)
        self._logs = torch.empty(0, 2, device=device)  # of the end and <unk>
        # Entries of all rows; a row begins with one of the sum 0.
        self._keys = torch.empty(0, dtype=torch.long, device=device)  # sorted: row * width + 1 + spelling
        self._sums = torch.empty(0, dtype=torch.float64, device=device)  # corrections to the entry's, itself included
        self._entry_logs = torch.empty(0, device=device)
        self._tokens = torch.empty(0, dtype=torch.long, device=device)
        self._size = 0  # entries in use

    def between(self, rows: Tensor, limits: Tensor) -> Tensor:
        """As `WordSums.between`."""
        keys = self._chain[rows] * self._width + limits.unsqueeze(-1)  # (2, ..., levels)
        corrections = self._sums.take(torch.searchsorted(self._keys[: self._size], keys, right=True) - 1)
        parts = [*corrections.diff(dim=0)[0].unbind(-1), self._base.take(limits).diff(dim=0)[0]]
        scaled = [scale * part for scale, part in zip(self._scales[rows].unbind(-1), parts, strict=True)]
        return functools.reduce(torch.add, scaled)

    def log_probs(self, rows: Tensor, words: Tensor) -> Tensor:
        """As `WordSums.log_probs`."""
        values = self._base_logs.take(words)
        places, found = self._entries(rows, words)
        logs, backoffs = self._entry_logs.take(places), self._backoffs[rows]
        for level in reversed(range(self._levels)):
            values = torch.where(found[:, level], logs[:, level], values + backoffs[:, level])
        return values

    def tokens(self, rows: Tensor, words: Tensor) -> Tensor:
        """As `WordSums.tokens`."""
        tokens = self._base_tokens.take(words)
        places, found = self._entries(rows, words)
        entries = self._tokens.take(places)
        for level in reversed(range(self._levels)):
            tokens = torch.where(found[:, level], entries[:, level], tokens)
        return tokens

    def _entries(self, rows: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Look for (n,) spellings in (n,) rows and those behind them.

        Returns:
            (n, levels) places of entries, and (n, levels) whether they are the wanted ones.
        """
        keys = self._chain[rows] * self._width + (words + 1).unsqueeze(1)
        places = torch.searchsorted(self._keys[: self._size], keys).clamp_max_(self._size - 1)
        return places, self._keys.take(places) == keys

    def ends(self, rows: Tensor) -> Tensor:
        """As `WordSums.ends`."""
        return self._logs[rows, 0]

    def unknown(self, rows: Tensor) -> Tensor:
        """As `WordSums.unknown`."""
        return self._logs[rows, 1]

    def _with_lower(self, contexts: list[int]) -> list[int]:
        """As `WordSums._with_lower`: the shorter contexts to which they back off have lower numbers."""
        found: set[int] = set()
        wanted = contexts
        while wanted:
            found.update(wanted)
            lower = self._ngrams.lower(torch.tensor(wanted, device=self.words.first.device)).unique()
            wanted = [context for context in lower[self._find(lower) < 0].tolist() if context not in found]
        return sorted(found)

    def _has_room(self, new: list[int]) -> bool:
        return self._size + self._needed(new) <= ENTRIES_BYTES // ENTRY_BYTES

    def _needed(self, new: list[int]) -> int:
        """Return a bound of the entries of new contexts."""
        entries = int(self._ngrams.counts(torch.tensor(new, device=self.words.first.device)).sum())
        return len(new) + entries * self._most_spellings

    def _reserve(self, new: list[int]) -> None:
        rows = self._used + len(new)
        if not self._used:
            self._size = 0
        if rows > len(self._chain):
            rows = max(rows, 2 * len(self._chain))
            self._chain, self._backoffs, self._scales, self._logs = (
                grown(table, rows) for table in (self._chain, self._backoffs, self._scales, self._logs)
            )

    def _fill(self, new: Tensor, made: slice) -> None:
        self._scales[made, 0] = 1.0
        links = new
        for level in range(self._levels):
            weights = self._ngrams.backoffs(links)
            self._chain[made, level] = self._find(links)
            self._backoffs[made, level] = weights
            self._scales[made, level + 1] = self._scales[made, level] * weights.double().exp()
            links = self._ngrams.lower(links)
        keys, tokens, logs, corrections = self._correct(new)
        ends = torch.tensor([END_OF_LINE, self.words.unknown], device=new.device).repeat(len(new))
        self._logs[made] = self._ngrams.log_prob(new.repeat_interleave(2), ends).view(-1, 2)
        size = self._size + len(keys)
        if size > len(self._keys):
            most = max(size, 2 * len(self._keys))
            self._keys, self._sums, self._entry_logs, self._tokens = (
                grown(table, most) for table in (self._keys, self._sums, self._entry_logs, self._tokens)
            )
        added = slice(self._size, size)
        self._keys[added], self._sums[added] = keys + made.start * self._width, corrections
        self._entry_logs[added], self._tokens[added] = logs, tokens
        self._size = size

    def _correct(self, contexts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the contexts' entries, with one of the sum 0 at the start of each context.

        Returns:
            sorted keys, tokens, log-probabilities and cumulated corrections.
        """
        owners, tokens = self._ngrams.entries(contexts)
        places, entries = ranges(self._offsets[tokens], self._offsets[tokens + 1])
        starts = torch.arange(len(contexts), device=contexts.device) * self._width
        keys = torch.unique(torch.cat([starts, owners[places] * self._width + 1 + self._spellings[entries]]))  # sorted
        owners = keys.div(self._width, rounding_mode="floor")
        spellings = keys - owners * self._width - 1
        first = spellings < 0
        lower, scales = self._ngrams.lower(contexts), self._ngrams.backoffs(contexts).double().exp()
        values, chosen = self._best(torch.cat([contexts[owners], lower[owners]]), spellings.clamp_min(0).repeat(2))
        value, before = values.double().exp().chunk(2)
        sums = (value - scales[owners] * before).masked_fill(first, 0.0).cumsum(0)
        return keys, chosen[: len(keys)], values[: len(keys)], sums - sums[first][owners]

    def _best(self, contexts: Tensor, spellings: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and tokens of the most probable words of (n,) spellings in (n,) contexts."""
        places, entries = ranges(self.words.offsets[spellings], self.words.offsets[spellings + 1])
        tokens = self.words.flat[entries]
        compared = self._ngrams.log_prob(contexts[places], tokens)
        best = compared.new_full(spellings.shape, -math.inf).scatter_reduce(0, places, compared, "amax")
        numbers = torch.arange(len(places), device=places.device).masked_fill(compared != best[places], len(places))
        first = torch.full_like(spellings, len(places)).scatter_reduce(0, places, numbers, "amin")
        return best, tokens[first]


def _invert(words: SpeltWords, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Return the spellings of each token: (vocabulary + 1,) offsets into the second tensor."""
    device = words.first.device
    pairs = [(token, spelling) for spelling, tokens in enumerate(words.tokens) for token in tokens]
    tokens, spellings = torch.tensor(sorted(pairs), device=device).T
    return torch.searchsorted(tokens.contiguous(), torch.arange(vocabulary + 1, device=device)), spellings.contiguous()

"""Sums of the probabilities of ranges of words of a backing-off n-gram model, without a column for each word."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.decoding.ranges import ranges
from speechrnn.decoding.scorers.spelt_words import SpeltWords
from speechrnn.decoding.scorers.word_sums import WordSums, grown
from speechrnn.nn.language import END_OF_LINE

EMPTY = 0  # the context without words
ENTRIES_BYTES = 2**27  # memory for the n-grams of contexts; when it is full, all are dropped
ENTRY_BYTES = 24
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
        self._base_tokens = words.first.clone()
        self._base_tokens[words.shared] = chosen[0]
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
        self._contexts = torch.empty(0, dtype=torch.long, device=device)
        self._lower = torch.empty(0, dtype=torch.long, device=device)  # row of the shorter context
        self._scales = torch.empty(0, dtype=torch.float64, device=device)  # backoff weights
        self._logs = torch.empty(0, 2, device=device)  # of the end and <unk>
        # Entries of all rows; a row begins with one of the sum 0.
        self._keys = torch.empty(0, dtype=torch.long, device=device)  # sorted: row * width + 1 + spelling
        self._sums = torch.empty(0, dtype=torch.float64, device=device)  # corrections to the entry's, itself included
        self._tokens = torch.empty(0, dtype=torch.long, device=device)
        self._size = 0  # entries in use

    def between(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """As `WordSums.between`."""
        rows, first, last = torch.broadcast_tensors(rows, first, last)
        total = torch.zeros(rows.shape, dtype=torch.float64, device=rows.device)
        scales = torch.ones_like(total)
        keys = self._keys[: self._size]
        for level in range(self._ngrams.order - 1):
            if level:
                scales, rows = scales * self._scales[rows], self._lower[rows]
            limits = rows * self._width + torch.stack([first, last])
            begin, end = self._sums[torch.searchsorted(keys, limits, right=True) - 1]
            total += scales * (end - begin)
        return total + scales * self._scales[rows] * (self._base[last] - self._base[first])

    def log_probs(self, rows: Tensor, words: Tensor) -> Tensor:
        """As `WordSums.log_probs`."""
        return self._ngrams.log_prob(self._contexts[rows], self.tokens(rows, words))

    def tokens(self, rows: Tensor, words: Tensor) -> Tensor:
        """As `WordSums.tokens`."""
        tokens = self._base_tokens[words]
        several = (self.words.groups[words] >= 0).nonzero()[:, 0]
        if len(several):
            rows, words, chosen = rows[several], words[several], tokens[several]
            found = torch.zeros_like(rows, dtype=torch.bool)
            for _ in range(self._ngrams.order - 1):
                wanted = rows * self._width + 1 + words
                places = torch.searchsorted(self._keys[: self._size], wanted).clamp_max(self._size - 1)
                here = ~found & (self._keys[places] == wanted)
                chosen = torch.where(here, self._tokens[places], chosen)
                found |= here
                rows = self._lower[rows]
            tokens[several] = chosen
        return tokens

    def ends(self, rows: Tensor) -> Tensor:
        """As `WordSums.ends`."""
        return self._logs[rows, 0]

    def unknown(self, rows: Tensor) -> Tensor:
        """As `WordSums.unknown`."""
        return self._logs[rows, 1]

    def _missing(self, contexts: list[int]) -> list[int]:
        """Return the missing contexts and the shorter ones that they back off to, which have lower numbers."""
        found: set[int] = set()
        wanted = super()._missing(contexts)
        while wanted:
            found.update(wanted)
            lower = self._ngrams.lower(torch.tensor(wanted, device=self.words.first.device)).tolist()
            wanted = [context for context in super()._missing(lower) if context not in found]
        return sorted(found)

    def _has_room(self, new: list[int]) -> bool:
        return self._size + self._needed(new) <= ENTRIES_BYTES // ENTRY_BYTES

    def _needed(self, new: list[int]) -> int:
        """Return a bound of the entries of new contexts."""
        entries = int(self._ngrams.counts(torch.tensor(new, device=self.words.first.device)).sum())
        return len(new) + entries * self._most_spellings

    def _reserve(self, new: list[int]) -> None:
        rows = len(self._places) + len(new)
        if not self._places:
            self._size = 0
        if rows > len(self._contexts):
            rows = max(rows, 2 * len(self._contexts))
            self._contexts, self._lower, self._scales, self._logs = (
                grown(table, rows) for table in (self._contexts, self._lower, self._scales, self._logs)
            )

    def _fill(self, new: list[int]) -> None:
        contexts = torch.tensor(new, device=self.words.first.device)
        made = slice(len(self._places), len(self._places) + len(new))
        self._places.update(zip(new, range(made.start, made.stop), strict=True))
        lower = self._ngrams.lower(contexts)
        self._contexts[made] = contexts
        self._lower[made] = torch.tensor([self._places[context] for context in lower.tolist()], device=contexts.device)
        self._scales[made] = self._ngrams.backoffs(contexts).double().exp()
        for column, token in enumerate((END_OF_LINE, self.words.unknown)):
            self._logs[made, column] = self._ngrams.log_prob(contexts, torch.full_like(contexts, token))
        keys, tokens, corrections = self._correct(contexts, lower, scales=self._scales[made])
        sums = corrections.cumsum(0)
        starts = torch.searchsorted(keys, torch.arange(len(new), device=contexts.device) * self._width)
        sums = sums - sums[starts].repeat_interleave(torch.cat([starts, starts.new_tensor([len(keys)])]).diff())
        size = self._size + len(keys)
        if size > len(self._keys):
            most = max(size, 2 * len(self._keys))
            self._keys, self._sums, self._tokens = (
                grown(table, most) for table in (self._keys, self._sums, self._tokens)
            )
        added = slice(self._size, size)
        self._keys[added], self._sums[added], self._tokens[added] = keys + made.start * self._width, sums, tokens
        self._size = size

    def _correct(self, contexts: Tensor, lower: Tensor, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return sorted keys, tokens and corrections of the contexts' entries, with one of 0 at the start of each."""
        owners, tokens = self._ngrams.entries(contexts)
        places, entries = ranges(self._offsets[tokens], self._offsets[tokens + 1])
        keys = torch.unique(owners[places] * self._width + 1 + self._spellings[entries])  # sorted
        owners = keys.div(self._width, rounding_mode="floor")
        spellings = keys - owners * self._width - 1
        values, chosen = self._best(torch.cat([contexts[owners], lower[owners]]), spellings.repeat(2))
        value, before = values.double().exp().chunk(2)
        corrections = value - scales[owners] * before
        starts = torch.arange(len(contexts), device=contexts.device) * self._width
        keys, order = torch.cat([starts, keys]).sort()
        chosen = torch.cat([torch.zeros_like(starts), chosen[: len(spellings)]])
        corrections = torch.cat([corrections.new_zeros(len(starts)), corrections])
        return keys, chosen[order], corrections[order]

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

"""Sums of the probabilities of ranges of words, for each context of a language model."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.decoding.scorers.spelt_words import SpeltWords
from speechrnn.nn.language import END_OF_LINE

SUMS_BYTES = 2**28  # memory for the contexts' sums; when it is full, all are dropped, and made anew where needed
AT_ONCE = 256  # contexts whose probabilities are made in one go


class WordSums(ABC):
    """A table of contexts, a row for each: log-probabilities of spellings, and sums of their probabilities.

    Rows are computed where they are first asked for; they are valid until rows of other contexts are asked for.

    Attributes:
        model: the language model.
        words: its words as they are spelt.
    """

    def __init__(self, model: LanguageModelProtocol, words: SpeltWords) -> None:
        self.model = model
        self.words = words
        self._places: dict[int, int] = {}  # context -> row
        self.forget()

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Return how many contexts the memory holds; with more in use they are computed again and again."""

    def forget(self) -> None:
        """Drop all rows: the model's states have changed."""
        self._places.clear()
        self._inference = torch.is_inference_mode_enabled()

    @property
    def writable(self) -> bool:
        """Return whether rows can be added: those made in inference mode cannot be written to outside of it."""
        return self._inference == torch.is_inference_mode_enabled()

    def rows(self, contexts: Tensor) -> Tensor:
        """Return (n,) rows of (n,) contexts, computed where they are missing."""
        distinct, inverse = torch.unique(contexts, return_inverse=True)
        wanted = distinct.tolist()
        if new := self._missing(wanted):
            if not self._has_room(new):
                self._places.clear()
                new = self._missing(wanted)
            self._reserve(new)
            for first in range(0, len(new), AT_ONCE):
                self._fill(new[first : first + AT_ONCE])
        places = [self._places[context] for context in wanted]
        return torch.tensor(places, dtype=torch.long, device=contexts.device)[inverse]

    @abstractmethod
    def between(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Sum the probabilities of the spellings from `first` to `last` - 1.

        Args:
            rows: of contexts.
            first: numbers of spellings, of a shape that fits to that of `rows`.
            last: of the same shape.

        Returns:
            float64 sums.
        """

    @abstractmethod
    def log_probs(self, rows: Tensor, words: Tensor) -> Tensor:
        """Return (n,) float32 log-probabilities of (n,) spellings in (n,) rows, of the most probable word of each."""

    @abstractmethod
    def tokens(self, rows: Tensor, words: Tensor) -> Tensor:
        """Return (n,) tokens of (n,) spellings in (n,) rows: the most probable word of each."""

    @abstractmethod
    def ends(self, rows: Tensor) -> Tensor:
        """Return float32 log-probabilities of the end of the line, of the shape of `rows`."""

    @abstractmethod
    def unknown(self, rows: Tensor) -> Tensor:
        """Return float32 log-probabilities of an unknown word, of the shape of `rows`."""

    def _missing(self, contexts: list[int]) -> list[int]:
        return [context for context in contexts if context not in self._places]

    @abstractmethod
    def _has_room(self, new: list[int]) -> bool:
        """Return whether the new contexts fit beside the others."""

    @abstractmethod
    def _reserve(self, new: list[int]) -> None:
        """Make the tables large enough for the new contexts too."""

    @abstractmethod
    def _fill(self, new: list[int]) -> None:
        """Compute the rows of new contexts, and enter them in `_places`."""


class DenseWordSums(WordSums):
    """A column for each spelling: for language models of any kind."""

    def __init__(self, model: LanguageModelProtocol, words: SpeltWords) -> None:
        device = words.first.device
        self._sums = torch.empty(0, len(words) + 1, dtype=torch.float64, device=device)  # of the words before each one
        self._logs = torch.empty(0, len(words) + 2, device=device)  # of each word, the end and <unk>
        self._choices = torch.empty(0, len(words.shared), dtype=torch.long, device=device)  # tokens of shared spellings
        super().__init__(model, words)

    @property
    def capacity(self) -> int:
        """As `WordSums.capacity`."""
        return SUMS_BYTES // (12 * self._sums.shape[1])

    def forget(self) -> None:
        """As `WordSums.forget`."""
        super().forget()
        self._sums, self._logs, self._choices = (
            table.new_empty(0, table.shape[1]) for table in (self._sums, self._logs, self._choices)
        )

    def between(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """As `WordSums.between`."""
        return self._sums[rows, last] - self._sums[rows, first]

    def log_probs(self, rows: Tensor, words: Tensor) -> Tensor:
        """As `WordSums.log_probs`."""
        return self._logs[rows, words]

    def tokens(self, rows: Tensor, words: Tensor) -> Tensor:
        """As `WordSums.tokens`."""
        tokens = self.words.first[words]
        groups = self.words.groups[words]
        several = (groups >= 0).nonzero()[:, 0]
        tokens[several] = self._choices[rows[several], groups[several]]
        return tokens

    def ends(self, rows: Tensor) -> Tensor:
        """As `WordSums.ends`."""
        return self._logs[rows, -2]

    def unknown(self, rows: Tensor) -> Tensor:
        """As `WordSums.unknown`."""
        return self._logs[rows, -1]

    def _has_room(self, new: list[int]) -> bool:
        return len(self._places) + len(new) <= self.capacity

    def _reserve(self, new: list[int]) -> None:
        needed = len(self._places) + len(new)
        if needed > len(self._sums):
            size = max(needed, min(2 * len(self._sums), self.capacity))
            tables = (self._sums, self._logs, self._choices)
            self._sums, self._logs, self._choices = (grown(table, size) for table in tables)

    def _fill(self, new: list[int]) -> None:
        log_probs = self.model.log_probs(torch.tensor(new, device=self.words.first.device))
        rows = slice(len(self._places), len(self._places) + len(new))
        values, self._choices[rows] = self.words.choose(log_probs)
        self._logs[rows, :-2] = values
        self._logs[rows, -2] = log_probs[:, END_OF_LINE]
        self._logs[rows, -1] = log_probs[:, self.words.unknown]
        self._sums[rows, 0] = 0.0
        torch.cumsum(values.double().exp_(), 1, out=self._sums[rows, 1:])
        self._places.update(zip(new, range(rows.start, rows.stop), strict=True))


def grown(table: Tensor, rows: int) -> Tensor:
    """Return a table with room for more rows; the new ones hold anything."""
    larger = table.new_empty(rows, *table.shape[1:])
    larger[: len(table)] = table
    return larger

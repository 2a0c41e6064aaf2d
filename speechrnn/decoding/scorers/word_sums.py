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
NO_ROW = -1


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
        self.forget()

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Return how many contexts the memory holds; with more in use they are computed again and again."""

    def forget(self) -> None:
        """Drop all rows: the model's states have changed."""
        self._row_of = torch.full((1024,), NO_ROW, device=self.words.first.device)  # of each context
        self._used = 0  # rows
        self._inference = torch.is_inference_mode_enabled()

    @property
    def writable(self) -> bool:
        """Return whether rows can be added: those made in inference mode cannot be written to outside of it."""
        return self._inference == torch.is_inference_mode_enabled()

    def rows(self, contexts: Tensor) -> Tensor:
        """Return (n,) rows of (n,) contexts, computed where they are missing."""
        rows = self._find(contexts)
        if bool((rows < 0).any()):
            new = contexts[rows < 0].unique().tolist()
            if not self._has_room(wanted := self._with_lower(new)):
                self._drop()
                wanted = self._with_lower(contexts.unique().tolist())
            try:
                self._add(wanted)
            except BaseException:  # such as no memory: what is half made must not be used
                self._drop()
                raise
            rows = self._find(contexts)
        return rows

    def _add(self, contexts: list[int]) -> None:
        """Compute the rows of contexts that have none."""
        self._reserve(contexts)
        for first in range(0, len(contexts), AT_ONCE):
            part = torch.tensor(contexts[first : first + AT_ONCE], device=self._row_of.device)
            made = slice(self._used, self._used + len(part))
            self._row_of[part] = torch.arange(made.start, made.stop, device=part.device)
            self._fill(part, made)
            self._used = made.stop

    def _drop(self) -> None:
        """Drop all rows, and keep their memory."""
        self._row_of.fill_(NO_ROW)
        self._used = 0

    def _find(self, contexts: Tensor) -> Tensor:
        """Return (n,) rows of (n,) contexts, `NO_ROW` where there is none."""
        if len(contexts) and (most := int(contexts.max())) >= len(self._row_of):
            more = max(most + 1, 2 * len(self._row_of)) - len(self._row_of)
            self._row_of = torch.cat([self._row_of, self._row_of.new_full((more,), NO_ROW)])
        return self._row_of.take(contexts)

    def _with_lower(self, contexts: list[int]) -> list[int]:
        """Return contexts without rows, and those without rows that theirs are made from, which come first."""
        return contexts

    @abstractmethod
    def between(self, rows: Tensor, limits: Tensor) -> Tensor:
        """Sum the probabilities of ranges of spellings.

        Args:
            rows: of contexts.
            limits: (2, ...) first spelling of each range, and the one after its last, of shapes that fit to that of
                `rows`.

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

    @abstractmethod
    def _has_room(self, new: list[int]) -> bool:
        """Return whether the new contexts fit beside the others."""

    @abstractmethod
    def _reserve(self, new: list[int]) -> None:
        """Make the tables large enough for the new contexts too."""

    @abstractmethod
    def _fill(self, new: Tensor, made: slice) -> None:
        """Compute the rows `made` of (n,) new contexts."""


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

    def between(self, rows: Tensor, limits: Tensor) -> Tensor:
        """As `WordSums.between`."""
        before, until = self._sums[rows, limits]
        return until - before

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
        return self._used + len(new) <= self.capacity

    def _reserve(self, new: list[int]) -> None:
        needed = self._used + len(new)
        if needed > len(self._sums):
            size = max(needed, min(2 * len(self._sums), self.capacity))
            tables = (self._sums, self._logs, self._choices)
            self._sums, self._logs, self._choices = (grown(table, size) for table in tables)

    def _fill(self, new: Tensor, made: slice) -> None:
        log_probs = self.model.log_probs(new)
        values, self._choices[made] = self.words.choose(log_probs)
        self._logs[made, :-2] = values
        self._logs[made, -2] = log_probs[:, END_OF_LINE]
        self._logs[made, -1] = log_probs[:, self.words.unknown]
        self._sums[made, 0] = 0.0
        torch.cumsum(values.double().exp_(), 1, out=self._sums[made, 1:])


def grown(table: Tensor, rows: int) -> Tensor:
    """Return a table with room for more rows; the new ones hold anything."""
    larger = table.new_empty(rows, *table.shape[1:])
    larger[: len(table)] = table
    return larger

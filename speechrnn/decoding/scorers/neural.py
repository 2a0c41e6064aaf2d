"""The recurrent language model as a scorer: a state is the number of a row of a tensor with recurrent states."""

from __future__ import annotations

import torch
from torch import Tensor

from speechrnn.nn.language import END_OF_LINE, LanguageModel

INITIAL_ROWS = 1024  # it doubles
ROWS_BYTES = 2**29  # memory for rows; beyond it the older half is dropped
DROPPED = -1


class NeuralModel:
    """A `LanguageModelProtocol` whose states are rows of one tensor; each is computed once.

    A row is the recurrent layers' state, and the last layer's output is part of it. So the log-probabilities, for words
    ten times as large, are computed when they are needed and not stored.

    Memory is bounded: of a state whose row was dropped, the last token and the previous state remain, from which the
    row is computed again when it is needed. In a search that is rare, since hypotheses differ mostly in their last
    tokens.

    Attributes:
        vocabulary: number of tokens.
    """

    def __init__(self, model: LanguageModel) -> None:
        """Put `model` into evaluation mode; it stays on its device."""
        self.model = model.eval()
        self.model.pack()
        self.vocabulary = model.vocabulary
        self._output = model.recurrent[-1].network.hidden_size
        self._layer = model.recurrent[-1].state_size
        self.begin()

    @torch.no_grad()
    def begin(self) -> int:
        """Forget all states; return 0, the state at the beginning of a line."""
        # New memory each time: what an earlier call left may be large, or belong to torch's inference mode.
        self._rows = self.model.start(INITIAL_ROWS)
        self._limit = max(INITIAL_ROWS, ROWS_BYTES // max(1, self._rows[0].nbytes))
        device = self._rows.device
        self._owner = torch.empty(INITIAL_ROWS, dtype=torch.int64, device=device)  # of each row, the state
        # Of each state: the one before it, its last token, its row.
        self._history = torch.empty(INITIAL_ROWS, 3, dtype=torch.int64, device=device)
        self._used = self._made = 0
        start = torch.zeros(1, dtype=torch.int64, device=device)
        rows = self.model.step(self._rows[:1], torch.full_like(start, END_OF_LINE))[1]
        return int(self._append(rows, start, start))

    @torch.no_grad()
    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return (n,) new states: (n,) states, each after one of (n,) tokens."""
        if len(states) == 0:
            return states
        before, tokens = states.to(self._rows.device), tokens.to(self._rows.device)
        rows = self.model.step(self._rows_of(before), tokens)[1]
        return self._append(rows, before, tokens).to(states.device)

    @torch.no_grad()
    def log_probs(self, states: Tensor) -> Tensor:
        """Return (n, vocabulary) float32 natural log-probabilities of the next token after (n,) states."""
        last = self._rows_of(states.to(self._rows.device))[:, -self._layer :]
        return self.model.log_probs(last[:, : self._output]).float().to(states.device)

    def _append(self, rows: Tensor, before: Tensor, tokens: Tensor) -> Tensor:
        """Append (n, state_size) rows of new states; return (n,) numbers."""
        states = torch.arange(self._made, self._made + len(rows), device=rows.device)
        self._made += len(rows)
        self._history = _enlarged(self._history, self._made, 2 * self._made)
        self._history[states, :2] = torch.stack([before, tokens], 1)
        self._keep(rows, states)
        return states

    def _keep(self, rows: Tensor, states: Tensor) -> None:
        if self._used + len(rows) > self._limit:
            self._drop(len(rows))
        places = slice(self._used, self._used + len(rows))
        self._used = places.stop
        self._rows, self._owner = (_enlarged(table, self._used, self._limit) for table in (self._rows, self._owner))
        self._rows[places] = rows
        self._owner[places] = states
        self._history[states, 2] = torch.arange(places.start, places.stop, device=rows.device)

    def _drop(self, more: int) -> None:
        """Free or allocate memory for `more` rows; row 0, the start, stays, and of the others the newer ones."""
        stay = max(0, min(self._limit // 2, self._limit - more - 1, self._used - 1))
        first = self._used - stay
        self._history[self._owner[1:first], 2] = DROPPED
        self._rows[1 : stay + 1] = self._rows[first : self._used].clone()
        self._owner[1 : stay + 1] = self._owner[first : self._used].clone()
        self._used = stay + 1
        self._history[self._owner[: self._used], 2] = torch.arange(self._used, device=self._owner.device)

    def _rows_of(self, states: Tensor) -> Tensor:
        """Return (n, state_size) rows of (n,) states."""
        places = self._history[states, 2]
        if not bool((places == DROPPED).any()):
            return self._rows[places]
        lost, which = torch.unique(states[places == DROPPED], return_inverse=True)
        found = self._compute(lost)
        rows = self._rows[places.clamp_min(0)]
        rows[places == DROPPED] = found[which]
        self._keep(found, lost)
        return rows

    def _compute(self, states: Tensor) -> Tensor:
        """Return (n, state_size) rows of (n,) states, computed again from the last state before each that has a row."""
        way = []  # of each step back: which rows take it, and their tokens
        while bool((lost := self._history[states, 2] == DROPPED).any()):
            way.append((lost, self._history[states, 1]))
            states = torch.where(lost, self._history[states, 0], states)
        rows = self._rows[self._history[states, 2]]
        for lost, tokens in reversed(way):
            rows[lost] = self.model.step(rows[lost], tokens[lost])[1]
        return rows


def _enlarged(table: Tensor, rows: int, most: int) -> Tensor:
    """Return the table, or a larger copy, of `most` rows if they suffice."""
    if rows <= len(table):
        return table
    grown = table.new_empty(max(rows, min(2 * len(table), most)), *table.shape[1:])
    grown[: len(table)] = table
    return grown

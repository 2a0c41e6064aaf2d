"""The scorers' scores of a search's prefixes, each computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.prefix_trie import NOWHERE, PrefixTrie
from speechrnn.decoding.scorers.base import WeightedScorer

EMPTY = 0  # the row of the node NOWHERE


class ScoreCache:
    """A table of scores of the next label after each prefix of a trie.

    Attributes:
        scorers: in the order of the columns of `parts`.
        trie: holds the prefixes, their row numbers and the scorers' states.
        table: (rows, symbols) float32, the weighted sum of the scorers' scores; `PrefixTrie.row` numbers the rows.
        parts: (rows, scorers, symbols) float32, the scores of each scorer, not weighted.
        size: number of rows in use.
        states: number of states that the scorers have made since `begin`.
        start: (scorers,) the state of each in which nothing was read.
    """

    def __init__(self, scorers: Sequence[WeightedScorer], trie: PrefixTrie) -> None:
        self.scorers = scorers
        self.trie = trie
        device = trie.parent.device
        self.table = torch.zeros(1, trie.symbols, device=device)
        self.parts = torch.zeros(1, len(scorers), trie.symbols, device=device)
        self.size = 1
        trie.row[NOWHERE] = EMPTY
        self.states = 0
        self.start = torch.tensor([weighted.scorer.begin() for weighted in scorers], device=device)
        trie.states[trie.roots] = self.start
        # all utterances begin alike, so that one row serves all roots
        trie.row[trie.roots] = self._score(trie.roots[:1])

    def rows(self, nodes: Tensor) -> Tensor:
        """Return the row numbers of nodes of any shape; missing rows are computed, all at once."""
        rows = self.trie.row.take(nodes)
        missing = (rows < 0).view(-1).nonzero().squeeze(1)
        if len(missing):
            new = nodes.reshape(-1).take(missing)
            self.advance(new)
            numbers = self._score(new)
            self.trie.row[new] = numbers
            rows.view(-1)[missing] = numbers
        return rows

    def advance(self, nodes: Tensor) -> None:
        """Compute the states and sums of those nodes, (n,), that have none yet; their parents must have rows."""
        trie = self.trie
        new = nodes[(trie.states[:, 0].take(nodes) < 0) & (nodes != NOWHERE)]
        if not len(new):
            return
        self.states += len(new)
        parents, labels = trie.parent.take(new), trie.label.take(new)
        states = trie.states.index_select(0, parents)
        trie.sums[new] = trie.sums.index_select(0, parents) + self.parts[trie.row.take(parents), :, labels]
        for number, weighted in enumerate(self.scorers):
            trie.states[new, number] = weighted.scorer.extend(states[:, number], labels)

    def finish(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the scores of the utterance's end at nodes, (n,).

        Returns:
            (n,) weighted sums, and (n, scorers) scores of each scorer, not weighted.
        """
        self.advance(nodes)
        parts = self.trie.sums.new_zeros(len(nodes), len(self.scorers))
        ends = (nodes != NOWHERE).nonzero().squeeze(1)
        states = self.trie.states[nodes[ends]]
        total = parts.new_zeros(len(nodes))
        for number, weighted in enumerate(self.scorers):
            values = weighted.scorer.finish(states[:, number])
            parts[ends, number] = values
            total[ends] += weighted.weigh(values)
        return total, parts

    def refuse_nan(self, parts: Tensor) -> None:
        """Raise a UserError where (..., scorers) unweighted scores of the beam hold NaN or +inf."""
        sound = (parts < math.inf).flatten(0, -2).all(0).tolist()
        wrong = [scorer.name for scorer, good in zip(self.scorers, sound, strict=True) if not good]
        if wrong:
            raise UserError(f"The scores of {' and '.join(wrong)} are NaN or infinite; look for a damaged model.")

    def compact(self) -> None:
        """Drop the rows of nodes that the trie has dropped."""
        used = torch.zeros(len(self.table), dtype=torch.bool, device=self.table.device)
        used[EMPTY] = True
        rows = self.trie.row
        used[rows[rows >= 0]] = True
        numbers = used.cumsum(0) - 1
        self.trie.row = torch.where(rows >= 0, numbers[rows.clamp_min(0)], rows)
        self.table, self.parts = self.table[used], self.parts[used]
        self.size = len(self.table)

    def _score(self, nodes: Tensor) -> Tensor:
        """Compute rows for nodes, (n,), that have states; return the rows' numbers."""
        count = len(nodes)
        if self.size + count > len(self.table):
            more = max(len(self.table), count, 1024)
            self.table = torch.cat([self.table, self.table.new_empty(more, self.table.shape[1])])
            self.parts = torch.cat([self.parts, self.parts.new_empty(more, *self.parts.shape[1:])])
        made = slice(self.size, self.size + count)
        total: Tensor | None = None
        for number, scorer in enumerate(self.scorers):
            values = scorer.scorer.scores(self.trie.states[nodes, number])
            self.parts[made, number] = values
            weighted = scorer.weigh(values)
            total = weighted if total is None else total + weighted
        if total is not None:
            self.table[made] = total
        self.size += count
        return torch.arange(made.start, made.stop, device=nodes.device)

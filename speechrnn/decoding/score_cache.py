"""What scorers have said of the prefixes of a search: asked once, kept beside the trie."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.prefix_trie import NOWHERE, PrefixTrie
from speechrnn.decoding.scorers.base import WeightedScorer

NOTHING = 0  # the row of the node NOWHERE


class ScoreCache:
    """The scorers' answers to a trie's prefixes.

    Attributes:
        table: (rows, symbols) float32: the weighted sum of what each next label adds; `PrefixTrie.row` holds the rows.
    """

    def __init__(self, scorers: Sequence[WeightedScorer], trie: PrefixTrie) -> None:
        self.scorers = scorers
        self.trie = trie
        device = trie.parent.device
        self.table = torch.zeros(1, trie.symbols, device=device)
        self.parts = torch.zeros(1, len(scorers), trie.symbols, device=device)  # the same of each scorer, not weighted
        self.size = 1
        trie.row[NOWHERE] = NOTHING
        trie.states[trie.roots] = torch.tensor([one.scorer.begin() for one in scorers], device=device)
        # all utterances begin alike, so that one row serves all roots
        trie.row[trie.roots] = self._ask(trie.roots[:1])

    def ask(self, nodes: Tensor) -> Tensor:
        """Any shape of nodes -> their rows of the table; whichever has none yet is asked for, all at once."""
        rows = self.trie.row.take(nodes)
        missing = (rows < 0).view(-1).nonzero().squeeze(1)
        if len(missing):
            new = nodes.reshape(-1).take(missing)
            self.reach(new)
            numbers = self._ask(new)
            self.trie.row[new] = numbers
            rows.view(-1)[missing] = numbers
        return rows

    def reach(self, nodes: Tensor) -> None:
        """Gives those of the nodes, (n,), their states and sums that have none yet; their parents must have rows."""
        trie = self.trie
        new = nodes[(trie.states[nodes, 0] < 0) & (nodes != NOWHERE)]
        if not len(new):
            return
        parents, labels = trie.parent[new], trie.label[new]
        states = trie.states[parents]
        trie.sums[new] = trie.sums[parents] + self.parts[trie.row[parents], :, labels]
        for number, one in enumerate(self.scorers):
            trie.states[new, number] = one.scorer.extend(states[:, number], labels)

    def finish(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) nodes -> what it adds to end there: (n,) weighted, and (n, scorers) of each scorer, not weighted."""
        self.reach(nodes)
        parts = self.trie.sums.new_zeros(len(nodes), len(self.scorers))
        ends = (nodes != NOWHERE).nonzero().squeeze(1)
        states = self.trie.states[nodes[ends]]
        total = parts.new_zeros(len(nodes))
        for number, one in enumerate(self.scorers):
            values = one.scorer.finish(states[:, number])
            parts[ends, number] = values
            total[ends] += one.weigh(values)
        return total, parts

    def refuse_nan(self, parts: Tensor) -> None:
        """Raises a UserError where there is NaN or +inf: (..., scorers) of the beam, where prefixes with it end up."""
        sound = (parts < math.inf).flatten(0, -2).all(0).tolist()
        wrong = [one.name for one, good in zip(self.scorers, sound, strict=True) if not good]
        if wrong:
            raise UserError(f"The scores of {' and '.join(wrong)} are NaN or infinite; look for a damaged model.")

    def compact(self) -> None:
        """Drops the rows of nodes that the trie has dropped."""
        used = torch.zeros(len(self.table), dtype=torch.bool, device=self.table.device)
        used[NOTHING] = True
        rows = self.trie.row
        used[rows[rows >= 0]] = True
        numbers = used.cumsum(0) - 1
        self.trie.row = torch.where(rows >= 0, numbers[rows.clamp_min(0)], rows)
        self.table, self.parts = self.table[used], self.parts[used]
        self.size = len(self.table)

    def _ask(self, nodes: Tensor) -> Tensor:
        """The numbers of new rows for nodes, (n,), that have states."""
        count = len(nodes)
        if self.size + count > len(self.table):
            more = max(len(self.table), count, 1024)
            self.table = torch.cat([self.table, self.table.new_empty(more, self.table.shape[1])])
            self.parts = torch.cat([self.parts, self.parts.new_empty(more, *self.parts.shape[1:])])
        made = slice(self.size, self.size + count)
        total: Tensor | None = None
        for number, one in enumerate(self.scorers):
            values = one.scorer.scores(self.trie.states[nodes, number])
            self.parts[made, number] = values
            weighed = one.weigh(values)
            total = weighed if total is None else total + weighed
        if total is not None:
            self.table[made] = total
        self.size += count
        return torch.arange(made.start, made.stop, device=nodes.device)

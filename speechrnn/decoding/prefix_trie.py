"""The label sequences of a search, as the numbers of nodes."""

from __future__ import annotations

import torch
from torch import Tensor

NOWHERE = 0  # the node of an empty place in a beam
ABOVE = 1  # the parent of the roots
COLUMNS = {"parent": 0, "label": 0, "repeats": 0, "slot": -1, "row": -1, "states": -1, "sums": 0}  # before they are set


class PrefixTrie:
    """Prefixes of all utterances of a batch: a node is a sequence of labels of one utterance, and an integer.

    Equal prefixes are one node, however a search comes to them. A node's child by the label 0, the blank, is the node
    itself. Nodes that a search has left behind are dropped by `keep` when the tensors are full; a prefix that
    comes back after that is a new node.

    Attributes:
        symbols: number of labels, the blank included.
        size: nodes made so far.
        limit: number of nodes from which `keep` should be called; it rises where more are in use.
        roots: (utterances,) the empty prefixes.
        parent, label: (capacity,) of each node; the label of a root is 0.
        repeats: (capacity,) 1 where a node's label is that of its parent, else 0.
        slot: (capacity,) the place of a node in the beam, written by the search; `absent` at first.
        row: (capacity,) the number of a row of scores, -1 before there is one.
        states: (capacity, scorers) each scorer's state, -1 before it has one.
        sums: (capacity, scorers) what each scorer has added along the prefix, 0 at first.
    """

    def __init__(
        self,
        symbols: int,
        utterances: int,
        limit: int,
        absent: int = -1,
        scorers: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.symbols = symbols
        self.absent = absent
        self.limit = limit
        self.size = 0
        empty = torch.empty(0, dtype=torch.int64, device=device)
        self.parent = self.label = self.repeats = self.slot = self.row = self.numbers = empty
        self.states = empty.new_empty(0, scorers)
        self.sums = self.states.float()
        self.children = empty.new_empty(0, symbols)
        self._reserve(utterances + 2)
        self.size = utterances + 2
        self.parent[: self.size] = ABOVE
        self.roots = torch.arange(2, self.size, device=device)

    def extend(self, nodes: Tensor, labels: Tensor) -> Tensor:
        """Return the nodes reached from `nodes` by one label each, added where they are new; any shape, int64.

        A pair of node and label must not stand there twice, if it is a new one.
        """
        places = labels.add(nodes, alpha=self.symbols)
        children = self.children.view(-1).take(places)
        flat = children.view(-1)
        missing = flat.signbit().nonzero().view(-1)
        count = missing.shape[0]
        if count:
            self._reserve(count)
            made = slice(self.size, self.size + count)
            numbers, parents, added = self.numbers[made], self.parent[made], self.label[made]
            torch.take(nodes, missing, out=parents)
            torch.take(labels, missing, out=added)
            torch.eq(self.label.take(parents), added, out=self.repeats[made])
            self.children.view(-1).index_copy_(0, places.take(missing), numbers)
            flat.index_copy_(0, missing, numbers)
            self.size += count
        return children

    def add_root(self) -> Tensor:
        """Make the empty prefix of one more utterance: return its number, ().

        It is dropped by `keep` when nothing stands on it or below it.
        """
        self._reserve(1)
        root = self.numbers[self.size]
        self.parent[self.size] = ABOVE
        self.size += 1
        return root

    def full(self, more: int) -> bool:
        """Return whether this many more nodes exceed the limit."""
        return self.size + more > self.limit

    def keep(self, nodes: Tensor) -> Tensor:
        """Remove nodes that a search at `nodes`, (n,), does not need; return (old capacity,) new numbers of the nodes.

        Kept are the nodes, all above them, and, while half of the capacity is free, their children: prefixes that
        fell out of the beam are most likely to come back from there.
        """
        stays = torch.zeros(len(self.parent), dtype=torch.bool, device=nodes.device)
        stays[: ABOVE + 1] = True
        stays[self.roots] = True
        above = nodes.unique()
        while len(above):
            stays[above] = True
            above = self.parent[above].unique()
            above = above[~stays[above]]
        live = torch.zeros_like(stays)
        live[nodes] = True
        live[NOWHERE] = False
        with_children = stays | live[self.parent]
        with_children[self.size :] = False
        if int(with_children.sum()) <= self.limit // 2:
            stays = with_children
        kept = stays.nonzero().squeeze(1)
        numbers = torch.full((len(stays),), -1, device=nodes.device)
        numbers[kept] = torch.arange(len(kept), device=nodes.device)
        for name in COLUMNS:
            setattr(self, name, getattr(self, name)[kept])
        self.parent, self.roots = numbers[self.parent], numbers[self.roots]
        children = self.children[kept]
        self.children = numbers.take(children.clamp_min(0)).masked_fill_(children < 0, -1)
        self.size = len(kept)
        self.limit = max(self.limit, 2 * self.size)
        return numbers

    def sequences(self, nodes: Tensor) -> list[tuple[int, ...]]:
        """Return the labels of each of the nodes, (n,), from the first."""
        found = []
        while bool((labels := self.label[nodes]).any()):  # roots come to ABOVE, whose label is 0, and stay there
            found.append(labels)
            nodes = self.parent[nodes]
        if not found:
            return [()] * len(nodes)
        columns = torch.stack(found[::-1], 1).tolist()
        return [tuple(label for label in row if label) for row in columns]

    def _reserve(self, count: int) -> None:
        """Enlarge the tensors for so many more nodes, at least to twice the capacity."""
        capacity = len(self.parent)
        if self.size + count <= capacity:
            return
        more = max(self.size + count, min(2 * capacity, self.limit), 1024) - capacity
        for name, value in COLUMNS.items():
            column = getattr(self, name)
            value = self.absent if name == "slot" else value
            rows = column.new_full(torch.Size([more]) + column.shape[1:], value)
            setattr(self, name, torch.cat([column, rows]))
        self.numbers = torch.arange(capacity + more, device=self.parent.device)
        children = self.children.new_full((more, self.symbols), -1)
        children[:, 0] = self.numbers[capacity:]
        self.children = torch.cat([self.children, children])

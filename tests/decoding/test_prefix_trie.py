"""Prefixes as nodes: equal ones are one node, and nodes that nobody needs are dropped without harm."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.decoding.prefix_trie import ABOVE, NOWHERE, PrefixTrie

SYMBOLS = 4
sequences = st.lists(st.lists(st.integers(1, SYMBOLS - 1), max_size=6), min_size=1, max_size=12)


def walk(trie: PrefixTrie, root: int, labels: list[int]) -> int:
    """The node of a label sequence."""
    node = trie.roots[root : root + 1]
    for label in labels:
        node = trie.extend(node, torch.tensor([label]))
    return int(node)


@settings(max_examples=50)
@given(sequences)
def test_a_node_is_a_sequence(rows: list[list[int]]) -> None:
    trie = PrefixTrie(SYMBOLS, 2, limit=1000)
    nodes = [walk(trie, 1, row) for row in rows]
    assert trie.sequences(torch.tensor(nodes)) == [tuple(row) for row in rows]
    prefixes = {tuple(row[:length]) for row in rows for length in range(len(row) + 1)}
    assert len(set(nodes)) == len({tuple(row) for row in rows})
    assert trie.size == 2 + 2 + len(prefixes) - 1  # NOWHERE and ABOVE, two roots of which one is the empty prefix


def test_utterances_share_no_node() -> None:
    trie = PrefixTrie(SYMBOLS, 2, limit=1000)
    assert walk(trie, 0, [1, 2]) != walk(trie, 1, [1, 2])


def test_many_at_once_are_as_one_by_one_and_the_blank_stays() -> None:
    trie = PrefixTrie(SYMBOLS, 2, limit=1000)
    known = walk(trie, 0, [1])
    nodes = trie.roots[:, None].expand(2, 3).contiguous()
    found = trie.extend(nodes, torch.tensor([[1, 2, 0], [0, 3, 1]]))
    assert found.tolist() == [
        [known, walk(trie, 0, [2]), int(trie.roots[0])],
        [int(trie.roots[1]), walk(trie, 1, [3]), walk(trie, 1, [1])],
    ]
    assert int(trie.extend(torch.tensor([NOWHERE]), torch.tensor([0]))) == NOWHERE


def test_facts_of_a_node() -> None:
    trie = PrefixTrie(SYMBOLS, 1, limit=1000)
    once, twice = walk(trie, 0, [3]), walk(trie, 0, [3, 3])
    root = int(trie.roots[0])
    facts = [(int(trie.parent[node]), int(trie.label[node]), int(trie.repeats[node])) for node in (twice, once, root)]
    assert facts == [(once, 3, 1), (root, 3, 0), (ABOVE, 0, 0)]


def test_growing_forgets_nothing() -> None:
    trie = PrefixTrie(SYMBOLS, 1, limit=10**6, absent=7, scorers=2)
    node = walk(trie, 0, [2])
    trie.slot[node], trie.row[node] = 3, 5
    trie.states[node] = torch.tensor([8, 9])
    labels = [1 + number % 3 for number in range(3000)]
    far = walk(trie, 0, labels)
    assert len(trie.slot) > 3000
    assert trie.sequences(torch.tensor([far, node])) == [tuple(labels), (2,)]
    assert (int(trie.slot[node]), int(trie.row[node]), trie.states[node].tolist()) == (3, 5, [8, 9])
    assert (int(trie.slot[far]), int(trie.row[far]), trie.states[far].tolist()) == (7, -1, [-1, -1])


@settings(max_examples=50)
@given(sequences, st.integers(1, 4))
def test_what_is_kept_stays_what_it_was(rows: list[list[int]], count: int) -> None:
    trie = PrefixTrie(SYMBOLS, 1, limit=40, scorers=1)
    nodes = torch.tensor([walk(trie, 0, row) for row in rows])
    trie.states[nodes, 0] = nodes
    live, before = nodes[:count], trie.size
    numbers = trie.keep(live)
    assert trie.size <= before
    assert trie.sequences(numbers[live]) == [tuple(row) for row in rows[:count]]
    assert trie.states[numbers[live], 0].tolist() == live.tolist()
    for row in rows:  # those dropped are new nodes, the others are found again
        node = walk(trie, 0, row)
        assert trie.sequences(torch.tensor([node])) == [tuple(row)]
    for row, node in zip(rows[:count], numbers[live].tolist(), strict=True):
        assert walk(trie, 0, row) == node


def test_children_of_what_is_live_are_kept_while_there_is_room() -> None:
    for limit, kept in ((100, True), (10, False)):
        trie = PrefixTrie(SYMBOLS, 1, limit=limit)
        live, child = walk(trie, 0, [1, 2]), walk(trie, 0, [1, 2, 3])
        other = walk(trie, 0, [2, 2])
        numbers = trie.keep(torch.tensor([live]))
        assert (int(numbers[child]) >= 0) == kept
        assert int(numbers[other]) < 0 <= int(numbers[live])


def test_full_says_when_room_is_needed() -> None:
    trie = PrefixTrie(SYMBOLS, 1, limit=10)
    assert not trie.full(7)
    assert trie.full(8)
    trie.keep(trie.roots)
    assert trie.limit == 10
    walk(trie, 0, [1, 2, 3, 1, 2, 3])
    trie.keep(torch.tensor([walk(trie, 0, [1, 2, 3, 1, 2, 3])]))
    assert trie.limit == 18  # all is in use, so the limit rises

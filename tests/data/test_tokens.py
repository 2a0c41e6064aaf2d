"""Token files, and batches in which every token is a target once, after the one that precedes it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.data.tokens import Block, BpttBatches, TokenBatch, TokenFile, write_tokens


def text_of(documents: list[list[int]]) -> TokenFile:
    """A text in memory."""
    starts = np.cumsum([0, *map(len, documents)])[:-1]
    return TokenFile(np.concatenate([np.array(d, np.uint16) for d in documents]), starts, sum(map(len, documents)))


def read(batches: BpttBatches, epoch: int = 0, start: int = 0) -> list[list[tuple[list[int], list[int]]]]:
    """Return the text as a model with a state reads it: for each row the (inputs, targets) between two starts."""
    rows: list[list[tuple[list[int], list[int]]]] = [[] for _ in range(batches.batch_size)]
    for batch in batches.batches(epoch, start):
        for row, pieces in enumerate(rows):
            if batch.fresh[row] or not pieces:
                pieces.append(([], []))
            there = batch.targets[:, row] >= 0
            pieces[-1][0].extend(batch.inputs[there, row].tolist())
            pieces[-1][1].extend(batch.targets[there, row].tolist())
            # Nothing to predict comes only after what there is, or the state would run over padding.
            assert there.tolist() == sorted(there.tolist(), reverse=True)
            assert not batch.inputs[~there, row].any()
    return rows


class TestTokenFile:
    @pytest.mark.parametrize(("vocabulary", "dtype"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
    def test_it_holds_what_was_written(self, tmp_path: Path, vocabulary: int, dtype: type) -> None:
        path = tmp_path / "new" / "train.tokens"
        blocks = [
            Block([1, 2, 0, 0], 10),
            Block([], 0, document=True),
            Block(np.array([vocabulary - 1, 0]), 3, document=True),
            Block([3], 1),
        ]
        written = write_tokens(path, iter(blocks), vocabulary)
        for text in (written, TokenFile.open(path)):
            assert text.tokens.tolist() == [1, 2, 0, 0, vocabulary - 1, 0, 3]
            assert text.tokens.dtype == dtype
            assert isinstance(text.tokens, np.memmap)
            assert text.documents.tolist() == [0, 4]
            assert text.characters == 14
            assert len(text) == 7

    def test_blank_lines_alone_are_no_document(self, tmp_path: Path) -> None:
        blocks = [
            Block([0], 1),
            Block([0, 0], 2, True),
            Block([5, 0], 2, True),
            Block([0], 1, True),
            Block([6], 1, True),
        ]
        assert write_tokens(tmp_path / "a", blocks, 10).documents.tolist() == [0, 5]

    def test_an_empty_text_is_one(self, tmp_path: Path) -> None:
        text = write_tokens(tmp_path / "a", [], 10)
        assert (len(text), len(text.documents), text.characters) == (0, 0, 0)
        assert list(BpttBatches(text, 2, 5).batches(0)) == []
        assert list(BpttBatches(text, 2, 5, documents=True).batches(0)) == []

    def test_a_broken_off_text_leaves_nothing(self, tmp_path: Path) -> None:
        def broken() -> object:
            yield Block([1, 0], 2)
            raise UserError("no UTF-8")

        with pytest.raises(UserError, match="no UTF-8"):
            write_tokens(tmp_path / "a", broken(), 10)  # type: ignore[arg-type]
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: content[:100],
            lambda content: content[:-1],
            lambda content: content[:-9],
            lambda content: b"something else entirely" + content,
            lambda content: content.replace(b'"tokens": 3', b'"tokens": 9'),
            lambda content: content.replace(b'"bytes"', b'"bites"'),
        ],
    )
    def test_a_damaged_file_is_one_sentence(self, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
        path = tmp_path / "train.tokens"
        write_tokens(path, [Block([1, 2, 0], 3)], 10)
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(UserError, match=r"train\.tokens is damaged .*prepare the text anew"):
            TokenFile.open(path)

    def test_a_missing_file_is_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"Cannot read the token file .*none\.tokens: No such file"):
            TokenFile.open(tmp_path / "none.tokens")


@settings(max_examples=60)
@given(
    length=st.integers(1, 300),
    batch_size=st.integers(1, 7),
    bptt=st.integers(1, 40),
    random_length=st.booleans(),
    world_size=st.integers(1, 3),
    epoch=st.integers(0, 5),
)
def test_rows_go_on_where_they_stopped_and_miss_nothing(
    length: int, batch_size: int, bptt: int, random_length: bool, world_size: int, epoch: int
) -> None:
    stream = list(range(1, length + 1))
    text = text_of([stream])
    rows = []
    numbers = set()
    for rank in range(world_size):
        batches = BpttBatches(
            text, batch_size, bptt, seed=3, random_length=random_length, rank=rank, world_size=world_size
        )
        numbers.add(batches.number(epoch))
        assert len(list(batches.batches(epoch))) == batches.number(epoch)
        rows += [row[0] for row in read(batches, epoch) if row[0][1]]
    assert len(numbers) == 1
    assert [token for _, targets in rows for token in targets] == stream
    # The number before each is its input, also at a row's start; 0 stands before the text.
    assert [token for inputs, _ in rows for token in inputs] == [0, *stream[:-1]]
    sizes = {len(targets) for _, targets in rows}
    assert max(sizes) - min(sizes) <= 1


def test_every_row_is_fresh_once() -> None:
    fresh = [batch.fresh.tolist() for batch in BpttBatches(text_of([list(range(1, 50))]), 3, 4).batches(0)]
    assert fresh[0] == [True] * 3
    assert not any(any(row) for row in fresh[1:])


def test_a_batch_holds_length_by_batch_tensors() -> None:
    text = text_of([[5, 6, 0, 7, 8, 9, 0]])
    first, second = BpttBatches(text, 2, 3).batches(0)
    assert isinstance(first, TokenBatch)
    assert first.inputs.tolist() == [[0, 0], [5, 7], [6, 8]]
    assert first.targets.tolist() == [[5, 7], [6, 8], [0, 9]]
    assert second.inputs.tolist() == [[0, 9]]
    assert second.targets.tolist() == [[-1, 0]]
    assert first.inputs.dtype == first.targets.dtype == torch.int64
    assert first.fresh.dtype == torch.bool
    moved = first.to("cpu")
    assert moved.targets.tolist() == first.targets.tolist()
    assert moved.fresh.tolist() == [True, True]


@pytest.mark.parametrize("documents", [False, True])
def test_a_later_start_gives_the_rest(documents: bool) -> None:
    text = text_of([list(range(1, 40 + 7 * n)) for n in range(9)])
    batches = BpttBatches(text, 3, 10, seed=1, random_length=True, documents=documents)
    whole = list(batches.batches(4))
    for start in (1, len(whole) - 1, len(whole)):
        rest = list(batches.batches(4, start))
        assert len(rest) == len(whole) - start
        for a, b in zip(rest, whole[start:], strict=True):
            assert torch.equal(a.inputs, b.inputs)
            assert torch.equal(a.targets, b.targets)
            assert torch.equal(a.fresh, b.fresh)


def test_random_lengths_are_those_of_awd_lstm() -> None:
    text = text_of([[1] * 60_000])
    batches = BpttBatches(text, 1, 70, seed=5, random_length=True)
    lengths = np.array([window.length for window in batches.plan(0)])
    short = lengths[:-1] < 52
    assert 0.02 < short.mean() < 0.09
    assert abs(lengths[:-1][short].mean() - 35) < 3
    assert abs(lengths[:-1][~short].mean() - 70) < 1
    assert 4 < lengths[:-1][~short].std() < 6
    again = [window.length for window in BpttBatches(text, 1, 70, seed=5, random_length=True).plan(0)]
    assert again == lengths.tolist()
    for other in (batches.plan(1), BpttBatches(text, 1, 70, seed=6, random_length=True).plan(0)):
        assert [window.length for window in other] != again
    # Around 6, many draws fall below the least length.
    few = [window.length for window in BpttBatches(text, 1, 6, random_length=True).plan(0)]
    assert min(few[:-1]) == 5


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=25),
    batch_size=st.integers(1, 6),
    bptt=st.integers(1, 25),
    random_length=st.booleans(),
    world_size=st.integers(1, 2),
    epoch=st.integers(0, 3),
)
def test_no_document_leaks_into_another(
    sizes: list[int], batch_size: int, bptt: int, random_length: bool, world_size: int, epoch: int
) -> None:
    # Each document has a number of its own, which all of its tokens but the last, the end of line, repeat.
    documents = [[number] * (size - 1) + [0] for number, size in enumerate(sizes, start=1)]
    text = text_of(documents)
    pieces = []
    numbers = set()
    for rank in range(world_size):
        batches = BpttBatches(
            text,
            batch_size,
            bptt,
            seed=3,
            random_length=random_length,
            documents=True,
            rank=rank,
            world_size=world_size,
        )
        numbers.add(batches.number(epoch))
        pieces += [piece for row in read(batches, epoch) for piece in row if piece[1]]
    assert len(numbers) == 1
    assert sorted(targets for _, targets in pieces) == sorted(documents)
    for inputs, targets in pieces:
        assert inputs == [0, *targets[:-1]]


def test_documents_are_shuffled_anew_each_epoch() -> None:
    text = text_of([[number, 0] for number in range(1, 30)])

    def order(epoch: int, seed: int = 0) -> list[int]:
        return [piece[1][0] for piece in read(BpttBatches(text, 1, 5, seed=seed, documents=True), epoch)[0]]

    assert order(0) == order(0)
    assert sorted(order(0)) == list(range(1, 30))
    assert len({tuple(order(0)), tuple(order(1)), tuple(order(0, seed=1)), tuple(range(1, 30))}) == 4


def test_windows_of_documents_are_no_longer_than_the_longest_rest() -> None:
    text = text_of([[1] * 4 + [0], [2, 2, 0], [3] * 11 + [0]])
    for before, after in pairwise(BpttBatches(text, 3, 8, documents=True).plan(0)):
        assert before.length == 8
        assert after.length == 4
        assert sorted(before.lengths) == [3, 5, 8]


def test_rows_begin_anew_at_random_windows_of_a_seed() -> None:
    file = TokenFile(np.arange(4000, dtype=np.uint16) % 7, np.array([0]), 4000)

    def fresh(seed: int, reset: float) -> np.ndarray:
        batches = BpttBatches(file, batch_size=10, bptt=4, seed=seed, reset=reset)
        return np.array([window.fresh for window in batches.plan(epoch=1)])

    some = fresh(0, 0.1)
    assert some[0].all() and 0.07 < some[1:].mean() < 0.13
    assert (some == fresh(0, 0.1)).all() and (some != fresh(1, 0.1)).any()
    assert not fresh(0, 0.0)[1:].any()
    texts = [
        [batch.inputs.tolist() for batch in BpttBatches(file, 10, 4, reset=reset).batches(0)] for reset in (0.0, 0.5)
    ]
    assert texts[0] == texts[1]


def test_rows_read_the_context_of_their_part_without_targets() -> None:
    file = TokenFile(np.arange(1, 13, dtype=np.uint16), np.array([0]), 12)
    batches = list(BpttBatches(file, batch_size=3, bptt=3, context=2).batches(0))
    targets = [[token for batch in batches for token in batch.targets[:, row].tolist()] for row in range(3)]
    assert [[token for token in row if token > 0] for row in targets] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    assert targets[1][:3] == [-1, -1, 5] and batches[0].inputs[:, 1].tolist() == [2, 3, 4]

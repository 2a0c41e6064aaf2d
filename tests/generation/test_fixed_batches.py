from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.generators import make
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.generation import fixed_batches as module
from speechrnn.generation.fixed_batches import FixedBatches, find_consistent_sizes

MODEL = make(20)
BATCHES = FixedBatches(MODEL)


@pytest.fixture
def threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def read_alone(tokens: list[int]) -> Tensor:
    state = MODEL.start(1)
    with torch.no_grad():
        for token in tokens:
            _, state = MODEL.step(state, torch.tensor([token]))
    return state[0]


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 19), max_size=6), max_size=40))
def test_states_are_those_of_texts_read_alone(texts: list[list[int]]) -> None:
    states = BATCHES.prefill(texts)
    assert states.shape == (len(texts), MODEL.state_size)
    for tokens, state in zip(texts, states, strict=True):
        torch.testing.assert_close(state, read_alone(tokens), rtol=0, atol=1e-5)


def test_states_are_the_same_bits_in_any_company() -> None:
    generator = np.random.default_rng(0)
    texts = [generator.integers(0, 20, size).tolist() for size in generator.integers(1, 30, 100)]
    together = BATCHES.prefill(texts)
    assert torch.equal(BATCHES.prefill(texts[::-1]).flip(0), together)
    for text, state in zip(texts[:10], together, strict=False):
        assert torch.equal(BATCHES.prefill([text])[0], state)


def test_a_common_beginning_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    step = FixedBatches.step

    def counting(self: FixedBatches, states: Tensor, parents: np.ndarray, tokens: list[int]) -> Tensor:
        rows.append(len(tokens))
        return step(self, states, parents, tokens)

    monkeypatch.setattr(FixedBatches, "step", counting)
    BATCHES.prefill([[1, 2, 3, 4], [1, 2], [1, 2, 3, 5], [1, 2, 3, 4], [6], []])
    assert rows == [2, 1, 1, 2]


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 64, 65, 200, 1000])
def test_every_row_is_in_one_batch_that_is_not_too_large(rows: int) -> None:
    cut = BATCHES.split(rows)
    assert [first for first, _, _ in cut] == [0, *(end for _, end, _ in cut[:-1])] and cut[-1][1] == rows
    assert all(height in BATCHES.sizes and 0 < end - first <= height for first, end, height in cut)


def test_threads_share_the_rows_and_change_no_bit(threads: None) -> None:
    several = FixedBatches(MODEL)
    assert several.threads == 3 and len(several.split(40)) == 3
    texts = [[number % 20, 3, number % 7] for number in range(150)]
    assert torch.equal(several.prefill(texts), BATCHES.prefill(texts))
    assert torch.get_num_threads() == 3


def test_an_error_in_a_thread_is_not_lost(threads: None) -> None:
    def fail(first: int, end: int, height: int) -> None:
        raise KeyError(first)

    with pytest.raises(KeyError):
        FixedBatches(MODEL).for_each(fail, 200)
    assert torch.get_num_threads() == 3


def test_sizes_that_do_not_agree_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    step = type(MODEL).step

    def wrong_at(*heights: int) -> None:
        def wrong(self: object, states: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
            outputs, after = step(MODEL, states, tokens)
            if len(tokens) in heights:
                outputs = outputs + torch.arange(len(tokens)).unsqueeze(1) * 1e-3
            return outputs, after

        monkeypatch.setattr(type(MODEL), "step", wrong)

    wrong_at(32)
    assert find_consistent_sizes(MODEL, (64, 32, 16)) == (64, 16)
    wrong_at(64)
    assert find_consistent_sizes(MODEL, (64, 32, 16)) == (32, 16)
    wrong_at(64, 32, 16)
    assert find_consistent_sizes(MODEL, (64, 32, 16)) == (1,)


def test_sizes_that_leave_a_rest_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_step_outputs", lambda *arguments, **keywords: torch.zeros(1))  # as if all agreed
    assert find_consistent_sizes(make(20, units=13, embedding=13), (64, 48, 32, 16)) == (64, 32)

"""Draws from a categorical distribution, by its cumulative sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.generators import scores
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.generation.categorical import MASKED, Buffers, Categorical


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1), st.sampled_from([1, 7, 256, 520, 5000]))
def test_a_draw_is_where_the_cumulative_sum_passes_the_number(
    seed: int, never: float, number: float, columns: int
) -> None:
    generator = np.random.default_rng(seed)
    table = torch.from_numpy(generator.standard_normal((3, columns)) * 20 + 50).float()
    table[torch.from_numpy(generator.random((3, columns)) < never)] = MASKED
    table[:, columns // 2] = 1.0
    uniform = min(number, 1 - 2**-48)
    found = Categorical.from_scores(table, Buffers(table)).draw(np.full(3, uniform))
    for column, weights in zip(found.tolist(), table.double(), strict=True):
        until = weights.softmax(0).cumsum(0)
        assert weights[column] > MASKED
        assert until[column] >= uniform - 1e-5 and until[column] - weights.softmax(0)[column] <= uniform + 1e-5


@pytest.mark.parametrize("columns", [1, 255, 256, 2048, 2049, 9000])
def test_weights_are_probabilities_up_to_a_factor(columns: int) -> None:
    values = scores(5, columns) + 3
    values[1, :-1] = MASKED
    weights = Categorical.from_scores(values, Buffers(values))
    assert weights.blocks.shape == (5, -(-columns // 256))
    torch.testing.assert_close(weights.log_sum, values.double().logsumexp(1))
    values[:, columns // 3] = MASKED
    values[:, 0] = 0.0
    weights = Categorical.from_scores(values, Buffers(values))
    last = columns - 1
    values[:, last] = MASKED
    if last:
        torch.testing.assert_close(weights.update_masked(last).log_sum, values.double().logsumexp(1))

"""The recurrent model by numbered states, against its own hypothesis of whole texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.language_models import step_by_step, toy_model
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.decoding.scorers import neural
from speechrnn.decoding.scorers.neural import NeuralModel

SHAPES = [
    {"cell": "lstm"},
    {"cell": "gru", "tied": False},
    {"cell": "rnn_tanh", "layers": 1},
    {"softmax": "adaptive"},
    {"softmax": "mixture"},
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_a_text_read_token_by_token_is_expected_as_by_the_model_itself(shape: dict[str, Any]) -> None:
    model = toy_model(7, **shape)
    numbered = NeuralModel(model)
    assert numbered.vocabulary == 7 and not model.training
    tokens = [3, 1, 6, 6, 2]
    state, rows = torch.tensor([numbered.begin()]), []
    for token in tokens:
        rows.append(numbered.log_probs(state)[0])
        state = numbered.extend(state, torch.tensor([token]))
    torch.testing.assert_close(torch.stack(rows), step_by_step(model, tokens), atol=1e-5, rtol=0)


@given(st.lists(st.lists(st.integers(0, 6), min_size=4, max_size=4), min_size=1, max_size=6))
@settings(max_examples=25)
def test_a_row_is_the_same_in_any_batch(texts: list[list[int]]) -> None:
    model = toy_model(7).eval()
    together = NeuralModel(model)
    states = torch.full((len(texts),), together.begin())
    for tokens in zip(*texts, strict=True):
        states = together.extend(states, torch.tensor(tokens))
    rows = together.log_probs(states)
    alone = NeuralModel(model)
    for row, text in zip(rows, texts, strict=True):
        state = torch.tensor([alone.begin()])
        for token in text:
            state = alone.extend(state, torch.tensor([token]))
        torch.testing.assert_close(alone.log_probs(state)[0], row, atol=1e-5, rtol=0)


def test_states_stay_when_others_are_made_from_them() -> None:
    numbered = NeuralModel(toy_model(7))
    start = torch.tensor([numbered.begin()])
    before = numbered.log_probs(start)
    # More than there was room for.
    many = numbered.extend(start.expand(3000), torch.arange(3000) % 7)
    assert len(set(many.tolist()) | {0}) == 3001
    assert torch.equal(numbered.log_probs(start), before)
    rows = numbered.log_probs(many)
    torch.testing.assert_close(rows[7:14], rows[:7], atol=1e-5, rtol=0)
    assert not torch.allclose(rows[0], rows[1], atol=1e-3)


def test_beginning_anew_forgets_and_works_in_and_out_of_inference_mode() -> None:
    numbered = NeuralModel(toy_model(7))
    with torch.inference_mode():
        first = numbered.begin()
        states = numbered.extend(torch.tensor([first]), torch.tensor([4]))
        expected = numbered.log_probs(states)
    assert numbered.begin() == first
    again = numbered.extend(torch.tensor([first]), torch.tensor([4]))
    assert again.tolist() == states.tolist()
    torch.testing.assert_close(numbered.log_probs(again), expected)
    assert not numbered.log_probs(again).requires_grad


@given(seed=st.integers(0, 1000), rows=st.integers(2, 40))
@settings(max_examples=20)
def test_states_whose_rows_were_dropped_are_computed_anew(seed: int, rows: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    model = toy_model(7)
    with pytest.MonkeyPatch.context() as patch:
        roomy, narrow = NeuralModel(model), NeuralModel(model)
        roomy.begin()
        patch.setattr(neural, "INITIAL_ROWS", rows)
        patch.setattr(neural, "ROWS_BYTES", 0)
        narrow.begin()
        for made in range(1, 120, 7):
            # Some come from new states, some from old ones, some from the same.
            states = torch.randint(made, (7,), generator=generator)
            tokens = torch.randint(7, (7,), generator=generator)
            assert torch.equal(roomy.extend(states, tokens), narrow.extend(states, tokens))
            asked = torch.randint(made + 7, (9,), generator=generator)
            torch.testing.assert_close(narrow.log_probs(asked), roomy.log_probs(asked), atol=1e-5, rtol=0)
            assert len(narrow._rows) <= max(rows, 2 * 16)
        assert len(roomy._rows) > 119

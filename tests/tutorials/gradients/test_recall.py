"""Tests of delayed recall: an LSTM learns what a plain RNN cannot."""

from __future__ import annotations

import pytest
import torch

from speechrnn.tutorials.gradients.recall import (
    Recall,
    RecallOptions,
    RecallResult,
    accuracy,
    draw_sequences,
    gradient_flow,
    run_recall,
)
from speechrnn.tutorials.setting import repeatable

LETTERS, SHORT, LONG = 12, 10, 40


@pytest.fixture(scope="module")
def recalled() -> dict[tuple[str, int], RecallResult]:
    with repeatable(1):
        results = run_recall(RecallOptions(LETTERS, (SHORT, LONG), 600, learning_rate=0.01), 32, ("lstm", "rnn_tanh"))
    return {(item.cell, item.delay): item for item in results}


@pytest.mark.integration
def test_an_lstm_recalls_over_a_delay_that_a_plain_rnn_does_not_bridge(
    recalled: dict[tuple[str, int], RecallResult],
) -> None:
    assert recalled["rnn_tanh", SHORT].accuracy > 0.98 and recalled["rnn_tanh", SHORT].steps is not None
    assert recalled["rnn_tanh", LONG].accuracy < 0.6 and recalled["rnn_tanh", LONG].steps is None
    for delay in (SHORT, LONG):
        assert recalled["lstm", delay].accuracy > 0.98 and recalled["lstm", delay].steps is not None


def test_the_error_reaches_the_letter_in_an_lstm_alone(recalled: dict[tuple[str, int], RecallResult]) -> None:
    assert len(recalled["lstm", LONG].after) == LONG + 2  # letter, noise, question
    assert recalled["lstm", LONG].after[-1] > 1e-4
    assert recalled["rnn_tanh", LONG].after[-1] < 1e-4 * recalled["lstm", LONG].after[-1]


def test_the_task() -> None:
    torch.manual_seed(0)
    inputs, answers = draw_sequences(letters=5, delay=4, rows=100)
    assert inputs.shape == (6, 100, 11) and (inputs.sum(2) == 1).all()
    indices = inputs.argmax(2)
    assert torch.equal(indices[0], answers) and answers.unique().tolist() == [0, 1, 2, 3, 4]
    assert indices[1:5].unique().tolist() == [5, 6, 7, 8, 9]
    assert (indices[5] == 10).all()


def test_untrained_answers_are_chance_and_looking_at_gradients_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Recall("lstm", 8, 16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert accuracy(model, 8, 5) < 0.5
    assert gradient_flow(model, 8, 5)[0] == 1.0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.dtype == torch.float32 for parameter in model.parameters())

"""Test that tutorials give the same numbers each time and leave no global state behind."""

from __future__ import annotations

import pytest
import torch

from speechrnn.core.errors import UserError
from speechrnn.tutorials.setting import check_loss, repeatable


def test_the_same_seed_gives_the_same_numbers_and_the_outside_goes_on() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    draws = []
    for _ in range(2):
        with repeatable(1):
            assert torch.get_num_threads() == 1
            draws.append(torch.rand(3))
    assert torch.equal(*draws)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_training_that_diverges_is_a_sentence(loss: float) -> None:
    check_loss(torch.tensor(1.0))
    with pytest.raises(UserError, match=r"diverged.*learning_rate"):
        check_loss(torch.tensor(loss))

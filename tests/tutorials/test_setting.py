"""Lessons come out the same, and leave nothing behind."""

from __future__ import annotations

import torch

from speechrnn.tutorials.setting import repeatable


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

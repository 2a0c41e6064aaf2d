"""Items that are computed together, some of which raise."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.failures import MachineError
from speechrnn.transcription.isolation import ItemError, compute_each


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 40))
def test_only_those_at_fault_fail_and_the_order_stays(bad: list[bool], fitting: int) -> None:
    def work(some: Sequence[int]) -> list[int]:
        if len(some) > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if any(bad[number] for number in some):
            raise ValueError("odd")
        return [10 * number for number in some]

    results = compute_each(work, range(len(bad)))
    for number, result in enumerate(results):
        assert isinstance(result, ItemError) if bad[number] else result == 10 * number
    assert len(results) == len(bad)


def test_what_does_not_fit_by_itself_fails() -> None:
    def work(some: Sequence[int]) -> list[int]:
        if sum(some) > 3:
            raise MemoryError
        return list(some)

    results = compute_each(work, [1, 2, 5, 3])
    assert [result for result in results if not isinstance(result, ItemError)] == [1, 2, 3]
    assert isinstance(results[2], ItemError) and isinstance(results[2].error, MemoryError)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ImportError("No module named 'soxr'")])
def test_a_fault_of_the_machine_is_no_items(error: Exception) -> None:
    def work(some: Sequence[int]) -> list[int]:
        raise error

    with pytest.raises(MachineError):
        compute_each(work, [1, 2])

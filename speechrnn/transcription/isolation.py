"""Compute many items together; an item over which a library raises an exception does not affect the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from speechrnn.core.failures import raise_if_fatal

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class ItemError:
    """Stand for the result of an item over which an exception was raised, also when it was computed by itself."""

    error: Exception


def compute_each(
    work: Callable[[Sequence[ItemT]], Sequence[ResultT]], items: Sequence[ItemT]
) -> list[ResultT | ItemError]:
    """Compute a result for each item: together, and in halves where that fails, down to single items.

    >>> compute_each(lambda some: [1 / number for number in some], [1, 0, 2])
    [1.0, ItemError(error=ZeroDivisionError('division by zero')), 0.5]

    Args:
        work: computes the results of some items; too many may not fit into the memory.
        items: at least one.

    Raises:
        MachineError: a fault of the machine, which all items would meet.
    """
    try:
        return list(work(items))
    except Exception as error:
        if not is_memory_error(error):
            raise_if_fatal(error)
        if len(items) == 1:
            return [ItemError(error)]
    half = len(items) // 2
    return [*compute_each(work, items[:half]), *compute_each(work, items[half:])]


def is_memory_error(error: BaseException) -> bool:
    """Return whether an exception says that something does not fit into the memory."""
    # torch raises RuntimeError, on a CPU nothing narrower
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error).lower())

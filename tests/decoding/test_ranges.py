"""Ranges of different lengths in one tensor, against Python's."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.decoding.ranges import ranges


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=8))
def test_ranges_are_those_of_python(pairs: list[tuple[int, int]]) -> None:
    starts = torch.tensor([start for start, _ in pairs], dtype=torch.long)
    ends = torch.tensor([start + length for start, length in pairs], dtype=torch.long)
    places, numbers = ranges(starts, ends)
    expected = [(place, number) for place, (start, size) in enumerate(pairs) for number in range(start, start + size)]
    assert list(zip(places.tolist(), numbers.tolist(), strict=True)) == expected

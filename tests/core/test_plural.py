"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from speechrnn.core.plural import count


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 speakers"), (1, "1 speaker"), (2, "2 speakers"), (1000, "1,000 speakers")]
)
def test_the_noun_follows_the_number(number: int, text: str) -> None:
    assert count(number, "speaker") == text

"""Numbers with their nouns."""

from __future__ import annotations


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun, in the plural unless the number is 1.

    Args:
        plural: the noun's, where it is not the noun with an s.

    >>> count(1200, "word"), count(1, "epoch"), count(2, "hypothesis", "hypotheses")
    ('1,200 words', '1 epoch', '2 hypotheses')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"

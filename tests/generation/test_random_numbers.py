from __future__ import annotations

import numpy as np

from speechrnn.generation.random_numbers import stream_key, uniforms


def key(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def test_the_numbers_are_the_same_everywhere() -> None:
    assert stream_key("Sharks feed", 7, 0) == 0x90092642BD42CD93
    # SplitMix64's published first numbers from the seed 0
    for number, published in enumerate((0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)):
        assert uniforms(key(0), key(0), number).tolist() == [(published >> 16) / 2**48]


def test_every_part_of_the_name_counts() -> None:
    keys = {stream_key(prompt, seed, number) for prompt in ("", "a", "1 a") for seed in (-1, 0, 1) for number in (0, 1)}
    assert len(keys) == 18


def test_they_are_uniform_and_independent_over_steps_streams_and_numbers() -> None:
    keys = np.array([stream_key(f"prompt {row}", 0, 0) for row in range(200)], dtype=np.uint64)
    steps = np.arange(100, dtype=np.uint64)
    table = np.stack([uniforms(keys, np.full(200, step, np.uint64), number) for step in steps for number in (0, 1)])
    assert table.min() >= 0 and table.max() < 1
    counts, _ = np.histogram(table, bins=64, range=(0, 1))
    expected = table.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 110  # chi-square of 63: above 110 once in 5,000 such tables
    for numbers, other in ((table[:-1], table[1:]), (table[:, :-1], table[:, 1:])):
        assert abs(np.corrcoef(numbers.ravel(), other.ravel())[0, 1]) < 0.02


def test_a_number_does_not_depend_on_its_neighbours() -> None:
    together = uniforms(key(3, 4, 5), key(9, 9, 8), 1)
    assert [uniforms(key(row), key(step), 1)[0] for row, step in ((3, 9), (4, 9), (5, 8))] == together.tolist()

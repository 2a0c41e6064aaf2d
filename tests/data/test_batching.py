"""Plans of batches: the limit, every utterance once, another order in each epoch, and the largest batch of all."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.data.batching import group_by_length, largest_batch, plan_batches

DURATIONS = st.lists(st.floats(0.01, 50) | st.sampled_from([0.1, 0.3, 1.0, 3.0]), min_size=1, max_size=200)


def padded(batch: np.ndarray, durations: np.ndarray) -> float:
    return len(batch) * float(durations[batch].max())


def places(plan: list[np.ndarray]) -> np.ndarray:
    """The place of each utterance in the epoch."""
    order = np.concatenate(plan)
    return np.argsort(order)


@given(DURATIONS, st.floats(0.05, 100), st.integers(0, 5), st.integers(0, 5))
def test_every_utterance_is_planned_once_within_the_limit(
    lengths: list[float], batch_seconds: float, seed: int, epoch: int
) -> None:
    durations = np.array(lengths)
    plan = plan_batches(durations, batch_seconds, seed, epoch=epoch)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    for batch in plan:
        assert len(batch) == 1 or padded(batch, durations) <= batch_seconds
        assert len(batch) == 1 or durations[batch].max() <= batch_seconds  # a longer one is a batch of its own


@given(DURATIONS, st.floats(0.05, 100), st.integers(2, 9), st.integers(0, 3))
def test_processes_share_all_utterances_in_batches_of_equal_number(
    lengths: list[float], batch_seconds: float, world_size: int, epoch: int
) -> None:
    durations = np.array(lengths)
    plan = plan_batches(durations, batch_seconds, 0, epoch=epoch, world_size=world_size)
    assert len(plan) % world_size == 0
    planned = np.concatenate(plan).tolist()
    assert set(planned) == set(range(len(lengths)))
    if any(len(batch) > 1 for batch in plan):
        assert len(planned) == len(lengths)
    assert len(plan) - len({tuple(batch.tolist()) for batch in plan}) < world_size
    assert all(len(batch) == 1 or padded(batch, durations) <= batch_seconds for batch in plan)


@given(DURATIONS, st.floats(0.05, 100), st.sampled_from([0.8, 0.9, 1.0, 1.1]), st.floats(0, 3), st.integers(1, 3))
def test_no_batch_of_any_epoch_is_larger_than_the_largest(
    lengths: list[float], batch_seconds: float, slowest: float, added: float, world_size: int
) -> None:
    durations = np.array(lengths)

    def size(batch: np.ndarray) -> float:
        return len(batch) * (durations[batch].max() / min(slowest, 1.0) + added)

    largest = largest_batch(durations, batch_seconds, slowest, added=added)
    assert len(set(largest.tolist())) == len(largest)
    assert len(largest) == 1 or padded(largest, durations) <= batch_seconds
    for epoch in range(3):
        for batch in plan_batches(durations, batch_seconds, 0, epoch=epoch, world_size=world_size):
            assert size(batch) <= size(largest) * (1 + 1e-9)


def test_the_largest_batch_occurs() -> None:
    durations = np.random.default_rng(0).uniform(1, 5, 40)
    largest = padded(largest_batch(durations, 10.0), durations)
    planned = [
        padded(batch, durations) for epoch in range(300) for batch in plan_batches(durations, 10.0, 0, epoch=epoch)
    ]
    assert max(planned) == pytest.approx(largest, rel=0.01)


@pytest.mark.parametrize("count", [100, 1_000, 30_000])
def test_epochs_and_seeds_mix_a_sorted_list_at_any_size(count: int) -> None:
    """A list sorted by word or by duration is met in random order, and short and long batches come in random order."""
    durations = np.sort(np.random.default_rng(1).uniform(0.5, 8.0, count))
    correlations, orders = [], []
    for seed, epoch in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (3, 0), (4, 0)]:
        plan = plan_batches(durations, 45.0, seed, epoch=epoch)
        correlations.append(np.corrcoef(places(plan), np.arange(count))[0, 1])
        orders.append([float(durations[batch].max()) for batch in plan])
    # Batches hold similar durations: as many independent places as there are batches.
    assert abs(np.mean(correlations)) < 4 / np.sqrt(len(correlations) * len(orders[0]))
    assert len({tuple(order) for order in orders}) == len(orders)
    for order in orders[1:]:
        shared = min(len(order), len(orders[0]))
        alike = np.corrcoef(order[:shared], orders[0][:shared])[0, 1]
        assert abs(alike) < 5 / np.sqrt(shared)


def test_the_start_of_an_epoch_holds_every_part_of_a_sorted_list() -> None:
    """lhotse's sampler mixed within a buffer: in a list of 35 words one after the other, an epoch began with nine."""
    words = np.repeat(np.arange(35), 2_400)
    plan = plan_batches(np.random.default_rng(0).uniform(0.6, 1.0, len(words)), 45.0, 0, epoch=0)
    assert len(set(words[np.concatenate(plan[:10])])) == 35


def test_utterances_meet_others_in_each_epoch() -> None:
    durations = np.random.default_rng(0).gamma(4, 0.7, 900)

    def pairs(epoch: int) -> set[tuple[int, int]]:
        plan = plan_batches(durations, 45.0, 0, epoch=epoch)
        return {(a, b) for batch in plan for a in batch.tolist() for b in batch.tolist() if a < b}

    first, second = pairs(0), pairs(1)
    assert len(first & second) < 0.4 * len(first)


def test_a_plan_is_a_function_of_seed_and_epoch() -> None:
    durations = np.random.default_rng(0).uniform(1, 5, 300)

    def plan(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in plan_batches(durations, 20.0, seed, epoch=epoch)]

    assert plan(0, 1) == plan(0, 1)
    assert plan(0, 1) != plan(0, 2)
    assert plan(0, 1) != plan(1, 1)


def test_padding_is_small() -> None:
    durations = np.random.default_rng(0).gamma(4, 0.7, 20_000) + 0.3
    plan = plan_batches(durations, 45.0, 0, epoch=0)
    assert sum(padded(batch, durations) for batch in plan) < 1.05 * durations.sum()


@pytest.mark.integration
def test_a_million_utterances_cost_little_memory() -> None:
    durations = np.random.default_rng(0).uniform(1, 20, 1_000_000)
    tracemalloc.start()
    plan = plan_batches(durations, 300.0, 0, epoch=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(map(len, plan)) == 1_000_000
    assert peak < 300e6


@given(st.lists(st.floats(0.1, 50), max_size=30), st.floats(1, 100))
def test_groups_lose_nothing_and_keep_the_limit(lengths: list[float], batch_seconds: float) -> None:
    groups = group_by_length(dict(enumerate(lengths)), batch_seconds)
    assert sorted(number for group in groups for number in group) == list(range(len(lengths)))
    assert [lengths[number] for group in groups for number in group] == sorted(lengths, reverse=True)
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[number] for number in group) <= batch_seconds


def test_nothing_to_plan() -> None:
    assert plan_batches([], 10.0, 0, epoch=0) == []
    assert group_by_length({}, 10.0) == []

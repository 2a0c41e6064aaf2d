"""Plans of batches: which utterances share a batch, and the order of the batches in an epoch.

A plan is a function of the durations and of (seed, epoch). Each utterance is in one batch. A batch holds at most
`batch_seconds` of padded audio, the number of its utterances times the longest of them; an utterance that is longer is
a batch of its own.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

_POOL_BATCHES = 32  # of similar durations are cut from each pool: fewer cost padding, more repeat the same batches
_LEAST_POOLS = 4  # so that the utterances of a small corpus meet others in each epoch


def plan_batches(
    durations: Sequence[float] | np.ndarray, batch_seconds: float, seed: int, epoch: int, world_size: int = 1
) -> list[np.ndarray]:
    """Return the batches of an epoch in random order, each with utterances of similar duration.

    The utterances are permuted and dealt into pools. Each pool is sorted by duration, in turn downwards and upwards, so
    that similar durations meet where two pools do, and the row is cut into batches, which are permuted.

    Args:
        durations: (utterances,), seconds.
        batch_seconds: most padded seconds of a batch.
        seed, epoch: the plan depends on both.
        world_size: processes that share the epoch. The number of batches is a multiple of it, and the batches that
            are trained on at the same time, `plan[k * world_size : (k + 1) * world_size]`, are of similar duration.

    Returns:
        The indices of the utterances of each batch. Each utterance is in one batch; only where no batch can be halved
        and their number is no multiple of `world_size`, some batches are repeated.

    >>> plan = plan_batches([2.0, 2.0, 9.0, 2.0, 2.0], batch_seconds=4.0, seed=0, epoch=0)
    >>> sorted(len(batch) for batch in plan)
    [1, 2, 2]
    >>> [2] in [batch.tolist() for batch in plan]
    True
    """
    lengths = np.asarray(durations, np.float64)
    if not len(lengths):
        return []
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    pools = _number_of_pools(lengths, batch_seconds)
    pool: np.ndarray = np.arange(len(lengths)) * pools // len(lengths)
    downwards = np.where(pool % 2 == 0, -1.0, 1.0)
    order = order[np.lexsort((downwards * lengths[order], pool))]
    batches = _cut(order, lengths, batch_seconds)
    if world_size > 1:
        batches = _divisible(batches, world_size)
        batches.sort(key=lambda batch: -lengths[batch].max())
    groups = random.permutation(len(batches) // world_size)
    return [batches[group * world_size + rank] for group in groups for rank in range(world_size)]


def largest_batch(
    durations: Sequence[float] | np.ndarray, batch_seconds: float, slowest: float = 1.0, added: float = 0.0
) -> np.ndarray:
    """Return the batch with the most padded audio that `plan_batches` makes in any epoch.

    Args:
        durations: (utterances,), seconds.
        batch_seconds: most padded seconds of a batch, before augmentation.
        slowest: the lowest factor of speed that augmentation may play an utterance with.
        added: seconds that augmentation may add to each utterance.

    Returns:
        The indices of its utterances, the longest first.

    >>> largest_batch([3.0, 1.0, 2.0, 1.0, 1.0], batch_seconds=3.0).tolist()
    [0]
    >>> largest_batch([3.0, 1.0, 2.0, 1.0, 1.0], batch_seconds=3.0, added=1.0).tolist()
    [1, 3, 4]
    """
    lengths = np.maximum(np.asarray(durations, np.float64), 1e-9)
    order = np.argsort(-lengths, kind="stable")
    longest = lengths[order]
    counts = np.minimum(_most(longest, batch_seconds), len(order) - np.arange(len(order)))
    start = int(np.argmax(counts * (longest / min(slowest, 1.0) + added)))
    return order[start : start + counts[start]]


def group_by_length(lengths: Mapping[int, float], batch_seconds: float) -> list[list[int]]:
    """Return keys of similar length together, the longest first, without shuffling.

    Args:
        lengths: seconds by key.
        batch_seconds: most padded seconds of a group; a longer length is a group of its own.

    >>> group_by_length({7: 2.0, 8: 9.0, 9: 1.5}, batch_seconds=4.0)
    [[8], [7, 9]]
    """
    keys = sorted(lengths, key=lambda key: -lengths[key])
    values = np.array([lengths[key] for key in keys], np.float64)
    return [[keys[place] for place in batch] for batch in _cut(np.arange(len(keys)), values, batch_seconds)]


def _number_of_pools(lengths: np.ndarray, batch_seconds: float) -> int:
    batches = max(float(lengths.sum()) / batch_seconds, 1.0)
    return int(min(max(batches / _POOL_BATCHES, _LEAST_POOLS), len(lengths)))


def _cut(order: np.ndarray, lengths: np.ndarray, batch_seconds: float) -> list[np.ndarray]:
    """Cut a row of utterances, in order, where one more would exceed the limit."""
    starts = []
    size, longest = 0, 0.0
    for place, length in enumerate(lengths[order].tolist()):
        wider = max(length, longest)
        if size and (size + 1) * wider <= batch_seconds:
            size, longest = size + 1, wider
        else:
            starts.append(place)
            size, longest = 1, length
    return np.split(order, starts[1:]) if starts else []


def _divisible(batches: list[np.ndarray], world_size: int) -> list[np.ndarray]:
    """Halve the batches with the most utterances until the processes can share them equally."""
    numbers = itertools.count()  # so that two batches of one size are never compared
    heap = [(-len(batch), next(numbers), batch) for batch in batches]
    heapq.heapify(heap)
    while len(heap) % world_size and heap[0][0] < -1:
        _, _, batch = heapq.heappop(heap)
        for half in (batch[::2], batch[1::2]):
            heapq.heappush(heap, (-len(half), next(numbers), half))
    whole = [batch for _, _, batch in heap]
    return whole + (whole * world_size)[: -len(whole) % world_size]  # none can be halved


def _most(longest: np.ndarray, batch_seconds: float) -> np.ndarray:
    """Return how many utterances a batch may hold, by the duration of its longest: (utterances,) int64, at least 1."""
    counts = np.maximum(np.floor(batch_seconds / longest), 1.0)
    counts = np.where((counts + 1) * longest <= batch_seconds, counts + 1, counts)  # a quotient may be rounded down
    counts = np.where(counts * longest > batch_seconds, counts - 1, counts)  # or up
    return np.maximum(counts, 1.0).astype(np.int64)

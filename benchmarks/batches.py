"""Claim: the plan of an epoch's batches shuffles a corpus of any size, keeps its limit, and takes seconds.

Durations are those of read speech: log-normal around 12 s, from 1 to 35 s, sorted by duration, as a manifest may be. A
batch holds at most 45 s of padded audio. Printed for each size: the share of padding, the largest batch, the
correlation of an utterance's place in the list and in the epoch (0 is shuffled), and the time of the plan. The peer is
lhotse's DynamicBucketingSampler with its defaults, over the same durations up to 10,000 utterances (more take it
minutes). One core; --threads changes nothing here.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from timing import in_turn, machine, parser, result

SIZES = (1_000, 10_000, 100_000, 1_000_000)
PEER_SIZES = (1_000, 10_000)
BATCH_SECONDS = 45.0

Plan = Callable[[], list[np.ndarray]]


def durations_of(size: int) -> np.ndarray:
    """Return (size,) durations in seconds, sorted; the same ones each time."""
    draws = np.random.default_rng(0).lognormal(np.log(12.0), 0.5, size)
    return np.sort(np.clip(draws, 1.0, 35.0))


def ours(durations: np.ndarray) -> Plan:
    """Return a function that plans an epoch."""
    from speechrnn.data.batching import plan_batches

    return lambda: plan_batches(durations, BATCH_SECONDS, seed=0, epoch=0)


def peer(durations: np.ndarray) -> Plan:
    """Return a function that lets lhotse plan an epoch."""
    from lhotse import CutSet, MonoCut
    from lhotse.dataset import DynamicBucketingSampler

    cuts = CutSet.from_cuts(
        MonoCut(id=str(number), start=0.0, duration=float(duration), channel=0)
        for number, duration in enumerate(durations)
    ).to_eager()

    def plan() -> list[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = DynamicBucketingSampler(cuts, max_duration=BATCH_SECONDS, num_buckets=10, shuffle=True, seed=0)
        return [np.array([int(cut.id) for cut in batch]) for batch in sampler]

    return plan


def describe(name: str, plan: list[np.ndarray], durations: np.ndarray, seconds: float) -> str:
    """Return one line about a plan; batches of one utterance may be longer than the limit."""
    padded = np.array([len(batch) * durations[batch].max() for batch in plan])
    shared = padded[[len(batch) > 1 for batch in plan]]
    order = np.concatenate(plan)
    correlation = np.corrcoef(order, np.arange(len(order)))[0, 1]
    padding = 1 - durations[order].sum() / padded.sum()
    return (
        f"{name}: {len(plan):,} batches, padding {padding:.1%}, largest shared batch {shared.max():.1f} s, "
        f"{np.mean(shared > BATCH_SECONDS + 1e-6):.1%} beyond {BATCH_SECONDS:.0f} s, correlation of places "
        f"{correlation:+.4f}, {seconds:.2f} s"
    )


def main() -> None:
    """See the module."""
    given = parser(__doc__, 3).parse_args()
    print(machine(1))
    lines = []
    for size in SIZES[:2] if given.quick else SIZES:
        durations = durations_of(size)
        sides = {"ours": ours(durations)}
        if size in PEER_SIZES[: 1 if given.quick else None]:
            sides["peer"] = peer(durations)
        for name, plan in sides.items():
            began = time.perf_counter()
            batches = plan()
            print(describe(f"{size:,} utterances, {name}", batches, durations, seconds=time.perf_counter() - began))
        if "peer" in sides:
            seconds = in_turn(sides, 1 if given.quick else given.repeats)
            lines.append(result(f"plan_{size}", 1000 * seconds["ours"], 1000 * seconds["peer"], unit="ms"))
    print("\n".join(lines))


if __name__ == "__main__":
    main()

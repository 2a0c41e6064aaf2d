"""Counter-based random numbers: each is a function of its text's key and of the step, and of nothing else.

Each completion has a stream of its own, and each number is computed from the stream's key and the number of the step
instead of being drawn from a generator that others draw from as well. So the same prompt and seed find the same numbers
in any batch, in any order, on any machine.
"""

from __future__ import annotations

import hashlib

import numpy as np

# SplitMix64: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"
GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)), (31, None))
PER_STEP = 8  # bits: 256 numbers for each step
BITS = 48  # of a number; less than a float64 holds, so that a number times a sum stays below the sum


def stream_key(prompt: str, seed: int, number: int) -> int:
    """Return the key (64 bits) of the `number`-th completion of a prompt.

    >>> hex(stream_key("Sharks feed", 7, 0))
    '0x90092642bd42cd93'
    """
    name = f"{seed} {number} {prompt}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def uniforms(keys: np.ndarray, steps: np.ndarray, number: int = 0) -> np.ndarray:
    """Compute the `number`-th random number of each stream at its step.

    >>> uniforms(np.array([7], np.uint64), np.array([0], np.uint64)).round(4).tolist()
    [0.3898]

    Args:
        keys: (rows,) uint64, keys of the streams.
        steps: (rows,) uint64, number of the token within its text.
        number: which number of the step, for tokens that take several.

    Returns:
        (rows,) float64, 0 to below 1.
    """
    counters = (steps << np.uint64(PER_STEP)) + np.uint64(number + 1)
    mixed: np.ndarray = keys + counters * GAMMA
    for shift, factor in MIX:
        mixed ^= mixed >> np.uint64(shift)
        if factor is not None:
            mixed *= factor
    return (mixed >> np.uint64(64 - BITS)).astype(np.float64) * 2.0**-BITS

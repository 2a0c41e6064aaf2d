"""Emissions, a scorer with a table, and the sum over all paths, to hold a beam search to."""

from __future__ import annotations

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from speechrnn.decoding.beam_search import BeamOptions, beam_search
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.scorers.base import WeightedScorer

EXACT: dict[str, Any] = {"blank_threshold": 1.0, "symbol_threshold": 0.0, "beam_threshold": None}


EVERYTHING = BeamOptions(beam_size=400, nbest=400, **EXACT)  # holds all label sequences of `small` emissions


Prefix = tuple[int, ...]


class TableScorer:
    """Random scores of every prefix, the same at each call; counts the prefixes that are extended and scored."""

    def __init__(self, symbols: int, seed: int = 0, forbids: bool = False) -> None:
        self.symbols, self.seed, self.forbids = symbols, seed, forbids
        self.begin()

    def begin(self) -> int:
        self.prefixes: list[Prefix] = [()]
        self.extended: Counter[Prefix] = Counter()
        self.scored: Counter[Prefix] = Counter()
        self.calls = 0
        return 0

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        new = [(*self.prefixes[state], label) for state, label in zip(states.tolist(), labels.tolist(), strict=True)]
        self.extended.update(new)
        self.prefixes += new
        return torch.arange(len(self.prefixes) - len(new), len(self.prefixes), device=states.device)

    def scores(self, states: Tensor) -> Tensor:
        prefixes = [self.prefixes[state] for state in states.tolist()]
        self.scored.update(prefixes)
        self.calls += 1
        return torch.tensor([self.row(prefix)[:-1] for prefix in prefixes], device=states.device)

    def finish(self, states: Tensor) -> Tensor:
        return torch.tensor([self.row(self.prefixes[state])[-1] for state in states.tolist()], device=states.device)

    def row(self, prefix: Prefix) -> list[float]:
        """Return the scores of each symbol after the prefix, and of the end."""
        generator = torch.Generator().manual_seed(zlib.crc32(repr((self.seed, prefix)).encode()))
        values = torch.randn(self.symbols + 1, generator=generator).double()
        if self.forbids:
            values[(values > 0.8).nonzero()] = -math.inf
        values[0] = 0.0
        return values.tolist()

    def total(self, labels: Prefix) -> float:
        """Return the score of a whole label sequence."""
        steps = sum(self.row(labels[:number])[label] for number, label in enumerate(labels))
        return steps + self.row(labels)[-1]


def emissions(batch: int, frames: int, symbols: int, seed: int = 0, blank: float = 0.0, sharp: float = 1.0) -> Tensor:
    """Return (batch, frames, symbols) random log-probabilities, in favour of the blank by `blank`."""
    scores = sharp * torch.randn(batch, frames, symbols, generator=torch.Generator().manual_seed(seed))
    scores[:, :, 0] += blank
    return scores.log_softmax(2)


def peaked(path: Sequence[int], symbols: int, peak: float = 0.9995, label: float = 0.8, seed: int = 0) -> Tensor:
    """Return (frames, symbols) log-probabilities as of a trained model: blanks are nearly sure, labels less so."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(len(path), symbols, generator=generator)
    for frame, symbol in enumerate(path):
        certain = peak if symbol == 0 else label
        probabilities[frame] *= (1 - certain) / (probabilities[frame].sum() - probabilities[frame, symbol])
        probabilities[frame, symbol] = certain
    return probabilities.log()


def all_hypotheses(log_probs: Tensor, scorers: Sequence[tuple[TableScorer, float]] = ()) -> dict[Prefix, float]:
    """Return the score of each label sequence of the frames: the sum over all paths, and the scorers' scores."""
    frames, symbols = log_probs.shape
    masses: dict[Prefix, float] = {}
    rows = log_probs.double().exp().tolist()
    for path in itertools.product(range(symbols), repeat=frames):
        labels = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        masses[labels] = masses.get(labels, 0.0) + math.prod(
            row[symbol] for row, symbol in zip(rows, path, strict=True)
        )
    return {
        labels: math.log(mass) + sum(weight * scorer.total(labels) for scorer, weight in scorers)
        for labels, mass in masses.items()
        if mass > 0
    }


def search(
    log_probs: Tensor, options: BeamOptions, scorers: Sequence[WeightedScorer] = (), frames: Sequence[int] | None = None
) -> list[list[Hypothesis]]:
    """Run `beam_search` over all frames, or those that are given."""
    counts = frames or [log_probs.shape[1]] * len(log_probs)
    return beam_search(log_probs, torch.tensor(counts), scorers, options=options)

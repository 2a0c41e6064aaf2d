"""Tokens drawn from an adaptive softmax have their probability."""

from __future__ import annotations

import pytest
from helpers.generators import make
from helpers.sampling import ADAPTIVE, UNKNOWN, V, outputs_of, sequence
from torch import Tensor

from speechrnn.generation import fixed_batches
from speechrnn.generation.adaptive_sampling import AdaptiveSampler
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.sampler import Sampler


def test_clusters_are_not_looked_into_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(V, **ADAPTIVE)
    sampler = Sampler(fixed_batches.FixedBatches(model), UNKNOWN)
    looked: list[int] = []
    inside = AdaptiveSampler.cluster_scores

    def counting(self: AdaptiveSampler, fitted: Tensor, rows: int, cluster: int) -> Tensor:
        looked.append(rows)
        return inside(self, fitted, rows, cluster)

    monkeypatch.setattr(AdaptiveSampler, "cluster_scores", counting)
    outputs = outputs_of(model, 200)
    plain = [sequence(GenerationOptions(), number) for number in range(200)]
    tokens, _ = sampler.choose(outputs, plain)
    assert sum(looked) == sum(token >= 10 for token in tokens)
    looked.clear()
    sampler.choose(outputs, [sequence(GenerationOptions(temperature=0.7), number) for number in range(200)])
    assert sum(looked) < 400
    looked.clear()
    sampler.choose(outputs, [sequence(GenerationOptions(top_k=4), number) for number in range(200)])
    assert not looked

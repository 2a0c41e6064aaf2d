"""Normalised features by construction."""

from __future__ import annotations

import torch

from speechrnn.audio.feature_normalisation import Normalise


def test_utterance_normalisation_by_construction() -> None:
    features = torch.tensor([[[1.0], [3.0], [100.0]]])
    normalised = Normalise("utterance", 1)(features, torch.tensor([2]))
    torch.testing.assert_close(normalised[0, :, 0], torch.tensor([-1.0, 1.0, 0.0]), atol=1e-4, rtol=0)


def test_training_statistics_by_construction() -> None:
    normalise = Normalise("training", 2)
    values = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    normalise.fit(values.sum(0), values.square().sum(0), len(values))
    assert normalise.mean.tolist() == [2.0, 10.0]
    result = normalise(values[None], torch.tensor([2]))[0]
    torch.testing.assert_close(result[:, 0], torch.tensor([-1.0, 1.0]))
    assert torch.isfinite(result).all()  # the second dimension never varies

"""Statistics of a training part: mean, deviation and level of its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechrnn.audio.features import FeatureOptions, FrontEnd
from speechrnn.data.dataset import Example, Utterances
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.training.fabric import TrainerOptions, make_fabric
from speechrnn.training.feature_statistics import fit_normalisation

RATE, GAINS = 8000, (0.5, 0.1, 0.02)


@pytest.fixture
def plan(tmp_path: Path) -> list[list[Example]]:
    """Noise of three levels and lengths, in two batches."""
    examples = []
    for number, gain in enumerate(GAINS):
        samples = np.random.default_rng(number).standard_normal(RATE + 800 * number).clip(-1.9, 1.9) * gain / 2
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, samples, RATE, subtype="FLOAT")
        examples.append(Example(str(number), path, "A", start=0.0, duration=len(samples) / RATE))
    return [examples[:2], examples[2:]]


def fitted(plan: list[list[Example]], normalisation: str, folder: Path) -> tuple[FrontEnd, list[torch.Tensor]]:
    """A front end with the statistics of a plan, and the features of the plan's utterances."""
    front = FrontEnd(FeatureOptions(sampling_rate=RATE, bins=12, normalisation=normalisation))  # type: ignore[arg-type]
    utterances = Utterances(CharTokenizer.build(["A"]), RATE)
    fit_normalisation(front, utterances, plan, fabric=make_fabric(TrainerOptions(accelerator="cpu"), folder))
    rows = []
    for example in plan[0] + plan[1]:
        samples = torch.from_numpy(utterances.load(example, 1.0))
        rows.append(front.extract(samples[None], torch.tensor([len(samples)]))[0][0])
    return front, rows


def test_mean_and_deviation_are_those_of_all_frames(plan: list[list[Example]], tmp_path: Path) -> None:
    front, rows = fitted(plan, "training", tmp_path)
    frames = torch.cat(rows).double()
    torch.testing.assert_close(front.normalise.mean.double(), frames.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(front.normalise.deviation.double(), frames.std(0, correction=0), atol=1e-3, rtol=0)


def test_the_level_is_the_mean_of_the_loudest_frames_and_is_subtracted_first(
    plan: list[list[Example]], tmp_path: Path
) -> None:
    front, rows = fitted(plan, "level", tmp_path)
    follower = front.normalise.level
    assert follower is not None
    loudest = torch.stack([row.mean(1).max() for row in rows])
    torch.testing.assert_close(follower.usual, loudest.mean(), atol=1e-3, rtol=0)
    relative = torch.cat([row - follower(row[None])[0][:, None] for row in rows]).double()
    torch.testing.assert_close(front.normalise.mean.double(), relative.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(front.normalise.deviation.double(), relative.std(0, correction=0), atol=1e-3, rtol=0)
    plain = torch.cat(rows).std(0)
    assert (front.normalise.deviation < 0.8 * plain).all()  # utterances of other levels differ less

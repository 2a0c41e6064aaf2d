"""A small acoustic model, and a prepared part of a corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.acoustic_models import RATE, save_listener
from lhotse import CutSet, Recording, SupervisionSegment

from speechrnn.audio import save_audio


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_listener(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared part of eight recordings of 0.2 to 0.6 s."""
    folder = tmp_path_factory.mktemp("cuts")
    generator = np.random.default_rng(0)
    prepared = []
    for number in range(8):
        path = folder / f"{number}.wav"
        samples = generator.standard_normal(round(generator.uniform(0.2, 0.6) * RATE)) * 0.1
        save_audio(path, samples.astype(np.float32), RATE)
        cut = Recording.from_file(path).to_cut()
        cut.supervisions = [SupervisionSegment(f"{number}", cut.recording_id, 0.0, cut.duration, text="AB C")]
        prepared.append(cut.with_id(f"{number}"))
    CutSet.from_cuts(prepared).to_file(folder / "cuts.jsonl.gz")
    return folder / "cuts.jsonl.gz"

"""facts.json: written in parts, read whole, and named where it is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.model_facts import FILE, ModelFacts, read_facts, update_facts
from speechrnn.decoding.uncertainty import DevStatistics, Uncertainty

TRAINING = TrainingFacts(9.0, 7644, 263, words=65895, vocabulary=8000, sampling_rates={"16000": 9.0}, narrow_band=False)
DEV = DevStatistics.of([Uncertainty(50.0 + number, 50) for number in range(20)])


def test_each_part_is_kept_when_the_other_is_written(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == ModelFacts()
    update_facts(tmp_path, training=TRAINING)
    update_facts(tmp_path, dev=DEV)
    assert read_facts(tmp_path) == ModelFacts(TRAINING, DEV)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        "{",
        '{"dev": [1, 2]}',
        '{"dev": 3}',
        '{"dev": {"utterances": -1, "uncertainty": 1, "deviation": 1}}',
        '{"dev": {"utterances": 9, "uncertainty": NaN, "deviation": 1}}',
        '{"dev": {"utterances": 9}}',
        '{"training": {"hours": "9"}}',
        json.dumps({"training": {**vars(TRAINING), "sampling_rates": {"high": 1.0}}}),
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_named_and_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UserError, match=f"{FILE}.*tune"):
        read_facts(tmp_path)
    update_facts(tmp_path, dev=DEV)
    assert read_facts(tmp_path) == ModelFacts(None, DEV)

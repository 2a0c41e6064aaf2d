"""Tests of tuning: the stage of a run and the recipe `tune` write the same entries."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from speechrnn.core.errors import UserError
from speechrnn.core.model_names import WEIGHTS
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.model_facts import read_facts, update_facts
from speechrnn.decoding.tuned_weights import TunedDecoding, find_uncalibrated, read_tuned, system_key, write_tuned
from speechrnn.decoding.tuning import TuningOptions
from speechrnn.decoding.uncertainty import DevStatistics
from speechrnn.experiments import tuning
from speechrnn.experiments.tuning import DEV, save_trained, tune_run, tune_systems
from speechrnn.nn.acoustic import load_acoustic, save_acoustic
from speechrnn.transcription.transcriber import Transcriber

GREEDY = (DecodingOptions(), None)
BEAM = (DecodingOptions(name="beam", beam_size=4, blank_threshold=1.0), None)
TUNING = TuningOptions(weights=(0.5,), rewards=(0.0,))


@pytest.fixture
def run(tmp_path: Path, model: Path, cuts: Path) -> Path:
    """The folder of a run: its acoustic model and its prepared dev part."""
    shutil.copytree(model, tmp_path / "run" / "acoustic")
    (tmp_path / "run" / "prepared").mkdir()
    shutil.copy(cuts, tmp_path / "run" / "prepared" / DEV)
    return tmp_path / "run"


def test_each_system_gets_an_entry_and_the_facts_of_the_dev_part_are_written(run: Path) -> None:
    model = run / "acoustic"
    transcriber = Transcriber.load(model, "cpu", precision="float32")
    results = tune_systems(
        transcriber, [GREEDY, BEAM], model, dev=run / "prepared" / DEV, tuning=TUNING, batch_seconds=10.0
    )
    assert list(results) == ["greedy", "bare_beam"]
    stored = read_tuned(model)
    assert {system_key(*system) for system in (GREEDY, BEAM)} == stored.keys()
    assert stored[system_key(*BEAM)] == results["bare_beam"]
    assert read_facts(model).dev is not None


def test_entries_of_other_systems_stay(run: Path) -> None:
    model = run / "acoustic"
    transcriber = Transcriber.load(model, "cpu", precision="float32")
    for system in (BEAM, GREEDY):
        tune_systems(transcriber, [system], model, dev=run / "prepared" / DEV, tuning=TUNING, batch_seconds=10.0)
    assert {system_key(*system) for system in (GREEDY, BEAM)} == read_tuned(model).keys()


def test_a_run_is_tuned_with_its_greedy_confidences(run: Path) -> None:
    tuned = tune_run(run, *BEAM, tuning=TUNING, device="cpu", batch_seconds=10.0)
    stored = read_tuned(run / "acoustic")
    assert stored[system_key(*BEAM)] == tuned
    assert system_key(*GREEDY) in stored


def test_it_is_recorded_what_confidences_were_calibrated_with(run: Path) -> None:
    letters = replace(BEAM[0], hot_words=("A",), unknown_penalty=-2.0)
    tuned = tune_run(run, letters, None, tuning=TUNING, device="cpu", batch_seconds=10.0)
    assert tuned.conditions == {"hot_words": "A: 6", "unknown_penalty": "-2"}
    stored = read_tuned(run / "acoustic")
    assert find_uncalibrated(stored, letters, None) == []
    assert find_uncalibrated(stored, BEAM[0], None) == ["hot_words", "unknown_penalty"]


def test_a_run_without_a_dev_part_is_refused(run: Path) -> None:
    (run / "prepared" / DEV).unlink()
    with pytest.raises(UserError, match=DEV):
        tune_run(run, *BEAM, tuning=TUNING, device="cpu", batch_seconds=10.0)


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing", "does not exist"), ("run.txt", "is a file, not a folder"), (".", "holds no trained acoustic model")],
)
def test_what_is_no_run_is_said_before_anything_is_loaded(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "run.txt").touch()
    with pytest.raises(UserError, match=problem) as error:
        tune_run(
            tmp_path / name,
            DecodingOptions(name="beam"),
            language_model=None,
            tuning=TuningOptions(),
            device="cpu",
            batch_seconds=10,
        )
    assert str(tmp_path / name) in str(error.value)


def test_what_was_tuned_for_other_weights_is_removed(model: Path, tmp_path: Path) -> None:
    network, tokenizer = load_acoustic(model)
    save_trained(tmp_path, network, tokenizer, summary={})
    write_tuned(tmp_path, {"greedy": TunedDecoding()})
    update_facts(tmp_path, dev=DevStatistics(utterances=20, uncertainty=0.3, deviation=0.2))
    save_trained(tmp_path, network, tokenizer, summary={"epochs": 1})  # the same weights
    assert read_tuned(tmp_path) and read_facts(tmp_path).dev is not None
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    save_trained(tmp_path, network, tokenizer, summary={"epochs": 2})
    assert read_tuned(tmp_path) == {} and read_facts(tmp_path).dev is None


def test_a_training_that_is_killed_while_it_writes_weights_keeps_nothing_that_was_tuned_for_others(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, tokenizer = load_acoustic(model)
    save_trained(tmp_path, network, tokenizer, summary={})
    write_tuned(tmp_path, {"greedy": TunedDecoding()})
    update_facts(tmp_path, dev=DevStatistics(utterances=20, uncertainty=0.3, deviation=0.2))
    with torch.no_grad():
        next(network.parameters()).add_(1.0)

    def save_and_die(*values: Any, **keys: Any) -> None:
        save_acoustic(*values, **keys)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "save_acoustic", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            save_trained(tmp_path, network, tokenizer, summary={"epochs": 1})
    save_trained(tmp_path, network, tokenizer, summary={"epochs": 1})  # the epoch again, to the same weights
    assert read_tuned(tmp_path) == {} and read_facts(tmp_path).dev is None


def test_weights_that_cannot_be_read_are_other_weights(model: Path, tmp_path: Path) -> None:
    network, tokenizer = load_acoustic(model)
    save_trained(tmp_path, network, tokenizer, summary={})
    write_tuned(tmp_path, {"greedy": TunedDecoding()})
    (tmp_path / WEIGHTS).write_bytes(b"cut short")
    save_trained(tmp_path, network, tokenizer, summary={})
    assert read_tuned(tmp_path) == {}

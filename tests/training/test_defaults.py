"""Defaults of an acoustic training by the amount of audio: sizes, explicit values, resumption, what the log says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio.features import FeatureOptions
from speechrnn.cli import help
from speechrnn.cli.overrides import compose
from speechrnn.core.config import build
from speechrnn.nn.acoustic import AcousticOptions
from speechrnn.training.acoustic_options import AcousticTrainerOptions
from speechrnn.training.defaults import (
    AUTO,
    GIGABYTE,
    AutoAcousticOptions,
    AutoFeatureOptions,
    AutoLanguageTrainerOptions,
    AutoTrainerOptions,
    Choice,
    Machine,
    TrainingAudio,
    choose,
)
from speechrnn.training.plan import planned_epochs

CPU = Machine(gpu=False, cores=2, memory=24 * GIGABYTE, processes=1)
GPU = Machine(gpu=True, cores=16, memory=128 * GIGABYTE, processes=1)


def audio_of(hours: float, rate: int = 16000) -> TrainingAudio:
    return TrainingAudio((10.0,) * max(1, round(hours * 360)), rate)


def choose_for(hours: float, machine: Machine = CPU, rate: int = 16000, **keys: Any) -> Choice:
    return choose(
        AutoFeatureOptions(),
        AutoAcousticOptions(),
        replace(AutoTrainerOptions(min_steps=300), **keys),
        audio=audio_of(hours, rate),
        machine=machine,
        speeds=(0.9, 1.0, 1.1),
    )


@pytest.mark.parametrize(
    ("hours", "epochs", "batch_seconds", "dropout"),
    [(1 / 6, 110, 45.0, 0.3), (1.0, 75, 45.0, 0.3), (10.0, 42, 115.0, 0.2), (100.0, 24, 285.0, 0.1)],
)
def test_the_sizes_of_the_guide(hours: float, epochs: int, batch_seconds: float, dropout: float) -> None:
    choice = choose_for(hours)
    assert (choice.trainer.epochs, choice.trainer.batch_seconds, choice.acoustic.dropout) == (
        epochs,
        batch_seconds,
        dropout,
    )
    assert choice.acoustic.stride == 3


@given(hours=st.floats(0.001, 2000.0), processes=st.integers(1, 4))
def test_a_training_is_of_a_reasonable_size_for_any_corpus(hours: float, processes: int) -> None:
    """Never 720,000 steps, nor a warm-up of 72,000, nor a cache beyond the memory."""
    durations = (hours * 3600 / 50,) * 50  # few long utterances, so that it is quick
    machine = replace(CPU, processes=processes)
    choice = choose(
        AutoFeatureOptions(),
        AutoAcousticOptions(),
        AutoTrainerOptions(min_steps=300),
        audio=TrainingAudio(durations, 16000),
        machine=machine,
        processes=processes,
    )
    trainer = choice.trainer
    steps = hours * 3600 * trainer.epochs / trainer.batch_seconds
    assert steps < 100_000
    assert trainer.warmup * min(steps, trainer.epochs * 50) <= 2001
    assert 0 < trainer.warmup <= 0.1
    assert 0.1 <= choice.acoustic.dropout <= 0.3
    assert trainer.cache_gigabytes * processes * max(trainer.workers, 1) <= 24 / 4 + 0.05
    assert AUTO not in (trainer.epochs, trainer.warmup, trainer.workers, choice.features.sampling_rate)


@given(st.floats(0.01, 500.0), st.floats(0.01, 500.0))
def test_more_audio_means_more_steps_of_larger_batches_in_fewer_epochs(first: float, second: float) -> None:
    less, more = (choose_for(hours) for hours in sorted((first, second)))
    assert less.trainer.epochs >= more.trainer.epochs
    assert less.trainer.batch_seconds <= more.trainer.batch_seconds
    assert less.acoustic.dropout >= more.acoustic.dropout


def test_an_explicit_value_wins_and_is_not_in_the_log() -> None:
    choice = choose_for(1.0, epochs=3, batch_seconds=20.0, warmup=0.5, workers=2, cache_gigabytes=0.5)
    trainer = choice.trainer
    assert (trainer.epochs, trainer.batch_seconds, trainer.warmup) == (3, 20.0, 0.5)
    assert (trainer.workers, trainer.cache_gigabytes) == (2, 0.5)
    assert choice.chosen.keys() == {"acoustic.stride", "acoustic.dropout", "features.sampling_rate"}
    (line,) = choice.reasons
    assert "dropout=0.3" in line and "epochs" not in line


def test_nothing_is_chosen_where_all_is_given() -> None:
    options = FeatureOptions(), AcousticOptions(dropout=0.2), AcousticTrainerOptions(epochs=7)
    choice = choose(*options, audio=audio_of(100.0), machine=CPU)
    assert (choice.features, choice.acoustic, choice.trainer) == options
    assert (choice.chosen, choice.reasons) == ({}, ())


def test_the_log_says_what_was_chosen_and_why() -> None:
    schedule, loading = choose_for(1.0).reasons
    for part in ("1 h of audio", "epochs=75", "batch_seconds=45", "warmup=0.1", "dropout=0.3", "stride=3"):
        assert part in schedule
    assert "2 cores" in loading and "all audio" in loading


def test_the_log_gives_little_audio_in_minutes() -> None:
    assert choose_for(90 / 3600).reasons[0].startswith("Chosen for 1 min 30 s of audio")


def test_the_log_says_where_the_minimum_of_steps_wins() -> None:
    choice = choose_for(0.02)
    assert any("trainer.min_steps=300 makes 150 epochs of 110" in line for line in choice.reasons)
    assert planned_epochs(choice.trainer.epochs, choice.trainer.min_steps, batches=2) == 150.0
    assert not any("min_steps" in line for line in choose_for(1.0).reasons)


def test_a_patience_that_is_auto_ends_no_training_whose_end_is_given() -> None:
    assert AutoLanguageTrainerOptions(min_steps=7300).chosen().patience == "auto"
    cases: tuple[dict[str, Any], ...] = ({"epochs": 750}, {"minutes": 60.0}, {"keep": "last"})
    for keys in cases:
        assert AutoLanguageTrainerOptions(**keys).chosen().patience is None
        assert AutoLanguageTrainerOptions(**keys, patience=30).chosen().patience == 30
    assert choose_for(0.02, patience="auto").trainer.patience == "auto"


def test_a_number_of_epochs_wins_over_the_minimum_of_steps() -> None:
    choice = choose_for(0.02, epochs=5)
    assert planned_epochs(choice.trainer.epochs, choice.trainer.min_steps, batches=2) == 5.0
    assert not any("min_steps" in line for line in choice.reasons)
    given = AutoLanguageTrainerOptions(epochs=1, min_steps=7300).chosen()
    assert planned_epochs(given.epochs, given.min_steps, batches=10) == 1.0
    automatic = AutoLanguageTrainerOptions(min_steps=7300).chosen()
    assert planned_epochs(automatic.epochs, automatic.min_steps, batches=10) == 730.0
    assert planned_epochs(automatic.epochs, automatic.min_steps, batches=1000) == 9.0


def test_the_warmup_of_a_wall_time_is_not_that_of_other_epochs() -> None:
    """It is capped when the steps are measured: 100 hours for one hour are few steps."""
    assert choose_for(100.0).trainer.warmup < 0.1
    assert choose_for(100.0, minutes=60.0).trainer.warmup == 0.1


def test_the_log_names_no_epochs_where_a_wall_time_is_given() -> None:
    choice = choose_for(0.02, minutes=5.0)
    assert "trainer.epochs" not in choice.chosen
    assert not any("epochs=" in line or "min_steps" in line for line in choice.reasons)
    assert "steps an epoch" in choice.reasons[0] or "step an epoch" in choice.reasons[0]


def test_a_cache_that_is_too_small_is_said_and_a_process_loads_instead() -> None:
    choice = choose_for(100.0)
    assert choice.trainer.workers == 1
    assert "% of the audio" in choice.reasons[-1]
    assert choose_for(10.0).trainer.workers == 0


def test_the_machine_changes_only_what_changes_no_result() -> None:
    on_cpu, on_gpu = choose_for(10.0), choose_for(10.0, GPU)
    assert on_gpu.chosen == on_cpu.chosen
    assert (on_gpu.features, on_gpu.acoustic) == (on_cpu.features, on_cpu.acoustic)
    assert on_gpu.trainer.workers == 8
    assert replace(on_gpu.trainer, workers=0, cache_gigabytes=1.0) == replace(
        on_cpu.trainer, workers=0, cache_gigabytes=1.0
    )


@pytest.mark.parametrize(
    ("rate", "chosen"), [(8000, 8000), (6000, 8000), (11025, 16000), (16000, 16000), (48000, 16000)]
)
def test_features_follow_the_band_of_the_recordings(rate: int, chosen: int) -> None:
    choice = choose_for(1.0, rate=rate)
    assert choice.features.sampling_rate == chosen
    assert any("8000 Hz" in line for line in choice.reasons) == (chosen == 8000)


def test_subwords_need_fewer_frames() -> None:
    options = AutoFeatureOptions(), AutoAcousticOptions(), AutoTrainerOptions()
    assert choose(*options, audio=audio_of(1.0), machine=CPU, subwords=True).acoustic.stride == 4


def test_auto_is_read_from_a_configuration_and_checked_beside_numbers() -> None:
    assert build(AutoTrainerOptions, {"epochs": "auto", "warmup": 0.2}, "trainer").epochs == AUTO
    with pytest.raises(Exception, match=r"trainer\.epochs=0 is wrong: it must be at least 1"):
        build(AutoTrainerOptions, {"epochs": 0}, "trainer")
    with pytest.raises(Exception, match=r"trainer\.epochs=automatic is wrong: .*auto"):
        build(AutoTrainerOptions, {"epochs": "automatic"}, "trainer")


# What the rows of docs/results.md were trained with; batch_seconds and epochs of each.
PUBLISHED = {"an4": (60.0, 110), "an4_fused": (60.0, 110), "an4_streaming": (60.0, 110), "yesno": (45.0, 60)}


@pytest.mark.parametrize("experiment", PUBLISHED)
def test_published_experiments_choose_nothing(experiment: str) -> None:
    config = compose([f"experiment={experiment}", "corpus.root=x"], "speech_to_text", help.root() / "conf")
    acoustic = build(AcousticOptions, config.acoustic, "acoustic")
    trainer = build(AcousticTrainerOptions, config.trainer, "trainer")
    assert (trainer.batch_seconds, trainer.epochs) == PUBLISHED[experiment]
    assert (trainer.warmup, trainer.min_steps, trainer.learning_rate) == (0.1, 300, 0.003)
    assert (acoustic.stride, acoustic.dropout, acoustic.layers, acoustic.units) == (3, 0.3, 3, 256)
    assert build(FeatureOptions, config.features, "features").sampling_rate == 16000


def test_the_demo_chooses_nothing_that_changes_its_result() -> None:
    config = compose([], "demo", help.root() / "conf")
    assert build(AcousticOptions, config.acoustic, "acoustic").stride == 4
    trainer = build(AutoTrainerOptions, config.trainer, "trainer")
    assert (trainer.epochs, trainer.batch_seconds, trainer.warmup) == (20, 45.0, 0.1)
    assert build(FeatureOptions, config.features, "features").sampling_rate == 16000


def test_what_was_chosen_is_json() -> None:
    json.dumps(choose_for(1.0).chosen)

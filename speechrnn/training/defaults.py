"""Defaults of a training: what is `auto` in its configuration, from the amount of audio and the machine.

What changes the result is a function of the prepared data, so that a training that is resumed, on whatever machine,
chooses the same. What only changes the speed (`workers`, `cache_gigabytes`) depends on the machine.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.plural import count
from speechrnn.core.progress import in_words
from speechrnn.data.batching import plan_batches
from speechrnn.nn.acoustic import AcousticOptions
from speechrnn.training.acoustic_options import AcousticTrainerOptions
from speechrnn.training.fabric import TrainerOptions
from speechrnn.training.language import LanguageTrainerOptions
from speechrnn.training.plan import MOST_WARMUP_STEPS, planned_epochs

if TYPE_CHECKING:
    from lhotse import CutSet

Auto = Literal["auto"]
AUTO: Auto = "auto"
OptionsT = TypeVar("OptionsT")
TrainerT = TypeVar("TrainerT", bound=TrainerOptions)

EPOCHS = (110, 75)  # most; and for one hour of audio
FINE_TUNING = 1 / 6  # of these epochs, where a training begins with a model
BATCH_SECONDS = 45.0  # up to one hour of audio
LANGUAGE_EPOCHS = 9
WARMUP = 0.1  # share of the training
DROPOUT = (0.1, 0.3)  # least; and for one hour of audio
NARROW_BAND = 8000  # Hz
MEMORY_SHARE = 0.25  # of the machine's memory, for decoded audio
MOST_WORKERS = 8  # of one process
BYTES = 2  # of a cached sample
GIGABYTE = 1 << 30


@dataclass(frozen=True)
class AutoTrainerOptions(AcousticTrainerOptions):
    """The keys of conf/trainer/acoustic, some of which may be `auto`.

    >>> AutoTrainerOptions(epochs=20).batch_seconds
    'auto'
    """

    epochs: int | Auto = field(default=AUTO, metadata={"min": 1})  # type: ignore[assignment]
    warmup: float | Auto = field(default=AUTO, metadata={"min": 0.0, "max": 1.0})  # type: ignore[assignment]
    batch_seconds: float | Auto = field(default=AUTO, metadata={"min": 0.1})  # type: ignore[assignment]
    workers: int | Auto = field(default=AUTO, metadata={"min": 0})  # type: ignore[assignment]
    cache_gigabytes: float | Auto = field(default=AUTO, metadata={"min": 0.0})  # type: ignore[assignment]


@dataclass(frozen=True)
class AutoLanguageTrainerOptions(LanguageTrainerOptions):
    """The keys of conf/trainer/language, of which the epochs and the patience are `auto`.

    >>> AutoLanguageTrainerOptions(min_steps=100).chosen().epochs
    9
    """

    epochs: int | Auto = field(default=AUTO, metadata={"min": 1})  # type: ignore[assignment]
    patience: int | Auto | None = field(default=AUTO, metadata={"min": 1})

    def chosen(self) -> LanguageTrainerOptions:
        """Return options with a number of epochs; one that is given wins over `min_steps`.

        >>> AutoLanguageTrainerOptions(epochs=1, min_steps=100).chosen().min_steps
        0
        """
        return _fill(LanguageTrainerOptions, with_given_end(self), {"epochs": LANGUAGE_EPOCHS})[0]


@dataclass(frozen=True)
class AutoAcousticOptions(AcousticOptions):
    """The keys of conf/acoustic, some of which may be `auto`.

    >>> AutoAcousticOptions(layers=2).stride
    'auto'
    """

    stride: int | Auto = field(default=AUTO, metadata={"min": 1, "max": 8})  # type: ignore[assignment]
    dropout: float | Auto = field(default=AUTO, metadata={"min": 0.0, "max": 0.95})  # type: ignore[assignment]


@dataclass(frozen=True)
class AutoFeatureOptions(FeatureOptions):
    """The keys of conf/features, of which the sampling rate may be `auto`.

    >>> AutoFeatureOptions(kind="mfcc").sampling_rate
    'auto'
    """

    sampling_rate: int | Auto = field(  # type: ignore[assignment]
        default=AUTO, metadata={"min": 1000, "max": 1_000_000}
    )


@dataclass(frozen=True)
class TrainingAudio:
    """The audio that a model is trained on.

    >>> TrainingAudio((1800.0, 1800.0), highest_rate=16000).hours
    1.0

    Attributes:
        durations: of each training utterance, seconds.
        highest_rate: of all recordings, Hz.
        dev_seconds: of the held-out part.
    """

    durations: tuple[float, ...]
    highest_rate: int
    dev_seconds: float = 0.0

    @classmethod
    def of(cls, train: CutSet, dev: CutSet | None) -> TrainingAudio:
        """Measure the training part and the held-out part of a corpus."""
        held_out = list(dev) if dev is not None else []
        return cls(
            tuple(cut.duration for cut in train),
            max((cut.recording.sampling_rate for cut in [*train, *held_out]), default=0),
            sum(cut.duration for cut in held_out),
        )

    @property
    def hours(self) -> float:
        """Return the hours of training audio."""
        return sum(self.durations) / 3600


@dataclass(frozen=True)
class Machine:
    """The part of a machine that a training has.

    >>> Machine(gpu=False, cores=2, memory=24 * GIGABYTE, processes=1).name
    'a CPU with 2 cores'

    Attributes:
        gpu: whether the network runs on GPUs.
        cores: that this process may use.
        memory: in bytes.
        processes: of the training on this machine.
    """

    gpu: bool
    cores: int
    memory: int
    processes: int

    @classmethod
    def here(cls, gpu: bool, processes: int) -> Machine:
        """Return the machine that this process runs on."""
        affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
        return cls(gpu, cores, memory_limit(), processes)

    @property
    def name(self) -> str:
        """Return the machine as a part of a sentence."""
        cores = f"{self.cores} core{'s' if self.cores != 1 else ''}"
        return f"a GPU and {cores}" if self.gpu else f"a CPU with {cores}"


def memory_limit() -> int:
    """Return the bytes of memory of this machine or container; 4 GiB where the system does not tell.

    >>> memory_limit() > 0
    True
    """
    sizes = []
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            sizes.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return min((size for size in sizes if size > 0), default=4 * GIGABYTE)


@dataclass(frozen=True)
class Choice:
    """Options without any `auto`.

    Attributes:
        features, acoustic, trainer: the options.
        chosen: the keys that were `auto` and change the result, with their values.
        reasons: sentences for the log.
    """

    features: FeatureOptions
    acoustic: AcousticOptions
    trainer: AcousticTrainerOptions
    chosen: dict[str, float]
    reasons: tuple[str, ...]


def choose(
    features: FeatureOptions,
    acoustic: AcousticOptions,
    trainer: AcousticTrainerOptions,
    *,
    audio: TrainingAudio,
    machine: Machine,
    speeds: Sequence[float] = (1.0,),
    processes: int = 1,
    subwords: bool = False,
    initial: bool = False,
) -> Choice:
    """Choose a value for each option that is `auto`; other values stay as they are.

    >>> audio = TrainingAudio((4.0,) * 900, highest_rate=16000)
    >>> machine = Machine(gpu=False, cores=2, memory=24 * GIGABYTE, processes=1)
    >>> choice = choose(AutoFeatureOptions(), AutoAcousticOptions(), AutoTrainerOptions(), audio=audio, machine=machine)
    >>> choice.trainer.epochs, choice.trainer.batch_seconds, choice.acoustic.dropout, choice.features.sampling_rate
    (75, 45.0, 0.3, 16000)

    Args:
        features, acoustic, trainer: options, as `AutoFeatureOptions`, `AutoAcousticOptions` and `AutoTrainerOptions`.
        audio: the corpus.
        machine: what this process runs on.
        speeds: factors of the augmentation; each of them is cached.
        processes: of the training, on all machines.
        subwords: whether the labels are words or their parts, of which there are fewer a second than characters.
        initial: whether the training begins with the weights of a model, whose sampling rate and stride it takes, and
            which needs fewer epochs.
    """
    if initial:
        features = _fill(FeatureOptions, features, {"sampling_rate": FeatureOptions().sampling_rate})[0]
        acoustic = replace(acoustic, stride=_value(acoustic, "stride", AcousticOptions().stride))
    hours = audio.hours
    passes = min(EPOCHS[0], EPOCHS[1] * max(hours, 1e-3) ** -0.25) * (FINE_TUNING if initial else 1.0)
    epochs = _value(trainer, "epochs", max(1, round(passes)))
    batch_seconds = _value(trainer, "batch_seconds", max(BATCH_SECONDS, 5.0 * round(BATCH_SECONDS / 5.0 * hours**0.4)))
    batches = (
        len(plan_batches(audio.durations, batch_seconds / processes, trainer.seed, epoch=0, world_size=processes))
        // processes
    )
    timed = trainer.minutes is not None  # the epochs are planned when the steps have been measured
    trainer = with_given_end(trainer)
    planned = int(planned_epochs(epochs, trainer.min_steps, batches))
    steps = planned * batches
    warmup = _value(trainer, "warmup", WARMUP if timed else min(WARMUP, MOST_WARMUP_STEPS / max(steps, 1)))
    dropout = round(min(DROPOUT[1], max(DROPOUT[0], DROPOUT[1] - 0.1 * math.log10(max(hours, 1.0)))), 2)
    rate = NARROW_BAND if 0 < audio.highest_rate <= NARROW_BAND else FeatureOptions().sampling_rate
    new_features, chosen_rate = _fill(FeatureOptions, features, {"sampling_rate": rate})
    new_network, chosen_network = _fill(AcousticOptions, acoustic, {"stride": 4 if subwords else 3, "dropout": dropout})
    held_out = BYTES * new_features.sampling_rate * audio.dev_seconds
    needed = BYTES * new_features.sampling_rate * sum(audio.durations) * sum(1 / speed for speed in set(speeds))
    loading = choose_loading(trainer, needed + held_out, machine)
    schedule = {"epochs": epochs, "batch_seconds": batch_seconds, "warmup": warmup}
    new_trainer, chosen = _fill(AcousticTrainerOptions, trainer, {**schedule, **loading})
    chosen_schedule = {
        key: value for key, value in chosen.items() if key in schedule and not (timed and key == "epochs")
    }
    chosen_loading = {key: value for key, value in chosen.items() if key in loading}

    reasons = []
    if chosen_schedule or chosen_network:
        listed = _listed({**chosen_schedule, **chosen_network})
        total = f"{count(batches, 'step')} an epoch" if timed else f"{count(steps, 'step')} in all"
        reasons.append(f"Chosen for {_amount(hours)} of audio: {listed}; {total}.")
    if planned > epochs and not timed:
        reasons.append(
            f"trainer.min_steps={trainer.min_steps} makes {planned} epochs of {epochs}: an epoch has "
            f"{count(batches, 'step')}; trainer.epochs={epochs} makes {epochs}."
        )
    if chosen_rate and rate == NARROW_BAND:
        reasons.append(f"No recording has more than {NARROW_BAND} Hz: features.sampling_rate={NARROW_BAND}.")
    if chosen_loading:
        share = new_trainer.cache_gigabytes * GIGABYTE / max(needed, 1.0)
        cached = "all audio" if share >= 1 else f"{share:.0%} of the audio, the rest is decoded in each epoch"
        reasons.append(f"Chosen for {machine.name}: {_listed(chosen_loading)}; the cache holds {cached}.")
    results = {
        **{f"trainer.{key}": value for key, value in chosen_schedule.items()},
        **{f"acoustic.{key}": value for key, value in chosen_network.items()},
        **{f"features.{key}": value for key, value in chosen_rate.items()},
    }
    return Choice(new_features, new_network, new_trainer, chosen=results, reasons=tuple(reasons))


def choose_loading(trainer: AcousticTrainerOptions, needed: float, machine: Machine) -> dict[str, float]:
    """Return the number of processes that load audio, and the size of the cache in each of them.

    >>> machine = Machine(gpu=False, cores=2, memory=16 * GIGABYTE, processes=1)
    >>> choose_loading(AutoTrainerOptions(), needed=1.0 * GIGABYTE, machine=machine)
    {'workers': 0, 'cache_gigabytes': 1.02}

    Args:
        trainer: options, of which either may be set.
        needed: bytes of all audio at all speeds.
        machine: what it runs on.
    """
    budget = MEMORY_SHARE * machine.memory / machine.processes
    spare = max(machine.cores // machine.processes - 1, 0)
    workers = min(spare, MOST_WORKERS)
    if not machine.gpu:  # the network needs the cores; audio that is in memory costs little
        room = _value(trainer, "cache_gigabytes", budget / GIGABYTE) * GIGABYTE
        workers = 0 if needed <= room else min(spare, 1)
    workers = _value(trainer, "workers", workers)
    gigabytes = min(1.02 * needed, budget / max(workers, 1)) / GIGABYTE
    return {"workers": workers, "cache_gigabytes": math.ceil(gigabytes * 100) / 100}


def with_given_end(trainer: TrainerT) -> TrainerT:
    """Return options of a training whose end the user may have given, in which nothing that is `auto` changes that end.

    Where the epochs are given, there is no `min_steps`. Where the epochs or the minutes are given, or the last epoch
    is kept, a patience that is `auto` ends nothing.

    >>> given = with_given_end(AutoTrainerOptions(epochs=1, min_steps=300, patience="auto"))
    >>> given.min_steps, given.patience
    (0, None)
    """
    epochs_given = trainer.epochs != AUTO
    end_given = epochs_given or trainer.minutes is not None or trainer.keep == "last"
    return replace(
        trainer,
        min_steps=0 if epochs_given else trainer.min_steps,
        patience=None if end_given and trainer.patience == AUTO else trainer.patience,
    )


def _value(options: Any, key: str, default: Any) -> Any:
    """Return the value of an option, or the default where it is `auto`."""
    value = getattr(options, key)
    return default if value == AUTO else value


def _fill(cls: type[OptionsT], options: Any, values: Mapping[str, float]) -> tuple[OptionsT, dict[str, float]]:
    """Return options with `values` in the place of each `auto`, and the values that were needed."""
    needed = {key: value for key, value in values.items() if getattr(options, key) == AUTO}
    every = {entry.name: getattr(options, entry.name) for entry in fields(cls)}  # type: ignore[arg-type]
    return cls(**{**every, **needed}), needed


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key}={value:.4g}" for key, value in values.items())


def _amount(hours: float) -> str:
    """Return an amount of audio: in hours from a tenth on, else in minutes and seconds."""
    return f"{hours:.3g} h" if hours >= 0.1 else in_words(hours * 3600)

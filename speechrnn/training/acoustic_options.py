"""Options of an acoustic model's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformOptions
from speechrnn.audio.features import ChannelOptions, FeatureOptions
from speechrnn.nn.acoustic import AcousticOptions
from speechrnn.training.fabric import TrainerOptions


@dataclass(frozen=True)
class AcousticTrainerOptions(TrainerOptions):
    """Options of an acoustic model's training; the pages of conf/trainer explain each key.

    >>> AcousticTrainerOptions(batch_seconds=20.0).workers
    0
    """

    batch_seconds: float = field(default=45.0, metadata={"min": 0.1})
    pronunciations: Path | None = None
    intermediate_weight: float = field(default=0.3, metadata={"min": 0.0, "max": 0.95})
    consistency_weight: float = field(default=0.0, metadata={"min": 0.0})
    label_priors: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    workers: int = field(default=0, metadata={"min": 0})
    cache_gigabytes: float = field(default=1.0, metadata={"min": 0.0})


@dataclass(frozen=True)
class AcousticSettings:
    """Options of an acoustic training: a record for each config group.

    >>> AcousticSettings(
    ...     FeatureOptions(), AcousticOptions(), SpecAugmentOptions(), WaveformOptions(), AcousticTrainerOptions()
    ... ).trainer.epochs
    60
    """

    features: FeatureOptions
    acoustic: AcousticOptions
    masks: SpecAugmentOptions
    waveform: WaveformOptions
    trainer: AcousticTrainerOptions
    channel: ChannelOptions = field(default_factory=ChannelOptions)

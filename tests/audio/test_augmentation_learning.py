"""A small model still learns with each augmentation: it reads sequences of tones after some seconds of training."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformAugment, WaveformOptions, change_speed
from speechrnn.audio.features import ChannelOptions, FeatureOptions
from speechrnn.data.dataset import pad
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.nn.ctc import ctc_loss

ROOT = Path(__file__).parents[2]
RATE = 8000
TONES = (500, 900, 1500, 2400)  # Hz, of the labels 1 to 4
NO_MASKS = SpecAugmentOptions(frequency_masks=0, time_masks=0)
NO_AUGMENTATION = WaveformOptions(speeds=(1.0,), padding=0.0, volume=(0.0, 0.0))
STEPS = 100

AUGMENTATIONS = {
    "speeds": replace(NO_AUGMENTATION, speeds=(0.9, 1.0, 1.1)),
    "padding": replace(NO_AUGMENTATION, padding=0.2),
    "volume": replace(NO_AUGMENTATION, volume=(-20.0, 6.0)),
    "noise": replace(NO_AUGMENTATION, noise=("noise.wav",), noise_share=1.0, snr=(10.0, 20.0)),
    "rooms": replace(NO_AUGMENTATION, rooms=("room.wav",), room_share=1.0),
    "codecs": replace(NO_AUGMENTATION, codec_share=1.0),
    "all": WaveformOptions(padding=0.2, noise=("noise.wav",), rooms=("room.wav",), volume=(-6.0, 6.0)),
}
TIME_MASKS = SpecAugmentOptions(frequency_masks=0, time_masks=2, time_width=0.04)
FREQUENCY_MASKS = SpecAugmentOptions(frequency_masks=1, frequency_width=2, time_masks=0)
MASKS = {
    "time masks": TIME_MASKS,
    "frequency masks": FREQUENCY_MASKS,
    "all": replace(TIME_MASKS, frequency_masks=1, frequency_width=2),
}
CHANNELS = {
    "warp": ChannelOptions(warp=(0.95, 1.05)),
    "gain": ChannelOptions(gain=6.0),
    "narrow": ChannelOptions(narrow_share=0.5, narrow=(2800.0, 3800.0)),
}
# The test that tries each key of conf/augmentation.
TRIED = {
    "waveform.speeds": "speeds",
    "waveform.padding": "padding",
    "waveform.volume": "volume",
    **{f"waveform.{key}": "noise" for key in ("noise", "noise_share", "snr")},
    **{f"waveform.{key}": "rooms" for key in ("rooms", "room_share")},
    **{f"waveform.{key}": "codecs" for key in ("codecs", "codec_share")},
    **{f"masks.{key}": "time masks" for key in ("time_masks", "time_width", "time_share")},
    **{f"masks.{key}": "frequency masks" for key in ("frequency_masks", "frequency_width")},
    **{f"channel.{key}": "narrow" for key in ("narrow", "narrow_share")},
    "channel.warp": "warp",
    "channel.gain": "gain",
}


def draw_utterance(generator: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """Draw samples (samples,) and labels of three to five tones with pauses around them."""
    labels = generator.integers(1, len(TONES) + 1, size=generator.integers(3, 6)).tolist()
    time = np.arange(round(0.1 * RATE)) / RATE
    parts = []
    for label in labels:
        parts += [
            np.zeros(round(0.05 * RATE)),
            0.3 * np.sin(2 * np.pi * TONES[label - 1] * time) * np.hanning(len(time)),
        ]
    samples = np.concatenate([*parts, np.zeros(round(0.05 * RATE))])
    return (samples + 0.002 * generator.standard_normal(len(samples))).astype(np.float32), labels


def final_loss(waveform: WaveformOptions, masks: SpecAugmentOptions, channel: ChannelOptions | None = None) -> float:
    """Train a small model and return its loss on clean utterances that it was not trained on, in nats a label."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    features = FeatureOptions(sampling_rate=RATE, bins=20)
    options = AcousticOptions(layers=1, units=32, channels=4, stride=2, dropout=0.0)
    model = AcousticModel(1 + len(TONES), features, options, masks=masks, channel=channel)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    augment = WaveformAugment(waveform, RATE)

    def loss_of_batch(size: int, augmented: bool) -> torch.Tensor:
        sounds, labels = [], []
        for _ in range(size):
            samples, row = draw_utterance(generator)
            if augmented:
                samples = change_speed(samples, augment.draw_speed(generator))
            sounds.append(augment(samples, generator) if augmented else plain(samples, generator))
            labels.append(row)
        waveforms, lengths = pad([sound.samples for sound in sounds])
        log_probs, frames = model(waveforms, lengths)
        speech = model.frames(torch.tensor([[sound.start, sound.end] for sound in sounds]))
        flat = torch.tensor([label for row in labels for label in row])
        return ctc_loss(
            log_probs, frames, flat, label_lengths=torch.tensor([len(row) for row in labels]), spoken=speech
        )

    plain = WaveformAugment(NO_AUGMENTATION, RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = loss_of_batch(12, augmented=True)
        assert loss < 100, "labels were allowed nowhere"
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    model.front_end.eval()  # channels change speech in training only
    with torch.inference_mode():
        return float(loss_of_batch(64, augmented=False))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a noise and a room impulse response."""
    folder = tmp_path_factory.mktemp("sounds")
    generator = np.random.default_rng(0)
    soundfile.write(folder / "noise.wav", 0.1 * generator.standard_normal(2 * RATE), RATE)
    decay = np.exp(-np.arange(RATE // 5) / (0.02 * RATE))
    room = 0.1 * decay * generator.standard_normal(len(decay))
    room[20] = 0.9
    soundfile.write(folder / "room.wav", room, RATE)
    return folder


@pytest.fixture(scope="module")
def loss_without() -> float:
    return final_loss(NO_AUGMENTATION, NO_MASKS)


@pytest.mark.integration  # trains models
@pytest.mark.parametrize("name", dict.fromkeys([*AUGMENTATIONS, *MASKS, *CHANNELS]))
def test_a_model_learns_with_each_augmentation(name: str, files: Path, loss_without: float) -> None:
    waveform = AUGMENTATIONS.get(name, NO_AUGMENTATION)
    waveform = replace(
        waveform,
        noise=tuple(str(files / noise) for noise in waveform.noise),
        rooms=tuple(str(files / room) for room in waveform.rooms),
    )
    loss = final_loss(waveform, MASKS.get(name, NO_MASKS), CHANNELS.get(name))
    print(f"{name}: {loss:.3f} nats a label, {loss_without:.3f} without")
    assert loss_without < 0.1
    assert loss < 0.3


def test_every_augmentation_is_tried() -> None:
    page = yaml.safe_load((ROOT / "conf" / "augmentation" / "standard.yaml").read_text(encoding="utf-8"))
    keys = {f"{group}.{key}" for group, values in page.items() for key in values}
    records = {"masks": SpecAugmentOptions, "channel": ChannelOptions, "waveform": WaveformOptions}
    assert keys == {f"{group}.{entry.name}" for group, record in records.items() for entry in fields(record)}
    assert keys == set(TRIED)
    assert set(TRIED.values()) <= {*AUGMENTATIONS, *MASKS, *CHANNELS}

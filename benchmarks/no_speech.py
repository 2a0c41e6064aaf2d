"""Claim: sound in which nobody speaks has no words live: noise, hum, drums, chords, melodies, and tones with vibrato.

Prints how many seconds of synthetic sound (--minutes, each kind equally long) the gate of `speechrnn listen` lets
through, and, on a tenth of it, how many words a model has with the gate and without it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from timing import line, machine, parser, stop

from speechrnn.audio.streaming_vad import StreamingSpeechDetector
from speechrnn.audio.vad import SileroDetector
from speechrnn.core.errors import UserError
from speechrnn.transcription.speech_gate import SpeechGate, SpeechGateOptions
from speechrnn.transcription.streamer import StreamingRecognizer

RATE = 16000  # Hz
FRAME = 0.03  # seconds
PACKET = RATE // 5  # samples

Sound = Callable[[np.random.Generator, int], np.ndarray]


def white(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make white noise."""
    return generator.standard_normal(samples) * 0.1


def pink(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make noise of the same power in each octave."""
    spectrum = np.fft.rfft(generator.standard_normal(samples))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), samples)
    return noise / np.abs(noise).max() * 0.5


def gusts(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make noise whose level changes each tenth of a second."""
    return white(generator, samples) * 2 * np.repeat(generator.random(samples // 1600 + 1), 1600)[:samples]


def hum(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make the hum of mains and its harmonics."""
    time = np.arange(samples) / RATE
    return 0.2 * sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3, 4, 6)) + white(generator, samples) * 0.03


def drums(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make strokes of decaying noise."""

    def stroke(count: int) -> np.ndarray:
        return white(generator, count) * 5 * np.exp(-np.arange(count) / RATE * generator.uniform(15, 60))

    return in_turn(generator, samples, stroke, longest=0.5)


def tone(frequency: float, samples: int, vibrato: float = 0.0, partials: int = 6) -> np.ndarray:
    """Make a tone whose k-th partial has the amplitude 1 / k; `vibrato` is its depth as a share of the frequency."""
    time = np.arange(samples) / RATE
    phase = 2 * np.pi * frequency * time + vibrato * frequency / 5.5 * np.sin(2 * np.pi * 5.5 * time)
    return np.sum([np.sin(k * phase) / k for k in range(1, partials + 1)], axis=0)


def chords(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make major chords."""

    def chord(count: int) -> np.ndarray:
        root = 110 * 2 ** (generator.integers(0, 24) / 12)
        return 0.12 * np.sum([tone(root * 2 ** (step / 12), count) for step in (0, 4, 7)], axis=0)

    return in_turn(generator, samples, chord)


def melody(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make single notes."""
    return in_turn(generator, samples, lambda count: 0.25 * tone(220 * 2 ** (generator.integers(0, 24) / 12), count))


def vibrato(generator: np.random.Generator, samples: int) -> np.ndarray:
    """Make notes with the vibrato of a singer, in the range of a voice."""
    return in_turn(
        generator,
        samples,
        lambda count: 0.2 * tone(200 * 2 ** (generator.integers(0, 18) / 12), count, vibrato=0.03, partials=12),
    )


def in_turn(
    generator: np.random.Generator, samples: int, make: Callable[[int], np.ndarray], longest: float = 1.5
) -> np.ndarray:
    """Join notes of 0.15 s to `longest` seconds, each faded in and out."""
    parts, missing = [], samples
    while missing > 0:
        count = round(generator.uniform(0.15, longest) * RATE)
        fade = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.03 * RATE))
        parts.append(make(count) * fade)
        missing -= count
    return np.concatenate(parts)[:samples]


SOUNDS: tuple[Sound, ...] = (white, pink, gusts, hum, drums, chords, melody, vibrato)


def seconds_let_through(detector: SileroDetector, sound: np.ndarray) -> float:
    """Return how many seconds of a sound the gate lets through."""
    gate = SpeechGate(SpeechGateOptions(), StreamingSpeechDetector(detector, RATE), FRAME)
    frames = len(sound) // round(FRAME * RATE)
    for place in range(0, len(sound), PACKET):
        gate.accept(sound[place : place + PACKET], last=place + PACKET >= len(sound))
    found = gate.apply(torch.full((frames, 2), -1.0), last=True)
    return FRAME * int((found[:, 1] == -1.0).sum())


def count_words(recognizer: StreamingRecognizer, sound: np.ndarray) -> int:
    """Return how many words a model has for a sound."""
    streamer, words = recognizer.stream(RATE), 0
    for place in range(0, len(sound), PACKET):
        words += sum(
            len(event.words) for event in streamer.accept(sound[place : place + PACKET]) if event.kind == "final"
        )
    return words + sum(len(event.words) for event in streamer.finish())


def main() -> None:
    """Print the result lines."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--model", default="english", help="name or directory (english)")
    options.add_argument("--minutes", type=float, default=60.0, help="of sound in all (60)")
    args = options.parse_args()
    torch.set_num_threads(1)
    print(machine(1))
    minutes = 0.4 if args.quick else args.minutes
    samples = round(minutes * 60 * RATE / len(SOUNDS))
    try:
        detector = SileroDetector()
        gated, open_to_all = (
            StreamingRecognizer.load(args.model, decoding="greedy", gate=SpeechGateOptions(detector=name))
            for name in ("silero", "none")
        )
    except UserError as error:
        stop(str(error))
    through, ours, peer = 0.0, 0, 0
    for number, make in enumerate(SOUNDS):
        sound = make(np.random.default_rng(number), samples).astype(np.float32)
        seconds = seconds_let_through(detector, sound)
        through += seconds
        part = sound[: samples // 10]
        words = count_words(gated, part), count_words(open_to_all, part)
        ours, peer = ours + words[0], peer + words[1]
        print(f"{make.__name__}: {seconds:.1f} s let through; on a tenth {words[0]} words, without the gate {words[1]}")
    print(
        line(
            "live_no_speech_seconds",
            60 * minutes / max(through, FRAME),
            through,
            peer=60 * minutes,
            unit="s let through",
        )
    )
    print(line("live_no_speech_words", (peer + 1) / (ours + 1), ours, peer=peer, unit="words"))


if __name__ == "__main__":
    main()

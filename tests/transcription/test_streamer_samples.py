"""Live recognition of sound in which nobody speaks, and of samples that are no speech."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from helpers.acoustic_models import RATE
from helpers.streams import KINDS, RECOGNIZERS, check_promises, finals, make_recognizer, noise, run

from speechrnn.audio.errors import AudioError
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.model_facts import ModelFacts
from speechrnn.transcription.endpoint import HARD_LIMIT, EndpointOptions
from speechrnn.transcription.speech_gate import SpeechGateOptions
from speechrnn.transcription.transcript_warnings import CHANNELS_CANCEL, NARROW_BAND


@pytest.mark.parametrize("kind", KINDS)
def test_sound_in_which_nobody_speaks_has_no_words(kind: str) -> None:
    pytest.importorskip("silero_vad")
    sound = noise(6 * RATE)
    assert finals(run(make_recognizer(kind).stream(), sound, [1600]))
    assert run(make_recognizer(kind, gate=SpeechGateOptions()).stream(), sound, [1600, 7]) == []


def test_a_partial_on_demand_has_no_words_either_where_nobody_speaks() -> None:
    pytest.importorskip("silero_vad")
    streamer = make_recognizer(gate=SpeechGateOptions(before=0.0)).stream()
    streamer.accept(noise(2 * RATE))
    silent_until = (2 * RATE // 2048 - 1) * 2048 / RATE
    assert all(word.start >= silent_until - 0.1 for word in streamer.partial().words)


def sine(hertz: float, seconds: int) -> np.ndarray:
    return np.sin(np.arange(seconds * RATE) / RATE * 2 * np.pi * hertz)


def steady(kind: str, seconds: int) -> np.ndarray:
    """Sound that is no speech and never pauses."""
    generator = np.random.default_rng(1)
    if kind == "hum":
        sound = np.sum([sine(50.0 * number, seconds) / number for number in range(1, 12)], axis=0)
    elif kind == "music":
        chords = [(262, 330, 392), (294, 349, 440), (247, 294, 392)]
        envelope = np.exp(-3 * (np.arange(seconds * RATE) % (RATE // 2)) / RATE)
        turns = np.arange(seconds * RATE) // (RATE // 2) % 3
        tones = [np.sum([sine(note * n, seconds) / n for note in chord for n in (1, 2, 3)], axis=0) for chord in chords]
        sound = envelope * np.select([turns == number for number in range(3)], tones)
    else:
        sound = generator.standard_normal(seconds * RATE)
    return np.asarray(sound / np.abs(sound).max() * 0.5, np.float32)


@pytest.mark.parametrize("kind", ["white", "hum", "music"])
@pytest.mark.parametrize("decoding", ["greedy", "beam"])
def test_noise_keeps_no_segment_open(kind: str, decoding: str) -> None:
    longest = 4.0
    streamer = make_recognizer(decoding, endpoint=EndpointOptions(0.8, longest)).stream()
    sound, events, lengths = steady(kind, 30), [], []
    for place in range(0, len(sound), 1600):
        events += streamer.accept(sound[place : place + 1600])
        lengths.append(streamer.segment.frames * streamer.recognizer.seconds_per_frame)
    events += streamer.finish()
    limit = HARD_LIMIT * longest + 0.1
    assert max(lengths) <= limit
    assert all(event.words[-1].end - event.words[0].start <= limit for event in events if event.words)
    check_promises(events)


def test_digital_silence_has_no_words() -> None:
    streamer = RECOGNIZERS["beam"].stream()
    events = [event for _ in range(60) for event in streamer.accept(np.zeros(RATE, np.int16))]
    assert events + streamer.finish() == []


def test_nan_and_infinite_samples_count_as_silence(caplog: pytest.LogCaptureFixture) -> None:
    sound = noise(2 * RATE)
    damaged = sound.copy()
    damaged[5000:5010] = np.nan
    damaged[6000] = np.inf
    repaired = np.where(np.isfinite(damaged), damaged, 0.0).astype(np.float32)
    recognizer = RECOGNIZERS["greedy"]
    with caplog.at_level(logging.WARNING, "speechrnn"):
        events = run(recognizer.stream(), damaged, [1000])
    assert events == run(recognizer.stream(), repaired, [1000])
    assert len([record for record in caplog.records if "NaN" in record.message]) == 1


def test_clipped_samples_are_sound() -> None:
    events = run(RECOGNIZERS["greedy"].stream(), np.clip(noise(2 * RATE) * 100, -1, 1), [1000])
    assert finals(events)


def test_floats_beyond_full_scale_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "speechrnn"):
        run(RECOGNIZERS["greedy"].stream(), noise(RATE) * 32768, [1000])
    assert len([record for record in caplog.records if "full scale" in record.message]) == 1


def test_packets_may_be_empty_integer_or_of_channels() -> None:
    recognizer = RECOGNIZERS["greedy"]
    sound = (noise(2 * RATE) * 20000).astype(np.int16)
    streamer = recognizer.stream()
    events = streamer.accept(np.zeros(0, np.int16))
    for place in range(0, len(sound), 1000):
        part = sound[place : place + 1000]
        events += streamer.accept(np.stack([part, part], 1))
    events += streamer.finish()
    expected = run(recognizer.stream(), sound.astype(np.float32) / 32768, [1000])
    assert [event.text for event in finals(events)] == [event.text for event in finals(expected)]


def test_an_empty_stream_has_no_events() -> None:
    assert RECOGNIZERS["beam"].stream().finish() == []
    assert run(RECOGNIZERS["beam"].stream(), noise(5), [1]) == []


def test_what_is_no_sound_is_refused() -> None:
    streamer = RECOGNIZERS["greedy"].stream()
    with pytest.raises(AudioError, match="array"):
        streamer.accept(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(AudioError, match=r"sampling rate.* 7"):
        RECOGNIZERS["greedy"].stream(7)
    streamer.finish()
    with pytest.raises(ValueError, match="ended"):
        streamer.accept(np.zeros(5, np.float32))


def test_a_bad_packet_takes_nothing_from_the_streams_beside_it() -> None:
    recognizer, sound = RECOGNIZERS["greedy"], noise(2 * RATE)
    alone = recognizer.stream()
    expected = alone.accept(sound) + alone.finish()
    streams = [recognizer.stream(), recognizer.stream()]
    with pytest.raises(AudioError, match="Samples must be"):
        recognizer.accept(streams, [sound, np.zeros(10, np.complex64)])
    streams[1].finish()
    with pytest.raises(ValueError, match="ended"):
        recognizer.accept(streams, [sound, sound])
    assert streams[0].accept(sound) + streams[0].finish() == expected


def test_a_stream_below_the_rates_of_training_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    facts = ModelFacts(
        TrainingFacts(1.0, 100, 10, words=1000, vocabulary=100, sampling_rates={"16000": 1.0}, narrow_band=False)
    )
    recognizer = make_recognizer(endpoint=EndpointOptions(0.3, 1.5), facts=facts)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        events = finals(run(recognizer.stream(8000), noise(6 * RATE), [1600]))
    assert caplog.text.count("8000 Hz") == 1
    assert [len(event.warnings) for event in events] == [1] + [0] * (len(events) - 1)
    assert events[0].warnings[0].kind == NARROW_BAND
    assert recognizer.stream(16000).warnings.all == ()


def test_channels_that_cancel_each_other_out_give_way_to_one() -> None:
    sound = noise(6 * RATE)
    sound[:RATE] *= 0.0
    streamer, alone = (make_recognizer(endpoint=EndpointOptions(0.3, 1.5)).stream() for _ in range(2))
    events = run(streamer, np.stack([sound, -sound], 1)[RATE:], [1600])  # (samples, channels)
    assert [warning.kind for warning in streamer.warnings.all] == [CHANNELS_CANCEL]
    assert finals(events)
    assert finals(run(alone, np.concatenate([np.zeros(RATE, np.float32), sound[2 * RATE :]]), [1600])) == [
        replace(event, warnings=()) for event in finals(events)
    ]

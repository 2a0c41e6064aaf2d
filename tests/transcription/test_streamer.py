"""Live recognition: words do not depend on packets, promises hold, and bad input does not end a stream."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.acoustic_models import RATE, streaming_model
from helpers.bundles import save_bundle
from helpers.language_models import toy_model
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.errors import AudioError
from speechrnn.core.errors import UserError
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.decoder import BeamDecoder, GreedyDecoder
from speechrnn.decoding.fusion import LANGUAGE, LENGTH, NGRAM, DecodingOptions
from speechrnn.decoding.model_facts import ModelFacts
from speechrnn.decoding.scorers.base import LabelScorer, WeightedScorer
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.decoding.streaming import StreamingBeamDecoder
from speechrnn.nn.acoustic import save_acoustic
from speechrnn.transcription.endpoint import HARD_LIMIT, EndpointOptions
from speechrnn.transcription.events import Event
from speechrnn.transcription.speech_gate import SpeechGateOptions
from speechrnn.transcription.streamer import Streamer, StreamingRecognizer
from speechrnn.transcription.streaming_options import blocks_for
from speechrnn.transcription.transcriber import Transcriber
from speechrnn.transcription.transcript_warnings import CHANNELS_CANCEL, NARROW_BAND

MODEL, TOKENIZER = streaming_model()
KINDS = ["greedy", "beam", "fused"]
OPEN = SpeechGateOptions(detector="none")


def make_decoder(kind: str) -> GreedyDecoder | BeamDecoder:
    if kind == "greedy":
        return GreedyDecoder(TOKENIZER, MODEL.seconds_per_frame)
    scorers = []
    if kind == "fused":
        model = LabelScorer(NeuralModel(toy_model(len(TOKENIZER))), torch.arange(len(TOKENIZER)))
        scorers = [WeightedScorer(model, 0.5, LANGUAGE)]
    return BeamDecoder(TOKENIZER, MODEL.seconds_per_frame, DecodingOptions(name="beam", beam_size=6), scorers)


def make_recognizer(kind: str = "greedy", **options: object) -> StreamingRecognizer:
    return StreamingRecognizer(MODEL, TOKENIZER, "tiny", decoder=make_decoder(kind), **options)  # type: ignore[arg-type]


RECOGNIZERS = {kind: make_recognizer(kind, endpoint=EndpointOptions(0.3, 1.5)) for kind in KINDS}


def scorers_of(recognizer: StreamingRecognizer) -> list[str]:
    assert isinstance(recognizer.decoder, StreamingBeamDecoder)
    return [scorer.name for scorer in recognizer.decoder._decoder.scorers]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Bursts of noise with pauses of a second between them."""
    generator = np.random.default_rng(seed)
    sound = generator.standard_normal(samples) * 0.2
    sound *= np.sin(np.arange(samples) / RATE * 2 * np.pi * 3) ** 2
    sound[(np.arange(samples) // RATE) % 3 == 2] *= 0.001
    return sound.astype(np.float32)


def run(streamer: Streamer, samples: np.ndarray, packets: Sequence[int]) -> list[Event]:
    events, place, turn = [], 0, 0
    while place < len(samples):
        packet = samples[place : place + packets[turn % len(packets)]]
        place, turn = place + len(packet), turn + 1
        events += streamer.accept(packet)
    return events + streamer.finish()


def finals(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.kind == "final"]


def check_promises(events: Sequence[Event]) -> None:
    stable: dict[int, tuple] = {}
    ended = -1
    for event in events:
        assert event.segment == ended + 1
        before = stable.get(event.segment, ())
        assert event.words[: len(before)] == before
        assert event.stable_words >= len(before)
        assert len(event.words) >= event.stable_words
        assert event.text == " ".join(word.word for word in event.words)
        stable[event.segment] = event.words[: event.stable_words]
        if event.kind == "final":
            assert event.stable_words == len(event.words)
            ended = event.segment
    words = [word for event in finals(events) for word in event.words]
    assert all(word.start < word.end for word in words)
    assert all(word.start <= other.start for word, other in pairwise(words))
    partial = {event.segment for event in events if event.kind == "partial"}
    assert partial <= {event.segment for event in finals(events)}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(
    samples=st.integers(200, 8 * RATE),
    packets=st.lists(st.integers(1, 10 * RATE), min_size=1, max_size=3),
)
def test_the_words_do_not_depend_on_packets(kind: str, samples: int, packets: list[int]) -> None:
    if max(packets) < 200:
        packets = [*packets, 1600]
    sound = noise(samples)
    whole = run(RECOGNIZERS[kind].stream(), sound, [samples])
    events = run(RECOGNIZERS[kind].stream(), sound, packets)
    assert finals(events) == finals(whole)
    check_promises(events)
    check_promises(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_are_those_of_the_simulated_run(kind: str) -> None:
    sound = noise(5 * RATE)
    recognizer = make_recognizer(kind, endpoint=EndpointOptions(60.0, 60.0))
    (final,) = finals(run(recognizer.stream(), sound, [480]))
    with torch.inference_mode():
        log_probs, frames = MODEL(torch.from_numpy(sound)[None], torch.tensor([len(sound)]), blocks_for(0.6, MODEL))
    other = make_recognizer(kind).decoder
    state = other.start()
    other.advance([state], [log_probs[0]])
    result = other.finish(state)
    assert final.text == result.texts[0] and final.text
    assert int(frames) == len(log_probs[0])


@pytest.mark.parametrize("kind", KINDS)
def test_streams_of_several_rates_share_batches(kind: str) -> None:
    recognizer = RECOGNIZERS[kind]
    sounds = [noise(3 * RATE, seed) for seed in range(3)]
    alone = [
        run(recognizer.stream(rate), sound, [800]) for rate, sound in zip((16000, 8000, 44100), sounds, strict=True)
    ]
    streamers = [recognizer.stream(rate) for rate in (16000, 8000, 44100)]
    events: list[list[Event]] = [[], [], []]
    for place in range(0, 3 * RATE, 800):
        for into, new in zip(
            events, recognizer.accept(streamers, [s[place : place + 800] for s in sounds]), strict=True
        ):
            into += new
    ends = recognizer.accept(streamers, [np.zeros(0, np.float32)] * 3, [True] * 3)
    for into, new, expected in zip(events, ends, alone, strict=True):
        into += new
        assert [event.text for event in finals(into)] == [event.text for event in finals(expected)]
        check_promises(into)


def test_a_stream_has_partials_before_its_finals_and_several_segments() -> None:
    events = run(RECOGNIZERS["greedy"].stream(), noise(8 * RATE), [1600])
    assert len(finals(events)) > 2
    assert any(event.kind == "partial" and event.text for event in events)
    assert any(event.kind == "partial" and event.stable_words for event in events)


@pytest.mark.parametrize("kind", KINDS)
def test_partials_hold_back_the_latest_words_unless_they_are_stable(kind: str) -> None:
    sound, endpoint = noise(12 * RATE), EndpointOptions(0.3, 1.5)
    at_once = run(make_recognizer(kind, endpoint=endpoint).stream(), sound, [1600])
    held = run(make_recognizer(kind, endpoint=endpoint, hold=0.3).stream(), sound, [1600])
    check_promises(held)
    assert finals(held) == finals(at_once)
    partials = [event for event in held if event.kind == "partial"]
    assert partials
    assert all(word.end <= event.time - 0.3 + 1e-3 for event in partials for word in event.words[event.stable_words :])
    latest = [event.words[-1].end > event.time - 0.3 for event in at_once if event.kind == "partial" and event.words]
    assert any(latest)  # that is what is held back


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_partial_on_demand_has_the_buffered_audio_and_changes_nothing(kind: str) -> None:
    recognizer = make_recognizer(kind, endpoint=EndpointOptions(60.0, 60.0))
    sound = noise(2 * RATE)
    plain = run(recognizer.stream(), sound, [400])
    streamer, asked = recognizer.stream(), []
    for place in range(0, len(sound), 400):
        asked += streamer.accept(sound[place : place + 400])
        partial = streamer.partial()
    asked += streamer.finish()
    assert asked == plain
    assert partial.text == finals(plain)[0].text


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow(kind: str) -> None:
    streamer = RECOGNIZERS[kind].stream()
    sizes = []
    for second in range(40):
        streamer.accept(noise(RATE, second))
        held = [*streamer.decoding_state.blocks, *streamer.network_state.packets, streamer._silence_gate._ranges]
        held += [tensor for stage in streamer.network_state.tensors for tensor in stage]
        sizes.append(sum(tensor.numel() for tensor in held))
    assert max(sizes[20:]) <= 1.5 * max(sizes[:20])


def test_words_and_times_repeat_as_the_sound_does() -> None:
    recognizer = make_recognizer(endpoint=EndpointOptions(0.3, 5.0))
    period = 20 * recognizer.network.blocks.size * recognizer.step  # samples: blocks begin at the same places each time
    sound = noise(period)
    streamer, found = recognizer.stream(), []
    for _ in range(30):
        found += [word for event in finals(streamer.accept(sound)) for word in event.words]
    rounds: dict[int, list[tuple[str, float]]] = {}
    for word in found:
        number, start = divmod(round(word.start * RATE), period)
        rounds.setdefault(number, []).append((word.word, round(start / RATE, 2)))
    settled = [rounds[number] for number in range(3, 29)]
    assert settled[0] and all(words == settled[0] for words in settled)


def test_after_hours_times_are_right_to_the_millisecond() -> None:
    sound = noise(4 * RATE)
    recognizer = RECOGNIZERS["greedy"]
    early = finals(run(recognizer.stream(), sound, [1600]))
    streamer = recognizer.stream()
    hours = round(5 * 3600 / recognizer.seconds_per_frame)  # frames
    streamer._first += hours
    late = finals(run(streamer, sound, [1600]))
    offset = hours * recognizer.seconds_per_frame
    for event, other in zip(early, late, strict=True):
        for word, same in zip(event.words, other.words, strict=True):
            assert (same.word, same.start, same.end) == (
                word.word,
                pytest.approx(word.start + offset, abs=0.001),
                pytest.approx(word.end + offset, abs=0.001),
            )


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
        lengths.append(streamer.frames * streamer.recognizer.seconds_per_frame)
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
    with pytest.raises(AudioError, match="7 Hz"):
        RECOGNIZERS["greedy"].stream(7)
    streamer.finish()
    with pytest.raises(ValueError, match="ended"):
        streamer.accept(np.zeros(5, np.float32))


def test_a_slow_machine_may_decode_greedily_or_in_larger_blocks() -> None:
    recognizer = make_recognizer("fused", endpoint=EndpointOptions(0.3, 1.0))
    streamer = recognizer.stream()
    events = streamer.accept(noise(3 * RATE))
    streamer.simplify("greedy")
    streamer.simplify("larger_blocks")
    for second in range(5):
        events += streamer.accept(noise(RATE, second))
    events += streamer.finish()
    assert streamer.decoder is recognizer.greedy
    check_promises(events)


def test_hot_words_belong_to_a_stream() -> None:
    recognizer = make_recognizer("beam")
    recognizer.stream(hot_words=["ABBA"])
    with pytest.raises(UserError, match="hot words"):
        recognizer.stream(hot_words=["XYZ"])
    with pytest.raises(UserError, match="greedy"):
        RECOGNIZERS["greedy"].stream(hot_words=["ABBA"])


def test_hot_words_of_a_stream_do_not_change_its_neighbours() -> None:
    options = DecodingOptions(name="beam", beam_size=6, hot_word_boost=20.0, symbol_threshold=0.0, blank_threshold=1.0)
    options = replace(options, beam_threshold=None)
    decoder = BeamDecoder(TOKENIZER, MODEL.seconds_per_frame, options, [])
    recognizer = StreamingRecognizer(MODEL, TOKENIZER, "tiny", decoder=decoder)
    sound = noise(3 * RATE)

    def texts(events: Sequence[Event]) -> list[str]:
        return [event.text for event in finals(events)]

    streamers = [recognizer.stream(hot_words=["CB"]), recognizer.stream()]
    events: list[list[Event]] = [[], []]
    for place in range(0, len(sound), 800):
        for into, new in zip(events, recognizer.accept(streamers, [sound[place : place + 800]] * 2), strict=True):
            into += new
    for into, streamer in zip(events, streamers, strict=True):
        into += streamer.finish()
    assert texts(events[0]) == texts(run(recognizer.stream(hot_words=["CB"]), sound, [800]))
    assert texts(events[1]) == texts(run(recognizer.stream(), sound, [800])) != texts(events[0])
    assert "CB" in " ".join(texts(events[0])).split()


def test_the_language_models_of_a_bundle_are_used_as_for_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(tmp_path / "mine", streaming=True)
    monkeypatch.setenv("SPEECHRNN_MODELS", str(tmp_path))
    recognizer = StreamingRecognizer.load("mine", endpoint=EndpointOptions(60.0, 60.0), gate=OPEN)
    transcriber = Transcriber.load("mine", device="cpu", engine="torch", precision="float32")
    assert isinstance(transcriber.decoder, BeamDecoder)
    assert scorers_of(recognizer) == [scorer.name for scorer in transcriber.decoder.scorers] == [LANGUAGE, LENGTH]
    assert recognizer.name == "mine"
    sound = noise(3 * RATE)
    (final,) = finals(run(recognizer.stream(), sound, [800]))
    (same,) = finals(run(transcriber.stream(endpoint=EndpointOptions(60.0, 60.0), gate=OPEN), sound, [800]))
    assert final == same
    assert StreamingRecognizer.load("mine", language_model=None).decoding == "beam"
    assert scorers_of(StreamingRecognizer.load("mine", language_model=None)) == []
    assert StreamingRecognizer.load("mine", decoding="greedy").decoding == "greedy"
    assert scorers_of(StreamingRecognizer.load("mine", decoding="beam", language_model="mine")) == [LANGUAGE, LENGTH]
    alone = StreamingRecognizer.load(tmp_path / "mine" / "acoustic")
    assert alone.decoding == "greedy"


def test_an_ngram_model_is_used_in_a_stream(tmp_path: Path) -> None:
    folder = save_bundle(tmp_path / "mine", streaming=True)
    options = DecodingOptions(name="beam", ngram=folder / "ngram.arpa", ngram_weight=0.5)
    recognizer = StreamingRecognizer.load(
        folder, decoding=options, language_model=None, endpoint=EndpointOptions(0.3, 1.5), gate=OPEN
    )
    assert scorers_of(recognizer) == [NGRAM, LENGTH]
    sound = noise(6 * RATE)
    whole = finals(run(recognizer.stream(), sound, [len(sound)]))
    assert whole and finals(run(recognizer.stream(), sound, [333])) == whole


def test_a_model_for_whole_recordings_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, tokenizer = streaming_model(streaming=0.0)
    with caplog.at_level(logging.WARNING, "speechrnn"):
        StreamingRecognizer(model, tokenizer, "whole")
    assert "acoustic.streaming" in caplog.text
    save_acoustic(tmp_path / "acoustic", MODEL, TOKENIZER, {})
    streamer = Streamer.load(tmp_path / "acoustic", latency=0.3, decoding="beam", gate=OPEN)
    assert streamer.recognizer.decoding == "beam"
    assert finals(run(streamer, noise(RATE), [100]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_transcriber_streams_beside_its_files(kind: str) -> None:
    sound = noise(2 * RATE)
    expected = finals(run(make_recognizer(kind).stream(), sound, [400]))
    streamer = Transcriber(MODEL, TOKENIZER, "tiny", "cpu", decoder=make_decoder(kind)).stream(gate=OPEN)
    assert finals(run(streamer, sound, [400])) == expected


def test_a_stream_below_the_rates_of_training_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    facts = ModelFacts(TrainingFacts(1.0, 100, 10, 1000, 100, sampling_rates={"16000": 1.0}, narrow_band=False))
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

"""Live recognition: words do not depend on packets, promises hold, and bad input does not end a stream."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from helpers.acoustic_models import RATE, streaming_model
from helpers.bundles import save_bundle
from helpers.streams import (
    KINDS,
    MODEL,
    OPEN,
    RECOGNIZERS,
    TOKENIZER,
    check_promises,
    finals,
    make_decoder,
    make_recognizer,
    noise,
    run,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.decoder import BeamDecoder
from speechrnn.decoding.fusion import LANGUAGE, LENGTH, NGRAM, DecodingOptions
from speechrnn.decoding.streaming import StreamingBeamDecoder
from speechrnn.decoding.tuned_weights import TunedDecoding, write_tuned
from speechrnn.nn.acoustic import save_acoustic
from speechrnn.transcription import runtime
from speechrnn.transcription.endpoint import EndpointOptions
from speechrnn.transcription.events import Event
from speechrnn.transcription.streamer import Streamer, StreamingRecognizer
from speechrnn.transcription.streaming_options import blocks_for
from speechrnn.transcription.transcriber import Transcriber
from speechrnn.transcription.transcript_warnings import channels_cancel


def scorers_of(recognizer: StreamingRecognizer) -> list[str]:
    assert isinstance(recognizer.decoder, StreamingBeamDecoder)
    return [scorer.name for scorer in recognizer.decoder._decoder.scorers]


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
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_partial_on_demand_at_any_rate_ends_as_the_final_does(kind: str, rate: int) -> None:
    recognizer = make_recognizer(kind, endpoint=EndpointOptions(60.0, 60.0))
    streamer = recognizer.stream(rate)
    assert streamer.partial().text == ""  # before any sound
    streamer.accept(noise(rate))
    asked = streamer.partial()
    assert asked.text and streamer.partial() == asked
    (final,) = finals(streamer.finish())
    assert final.text.startswith(asked.text[:-3])  # the resampler holds back a few samples
    ended = streamer.partial()
    assert (ended.kind, ended.text, ended.segment) == ("partial", "", 1)


def test_a_partial_on_demand_of_less_than_a_window_has_no_words() -> None:
    streamer = RECOGNIZERS["beam"].stream()
    streamer.accept(noise(40))
    assert streamer.partial().text == ""
    assert streamer.finish() == []


def test_a_stream_that_is_given_twice_is_refused() -> None:
    recognizer = RECOGNIZERS["greedy"]
    streamer = recognizer.stream()
    with pytest.raises(ValueError, match="twice"):
        recognizer.accept([streamer, streamer], [noise(160), noise(160)])
    assert streamer.samples == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packet", [80, 1600, 5000, 8 * RATE])
def test_partials_come_after_blocks_whatever_the_packets(kind: str, packet: int) -> None:
    """Partials decide whether a segment without words has a final."""
    recognizer = make_recognizer(kind, endpoint=EndpointOptions(0.3, 1.5))
    size = recognizer.partial_frames
    assert size % recognizer.network.blocks.size == 0
    events = run(recognizer.stream(), noise(8 * RATE), [packet])
    for event in events:
        if event.kind == "partial":
            assert round(event.time / recognizer.seconds_per_frame) % size == 0
    kinds = [event.kind for event in run(recognizer.stream(), noise(8 * RATE), [8 * RATE])]
    assert all(pair != ("partial", "partial") for pair in pairwise(kinds))
    assert finals(events) == finals(run(recognizer.stream(), noise(8 * RATE), [480]))


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow(kind: str) -> None:
    streamer = RECOGNIZERS[kind].stream()
    sizes = []
    for second in range(40):
        streamer.accept(noise(RATE, second))
        held = [*streamer.segment.state.blocks, *streamer.network_state.packets, streamer._silence_gate._ranges]
        held += [tensor for stage in streamer.network_state.tensors for tensor in stage]
        sizes.append(sum(tensor.numel() for tensor in held))
    assert max(sizes[20:]) <= 1.5 * max(sizes[:20])


def test_words_and_times_repeat_as_the_sound_does() -> None:
    recognizer = make_recognizer(endpoint=EndpointOptions(0.3, 5.0))
    period = 16 * recognizer.network.blocks.size * recognizer.step  # samples: so that segments of 5 s repeat, too
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
    streamer.segment.first += hours
    late = finals(run(streamer, sound, [1600]))
    offset = hours * recognizer.seconds_per_frame
    for event, other in zip(early, late, strict=True):
        for word, same in zip(event.words, other.words, strict=True):
            assert (same.word, same.start, same.end) == (
                word.word,
                pytest.approx(word.start + offset, abs=0.001),
                pytest.approx(word.end + offset, abs=0.001),
            )


def test_a_slow_machine_may_decode_greedily_or_in_larger_blocks() -> None:
    recognizer = make_recognizer("fused", endpoint=EndpointOptions(0.3, 1.0))
    streamer = recognizer.stream()
    events = streamer.accept(noise(3 * RATE))
    streamer.simplify("greedy")
    streamer.simplify("larger_blocks")
    for second in range(5):
        events += streamer.accept(noise(RATE, second))
    events += streamer.finish()
    assert streamer.segment.decoder is recognizer.greedy
    check_promises(events)


def test_the_confidences_of_a_slow_machine_are_those_of_greedy_decoding(tmp_path: Path) -> None:
    """They were not calibrated, whatever `tune` had found for greedy decoding."""
    save_acoustic(tmp_path, MODEL, TOKENIZER, training={})
    write_tuned(tmp_path, {"greedy": TunedDecoding(calibration=Calibration(0.0, 0.5, -2.0))})

    def load(decoding: Literal["greedy", "beam"]) -> Streamer:
        return Streamer.load(tmp_path, decoding=decoding, precision="float32", gate=OPEN)

    slow = load("beam")
    slow.simplify("greedy")
    slow.end_segment()  # the next one is decoded greedily
    sound = noise(2 * RATE)
    expected = finals(run(load("greedy"), sound, [800]))
    assert expected and finals(run(slow, sound, [800])) == expected


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
    decoder = BeamDecoder(TOKENIZER, MODEL.seconds_per_frame, options, scorers=[])
    recognizer = StreamingRecognizer(MODEL, TOKENIZER, "tiny", decoder=decoder)
    sound = noise(3 * RATE)

    def texts(events: Sequence[Event]) -> list[str]:
        return [event.text for event in finals(events)]

    streamers = [recognizer.stream(hot_words=["CAB"]), recognizer.stream()]
    events: list[list[Event]] = [[], []]
    for place in range(0, len(sound), 800):
        for into, new in zip(events, recognizer.accept(streamers, [sound[place : place + 800]] * 2), strict=True):
            into += new
    for into, streamer in zip(events, streamers, strict=True):
        into += streamer.finish()
    assert texts(events[0]) == texts(run(recognizer.stream(hot_words=["CAB"]), sound, [800]))
    assert texts(events[1]) == texts(run(recognizer.stream(), sound, [800])) != texts(events[0])
    assert "CAB" in " ".join(texts(events[0])).split()


def test_the_language_models_of_a_bundle_are_used_as_for_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(tmp_path / "mine", streaming=True)
    monkeypatch.setenv("SPEECHRNN_MODELS", str(tmp_path))
    endpoint = EndpointOptions(60.0, 60.0)
    recognizer = StreamingRecognizer.load("mine", endpoint=endpoint, gate=OPEN, precision="float32")
    transcriber = Transcriber.load("mine", device="cpu", engine="torch", precision="float32")
    assert isinstance(transcriber.decoder, BeamDecoder)
    assert scorers_of(recognizer) == [scorer.name for scorer in transcriber.decoder.scorers] == [LANGUAGE, LENGTH]
    assert recognizer.name == "mine"
    sound = noise(3 * RATE)
    (final,) = finals(run(recognizer.stream(), sound, [800]))
    (same,) = finals(run(transcriber.stream(endpoint=endpoint, gate=OPEN), sound, [800]))
    assert final == same
    assert StreamingRecognizer.load("mine", language_model=None).decoding == "beam"
    assert scorers_of(StreamingRecognizer.load("mine", language_model=None)) == []
    assert StreamingRecognizer.load("mine", decoding="greedy").decoding == "greedy"
    assert scorers_of(StreamingRecognizer.load("mine", decoding="beam", language_model="mine")) == [LANGUAGE, LENGTH]
    alone = StreamingRecognizer.load(tmp_path / "mine" / "acoustic")
    assert alone.decoding == "greedy"


@pytest.mark.parametrize("pays", [False, True])
def test_the_network_computes_in_the_format_that_is_faster_or_asked_for(
    pays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "bfloat16_pays", lambda device, cell: pays)
    save_acoustic(tmp_path, MODEL, TOKENIZER, training={})
    formats = {"auto": torch.bfloat16 if pays else torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16}
    for precision, expected in formats.items():
        recognizer = StreamingRecognizer.load(tmp_path, precision=precision, gate=OPEN)  # type: ignore[arg-type]
        assert recognizer.network.model.head.weight.dtype == expected
        assert finals(run(recognizer.stream(), noise(RATE), [800]))
    with pytest.raises(UserError, match=r"precision.*int8"):
        StreamingRecognizer.load(tmp_path, precision="int8")  # type: ignore[arg-type]


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
    save_acoustic(tmp_path / "acoustic", MODEL, TOKENIZER, training={})
    streamer = Streamer.load(tmp_path / "acoustic", latency=0.3, decoding="beam", gate=OPEN)
    assert streamer.recognizer.decoding == "beam"
    assert finals(run(streamer, noise(RATE), [100]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_transcriber_streams_beside_its_files(kind: str) -> None:
    sound = noise(2 * RATE)
    expected = finals(run(make_recognizer(kind).stream(), sound, [400]))
    streamer = Transcriber(MODEL, TOKENIZER, "tiny", device="cpu", decoder=make_decoder(kind)).stream(gate=OPEN)
    assert finals(run(streamer, sound, [400])) == expected


def test_a_warning_without_words_after_it_comes_in_a_final() -> None:
    streamer = RECOGNIZERS["greedy"].stream()
    streamer.warnings.add(channels_cancel(0))
    streamer.accept(np.zeros(RATE // 10, np.float32))
    (final,) = streamer.finish()
    assert (final.kind, final.words, final.warnings) == ("final", (), (channels_cancel(0),))

"""Recordings are made of known silence and speech, so that each test knows where they must be cut."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio import TruncatedAudioError, load_audio
from speechrnn.audio import segmentation as module
from speechrnn.audio.segmentation import SegmentationOptions, Window, cut_windows, detect_speech
from speechrnn.audio.vad import EnergyDetector, SileroDetector, count_chunks
from speechrnn.core.errors import UserError

RATE = 1000  # Hz: a chunk is 32 samples
CHUNK = 32
SMALL = SegmentationOptions(silence=0.5, padding=0.2, window=6.0, context=1.0)


class Oracle:
    """Detector that takes for speech whatever swings by more than 0.5."""

    name = "oracle"

    def __call__(self, waveforms: Sequence[np.ndarray], sampling_rate: int) -> list[np.ndarray]:
        return [self._hear(samples, sampling_rate) for samples in waveforms]

    def _hear(self, samples: np.ndarray, sampling_rate: int) -> np.ndarray:
        edges = np.arange(count_chunks(len(samples), sampling_rate)) * sampling_rate * 4 // 125
        return (np.maximum.reduceat(np.abs(samples), edges) > 0.5).astype(np.float32)


def recording(*parts: tuple[int, int], rest: int = 0) -> np.ndarray:
    """(chunks of background, chunks of speech) in turn, then `rest` samples of background."""
    generator = np.random.default_rng(0)
    levels = [0.1, 0.9] * len(parts) + [0.1]
    sizes = [CHUNK * size for part in parts for size in part] + [rest]
    signs = [np.resize([1, -1], size) * generator.uniform(0.9, 1.0, size) for size in sizes]
    return np.concatenate([level * sign for level, sign in zip(levels, signs, strict=True)]).astype(np.float32)


def in_blocks(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def stretches(cut: Sequence[Window]) -> list[list[Window]]:
    joined: list[list[Window]] = []
    for piece in cut:
        if piece.first:
            joined.append([])
        joined[-1].append(piece)
    return joined


def check(cut: Sequence[Window], samples: np.ndarray, rate: int, step: int, options: SegmentationOptions) -> None:
    """Check the windows of a recording that is longer than a window."""
    behind = 0
    for stretch in stretches(cut):
        begin, end = stretch[0].start, stretch[-1].start + len(stretch[-1].samples)
        assert begin >= behind
        assert [piece.first for piece in stretch] == [True] + [False] * (len(stretch) - 1)
        assert [piece.last for piece in stretch] == [False] * (len(stretch) - 1) + [True]
        behind = begin
        for piece in stretch:
            stop = piece.start + len(piece.samples)
            assert piece.samples.dtype == np.float32
            np.testing.assert_array_equal(piece.samples, samples[piece.start : stop])
            assert len(piece.samples) <= options.window * rate
            assert piece.valid[0] == behind < piece.valid[1]
            assert (piece.start - begin) % step == (piece.valid[0] - begin) % step == 0
            assert piece.start == begin or piece.valid[0] - piece.start >= options.context * rate
            assert stop == end or stop - piece.valid[1] >= options.context * rate
            behind = piece.valid[1]
        assert behind == end


recordings = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 700)), min_size=1, max_size=12)


@settings(max_examples=100)
@given(
    parts=recordings,
    rest=st.integers(0, 2000),
    step=st.sampled_from([1, 10, 37, 40]),
    size=st.sampled_from([100, 777, 10**6]),
    ahead=st.sampled_from([8, 40, 480]),
    window=st.sampled_from([3.0, 3.1, 6.0, 20.0]),
)
def test_pieces_tile_each_stretch(
    parts: list[tuple[int, int]], rest: int, step: int, size: int, ahead: int, window: float
) -> None:
    options = SegmentationOptions(window=window, context=1.0)
    samples = recording(*parts, rest=rest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AHEAD", ahead)
        cut = list(cut_windows(in_blocks(samples, size), RATE, step, options=options, detector=Oracle()))
    if len(samples) <= options.window * RATE:
        assert len(cut) == detect_speech([samples], RATE, options, detector=Oracle())[0]
        assert all(len(piece.samples) == len(samples) for piece in cut)
        return
    check(cut, samples, RATE, step=step, options=options)
    assert_speech_is_kept(cut, parts, len(samples))


def assert_speech_is_kept(cut: Sequence[Window], parts: list[tuple[int, int]], total: int) -> None:
    """Each stretch is exactly a run of speech, short pauses bridged, and its padding."""
    runs: list[list[int]] = []  # first chunk, chunk behind, chunks of speech
    at = 0
    for pause, speech in parts:
        if runs and pause < 16:  # 0.5 s
            runs[-1][1:] = [at + pause + speech, runs[-1][2] + speech]
        else:
            runs.append([at + pause, at + pause + speech, speech])
        at += pause + speech
    wanted = [
        (max(0, first * CHUNK - 200), min(total, last * CHUNK + 200)) for first, last, speech in runs if speech >= 6
    ]
    assert [(group[0].valid[0], group[-1].valid[1]) for group in stretches(cut)] == wanted


@settings(max_examples=60)
@given(seconds=st.floats(6.01, 60), step=st.sampled_from([1, 10, 37]), ahead=st.sampled_from([8, 480]))
def test_without_a_detector_all_is_one_stretch(seconds: float, step: int, ahead: int) -> None:
    samples = recording((round(seconds * RATE) // CHUNK, 0), rest=round(seconds * RATE) % CHUNK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AHEAD", ahead)
        cut = list(cut_windows([samples], RATE, step, options=SMALL, detector=None))
    check(cut, samples, RATE, step=step, options=SMALL)
    assert len(stretches(cut)) == 1 and cut[0].valid[0] == 0 and cut[-1].valid[1] == len(samples)
    if ahead == 480:
        lengths = [len(piece.samples) for piece in cut]
        assert max(lengths) - min(lengths) <= 2 * step
        assert (seconds - 2) / 4 - 1e-3 <= len(cut) <= (seconds - 2) / (4 - 4 * step / RATE) + 1


def test_any_rate_has_its_grid() -> None:
    options = SegmentationOptions(window=4.0, context=1.0)
    for rate in (8000, 11025, 22050):
        samples = np.tile(np.array([0.9, -0.9], np.float32), 10 * rate)
        samples[7 * rate : 8 * rate] /= 100
        cut = list(cut_windows(in_blocks(samples, 3001), rate, rate // 100, options=options, detector=Oracle()))
        check(cut, samples, rate, step=rate // 100, options=options)
        (first, second) = stretches(cut)
        assert (first[0].valid[0], second[-1].valid[1]) == (0, len(samples))
        assert first[-1].valid[1] == pytest.approx(7.2 * rate, abs=0.04 * rate)
        assert second[0].valid[0] == pytest.approx(7.8 * rate, abs=0.04 * rate)


def test_a_short_recording_stays_whole() -> None:
    spoken = recording((40, 20), (40, 20), rest=11)
    (piece,) = cut_windows(in_blocks(spoken, 100), RATE, 10, options=SMALL, detector=Oracle())
    np.testing.assert_array_equal(piece.samples, spoken)
    assert (piece.start, piece.valid, piece.first, piece.last) == (0, (0, len(spoken)), True, True)
    for detector in (Oracle(), None):
        assert not list(cut_windows([np.zeros(5000, np.float32)], RATE, 10, options=SMALL, detector=detector))
        assert not list(cut_windows([], RATE, 10, options=SMALL, detector=detector))
    assert not list(cut_windows([recording((150, 0))], RATE, 10, options=SMALL, detector=Oracle()))
    assert len(list(cut_windows([recording((150, 0))], RATE, 10, options=SMALL, detector=None))) == 1


def test_no_piece_where_nothing_is_heard() -> None:
    silence = np.zeros(100 * RATE, np.float32)
    for detector in (Oracle(), None):
        assert not list(cut_windows([silence], RATE, 10, options=SMALL, detector=detector))
    assert not list(
        cut_windows([recording((1000, 5), (500, 5), (500, 5))], RATE, 10, options=SMALL, detector=Oracle())
    )  # knocks
    noise = recording((1000, 0))
    cut = list(cut_windows([noise, silence, noise], RATE, 10, options=SMALL, detector=None))
    check(cut, np.concatenate([noise, silence, noise]), RATE, step=10, options=SMALL)
    assert [group[0].valid[0] for group in stretches(cut)] == [0, pytest.approx(132000 - 200, abs=CHUNK)]


def test_hear_speech_of_many_clips() -> None:
    spoken, empty = recording((10, 20)), np.zeros(0, np.float32)
    clips = [spoken, recording((30, 0)), np.zeros(1000, np.float32), empty, recording((10, 5)), spoken]
    assert detect_speech(clips, RATE, SMALL, detector=Oracle()) == [True, False, False, False, False, True]
    assert detect_speech(clips, RATE, SMALL, detector=None) == [True, True, False, False, True, True]
    assert detect_speech([], RATE, SMALL, detector=Oracle()) == []


def test_speech_goes_on_down_to_a_lower_probability() -> None:
    class Wavering(Oracle):
        def _hear(self, samples: np.ndarray, sampling_rate: int) -> np.ndarray:
            heard = np.zeros(count_chunks(len(samples), sampling_rate), np.float32)
            heard[100:110], heard[110:150], heard[150:] = 0.6, 0.4, 0.3
            return heard

    samples = recording((300, 0))
    (piece,) = cut_windows([samples], RATE, 10, options=SMALL, detector=Wavering())
    assert piece.valid == (100 * CHUNK - 200, 150 * CHUNK + 200)
    options = SegmentationOptions(silence=0.5, window=6.0, context=1.0, threshold=0.65)
    assert not list(cut_windows([samples], RATE, 10, options=options, detector=Wavering()))


def test_what_breaks_off_gives_its_pieces_first() -> None:
    def broken(samples: np.ndarray) -> Iterator[np.ndarray]:
        yield samples
        raise TruncatedAudioError("talk.wav breaks off.", len(samples) / RATE)

    for samples in (recording((10, 40)), recording((10, 40), (50, 300), (50, 30))):
        cut = cut_windows(broken(samples), RATE, 10, options=SMALL, detector=Oracle())
        whole = list(cut_windows([samples], RATE, 10, options=SMALL, detector=Oracle()))
        assert [next(cut).valid for _ in whole] == [piece.valid for piece in whole]
        with pytest.raises(TruncatedAudioError, match="breaks off"):
            next(cut)


@pytest.mark.integration
@pytest.mark.parametrize("detector", [Oracle(), None])
def test_five_hours_cost_no_memory(detector: Oracle | None) -> None:
    """18,000 s at 1,000 Hz, with pauses for the oracle and one endless stretch without it."""
    minute = recording((20, 900), (20, 935))
    tracemalloc.start()
    peaks, kept = list[int](), 0
    for piece in cut_windows((minute for _ in range(300)), RATE, 10, options=SegmentationOptions(), detector=detector):
        kept += piece.valid[1] - piece.valid[0]
        if piece.start > RATE * 1000 * (len(peaks) + 1):
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert kept > 0.97 * 300 * len(minute)
    assert len(peaks) == 17
    assert max(peaks) < 4 * 4 * (480 + 32 + 60 + 60) * RATE  # four times what is read ahead, of the 72 MB of all
    assert max(peaks[8:]) <= 1.1 * max(peaks[:8])


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("threshold", 1.0, "between 0 and 1"),
        ("silence", 0.01, "at least 0.064 seconds"),
        ("padding", -1.0, "0 seconds or more"),
        ("context", -1.0, "0 seconds or more"),
        ("context", float("nan"), "0 seconds or more"),
        ("window", 6.5, "at least a second longer than two contexts"),
    ],
)
def test_options_that_make_no_sense(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=f"segmentation.{key}={value:g} is wrong: it must be {sentence}"):
        SegmentationOptions(**{key: value})


def test_real_speech_is_found_in_long_silence_and_noise(shared: Path) -> None:
    pytest.importorskip("silero_vad", reason="the extra [vad] is not installed")
    files = sorted((shared / "an4/wav/an4_clstk").glob("*/*.opus"))[::60]
    clips = [load_audio(path, 16000)[0] for path in files]
    assert all(detect_speech(clips, 16000, SegmentationOptions(), detector=SileroDetector()))
    assert all(detect_speech(clips, 16000, SegmentationOptions(), detector=EnergyDetector()))
    noise = 0.001 * np.random.default_rng(0).standard_normal(16000 * 8).astype(np.float32)
    samples = np.concatenate([part for clip in clips for part in (noise, clip)] + [noise])
    cut = list(
        cut_windows(in_blocks(samples, 16000), 16000, 160, options=SegmentationOptions(), detector=SileroDetector())
    )
    check(cut, samples, 16000, step=160, options=SegmentationOptions())
    at = 0
    for clip in clips:
        inside = [
            p for p in cut if at + len(noise) - 8000 < p.valid[0] and p.valid[1] < at + len(noise) + len(clip) + 8000
        ]
        assert inside
        cut = cut[len(inside) :]
        at += len(noise) + len(clip)
    assert not cut

"""An exception that a library raises over one recording is that recording's failure; odd sound has a warning."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.failures import MachineError
from speechrnn.transcription import reader
from speechrnn.transcription.reader import AudioBudget, Channel, NumberedSources, Reader, UnreadableRecording


def run_reader(error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Read two recordings, at the first of which an exception is raised; return the events."""

    def blocks(source: str, *_: Any, **__: Any) -> Iterator[np.ndarray]:
        if source == "bad.wav":
            raise error
        yield np.ones(1600, np.float32)

    monkeypatch.setattr(reader, "audio_blocks", blocks)
    events: list[Any] = []
    Reader(
        sources=NumberedSources(iter(["bad.wav", "good.wav"])),
        sampling_rate=16000,
        step=160,
        options=SegmentationOptions(),
        detector=None,
        budget=AudioBudget(100.0),
        put=events.append,
    ).run()
    return events


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("odd"), AssertionError("odd"), MemoryError("odd")])
def test_one_recording_fails_and_the_next_is_read(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    events = run_reader(error, monkeypatch)
    failures = [event for event in events if isinstance(event, UnreadableRecording)]
    assert len(failures) == 1 and len(events) > 1
    assert failures[0].failure.reason == f"bad.wav: {type(error).__name__}: odd."


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(28, "No space left on device"), "No space left.*free"), (ImportError("No module named 'av'"), "install")],
)
def test_a_full_disk_or_a_missing_package_is_no_failure_of_a_recording(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MachineError, match=words):
        run_reader(error, monkeypatch)


def warnings_of(source: Any, lowest_rate: int | None = None) -> list[str]:
    """Read one recording, which is whole; return the kinds of its warnings."""
    events: list[Any] = []
    Reader(
        sources=NumberedSources(iter([source])),
        sampling_rate=16000,
        step=160,
        options=SegmentationOptions(vad="none"),
        detector=None,
        budget=AudioBudget(100.0),
        put=events.append,
        lowest_rate=lowest_rate,
    ).run()
    window, end = events
    assert np.abs(window.window.samples).max() > 0.01  # the louder channel, not the mix
    return [warning.kind for warning in end.warnings]


def test_stereo_out_of_phase_has_a_warning_in_files_and_in_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = (0.1 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32)
    stereo = {"opposite": np.stack([left, -left]), "equal": np.stack([left, left])}
    found = {}
    for name, samples in stereo.items():
        path = str(tmp_path / f"{name}.wav")
        soundfile.write(path, samples.T, 16000)
        with caplog.at_level(logging.WARNING, "speechrnn"):
            found[name] = [
                warnings_of(source)
                for source in (path, Channel(path, 0), (samples, 16000), (samples.T, 16000), (left, 16000))
            ]
    assert found["opposite"] == [["channels_cancel"], [], ["channels_cancel"], ["channels_cancel"], []]
    assert found["equal"] == [[]] * 5
    assert not caplog.records  # a job says it once, for all files


@pytest.mark.parametrize(("rate", "kinds"), [(8000, ["narrow_band"]), (16000, []), (15000, []), (44100, [])])
def test_a_lower_rate_than_the_model_knows_has_a_warning(tmp_path: Path, rate: int, kinds: list[str]) -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(rate)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, rate)
    for source in (str(tmp_path / "a.wav"), (samples, rate)):
        assert warnings_of(source, lowest_rate=16000) == kinds
        assert warnings_of(source) == []

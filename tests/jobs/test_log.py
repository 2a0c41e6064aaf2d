"""The log of tracebacks of a job."""

from __future__ import annotations

from pathlib import Path

from speechrnn.jobs.log import JobLog


def test_the_file_is_made_with_the_first_traceback(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "errors.log")
    log.add("a.wav", None)
    assert not log.path.exists() and not log.written
    log.add("caf\udce9.wav", "Traceback\n  boom\n")
    log.add("b.wav", "Traceback\n  bang\n")
    text = log.path.read_text(encoding="utf-8")
    assert log.written and text.count("Traceback") == 2
    assert "caf\\udce9.wav\nTraceback\n  boom\n\n" in text


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "none" / "errors.log")
    log.add("a.wav", "Traceback")
    assert not log.written

"""Lines that are added and read whole; test_transcription_record.py tests the journal of a job."""

from __future__ import annotations

from pathlib import Path

from speechrnn.jobs.journal import append, whole_lines


def test_lines_are_added_and_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\n\xc3\xbc\ntor")
    with (tmp_path / "a").open("r+b", buffering=0) as file:
        assert list(whole_lines(file)) == [(0, b"one\n"), (4, b"\xc3\xbc\n")]
        assert append(file, b"two\n") == 7
    assert (tmp_path / "a").read_bytes() == b"one\n\xc3\xbc\ntwo\n"

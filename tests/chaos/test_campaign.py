"""A short campaign, whose disturbances land and whose comparison finds what differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.campaign import differences
from chaos.jobs import check_completions, check_transcripts

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc").is_dir(), reason="processes are forked")


def chaos(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a campaign in a process of its own: it forks, which a process with threads must not."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "chaos", "--log", str(tmp_path / "failures.jsonl"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)


@pytest.mark.integration
def test_a_short_campaign_finds_nothing(tmp_path: Path) -> None:
    ended = chaos(tmp_path, "--seed", "2", "--count", "4", "--job", "generate", "--job", "listen")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ", 0 failed (seed 2)" in ended.stdout and not (tmp_path / "failures.jsonl").exists()


def test_a_transcript_that_is_lost_or_made_twice_is_found(tmp_path: Path) -> None:
    done = '{"id": "a", "status": "done"}\n'
    (tmp_path / "job.jsonl").write_text('{"journal": 2}\n' + done)
    assert "a.txt is done and not there" in check_transcripts(tmp_path, {})
    assert "a is done and has no row" in check_transcripts(tmp_path, {})
    (tmp_path / "job.jsonl").write_text('{"journal": 2}\n' + done * 2)
    (tmp_path / "hypotheses.jsonl.partial").write_text('{"id": "a"}\n')
    for suffix in ("txt", "json", "srt"):
        (tmp_path / f"a.{suffix}").write_text(suffix)
    assert check_transcripts(tmp_path, {"a.txt": b"text"}) == ["a.txt differs", "a was done 2 times"]


def test_a_line_that_is_missing_or_twice_is_found(tmp_path: Path) -> None:
    whole = {"all.jsonl": b"1\n2\n3\n"}
    (tmp_path / "all.jsonl.partial").write_bytes(b"1\n2\n")
    assert check_completions(tmp_path, whole) == []
    for wrong in (b"1\n1\n", b"1\n3\n"):
        (tmp_path / "all.jsonl.partial").write_bytes(wrong)
        assert check_completions(tmp_path, whole) == ["all.jsonl.partial is no beginning of the whole"]


def test_what_is_missing_too_much_or_different_is_named() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["c is missing", "b differs"]
    assert differences({"a": 1, "d": 2}, {"a": 1}) == ["d is there"]

"""Temporary folders: removed at the end, and by the next job where a process was killed."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from speechrnn.jobs.temporary import LOCK, PREFIX, YOUNG_SECONDS, remove_abandoned, temporary_folder


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_is_empty_and_is_removed_at_the_end(tmp_path: Path) -> None:
    with temporary_folder() as folder:
        assert folder.is_dir() and not any(folder.iterdir()) and tmp_path in folder.parents
        (folder / "talk.wav").touch()
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="locks of fcntl")
def test_the_folder_of_a_dead_process_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    dead = tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    (dead / LOCK).touch()
    (dead / "talk.wav").touch()
    with temporary_folder() as living:
        assert not dead.exists()
        remove_abandoned(tmp_path)
        assert living.is_dir()


def test_a_folder_that_is_just_being_made_stays_and_an_old_empty_one_goes(tmp_path: Path) -> None:
    young, old, foreign = (tmp_path / f"{PREFIX}{name}" for name in ("young", "old", "foreign"))
    for folder in (young, old, foreign):
        folder.mkdir()
    (foreign / "file").touch()  # not made by a job: it has no lock
    for folder in (old, foreign):
        before = folder.stat().st_mtime - 2 * YOUNG_SECONDS
        os.utime(folder, (before, before))
    remove_abandoned(tmp_path)
    assert young.exists() and foreign.exists() and not old.exists()

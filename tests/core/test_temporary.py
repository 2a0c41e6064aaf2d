"""Temporary folders: removed at the end, and by the next job where a process was killed."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from speechrnn.core.temporary import FILES, LOCK, PREFIX, YOUNG_SECONDS, remove_abandoned, temporary_folder


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
    young, old, torn, foreign = (tmp_path / f"{PREFIX}{name}" for name in ("young", "old", "torn", "foreign"))
    for folder in (young, old, torn, foreign):
        folder.mkdir()
    (foreign / "file").touch()  # not made by a job: it has no lock
    (torn / FILES).mkdir()  # whose lock is gone, since its process was killed while it removed it
    for folder in (old, torn, foreign):
        before = folder.stat().st_mtime - 2 * YOUNG_SECONDS
        os.utime(folder, (before, before))
    remove_abandoned(tmp_path)
    assert young.exists() and foreign.exists() and not old.exists() and not torn.exists()


def test_a_process_that_is_killed_while_it_removes_its_folder_leaves_what_the_next_can_remove(tmp_path: Path) -> None:
    """At each moment there is a lock, or nothing beside it."""
    found: list[bool] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("os.remove", "os.rmdir"):
            folders = [path for path in tmp_path.iterdir() if any(path.iterdir())]
            found.extend((folder / LOCK).exists() for folder in folders)

    watching = False
    sys.addaudithook(watch)
    with temporary_folder() as folder:
        (folder / "a.wav").touch()
        watching = True
    watching = False
    assert found and all(found)

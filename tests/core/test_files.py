"""Files are whole or absent, under any name, and only where they should be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import speechrnn
from speechrnn.core.errors import UserError
from speechrnn.core.files import (
    TEMPORARY,
    atomic_write,
    check_not_read,
    expand_user,
    is_file,
    is_folder,
    short_path,
    temporary_stem,
    unsynced,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    with atomic_write(path) as file:
        file.write("first")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "first"
    with unsynced(), atomic_write(path, "wb") as file:
        file.write(b"second")
    assert path.read_text() == "second"
    assert [entry.name for entry in path.parent.iterdir()] == ["b.txt"]


def test_a_file_that_is_read_is_not_written(tmp_path: Path) -> None:
    prompts, link = tmp_path / "prompts.jsonl", tmp_path / "link.jsonl"
    prompts.write_text("{}")
    link.symlink_to(prompts)
    (tmp_path / "sub").mkdir()
    for output in (prompts, link, tmp_path / "sub" / ".." / "prompts.jsonl"):
        with pytest.raises(UserError, match=r"output=.* is read as prompts=.*prompts\.jsonl, and would be overwritten"):
            check_not_read(output, {"words": [None], "prompts": [tmp_path / "none", prompts]})
    check_not_read(tmp_path / "other.jsonl", {"prompts": [prompts, tmp_path]})
    check_not_read(None, {"prompts": [prompts]})


def test_the_home_folder_of_nobody_is_named() -> None:
    assert expand_user("~") == Path.home() and expand_user("a/~x") == Path("a/~x")
    with pytest.raises(UserError, match=r"~nosuchuser/talk\.wav .* home folder ~nosuchuser"):
        expand_user("~nosuchuser/talk.wav")


def test_all_home_folders_are_looked_up_in_one_place() -> None:
    """Path.expanduser raises a RuntimeError of its own, which would be a traceback."""
    modules = Path(speechrnn.__file__).parent.rglob("*.py")
    found = [module for module in modules if "expanduser(" in module.read_text(encoding="utf-8")]
    assert [module.stem for module in found] == ["files"]


@pytest.mark.parametrize("name", ["n" * 255, "n" * 240, "ж" * 127 + "n", "n.txt"])
def test_any_name_that_the_file_system_takes_can_be_written(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as file:
        file.write("here")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [(name, "here")]


def test_temporary_names_of_long_names_stay_distinct() -> None:
    assert temporary_stem("n" * 240 + "a") != temporary_stem("n" * 240 + "b")
    assert temporary_stem("short.txt") == "short.txt"


@pytest.mark.parametrize("name", ["n" * 256, "nul\0name"])
def test_a_name_that_cannot_be_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="Cannot write"), atomic_write(tmp_path / name):
        pass


def test_a_symlink_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").symlink_to(outside)
    with atomic_write(tmp_path / "out" / "a.txt") as file:
        file.write("theirs")
    assert outside.read_text() == "mine" and (tmp_path / "out" / "a.txt").read_text() == "theirs"


def test_a_folder_that_leads_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("link/a.txt", "link/deeper/a.txt", "../a.txt", "inner/../../a.txt"):
        with (
            pytest.raises(UserError, match="outside the output folder"),
            atomic_write(tmp_path / "out" / name, within=tmp_path / "out"),
        ):
            pass
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (tmp_path / "also").symlink_to(tmp_path / "out")  # the output itself may be a symlink
    with atomic_write(tmp_path / "also" / "a.txt", within=tmp_path / "also"):
        pass
    assert (tmp_path / "out" / "a.txt").exists()


def test_threads_that_write_one_file_leave_one_whole_file(tmp_path: Path) -> None:
    texts = [str(number) * 10_000 for number in range(4)]

    def write(text: str) -> None:
        for _ in range(5):
            with unsynced(), atomic_write(tmp_path / "a.txt") as file:
                file.write(text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.txt").read_text() in texts
    assert len(list(tmp_path.iterdir())) == 1


DIES = """
import os, sys
from speechrnn.core.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write("half" * 10_000)
    file.flush()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.integration
def test_what_killed_processes_left_is_gone_when_the_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", DIES, str(path)], capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    with atomic_write(path) as file:
        file.write("whole")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a.txt", "whole")]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as first:
        first.write("first")
        with atomic_write(tmp_path / "a.txt") as second:
            second.write("second")
        assert (tmp_path / "a.txt").read_text() == "second"
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a.txt", "first")]


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_link_with_the_temporary_name_is_not_written_through(
    tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "out").mkdir()
    make(tmp_path / "mine.txt", tmp_path / "out" / f".a.txt{TEMPORARY}")
    with atomic_write(tmp_path / "out" / "a.txt") as file:
        file.write("theirs")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "out" / "a.txt").read_text() == "theirs"


def test_a_path_is_short_only_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert short_path(tmp_path / "here" / "run" / "report.html") == Path("run/report.html")
    assert short_path(tmp_path / "here-too") == tmp_path / "here-too"
    assert short_path(Path("run")) == Path("run")


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b"])
def test_a_path_that_no_file_system_takes_is_neither_file_nor_folder(tmp_path: Path, name: str) -> None:
    assert not is_file(tmp_path / name) and not is_folder(tmp_path / name)
    assert is_folder(tmp_path)

"""The journal: whole lines, one process, and what is left of it after a power cut."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.jobs.journal import Journal, append, json_line, open_locked, whole_lines

MADE_WITH = {"model": "m"}


def test_lines_are_added_and_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\n\xc3\xbc\ntor")
    with (tmp_path / "a").open("r+b", buffering=0) as file:
        assert list(whole_lines(file)) == [(0, b"one\n"), (4, b"\xc3\xbc\n")]
        assert append(file, b"two\n") == 7
    assert (tmp_path / "a").read_bytes() == b"one\n\xc3\xbc\ntwo\n"


def write(path: Path) -> bytes:
    """Entries a, b and c."""
    with Journal(path, "test", MADE_WITH) as journal:
        journal.begin()
        for id in "abc":
            journal.record({"id": id, "status": "done"})
    return path.read_bytes()


def read(path: Path) -> list[str]:
    with Journal(path, "test", MADE_WITH) as journal:
        return list(journal.entries)


def test_the_last_entry_of_an_id_counts(tmp_path: Path) -> None:
    write(tmp_path / "j")
    with Journal(tmp_path / "j", "test", MADE_WITH) as journal:
        assert journal.found == MADE_WITH
        journal.record({"id": "a", "status": "failed"})
    with Journal(tmp_path / "j", "test", MADE_WITH) as journal:
        assert journal.entries["a"]["status"] == "failed" and list(journal.entries) == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["zeros", "torn", "nonsense", "glued"])
def test_a_damaged_line_is_as_if_it_had_not_been_written(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    header, a, b, c = write(tmp_path / "j").splitlines(keepends=True)
    harmed = {"zeros": bytes(len(b)), "torn": b[:5] + b"\n", "nonsense": b"[1]\n", "glued": bytes(7) + b}[damage]
    (tmp_path / "j").write_bytes(header + a + harmed + c)
    assert read(tmp_path / "j") == (["a"] if damage == "zeros" else ["a", "c"])
    assert "damaged" in capsys.readouterr().err


def test_a_journal_of_zeros_is_empty(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(bytes(4096))
    assert read(tmp_path / "j") == []
    (tmp_path / "j").write_bytes(bytes(10) + write(tmp_path / "k"))
    with pytest.raises(UserError, match="damaged"):
        read(tmp_path / "j")


def test_a_journal_of_another_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "j").write_text(json.dumps({"made_with": MADE_WITH}) + "\n")
    with pytest.raises(UserError, match="another version of speechrnn"):
        read(tmp_path / "j")
    (tmp_path / "j").write_bytes(json_line({"journal": 2, "job": "generate", "made_with": {}}))
    with pytest.raises(UserError, match="speechrnn generate"):
        read(tmp_path / "j")


@pytest.mark.parametrize("header", [b'{"made_with": {}}\n', b'{"journal": 9, "made_with": {}}\n', bytes(9) + b'{"jo\n'])
def test_a_journal_that_cannot_be_gone_on_with_can_be_overwritten(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "j").write_bytes(header + b'{"id": "z", "status": "done"}\n')
    with pytest.raises(UserError, match="overwrite=true"):
        read(tmp_path / "j")
    with Journal(tmp_path / "j", "test", MADE_WITH, overwrite=True) as journal:
        assert not journal.entries
        journal.begin(overwrite=True)
        journal.record({"id": "a", "status": "done"})
    assert read(tmp_path / "j") == ["a"]


@pytest.mark.parametrize("content", [b"my notes\n", json_line({"journal": 2, "job": "generate", "made_with": {}})])
def test_what_is_no_journal_of_such_a_job_is_never_overwritten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(UserError, match="choose another output"), Journal(tmp_path / "j", "test", {}, overwrite=True):
        pass
    assert (tmp_path / "j").read_bytes() == content


def test_a_removed_journal_is_noticed(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "test", MADE_WITH) as journal:
        journal.begin()
        journal.check_present()
        (tmp_path / "j").unlink()
        with pytest.raises(UserError, match="removed while the job ran"):
            journal.check_present()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "j").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="Cannot write"):
        read(tmp_path / "j")
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_is_on_the_file_that_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced between opening and locking is opened again."""
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "j"
    flock = fcntl.flock
    calls = 0

    def replaced(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            path.unlink()
            path.touch()
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", replaced)
    with open_locked(path) as file:
        assert os.path.samestat(os.fstat(file.fileno()), path.stat()) and calls == 2


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_line({"score": float("-inf")})

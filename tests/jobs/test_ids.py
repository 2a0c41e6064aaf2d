"""Ids of inputs stay in the output folder, whatever an address, an archive or a link says."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.jobs.inputs import Input, check_id, find_inputs
from speechrnn.jobs.outputs import Outputs
from speechrnn.transcription.transcript import Transcript
from speechrnn.transcription.writers import find_writers


@pytest.mark.parametrize("id", ["../a", "a/../../b", "/etc/a", "..\\a", "C:\\a", "c:/a", "\\a", "", "..", "a\0b"])
def test_an_id_that_leaves_the_folder_is_refused(id: str) -> None:
    with pytest.raises(UserError, match="outside the output folder"):
        check_id(Input(id, "s3://bucket/a.wav"))


@pytest.mark.parametrize("id", ["a", "a/b", "a..b", "...", "talk: part 2", "ab:c"])
def test_other_ids_are_taken(id: str) -> None:
    check_id(Input(id, "s3://bucket/a.wav"))


@pytest.mark.parametrize(
    "lines",
    [
        "https://one.org/a/%2e%2e/%2e%2e/%2e%2e/b.wav\nhttps://c.org/d.wav",
        "https://c.org/d.wav\nhttps://one.org/%2e%2e/%2e%2e/a.wav",
        "https://c.org/d.wav\nhttps://one.org/a\\..\\..\\b.wav",
        "https://c.org/d.wav\ns3://bucket/../../b.wav",
    ],
)
def test_an_address_that_leaves_the_folder_is_the_failure_of_its_line(tmp_path: Path, lines: str) -> None:
    (tmp_path / "a.lst").write_text(lines)
    found = find_inputs(tmp_path / "a.lst")
    (good,) = [item for item in found if item.error is None]
    (bad,) = [item for item in found if item.error is not None]
    assert good.source == "https://c.org/d.wav" and "outside the output folder" in str(bad.error)
    assert re.fullmatch(r"refused-[0-9a-f]{12}", bad.id) and not bad.remote and bad.file_state() is None


@pytest.mark.parametrize("link", [False, True])
def test_nothing_is_written_or_removed_outside_the_folder(tmp_path: Path, link: bool) -> None:
    folder, outside = tmp_path / "out", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "old.txt").write_text("stays")
    if link:
        (folder / "link").symlink_to(outside)
    prefix = "link" if link else "../outside"
    outputs = Outputs(folder, find_writers(["txt"]))
    transcript = Transcript(
        "a.wav", 1.0, "", confidence=1.0, segments=(), alternatives=(), model="model", decoding="greedy"
    )
    with pytest.raises(UserError, match="outside the output folder"):
        outputs.write(f"{prefix}/new", transcript)
    outputs.remove([f"{prefix}/old"])
    assert [path.name for path in outside.iterdir()] == ["old.txt"]


def test_a_member_of_an_archive_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr("../../../outside/a.wav", b"")
        archive.writestr("ok/a.wav", b"")
    bad, good = sorted(find_inputs(f"zip://::{tmp_path}/slip.zip"), key=lambda item: item.error is None)
    assert "outside the output folder" in str(bad.error) and bad.id.startswith("refused-")
    assert good.error is None and good.id == "ok/a"

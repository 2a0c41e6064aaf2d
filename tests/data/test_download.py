"""Archives and files are fetched whole and checked, from a server on this machine."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest
from helpers.downloads import Server, offer

from speechrnn.core.errors import UserError
from speechrnn.data.download import Archive, RemoteFile, fetch_archives, fetch_files
from speechrnn.data.texts import shakespeare, wikitext2

pytestmark = pytest.mark.integration


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_archive_is_fetched_checked_and_unpacked_once(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a", "corpus/b/c.wav": b"c"}, files=("*.wav", 2))
    fetch_archives([archive], tmp_path / "root")
    assert left(tmp_path / "root") == ["corpus/a.wav", "corpus/b/c.wav"]
    fetch_archives([archive], tmp_path / "root")
    assert server.asked == [None]


def test_several_archives_share_a_folder_and_keep_the_licence(server: Server, tmp_path: Path) -> None:
    for part in ("dev", "test"):
        archive = offer(server, {f"Libri/{part}/a.flac": b"a", "Libri/LICENSE": b"free"}, creates=f"Libri/{part}")
        fetch_archives([archive], tmp_path)
    assert left(tmp_path) == ["Libri/LICENSE", "Libri/dev/a.flac", "Libri/test/a.flac"]


def test_an_archive_without_a_folder_of_its_own_gets_one(server: Server, tmp_path: Path) -> None:
    fetch_archives([offer(server, {"yes/a.wav": b"a", "list.txt": b""}, inside=".")], tmp_path)
    assert left(tmp_path) == ["corpus/list.txt", "corpus/yes/a.wav"]


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a"}, sha256="0" * 64)
    with pytest.raises(UserError, match=f"has the SHA-256 checksum [0-9a-f]{{64}}, not {'0' * 64}"):
        fetch_archives([archive], tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path, ranges: bool) -> None:
    archive = offer(server, {"corpus/a.wav": bytes(range(256)) * 40})
    server.limit, server.ranges = 100, ranges
    with pytest.raises(UserError, match=r"the connection broke after 100 of [\d,]+ bytes; what has arrived is kept"):
        fetch_archives([archive], tmp_path)
    assert left(tmp_path) == ["c.tar.gz.part"]
    server.limit = None
    fetch_archives([archive], tmp_path)
    assert server.asked == [None, "bytes=100-"]
    assert left(tmp_path) == ["corpus/a.wav"]


def test_a_whole_part_needs_no_more_bytes(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a"})
    (tmp_path / "c.tar.gz.part").write_bytes(server.files["/c.tar.gz"])
    fetch_archives([archive], tmp_path)
    assert left(tmp_path) == ["corpus/a.wav"]


def test_an_archive_fetched_by_hand_is_taken(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a"})
    (tmp_path / "c.tar.gz").write_bytes(server.files["/c.tar.gz"])
    fetch_archives([archive], tmp_path)
    assert server.asked == []
    assert left(tmp_path) == ["corpus/a.wav"]


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        ({"corpus/a.wav": b"a"}, {"files": ("*.wav", 2)}, r"it holds 1 files \*\.wav where 2 are expected"),
        ({"other/a.wav": b"a"}, {}, "there is no folder corpus in it"),
        ({"corpus/a.wav": b"a", "../../evil": b"x"}, {}, "outside the destination"),
    ],
)
def test_an_archive_with_the_wrong_content_is_refused(
    server: Server, tmp_path: Path, files: dict[str, bytes], changes: dict[str, object], message: str
) -> None:
    root = tmp_path / "in" / "root"
    with pytest.raises(UserError, match=message):
        fetch_archives([offer(server, files, **changes)], root)
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_an_archive_with_a_link_or_a_device_is_refused(server: Server, tmp_path: Path, kind: bytes) -> None:
    archive = offer(server, {"corpus/a.wav": b"a"}, sha256=None)
    member = tarfile.TarInfo("corpus/b.wav")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as tar:
        tar.addfile(member)
    with pytest.raises(UserError, match=r"'corpus/b\.wav' is no file and no folder"):
        fetch_archives([archive], tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["/corpus/a.wav", "corpus/../../a.wav", ".."])
def test_no_name_leads_out_of_the_folder(server: Server, tmp_path: Path, name: str) -> None:
    root = tmp_path / "in" / ".." / "in"
    with pytest.raises(UserError, match="outside the destination"):
        fetch_archives([offer(server, {"corpus/a.wav": b"a", name: b"x"})], root)
    assert left(tmp_path) == []
    fetch_archives([offer(server, {"corpus/../corpus/./a.wav": b"a"})], root)
    assert left(tmp_path) == ["in/corpus/a.wav"]


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_cut_archive_without_a_checksum_is_noticed(server: Server, tmp_path: Path, keep: float) -> None:
    archive = offer(server, {f"corpus/{n}.wav": bytes([n]) * 3000 for n in range(50)}, sha256=None)
    content = server.files["/c.tar.gz"]
    server.files["/c.tar.gz"] = content[: int(len(content) * keep)]
    with pytest.raises(UserError, match=r"The archive from .* cannot be used"):
        fetch_archives([archive], tmp_path)
    assert left(tmp_path) == []


def test_no_such_address_and_no_server(server: Server, tmp_path: Path) -> None:
    gone = Archive(f"{server.url}/gone.tar.gz", "corpus", None)
    with pytest.raises(UserError, match=r"the server answers 404 .*fetch it by hand and put it at .*gone\.tar\.gz"):
        fetch_archives([gone], tmp_path)
    nobody = Archive("http://127.0.0.1:1/c.tar.gz", "corpus", None)
    with pytest.raises(
        UserError, match=r"Cannot download http://127\.0\.0\.1:1/c\.tar\.gz: .*run the same command again"
    ):
        fetch_archives([nobody], tmp_path)


def test_a_root_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot store .* in .*file/root"):
        fetch_archives([offer(server, {"corpus/a.wav": b"a"})], tmp_path / "file" / "root")


def test_a_changed_file_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.files["/input.txt"] = b"First Citizen:"
    with pytest.raises(UserError, match=r"input\.txt has the SHA-256 checksum [0-9a-f]{64}, not 00ff"):
        fetch_files([RemoteFile(f"{server.url}/input.txt", "input.txt", "00ff")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_address_of_a_file_is_one_sentence(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot download .*/gone: the server answers 404"):
        fetch_files([RemoteFile(f"{server.url}/gone", "input.txt", "00ff")], tmp_path)


def test_the_checksums_are_those_of_the_published_files(shared: Path) -> None:
    for folder, files in (("wikitext-2", wikitext2.FILES), ("tinyshakespeare", (shakespeare.FILE,))):
        for file in files:
            assert hashlib.sha256((shared / folder / file.name).read_bytes()).hexdigest() == file.sha256
        assert wikitext2.missing_files(shared / "wikitext-2") == []
    assert shakespeare.missing_files(shared / "tinyshakespeare") == []
    assert shakespeare.missing_files(shared) == [shakespeare.FILE]

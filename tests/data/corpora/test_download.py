"""Fetching archives, from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from helpers.corpora import Speak

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions, yesno
from speechrnn.data.corpora.download import Archive, fetch
from speechrnn.data.corpora.prepare import prepare

pytestmark = pytest.mark.integration


@dataclass
class Server:
    """Serves `files`; understands ranges, breaks off after `limit` bytes, and notes what was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    limit: int | None = None
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            if self.path not in state.files:
                self.send_error(404)
                return
            content = state.files[self.path]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            if wanted and state.ranges and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : state.limit])

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def packed(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def offer(server: Server, members: dict[str, bytes], **changes: object) -> Archive:
    content = packed(members)
    server.files["/c.tar.gz"] = content
    archive = Archive(f"{server.url}/c.tar.gz", creates="corpus", sha256=hashlib.sha256(content).hexdigest())
    return replace(archive, **changes)  # type: ignore[arg-type]


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_archive_is_fetched_checked_and_unpacked_once(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a", "corpus/b/c.wav": b"c"}, files=("*.wav", 2))
    fetch([archive], tmp_path / "root")
    assert left(tmp_path / "root") == ["corpus/a.wav", "corpus/b/c.wav"]
    fetch([archive], tmp_path / "root")
    assert server.asked == [None]


def test_several_archives_share_a_folder_and_keep_the_licence(server: Server, tmp_path: Path) -> None:
    for part in ("dev", "test"):
        archive = offer(server, {f"Libri/{part}/a.flac": b"a", "Libri/LICENSE": b"free"}, creates=f"Libri/{part}")
        fetch([archive], tmp_path)
    assert left(tmp_path) == ["Libri/LICENSE", "Libri/dev/a.flac", "Libri/test/a.flac"]


def test_an_archive_without_a_folder_of_its_own_gets_one(server: Server, tmp_path: Path) -> None:
    fetch([offer(server, {"yes/a.wav": b"a", "list.txt": b""}, inside=".")], tmp_path)
    assert left(tmp_path) == ["corpus/list.txt", "corpus/yes/a.wav"]


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a"}, sha256="0" * 64)
    with pytest.raises(UserError, match=f"has the SHA-256 checksum [0-9a-f]{{64}}, not {'0' * 64}"):
        fetch([archive], tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path, ranges: bool) -> None:
    archive = offer(server, {"corpus/a.wav": bytes(range(256)) * 40})
    server.limit, server.ranges = 100, ranges
    with pytest.raises(UserError, match=r"the connection broke after 100 of [\d,]+ bytes; what has arrived is kept"):
        fetch([archive], tmp_path)
    assert left(tmp_path) == ["c.tar.gz.part"]
    server.limit = None
    fetch([archive], tmp_path)
    assert server.asked == [None, "bytes=100-"]
    assert left(tmp_path) == ["corpus/a.wav"]


def test_a_whole_part_needs_no_more_bytes(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a"})
    (tmp_path / "c.tar.gz.part").write_bytes(server.files["/c.tar.gz"])
    fetch([archive], tmp_path)
    assert left(tmp_path) == ["corpus/a.wav"]


def test_an_archive_fetched_by_hand_is_taken(server: Server, tmp_path: Path) -> None:
    archive = offer(server, {"corpus/a.wav": b"a"})
    (tmp_path / "c.tar.gz").write_bytes(server.files["/c.tar.gz"])
    fetch([archive], tmp_path)
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
        fetch([offer(server, files, **changes)], root)
    assert left(tmp_path) == []


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_cut_archive_without_a_checksum_is_noticed(server: Server, tmp_path: Path, keep: float) -> None:
    archive = offer(server, {f"corpus/{n}.wav": bytes([n]) * 3000 for n in range(50)}, sha256=None)
    content = server.files["/c.tar.gz"]
    server.files["/c.tar.gz"] = content[: int(len(content) * keep)]
    with pytest.raises(UserError, match=r"The archive from .* cannot be used"):
        fetch([archive], tmp_path)
    assert left(tmp_path) == []


def test_no_such_address_and_no_server(server: Server, tmp_path: Path) -> None:
    gone = Archive(f"{server.url}/gone.tar.gz", "corpus", None)
    with pytest.raises(UserError, match=r"the server answers 404 .*fetch it by hand and put it at .*gone\.tar\.gz"):
        fetch([gone], tmp_path)
    nobody = Archive("http://127.0.0.1:1/c.tar.gz", "corpus", None)
    with pytest.raises(
        UserError, match=r"Cannot download http://127\.0\.0\.1:1/c\.tar\.gz: .*run the same command again"
    ):
        fetch([nobody], tmp_path)


def test_a_root_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot store .* in .*file/root"):
        fetch([offer(server, {"corpus/a.wav": b"a"})], tmp_path / "file" / "root")


def test_download_true_prepares_from_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speak: Speak
) -> None:
    names = ["0_0", "0_1", "1_0", "1_1"]
    audio = {f"waves_yesno/{n}.wav": speak(tmp_path / "made" / f"{n}.wav").read_bytes() for n in names}
    archive = offer(server, audio, creates="waves_yesno")
    monkeypatch.setattr(yesno, "ARCHIVE", archive)
    options = CorpusOptions("yesno", tmp_path / "root", download=True, dev_fraction=0)
    first = prepare(options, tmp_path / "out")
    assert first.summary["splits"]["train"]["words"] == 4
    again = prepare(options, tmp_path / "out")
    assert again.reused
    assert len(server.asked) == 1

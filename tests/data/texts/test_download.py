"""`text.download=true`, from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.data.texts import shakespeare, text_options, wikitext2
from speechrnn.data.texts.download import RemoteFile, fetch
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions

CONTENT = b"First Citizen:\n" * 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/input.txt":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.mark.integration
def test_a_text_is_fetched_checked_and_read(
    server: str, tmp_path: Path, as_it_is: NormalisationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RemoteFile(f"{server}/input.txt", "input.txt", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(shakespeare, "FILE", file)
    root = tmp_path / "new" / "root"
    options = text_options({"name": "shakespeare", "root": root, "download": True, "split": "end"})
    prepared = prepare_text(options, TokenizerOptions("char"), as_it_is, tmp_path / "prepared")
    assert [path.name for path in root.iterdir()] == ["input.txt"]
    assert (root / "input.txt").read_bytes() == CONTENT
    assert prepared.summary["splits"]["train"]["characters"] == len(CONTENT) * 95 // 100
    # What is there is not fetched again; how it came there does not matter.
    monkeypatch.setattr(shakespeare, "FILE", RemoteFile(f"{server}/gone", "input.txt", "0"))
    assert prepare_text(options, TokenizerOptions("char"), as_it_is, tmp_path / "prepared").reused


@pytest.mark.integration
def test_a_changed_file_is_refused_and_removed(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"input\.txt has the SHA-256 checksum [0-9a-f]{64}, not 00ff"):
        fetch([RemoteFile(f"{server}/input.txt", "input.txt", "00ff")], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_a_wrong_address_is_one_sentence(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot download .*/gone: the server answers 404"):
        fetch([RemoteFile(f"{server}/gone", "input.txt", "00ff")], tmp_path)


def test_the_checksums_are_those_of_the_published_files(shared: Path) -> None:
    for folder, files in (("wikitext-2", wikitext2.FILES), ("tinyshakespeare", (shakespeare.FILE,))):
        for file in files:
            assert hashlib.sha256((shared / folder / file.name).read_bytes()).hexdigest() == file.sha256
        assert wikitext2.missing_files(shared / "wikitext-2") == []
    assert shakespeare.missing_files(shared / "tinyshakespeare") == []
    assert shakespeare.missing_files(shared) == [shakespeare.FILE]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ptb", r"licensed by the Linguistic Data Consortium and cannot be downloaded .*text\.download=false"),
        ("file", r"The text file has nothing to download; set text\.download=false"),
        ("transcripts", r"The text transcripts has nothing to download"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    name: str, message: str, tmp_path: Path, as_it_is: NormalisationOptions
) -> None:
    options = text_options({"name": name, "root": tmp_path, "download": True})
    with pytest.raises(UserError, match=message):
        prepare_text(options, TokenizerOptions("char"), as_it_is, tmp_path / "prepared")

"""Places that addresses lead to: a small web server of files on the loopback, and a server that speaks S3."""

from __future__ import annotations

import contextlib
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder; of those called half*, half of what was promised; /to/ADDRESS redirects to that address."""

    def send_head(self) -> Any:
        """Redirect, or find the file."""
        _, separator, target = self.path.partition("/to/")
        if not separator:
            return super().send_head()
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        half = "half" in self.path
        outputfile.write(content[: len(content) // 2] if half else content)
        self.close_connection = half


@contextlib.contextmanager
def website(folder: Path) -> Iterator[str]:
    """The folder on the web; gives its address."""
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def bucket(folder: Path) -> Iterator[str]:
    """A bucket with the folder in it under the name `here`; gives its address."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    import fsspec
    import s3fs

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()  # it remembers earlier servers
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    try:
        with pytest.MonkeyPatch.context() as monkeypatch:
            for key, value in variables.items():
                monkeypatch.setenv(key, value)
            s3fs.S3FileSystem.clear_instance_cache()
            system = fsspec.filesystem("s3")
            system.mkdir("talks")
            system.put(f"{folder}/", "talks/here", recursive=True)
            yield "s3://talks"
            s3fs.S3FileSystem.clear_instance_cache()
    finally:
        server.stop()

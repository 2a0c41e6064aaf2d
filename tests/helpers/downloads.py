"""A web server of files that understands ranges and breaks off, and archives that it offers."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field, replace

from speechrnn.data.download import Archive


@dataclass
class Server:
    """Serves `files`; understands ranges, breaks off after `limit` bytes, and notes what was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    limit: int | None = None
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)


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

"""`corpus.download=true`: fetch an archive with a progress bar, check it, unpack it; all or nothing.

A broken download goes on where it stopped. A corpus folder appears under its final name only when it is complete.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http
import http.client
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from speechrnn.core.errors import UserError

_BLOCK = 1 << 20  # bytes
_TIMEOUT = 60.0  # seconds without a byte


@dataclass(frozen=True)
class Archive:
    """A tar archive that can be fetched."""

    url: str
    creates: str  # the folder that appears, relative to the corpus root
    sha256: str | None  # of the archive; None where its publisher gives none
    inside: str | None = None  # that folder's name within the archive; None: the same, ".": the archive itself
    files: tuple[str, int] | None = None  # pattern and number of files that the unpacked archive must hold


def fetch(archives: Iterable[Archive], root: Path) -> None:
    """Download, check and unpack each archive whose folder is not in `root` yet.

    Raises:
        UserError: no network, no such address, a wrong checksum, a damaged archive, no room on the disk.
    """
    for archive in archives:
        if (root / archive.creates).exists():
            continue
        try:
            root.mkdir(parents=True, exist_ok=True)
            path = root / Path(archive.url).name
            download(archive, path)
            _unpack(archive, path, root)
            path.unlink()
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(
                f"Cannot store {archive.url} in {root}: {reason}; free some space or choose another corpus.root."
            ) from error


def download(archive: Archive, path: Path) -> None:
    """Return the archive at `path`, whole and checked; its first part waits under the name `path`.part in between."""
    if path.is_file() and (archive.sha256 is None or _sha256(path) == archive.sha256):
        return
    part = path.with_name(path.name + ".part")
    try:
        _receive(archive.url, part)
    except urllib.error.HTTPError as error:
        raise UserError(
            f"Cannot download {archive.url}: the server answers {error.code} {error.reason}; "
            f"fetch it by hand and put it at {path}."
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"Cannot download {archive.url}: {getattr(error, 'reason', None) or error}; what has arrived is kept, so "
            f"run the same command again to go on, or fetch it by hand and put it at {path}."
        ) from error
    found = _sha256(part)
    if archive.sha256 is not None and found != archive.sha256:
        part.unlink()
        raise UserError(
            f"{archive.url} has the SHA-256 checksum {found}, not {archive.sha256}: it is damaged or has been changed "
            "and was removed; run the same command again, or fetch the corpus by hand."
        )
    part.replace(path)


def _receive(url: str, part: Path) -> None:
    """Append to `part` what it still lacks of `url`."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # All of it is there (or too much, which the check that follows finds).
        return
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server begins anew
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with part.open("ab" if have else "wb") as file, Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(Path(url).name, total=total, completed=have)
            while block := response.read(_BLOCK):
                file.write(block)
                progress.advance(task, len(block))
    arrived = part.stat().st_size
    if total is not None and arrived < total:
        raise ConnectionError(f"the connection broke after {arrived:,} of {total:,} bytes")


def _unpack(archive: Archive, path: Path, root: Path) -> None:
    """Unpack beside the final place, check, then rename, so that a killed run leaves no half corpus under its name."""
    if not hasattr(tarfile, "data_filter"):
        raise UserError("This Python cannot unpack archives safely; update it to at least 3.10.12, 3.11.4 or 3.12.")
    staging = root / f".{path.name}.unpacked"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        if archive.sha256 is None and path.suffix == ".gz":
            with gzip.open(path) as stream:  # to the end, where gzip's own checksum is; tarfile stops short of it
                while stream.read(_BLOCK):
                    pass
        with tarfile.open(path) as tar:
            tar.extractall(staging, filter="data")
        folder = staging / (archive.inside or archive.creates)
        if not folder.is_dir():
            raise tarfile.TarError(f"there is no folder {archive.inside or archive.creates} in it")
        if archive.files is not None:
            pattern, expected = archive.files
            found = sum(1 for _ in folder.rglob(pattern))
            if found != expected:
                raise tarfile.TarError(f"it holds {found} files {pattern} where {expected} are expected")
        target = root / archive.creates
        target.parent.mkdir(parents=True, exist_ok=True)
        if archive.inside != ".":
            for beside in folder.parent.iterdir():  # README and licence, which some archives keep beside the folder
                if beside.is_file() and not (target.parent / beside.name).exists():
                    beside.replace(target.parent / beside.name)
        folder.replace(target)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        path.unlink()
        raise UserError(
            f"The archive from {archive.url} cannot be used: {error}; it was removed, so run the same command again, "
            "or fetch the corpus by hand."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(staging)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()

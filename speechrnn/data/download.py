"""Download the files of texts and the archives of corpora, with a progress bar, and check them.

A broken download goes on where it stopped. A file, and the folder of an archive, appear under their final names only
when they are complete.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched."""

    url: str
    name: str  # in the root
    sha256: str


def fetch_archives(archives: Iterable[Archive], root: Path) -> None:
    """Download, check and unpack each archive whose folder is not in `root` yet.

    Raises:
        UserError: no network, no such address, a wrong checksum, a damaged archive, no room on the disk.
    """
    for archive in archives:
        if (root / archive.creates).exists():
            continue
        path = root / Path(archive.url).name
        with _storing(archive.url, root, "corpus"):
            download(archive.url, archive.sha256, path)
            _unpack(archive, path, root)
            path.unlink()


def fetch_files(files: Iterable[RemoteFile], root: Path) -> None:
    """Download each file into `root`, and check it.

    Raises:
        UserError: no network, no such address, a wrong checksum, no room on the disk.
    """
    for file in files:
        with _storing(file.url, root, "text"):
            download(file.url, file.sha256, root / file.name)


@contextlib.contextmanager
def _storing(url: str, root: Path, group: str) -> Iterator[None]:
    """Make the folder `root`, the key `root` of the config group, and turn errors of the disk into a UserError."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"Cannot store {url} in {root}: {reason}; free some space or choose another {group}.root."
        ) from error


def download(url: str, sha256: str | None, path: Path) -> None:
    """Download a file to `path` and check it; until it is whole, it has the name `path`.part.

    Args:
        url: its address.
        sha256: its checksum; None: not checked.
        path: where it goes. A file that is there already and has the checksum is taken.

    Raises:
        UserError: no network, no such address, a wrong checksum.
        OSError: the file cannot be written.
    """
    if path.is_file() and (sha256 is None or _sha256(path) == sha256):
        return
    part = path.with_name(path.name + ".part")
    try:
        _receive(url, part)
    except urllib.error.HTTPError as error:
        raise UserError(
            f"Cannot download {url}: the server answers {error.code} {error.reason}; "
            f"fetch it by hand and put it at {path}."
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"Cannot download {url}: {getattr(error, 'reason', None) or error}; what has arrived is kept, so "
            f"run the same command again to go on, or fetch it by hand and put it at {path}."
        ) from error
    found = _sha256(part)
    if sha256 is not None and found != sha256:
        part.unlink()
        raise UserError(
            f"{url} has the SHA-256 checksum {found}, not {sha256}: it is damaged or has been changed "
            f"and was removed; run the same command again, or fetch it by hand and put it at {path}."
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
    staging = root / f".{path.name}.unpacked"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        if archive.sha256 is None and path.suffix == ".gz":
            with gzip.open(path) as stream:  # to the end, where gzip's own checksum is; tarfile stops short of it
                while stream.read(_BLOCK):
                    pass
        with tarfile.open(path) as tar:
            _extract(tar, staging)
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


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    """Write the files of an archive into a folder.

    `TarFile.extractall` needs a filter to be safe, which Python 3.11.2, that of Debian 12, does not have.

    Raises:
        tarfile.TarError: a name leads out of the folder, or is that of a link or a device.
    """
    folder = folder.resolve()  # without ".."
    for member in tar:
        place = Path(os.path.normpath(folder / member.name))
        if not place.is_relative_to(folder):
            raise tarfile.TarError(f"{member.name!r} is outside the destination")
        if member.isdir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        source = tar.extractfile(member) if member.isfile() else None
        if source is None:
            raise tarfile.TarError(f"{member.name!r} is no file and no folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        with source, place.open("wb") as target:
            shutil.copyfileobj(source, target)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()

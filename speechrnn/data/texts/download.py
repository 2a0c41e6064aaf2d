"""`text.download=true`: fetch the files of a text with a progress bar, each checked by its SHA-256 sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.corpora.download import Archive, download


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be fetched."""

    url: str
    name: str  # in the root
    sha256: str


def fetch(files: Iterable[RemoteFile], root: Path) -> None:
    """Download each file into `root`; a broken download goes on where it stopped.

    Raises:
        UserError: no network, no such address, a wrong checksum, no room on the disk.
    """
    for file in files:
        try:
            root.mkdir(parents=True, exist_ok=True)
            download(Archive(file.url, file.name, file.sha256), root / file.name)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(
                f"Cannot store {file.url} in {root}: {reason}; free some space or choose another text.root."
            ) from error

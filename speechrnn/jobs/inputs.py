"""Inputs of a job: files, folders, globs, lists, standard input and addresses, each with an id.

The id says where the output goes: `recordings/a/b.wav`, found in the folder `recordings`, becomes `OUTPUT/a/b.txt`.
"""

from __future__ import annotations

import codecs
import contextlib
import glob
import itertools
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from speechrnn.audio import AUDIO_SUFFIXES, find_audio
from speechrnn.core.errors import UserError
from speechrnn.jobs.storage import is_remote, list_remote, on_the_web

LISTS = frozenset([".lst", ".list", ".m3u", ".m3u8"])  # suffixes of files that name recordings, one a line
STDIN = "-"

_HEAD = 4096  # bytes of standard input that tell a recording from a list of names


FileState = tuple[int, float]
"""Size in bytes, and modification time in seconds since 1970."""


@dataclass(frozen=True)
class Input:
    """A recording to be read.

    Attributes:
        id: where its output goes, relative to the output folder, without suffix: "a/b".
        source: a path or an address, as it was given or found; "-" for a recording from standard input.
        place: the file that holds it, where that is not `source`.
    """

    id: str
    source: str
    place: str | None = None

    @property
    def remote(self) -> bool:
        """Return whether the recording has to be fetched first."""
        return self.place is None and is_remote(self.source)

    def file_state(self) -> FileState | None:
        """Return size and modification time of the file; None where it is not there, or remote."""
        if self.remote:
            return None
        try:
            state = os.stat(self.place or self.source)  # noqa: PTH116 (many thousands, each only asked for this)
        except OSError:
            return None
        return state.st_size, state.st_mtime


def find_inputs(
    inputs: str | Path | Sequence[str | Path], spool: Path | None = None, stdin: BinaryIO | None = None
) -> list[Input]:
    """Find the recordings, in the order given, those of a folder or a glob sorted, each once.

    The id of a recording found in a folder is its path from that folder on, of one found by a glob that from the
    glob's first wildcard on, of one that a list names that from the deepest folder on that all of the list share, of
    one named outright its name; all without suffix.

    Args:
        inputs: each a file, a folder (searched through), a glob, an address that fsspec knows (`s3://bucket/folder`,
            `https://host/talk.mp3`), a list of files and addresses (`@names.txt`, or a suffix in `LISTS`), or "-" for
            standard input, which brings one recording or such a list: its content tells which.
        spool: a folder that outlives the job, for a recording from standard input.
        stdin: standard input; None for this process's own.

    Raises:
        UserError: an input does not exist, cannot be searched or holds no audio; a list names nothing that exists; or
            two recordings would have the same output.
    """
    found: dict[str, Input] = {}
    for name in [inputs] if isinstance(inputs, str | Path) else inputs:
        for recording in _find(str(name), spool, stdin):
            # Two links are two recordings.
            where = recording.source if recording.remote else os.path.abspath(recording.place or recording.source)  # noqa: PTH100
            found.setdefault(where, recording)
    by_id: dict[str, Input] = {}
    for recording in found.values():
        check_id(recording)
        if (other := by_id.setdefault(recording.id, recording)) is not recording:
            raise UserError(
                f"{other.source} and {recording.source} would both be written as {recording.id!r}; "
                "transcribe them into two outputs, or rename a file."
            )
    if not by_id:
        raise UserError("inputs=[] names nothing; give files, folders, globs, lists, addresses or - (standard input).")
    return list(by_id.values())


def check_id(item: Input) -> None:
    """Raise UserError where the id of an input, as an address or an archive gives it, would leave the output folder.

    >>> check_id(Input("talks/a", "s3://bucket/talks/a.wav"))
    """
    parts = re.split(r"[/\\]", item.id)
    if "\0" in item.id or ".." in parts or parts[0] in ("", "~") or re.match(r"[A-Za-z]:([/\\]|$)", item.id):
        raise UserError(
            f"{item.source!r} would be written as {item.id!r}, outside the output folder; leave it out, or rename it."
        )


def _find(name: str, spool: Path | None, stdin: BinaryIO | None) -> Iterable[Input]:
    if name == STDIN:
        return _standard_input(sys.stdin.buffer if stdin is None else stdin, spool)
    if is_remote(name):
        return _remote(name)
    if name.startswith("@") and not Path(name).exists():
        return _listed(Path(name[1:]).expanduser())
    path = Path(name).expanduser()
    if path.suffix.lower() in LISTS and not path.is_dir():
        return _listed(path)
    if path.suffix.lower() == ".txt" and path.is_file():
        raise UserError(f"{name} is a text; if it lists recordings, give it as @{name}.")
    base = _base(path)
    return (
        Input(found.relative_to(base).with_suffix("").as_posix() if base else found.stem, str(found))
        for found in find_audio(path)
    )


def _base(path: Path) -> Path | None:
    """Return the folder that an input's ids are relative to; None for a single file."""
    if path.is_dir():
        return path
    if path.exists() or not glob.has_magic(str(path)):
        return None
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))


def _remote(address: str) -> Iterator[Input]:
    """List the recordings at an address: a single file on the web; elsewhere also a folder's or a glob's."""
    if on_the_web(address):
        yield Input(PurePosixPath(_path_of(address)).stem or "index", address)
        return
    base, addresses = list_remote(address, AUDIO_SUFFIXES)
    for found in addresses:
        inner = PurePosixPath(_path_of(found)).relative_to(_path_of(base)) if base else PurePosixPath(found)
        yield Input(inner.with_suffix("").as_posix() if base else inner.stem, found)


def _path_of(address: str) -> str:
    """Host and path of an address, without what a query adds: "host/talks/a b.wav"."""
    if not on_the_web(address):
        return address.partition("::")[0].partition("://")[2]
    parts = urlsplit(address)
    return f"{parts.netloc}{unquote(parts.path)}"


def _standard_input(stdin: BinaryIO, spool: Path | None) -> Iterable[Input]:
    """Read a recording, stored in `spool`, or the names in a list."""
    head = stdin.read(_HEAD)
    if not head:
        raise UserError("inputs=- was given, but standard input is empty; send a recording, or names of files.")
    if _is_text(head):
        head += stdin.read()
        with contextlib.suppress(UnicodeDecodeError):  # a recording that begins like a text
            return _entries(head.decode("utf-8").splitlines(), "standard input")
    if spool is None:
        raise UserError("A recording from standard input needs a folder to be stored in meanwhile.")
    place = spool / "stdin"
    try:
        with place.open("wb") as file:
            file.write(head)
            shutil.copyfileobj(stdin, file)
    except OSError as error:
        raise UserError(
            f"Standard input cannot be stored in {spool}: {error.strerror}; free some space, or name another folder in "
            "the environment variable TMPDIR."
        ) from error
    return [Input("stdin", STDIN, str(place))]


def _is_text(head: bytes) -> bool:
    """Return whether these first bytes are text: a recording's hold zeros, or are no UTF-8."""
    if b"\0" in head or head.startswith(b"NIST_1A"):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # which may end within a character
    except UnicodeDecodeError:
        return False
    return True


def _listed(path: Path) -> Iterable[Input]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"There is no list {path}; a list holds one path or address a line.") from None
    except UnicodeDecodeError:
        raise UserError(f"The list {path} is not UTF-8 text; a list holds one path or address a line.") from None
    except OSError as error:
        raise UserError(f"The list {path} cannot be read: {error.strerror}; make it readable.") from error
    return _entries(text.splitlines(), str(path))


def _entries(lines: Iterable[str], origin: str) -> list[Input]:
    """Return the entries of a list. A missing file is a failure of that file; the job goes on without it."""
    names = [line.strip() for line in lines]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise UserError(f"The list from {origin} names nothing; it holds one path or address a line.")
    sources = [name if is_remote(name) else str(Path(name).expanduser()) for name in names]
    if not any(is_remote(source) or Path(source).exists() for source in sources):
        raise UserError(
            f"Nothing that {origin} lists exists, such as {names[0]}; "
            "paths that are not absolute start from the folder where the command is given."
        )
    places = [
        _path_of(source) if is_remote(source) else os.path.abspath(source)  # noqa: PTH100 (links stay what they are)
        for source in sources
    ]
    parts = [PurePosixPath(Path(place).as_posix()).parts for place in places]
    folders = [names[:-1] for names in parts]
    shared = sum(1 for _ in itertools.takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False)))
    return [
        Input(PurePosixPath(*names[shared:]).with_suffix("").as_posix().lstrip("/"), source)
        for names, source in zip(parts, sources, strict=True)
    ]

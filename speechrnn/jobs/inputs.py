"""Inputs of a job: files, folders, globs, lists, standard input and addresses, each with an id.

The id says where the output goes: `recordings/a/b.wav`, found in the folder `recordings`, becomes `OUTPUT/a/b.txt`.
"""

from __future__ import annotations

import codecs
import contextlib
import glob
import hashlib
import itertools
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from speechrnn.audio import AUDIO_SUFFIXES, find_audio
from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user
from speechrnn.core.text_files import file_kind
from speechrnn.jobs.storage import EVERYWHERE, RemoteOptions, is_remote, list_remote, on_the_web

LISTS = frozenset([".lst", ".list", ".m3u", ".m3u8"])  # suffixes of files that name recordings, one a line
STDIN = "-"

_HEAD = 4096  # bytes of standard input that tell a recording from a list of names


FileState = tuple[int, float]
"""Size in bytes, and modification time in seconds since 1970."""


@dataclass(frozen=True)
class Input:
    """A recording to be read.

    >>> Input("talks/a", "s3://bucket/talks/a.mp3").remote
    True

    Attributes:
        id: where its output goes, relative to the output folder, without suffix: "a/b".
        source: a path or an address, as it was given or found; "-" for a recording from standard input.
        place: the file that holds it, where that is not `source`.
        error: one sentence, why it cannot be transcribed; None: no reason is known before it is read.
        channel: index of the channel to read; None: their mix.
    """

    id: str
    source: str
    place: str | None = None
    error: str | None = None
    channel: int | None = None

    @property
    def remote(self) -> bool:
        """Return whether the recording has to be fetched first."""
        return self.place is None and self.error is None and is_remote(self.source)

    def file_state(self) -> FileState | None:
        """Return size and modification time of the file; None where it is not there, remote or refused."""
        if self.remote or self.error is not None:
            return None
        try:
            state = os.stat(self.place or self.source)  # noqa: PTH116 (many thousands, each only asked for this)
        except (OSError, ValueError):  # ValueError: NUL in the name
            return None
        return state.st_size, state.st_mtime


def find_inputs(
    inputs: str | Path | Sequence[str | Path],
    spool: Path | None = None,
    stdin: BinaryIO | None = None,
    remote: RemoteOptions = EVERYWHERE,
) -> list[Input]:
    """Find the recordings, in the order given, those of a folder or a glob sorted, each once.

    The id of a recording found in a folder is its path from that folder on, of one found by a glob that from the
    glob's first wildcard on, of one that a list names that from the deepest folder on that all of the list share, of
    one named outright its name; all without suffix, but where only the suffix tells recordings apart. A line of a list,
    or a member of an archive or bucket, that cannot be transcribed or would be written outside the output folder is an
    input with an `error`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "talks").mkdir()
    >>> (folder / "talks" / "b.wav").touch()
    >>> [recording.id for recording in find_inputs([folder, "https://host/a.mp3"])]
    ['talks/b', 'a']

    Args:
        inputs: each a file, a folder (searched through), a glob, an address that fsspec knows (`s3://bucket/folder`,
            `https://host/talk.mp3`), a list of files and addresses (`@names.txt`, or a suffix in `LISTS`), or "-" for
            standard input, which brings one recording or such a list: its content tells which.
        spool: a folder that outlives the job, for a recording from standard input.
        stdin: standard input; None for this process's own.
        remote: which addresses may be listed.

    Raises:
        UserError: an input does not exist, cannot be searched or holds no audio; a list names nothing that exists; or
            two recordings would have the same output.
    """
    found: dict[str, Input] = {}
    for name in [inputs] if isinstance(inputs, str | Path) else inputs:
        for recording in _find(str(name), spool, stdin, remote=remote):
            # Two links are two recordings.
            place = recording.place or recording.source
            found.setdefault(place if recording.remote or recording.error else os.path.abspath(place), recording)  # noqa: PTH100
    if not found:
        raise UserError("inputs=[] names nothing; give files, folders, globs, lists, addresses or - (standard input).")
    return _with_distinct_ids([_refuse_outside(recording) for recording in found.values()])


def check_id(item: Input) -> None:
    """Raise UserError where the id of an input, as an address or an archive gives it, would leave the output folder.

    >>> check_id(Input("talks/a", "s3://bucket/talks/a.wav"))
    """
    parts = re.split(r"[/\\]", item.id)
    if "\0" in item.id or ".." in parts or parts[0] in ("", "~") or re.match(r"[A-Za-z]:([/\\]|$)", item.id):
        raise UserError(
            f"{item.source!r} would be written as {item.id!r}, outside the output folder; leave it out, or rename it."
        )


def refused(source: str, error: str) -> Input:
    """Return an input that cannot be transcribed, with an id that holds nothing of its name.

    >>> refused("../a.wav", "It lies outside.").id
    'refused-0b50047c3d4a'
    """
    digest = hashlib.sha256(source.encode("utf-8", "backslashreplace")).hexdigest()
    return Input(f"refused-{digest[:12]}", source, error=error)


def _refuse_outside(item: Input) -> Input:
    try:
        check_id(item)
    except UserError as error:
        return refused(item.source, str(error))
    return item


def _with_distinct_ids(items: Sequence[Input]) -> list[Input]:
    """Return the inputs with their suffixes in ids that several of them have. UserError where that does not help."""
    distinct = list(items)
    while True:
        counts = Counter(item.id for item in distinct)
        extended = [
            replace(own, id=f"{own.id}{_suffix(own)}") if counts[new.id] > 1 else new
            for own, new in zip(items, distinct, strict=True)
        ]
        if extended == distinct:
            break
        distinct = extended
    by_id: dict[str, Input] = {}
    for own, new in zip(items, distinct, strict=True):
        if (other := by_id.setdefault(new.id, own)) is not own:
            raise UserError(
                f"{other.source} and {own.source} would both be written as {own.id!r}; "
                "transcribe them into two outputs, or rename a file."
            )
    return distinct


def _suffix(item: Input) -> str:
    return PurePosixPath(_path_of(item.source) if is_remote(item.source) else Path(item.source).as_posix()).suffix


def _find(name: str, spool: Path | None, stdin: BinaryIO | None, remote: RemoteOptions) -> list[Input]:
    if not name.strip():  # an unset variable in a shell; as a path it would be the working folder
        raise UserError("inputs has an empty name: give files, folders or globs, and . for the working folder.")
    try:
        return list(_find_named(name, spool, stdin, remote=remote))
    except (OSError, ValueError) as error:  # names that are too long, or hold NUL
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(f"{name!r} cannot be searched: {reason}; check the name.") from error


def _find_named(name: str, spool: Path | None, stdin: BinaryIO | None, remote: RemoteOptions) -> Iterable[Input]:
    if name == STDIN:
        return _standard_input(sys.stdin.buffer if stdin is None else stdin, spool)
    if is_remote(name):
        return _remote(name, remote)
    if name.startswith("@") and not Path(name).exists():
        return _listed(expand_user(name[1:]))
    path = expand_user(name)
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


def _remote(address: str, remote: RemoteOptions) -> Iterator[Input]:
    """List the recordings at an address: a single file on the web; elsewhere also a folder's or a glob's."""
    if on_the_web(address):
        yield Input(PurePosixPath(_path_of(address)).stem or "index", address)
        return
    base, addresses = list_remote(address, AUDIO_SUFFIXES, remote)
    for found in addresses:
        inner = PurePosixPath(_path_of(found)).relative_to(_path_of(base)) if base else PurePosixPath(found)
        yield Input(inner.with_suffix("").as_posix() if base else inner.stem, found)


def _path_of(address: str) -> str:
    """Return host and path of an address, without its query: "host/talks/a b.wav"."""
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
            return _entries(head.decode("utf-8"), "standard input")
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
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no list {path}; a list holds one path or address a line.") from None
    except OSError as error:
        raise UserError(f"The list {path} cannot be read: {error.strerror}; make it readable.") from error
    if (kind := file_kind(data)) is not None:
        raise UserError(f"The list {path} seems to be {kind}; a list is UTF-8 text, one path or address a line.")
    # A name may hold bytes that are no UTF-8, as names of files do; a wrong line is not the fault of the others.
    return _entries(data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape"), str(path))


def _entries(text: str, origin: str) -> list[Input]:
    """Return the entries of a list, in its order.

    A missing file, or a line that names none, is a failure of that line; the job goes on without it.
    """
    names = [line.strip() for line in re.split(r"\r\n?|\n", text)]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise UserError(f"The list from {origin} names nothing; it holds one path or address a line.")
    entries = {name: _entry(name) for name in names}
    if not any(isinstance(entry, _Entry) and entry.exists for entry in entries.values()):
        raise UserError(
            f"Nothing that {origin} lists exists, such as {names[0] if names[0].isprintable() else repr(names[0])}; "
            "paths that are not absolute start from the folder where the command is given."
        )
    folders = [entry.parts[:-1] for entry in entries.values() if isinstance(entry, _Entry)]
    shared = sum(1 for _ in itertools.takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False)))
    return [
        refused(name, entry)
        if isinstance(entry, str)
        else Input(PurePosixPath(*entry.parts[shared:]).with_suffix("").as_posix().lstrip("/"), entry.source)
        for name, entry in entries.items()
    ]


@dataclass(frozen=True)
class _Entry:
    """Hold a line of a list: the path or address, and the parts of the place that it names, at least one."""

    source: str
    parts: tuple[str, ...]

    @property
    def exists(self) -> bool:
        return is_remote(self.source) or os.path.exists(self.source)  # noqa: PTH110 (False, too, for impossible names)


def _entry(name: str) -> _Entry | str:
    """Return what a line of a list names, or one sentence that says why it names no recording."""
    if "\0" in name:
        return f"{name!r} holds a NUL character, as no name of a file does; correct the list."
    try:
        source = name if is_remote(name) else str(expand_user(name))
        place = _path_of(source) if is_remote(source) else Path(os.path.abspath(source)).as_posix()  # noqa: PTH100 (links)
    except UserError:
        return f"{name!r} names no recording: there is no user {name.partition('/')[0]}; correct the list."
    except ValueError as error:  # an address that is none
        return f"{name!r} names no recording: {str(error).rstrip('.')}; correct the list."
    path = PurePosixPath(place)
    if not path.name:
        return f"{name!r} is a folder; a list names recordings, one a line."
    return _Entry(source, path.parts)

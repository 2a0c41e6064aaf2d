"""UTF-8 text from files, plain or packed, a megabyte at a time."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user
from speechrnn.core.text_files import DAMAGED, file_kind, open_unpacked

_BLOCK = 1 << 20  # bytes read at once
_LONGEST = 1 << 22  # bytes of a line that are yielded together
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line of a text without its end, or a part of a very long line."""

    text: str
    ended: bool = True  # False: what follows belongs to the same line
    document: bool = False  # whether a document begins here


def read_lines(path: Path, errors: str = "strict") -> Iterator[Line]:
    r"""Return the lines of a UTF-8 file, `.gz` and `.xz` unpacked on the way, in constant memory.

    Lines end with "\n" or "\r\n"; a last line without an end counts like any other. A line of more than 4 MB comes in
    parts, split after a space where there is one. A byte order mark is left out.

    Args:
        path: the file.
        errors: "strict", or "replace" to read U+FFFD for bytes that are no UTF-8.

    Raises:
        UserError: no such file, something else than a text, a damaged archive, or bytes that are no UTF-8.
    """
    offset = 0  # of `data` in the text, bytes
    data = b""
    ended = first = True
    for block in _blocks(path):
        data += block
        if first and (kind := file_kind(block)) is not None:
            raise UserError(f"{path} seems to be {kind}; give a text in UTF-8, plain, or packed as .gz or .xz.")
        first = False
        if offset == 0 and data.startswith(_BOM):
            data, offset = data[len(_BOM) :], len(_BOM)
        cut = data.rfind(b"\n") + 1
        if cut:
            lines = _decode(data[:cut], path, offset, errors=errors).replace("\r\n", "\n").split("\n")
            lines.pop()
            yield from map(Line, lines)
            ended = True
        elif len(data) >= _LONGEST:
            cut = _cut(data)
            yield Line(_decode(data[:cut], path, offset, errors=errors), ended=False)
            ended = False
        data, offset = data[cut:], offset + cut
    if data or not ended:
        yield Line(_decode(data, path, offset, errors=errors))


def find(patterns: Sequence[str | Path], root: Path | None, key: str) -> tuple[Path, ...]:
    """Return the files that paths and glob patterns name, those of each pattern sorted.

    Args:
        patterns: relative to `root`; `**` goes into folders.
        root: None for the working folder.
        key: the config key they come from, for messages.

    Raises:
        UserError: a pattern that names no file.
    """
    found: list[Path] = []
    for pattern in patterns:
        path = (root or Path()) / expand_user(pattern)
        # A file's own name may hold brackets, so the name as it stands comes first.
        files = [path] if path.is_file() else _matches(pattern, root or Path())
        if not files:
            what = "matches no file" if glob.has_magic(str(pattern)) else "does not exist"
            what = "is a folder, not a file" if path.is_dir() else what
            name = "check the name and text.root" if root else "check the name"
            hint = f"give {path}/*.txt or the like" if path.is_dir() else name
            place = "" if str(path) == str(pattern) else f": {path}"
            raise UserError(f"{key}={pattern}{place} {what}; {hint}.")
        found += files
    return tuple(dict.fromkeys(found))


def _matches(pattern: str | Path, root: Path) -> list[Path]:
    names = glob.glob(str(expand_user(pattern)), root_dir=root, recursive=True)  # noqa: PTH207 (absolute ones too)
    return sorted(path for path in (root / name for name in names) if path.is_file())


def by_file(paths: Iterable[Path], errors: str, documents: bool) -> Iterator[Line]:
    """Return the lines of files one after the other; with `documents`, each file is one."""
    for path in paths:
        first = documents
        for line in read_lines(path, errors):
            yield line._replace(document=True) if first else line
            first = False


def by_blank_lines(lines: Iterable[Line]) -> Iterator[Line]:
    """Begin a document at each line after a blank line; blank lines belong to the document before them."""
    blank, begun = True, True
    for line in lines:
        yield line._replace(document=True) if blank and begun and line.text.strip() else line
        blank = begun and not line.text.strip()
        begun = line.ended


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        with open_unpacked(path) as file:
            while block := file.read(_BLOCK):
                yield block
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check the name and text.root.") from None
    except DAMAGED as error:
        raise UserError(
            f"{path} is a damaged archive ({str(error) or 'it needs too much memory'}); make it or fetch it anew."
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def _decode(data: bytes, path: Path, offset: int, errors: str) -> str:
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        packed = " of the unpacked text" if path.suffix.lower() in (".gz", ".xz") else ""
        raise UserError(
            f"{path} is no UTF-8 text: byte {offset + error.start:,}{packed} (0x{data[error.start]:02x}) fits no "
            "character; convert the file to UTF-8, or set text.errors=replace to read U+FFFD for such bytes."
        ) from None


def _cut(data: bytes) -> int:
    """Return where to split a long line: after its last space, else before its last (perhaps incomplete) character."""
    if cut := data.rfind(b" ") + 1:
        return cut
    for back in range(1, 5):
        if data[-back] & 0xC0 != 0x80:  # the first byte of a character
            return len(data) - back
    return len(data)

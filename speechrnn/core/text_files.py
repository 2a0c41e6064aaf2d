"""Read text files of users: UTF-8, plain or compressed; the message about another kind of file names that kind."""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from pathlib import Path
from typing import IO

from speechrnn.core.errors import UserError

LARGEST = 1 << 30  # bytes of a text that is read at once
HEAD = 1 << 12  # bytes at the beginning that show the kind of a file
_MAGIC = (
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"\xfd7zXZ\0", "an xz archive"),
    (rb"BZh.1AY&SY", "a bzip2 archive"),
    (rb"\x28\xb5\x2f\xfd", "a zstd archive"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"PK\x03\x04", "a zip archive, as .docx and .xlsx files are"),
    (rb"%PDF-", "a PDF document"),
    (rb"{\\rtf", "an RTF document"),
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", "a text in UTF-32"),
    (rb"\xff\xfe|\xfe\xff", "a text in UTF-16"),
    (rb"RIFF.{4}WAVE|fLaC\0|OggS\0|ID3[\x02-\x04]|NIST_1A", "a recording"),
    (rb"\x89PNG|\xff\xd8\xff", "a picture"),
    (rb"\x7fELF", "a program"),
)
BINARY = "a binary file"
# Errors of a damaged archive; MemoryError: a damaged header of .xz asks for gigabytes.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, MemoryError)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")  # none of a text's: not tab, line ends, end of file, escape
MOST_CONTROLS = 0.02  # share of the head; a text may have some by mistake
_ZEROS_OF_UTF16 = 0.4  # share of zeros in every other byte, from which a file is a text in UTF-16


def file_kind(head: bytes) -> str | None:
    """Return a noun for the kind of a file that is not UTF-8 text, as its first bytes show; None where they do not.

    Args:
        head: its first bytes, `HEAD` or more.

    >>> file_kind(b"\\xff\\xfea\\0b\\0")
    'a text in UTF-16'
    >>> file_kind("naïve".encode()) is None
    True
    """
    head = head[:HEAD]
    for magic, kind in _MAGIC:
        if re.match(magic, head, re.DOTALL):
            return kind
    fewer, more = sorted((head[::2].count(0), head[1::2].count(0)))
    if 2 * more > _ZEROS_OF_UTF16 * len(head) and 20 * fewer < len(head):
        return "a text in UTF-16"
    return BINARY if len(_CONTROLS.findall(head)) > max(1, MOST_CONTROLS * len(head)) else None


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked by gzip or xz where its first bytes, or else its name, say that it is packed.

    Opening and reading raise OSError, and one of `DAMAGED` of an archive.
    """
    with path.open("rb") as file:
        magic = file.read(2)
    openers = {b"\x1f\x8b": gzip.open, b"\xfd7": lzma.open, ".gz": gzip.open, ".xz": lzma.open}
    return (openers.get(magic) or openers.get(path.suffix.lower(), open))(path, "rb")  # type: ignore[operator]


def read_text(path: Path, name: str, expected: str, errors: str = "strict") -> str:
    """Return the text of a UTF-8 file; one that is packed by gzip or xz is unpacked.

    Args:
        path: the file.
        name: of the file in messages, with its key: "decoding.lexicon=words.txt".
        expected: the kind of file that is needed: "a text file, one word a line".
        errors: "strict", or "replace" to read U+FFFD for bytes that are no UTF-8.

    Returns:
        the text without a byte order mark; line ends as they are.

    Raises:
        UserError: the file cannot be read, is something else than a text, or too large.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "words.txt"
    >>> path.write_bytes(b"ADA")
    3
    >>> read_text(path, "decoding.lexicon=words.txt", "a text file, one word a line")
    'ADA'
    """
    try:
        with open_unpacked(path) as file:
            data = file.read(LARGEST + 1)
    except DAMAGED as error:
        raise UserError(
            f"{name} is a damaged archive ({error or 'it needs too much memory'}); give {expected}."
        ) from error
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}; give {expected}.") from error
    if len(data) > LARGEST:
        raise UserError(f"{name} holds more than {LARGEST >> 30} GB of text; give {expected}.")
    if (kind := file_kind(data)) is None and b"\0" in data:
        kind = BINARY
    if kind is not None:
        raise UserError(f"{name} seems to be {kind}; give {expected}, in UTF-8.")
    try:
        return data.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is no UTF-8: byte {error.start:,} (0x{data[error.start]:02x}) fits no character; "
            f"give {expected}, in UTF-8."
        ) from None

"""Texts from files: UTF-8 and packed ones are read; each other kind of file is named in a sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
from pathlib import Path

import pytest

from speechrnn.core import text_files
from speechrnn.core.errors import UserError
from speechrnn.core.text_files import file_kind, read_text

TEXT = "ada K AE1 T\nnaïve Größe\r\n"


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("words.txt", TEXT)
    return file.getvalue()


@pytest.mark.parametrize("content", [TEXT.encode(), TEXT.encode("utf-8-sig"), gzip.compress(TEXT.encode())])
def test_texts_are_read_plain_with_a_mark_and_packed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words"
    path.write_bytes(content)
    assert read_text(path, "words", "words") == TEXT
    path.write_bytes(lzma.compress(TEXT.encode()))
    assert read_text(path, "words", "words") == TEXT


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (TEXT.encode("utf-16"), "a text in UTF-16"),
        (TEXT.encode("utf-16-le"), "a text in UTF-16"),
        (TEXT.encode("utf-16-be"), "a text in UTF-16"),
        (TEXT.encode("utf-32"), "a text in UTF-32"),
        (gzip.compress(gzip.compress(TEXT.encode())), "a gzip archive"),
        (bz2.compress(TEXT.encode()), "a bzip2 archive"),
        (zipped(), "a zip archive"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a recording"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (random.Random(0).randbytes(5000), "a binary file"),
        (bytes(5000), "a binary file"),
        (TEXT.encode() * 1000 + b"\0", "a binary file"),
    ],
)
@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, kind: str, errors: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^decoding.lexicon=x seems to be {kind}.*; give a list of words, in UTF-8"):
        read_text(path, "decoding.lexicon=x", "a list of words", errors=errors)


def test_another_encoding_of_letters_is_refused_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("DÉJÀ D EY2".encode("latin-1"))
    with pytest.raises(UserError, match=r"no UTF-8: byte 1 \(0xc9\)"):
        read_text(path, "words", "words")
    assert read_text(path, "words", "words", errors="replace") == "D\ufffdJ\ufffd D EY2"


def test_damaged_archives_folders_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "words.gz"
    path.write_bytes(gzip.compress(TEXT.encode() * 100)[:-20])
    with pytest.raises(UserError, match="damaged archive"):
        read_text(path, "words", "words")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_text(tmp_path, "words", "words")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_text(tmp_path / "none", "words", "words")


def test_a_text_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LARGEST", 1 << 16)
    path = tmp_path / "words.gz"
    path.write_bytes(gzip.compress(b"a\n" * (1 << 20)))
    with pytest.raises(UserError, match="holds more than"):
        read_text(path, "words", "words")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "ab",
        "שלום",
        "漢字\n漢字",
        "\tword\x1b[0m\x1a\x0c\n",
        "RIFFRAFF",
        "it\x19s fine weather, they said to all of us, and so on and on",
    ],
)
def test_texts_of_any_script_are_no_other_kind(text: str) -> None:
    assert file_kind(text.encode()) is None

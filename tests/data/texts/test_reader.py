"""Reading text: line ends, packed files, long lines, bytes that are no UTF-8, patterns, documents."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.data.texts import reader
from speechrnn.data.texts.reader import Line, by_blank_lines, by_file, find, read_lines

Write = Callable[[str, str | bytes], Path]


def texts(path: Path, errors: str = "strict") -> list[str]:
    return [line.text for line in read_lines(path, errors)]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        # Only what ends a line in a text file ends it here, not what str.splitlines() takes for an end, too.
        ("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d"]),
        (" é \n€\n".encode(), [" é ", "€"]),
    ],
)
@pytest.mark.parametrize("suffix", [".txt", ".gz", ".xz", ".GZ"])
def test_lines_are_what_stands_between_line_ends(write: Write, content: bytes, lines: list[str], suffix: str) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}
    pack = packers.get(suffix.lower(), bytes)
    path = write("a" + suffix, pack(content))
    assert texts(path) == lines
    assert all(line.ended and not line.document for line in read_lines(path))


@settings(max_examples=100)
@given(st.text("ab é€𝄞\n", max_size=60), st.integers(1, 9), st.integers(4, 20))
def test_lines_do_not_hang_on_how_much_is_read_at_once(
    tmp_path_factory: pytest.TempPathFactory, text: str, block: int, longest: int
) -> None:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_BLOCK", block)
        patch.setattr(reader, "_LONGEST", longest)
        lines = list(read_lines(path))
    joined = "".join(line.text + "\n" * line.ended for line in lines)
    assert joined == (text if text.endswith("\n") or not text else text + "\n")
    for line in lines:
        assert len(line.text.encode()) <= longest + 2 * block + 3  # what followed the last space, a block, a character
        if not line.ended and " " in line.text:
            assert line.text.endswith(" ")


def test_bytes_that_are_no_utf_8_are_named_by_file_and_place(write: Write) -> None:
    lines = [b"plain text\n"] * 150_000
    lines[140_000] = b"caf\xe9 au lait\n"
    path = write("latin.txt", b"\xef\xbb\xbf" + b"".join(lines))
    offset = 3 + 140_000 * 11 + 3
    assert path.read_bytes()[offset] == 0xE9
    with pytest.raises(
        UserError, match=rf"latin\.txt is no UTF-8 text: byte {offset:,} \(0xe9\).*text\.errors=replace"
    ):
        texts(path)
    assert texts(path, "replace")[140_000] == "caf\ufffd au lait"
    packed = write("latin.txt.gz", gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match=rf"byte {offset:,} of the unpacked text"):
        texts(packed)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_damaged_archive_is_one_sentence(write: Write, suffix: str) -> None:
    content = (gzip if suffix == ".gz" else lzma).compress(b"some text\n" * 1000)
    for damaged in (content[: len(content) // 2], b"no archive", content[:30] + b"xxxx" + content[34:]):
        with pytest.raises(UserError, match=r"a\.\w+ (is a damaged archive|cannot be read)"):
            texts(write("a" + suffix, damaged))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.txt does not exist"):
        texts(tmp_path / "gone.txt")


def test_patterns_find_files_sorted_and_once(write: Write, tmp_path: Path) -> None:
    b, a, c = (write(name, "x") for name in ("news/b.txt", "news/a.txt", "news/deep/c.txt"))
    odd = write("odd [1].txt", "x")
    assert find(["news/*.txt"], tmp_path, "text.train") == (a, b)
    assert find(["news/**/*.txt", "news/a.txt"], tmp_path, "text.train") == (a, b, c)
    assert find(["news/b.txt", "news/a.txt"], tmp_path, "text.train") == (b, a)
    assert find([str(tmp_path / "news" / "?.txt")], None, "text.train") == (a, b)
    assert find(["odd [1].txt"], tmp_path, "text.train") == (odd,)
    # The root's own name is no pattern.
    d = write("set [2]/d.txt", "x")
    assert find(["*.txt"], tmp_path / "set [2]", "text.train") == (d,)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("gone.txt", r"text\.valid=gone\.txt: .*gone\.txt does not exist; check the name and text\.root\."),
        ("news/*.csv", r"text\.valid=news/\*\.csv: .*/news/\*\.csv matches no file; check the name"),
        ("news", r"text\.valid=news: .*news is a folder, not a file; give .*news/\*\.txt or the like\."),
    ],
)
def test_a_pattern_without_a_file_is_one_sentence(write: Write, tmp_path: Path, pattern: str, message: str) -> None:
    write("news/a.txt", "x")
    with pytest.raises(UserError, match=message):
        find([pattern], tmp_path, "text.valid")


@pytest.mark.parametrize("pattern", ["books/*.txt", "book.txt"])
def test_a_pattern_is_named_once_where_it_is_the_path(pattern: str) -> None:
    with pytest.raises(UserError) as caught:
        find([pattern], None, "text.train")
    assert str(caught.value).count(pattern) == 1


def starts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines if line.document]


def test_documents_by_file(write: Write) -> None:
    paths = [write("a", "1\n\n2\n"), write("b", ""), write("c", "3\n4\n")]
    assert starts(list(by_file(paths, "strict", True))) == ["1", "3"]
    assert starts(list(by_file(paths, "strict", False))) == []
    assert [line.text for line in by_file(paths, "strict", True)] == ["1", "", "2", "3", "4"]


def test_documents_by_blank_lines() -> None:
    lines = [Line(text) for text in ["", "1", "2", "", " ", "3", "", "4", ""]]
    marked = list(by_blank_lines(lines))
    assert [line.text for line in marked] == [line.text for line in lines]
    assert starts(marked) == ["1", "3", "4"]
    # What goes on after a piece is no new line, and so no new document.
    assert starts(
        list(by_blank_lines([Line("a ", ended=False), Line("b"), Line(""), Line(" ", ended=False), Line("c")]))
    ) == ["a "]


def test_an_archive_that_asks_for_gigabytes_is_a_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt.xz"
    path.write_bytes(lzma.compress(b"whole"))

    def read(self: lzma.LZMAFile, size: int = -1) -> bytes:
        raise MemoryError

    monkeypatch.setattr(lzma.LZMAFile, "read", read)
    with pytest.raises(UserError, match=r"a.txt.xz is a damaged archive"):
        list(read_lines(path))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("a text\n".encode("utf-16"), "a text in UTF-16"),
        ("a text\n".encode("utf-16-le"), "a text in UTF-16"),
        (bytes(1000), "a binary file"),
        (gzip.compress(gzip.compress(b"a text")), "a gzip archive"),
        (b"PK\x03\x04rest", "a zip archive"),
    ],
)
@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_a_file_of_another_kind_is_not_read_as_words(tmp_path: Path, content: bytes, kind: str, errors: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"text.txt seems to be {kind}"):
        list(read_lines(path, errors))


def test_a_packed_text_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(gzip.compress(b"a text"))
    assert [line.text for line in read_lines(path)] == ["a text"]

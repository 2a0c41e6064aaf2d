"""Find the files of a corpus folder: its base, its audio, and its text files line by line."""

from __future__ import annotations

import csv
import gzip
import os
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from speechrnn.core.errors import UserError


def locate(root: Path | None, name: str, layout: str, markers: Sequence[str], inside: Sequence[str] = ()) -> Path:
    """Return the folder in which a corpus's own tree starts: `root` itself, or one of the folders `inside` it.

    Archives unpack into a folder of their own, and users give either of the two.

    Args:
        root: what the user gave as corpus.root.
        name: the corpus, for the message.
        layout: a phrase that says what the corpus looks like.
        markers: glob patterns; the folder must hold a match of each.
        inside: names (glob patterns) of folders in `root` to try after `root`.

    Raises:
        UserError: none of the folders holds the markers; says what was looked for and where.
    """
    folder = existing_root(root, name, layout)
    candidates = [folder] + [path for pattern in inside for path in sorted(folder.glob(pattern)) if path.is_dir()]
    for candidate in candidates:
        if all(next(candidate.glob(marker), None) is not None for marker in markers):
            return candidate
    missing = [marker for marker in markers if next(folder.glob(marker), None) is None]
    also = f" (nor in a folder {' or '.join(inside)} in it)" if inside else ""
    raise wrong_root(folder, name, layout, found=f"{', '.join(missing)} not found there{also}; ")


def existing_root(root: Path | None, name: str, layout: str) -> Path:
    """Return `root` if it is a folder; raise a UserError with the expected layout otherwise."""
    if root is None:
        raise UserError(f"The corpus {name} needs corpus.root, the folder that holds {layout}.")
    if not root.is_dir():
        raise wrong_root(
            root, name, layout, found="it is a file, not a folder; " if root.exists() else "it does not exist; "
        )
    return root


def wrong_root(root: Path, name: str, layout: str, found: str = "") -> UserError:
    """Return the error for a root that does not hold a corpus: what is wrong, what was looked for, and a way out."""
    from speechrnn.data.corpora import corpus_module

    fetch = ", or fetch it with corpus.download=true" if hasattr(corpus_module(name), "missing_archives") else ""
    return UserError(
        f"corpus.root={root} does not hold the corpus {name}: {found}looked for {layout}; "
        f"point corpus.root at it{fetch}."
    )


def audio_files(folder: Path) -> dict[str, Path]:
    """Return all audio below `folder`: path relative to it without suffix, with "/" -> the file, sorted.

    Of several files that differ only in the suffix (a corpus kept as .sph and .wav), the first by name is taken.
    """
    from speechrnn.audio import AUDIO_SUFFIXES

    files: dict[str, Path] = {}
    for path in files_below(folder):
        if path.suffix.lower() in AUDIO_SUFFIXES:
            files.setdefault(compose(path.relative_to(folder).with_suffix("").as_posix()), path)
    return files


def compose(name: str) -> str:
    """Return a name in Unicode's composed form: macOS and archives made there write accents as letters of their own.

    >>> compose("cafe\\N{COMBINING ACUTE ACCENT}") == "caf\\N{LATIN SMALL LETTER E WITH ACUTE}"
    True
    """
    return unicodedata.normalize("NFC", name)


def find_file(path: Path) -> Path | None:
    """Return the file that `path` names, in whatever Unicode form its name and its folders' are; None without one."""
    try:
        if path.is_file():
            return path
        if str(path).isascii():
            return None
        found = Path(path.anchor)
        for part in path.parts[1 if path.anchor else 0 :]:
            if not (found / part).exists():
                names = sorted(entry.name for entry in found.iterdir() if compose(entry.name) == compose(part))
                if not names:
                    return None
                part = names[0]
            found = found / part
        return found if found.is_file() else None
    except (OSError, ValueError):  # a name that is too long, holds NUL, or is no Unicode text
        return None


def files_below(folder: Path) -> list[Path]:
    """Return all files below `folder` at any depth, through links too, sorted; hidden ones left out.

    A link to a folder that holds it is not followed: it would list the same files again and again, and through a folder
    above `folder` those of other parts too.
    """
    found = []
    base = Path(os.path.realpath(folder))
    above = {os.fspath(folder): {os.fspath(base), *map(os.fspath, base.parents)}}
    for parent, folders, names in os.walk(folder, followlinks=True):
        found += [Path(parent, name) for name in names if not name.startswith(".")]
        held = above.pop(parent)
        real = {name: os.path.realpath(os.path.join(parent, name)) for name in folders}  # noqa: PTH118 (many folders)
        folders[:] = [name for name in folders if real[name] not in held]
        above.update({os.path.join(parent, name): held | {real[name]} for name in folders})  # noqa: PTH118
    return sorted(found)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 text file, `.gz` or plain, without empty lines.

    Raises:
        UserError: no such file, not UTF-8, or a damaged gzip file.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                line = line.lstrip("\ufeff")  # of a file that was appended
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; check corpus.root.") from None
    except UnicodeDecodeError:
        place = f" after line {number}" if number else ""
        raise UserError(f"{path} is not UTF-8 text{place}; convert it to UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read after line {number}: {error}.") from error


def read_table(path: Path, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of each row of a CSV or TSV file, the header first; a row is one line.

    Args:
        path: a UTF-8 file, `.gz` or plain.
        delimiter: one character.
        quoted: whether a quotation mark encloses a cell; otherwise it is text like any other.

    Raises:
        UserError: as `read_lines`, or a quotation mark that is not closed in its line.
    """
    for number, line in read_lines(path):
        try:
            # Line by line: one stray quotation mark would otherwise swallow the rows up to the next one.
            (cells,) = csv.reader(
                [line + "\n"], delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
            )
        except (csv.Error, ValueError) as error:
            raise UserError(
                f"{path}, line {number}: {error}; is it a table with a {delimiter!r} between its columns?"
            ) from None
        if any(cell.endswith("\n") for cell in cells):
            raise unclosed_quote(path, number)
        yield number, cells


def unclosed_quote(path: Path, number: int) -> UserError:
    """Return the error for a cell that begins with a quotation mark and does not end in its line."""
    return UserError(
        f"{path}, line {number}: a quotation mark opens a cell and does not close it in this line, so that the cell "
        "would swallow the lines after it; close it, double it within quotes, or remove it."
    )

"""Text of your own: UTF-8 files, plain or packed (.gz, .xz)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial

from speechrnn.core.errors import UserError
from speechrnn.data.texts import SPLITS, Part, TextOptions
from speechrnn.data.texts.reader import Line, by_blank_lines, by_file, find

LAYOUT = "the files that text.train, text.valid and text.test name"


def parts(
    options: TextOptions,
    *,
    train: Sequence[str] = (),
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    valid_fraction: float = 0.1,
) -> dict[str, Part]:
    """Return the parts that the files make.

    Where `valid` is empty, the last `valid_fraction` of the training lines (at least one; blank ones do not count)
    are held out for it. With
    `documents`, each file is one if some part has several; otherwise blank lines part them.

    Args:
        options: with the root, where relative paths start (None: the working folder).
        train, valid, test: paths and glob patterns.
        valid_fraction: from 0 (no validation part) to 0.9.

    Raises:
        UserError: no file, a path or pattern that names nothing, or too few lines to hold some out.
    """
    if not 0 <= valid_fraction <= 0.9:
        raise UserError(f"text.valid_fraction={valid_fraction:g} is wrong: it must be at least 0 and at most 0.9.")
    files = {
        split: find(patterns, options.root, f"text.{split}")
        for split, patterns in zip(SPLITS, (train, valid, test), strict=True)
        if patterns
    }
    if not files:
        raise UserError("The text file needs at least one file, as in text.train=[book.txt].")
    several = any(len(paths) > 1 for paths in files.values())

    def lines(split: str) -> Iterator[Line]:
        read = by_file(files[split], options.errors, options.documents and several)
        return by_blank_lines(read) if options.documents and not several else read

    found = {split: Part(paths, partial(lines, split)) for split, paths in files.items()}
    return {**found, **_hold_out(found["train"], valid_fraction)} if train and not valid and valid_fraction else found


def _hold_out(whole: Part, fraction: float) -> dict[str, Part]:
    """Split a text into first and last lines: neighbouring lines are alike, so a random choice would leak."""

    @cache
    def kept() -> int:
        total = sum(_counts(line) for line in whole.lines())
        if total == 1:
            raise UserError(
                f"text.valid_fraction={fraction:g} cannot hold out a line of {whole.files[0]}, which has only one; "
                "give text.valid=[FILE], or text.valid_fraction=0 to train without a validation part."
            )
        return total - max(1, round(total * fraction))

    def lines(training: bool) -> Iterator[Line]:
        left = kept()
        for line in whole.lines():
            if (left > 0) == training:
                yield line
            elif training:
                return
            left -= _counts(line)

    return {split: Part(whole.files, partial(lines, split == "train")) for split in ("train", "valid")}


def _counts(line: Line) -> bool:
    return line.ended and bool(line.text.strip())

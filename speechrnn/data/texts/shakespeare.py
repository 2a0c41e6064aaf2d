"""Tiny Shakespeare, char-rnn's example: 1,115,394 characters of his plays in one file, public domain.

https://github.com/karpathy/char-rnn , whose 95 % for training are not the beginning of the file. The text is first cut
into 50 rows, one under the other, and the last 5 % of each row validate (util/CharSplitLMMinibatchLoader.lua), so that
parts of the same scenes train and validate.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

from speechrnn.core.errors import UserError
from speechrnn.data.download import RemoteFile
from speechrnn.data.texts import Part, TextOptions
from speechrnn.data.texts.layout import locate
from speechrnn.data.texts.reader import Line, by_blank_lines, read_lines

LAYOUT = "input.txt"
FILE = RemoteFile(
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
    "/data/tinyshakespeare/input.txt",
    "input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
TRAIN_PERCENT = 95
ROWS, WINDOW = 50, 50  # char-rnn's batch_size and seq_length, by which it cuts


def missing_files(root: Path) -> list[RemoteFile]:
    """Return the files that `text.download=true` must fetch."""
    return [] if (root / FILE.name).is_file() else [FILE]


def parts(options: TextOptions, *, split: Literal["char_rnn", "end"] = "char_rnn") -> dict[str, Part]:
    """Return a training and a validation part; there is no test part.

    A cut may go through a line. What stands before it then ends without an end of line, so that each character is
    counted once. With `documents`, blank lines part them: a document is what one person says, under the name.

    Args:
        split: "char_rnn": the first 95 % of each of 50 rows train, the rest of each validates, and what does not fill
            the rows is left out (394 characters); "end": the first 95 % of the file train, the rest validates, which is
            harder, since it is of other plays. Their figures cannot be compared.

    Raises:
        UserError: the root does not hold the file, or it is too short for rows.
    """
    (path,) = locate(options, ((FILE.name,),), inside=("tinyshakespeare",))
    cut = _rows if split == "char_rnn" else _half

    def part(training: bool) -> Iterator[Line]:
        lines = cut(path, options.errors, training)
        return by_blank_lines(lines) if options.documents else lines

    return {name: Part((path,), partial(part, name == "train")) for name in ("train", "valid")}


def _rows(path: Path, errors: str, training: bool) -> Iterator[Line]:
    text = "".join(line.text + "\n" * line.ended for line in read_lines(path, errors))
    windows = len(text) // (ROWS * WINDOW)  # in a row
    if windows < 2:
        raise UserError(f"{path} is too short for char-rnn's split; use text.split=end.")
    length = windows * WINDOW
    border = windows * TRAIN_PERCENT // 100 * WINDOW
    rows = [text[row * length : (row + 1) * length] for row in range(ROWS)]
    *lines, last = "".join(row[:border] if training else row[border:] for row in rows).split("\n")
    yield from map(Line, lines)
    if last:
        yield Line(last, ended=False)


def _half(path: Path, errors: str, training: bool) -> Iterator[Line]:
    total = sum(len(line.text) + line.ended for line in read_lines(path, errors))
    lines = read_lines(path, errors)
    left = total * TRAIN_PERCENT // 100  # characters
    for line in lines:
        length = len(line.text) + line.ended
        if length > left:
            if training:
                if left:
                    yield Line(line.text[:left], ended=False)
            else:
                yield from chain([line._replace(text=line.text[left:])], lines)
            return
        if training:
            yield line
        left -= length

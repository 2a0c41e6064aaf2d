"""Tiny Shakespeare, char-rnn's example: 1,115,394 characters of his plays in one file, public domain.

https://github.com/karpathy/char-rnn ; the first 95 % of its characters train, as there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from speechrnn.texts import Part, TextOptions
from speechrnn.texts.download import RemoteFile
from speechrnn.texts.layout import locate
from speechrnn.texts.reader import Line, by_blank_lines, read_lines

LAYOUT = "input.txt"
FILE = RemoteFile(
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
    "/data/tinyshakespeare/input.txt",
    "input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
TRAIN_PERCENT = 95


def missing_files(root: Path) -> list[RemoteFile]:
    """What `text.download=true` must fetch."""
    return [] if (root / FILE.name).is_file() else [FILE]


def parts(options: TextOptions) -> dict[str, Part]:
    """The first 95 % of the characters train, the rest, rounded up, validates; there is no test part.

    The cut may go through a line. The training part then ends without an end of line, and the validation part begins
    with the rest of the line, so that each character is counted once. With `documents`, blank lines part them: a
    document is what one person says, under the name.

    Raises:
        UserError: the root does not hold the file.
    """
    (path,) = locate(options, ((FILE.name,),), inside=("tinyshakespeare",))

    def part(training: bool) -> Iterator[Line]:
        lines = _half(path, options.errors, training)
        return by_blank_lines(lines) if options.documents else lines

    return {split: Part((path,), partial(part, split == "train")) for split in ("train", "valid")}


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

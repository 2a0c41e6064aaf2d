"""WikiText-2 (Merity et al. 2016, https://arxiv.org/abs/1609.07843): 2 million words of Wikipedia, CC BY-SA 3.0.

With `tokenizer=word` it has the published 2,088,628, 217,646 and 245,569 tokens, one end-of-line token a line, and a
vocabulary of 33,278 with `<unk>` and the end of line: every word of the files is one, nothing is normalised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from speechrnn.data.download import RemoteFile
from speechrnn.data.texts import SPLITS, Part, TextOptions
from speechrnn.data.texts.layout import locate
from speechrnn.data.texts.reader import Line, read_lines

LAYOUT = "wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens (or train.txt, valid.txt and test.txt)"
NAMES = tuple(f"wiki.{split}.tokens" for split in SPLITS)
# PyTorch's examples keep the authors' files, byte for byte, at a fixed address.
_ORIGIN = (
    "https://raw.githubusercontent.com/pytorch/examples/77f55b912142e11fcfdf5b530231fb9c52f181e8"
    "/word_language_model/data/wikitext-2"
)
FILES = (
    RemoteFile(f"{_ORIGIN}/train.txt", NAMES[0], "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"),
    RemoteFile(f"{_ORIGIN}/valid.txt", NAMES[1], "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
    RemoteFile(f"{_ORIGIN}/test.txt", NAMES[2], "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
)
_TITLE = re.compile(r"= (?!= ).*[^=] =$")


def missing_files(root: Path) -> list[RemoteFile]:
    """Return the files that `text.download=true` must fetch."""
    return [file for file in FILES if not (root / file.name).is_file()]


def parts(options: TextOptions) -> dict[str, Part]:
    """Return the published parts. With `documents`, each article is a document: from its title, ` = Title = `, on.

    Lines are as in the files, with the spaces at both ends, so that figures per character are those of the file.

    Raises:
        UserError: the root does not hold the files.
    """
    files = locate(options, (NAMES, ("train.txt", "valid.txt", "test.txt")), inside=("wikitext-2",))
    return {
        split: Part((path,), partial(_lines, path, options.errors, options.documents))
        for split, path in zip(SPLITS, files, strict=True)
    }


def _lines(path: Path, errors: str, documents: bool) -> Iterator[Line]:
    lines = read_lines(path, errors)
    return _by_titles(lines) if documents else lines


def _by_titles(lines: Iterator[Line]) -> Iterator[Line]:
    before = Line("")
    held = next(lines, None)
    while held is not None:
        after = next(lines, None)
        title = (
            not before.text.strip() and (after is None or not after.text.strip()) and _TITLE.match(held.text.strip())
        )
        yield held._replace(document=True) if title else held
        before, held = held, after

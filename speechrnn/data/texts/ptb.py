"""Penn Treebank as Mikolov prepared it (2010): a million words of the Wall Street Journal, 10,000 different ones.

The text is licensed by the Linguistic Data Consortium (LDC99T42), so that it cannot be fetched from here.
"""

from __future__ import annotations

from functools import partial

from speechrnn.core.errors import UserError
from speechrnn.data.texts import SPLITS, Part, TextOptions
from speechrnn.data.texts.layout import locate
from speechrnn.data.texts.reader import read_lines

LAYOUT = "ptb.train.txt, ptb.valid.txt and ptb.test.txt, the word files of Mikolov's simple-examples"
HOW_TO_GET = (
    "Penn Treebank is licensed by the Linguistic Data Consortium and cannot be downloaded here: take the folder data/ "
    "of Mikolov's simple-examples, point text.root at it, and set text.download=false."
)


def parts(options: TextOptions) -> dict[str, Part]:
    """List Mikolov's parts, a sentence a line, with the spaces at both ends that the files have.

    Raises:
        UserError: the root does not hold the files, or `documents` is asked for: the files do not part the articles.
    """
    if options.documents:
        raise UserError(
            "text.documents=true means nothing for text=ptb, whose files do not part the articles; leave it out."
        )
    names = tuple(f"ptb.{split}.txt" for split in SPLITS)
    files = locate(options, (names,), inside=("data", "simple-examples/data"))
    return {
        split: Part((path,), partial(read_lines, path, options.errors))
        for split, path in zip(SPLITS, files, strict=True)
    }

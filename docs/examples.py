"""Show the examples of docstrings as code: a griffe extension for the API pages.

Griffe takes `>>>` for an example only in a section of its own name; elsewhere Markdown reads it as a quotation.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Fence the examples of each docstring."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Change the docstring of an object that was just read."""
        if obj.docstring:
            obj.docstring.value = fence_examples(obj.docstring.value)


def fence_examples(docstring: str) -> str:
    """Return a docstring whose examples stand in fences, without the flags of doctest.

    >>> print(fence_examples("Add.\\n\\n>>> 1 + 1  # doctest: +SKIP\\n2").replace("`", "'"))
    Add.
    <BLANKLINE>
    '''pycon
    >>> 1 + 1
    2
    '''
    """
    paragraphs = re.split(r"(\n[ \t]*\n)", docstring)
    for number, paragraph in enumerate(paragraphs):
        if not paragraph.lstrip().startswith(">>>"):
            continue
        indent = paragraph[: len(paragraph) - len(paragraph.lstrip(" \t"))]
        code = re.sub(r"[ \t]*# doctest:.*", "", paragraph).replace("<BLANKLINE>", "").rstrip()
        paragraphs[number] = f"{indent}```pycon\n{code}\n{indent}```"
    return "".join(paragraphs)

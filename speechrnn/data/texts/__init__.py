"""Texts: files on disk -> the lines of a training, a validation and a test part.

One small module a text. Each offers

    parts(options, *, key=default, ...) -> dict[split, Part]

whose keyword arguments are the text's own config keys (conf/text/NAME.yaml), the constant `LAYOUT`, a phrase that says
what is looked for in the root, and, where the licence allows, `missing_files(root)`, which lists what
`text.download=true` must fetch. `speechrnn.data.texts.prepare` does the rest, the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from speechrnn.data.sources import SourceOptions, source_module, source_options
from speechrnn.data.texts.reader import Line

SPLITS = ("train", "valid", "test")

__all__ = ["TEXTS", "Part", "TextOptions", "text_module", "text_options", "text_parts"]

# name -> module, imported only when it is asked for
TEXTS: dict[str, str] = {
    "file": "speechrnn.data.texts.file",
    "ptb": "speechrnn.data.texts.ptb",
    "shakespeare": "speechrnn.data.texts.shakespeare",
    "transcripts": "speechrnn.data.texts.transcripts",
    "wikitext2": "speechrnn.data.texts.wikitext2",
}


@dataclass(frozen=True)
class Part:
    """One part of a text: the files it comes from, and its lines, which can be read any number of times.

    >>> Part((), lambda: iter(())).files
    ()
    """

    files: tuple[Path, ...]
    lines: Callable[[], Iterator[Line]]


@dataclass(frozen=True)
class TextOptions(SourceOptions):
    """The keys of the config group `text` that all texts share; `text_options` adds the chosen text's own.

    >>> text_options({"name": "file", "train": ["book.txt"]}).errors
    'strict'
    """

    # how bytes that are no UTF-8 are read: not at all, or as U+FFFD
    errors: Literal["strict", "replace"] = "strict"
    # whether the text is taken as separate documents, each read from the start state
    documents: bool = False


def text_options(config: Mapping[str, Any]) -> TextOptions:
    """Return the options of a config group `text`, given as a mapping: `{"name": "file", "train": ["book.txt"]}`.

    >>> text_options({"name": "file", "train": ["book.txt"]}).name
    'file'

    Raises:
        UserError: see `sources.source_options`.
    """
    return source_options("text", TEXTS, "parts", shared=TextOptions, config=config)


def text_module(name: str) -> ModuleType:
    """Import the module of the text `name`; UserError names the nearest valid one.

    >>> text_module("file").__name__
    'speechrnn.data.texts.file'
    """
    return source_module("text", TEXTS, name)


def text_parts(options: TextOptions) -> dict[str, Part]:
    """Return the parts that a text has, of "train", "valid" and "test"; UserError where it is not in its place.

    >>> sorted(text_parts(text_options({"name": "file", "train": ["book.txt"]})))  # doctest: +SKIP
    ['train', 'valid']
    """
    parts: dict[str, Part] = text_module(options.name).parts(options, **options.own)
    return parts

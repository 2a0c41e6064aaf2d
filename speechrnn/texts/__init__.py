"""Texts: whatever lies on disk -> the lines of a training, a validation and a test part.

One small module a text. Each offers

    parts(options, *, key=default, ...) -> dict[split, Part]

whose keyword arguments are the text's own config keys (conf/text/NAME.yaml), the constant `LAYOUT`, a phrase that says
what is looked for in the root, and, where the licence allows, `missing_files(root)`, which lists what
`text.download=true` must fetch. `speechrnn.texts.prepare` does the rest, the same for all of them.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_type_hints

from speechrnn.errors import UserError
from speechrnn.options import build, did_you_mean
from speechrnn.texts.reader import Line

SPLITS = ("train", "valid", "test")

# name -> module, imported only when it is asked for
TEXTS: dict[str, str] = {
    "file": "speechrnn.texts.file",
    "ptb": "speechrnn.texts.ptb",
    "shakespeare": "speechrnn.texts.shakespeare",
    "transcripts": "speechrnn.texts.transcripts",
    "wikitext2": "speechrnn.texts.wikitext2",
}


@dataclass(frozen=True)
class Part:
    """One part of a text: the files it comes from, and its lines, which can be read any number of times."""

    files: tuple[Path, ...]
    lines: Callable[[], Iterator[Line]]


@dataclass(frozen=True)
class TextOptions:
    """The keys of the config group `text` that all texts share; `text_options` adds the chosen text's own."""

    name: str
    root: Path | None = None
    download: bool = False
    # how bytes that are no UTF-8 are read: not at all, or as U+FFFD
    errors: Literal["strict", "replace"] = "strict"
    # whether the text is taken as separate documents, each read from the start state
    documents: bool = False

    @property
    def own(self) -> dict[str, Any]:
        """The text's own keys with their values: what its `parts` takes beside these options."""
        shared = {f.name for f in fields(TextOptions)}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in shared}


def text_options(config: Mapping[str, Any]) -> TextOptions:
    """The options of a config group `text`, given as a mapping: `{"name": "file", "train": ["book.txt"]}`.

    Raises:
        UserError: an unknown text or key (names the nearest valid one), a wrong value, or a root that is not set.
    """
    options = build(_schema(str(config.get("name", ""))), config, "text")
    if str(options.root) == "???":
        raise UserError(
            f"text.root is not set: give the folder of {options.name}, as in text.root=data/{options.name}."
        )
    return options


def text_module(name: str) -> ModuleType:
    """Import the module of the text `name`; UserError names the nearest valid one."""
    if name not in TEXTS:
        raise UserError(f"text.name={name} is none of {', '.join(TEXTS)}{did_you_mean(name, TEXTS)}")
    return importlib.import_module(TEXTS[name])


def text_parts(options: TextOptions) -> dict[str, Part]:
    """The parts that a text has, of "train", "valid" and "test"; UserError where it is not in its place."""
    return text_module(options.name).parts(options, **options.own)


def _schema(name: str) -> type[TextOptions]:
    """`TextOptions` and the text's own keys: the arguments of its `parts` after the options."""
    function = text_module(name).parts
    hints = get_type_hints(function)
    own = list(inspect.signature(function).parameters.values())[1:]
    return make_dataclass(
        "TextOptions",
        [(p.name, hints[p.name], field(default=p.default)) for p in own],
        bases=(TextOptions,),
        frozen=True,
    )

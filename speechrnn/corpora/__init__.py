"""Corpora: whatever lies on disk -> utterances -> lhotse cut manifests with a summary.

One small module a corpus. Each offers

    utterances(root, *, key=default, ...) -> dict[split, iterable of Utterance]

whose keyword arguments are the corpus's own config keys (conf/corpus/NAME.yaml), the constant `LAYOUT`, a phrase that
says what is looked for in the root, and, where the licence allows, `missing_archives(root, ...)`, which lists what
`corpus.download=true` must fetch. `speechrnn.corpora.prepare` does the rest, the same for all of them.

lhotse's own recipes are not used for parsing: they leave out missing audio without a word, stop at an assert on a
slightly different tree, and read audio headers with torchaudio; each layout is a few lines to parse.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from speechrnn.errors import UserError

SPLITS = ("train", "dev", "test")

# name -> module, imported only when it is asked for
CORPORA: dict[str, str] = {
    "an4": "speechrnn.corpora.an4",
    "common_voice": "speechrnn.corpora.common_voice",
    "folder": "speechrnn.corpora.folder",
    "librispeech": "speechrnn.corpora.librispeech",
    "ljspeech": "speechrnn.corpora.ljspeech",
    "manifest": "speechrnn.corpora.manifest",
    "speech_commands": "speechrnn.corpora.speech_commands",
    "synthetic": "speechrnn.corpora.synthetic",
    "yesno": "speechrnn.corpora.yesno",
}


@dataclass(frozen=True)
class Utterance:
    """One piece of speech as the corpus lists it; nothing is checked yet.

    It may name audio that does not exist (a transcript without audio), and have no text (audio without a transcript):
    both are kept, so that the summary can count and name them.
    """

    id: str
    audio: Path
    text: str | None  # as written in the corpus; None: there is no transcript
    speaker: str | None = None
    start: float = 0.0  # seconds into `audio`
    duration: float | None = None  # seconds; None: to the end of the file
    channel: int | None = None  # None: all channels, mixed


@dataclass(frozen=True)
class CorpusOptions:
    """The config group `corpus`: the keys that all corpora share, and in `own` the chosen corpus's own ones."""

    name: str
    root: Path | None = None
    download: bool = False
    dev_fraction: float = 0.1  # of the training utterances, where the corpus has no dev part; 0: no dev part
    min_seconds: float = 0.1
    max_seconds: float | None = 30.0  # of training utterances only, so that test sets stay comparable
    own: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = own_keys(self.name)
        shared = [f.name for f in fields(self) if f.name != "own"]
        for key in self.own:
            if key not in known:
                raise UserError(
                    f"Unknown key corpus.{key} for the corpus {self.name!r}{nearest(key, [*shared, *known])}; "
                    f"its keys are {', '.join([*shared, *known])}."
                )
        _number("dev_fraction", self.dev_fraction, 0, 0.9)
        _number("min_seconds", self.min_seconds, 0)
        if self.max_seconds is not None:
            _number("max_seconds", self.max_seconds, self.min_seconds)
        if not isinstance(self.download, bool):
            raise UserError(f"corpus.download must be true or false, not {self.download!r}.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> CorpusOptions:
        """The options of a config group given as a plain mapping (key -> value).

        Raises:
            UserError: an unknown corpus, key or value; the message names the nearest valid one.
        """
        shared = {f.name for f in fields(cls)} - {"own"}
        values = {str(key): value for key, value in config.items()}
        if "name" not in values:
            raise UserError(f"corpus.name is missing; choose one of {', '.join(CORPORA)}.")
        known = {key: value for key, value in values.items() if key in shared}
        root = known.pop("root", None)
        if root == "???":
            raise UserError(
                f"corpus.root is not set: give the folder of the corpus, as in corpus.root=data/{values['name']}."
            )
        return cls(
            **known,
            root=None if root is None else Path(str(root)).expanduser().absolute(),
            own={key: value for key, value in values.items() if key not in shared},
        )


def corpus_module(name: str) -> ModuleType:
    """Import the module of the corpus `name`; UserError names the nearest valid one."""
    if name not in CORPORA:
        raise UserError(f"Unknown corpus {name!r}{nearest(str(name), CORPORA)}; there are {', '.join(CORPORA)}.")
    return importlib.import_module(CORPORA[name])


def own_keys(name: str) -> list[str]:
    """The corpus's own config keys: the arguments of its `utterances` after `root`."""
    return list(inspect.signature(corpus_module(name).utterances).parameters)[1:]


def nearest(word: str, choices: Iterable[str]) -> str:
    """ " (did you mean 'X'?)", or nothing where no choice is like `word`."""
    close = difflib.get_close_matches(word.lower(), list(choices), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _number(key: str, value: object, least: float, most: float | None = None) -> None:
    wanted = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"corpus.{key} must be a number {wanted}, not {value!r}.")
    if not least <= value or (most is not None and value > most):
        raise UserError(f"corpus.{key}={value:g} must be {wanted}.")

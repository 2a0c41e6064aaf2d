"""Speech corpora: files on disk -> utterances -> lhotse cut manifests with a summary.

One small module a corpus. Each offers

    utterances(root, *, key=default, ...) -> dict[split, iterable of Utterance]

whose keyword arguments are the corpus's own config keys (conf/corpus/NAME.yaml), the constant `LAYOUT`, a phrase that
says what is looked for in the root, and, where the licence allows, `missing_archives(root, ...)`, which lists what
`corpus.download=true` must fetch. `speechrnn.data.corpora.prepare` does the rest, the same for all of them.

lhotse's own recipes are not used for parsing: they leave out missing audio without a message, stop at an assert on a
slightly different tree, and read audio headers with torchaudio; each layout is a few lines to parse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from speechrnn.data.sources import SourceOptions, source_module, source_options

SPLITS = ("train", "dev", "test")

__all__ = ["CORPORA", "CorpusOptions", "Utterance", "corpus_module", "corpus_options"]

# name -> module, imported only when it is asked for
CORPORA: dict[str, str] = {
    "an4": "speechrnn.data.corpora.an4",
    "common_voice": "speechrnn.data.corpora.common_voice",
    "folder": "speechrnn.data.corpora.folder",
    "librispeech": "speechrnn.data.corpora.librispeech",
    "ljspeech": "speechrnn.data.corpora.ljspeech",
    "manifest": "speechrnn.data.corpora.manifest",
    "speech_commands": "speechrnn.data.corpora.speech_commands",
    "synthetic": "speechrnn.data.corpora.synthetic",
    "yesno": "speechrnn.data.corpora.yesno",
}


@dataclass(frozen=True)
class Utterance:
    """An utterance as the corpus lists it, before any check.

    It may name audio that does not exist (a transcript without audio), and have no text (audio without a transcript):
    both are listed, so that the summary can count and name them.

    >>> Utterance("a", Path("a.wav"), "YES").text
    'YES'
    """

    id: str
    audio: Path
    text: str | None  # as written in the corpus; None: there is no transcript
    speaker: str | None = None
    start: float = 0.0  # seconds into `audio`
    duration: float | None = None  # seconds; None: to the end of the file
    channel: int | None = None  # None: all channels, mixed
    recognised: bool = field(default=False, repr=False)  # whether the text is what a model has recognised
    left_out: str | None = field(default=None, repr=False)  # why the corpus itself leaves it out


@dataclass(frozen=True)
class CorpusOptions(SourceOptions):
    """The keys of the config group `corpus` that all corpora share; `corpus_options` adds the chosen corpus's own.

    >>> CorpusOptions(name="yesno").max_seconds
    30.0
    """

    # of the training utterances, where the corpus has no dev part; 0: no dev part; auto: see `holdout.auto_fraction`
    dev_fraction: float | Literal["auto"] = field(default="auto", metadata={"min": 0, "max": 0.9})
    min_seconds: float = field(default=0.1, metadata={"min": 0})
    # of training utterances only, so that test sets stay comparable
    max_seconds: float | None = 30.0

    def __post_init__(self) -> None:
        if self.max_seconds is not None and self.max_seconds < self.min_seconds:
            raise ValueError(f"max_seconds={self.max_seconds:g} is less than min_seconds={self.min_seconds:g}.")


def corpus_options(config: Mapping[str, Any]) -> CorpusOptions:
    """Return the options of the config group `corpus`, such as `{"name": "yesno", "root": DIR}`.

    >>> corpus_options({"name": "yesno", "root": "data/yesno"}).name
    'yesno'

    Raises:
        UserError: see `sources.source_options`.
    """
    return source_options("corpus", CORPORA, "utterances", shared=CorpusOptions, config=config)


def corpus_module(name: str) -> ModuleType:
    """Import the module of the corpus `name`; UserError names the nearest valid one.

    >>> corpus_module("yesno").__name__
    'speechrnn.data.corpora.yesno'
    """
    return source_module("corpus", CORPORA, name)

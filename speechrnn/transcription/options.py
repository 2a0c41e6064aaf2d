"""The settings of a transcriber: one record, from the configuration to the workers of a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar, cast

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.config import build, unknown_key
from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.transcription.runtime import EngineName, Precision

P = ParamSpec("P")
OptionsT = TypeVar("OptionsT")
OwnerT = TypeVar("OwnerT")

# Fields with this metadata cannot change what a transcript says; a job may go on with another value.
NO_EFFECT = {"affects_output": False}
AUTO = "auto"  # language_model: that of the bundle


class SearchSettings:
    """Check the settings of the search in a record of options, where they may be given by name.

    The fields stand in the records themselves, whose order is that of positional arguments.

    >>> TranscriptionOptions(decoding="beam").search.name
    'beam'
    """

    decoding: DecodingOptions | Literal["greedy", "beam"] | None
    language_model: Path | str | None

    def __post_init__(self) -> None:
        if self.language_model not in (None, AUTO):
            if not str(self.language_model):
                raise ValueError("language_model= is empty: give a directory, or null.")
            object.__setattr__(self, "language_model", expand_user(self.language_model))
        if isinstance(self.decoding, str):
            object.__setattr__(self, "decoding", build(DecodingOptions, {"name": self.decoding}, "decoding"))

    @property
    def search(self) -> DecodingOptions:
        """Return the decoding options, also where `decoding` was given by name; the defaults where it was not given."""
        assert not isinstance(self.decoding, str)
        return self.decoding or DecodingOptions()


@dataclass(frozen=True)
class TranscriptionOptions(SearchSettings):
    """Hold all settings of a transcriber; conf/transcribe.yaml explains each key.

    A new key is added here and in conf/transcribe.yaml: `Transcriber.load`, the workers of a job and the fingerprint
    of a job take it from this record.

    >>> TranscriptionOptions(decoding="beam").search.name
    'beam'

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        decoding: "greedy", "beam", or all options of a search; None: the beam search for a bundle with language models
            (`english`), else greedy.
        language_model: a language model for the beam search, by name or directory; "auto": what the bundle has, an
            n-gram model included; None: none.
        engine: what runs the network, see `make_engine`.
        segmentation: how long recordings are cut.
        threads: batches that are computed at the same time, each on one core; None: as many as there are cores.
        precision: number format of the network, see `make_engine`.
        batch_seconds: most seconds of audio in a batch, padding included; a longer window is a batch by itself.
    """

    device: str = "auto"
    decoding: DecodingOptions | Literal["greedy", "beam"] | None = None
    language_model: Path | str | None = AUTO
    engine: EngineName = "auto"
    segmentation: SegmentationOptions = field(default_factory=SegmentationOptions)
    threads: int | None = field(default=None, metadata={"min": 1, **NO_EFFECT})
    precision: Precision = "auto"
    # How recordings are grouped into batches depends on timing anyway, and the words do not depend on it.
    batch_seconds: float = field(default=240.0, metadata={"min": 0.1, **NO_EFFECT})


def keywords_of(
    options: Callable[P, OptionsT],
) -> Callable[
    [Callable[[type[OwnerT], str | Path, OptionsT], OwnerT]], Callable[Concatenate[type[OwnerT], str | Path, P], OwnerT]
]:
    """Let a class method that takes a record of options take the record's fields as keywords instead.

    The keywords are those of the record's constructor, for type checkers too, so that no list of them stands twice.

    Args:
        options: the dataclass.

    Raises:
        UserError: by the method, of a keyword that is no field, or a value that the record refuses.
    """
    names = list(signature(options).parameters)

    def decorate(
        method: Callable[[type[OwnerT], str | Path, OptionsT], OwnerT],
    ) -> Callable[Concatenate[type[OwnerT], str | Path, P], OwnerT]:
        @wraps(method)
        def call(owner: type[OwnerT], folder: str | Path, *values: P.args, **keywords: P.kwargs) -> OwnerT:
            for name in keywords:
                if name not in names:
                    raise UserError(unknown_key(name, names).replace("No key", f"{owner.__name__}.load has no option"))
            given = signature(options).bind(*values, **keywords).arguments
            try:
                record = build(cast("type[OptionsT]", options), given, "")
            except UserError as error:
                record_name = getattr(options, "__name__", "")
                reason = str(error).removeprefix(f"{record_name}: ")
                raise UserError(f"{owner.__name__}.load: {reason}") from error
            return method(owner, folder, record)

        return call

    return decorate

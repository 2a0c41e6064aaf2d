"""Tests of the settings of a transcriber: names become options, and wrong values a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from speechrnn.core.errors import UserError
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.transcription.options import AUTO, TranscriptionOptions, keywords_of
from speechrnn.transcription.streaming_options import StreamingOptions
from speechrnn.transcription.transcriber import Transcriber

Record = type[TranscriptionOptions] | type[StreamingOptions]
MODEL = Path(__file__).parents[1] / "cases" / "older_version" / "run" / "acoustic"
RECORDS = pytest.mark.parametrize("record", [TranscriptionOptions, StreamingOptions])


@RECORDS
def test_a_search_may_be_given_by_name(record: Record) -> None:
    assert record(decoding="beam").decoding == DecodingOptions(name="beam")
    assert record(decoding=DecodingOptions(beam_size=7)).search.beam_size == 7
    assert record().decoding is None and record().search == DecodingOptions()


@RECORDS
def test_a_wrong_name_of_a_search_is_a_sentence(record: Record) -> None:
    with pytest.raises(UserError, match=r"decoding.*beem"):
        record(decoding="beem")  # type: ignore[arg-type]


@RECORDS
def test_the_directory_of_a_language_model_may_begin_with_the_home_folder(record: Record) -> None:
    assert record(language_model="~/models/lm").language_model == Path("~/models/lm").expanduser()
    assert record().language_model == AUTO and record(language_model=None).language_model is None
    with pytest.raises(ValueError, match="language_model= is empty"):
        record(language_model="")


def test_the_first_argument_is_the_device_and_the_latency() -> None:
    assert TranscriptionOptions("cuda").device == "cuda" and StreamingOptions(0.3).latency == 0.3
    names = [{field.name for field in fields(record)} for record in (TranscriptionOptions, StreamingOptions)]
    assert {"decoding", "language_model", "device"} <= names[0] & names[1]


@dataclass(frozen=True)
class Settings:
    """Two settings of which one is checked."""

    size: int = 1
    name: str = "a"

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("size is negative.")


class Loader:
    """Something that is loaded with settings."""

    def __init__(self, folder: str | Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings

    @classmethod
    @keywords_of(Settings)
    def load(cls: type[Any], folder: str | Path, settings: Settings) -> Any:
        """Load it."""
        return cls(folder, settings)


def test_the_fields_of_a_record_become_keywords() -> None:
    assert Loader.load("x").settings == Settings()
    assert Loader.load("x", 3, name="b").settings == Settings(3, "b")


@pytest.mark.parametrize(
    ("keywords", "parts"), [({"sise": 3}, ("sise", "size")), ({"size": -1}, ("size is negative",))]
)
def test_a_wrong_keyword_is_named(keywords: dict[str, int], parts: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"^Loader\.load") as caught:
        Loader.load("x", **keywords)  # type: ignore[arg-type]
    assert all(part in str(caught.value) for part in parts)


@pytest.mark.parametrize(
    ("keywords", "part"),
    [
        ({"decoding": "beem"}, "did you mean decoding=beam"),
        ({"decoding": {"beam_size": 0}}, "decoding.beam_size=0"),
        ({"device": None}, "device=null"),
        ({"threads": "2"}, "threads=2"),
        ({"threads": 1.5}, "threads=1.5"),
        ({"batch_seconds": float("nan")}, "batch_seconds=nan"),
        ({"segmentation": None}, "segmentation=null is wrong: it must be a group of keys."),
        ({"segmentation": {"vad": "x"}}, "segmentation.vad=x"),
        ({"language_model": 3.5}, "no model directory 3.5"),
    ],
)
def test_settings_from_python_are_checked_as_those_of_the_recipe(keywords: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError, match=re.escape(part)):
        Transcriber.load(MODEL, **keywords)


def test_settings_may_be_records_or_groups_of_keys() -> None:
    for decoding in ("beam", {"name": "beam"}, DecodingOptions(name="beam")):
        transcriber = Transcriber.load(MODEL, decoding=decoding)  # type: ignore[arg-type]
        assert transcriber.decoder.name == "beam"

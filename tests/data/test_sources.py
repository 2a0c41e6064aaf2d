"""A source of data by name: its module, and the options that all kinds share with its own keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CORPORA, CorpusOptions
from speechrnn.data.sources import source_module, source_options


def options(**config: object) -> CorpusOptions:
    return source_options("corpus", CORPORA, "utterances", shared=CorpusOptions, config=config)


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(UserError, match=r"corpus\.name=yesn .*did you mean yesno"):
        source_module("corpus", CORPORA, "yesn")


def test_the_keys_of_a_kind_are_the_arguments_of_its_function() -> None:
    made = options(name="yesno", root="corpora/yesno", segments=False)
    assert (made.name, made.root, made.own) == ("yesno", Path("corpora/yesno"), {"split": "kaldi", "segments": False})
    with pytest.raises(UserError, match=r"segmentz.*did you mean .*segments"):
        options(name="yesno", root="x", segmentz=False)


def test_only_what_changes_the_data_is_plain() -> None:
    plain = options(name="yesno", root="x", download=True).plain()
    assert plain["root"] == "x" and plain["segments"] is True and "download" not in plain

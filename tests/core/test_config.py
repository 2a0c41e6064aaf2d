"""Config mappings become options, and what does not fit is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from speechrnn.core.config import build, nearest, options_from
from speechrnn.core.errors import UserError


@dataclass(frozen=True)
class Augment:
    noise: float = field(default=0.0, metadata={"min": 0, "max": 1})
    speeds: tuple[float, ...] = field(default=(0.9, 1.0, 1.1), metadata={"min": 0.1})


@dataclass(frozen=True)
class Acoustic:
    size: int
    layers: int = field(default=3, metadata={"min": 1})
    dropout: float = 0.3
    norm: bool = True
    cell: Literal["lstm", "gru", "rnn_tanh"] = "lstm"
    precision: Literal["32", "bf16"] = "32"
    name: str = ""
    limit: int | None = None
    channel: int | str = "mix"
    cache: Path | None = None
    band: tuple[float, float] = (20.0, 7600.0)
    words: list[str] = field(default_factory=list)
    weights: Mapping[str, float] = field(default_factory=dict)
    augment: Augment | None = None


@dataclass(frozen=True)
class Band:
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high}).")


def wrong(**values: object) -> str:
    """The sentence for these values."""
    with pytest.raises(UserError) as caught:
        build(Acoustic, {"size": 4, **values}, "acoustic")
    return str(caught.value)


def test_values_take_the_types_of_their_fields() -> None:
    options = build(
        Acoustic,
        {
            "size": 1e3,
            "dropout": 0,
            "name": 7,
            "channel": 1,
            "precision": 32,
            "cache": "~/x",
            "band": [1, 2],
            "words": ["a", "b"],
            "weights": {"lm": 1},
            "augment": {"speeds": [1]},
        },
        "acoustic",
    )
    assert options == Acoustic(
        size=1000,
        dropout=0.0,
        name="7",
        channel=1,
        cache=Path.home() / "x",
        band=(1.0, 2.0),
        words=["a", "b"],
        weights={"lm": 1.0},
        augment=Augment(speeds=(1.0,)),
    )
    assert isinstance(options.size, int)
    assert isinstance(options.dropout, float)
    assert options.augment is not None
    assert isinstance(options.augment.speeds[0], float)


def test_an_omegaconf_node_is_resolved() -> None:
    config = OmegaConf.create({"hidden": 8, "acoustic": {"size": "${hidden}", "limit": None}})
    assert build(Acoustic, config.acoustic, "acoustic") == Acoustic(size=8)


def test_nothing_stands_for_all_defaults() -> None:
    assert build(Augment, None, "augment") == Augment()


def test_an_unknown_key_names_the_nearest() -> None:
    assert wrong(layerz=3) == "No key acoustic.layerz; did you mean acoustic.layers?"
    assert wrong(augment={"noize": 1}) == "No key acoustic.augment.noize; did you mean acoustic.augment.noise?"
    assert "the keys there are augment.noise, augment.speeds" in str(_error(Augment, {"qqq": 1}, "augment"))


def test_a_missing_key_is_named() -> None:
    assert str(_error(Acoustic, {}, "acoustic")) == (
        "acoustic.size is not set: give acoustic.size=VALUE (a whole number)."
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"layers": "three"}, "acoustic.layers=three is wrong: it must be a whole number, such as acoustic.layers=3."),
        ({"layers": 2.5}, "acoustic.layers=2.5 is wrong: it must be a whole number, such as acoustic.layers=3."),
        ({"layers": True}, "acoustic.layers=true is wrong: it must be a whole number, such as acoustic.layers=3."),
        ({"layers": None}, "acoustic.layers=null is wrong: it must be a whole number, such as acoustic.layers=3."),
        (
            {"dropout": float("nan")},
            "acoustic.dropout=nan is wrong: it must be a number, such as acoustic.dropout=0.3.",
        ),
        ({"norm": "yes"}, "acoustic.norm=yes is wrong: it must be true or false, such as acoustic.norm=true."),
        ({"name": ["a"]}, "acoustic.name=[a] is wrong: it must be text."),
        ({"limit": "all"}, "acoustic.limit=all is wrong: it must be a whole number or null."),
        (
            {"words": "a"},
            "acoustic.words=a is wrong: it must be a list [...], each item text; did you mean acoustic.words=[a]?",
        ),
        ({"words": [["a"]]}, "must be a list [...], each item text"),
        ({"band": [1]}, "must be a list of 2: [a number, a number], such as acoustic.band=[20.0,7600.0]."),
        ({"weights": {"lm": "big"}}, "acoustic.weights={lm:big} is wrong: it must be a number"),
        ({"augment": 3}, "acoustic.augment=3 is wrong"),
        (
            {"cell": "grru"},
            "acoustic.cell=grru is wrong: it must be one of lstm, gru, rnn_tanh; did you mean acoustic.cell=gru?",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_wanted(values: dict[str, object], sentence: str) -> None:
    assert sentence in wrong(**values)


def test_ranges() -> None:
    assert wrong(layers=0) == "acoustic.layers=0 is wrong: it must be at least 1, such as acoustic.layers=3."
    assert "acoustic.augment.noise=1.5 is wrong: it must be at least 0 and at most 1" in wrong(augment={"noise": 1.5})
    assert "each item at least 0.1" in wrong(augment={"speeds": [1.0, 0.0]})
    assert build(Augment, {"noise": 1}, "augment").noise == 1.0


BEYOND: list[tuple[str, object]] = [
    ("size", 10**400),
    ("size", 10**5000),
    ("size", 2**63),
    ("size", float("inf")),
    ("dropout", 10**400),
    ("dropout", 10**5000),
    ("dropout", float("-inf")),
    ("name", 10**5000),
    ("precision", 10**5000),
    ("channel", 10**5000),
    ("limit", -(10**5000)),
    ("cache", "~nosuchuser/x"),
    ("cache", "a\0b"),
    ("words", "line\nend" * 1000),
    ("weights", {"lm": 10**400}),
]


@pytest.mark.parametrize(("name", "value"), BEYOND, ids=range(len(BEYOND)))
def test_a_value_beyond_all_bounds_is_one_short_line(name: str, value: object) -> None:
    with pytest.raises(UserError) as caught:
        build(Acoustic, {"size": 1, name: value}, "acoustic")
    sentence = str(caught.value)
    assert sentence.startswith(f"acoustic.{name}") and "\n" not in sentence and len(sentence) < 400


def test_a_recipes_records_take_their_own_keys() -> None:
    config = {"low": 0.5, "high": "${top}", "top": 2.0, "noise": 0.5}
    assert options_from(OmegaConf.create(config), Band) == Band(0.5, 2.0)
    assert options_from({"noise": 0.5, "low": 3}, Augment) == Augment(noise=0.5)
    with pytest.raises(UserError, match=r"^size is not set"):
        options_from({"low": 1}, Acoustic)


def test_a_class_may_refuse_by_itself() -> None:
    assert str(_error(Band, {"low": 2}, "features.band")) == "features.band: low (2.0) must be below high (1.0)."


@given(
    st.integers(1, 99),
    st.floats(0, 1),
    st.booleans(),
    st.lists(st.text()),
    st.none() | st.integers(-(2**63), 2**63 - 1),
)
def test_what_fits_comes_back_as_it_was(
    layers: int, dropout: float, norm: bool, words: list[str], limit: int | None
) -> None:
    options = Acoustic(size=1, layers=layers, dropout=dropout, norm=norm, words=words, limit=limit)
    assert build(Acoustic, dataclasses.asdict(options), "") == options


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_any_value_is_taken_or_refused_in_one_sentence(value: object) -> None:
    for name in (known.name for known in dataclasses.fields(Acoustic)):
        try:
            build(Acoustic, {"size": 1, name: value}, "acoustic")
        except UserError as error:
            assert str(error).startswith(f"acoustic.{name}=")


def test_nearest() -> None:
    choices = ["acoustic.layers", "language.layers", "corpus.root", "acoustic.cell"]
    assert nearest("acoustic.layerz", choices) == ["acoustic.layers"]
    assert nearest("layers", choices) == ["acoustic.layers", "language.layers"]
    assert nearest("Corpus.Root", choices) == ["corpus.root"]
    assert nearest("zzz", choices) == []


def _error(cls: type, values: dict[str, object], key: str) -> UserError:
    with pytest.raises(UserError) as caught:
        build(cls, values, key)
    return caught.value

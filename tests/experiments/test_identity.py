"""The identity of a run: which keys are part of it, and the folder's name that they make."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from speechrnn.cli import help
from speechrnn.experiments.identity import (
    LONGEST,
    RUN_KEYS,
    changeable_keys,
    default_values,
    differences,
    excluded_keys,
    is_part,
    marked_keys,
    run_name,
)
from speechrnn.experiments.run import Run

ROOT = Path(__file__).parents[2]
RECIPES = sorted(help.recipes(ROOT))


def test_a_key_is_part_of_the_identity_unless_its_page_says_otherwise() -> None:
    page = """
        defaults:
          - corpus: ???
          - decoding: greedy  # not part of the run's identity
          - size@model.size: small # not part of the run's identity; how large
          - _self_
        # not part of the run's identity: this comment stands on a line of its own and says nothing of the next
        seed: 0
        decode:  # not part of the run's identity
          split: test
        trainer:
          epochs: 3
          devices: 1  # not part of the run's identity
        """
    assert marked_keys(page) == ["decoding", "model.size", "decode", "trainer.devices"]


def test_a_group_stands_for_all_its_keys() -> None:
    assert not is_part("decode.split", {"decode"})
    assert is_part("decoder.split", {"decode"})
    assert is_part("decode", {"decode.split"})


def test_the_keys_of_included_pages_and_of_every_option_count() -> None:
    assert excluded_keys("speech_to_text") >= {"corpus.root", "trainer.devices", "prediction.trainer.devices", "decode"}
    assert excluded_keys("demo") >= {"corpus.root", "decode", "decoding", "files", "prediction.sample"}
    assert "files" not in excluded_keys("spelling")
    assert excluded_keys("a recipe of somebody else's") == RUN_KEYS


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_marked_key_is_one_of_the_recipe(recipe: str) -> None:
    """A mark that is misread would name a key that is not there."""
    import yaml

    config = help.recipes(ROOT)[recipe].config
    places = {place for _, place in help.pages(config)}
    keys = set()
    for path, place in help.pages(config):
        keys |= {f"{place}.{key}".lstrip(".") for key in nested(yaml.safe_load(path.read_text(encoding="utf-8")) or {})}
    assert (excluded_keys(recipe, ROOT) - RUN_KEYS) | changeable_keys(recipe, ROOT) <= keys | places


def nested(values: dict[str, object], prefix: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, dict):
            found += nested(value, f"{prefix}{key}.")
    return found


def test_epochs_name_a_run_and_may_change_on_one_that_exists() -> None:
    for recipe, places in {
        "speech_to_text": ("trainer", "prediction.trainer"),
        "text_prediction": ("trainer",),
    }.items():
        for place in places:
            keys = {f"{place}.epochs", f"{place}.minutes"}
            assert keys <= changeable_keys(recipe) and not keys & excluded_keys(recipe)
    assert "trainer.learning_rate" not in changeable_keys("speech_to_text")
    assert {"extra_text", "ngram_order", "prediction"} <= changeable_keys("speech_to_text")
    assert run_name(["trainer.epochs=5"], excluded_keys("speech_to_text")) == "trainer.epochs-5"


def test_the_differences_are_named() -> None:
    earlier = {"acoustic": {"layers": 3}, "gone": 1, "trainer": {"devices": 1}}
    now = {"acoustic": {"layers": 4, "norm": True}, "trainer": {"devices": 2}}
    assert differences(earlier, now, {"trainer.devices"}) == [
        "acoustic.layers was 3 and is now 4",
        "acoustic.norm was unset and is now true",
        "gone was 1 and is now unset",
    ]


def test_a_key_that_is_new_counts_only_with_another_value_than_its_default() -> None:
    defaults: dict[str, list[object]] = {"acoustic.narrow": [0.0, 0.1], "copy": ["${acoustic}"]}
    for value in (0.0, 0.1):
        now = {"acoustic": {"layers": 3, "narrow": value}, "copy": 5}
        assert differences({"acoustic": {"layers": 3}}, now, set(), defaults=defaults) == []
    changed = {"acoustic": {"layers": 3, "narrow": 0.2}}
    assert differences({"acoustic": {"layers": 3}}, changed, set(), defaults=defaults) == [
        "acoustic.narrow was unset and is now 0.2"
    ]
    assert differences(changed, {"acoustic": {"layers": 3, "narrow": 0.0}}, set(), defaults=defaults) != []


def test_defaults_are_those_of_the_pages_and_not_of_experiments() -> None:
    defaults = default_values("speech_to_text")
    assert defaults["init_from"] == [None] and defaults["prediction.trainer.state_reset"] == [0.01]
    assert 2 not in defaults["acoustic.intermediate_layer"]


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "default"),
        (["corpus.root=/data/an4", "output=x", "name=y", "stages=[train]", "restart=true"], "default"),
        (["trainer.devices=2", "trainer.num_nodes=2", "trainer.strategy=ddp", "decoding=beam"], "default"),
        (["seed=2", "experiment=an4", "corpus.root=x"], "experiment-an4+seed-2"),
        (["experiment/speech_to_text@_global_=an4"], "experiment-an4"),
        (["+acoustic.foo=1", "++seed=3"], "acoustic.foo-1+seed-3"),
        (["~seed"], "no-seed"),
        (["features@acoustic.front=mfcc"], "features-acoustic.front-mfcc"),
        (["trainer/acoustic@trainer.devices=own"], "default"),
        (["augment.speeds=[0.9,1.0]", "seed=-3"], "augment.speeds-0.9-1.0+seed--3"),
        (["model='../a b/c=d'"], "model-a-b-c-d-aad1b5"),
        (["bare=True", "none=Null", "words=[a,b]"], "bare-true+none-null+words-a-b"),
        (["text.file=казка.txt"], "text.file-казка.txt"),
        (["rate=.1", "scale=[.5,-.5]", "step=1e+3"], "rate-0.1+scale-0.5--0.5+step-1e3"),
    ],
)
def test_the_overrides_of_the_identity_name_the_run(overrides: list[str], name: str) -> None:
    assert run_name(overrides, excluded_keys("speech_to_text")) == name


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (".1", "1"),
        ("1e-3", "1e+3"),
        ("-.5", "-5"),
        ("[.1,2]", "[1,2]"),
        (".hidden", "hidden"),
        ("a+b", "a-b"),
        ("[a-b]", "[a,b]"),
        ("[a,b-c]", "[a-b,c]"),
        ("[a,b]", "[b,a]"),
        ("[[1],2]", "[1,2]"),
        ("[1-2,3]", "[1,2-3]"),
        ("[1,-2]", "[1,2]"),
        ("/data/a", "data/a"),
        ("../a", "a"),
        ("~/a", "/a"),
        ("a/b", "a-b"),
        ("a b", "a-b"),
        ("a=b", "a:b"),
        ("'1'", "1"),
        ("'null'", "null"),
        ("'true'", "true"),
        ("", "[]"),
        ("null", ""),
        ("{a:1}", "{a:1,b:2}"),
        ("{a:1}", "[a,1]"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("\N{CYRILLIC SMALL LETTER A}", "a"),
        ("\N{NO-BREAK SPACE}a", "a"),
        ("a\N{ZERO WIDTH SPACE}", "a"),
    ],
)
def test_different_values_have_different_names(value: str, other: str) -> None:
    names = [unicodedata.normalize("NFC", run_name([f"key={text}"])).casefold() for text in (value, other)]
    assert names[0] != names[1]  # for file systems, too, that take the case or the form of a letter for the same


@pytest.mark.parametrize(("value", "same"), [("true", "True"), ("null", "NULL"), (".5", "0.5"), ("1e3", "1e+3")])
def test_one_value_written_in_two_ways_has_one_name(value: str, same: str) -> None:
    assert run_name([f"key={value}"]) == run_name([f"key={same}"])


ITEMS = st.one_of(st.integers(-20, 20).map(str), st.text("ab-./ ", min_size=1, max_size=4))


@given(st.lists(ITEMS, min_size=1, max_size=3), st.lists(ITEMS, min_size=1, max_size=3))
def test_different_lists_have_different_names(items: list[str], others: list[str]) -> None:
    first, second = (f"[{','.join(values)}]" for values in (items, others))
    if first.replace(" ", "") != second.replace(" ", "") and numbers(items) != numbers(others):
        assert run_name([f"key={first}"]) != run_name([f"key={second}"])


def numbers(items: list[str]) -> list[float | str]:
    """Return items with those that are numbers as such: .0 is 0."""
    found: list[float | str] = []
    for item in items:
        try:
            found.append(float(item))
        except ValueError:
            found.append(item.strip())
    return found


def test_each_choice_of_files_to_spell_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the text are part of the identity of a run of spelling."""
    monkeypatch.chdir(tmp_path)
    choices = [[], ["a.txt"], ["b.txt"], ["a.txt", "b.txt"], ["b.txt", "a.txt"], ["a.txt-b.txt"], ["x/a.txt"]]
    folders = set()
    for files in choices:
        config = OmegaConf.create({"files": files, "seed": 0})
        folders.add(Run.open("spelling", config, [f"files=[{','.join(files)}]"] if files else []).folder)
    assert len(folders) == len(choices)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_different_numbers_have_different_names(value: float, other: float) -> None:
    for write in ("{!r}", "{:+.3e}", "{:.17g}"):
        texts = [write.format(number) for number in (value, other)]
        texts = [re.sub(r"^([+-]?)0\.", r"\1.", text) for text in texts]
        if float(texts[0]) != float(texts[1]):
            assert run_name([f"key={texts[0]}"]) != run_name([f"key={texts[1]}"])


def test_the_order_of_the_overrides_does_not_count() -> None:
    assert run_name(["b=1", "a=2"]) == run_name(["a=2", "b=1"])


def test_a_long_name_is_cut_and_stays_distinct() -> None:
    many = [f"key{index}.name={index}" for index in range(40)]
    names = {run_name(many), run_name([*many, "last=1"]), run_name([*many, "last=2"])}
    assert len(names) == 3
    assert all(len(name.encode()) <= LONGEST for name in names)


@given(st.lists(st.tuples(st.from_regex(r"[a-z]+(\.[a-z]+)?", fullmatch=True), st.text()), max_size=30))
def test_a_name_is_one_plain_folder(pairs: list[tuple[str, str]]) -> None:
    name = run_name([f"{key}={value}" for key, value in pairs])
    assert re.fullmatch(r"[\w.+-]+", name)
    assert not name.startswith((".", "-"))
    assert len(name.encode()) <= LONGEST

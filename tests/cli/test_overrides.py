"""Overrides: what a user types reaches the recipe, or is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.command import Command
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.cli import overrides
from speechrnn.cli.help import root
from speechrnn.core.errors import UserError


def test_arguments_without_a_key_are_inputs(speechrnn: Command) -> None:
    result = speechrnn("toy", "my talk.wav", "corpus.root=x", "calls/", "./a=b.wav", "https://host/a.mp3?take=2", "-")
    assert result.config["inputs"] == ["my talk.wav", "calls/", "./a=b.wav", "https://host/a.mp3?take=2", "-"]


def test_a_recipe_with_a_single_input_takes_it_without_a_key() -> None:
    conf = root() / "conf"
    assert overrides.name_inputs(["my talk.wav", "pace=1"], "listen", conf) == ["pace=1", "input='my talk.wav'"]
    assert overrides.name_inputs(["it was a"], "generate", conf) == ["prompt='it was a'"]
    with pytest.raises(UserError, match="takes one prompt"):
        overrides.name_inputs(["it", "was"], "generate", conf)
    with pytest.raises(UserError, match="given twice"):
        overrides.name_inputs(["a.wav", "input=b.wav"], "listen", conf)
    with pytest.raises(UserError, match=r"No inputs are given: .* speechrnn transcribe talk\.mp3"):
        overrides.compose([], "transcribe", conf)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["to"], "No recipe to; did you mean toy?"),
        (["transcribe"], "No recipe transcribe; the recipes are another, toy, first."),
        (["seed=1"], "The recipe comes first"),
        (["--seed"], "The recipe comes first"),
        (["--hlep"], "No option --hlep; did you mean --help?"),
        (["--versoin"], "No option --versoin; did you mean --version?"),
        (["toy", "--hlep"], "No option --hlep; did you mean --help?"),
        (["toy"], "corpus.root is not set: add corpus.root=VALUE (speechrnn toy --help explains each key)."),
        (["toy", "acoustic.layerz=3"], "No key acoustic.layerz; did you mean acoustic.layers?"),
        (["toy", "layers=3"], "No key layers; did you mean acoustic.layers?"),
        (["toy", "corpuss=an4"], "No key corpuss; did you mean corpus?"),
        (["toy", "corpus=yesno", "corpus.splits=a"], "No key corpus.splits; did you mean corpus.split?"),
        (["toy", "qqqqq=3"], "--help lists every key."),
        (["toy", "corpus.split=kaldi"], "corpus.split is a key of corpus=yesno, and corpus is an4: add corpus=yesno."),
        (["toy", "corpus.splits=kaldi"], "No key corpus.splits; did you mean corpus.split, a key of corpus=yesno?"),
        (["toy", "-m", "acoustic.layerz=1,2"], "No key acoustic.layerz; did you mean acoustic.layers?"),
        (["toy", "corpus=an5"], "corpus=an5 is none of the options of corpus (an4, yesno); did you mean an4?"),
        (["toy", "-m", "corpus=an4,yesmo"], "corpus=yesmo is none of the options of corpus"),
        (
            ["toy", "experiment=bset"],
            "experiment=bset is no option of experiment, which has only best; did you mean best?",
        ),
        (["toy", "corpus=null"], "corpus=null is none of the options of corpus"),
        (["toy", "acoustic=3"], "acoustic=3 is no option of acoustic, which has only blstm."),
        (["toy", "features@acoustic.features=mffc"], "did you mean mfcc?"),
        (["toy", "seed=1,2"], "write a list as seed=[1,2], text with a comma as \"seed='1,2'\", or add --multirun"),
        (["toy", "+seed=1"], "seed exists already: write seed=1, without the plus sign."),
        (["toy", "~seed"], "~seed would remove a key that the recipe reads"),
        (["toy", "corpus.root=x", "seed=${nothing}"], "seed cannot be resolved"),
        (["toy", "inputs = x"], "is not KEY=VALUE"),
        (["toy", "talk.wav", "inputs=[a.wav]"], "Inputs are given twice"),
        (["toy", "seed.=1"], "seed.=1 cannot be read"),
        (["toy", "inputs=[a", "b.wav]"], "The list in inputs=[a is not closed: quote it as a whole"),
        (["toy", "output='a"], "a bracket or quotation mark is not closed"),
        (["toy", "--inputs=x"], "No option --inputs=x: keys have no dashes before them, as in inputs=x."),
        (["toy", "--output", "x"], "as in output=VALUE."),
        (["toy", "--cfg", "jobs"], "`speechrnn toy --help` explains what can be given."),
        (["toy", "--config-dir", "nowhere"], "nowhere' not found"),
        (
            ["toy", "hydra.runn.dir=x"],
            "The configuration of toy cannot be composed: Could not override 'hydra.runn.dir'",
        ),
    ],
)
def test_a_wrong_command_is_told_in_one_sentence(speechrnn: Command, arguments: list[str], sentence: str) -> None:
    assert sentence in speechrnn(*arguments).complaint


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("inputs=[a b.wav,c.wav]", ["a b.wav", "c.wav"]),
        ("inputs=[take (1).wav, a=b.wav,it's.wav,мова.wav,7]", ["take (1).wav", "a=b.wav", "it's.wav", "мова.wav", 7]),
        ("inputs=['a,b.wav',c=d]", ["a,b.wav", "c=d"]),
        ("inputs=[[a=b],c]", [["a=b"], "c"]),
        ("inputs=~/talk.wav", str(Path.home() / "talk.wav")),
        ("inputs=[~/talk.wav]", [str(Path.home() / "talk.wav")]),
        ("inputs=a=b", "a=b"),
        ("inputs=/data/[1]/x#2", "/data/[1]/x#2"),
        (r"inputs=C:\new (2)\t.wav", r"C:\new (2)\t.wav"),
        ("inputs='1,2'", "1,2"),
        ("inputs=[wav/*.wav]", ["wav/*.wav"]),
        ("inputs=outputs/toy/acoustic.layers-4+seed-2", "outputs/toy/acoustic.layers-4+seed-2"),
    ],
)
def test_values_mean_what_they_say(speechrnn: Command, override: str, value: object) -> None:
    assert speechrnn("toy", "corpus.root=x", override).config["inputs"] == value


@given(
    st.from_regex(
        r"[^\s\[\]{}'\",$\\~\x00-\x1f\x7f][^\[\]{}'\",$\\\x00-\x1f\x7f]*[^\s\[\]{}'\",$\\\x00-\x1f\x7f]", fullmatch=True
    )
)
def test_any_file_name_can_be_given(name: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (repaired,) = overrides.repair([f"inputs=[{name}]"])
    items = OverridesParser.create().parse_override(repaired).value()
    assert isinstance(items, list)
    (item,) = items
    if isinstance(item, str):  # not a number, true, null, ...
        assert item == name
    (again,) = overrides.repair([repaired])
    assert again == repaired


@pytest.mark.parametrize(
    "value",
    ["9" * 400, "9" * 5000, "1e999", "-" + "9" * 5000, "[" + "9" * 5000 + "]", "~nosuchuser/x", "a\tb", "{a:1}", "1_0"],
)
def test_any_value_reaches_the_recipe_or_is_refused_in_one_sentence(speechrnn: Command, value: str) -> None:
    result = speechrnn("toy", "corpus.root=x", f"inputs={value}")
    assert result.status in (0, 2) and result.err.count("\n") <= 1


def test_brackets_without_end_are_one_sentence(speechrnn: Command) -> None:
    assert "inputs" in speechrnn("toy", f"inputs={'[' * 3000}{']' * 3000}").complaint


def test_a_repair_changes_nothing_that_can_be_read() -> None:
    readable = ["a=1", "a.b=[x,y]", "+a={b:1}", "~a", "a/b@c=d", r"a='it\'s'", "a=", "a=${b}", "a=b c"]
    assert overrides.repair(readable) == readable


def test_a_settled_configuration_names_all_that_is_missing() -> None:
    from omegaconf import OmegaConf

    with pytest.raises(UserError, match=r"inputs and model are not set: add inputs=VALUE model=VALUE"):
        overrides.resolve(OmegaConf.create({"model": "???", "inputs": "???", "seed": 1}), "transcribe")

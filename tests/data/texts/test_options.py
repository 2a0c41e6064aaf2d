"""The registry and the options of a text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speechrnn.core.errors import UserError
from speechrnn.data.texts import TEXTS, text_module, text_options
from speechrnn.text.normalisation import NormalisationOptions, normalise

CONF = Path(__file__).parents[3] / "conf"
SHARED_KEYS = ["name", "root", "download", "errors", "documents"]


def test_options_from_a_config_with_own_keys() -> None:
    options = text_options({"name": "file", "root": "~/books", "train": ["a.txt", "b/*.txt"], "valid_fraction": 0})
    assert options.root == Path.home() / "books"
    assert options.own == {"train": ("a.txt", "b/*.txt"), "valid": (), "test": (), "valid_fraction": 0}
    assert (options.download, options.errors, options.documents) == (False, "strict", False)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "wikitext", "root": "."}, "text.name=wikitext is none of file, ... did you mean wikitext2?"),
        ({"root": "."}, "text.name= is none of file, "),
        ({"name": "file", "trian": ["a"]}, "No key text.trian; did you mean text.train?"),
        ({"name": "ptb", "root": ".", "train": ["a"]}, "No key text.train"),
        ({"name": "ptb", "root": "???"}, "text.root is not set: give the folder of ptb, as in text.root=data/ptb."),
        ({"name": "file", "train": "a.txt"}, "text.train=a.txt is wrong: it must be a list"),
        ({"name": "file", "errors": "ignore"}, "text.errors=ignore is wrong ... strict, replace"),
        ({"name": "file", "documents": 1}, "text.documents=1 is wrong: it must be true or false"),
    ],
)
def test_bad_options_name_the_key_and_what_would_do(config: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        text_options(config)
    assert all(part in str(error.value) for part in message.split(" ... "))


@pytest.mark.parametrize("path", sorted((CONF / "text").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_config_page_is_valid_and_explains_every_key(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    assert config["name"] == path.stem
    assert list(config)[:5] == SHARED_KEYS
    options = text_options({**config, "root": "somewhere"})
    # every key that the code knows is on the page with its default, and the other way round
    assert sorted(list(config)[5:]) == sorted(options.own)
    defaults = text_options({"name": path.stem, "root": "somewhere"})
    assert options.own == defaults.own
    lines = path.read_text().splitlines()
    for key in list(config)[1:]:
        above = next(i for i, line in enumerate(lines) if line.startswith(f"{key}:")) - 1
        # keys of one kind (train, valid, test) share a comment
        while lines[above] and not lines[above].startswith("#"):
            above -= 1
        assert lines[above].startswith("#"), f"{key} has no comment"


def test_every_text_has_a_config_page() -> None:
    assert {path.stem for path in (CONF / "text").glob("*.yaml")} == set(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_says_what_it_looks_for(name: str) -> None:
    module = text_module(name)
    assert isinstance(module.LAYOUT, str)
    assert callable(module.parts)


def test_the_page_for_text_as_it_is_changes_nothing() -> None:
    options = NormalisationOptions(**yaml.safe_load((CONF / "normalisation" / "none.yaml").read_text()))
    assert normalise("  “Don’t”, e\u0301  <unk>\tﬁ ", options) == "  “Don’t”, e\u0301  <unk>\tﬁ "


@pytest.mark.integration
def test_nothing_heavy_is_imported_to_look_at_options() -> None:
    code = (
        "import sys; from speechrnn.data.texts import text_options; "
        "[text_options({'name': name, 'root': '.'}) for name in "
        f"{list(TEXTS)}]; print([m for m in ('torch', 'lhotse', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The registry and the options of a corpus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speechrnn.corpora import CORPORA, CorpusOptions, corpus_module, own_keys
from speechrnn.errors import UserError

CONF = Path(__file__).parents[2] / "conf" / "corpus"
SHARED_KEYS = ["name", "root", "download", "dev_fraction", "min_seconds", "max_seconds"]


def test_options_from_a_config_with_own_keys() -> None:
    options = CorpusOptions.from_config({"name": "yesno", "root": "~/yesno", "split": "icefall", "dev_fraction": 0})
    assert options.root == Path.home() / "yesno"
    assert options.own == {"split": "icefall"}
    assert options.dev_fraction == 0
    assert options.max_seconds == 30


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "an5", "root": "."}, "Unknown corpus 'an5' (did you mean 'an4'?)"),
        ({"name": "yesno", "root": ".", "splti": "x"}, "Unknown key corpus.splti ... did you mean 'split'"),
        ({"name": "an4", "root": ".", "split": "kaldi"}, "Unknown key corpus.split "),
        ({"name": "an4", "root": "???"}, "corpus.root is not set"),
        ({"root": "."}, "corpus.name is missing; choose one of an4, "),
        ({"name": "an4", "dev_fraction": 1.5}, "corpus.dev_fraction=1.5 must be from 0 to 0.9"),
        ({"name": "an4", "dev_fraction": "some"}, "corpus.dev_fraction must be a number ... not 'some'"),
        ({"name": "an4", "min_seconds": -1}, "corpus.min_seconds=-1 must be at least 0"),
        ({"name": "an4", "min_seconds": 5, "max_seconds": 2}, "corpus.max_seconds=2 must be at least 5"),
        ({"name": "an4", "download": "maybe"}, "corpus.download must be true or false, not 'maybe'"),
    ],
)
def test_bad_options_name_the_key_and_what_would_do(config: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        CorpusOptions.from_config(config)
    assert all(part in str(error.value) for part in message.split(" ... "))


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_config_page_is_valid_and_explains_every_key(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    assert config["name"] == path.stem
    assert list(config)[:6] == SHARED_KEYS
    assert sorted(list(config)[6:]) == sorted(own_keys(path.stem))
    CorpusOptions.from_config({**config, "root": "somewhere"})
    lines = path.read_text().splitlines()
    for key in list(config)[1:]:
        above = next(i for i, line in enumerate(lines) if line.startswith(f"{key}:")) - 1
        # keys of one kind (train_parts, dev_parts, ...) share a comment
        while lines[above] and not lines[above].startswith("#"):
            above -= 1
        assert lines[above].startswith("#"), f"{key} has no comment"


def test_every_corpus_has_a_config_page() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == set(CORPORA)


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_says_what_it_looks_for(name: str) -> None:
    module = corpus_module(name)
    assert isinstance(module.LAYOUT, str)
    assert callable(module.utterances)


def test_nothing_heavy_is_imported_to_look_at_options() -> None:
    code = (
        "import sys; from speechrnn.corpora import CorpusOptions; "
        "CorpusOptions.from_config({'name': 'librispeech', 'root': '.'}); "
        "print([m for m in ('torch', 'lhotse', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

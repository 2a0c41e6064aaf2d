"""The registry and the options of a corpus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CORPORA, corpus_module, corpus_options

CONF = Path(__file__).parents[3] / "conf" / "corpus"
SHARED_KEYS = ["name", "root", "download", "dev_fraction", "min_seconds", "max_seconds"]


def test_options_from_a_config_with_own_keys() -> None:
    options = corpus_options({"name": "yesno", "root": "~/yesno", "split": "icefall", "dev_fraction": 0})
    assert options.root == Path.home() / "yesno"
    assert options.own == {"split": "icefall", "segments": True}
    assert options.dev_fraction == 0
    assert options.max_seconds == 30


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "an5", "root": "."}, "corpus.name=an5 is none of an4, ... did you mean an4?"),
        ({"root": "."}, "corpus.name= is none of an4, "),
        ({"name": "yesno", "root": ".", "splti": "x"}, "No key corpus.splti; did you mean corpus.split?"),
        ({"name": "an4", "root": ".", "split": "kaldi"}, "No key corpus.split"),
        ({"name": "an4", "root": ".", "own": {}}, "No key corpus.own"),
        (
            {"name": "yesno", "split": "kaldy"},
            "corpus.split=kaldy is wrong ... kaldi, icefall",
        ),
        ({"name": "manifest", "train": "a.jsonl"}, "corpus.train=a.jsonl is wrong: it must be a list"),
        ({"name": "an4", "root": "???"}, "corpus.root is not set: give the folder of an4"),
        ({"name": "an4", "dev_fraction": 1.5}, "corpus.dev_fraction=1.5 is wrong ... at most 0.9"),
        ({"name": "an4", "dev_fraction": "some"}, "corpus.dev_fraction=some is wrong: it must be a number"),
        ({"name": "an4", "min_seconds": -1}, "corpus.min_seconds=-1 is wrong ... at least 0"),
        ({"name": "an4", "min_seconds": 5, "max_seconds": 2}, "corpus: max_seconds=2 is less than min_seconds=5"),
        ({"name": "an4", "download": "maybe"}, "corpus.download=maybe is wrong: it must be true or false"),
    ],
)
def test_bad_options_name_the_key_and_what_would_do(config: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        corpus_options(config)
    assert all(part in str(error.value) for part in message.split(" ... "))


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_config_page_is_valid_and_explains_every_key(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    assert config["name"] == path.stem
    assert list(config)[:6] == SHARED_KEYS
    options = corpus_options({**config, "root": "somewhere"})
    # every key that the code knows is on the page, and the other way round (else corpus_options would have raised)
    assert sorted(list(config)[6:]) == sorted(options.own)
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


@pytest.mark.integration
def test_nothing_heavy_is_imported_to_look_at_options() -> None:
    code = (
        "import sys; from speechrnn.data.corpora import corpus_options; "
        "corpus_options({'name': 'librispeech', 'root': '.'}); "
        "print([m for m in ('torch', 'lhotse', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Help pages: the recipes, every key, and nothing heavy imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import Command

from speechrnn.cli import help


@pytest.mark.integration
@pytest.mark.parametrize("arguments", [[], ["toy", "--help"], ["--version"], ["tou"]])
def test_help_imports_nothing_heavy(root: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from pathlib import Path; from speechrnn.cli import main as cli; "
        f"cli.main({arguments!r}, Path({str(root)!r})); "
        "heavy = {'torch', 'hydra', 'omegaconf', 'numpy', 'lightning', 'rich', 'antlr4'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_page_of_a_recipe_explains_every_key(speechrnn: Command) -> None:
    page = speechrnn("toy", "--help").out
    assert "In more than one line." in page
    assert "keys\n----\n\n  # Where results go.\n  output: null" in page
    assert "seed: 0  # of everything" in page
    assert "defaults:" not in page
    assert "an4    AN4: spelled words (130 for the test)." in page
    assert "yesno  yesno: Hebrew." in page
    assert "corpus.KEY=VALUE with corpus=an4:\n\n    kind: an4\n\n    # The folder.\n    root: ???" in page
    # What another option says in the same words is not said twice.
    assert page.count("# The folder.\n    root: ???") == 1
    own = "# kaldi: the first thirty for training\n    split: kaldi"
    assert "VALUE with corpus=yesno, and the rest as above:\n\n    # yesno: Hebrew. More of it\n    # in" in page
    assert f"    kind: yesno\n    {own}" in page
    assert "acoustic.features=logmel" in page
    assert "acoustic.features.KEY=VALUE with acoustic.features=mfcc:\n\n    coefficients: 13" in page
    assert "best  What did best." in page
    assert "layers: 4" not in page


@pytest.mark.integration
def test_help_anywhere_on_the_line_and_from_the_script_is_the_same_page(speechrnn: Command, root: Path) -> None:
    page = speechrnn("toy", "--help").out
    assert speechrnn("toy", "seed=3", "-h").out == page
    script = subprocess.run(
        [sys.executable, root / "recipes" / "toy.py", "--help"], capture_output=True, text=True, check=True
    )
    assert script.stdout == page


@pytest.mark.integration
def test_a_reader_that_stops_early_is_no_error(root: Path) -> None:
    code = (
        f"from pathlib import Path; from speechrnn.cli.main import main; exit(main(['toy', '-h'], Path({str(root)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 0
    process.stderr.close()


def test_the_groups_are_the_ones_hydra_composes(root: Path) -> None:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(version_base="1.3", config_dir=str(root / "conf")):
        choices = compose("toy", return_hydra_config=True).hydra.runtime.choices
    found = {group.name: group.chosen for group in help.groups(root / "conf" / "toy.yaml")}
    assert found == {name: choice for name, choice in choices.items() if not name.startswith("hydra/")}


@pytest.mark.parametrize("recipe", help.recipes(help.root()).values(), ids=lambda recipe: recipe.name)
def test_a_help_page_has_no_lines_that_a_terminal_breaks(recipe: help.Recipe) -> None:
    assert [line for line in help.page(recipe).splitlines() if len(line) > 130] == []

"""The lessons as a user types them, small: what they print, what they leave in the run's folder, what they refuse."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers.html_page import Page

from speechrnn.cli import main as cli

Start = Callable[..., tuple[int, str, str]]

# Enough to draw every picture, not to learn anything.
SMALL = {
    "food_chain": ["steps=5", "units=4"],
    "study_timetable": ["steps=3", "rows=4", "days=6", "holiday=4"],
    "gradients": [
        *("units=4", "flow.distance=6", "flow.depths=[1,2]", "flow.scales=[0.5,2]", "flow.forget_biases=[0,4]"),
        *("clipping.steps=12", "clipping.delay=3", "recall.delays=[2,3]", "recall.steps=4", "recall.letters=3"),
    ],
    "gates": [
        "small.characters=5000",
        "small.units=70",
        "small.steps=4",
        "small.rows=4",
        "small.window=8",
        "tokens=300",
    ],
}
SECTIONS = {
    "food_chain": {"feedback", "last_word"},
    "study_timetable": {"feedback", "facts_alone"},
    "gradients": {"flow", "clipping", "recall"},
    "gates": {"gates"},
}
PICTURES = {"food_chain": 4, "study_timetable": 5, "gradients": 7, "gates": 5}
# Of the article's ideas, what each page names.
IDEAS = {
    "food_chain": ("memory", "feedback", "Elman 1990", "Hochreiter"),
    "study_timetable": ("missed", "feedback", "Jordan 1986", "Elman 1990"),
    "gradients": ("vanishes", "explodes", "Clipping", "forget gate", "Pascanu", "Gers"),
    "gates": ("forget gate", "input gate", "output gate", "candidate", "Karpathy", "Hochreiter"),
}


@pytest.fixture
def start(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Start:
    """`start(recipe, "key=value", ...)`, in this process and an empty folder -> (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(list(arguments))
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize("lesson", sorted(SMALL))
def test_a_lesson_leaves_a_run_with_a_page_that_stands_alone(start: Start, lesson: str) -> None:
    status, out, err = start(lesson, *SMALL[lesson], "name=small")
    assert (status, err) == (0, "")
    folder = Path("outputs", lesson, "small")
    assert out.splitlines()[-1] == f"report  {folder.absolute() / 'report.html'}"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics.keys() == SECTIONS[lesson]
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 1

    page = Page(folder / "report.html")
    assert "://" not in page.source and not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    pictures = page.all("svg")
    assert len(pictures) == PICTURES[lesson] and all(picture["aria-label"] for picture in pictures)
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert "nan" not in page.text("text").lower().split()
    text = page.text()
    assert all(idea in text for idea in IDEAS[lesson])


@pytest.mark.parametrize("lesson", sorted(SMALL))
def test_the_same_command_gives_the_same_page(start: Start, lesson: str) -> None:
    pages, numbers = [], []
    for restart in ("false", "true"):
        assert start(lesson, *SMALL[lesson], "output=run", f"restart={restart}")[0] == 0
        pages.append(Path("run/report.html").read_text().replace("restart: true", "restart: false"))
        numbers.append(Path("run/metrics.json").read_text())
    assert numbers[0] == numbers[1]
    assert pages[0] == pages[1]


def test_another_seed_gives_another_page(start: Start) -> None:
    for seed in (1, 2):
        assert start("food_chain", *SMALL["food_chain"], f"output=run{seed}", f"seed={seed}")[0] == 0
    assert Path("run1/metrics.json").read_text() != Path("run2/metrics.json").read_text()


def test_the_food_chain_completes_what_it_is_given(start: Start) -> None:
    status, out, _ = start("food_chain", "prompts=[Small,'Tuna fishes feed']", "steps=250", "learning_rate=0.03")
    assert status == 0
    (metrics,) = Path("outputs/food_chain").glob("*/metrics.json")
    figures = json.loads(metrics.read_text())
    assert figures["feedback"]["written"] == {
        "Small": "Small fishes feed on sea plants.",
        "Tuna fishes feed": "Tuna fishes feed on small fishes.",
    }
    assert figures["feedback"]["right"] == 2 and figures["last_word"]["right"] <= 1
    assert "with feedback" in out and "the last word alone" in out


def test_the_gates_of_a_model_that_is_there(start: Start) -> None:
    assert start("gates", *SMALL["gates"], "name=first")[0] == 0
    before = Path("outputs/gates/first/language/model.safetensors").stat().st_mtime_ns
    status, out, _ = start("gates", *SMALL["gates"], "name=first")
    assert status == 0 and "training" not in out  # it is there already
    assert Path("outputs/gates/first/language/model.safetensors").stat().st_mtime_ns == before
    model = "model=outputs/gates/first/language"
    assert start("gates", model, 'sentence="Sharks eat fish!"', "output=mine")[0] == 0
    page = Page(Path("mine/report.html"))
    assert "Sharks" in "".join(page.text("text").split())
    Path("held.txt").write_text("Fish eat squid.\nCrabs ate whales.\n" * 4)
    assert start("gates", model, "held_out=held.txt", "output=other")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["food_chain", "prompts=[Whales]"], "'whales' is in none of the sentences"),
        (["food_chain", "cell=transformer"], "cell"),
        (["study_timetable", "missed=2"], "missed=2"),
        (["gradients", "recall.delays=[0]"], "recall.delays"),
        (["gates", "model=nowhere"], "There is no model directory nowhere"),
        (["gates", "tokens=3"], "tokens=3"),
        (["gates", "lenght=3"], "No key lenght"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(start: Start, arguments: list[str], sentence: str) -> None:
    status, out, err = start(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("speechrnn: ") and err.count("\n") == 1 and sentence in err
    assert not Path("outputs").exists()

"""Test the tutorials as commands, small: what they print, what they leave in the run's folder, what they refuse."""

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
        "units=4",
        "flow.distance=6",
        "flow.depths=[1,2]",
        "flow.scales=[0.5,2]",
        "flow.forget_biases=[0,4]",
        "clipping.steps=12",
        "clipping.delay=3",
        "recall.delays=[2,3]",
        "recall.steps=4",
        "recall.letters=3",
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
PICTURES = {"food_chain": 4, "study_timetable": 5, "gradients": 7, "gates": 6}
# Ideas of the article "Recurrent Neural Networks" that each page names.
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


@pytest.mark.parametrize("tutorial", sorted(SMALL))
def test_a_tutorial_leaves_a_run_with_a_page_that_stands_alone(start: Start, tutorial: str) -> None:
    status, out, err = start(tutorial, *SMALL[tutorial], "name=small")
    assert (status, err) == (0, "")
    folder = Path("outputs", tutorial, "small")
    assert out.splitlines()[-1] == f"report  {folder / 'report.html'}"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics.keys() == SECTIONS[tutorial]
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 1

    page = Page(folder / "report.html")
    links = [attributes["href"] for attributes in page.all("a")]  # followed by a reader only; nothing is loaded
    assert links and all(link.startswith("https://") for link in links)
    assert page.source.count("://") == len(links)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    assert "The article" not in page.source and "the article’s" not in page.source
    pictures = page.all("svg")
    assert len(pictures) == PICTURES[tutorial] and all(picture["aria-label"] for picture in pictures)
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert "nan" not in page.text("text").lower().split()
    text = page.text()
    assert all(idea in text for idea in IDEAS[tutorial])


@pytest.mark.parametrize("tutorial", sorted(SMALL))
def test_the_same_command_gives_the_same_page(start: Start, tutorial: str) -> None:
    pages, numbers = [], []
    for restart in ("false", "true"):
        assert start(tutorial, *SMALL[tutorial], "output=run", f"restart={restart}")[0] == 0
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
    assert "with feedback" in out and "last word only" in out


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


EVIL = "<script>alert(1)</script>"


def test_no_text_of_a_user_becomes_markup(start: Start) -> None:
    """Give a script as the text of each tutorial that takes one."""
    Path("evil.txt").write_text(f"{EVIL} word another\n" * 40)
    small = ["units=4", "steps=2", "every=1", "batch_size=2", "bptt=4", "rows=2", "characters=60"]
    assert start("spelling", "files=[evil.txt]", *small, "output=spelling")[0] == 0
    assert start("gates", *SMALL["gates"], "name=first")[0] == 0
    model = "model=outputs/gates/first/language"
    assert start("gates", model, 'sentence="Sharks eat fish!"', "output=gates")[0] == 0
    odd = f"output='pages/{EVIL.replace('/', '|')}'"
    assert start("food_chain", *SMALL["food_chain"], odd)[0] == 0
    paths = ["spelling/report.html", "gates/report.html", f"pages/{EVIL.replace('/', '|')}/report.html"]
    for path in paths:
        assert not Page(Path(path)).all("script")


def test_a_learning_rate_beyond_reason_is_one_sentence(start: Start) -> None:
    status, _, err = start("food_chain", *SMALL["food_chain"], "learning_rate=1e300")
    assert status == 2 and "learning_rate" in err and err.count("\n") == 1


def test_few_days_leave_no_gap_in_the_numbers(start: Start) -> None:
    assert start("study_timetable", *SMALL["study_timetable"], "days=2", "output=few")[0] == 0
    assert "NaN" not in Path("few/metrics.json").read_text()


def test_an_exploded_gradient_is_no_number_in_the_metrics(start: Start) -> None:
    wide = [*SMALL["gradients"], "flow.scales=[1e200]", "flow.distance=20", "output=wide"]
    status, _, err = start("gradients", *wide)
    assert (status, err) == (0, "")
    text = Path("wide/metrics.json").read_text()
    assert "NaN" not in text and "Infinity" not in text

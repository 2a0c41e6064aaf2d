"""Test the claim of the gates: trained cells follow quotes and places, on text that the model was not trained on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.gates import make_model

from speechrnn.core.errors import UserError
from speechrnn.experiments.run import Run
from speechrnn.nn.language import load_language
from speechrnn.tutorials.gates import tracking
from speechrnn.tutorials.gates.activations import (
    held_out_tokens,
)
from speechrnn.tutorials.gates.model import (
    SHOWN,
    GatesOptions,
    SmallModelOptions,
    analyse_gates,
    choose_passage,
    make_small_model,
)
from speechrnn.tutorials.gates.stories import make_lines
from speechrnn.tutorials.setting import repeatable

SMALL = SmallModelOptions(200_000, 48, 1600, rows=32, window=64, learning_rate=0.01)


def options(**given: object) -> GatesOptions:
    values = {"model": None, "sentence": None, "held_out": None, "tokens": 3000, "small": SMALL, "seed": 1}
    return GatesOptions(**{**values, **given})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run("gates", "test", tmp_path_factory.mktemp("gates"))
    with repeatable(1):
        return make_small_model(run, SMALL, 1)


@pytest.mark.integration
def test_cells_follow_signals(trained: Path) -> None:
    with repeatable(1):
        analysis = analyse_gates(trained, options())
    found = {tracker.name: abs(tracker.correlation) for tracker in analysis.trackers}
    before = {tracker.name: abs(tracker.correlation) for tracker in analysis.untrained}
    assert list(found) == list(tracking.SIGNALS)
    assert found["inside quotes"] > max(0.5, before["inside quotes"] + 0.2)
    assert found["place in the sentence"] > max(0.5, before["place in the sentence"] + 0.1)
    assert found["place in the word"] > 0.4
    assert analysis.difference < 1e-5
    assert any('"' in token for token in analysis.sentence.tokens) and len(analysis.sentence.tokens) == SHOWN


def test_the_quote_cell_falls_where_quotes_end(trained: Path) -> None:
    """In a text of our own as well its memory is higher inside quotes, or lower where it follows them upside down."""
    text = 'Fish saw crabs.\n"Whales eat seals!\nCrabs see fish!" said a student.\nFish saw crabs.'
    with repeatable(1):
        analysis = analyse_gates(trained, options(sentence=text))
    assert "".join(analysis.sentence.tokens) == f"{text}\n"
    tracker = next(tracker for tracker in analysis.trackers if tracker.name == "inside quotes")
    cell = analysis.sentence.layers[0].cell[:, tracker.unit] * np.sign(tracker.correlation)
    inside = torch.tensor(tracking.inside_quotes(analysis.sentence.tokens)) > 0
    assert cell[inside].mean() > cell[~inside].mean() + 0.5 * cell.std()


def test_a_small_model_is_a_model_like_any_other(trained: Path) -> None:
    model, tokenizer = load_language(trained)
    assert (model.options.layers, model.options.units) == (1, 48)
    held_out = held_out_tokens(trained, None, tokenizer, most=10**6)
    assert 8000 <= len(held_out) < 9000
    text = "".join(tokenizer.symbols[token] if token else "\n" for token in held_out)
    assert (
        text == "".join(f"{line}\n" for line in make_lines(208_000, 1))[: len(text)]
    )  # the model was trained on the rest


def test_a_text_that_is_too_short_is_refused(tmp_path: Path) -> None:
    make_model(tmp_path / "model")
    (tmp_path / "held.txt").write_text("sharks\n")
    with pytest.raises(UserError, match="has 2 tokens"):
        analyse_gates(tmp_path / "model", options(held_out=tmp_path / "held.txt"))


def test_stories_have_quotes_that_close() -> None:
    lines = make_lines(5000, 3)
    assert lines == make_lines(5000, 3) != make_lines(5000, 4)
    assert 5000 <= sum(len(line) + 1 for line in lines) < 5200
    text = "\n".join(lines)
    speeches = re.findall(r'"([^"]*)" said [a-z ]+\.', text)
    assert text.count('"') == 2 * len(speeches) > 20
    assert all("." not in speech for speech in speeches)
    assert "!" not in re.sub(r'"[^"]*"', "", text)


def test_the_picture_begins_with_a_line_outside_of_quotes() -> None:
    tokens = list("Fish saw crabs.\n" * 25 + '"Seals eat fish!"\n' + "Fish saw crabs.\n" * 20)
    begin, end = choose_passage(tokens)
    assert "".join(tokens[begin:end]).startswith('Fish saw crabs.\n"Seals') and end - begin == SHOWN
    assert choose_passage(list("abc" * 50)) == (60, 150)  # no line, no quotes: the end
    assert choose_passage(list("abc")) == (0, 3)

"""Test the claim of the gates: trained cells follow quotes and places, on text that the model was not trained on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.experiments.run import Run
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, save_language
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer
from speechrnn.tutorials.gates import tracking
from speechrnn.tutorials.gates.activations import (
    Activations,
    difference,
    encode,
    encode_sentence,
    held_out_tokens,
    record_activations,
)
from speechrnn.tutorials.gates.cell import Step
from speechrnn.tutorials.gates.model import (
    SHOWN,
    GatesOptions,
    SmallModelOptions,
    analyse_gates,
    choose_passage,
    make_small_model,
)
from speechrnn.tutorials.gates.page import colour_tokens
from speechrnn.tutorials.gates.stories import make_lines
from speechrnn.tutorials.gates.tracking import Tracker, correlations, find_trackers, signals
from speechrnn.tutorials.setting import repeatable

SMALL = SmallModelOptions(200_000, 48, 1600, 32, 64, 0.01)


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
    held_out = held_out_tokens(trained, None, tokenizer, 10**6)
    assert 8000 <= len(held_out) < 9000
    text = "".join(tokenizer.symbols[token] if token else "\n" for token in held_out)
    assert (
        text == "".join(f"{line}\n" for line in make_lines(208_000, 1))[: len(text)]
    )  # the model was trained on the rest


def test_reading_is_what_the_model_computes() -> None:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build(["abc "])
    model = LanguageModel(len(tokenizer), LanguageOptions(layers=2, units=12, embedding=8)).eval()
    tokens = encode(tokenizer, ["ab c", "", "cab"])
    activations = record_activations(model, tokenizer, tokens)
    assert "".join(activations.tokens) == "ab c\n\ncab\n"
    assert [layer.forget.shape for layer in activations.layers] == [(10, 12), (10, 8)]
    assert difference(model, activations, tokens) < 1e-6
    part = activations.part(2, 5)
    assert part.tokens == [" ", "c", "\n"] and torch.equal(part.layers[1].cell, activations.layers[1].cell[2:5])


def test_models_without_gates_are_refused() -> None:
    tokenizer = CharTokenizer.build(["ab"])
    model = LanguageModel(len(tokenizer), LanguageOptions(cell="gru", layers=1, units=8, embedding=8)).eval()
    with pytest.raises(UserError, match="cells are gru"):
        record_activations(model, tokenizer, [1, 2])


def make_model(folder: Path) -> WordTokenizer:
    tokenizer = WordTokenizer.build(["sharks eat fish ."])
    model = LanguageModel(len(tokenizer), LanguageOptions(layers=1, units=8, embedding=8))
    lower = {"normalisation": {"case": "lower", "punctuation": "keep"}}
    save_language(folder, model, tokenizer, lower)
    return tokenizer


def test_texts_are_normalised_as_the_models_were(tmp_path: Path) -> None:
    tokenizer = make_model(tmp_path / "model")
    sharks, eat, fish = (tokenizer.encode(word)[0] for word in ("sharks", "eat", "fish"))
    assert encode_sentence("SHARKS eat\nFish", tokenizer, tmp_path / "model") == [sharks, eat, 0, fish, 0]
    (tmp_path / "held.txt").write_text("Sharks EAT\nsharks\n")
    assert held_out_tokens(tmp_path / "model", tmp_path / "held.txt", tokenizer, 4) == [sharks, eat, 0, sharks]


def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path) -> None:
    tokenizer = make_model(tmp_path / "model")
    with pytest.raises(UserError, match=r"No held-out text lies beside .*held_out=FILE"):
        held_out_tokens(tmp_path / "model", None, tokenizer, 100)
    with pytest.raises(UserError, match="sentence is empty"):
        encode_sentence(" \n ", tokenizer, tmp_path / "model")
    (tmp_path / "held.txt").write_text("sharks\n")
    with pytest.raises(UserError, match="has 2 tokens"):
        analyse_gates(tmp_path / "model", options(held_out=tmp_path / "held.txt"))


def test_signals() -> None:
    tokens = list('ab "c d." e\n\n"f')
    assert tracking.inside_quotes(tokens) == [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1]
    assert tracking.place_in_line(tokens) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 1, 2]
    assert tracking.place_in_word(tokens) == [1, 2, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert tracking.place_in_sentence(tokens)[6:9] == [7, 0, 1]
    assert tracking.inside_quotes(list('"a\n\nb')) == [1, 1, 1, 0, 0]  # an empty line closes what was left open
    assert tracking.inside_quotes(list("x“y”z")) == [0, 1, 1, 0, 0]
    others = ["place in the line", "place in the word", "place in the sentence"]
    assert list(signals(tokens * 2, characters=False)) == ["inside quotes", others[0], others[2]]
    assert list(signals(list("aaaa"), characters=True)) == others


@given(st.lists(st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3), min_size=4, max_size=30))
def test_correlations_are_numpys(rows: list[list[float]]) -> None:
    values = np.array(rows) + np.random.default_rng(0).normal(size=(len(rows), 3))
    signal = torch.from_numpy(values[:, 2])
    expected = [np.corrcoef(values[:, unit], values[:, 2])[0, 1] for unit in (0, 1)]
    assert correlations(torch.from_numpy(values[:, :2]), signal).tolist() == pytest.approx(expected, abs=1e-9)


def activations_of(text: str, layers: list[torch.Tensor]) -> Activations:
    zeros = [torch.zeros_like(cells) for cells in layers]
    steps = [Step(zero, zero, zero, zero, cells, zero) for cells, zero in zip(layers, zeros, strict=True)]
    return Activations(list(text), steps)


def test_the_cell_is_found_where_it_is_and_judged_elsewhere() -> None:
    torch.manual_seed(0)
    text = 'so "he" said.\n' * 40
    quotes = torch.tensor(tracking.inside_quotes(list(text)))
    layers = [torch.randn(len(text), 4), torch.randn(len(text), 6)]
    layers[1][:, 3] = 2 - 3 * quotes
    tracker = find_trackers(activations_of(text, layers), characters=True)[0]
    assert replace(tracker, correlation=0.0) == Tracker("inside quotes", 1, 3, 0.0)
    assert tracker.correlation == pytest.approx(-1)
    # One that follows them on the half where cells are chosen, and means nothing on the other.
    layers[1][:, 3] = torch.randn(len(text))
    layers[0][: len(text) // 2, 1] = quotes[: len(text) // 2]
    tracker = find_trackers(activations_of(text, layers), characters=True)[0]
    assert (tracker.layer, tracker.unit) == (0, 1) and abs(tracker.correlation) < 0.3


def test_a_coloured_text_is_the_text() -> None:
    activations = activations_of("<a>\n&b", [torch.tensor([[0.0], [1], [2], [3], [4], [-9]])])
    tokens = colour_tokens(activations, Tracker("inside quotes", 0, 0, 1.0))
    assert "".join(token.text for token in tokens) == "<a>↵\n&b"
    colours = [token.colour for token in tokens]
    assert sum(colour.startswith("rgba(0, 114, 178") for colour in colours) == 5
    assert sum(colour.startswith("rgba(213, 94, 0, 0.60)") for colour in colours) == 1


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

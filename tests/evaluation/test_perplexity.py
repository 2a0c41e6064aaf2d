"""Perplexity as its definition says: each token after all those before it, however the text is cut for hypothesis."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.language_models import step_by_step, token_file, toy_model
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation import perplexity as scoring
from speechrnn.evaluation.perplexity import (
    LineScore,
    PlainScorer,
    TextScore,
    score_lines,
    score_text,
    token_log_probs,
    windows,
)

VOCABULARY = 7
IDS = [3, 0, 1, 2, 6, 5, 0, 0, 4, 4, 1, 0, 2, 2, 2, 5, 0, 6, 1, 0]


class Reader(PlainScorer):
    """A plain reader that takes a few tokens at a time."""

    length = 3


def by_hand(model: torch.nn.Module, ids: list[int]) -> np.ndarray:
    expected = step_by_step(model.eval(), ids)  # type: ignore[arg-type]
    return expected[range(len(ids)), ids].double().numpy()


def test_the_figures_of_a_text() -> None:
    score = TextScore(nats=10 * math.log(8), tokens=10, characters=15)
    assert score.perplexity == pytest.approx(8)
    assert score.bits_per_character == pytest.approx(2)
    assert score.figures() == {
        "perplexity": pytest.approx(8),
        "bits_per_character": pytest.approx(2),
        "nats_per_token": pytest.approx(math.log(8)),
        "tokens": 10,
        "characters": 15,
    }


def test_a_model_that_knows_nothing() -> None:
    model = toy_model(VOCABULARY, scale=0.0)
    score = score_text(model, token_file(IDS))
    assert score.perplexity == pytest.approx(VOCABULARY)
    assert score.bits_per_character == pytest.approx(math.log2(VOCABULARY))  # one character a token
    assert TextScore(1e6, 1, 1).perplexity == math.inf
    nothing = score_text(model, token_file([]))
    assert (nothing.nats, nothing.tokens) == (0, 0)
    assert math.isnan(nothing.perplexity) and math.isnan(nothing.bits_per_character)


@pytest.mark.parametrize("softmax", ["full", "adaptive", "mixture"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_text_is_one_stream_from_its_beginning_to_its_end(cell: str, softmax: str) -> None:
    model = toy_model(VOCABULARY, cell=cell, softmax=softmax)
    expected = by_hand(model, IDS)
    for reader in (None, Reader(model)):
        score = score_text(model, token_file(IDS), reader=reader)
        assert score.nats == pytest.approx(-expected.sum(), rel=1e-5)
        assert (score.tokens, score.characters) == (len(IDS), len(IDS))


def test_dropout_is_off_meanwhile_and_on_again_afterwards() -> None:
    model = toy_model(VOCABULARY)
    assert model.training
    nats = [score_text(model, token_file(IDS), batch_size=size).nats for size in (1, 1, 4, 4)]
    assert model.training
    assert nats[0] == nats[1] and nats[2] == nats[3]
    assert list(token_log_probs(model.eval(), token_file(IDS))) and not model.training


def test_a_large_vocabulary_is_read_in_small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    model = toy_model(VOCABULARY)
    whole = score_text(model, token_file(IDS)).nats
    asked: list[int] = []
    of_targets = model.softmax.target_log_probs

    def count_targets(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        asked.append(len(targets))
        return of_targets(outputs, targets)

    monkeypatch.setattr(model.softmax, "target_log_probs", count_targets)
    monkeypatch.setattr(scoring, "LOGITS", 4 * VOCABULARY)
    assert score_text(model, token_file(IDS)).nats == pytest.approx(whole)
    assert asked == [4] * 5


def test_rows_begin_from_the_start_state() -> None:
    model = toy_model(VOCABULARY)
    halves = 0.0
    for half, before in ((IDS[:10], []), (IDS[10:], [IDS[9]])):
        with torch.no_grad():
            model.eval()
            states, nats = model.start(1), 0.0
            for token, last in zip(half, [*(before or [0]), *half[:-1]], strict=True):
                log_probs, states = model.score(states, torch.tensor([last]))
                nats -= float(log_probs[0, token])
        halves += nats
    assert score_text(model, token_file(IDS), batch_size=2).nats == pytest.approx(halves, rel=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
def test_documents_know_nothing_of_each_other(rows: int) -> None:
    model = toy_model(VOCABULARY)
    starts = [0, 7, 8, 12]
    text = token_file(IDS, starts)
    alone = [by_hand(model, IDS[start:end]) for start, end in zip(starts, [*starts[1:], len(IDS)], strict=True)]
    score = score_text(model, text, batch_size=rows, documents=True)
    assert score.nats == pytest.approx(-sum(part.sum() for part in alone), rel=1e-5)
    assert score.nats != pytest.approx(-by_hand(model, IDS).sum(), rel=1e-3)
    in_order = np.concatenate(list(token_log_probs(model, text, documents=True, reader=Reader(model))))
    assert in_order == pytest.approx(np.concatenate(alone), rel=1e-4)


def test_lines_are_those_of_the_text() -> None:
    model = toy_model(VOCABULARY)
    expected = by_hand(model, IDS)
    lines = list(score_lines(token_file(IDS), token_log_probs(model, token_file(IDS), reader=Reader(model))))
    ends = [place + 1 for place, token in enumerate(IDS) if token == 0]
    assert [line.tokens for line in lines] == np.diff([0, *ends]).tolist()
    for line, start, end in zip(lines, [0, *ends], ends, strict=False):
        assert line.logprob == pytest.approx(expected[start:end].sum(), rel=1e-5)
        assert line.perplexity == pytest.approx(math.exp(-expected[start:end].mean()), rel=1e-4)


@given(st.lists(st.lists(st.integers(1, 6), max_size=6), max_size=8), st.booleans(), st.integers(1, 9))
def test_lines_sum_to_the_text_however_it_is_cut(lines: list[list[int]], ended: bool, size: int) -> None:
    ids = [token for line in lines for token in (*line, 0)]
    ids = ids if ended else ids[:-1]
    values = np.arange(1.0, len(ids) + 1)
    scores = list(score_lines(token_file(ids), (values[at : at + size] for at in range(0, len(ids), size))))
    sizes = [len(line) + 1 for line in lines]
    if lines and not ended:
        sizes[-1:] = [sizes[-1] - 1] if sizes[-1] > 1 else []
    assert [score.tokens for score in scores] == sizes
    assert sum(score.logprob for score in scores) == values.sum()


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 12), st.data())
def test_windows_hold_each_token_once_after_the_one_before_it(ids: list[int], length: int, data: st.DataObject) -> None:
    starts = sorted({0, *data.draw(st.lists(st.integers(0, max(0, len(ids) - 1))))})
    text = TokenFile(np.array(ids, np.uint16), np.array(starts if ids else [], np.int64), 0)
    batches = list(windows(text, length, documents=True))
    assert [token for batch in batches for token in batch.targets[:, 0].tolist()] == ids
    assert all(batch.inputs.shape == batch.targets.shape and len(batch.targets) <= length for batch in batches)
    place = 0
    for batch in batches:
        assert bool(batch.fresh) == (place in starts)
        before = 0 if place in starts else ids[place - 1]
        assert batch.inputs[:, 0].tolist() == [before, *batch.targets[:-1, 0].tolist()]
        place += len(batch.targets)


def test_a_line_alone() -> None:
    assert LineScore(2, -2 * math.log(5)).perplexity == pytest.approx(5)

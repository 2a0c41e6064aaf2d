"""Tests of surprisal, in tokens that readers can see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.language_models import encoded, step_by_step, token_file, toy_model

from speechrnn.evaluation.surprisal import (
    EXPECTED,
    TokenSurprisal,
    select_passage,
    surface_form,
    token_surprisals,
    visible_form,
)
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer

TEXT = "Sharks feed on tuna fishes.\nTuna fishes feed on small fishes.\n\nSmall fishes feed on sea plants.\n"


def tokenizers() -> list[Tokenizer]:
    lines = TEXT.splitlines()
    return [CharTokenizer.build(lines), WordTokenizer.build(lines), SubwordTokenizer.train(lines, 25)]


def test_surprises_are_what_the_model_expects_step_by_step() -> None:
    ids = [3, 0, 1, 2, 6, 5, 0, 0, 4, 4, 1, 0]
    model = toy_model(7)
    expected = step_by_step(model.eval(), ids)
    apart = token_surprisals(model, token_file(ids, [0, 4]), most=10, documents=True)
    assert apart[4].logprob == pytest.approx(float(step_by_step(model, ids[4:])[0, ids[4]]), rel=1e-4)
    found = token_surprisals(model.train(), token_file(ids), most=10)
    assert model.training
    assert [scored.token for scored in found] == ids[:10]
    for scored, row in zip(found, expected, strict=False):
        assert scored.logprob == pytest.approx(float(row[scored.token]), rel=1e-4)
        assert scored.bits == pytest.approx(-float(row[scored.token]) / math.log(2), rel=1e-4)
        best = row.argsort(descending=True)[:EXPECTED].tolist()
        assert [token for token, _ in scored.expected] == best
        assert [chance for _, chance in scored.expected] == pytest.approx(
            [math.exp(row[token]) for token in best], rel=1e-4
        )


def test_more_tokens_than_a_window_and_a_vocabulary_of_two() -> None:
    ids = np.random.default_rng(0).integers(0, 2, 600).tolist()
    found = token_surprisals(toy_model(2, softmax="full"), token_file(ids), most=1000)
    assert [scored.token for scored in found] == ids
    assert all(sum(chance for _, chance in scored.expected) == pytest.approx(1, abs=1e-5) for scored in found)


@pytest.mark.parametrize("tokenizer", tokenizers(), ids=lambda tokenizer: tokenizer.kind)
def test_tokens_put_together_are_the_text(tokenizer: Tokenizer) -> None:
    pieces = "".join(surface_form(tokenizer, int(token)) for token in encoded(TEXT, tokenizer).tokens)
    assert [line.strip() for line in pieces.splitlines()] == TEXT.splitlines()


def test_tokens_alone_can_be_seen() -> None:
    characters, words, subwords = tokenizers()
    assert visible_form(characters, 0) == visible_form(words, 0) == "↵"
    assert visible_form(characters, characters.symbols.index(" ")) == "␣"
    assert visible_form(words, 1) == "<unk>"
    assert all(
        visible_form(subwords, token).strip() and "▁" not in visible_form(subwords, token)
        for token in range(len(subwords))
    )


@pytest.mark.parametrize("characters", [5, 30, 60, 500])
def test_a_passage_begins_with_a_line(characters: int) -> None:
    tokenizer = tokenizers()[0]
    found = [TokenSurprisal(int(token), -1.0, ()) for token in encoded(TEXT, tokenizer).tokens]
    chosen = select_passage(found, tokenizer, characters)
    shown = "".join(surface_form(tokenizer, scored.token) for scored in found[chosen])
    assert len(shown) == min(characters, len(TEXT))
    assert TEXT.index(shown) == 0 or TEXT[TEXT.index(shown) - 1] == "\n"
    assert chosen.start <= len(found) // 2
    if characters == 30:
        assert shown.startswith("Tuna")

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers.generators import make, probabilities, tokenizer

from speechrnn.core.errors import UserError
from speechrnn.generation import next_words as module
from speechrnn.generation.predictor import TextPredictor
from speechrnn.text.tokenizers import CharTokenizer


def predictor(kind: str, **options: Any) -> TextPredictor:
    tokens = tokenizer(kind)
    return TextPredictor(make(len(tokens), **options), tokens, "cpu")


def test_a_word_models_next_words_are_its_next_tokens() -> None:
    ours = predictor("word")
    p = probabilities(ours.model, ours.encoder.encode("ba be"))
    found = ours.next_words("ba be", k=5)
    words = sorted(((name, q) for name, q in zip(ours.tokenizer.symbols, p, strict=True)), key=lambda word: -word[1])
    expected = [word for word in words if word[0] not in ("<blank>", "<unk>")][:5]
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [q for _, q in found] == pytest.approx([q for _, q in expected], rel=1e-4)
    assert ours.next_words("ba be ", k=5) == found


def spelt(
    ours: TextPredictor, history: tuple[int, ...], text: str, probability: float, least: float
) -> Iterator[tuple[str, float]]:
    """Every word that is at least so probable, by spelling all of them."""
    p = probabilities(ours.model, history)
    ends = [token for token, name in enumerate(ours.detokenizer.symbols) if name[:1] in (" ", "\n")]
    pieces = ours.tokenizer.kind == "subword"
    if text or not pieces:
        if text.strip():
            yield text.strip(), probability * sum(p[token] for token in ends)
        following = [token for token in range(len(p)) if token not in ends]
    else:
        following = [token for token in ends if token]
        p = p / sum(p[token] for token in following)
    for token in following:
        if token != ours.detokenizer.unknown and probability * p[token] > least:
            name = ours.detokenizer.symbols[token]
            longer = (*history, token)
            yield from spelt(ours, longer, text + name, probability=probability * p[token], least=least)


@pytest.mark.parametrize("kind", ["char", "subword"])
@pytest.mark.parametrize("prompt", ["a bad", ""])
def test_words_are_found_with_their_whole_probability(kind: str, prompt: str) -> None:
    ours = predictor(kind, sharpness=60.0)
    found = ours.next_words(prompt, k=6)
    context = f"{prompt} " if prompt and kind == "char" else prompt
    assert len(found) == 6
    # Spellings less probable than the sixth word may or may not have been seen.
    few, many = defaultdict[str, float](float), defaultdict[str, float](float)
    for expected, least in ((few, found[-1][1]), (many, found[-1][1] / 4)):
        for word, p in spelt(ours, ours.encoder.encode(context), "", probability=1.0, least=least):
            expected[word] += p
    for word, p in found:
        assert few[word] * 0.999 <= p <= many[word] * 1.001
    assert found[-1][1] >= max([p for word, p in few.items() if word not in dict(found)], default=0) * 0.999
    if kind == "char":
        assert [word for word, _ in found] == sorted(many, key=many.__getitem__, reverse=True)[:6]
    assert found == ours.next_words(prompt + " ", k=6)


def test_a_flat_model_ends_the_search_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = predictor("char", sharpness=0.0)
    assert len(ours.next_words("a", k=3)) == 3
    monkeypatch.setattr(module, "MAX_PARTIAL_WORDS", 32)
    assert len(ours.next_words("a", k=50)) <= 50


def test_without_a_space_a_line_is_a_word() -> None:
    tokens = CharTokenizer.build([], "ab")
    ours = TextPredictor(make(len(tokens)), tokens, "cpu")
    (first, *_) = ours.next_words("ab", k=2)
    with torch.no_grad():
        history = list(ours.encoder.encode("ab"))
        probability = 1.0
        for token in (*ours.encoder.encode(first[0]), 0):
            probability *= probabilities(ours.model, history)[token]
            history.append(token)
    assert first[1] == pytest.approx(probability, rel=1e-4)


def test_unknown_characters_are_named() -> None:
    with pytest.raises(UserError, match="holds 'ü'"):
        predictor("char").next_words("ü")

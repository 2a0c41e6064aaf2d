from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from helpers.generators import make, probabilities, shaped

from speechrnn.generation.beam_search import find_candidates
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.sequence import TokenSequence
from speechrnn.nn.language import LanguageModel
from speechrnn.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer.build([], "abc")
MODEL = make(len(TOKENIZER), sharpness=12.0)
OURS = TextPredictor(MODEL, TOKENIZER, "cpu")


def score(tokens: tuple[int, ...], prompt: tuple[int, ...] = (1,)) -> float:
    """Log-probability of tokens after a prompt."""
    history = [*prompt]
    total = 0.0
    for token in tokens:
        total += math.log(probabilities(MODEL, history)[token])
        history.append(token)
    return total


def by_the_book(
    model: LanguageModel, prompt: tuple[int, ...], options: GenerationOptions
) -> list[tuple[float, tuple[int, ...]]]:
    """Beam search as in transformers' BeamSearchScorer, over plain lists: (rank, tokens), best first."""
    width, penalty = options.num_beams, options.length_penalty
    beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    ended: list[tuple[float, tuple[int, ...]]] = []

    def end(score: float, tokens: tuple[int, ...]) -> None:
        ended.append((score / len(tokens) ** penalty, tokens))
        ended.sort(key=lambda completion: -completion[0])
        del ended[width:]

    for length in range(1, options.max_new_tokens + 1):
        following = []
        for total, tokens in beams:
            history = [*prompt, *tokens]
            p = shaped(
                np.log(probabilities(model, history)).tolist(),
                history,
                len(tokens),
                options=GenerationOptions(**keep(options)),
            )
            following += [(total + math.log(q), (*tokens, token)) for token, q in enumerate(p) if q > 0]
        following.sort(key=lambda completion: -completion[0])
        beams = []
        for place, (total, tokens) in enumerate(following[: 2 * width]):
            if tokens[-1] == 0:
                if place < width:
                    end(total, tokens)
            else:
                beams.append((total, tokens))
            if len(beams) == width:
                break
        if len(ended) == width and ended[-1][0] >= following[0][0] / length**penalty:
            return ended
    for total, tokens in beams:
        end(total, tokens)
    return ended


def keep(options: GenerationOptions) -> dict[str, Any]:
    """The options that change scores, for a reference that must not normalise them anew."""
    names = ("repetition_penalty", "no_repeat_ngram_size", "min_new_tokens")
    return {"do_sample": False, **{name: getattr(options, name) for name in names}}


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 2},
        {"num_beams": 4, "num_return_sequences": 4},
        {"num_beams": 3, "length_penalty": 0.0, "num_return_sequences": 3},
        {"num_beams": 3, "length_penalty": 2.0},
        {"num_beams": 5, "min_new_tokens": 4, "num_return_sequences": 2},
        {"num_beams": 3, "repetition_penalty": 1.4, "num_return_sequences": 3},
        {"num_beams": 3, "no_repeat_ngram_size": 2, "num_return_sequences": 2},
    ],
    ids=str,
)
def test_beams_are_those_of_transformers(options: dict[str, int]) -> None:
    for text in ("a", "cab", "bb"):
        prompt = OURS.prompt(text, GenerationOptions(max_new_tokens=7, **options))  # type: ignore[arg-type]
        (result,) = OURS.complete([prompt])
        expected = by_the_book(MODEL, prompt.tokens, prompt.options)[: prompt.options.num_return_sequences]
        found = [
            tuple(OURS.detokenizer.symbols.index(token.token) for token in completion.tokens)
            for completion in result.completions
        ]
        assert found == [tokens for _, tokens in expected]
        for completion, tokens in zip(result.completions, found, strict=True):
            assert completion.logprob == pytest.approx(score(tokens, prompt.tokens), abs=1e-3)
            assert completion.finish_reason == ("eos" if tokens[-1] == 0 else "length")


def test_enough_beams_find_the_most_probable_text_of_all() -> None:
    length = 4
    texts = [
        (*start, *end)
        for size in range(length + 1)
        for start in itertools.product((1, 2, 3), repeat=size)
        for end in ([()] if size == length else [(0,)])
    ]
    best = max(texts, key=score)
    (result,) = OURS.generate(["a"], max_new_tokens=length, num_beams=300, length_penalty=0.0)
    found = tuple(OURS.detokenizer.symbols.index(token.token) for token in result.completions[0].tokens)
    assert found == best


def test_beams_do_not_depend_on_the_batch() -> None:
    generator = random.Random(0)
    items = [
        OURS.prompt(
            "".join(generator.choices("abc", k=generator.randint(1, 6))),
            GenerationOptions(num_beams=2 + number % 4, max_new_tokens=2 + number % 9, num_return_sequences=2),
            number,
        )
        for number in range(30)
    ]
    expected = list(OURS.complete(items, 256))
    assert [result.id for result in expected] == list(range(30))
    assert list(OURS.complete(items, 7)) == expected
    assert list(OURS.complete(items, 1)) == expected
    shuffled = generator.sample(items, len(items))
    assert sorted(OURS.complete(shuffled, 20), key=lambda result: int(result.id)) == expected


def test_stop_strings_end_beams() -> None:
    (free,) = OURS.generate(["a"], num_beams=3, min_new_tokens=10, max_new_tokens=10)
    stop = free.completions[0].text[3:5]
    (result,) = OURS.generate(["a"], num_beams=3, min_new_tokens=10, max_new_tokens=10, stop_strings=[stop])
    reasons = {completion.finish_reason for completion in result.completions}
    assert reasons <= {"stop", "length"}
    assert all(
        completion.text.endswith(stop) for completion in result.completions if completion.finish_reason == "stop"
    )
    assert all(stop not in completion.text for completion in result.completions if completion.finish_reason == "length")


def test_wider_beams_are_not_worse() -> None:
    best = [-math.inf]
    for width in (2, 4, 16, 64):
        (result,) = OURS.generate(["cab"], num_beams=width, max_new_tokens=5, length_penalty=0.0)
        best.append(result.completions[0].logprob)
    assert best[-1] >= max(best) - 1e-3 and np.isfinite(best[1:]).all()


def test_equal_scores_do_not_let_beams_depend_on_their_neighbours() -> None:
    """Scores in steps of a third, of which many are equal: the best are the same beside a prompt with more beams."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        scores = torch.round(torch.randn(2, 500, generator=generator) * 3) / 3
        prompts = [OURS.prompt("a", GenerationOptions(num_beams=beams)) for beams in (4, 30)]
        sequences = [TokenSequence.start(prompt, OURS.detokenizer) for prompt in prompts]
        alone, wide = (find_candidates(scores[:1], sequences[:1], None), find_candidates(scores, sequences, None))
        assert alone[0] == wide[0]
        assert alone[0].tokens == sorted(range(500), key=lambda token: -float(scores[0, token]))[:8]

"""TextPredictor: texts as the book has them, the same in any batch."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.generators import PROMPTS, WORDS, make, tokenizer, write

import speechrnn
from speechrnn.core.errors import UserError
from speechrnn.generation.engine import MAX_PENDING, SamplingEngine
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Prompt, Result
from speechrnn.nn.language import save_language
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer

KINDS: dict[str, dict[str, Any]] = {
    "char": {},
    "word": {"softmax": "adaptive", "cutoffs": (8, 20)},
    "subword": {"softmax": "mixture", "cell": "gru"},
}


@lru_cache
def predictor(kind: str) -> TextPredictor:
    tokens = tokenizer(kind)
    return TextPredictor(make(len(tokens), **KINDS[kind]), tokens, "cpu")


def prompts_for(kind: str) -> list[str]:
    if kind == "word":
        generator = random.Random(0)
        return [" ".join(generator.choices(WORDS, k=generator.randint(1, 5))) for _ in range(30)]
    return PROMPTS


MANY: list[dict[str, Any]] = [
    {},
    {"temperature": 0.6, "ignore_eos": True},
    {"do_sample": False},
    {"temperature": 0.0, "min_new_tokens": 8},
    {"top_k": 3, "min_new_tokens": 5},
    {"top_p": 0.8, "temperature": 1.4},
    {"min_p": 0.2, "typical_p": 0.9, "ignore_eos": True},
    {"do_sample": False, "repetition_penalty": 1.5, "min_new_tokens": 4},
    {"no_repeat_ngram_size": 2, "min_new_tokens": 6, "seed": 3},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", MANY, ids=str)
def test_texts_are_those_of_the_plain_way(kind: str, options: dict[str, object]) -> None:
    ours = predictor(kind)
    names = ["\n", *tokenizer(kind).symbols[1:]]
    texts = prompts_for(kind)[:6]
    ends = set()
    for result in ours.generate(texts, max_new_tokens=12, **options):  # type: ignore[arg-type]
        prompt = ours.prompt(texts[int(result.id)], GenerationOptions(max_new_tokens=12, **options))  # type: ignore[arg-type]
        (completion,) = result.completions
        # A model that has <unk> never writes it, which the plain way does not know.
        if ours.detokenizer.unknown is None:
            expected = write(ours.model, prompt.text, prompt.tokens, options=prompt.options)
            assert [token.token for token in completion.tokens] == [names[token] for token in expected]
        ends.add(completion.finish_reason)
        assert (completion.finish_reason == "eos") == (
            completion.tokens[-1].token == "\n" and "ignore_eos" not in options
        )
        assert len(completion.tokens) == 12 or completion.finish_reason == "eos"
    assert ends <= {"eos", "length"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_does_not_depend_on_batch_size_order_or_company(kind: str) -> None:
    ours = predictor(kind)
    texts = [
        f"{first}{' ' if kind == 'word' else ''}{second}" for first in prompts_for(kind) for second in prompts_for(kind)
    ][:60]
    generator = random.Random(1)
    items = []
    for number, text in enumerate(texts):
        options = {"max_new_tokens": generator.choice([8, 12, 15]), "seed": number % 3, **MANY[number % len(MANY)]}
        items.append(ours.prompt(text, GenerationOptions(**options), number))
    expected = list(ours.complete(items, 256))
    assert [result.id for result in expected] == list(range(len(texts)))
    assert list(ours.complete(items, 7)) == expected
    assert list(ours.complete(items, 1)) == expected
    shuffled = generator.sample(items, len(items))
    assert sorted(ours.complete(shuffled, 16), key=lambda result: int(result.id)) == expected


def test_nor_on_the_number_of_threads() -> None:
    ours, texts = predictor("char"), PROMPTS * 10
    expected = ours.generate(texts, max_new_tokens=10)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        several = TextPredictor(ours.model, ours.tokenizer, "cpu")
        assert several.batches.threads == 3
        assert several.generate(texts, max_new_tokens=10) == expected
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_seeds_and_return_sequences_give_other_texts() -> None:
    ours = predictor("char")
    (result,) = ours.generate(["a bad"], num_return_sequences=20, max_new_tokens=12, min_new_tokens=12)
    assert len({completion.text for completion in result.completions}) > 15
    assert ours.generate(["a bad"], max_new_tokens=12, min_new_tokens=12)[0].completions == result.completions[:1]
    others = {ours.generate(["a bad"], seed=seed, min_new_tokens=12)[0].completions[0].text for seed in range(10)}
    assert len(others) > 7
    twice = ours.generate(["a bad", "a bad"])
    assert twice[0].completions == twice[1].completions


@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_are_the_models_own(kind: str) -> None:
    ours = predictor(kind)
    text = prompts_for(kind)[2]
    results = [
        *ours.generate([text], temperature=0.3, top_k=2, repetition_penalty=1.2),
        *ours.generate([text], num_beams=3),
        *ours.generate([text], min_new_tokens=20, max_new_tokens=20),
    ]
    for (completion,) in (result.completions for result in results):
        prompt = ours.encoder.encode(text)
        written = [ours.detokenizer.symbols.index(token.token) for token in completion.tokens]
        with torch.no_grad():
            read = torch.tensor([0, *prompt, *written]).unsqueeze(1)
            outputs, _ = ours.model(read[:-1], ours.model.start(1))
            log_probs = ours.model.target_log_probs(outputs, read[1:]).squeeze(1)[len(prompt) :]
        assert [token.logprob for token in completion.tokens] == pytest.approx(log_probs.tolist(), abs=2e-4)
        assert completion.logprob == pytest.approx(float(log_probs.sum()), abs=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_its_tokens_and_reads_on_from_the_prompt(kind: str) -> None:
    ours = predictor(kind)
    text = prompts_for(kind)[3]
    for completion in ours.generate([text], num_return_sequences=10, ignore_eos=True)[0].completions:
        whole = ours.encoder.encode(text + completion.text)
        written = [ours.detokenizer.symbols.index(token.token) for token in completion.tokens]
        assert completion.finish_reason == "length" and len(written) == 100
        if kind != "subword":  # whose pieces can be put together in several ways
            assert list(whole) == [*ours.encoder.encode(text), *written]
    for completion in ours.generate([text], num_return_sequences=10)[0].completions:
        assert "\n" not in completion.text


def test_unknown_words_are_read_and_never_written() -> None:
    ours = predictor("word")
    with torch.no_grad():
        saved = ours.model.softmax.bias[1].clone()
        ours.model.softmax.bias[1] = 20.0
    try:
        for options in ({}, {"temperature": 0.5}, {"top_k": 1}, {"do_sample": False}, {"num_beams": 3}):
            results = TextPredictor(ours.model, ours.tokenizer, "cpu").generate(
                ["ba zebra"], min_new_tokens=5, **options
            )
            assert "<unk>" not in {token.token for token in results[0].completions[0].tokens}
    finally:
        with torch.no_grad():
            ours.model.softmax.bias[1] = saved


def test_stop_strings_end_a_text_and_stand_in_it() -> None:
    ours = predictor("char")
    common: dict[str, Any] = {"num_return_sequences": 50, "min_new_tokens": 30, "max_new_tokens": 30}
    free = ours.generate(["a"], **common)[0].completions
    stopped = ours.generate(["a"], stop_strings=["ab", "cad", "h"], **common)[0].completions
    seen = set()
    for made, other in zip(stopped, free, strict=True):
        ends = [other.text.find(stop) + len(stop) for stop in ("ab", "cad", "h") if stop in other.text]
        assert made.text == other.text[: min(ends, default=30)]
        assert len(made.tokens) == len(made.text)
        assert made.finish_reason == ("stop" if ends else "length")
        seen.add(made.finish_reason)
    assert seen == {"stop", "length"}


def test_a_stop_string_may_go_over_tokens_and_lines() -> None:
    ours = predictor("word")
    free = ours.generate(["ba"], ignore_eos=True, max_new_tokens=60)[0].completions[0]
    assert "\n" in free.text.strip()
    place = free.text.strip().index("\n") + 1
    stop = free.text[place - 2 : place + 4]
    stopped = ours.generate(["ba"], ignore_eos=True, max_new_tokens=60, stop_strings=[stop])[0].completions[0]
    assert stopped.finish_reason == "stop" and stop in stopped.text and free.text.startswith(stopped.text)
    assert stopped.text.index(stop) + len(stop) > len(stopped.text) - len(" " + stopped.tokens[-1].token)


def test_bad_words_are_not_written() -> None:
    ours = predictor("char")
    texts = ours.generate(["a"], num_return_sequences=30, min_new_tokens=40, bad_words=["ab", "h", "zebra"])
    assert all("ab" not in "a" + made.text and "h" not in made.text for made in texts[0].completions)


def test_a_row_to_which_nothing_is_left_ends() -> None:
    ours = predictor("char")
    for options in ({}, {"do_sample": False}, {"num_beams": 2}):
        (completion,) = ours.generate(["a"], no_repeat_ngram_size=1, min_new_tokens=100, **options)[0].completions
        assert sorted("a" + completion.text) == sorted("abcdefgh ")
        assert completion.finish_reason == "length"


def test_an_empty_prompt_begins_a_text() -> None:
    ours = predictor("char")
    prompt = ours.prompt("", GenerationOptions(max_new_tokens=12))
    expected = write(ours.model, "", (), options=prompt.options)
    (completion,) = ours.generate([""], max_new_tokens=12)[0].completions
    assert [ours.detokenizer.symbols.index(token.token) for token in completion.tokens] == expected


def test_a_stream_shows_the_same_text_as_it_grows() -> None:
    ours = predictor("subword")
    for options in ({"ignore_eos": True}, {"min_new_tokens": 3}, {"stop_strings": ["a"]}):
        prompt = ours.prompt("a bad", GenerationOptions(max_new_tokens=40, **options))
        (result,) = ours.complete([prompt])
        pieces = list(ours.stream(prompt))
        assert "".join(pieces) == result.completions[0].text and len(pieces) == result.tokens
    with pytest.raises(UserError, match="num_beams and num_return_sequences must be 1"):
        ours.stream(ours.prompt("a", GenerationOptions(num_return_sequences=2)))


def test_rows_that_end_make_room_and_few_prompts_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = predictor("char")
    heights: list[int] = []
    taken = 0
    step = SamplingEngine._step

    def watching(self: SamplingEngine) -> None:
        heights.append(len(self.active))
        assert len(self.pending) <= 2 * MAX_PENDING
        step(self)

    def source() -> Iterator[Prompt | Result]:
        nonlocal taken
        for number in range(2000):
            taken += 1
            yield ours.prompt(PROMPTS[number % 10], GenerationOptions(max_new_tokens=1 + number % 5), number)

    monkeypatch.setattr(SamplingEngine, "_step", watching)
    results = ours.complete(source(), 32)
    for _ in range(10):
        next(results)
    assert taken <= 512
    assert len(list(results)) == 1990
    assert set(heights[:-6]) == {32}  # always full until the end


def test_results_that_are_clear_stay_in_their_place() -> None:
    ours = predictor("char")
    bad = [Result(name, None, error="no prompt") for name in "xyz"]
    beams = GenerationOptions(num_beams=2, max_new_tokens=3)
    draws = GenerationOptions(max_new_tokens=3)
    items: list[Prompt | Result] = [
        bad[0],
        ours.prompt("a", draws, 1),
        ours.prompt("b", beams, 2),
        bad[1],
        ours.prompt("c", beams, 3),
        bad[2],
    ]
    results = list(ours.complete(items, 2))
    assert [result.id for result in results] == ["x", 1, 2, "y", 3, "z"]
    assert [result.error for result in results].count("no prompt") == 3
    assert list(ours.complete([])) == []


def test_the_line_of_a_result() -> None:
    ours = predictor("char")
    (result,) = ours.generate(["a"], max_new_tokens=2, min_new_tokens=2)
    (completion,) = result.completions
    line = json.loads(json.dumps(result.to_json()))
    tokens = [
        {"token": letter, "logprob": token.logprob}
        for letter, token in zip(completion.text, completion.tokens, strict=True)
    ]
    assert line == {
        "id": 0,
        "prompt": "a",
        "completions": [
            {"text": completion.text, "tokens": tokens, "logprob": completion.logprob, "finish_reason": "length"}
        ],
    }
    assert Result(3, "x", error="No.").to_json() == {"id": 3, "prompt": "x", "error": "No."}


@pytest.mark.parametrize("kind", KINDS)
def test_perplexity_reads_the_text_once_with_every_line_end(kind: str) -> None:
    ours = predictor(kind)
    text = "ba be\nbi\n\nlu" if kind == "word" else "a bad cab\nbed\n\n" * 40 + "head"
    tokens = [token for line in text.split("\n") for token in (*ours.tokenizer.encode(line), 0)]
    with torch.no_grad():
        outputs, _ = ours.model(torch.tensor([0, *tokens[:-1]]).unsqueeze(1), ours.model.start(1))
        nats = -float(ours.model.target_log_probs(outputs, torch.tensor(tokens).unsqueeze(1)).double().mean())
    assert ours.perplexity(text) == pytest.approx(torch.tensor(nats).exp().item(), rel=1e-5)
    assert ours.perplexity(text + "\n") == ours.perplexity(text)
    with pytest.raises(UserError, match="no text to score"):
        ours.perplexity("")


def test_overrides_change_the_given_options() -> None:
    ours = predictor("char")
    options = GenerationOptions(max_new_tokens=12, min_new_tokens=12, seed=3)
    assert ours.generate(["a"], options, seed=4) == ours.generate(["a"], max_new_tokens=12, min_new_tokens=12, seed=4)
    assert ours.generate("a", options)[0].completions[0].text == ours.generate(["a"], options)[0].completions[0].text


@pytest.mark.slow
def test_a_misspelt_option_is_a_type_error(tmp_path: Path) -> None:
    from mypy import api

    script = tmp_path / "script.py"
    script.write_text(
        "from speechrnn.generation import GenerationOptions, TextPredictor\n"
        "def use(ours: TextPredictor) -> None:\n"
        '    ours.generate(["a"], GenerationOptions(seed=1), max_new_tokens=40, stop_strings=["x"])\n'
        '    ours.generate(["a"], max_new_token=40)\n'
        '    ours.generate(["a"], seed="x")\n'
    )
    out, _, _ = api.run(["--strict", "--follow-imports=silent", "--ignore-missing-imports", str(script)])
    lines = [line.split(":")[1] for line in out.splitlines() if ": error:" in line]
    assert lines == ["4", "5"], out


def test_a_model_directory_is_all_it_needs(tmp_path: Path) -> None:
    ours = predictor("word")
    save_language(tmp_path / "language", ours.model, ours.tokenizer, training={})
    loaded = speechrnn.TextPredictor.load(tmp_path / "language", device="cpu")
    assert loaded.generate(["ba be"], seed=5) == ours.generate(["ba be"], seed=5)
    assert loaded.next_words("ba be", k=3) == ours.next_words("ba be", k=3)


def test_texts_are_normalised_as_the_training_text_was(tmp_path: Path) -> None:
    tokens = CharTokenizer.build([], " ABC")
    model = make(len(tokens))
    save_language(tmp_path / "capitals", model, tokens, training={"normalisation": asdict(NormalisationOptions())})
    ours, plain = TextPredictor.load(tmp_path / "capitals", "cpu"), TextPredictor(model, tokens, "cpu")
    assert ours.next_words("a, cab", k=3) == plain.next_words("A CAB", k=3)
    assert ours.perplexity("a cab!\n b ") == plain.perplexity("A CAB\nB")
    (small,), (capital,) = (ours.generate([text], do_sample=False, stop_strings=["b"]) for text in ("cab!", "CAB"))
    assert small.completions == capital.completions and small.prompt == "cab!"
    save_language(tmp_path / "old", model, tokens, training={})
    with pytest.raises(UserError, match="holds 'a'"):
        TextPredictor.load(tmp_path / "old", "cpu").next_words("a cab")


def test_a_model_of_running_text_goes_on_after_a_line_end(tmp_path: Path) -> None:
    tokens = CharTokenizer.build([], " ABC:")
    model = make(len(tokens))
    for training, goes_on in (({"documents": False}, True), ({"documents": True}, False), ({}, False)):
        save_language(tmp_path / "model", model, tokens, training=training)
        ours = TextPredictor.load(tmp_path / "model", "cpu")
        texts = [result.completions[0] for result in ours.generate(["A", "B", "C", "A:"], max_new_tokens=60)]
        assert {text.finish_reason for text in texts} == ({"length"} if goes_on else {"eos"})
        assert any("\n" in text.text for text in texts) is goes_on
        assert all("\n" not in made.completions[0].text for made in ours.generate(["A", "B"], ignore_eos=False))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda ours: ours.generate(["äh"]), "'äh' holds 'ä'"),
        (lambda ours: ours.generate(["a"], temperature=-1), "temperature=-1 is wrong: it must be at least 0"),
        (lambda ours: ours.generate(["a"], top_p=1.5), "top_p=1.5 is wrong"),
        (lambda ours: ours.generate(["a"], max_new_token=5), "No key max_new_token; did you mean max_new_tokens?"),
        (lambda ours: ours.generate(["a"], stop_strings="ab"), "stop_strings=ab is wrong: it must be a list"),
        (lambda ours: ours.generate(["a"], stop_strings=[""]), "must not hold an empty text"),
        (lambda ours: ours.generate(["a"], min_new_tokens=9, max_new_tokens=8), "min_new_tokens=9 is more than"),
        (
            lambda ours: ours.generate(["a"], num_return_sequences=2, do_sample=False),
            "would be the same text each time",
        ),
        (lambda ours: ours.generate(["a"], num_return_sequences=3, num_beams=2), "more than num_beams=2"),
        (lambda ours: ours.generate(["a"], num_beams=2, top_k=5), "num_beams=2 searches and draws nothing"),
        (lambda ours: ours.generate(["a"], batch_size=0), "batch_size=0 is wrong"),
        (lambda ours: TextPredictor.load("nowhere"), "no model directory nowhere"),
    ],
)
def test_bad_input_is_one_sentence(call: Callable[[TextPredictor], object], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        call(predictor("char"))
    assert sentence in str(error.value)

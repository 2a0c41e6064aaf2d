"""Kneser-Ney smoothing: against numbers worked out by hand, and against the paper's formulas, word for word."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import Ngrams, read_arpa, write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, WordTokenizer

Gram = tuple[int, ...]


def numbers(ngrams: Ngrams, order: int, values: tuple[torch.Tensor, ...]) -> dict[str, float]:
    names = [*ngrams.names, "<s>"]
    rows = zip(ngrams.words[order - 1].tolist(), values[order - 1].exp().tolist(), strict=True)
    return {" ".join(names[word] for word in row): value for row, value in rows}


def test_an_example_worked_out_by_hand() -> None:
    """Bigrams come 3, 2, 2, 1, 1 times: y = 1/3, discounts 1/3, 3/2, 3. Unigrams fall back to 1/2, 1, 3/2."""
    tokenizer = CharTokenizer.build([], "abc")
    ngrams = kneser_ney(map(tokenizer.encode, ["ab", "ab", "ac"]), tokenizer.symbols, 2)
    assert numbers(ngrams, 1, ngrams.log_probs) == pytest.approx(
        {"</s>": 0.325, "a": 0.225, "b": 0.225, "c": 0.225, "<s>": 0}
    )
    assert numbers(ngrams, 2, ngrams.log_probs) == pytest.approx(
        {
            "<s> a": 0 + 1 * 0.225,
            "a b": 0.5 / 3 + 11 / 18 * 0.225,
            "a c": (2 / 3) / 3 + 11 / 18 * 0.225,
            "b </s>": 0.5 / 2 + 3 / 4 * 0.325,
            "c </s>": 2 / 3 + 1 / 3 * 0.325,
        }
    )
    assert numbers(ngrams, 1, ngrams.backoffs) == pytest.approx(
        {"</s>": 1, "a": 11 / 18, "b": 3 / 4, "c": 1 / 3, "<s>": 1}
    )


def by_the_paper(lines: list[list[int]], symbols: int, order: int) -> dict[Gram, float]:
    """The probability of each n-gram that comes, by dictionaries and recursion."""
    begin = symbols
    padded = [[begin, *line, 0] for line in lines]

    def grams(size: int) -> Counter[Gram]:
        return Counter(tuple(line[at : at + size]) for line in padded for at in range(len(line) - size + 1))

    plain = {size: grams(size) for size in range(1, order + 1)}
    counts: dict[int, Counter[Gram]] = {order: plain[order]}
    for size in range(1, order):
        counts[size] = Counter(longer[1:] for longer in plain[size + 1])
        counts[size].update({gram: count for gram, count in plain[size].items() if gram[0] == begin})
    for size in counts:
        counts[size].pop((begin,), None)

    def discounts(size: int) -> list[float]:
        n = [sum(count == i for count in counts[size].values()) for i in range(5)]
        if not (n[1] and n[2] and n[3]):
            return [0, 0.5, 1, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [0] + [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
        return found if all(0 < found[i] <= i for i in (1, 2, 3)) else [0, 0.5, 1, 1.5]

    taken = {size: discounts(size) for size in counts}

    def probability(gram: Gram) -> float:
        if not gram:
            return 1 / symbols
        here = {g: c for g, c in counts[len(gram)].items() if g[:-1] == gram[:-1]}
        total = sum(here.values())
        discount = taken[len(gram)]
        weight = sum(discount[min(count, 3)] for count in here.values()) / total
        count = here.get(gram, 0)
        return (count - discount[min(count, 3)]) / total + weight * probability(gram[1:])

    return {gram: probability(gram) for size in counts for gram in plain[size] if gram != (begin,)}


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), order=st.integers(1, 4), lines=st.integers(1, 40))
def test_equals_the_formulas_and_sums_to_one(seed: int, order: int, lines: int) -> None:
    draw = random.Random(seed)
    tokenizer = WordTokenizer.build(["a b c d"])
    text = [[1 + int(draw.random() ** 2 * 5) for _ in range(draw.randrange(9))] for _ in range(lines)]
    ngrams = kneser_ney(text, tokenizer.symbols, order)
    expected = by_the_paper(text, len(tokenizer), order)
    found = {
        tuple(row): value
        for words, values in zip(ngrams.words, ngrams.log_probs, strict=True)
        for row, value in zip(words.tolist(), values.exp().tolist(), strict=True)
    }
    assert found.keys() >= expected.keys()
    assert {gram: found[gram] for gram in expected} == pytest.approx(expected, rel=1e-4)
    model = NgramModel(ngrams, tokenizer)
    states = [torch.tensor([model.begin()])]
    for _ in range(order):
        states.append(model.extend(states[-1].repeat_interleave(5), torch.arange(1, 6).repeat(len(states[-1]))))
    sums = model.log_probs(torch.cat(states)).exp().sum(1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_kinds_of_tokenizers_and_the_way_through_a_file(tmp_path: Path) -> None:
    texts = ["go to one", "go to two", "one\ttwo go"]
    for tokenizer in (CharTokenizer.build(texts), WordTokenizer.build(texts), SubwordTokenizer.train(texts, 14)):
        ngrams = kneser_ney(map(tokenizer.encode, texts), tokenizer.symbols, 3)
        write_arpa(tmp_path / "model.arpa.gz", ngrams)
        read = NgramModel(read_arpa(tmp_path / "model.arpa.gz"), tokenizer)
        direct = NgramModel(ngrams, tokenizer)
        assert read.missing == []
        states = torch.tensor([direct.begin()])
        for token in [*tokenizer.encode("go two"), 0]:
            torch.testing.assert_close(read.log_probs(states), direct.log_probs(states), atol=1e-5, rtol=0)
            states = direct.extend(states, torch.tensor([token]))


def test_it_learns() -> None:
    """English-like text is less surprising with longer contexts, up to what the text can tell."""
    draw = random.Random(0)
    words = ["the cat", "a dog", "sat on", "the mat", "ran to", "the dog"]
    texts = [" ".join(draw.choice(words) for _ in range(4)) for _ in range(120)]
    tokenizer = CharTokenizer.build(texts)
    losses = []
    for order in (1, 2, 4, 6):
        model = NgramModel(kneser_ney(map(tokenizer.encode, texts[:100]), tokenizer.symbols, order), tokenizer)
        total, count = 0.0, 0
        for text in texts[100:]:
            states = torch.tensor([model.begin()])
            for token in [*tokenizer.encode(text), 0]:
                total -= model.log_probs(states)[0, token].item()
                count += 1
                states = model.extend(states, torch.tensor([token]))
        losses.append(total / count)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < math.log(len(tokenizer)) / 4


def test_a_line_shorter_than_the_order_ends_the_orders() -> None:
    ngrams = kneser_ney([[1], [2]], ["<blank>", "a", "b"], 7)
    assert ngrams.order == 3  # <s> a </s>
    assert NgramModel(ngrams).log_probs(torch.tensor([NgramModel(ngrams).begin()])).exp().sum() == pytest.approx(1)


def test_bad_input() -> None:
    symbols = ["<blank>", "a", "b"]
    with pytest.raises(UserError, match="holds no lines"):
        kneser_ney([], symbols, 3)
    with pytest.raises(UserError, match="order of the n-gram model is 0"):
        kneser_ney([[1]], symbols, 0)
    with pytest.raises(ValueError, match="tokens of lines are 1 to 2"):
        kneser_ney([[1, 3]], symbols, 2)
    for word in ("</s>", "<s>", "", "a b"):
        with pytest.raises(UserError, match="can't be a symbol of an n-gram model"):
            kneser_ney([[1]], ["<blank>", "a", word], 2)

"""Scorers over phones: a word has several pronunciations, a pronunciation several words."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from helpers.scorers import Bigram, total

from speechrnn.core.errors import UserError
from speechrnn.decoding.decoder import BeamDecoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.scorers.base import WeightedScorer
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.decoding.scorers.lexicon import Lexicon
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.pronunciations import Pronunciations

PHONES = PhoneTokenizer(
    Pronunciations(
        {
            "to": [("T", "UW"), ("T", "AH")],
            "too": [("T", "UW")],
            "two": [("T", "UW")],
            "tea": [("T", "IY")],
            "the": [("DH", "AH"), ("DH", "IY")],
        }
    )
)
WORDS = ["<blank>", "to", "too", "two", "tea", "the", "silent"]  # the last one has no pronunciation
INDEX = {symbol: number for number, symbol in enumerate(PHONES.symbols)}


def labels(text: str) -> list[int]:
    """The labels of words, each as phones joined by a hyphen: "T-UW DH-AH"."""
    spoken = [[INDEX[phone] for phone in word.split("-")] for word in text.split()]
    return [label for word in spoken for label in [INDEX[" "], *word]][1:]


@pytest.mark.parametrize("seed", range(4))
def test_a_pronunciation_is_the_most_probable_of_its_words_in_its_context(seed: int) -> None:
    model = Bigram(len(WORDS), seed)
    scorer = WordScorer(model, WORDS, PHONES)
    scorer.begin()
    expected, context = 0.0, 0
    for candidates in (["to", "too", "two"], ["to"], ["to", "too", "two"], ["the"], ["to", "too", "two"]):
        best = max((WORDS.index(word) for word in candidates), key=lambda token: float(model.table[context, token]))
        expected += float(model.table[context, best])
        context = best
    expected += float(model.table[context, 0])
    text = labels("T-UW T-AH T-UW DH-IY T-UW")
    assert total(scorer, text) == pytest.approx(expected, abs=1e-4)


def test_words_are_told_apart_by_their_context() -> None:
    chosen = set()
    for seed in range(12):
        scorer = WordScorer(Bigram(len(WORDS), seed), WORDS, PHONES)
        scorer.begin()
        chosen.add(tuple(scorer.words(labels("T-UW T-UW"))))
    assert len(chosen) > 3


def test_what_is_no_word_has_none() -> None:
    scorer = WordScorer(Bigram(len(WORDS), 0), WORDS, PHONES)
    scorer.begin()
    assert scorer.words(labels("DH-AH UW T-IY")) == ["the", None, "tea"]
    assert scorer.words([]) == []
    assert scorer.left_out == ["silent"]


def test_the_decoder_writes_the_models_words() -> None:
    model = Bigram(len(WORDS), 1)
    scorer = WordScorer(model, WORDS, PHONES)
    text = labels("T-UW DH-AH")
    log_probs = torch.full((1, 2 * len(text) + 1, len(PHONES)), -12.0)
    log_probs[0, 0::2, 0] = 0.0
    for place, label in enumerate(text):
        log_probs[0, 2 * place + 1, label] = 0.0
    decoder = BeamDecoder(
        PHONES, 0.02, DecodingOptions(name="beam", beam_size=8), scorers=[WeightedScorer(scorer, 0.5, "language")]
    )
    (result,) = decoder(log_probs.log_softmax(2), torch.tensor([log_probs.shape[1]]))
    best = max(["to", "too", "two"], key=lambda word: float(model.table[0, WORDS.index(word)]))
    assert best != "to"  # the dictionary's first: `decode` alone would take it
    assert [word.word for word in result.words] == [best, "the"]
    assert result.texts[0] == f"{best} the"
    assert len(set(result.texts)) == len(result.texts)


@pytest.mark.integration  # takes seconds
@pytest.mark.parametrize("seed", range(2))
def test_the_search_over_phones_finds_the_best_of_all_label_sequences(seed: int) -> None:
    """CTC and a word model whose words sound alike and have several pronunciations, against enumeration."""
    dictionary: dict[str, list[tuple[str, ...]]] = {
        "to": [("T", "UW"), ("T", "AH")],
        "too": [("T", "UW")],
        "a": [("AH",), ("EY",)],
        "ah": [("AH",)],
    }
    phones = PhoneTokenizer(Pronunciations(dictionary))
    words, frames, weight = ["<blank>", *dictionary], 4, 0.7
    used = [phones.symbols.index(symbol) for symbol in ("T", "UW", "AH", "EY", " ")]
    emissions = 2 * torch.randn(1, frames, len(phones), generator=torch.Generator().manual_seed(seed))
    emissions[:, :, [label for label in range(1, len(phones)) if label not in used]] = -20.0
    log_probs = emissions.log_softmax(2)
    scorer = WordScorer(Bigram(len(words), seed), words, phones)
    scores: dict[tuple[int, ...], float] = {(): float(log_probs[0, :, 0].sum()) + weight * total(scorer, [])}
    for length in range(1, frames + 1):
        for row in itertools.product(used, repeat=length):
            sizes = torch.tensor(frames), torch.tensor(length)
            loss = float(F.ctc_loss(log_probs[0], torch.tensor(row), *sizes, reduction="sum"))
            scores[row] = -loss + weight * total(scorer, row) if math.isfinite(loss) else -math.inf
    best = max(scores, key=lambda row: scores[row])
    options = DecodingOptions(name="beam", beam_size=300, beam_threshold=1e9)
    decoder = BeamDecoder(phones, 0.02, options, scorers=[WeightedScorer(scorer, weight, "language")])
    (result,) = decoder(log_probs, torch.tensor([frames]))
    assert result.hypotheses[0].score == pytest.approx(scores[best], abs=1e-4)
    assert result.texts[0] == " ".join(word or "?" for word in scorer.words(best))


def test_hot_words_are_found_in_every_pronunciation() -> None:
    hot = HotWords({"the tea": 2.0}, PHONES)
    assert total(hot, labels("DH-AH T-IY")) == pytest.approx(2.0)
    assert total(hot, labels("T-UW DH-IY T-IY")) == pytest.approx(2.0)
    assert total(hot, labels("T-UW T-IY")) == pytest.approx(0.0)


def test_a_hot_word_without_a_pronunciation_is_named() -> None:
    with pytest.raises(UserError, match=r"'the zebra'.* have no pronunciation .*zebra"):
        HotWords({"the zebra": 2.0, "tea": 1.0}, PHONES)


def test_a_lexicon_allows_every_pronunciation_of_its_words() -> None:
    lexicon = Lexicon(["the", "to"], PHONES)
    for text in ("DH-AH", "DH-IY T-AH", "T-UW DH-AH"):
        assert total(lexicon, labels(text)) == 0.0
    assert total(lexicon, labels("T-IY")) == -torch.inf

"""The scorer of a word model, against sums over models whose every probability stands in a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from helpers.language_models import step_by_step, toy_model
from helpers.scorers import CHARS, SUBWORDS, WHOLE, WORDS, Bigram, closed, total
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.scorers import readings, word_sums
from speechrnn.decoding.scorers import word as word_scorer
from speechrnn.decoding.scorers.base import Scorer
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import UNKNOWN, CharTokenizer, Tokenizer


def open_model(seed: int = 0) -> tuple[Bigram, list[str]]:
    """A word model with `<unk>`."""
    return Bigram(len(WORDS) + 2, seed), ["<blank>", UNKNOWN, *WORDS]


def state_of(scorer: Scorer, labels: Sequence[int]) -> Tensor:
    """(1,) the state after the labels."""
    state = torch.tensor([scorer.begin()])
    for label in labels:
        state = scorer.extend(state, torch.tensor([label]))
    return state


@pytest.mark.parametrize("tokenizer", [CHARS, SUBWORDS, WHOLE], ids=lambda tokenizer: tokenizer.kind)
@given(words=st.lists(st.sampled_from(WORDS), max_size=4), seed=st.integers(0, 3))
@settings(max_examples=30)
def test_a_word_scorer_adds_up_to_the_word_models_probability(
    tokenizer: Tokenizer, words: list[str], seed: int
) -> None:
    model, symbols = closed(seed=seed)
    expected = model.of([symbols.index(word) for word in words])
    scorer = WordScorer(model, symbols, tokenizer)
    assert total(scorer, tokenizer.encode(" ".join(words))) == pytest.approx(expected, abs=1e-4)
    model, symbols = open_model(seed)
    expected = model.of([symbols.index(word) for word in words])
    scorer = WordScorer(model, symbols, tokenizer, unknown_penalty=-2.0)
    assert total(scorer, tokenizer.encode(" ".join(words))) == pytest.approx(expected, abs=1e-4)


def test_however_a_word_is_cut_into_pieces_it_has_one_score() -> None:
    model, symbols = closed()
    scorer = WordScorer(model, symbols, SUBWORDS)
    index = {piece: label for label, piece in enumerate(SUBWORDS.symbols)}
    letters = [index[letter] for letter in "▁that▁he"]
    assert SUBWORDS.decode(letters) == "that he"
    assert len(SUBWORDS.encode("that he")) < len(letters)
    assert total(scorer, letters) == pytest.approx(total(scorer, SUBWORDS.encode("that he")), abs=1e-4)


def test_a_letter_takes_what_the_sum_over_the_words_loses() -> None:
    model, symbols = closed()
    scorer = WordScorer(model, symbols, CHARS)
    probability = {word: float(model.table[0, symbols.index(word)].exp()) for word in WORDS}
    below_t = probability["the"] + probability["that"] + probability["then"]
    below_th = below_t
    below_the = probability["the"] + probability["then"]
    for text, expected in (
        ("t", below_t),
        ("th", below_th / below_t),
        ("the", below_the / below_th),
        ("the ", probability["the"] / below_the),
        ("then", probability["then"] / below_the),
    ):
        *before, last = CHARS.encode(text)
        row = scorer.scores(state_of(scorer, before))[0]
        assert float(row[last].exp()) == pytest.approx(expected, rel=1e-4), text


@given(text=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join), cut=st.integers(0, 12))
@settings(max_examples=40)
def test_all_that_may_come_next_has_probability_one(text: str, cut: int) -> None:
    model, symbols = closed()
    scorer = WordScorer(model, symbols, CHARS)
    text = text[:cut]
    state = state_of(scorer, CHARS.encode(text))
    odds = scorer.scores(state)[0].exp()[1:]
    space = CHARS.encode(" ")[0]
    if text and text[-1] != " ":
        # Within a word: a letter, or the word's end, whatever comes then.
        assert float(odds.sum()) == pytest.approx(1, abs=1e-4)
        ends = float(odds[space - 1] * scorer.finish(state_of(scorer, CHARS.encode(text + " "))).exp())
        assert float(scorer.finish(state).exp()) == pytest.approx(ends, abs=1e-5)
    else:
        # Between words: a word's first letter, or the end; another space changes nothing.
        assert odds[space - 1] == 1
        letters = float(odds.sum()) - 1
        assert letters + float(scorer.finish(state).exp()) == pytest.approx(1, abs=1e-4)


def test_a_closed_vocabulary_forbids_other_words_as_soon_as_they_differ() -> None:
    model, symbols = closed()
    scorer = WordScorer(model, symbols, CHARS)
    row = scorer.scores(state_of(scorer, CHARS.encode("th")))[0]
    possible = {CHARS.symbols[label] for label in range(1, len(CHARS)) if row[label] > -math.inf}
    assert possible == {"a", "e"}  # not the space: "th" is no word
    assert scorer.finish(state_of(scorer, CHARS.encode("th")))[0] == -math.inf


@pytest.mark.parametrize(
    ("text", "unknown"),
    [("cab the", "cab"), ("ta the", "ta"), ("the th", "th"), ("thena cat", "thena"), ("a nnn a", "nnn")],
)
def test_an_unknown_word_has_the_probability_of_unk_and_pays_for_each_letter(text: str, unknown: str) -> None:
    tokenizer = CharTokenizer.build([], " abcehnt")
    model, symbols = open_model()
    scorer = WordScorer(model, symbols, tokenizer, unknown_penalty=-1.5)
    tokens = [1 if word == unknown else symbols.index(word) for word in text.split()]
    expected = model.of(tokens) - 1.5 * len(unknown)
    assert total(scorer, tokenizer.encode(text)) == pytest.approx(expected, abs=1e-4)


def test_an_unknown_word_costs_the_same_in_subwords() -> None:
    model, symbols = open_model()
    scorer = WordScorer(model, symbols, SUBWORDS, unknown_penalty=-1.5)
    text = "the tann he"
    assert len(SUBWORDS.encode(text)) < len(text)
    expected = model.of([symbols.index("the"), 1, symbols.index("he")]) - 1.5 * 4
    assert total(scorer, SUBWORDS.encode(text)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("text", [" the cat", "the  cat", "the cat ", "  the   cat  "])
def test_spaces_that_end_no_word_are_free(text: str) -> None:
    model, symbols = closed()
    scorer = WordScorer(model, symbols, CHARS)
    expected = model.of([symbols.index("the"), symbols.index("cat")])
    assert total(scorer, CHARS.encode(text)) == pytest.approx(expected, abs=1e-4)


def test_without_a_space_the_whole_text_is_a_word() -> None:
    tokenizer = CharTokenizer.build([], "acehnt")
    model, symbols = closed()
    scorer = WordScorer(model, symbols, tokenizer)
    expected = float(model.table[0, symbols.index("then")] + model.table[symbols.index("then"), 0])
    assert total(scorer, tokenizer.encode("then")) == pytest.approx(expected, abs=1e-4)


def test_rare_words_keep_their_probability_among_frequent_ones() -> None:
    model, symbols = closed()
    model.table[:] = torch.full_like(model.table, -60.0)  # e^-60 is lost in any sum with 1
    model.table[:, symbols.index("he")] = -1e-9
    scorer = WordScorer(model, symbols, CHARS)
    assert total(scorer, CHARS.encode("then the")) == pytest.approx(-180, rel=1e-5)


def test_an_impossible_word_is_impossible() -> None:
    words = ["<blank>", *WORDS]
    scorer = WordScorer(Bigram(len(words), impossible=[words.index("then")]), words, CHARS)
    assert total(scorer, CHARS.encode("then")) == -math.inf
    assert math.isfinite(total(scorer, CHARS.encode("the")))


@pytest.mark.parametrize("tokenizer", [CHARS, SUBWORDS], ids=lambda tokenizer: tokenizer.kind)
@pytest.mark.parametrize("penalty", [None, -2.0])
def test_a_batch_gives_what_each_row_gives_alone(
    tokenizer: Tokenizer, penalty: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["the cat then", "a he the", "that that a", "he cat he"]
    model, symbols = open_model()
    scorer = WordScorer(model, symbols, tokenizer, unknown_penalty=penalty)
    encoded = [tokenizer.encode(text) for text in texts]
    expected = [total(scorer, labels) for labels in encoded]
    for memory in (word_sums.SUMS_BYTES, 1):  # with room for all contexts, and with none
        monkeypatch.setattr(word_sums, "SUMS_BYTES", memory)
        monkeypatch.setattr(word_sums, "AT_ONCE", 3)
        states = torch.full((len(texts),), scorer.begin())
        sums = [0.0] * len(texts)
        for step in range(max(map(len, encoded))):
            rows = scorer.scores(states)
            for row, labels in enumerate(encoded):
                if step < len(labels):
                    sums[row] += float(rows[row, labels[step]])
            going = torch.tensor([row for row, labels in enumerate(encoded) if step < len(labels)])
            following = torch.tensor([encoded[row][step] for row in going.tolist()])
            states[going] = scorer.extend(states[going], following)
        ends = scorer.finish(states).tolist()
        assert [a + b for a, b in zip(sums, ends, strict=True)] == pytest.approx(expected, abs=1e-4)


def test_a_recurrent_word_model_is_followed_to_the_same_sum() -> None:
    model = toy_model(len(WHOLE), seed=3).eval()
    tokens = WHOLE.encode("the cat he then")
    rows = step_by_step(model, [*tokens, 0])
    expected = float(rows[torch.arange(len(rows)), [*tokens, 0]].sum())
    scorer = WordScorer(NeuralModel(model), WHOLE.symbols, CHARS)
    assert total(scorer, CHARS.encode("the cat he then")) == pytest.approx(expected, rel=1e-4)


def test_a_word_models_words_that_cannot_be_written_are_left_out_and_named() -> None:
    model, symbols = closed([*WORDS, "42", "NAÏVE"])
    scorer = WordScorer(model, symbols, CHARS)
    assert scorer.left_out == ["42", "NAÏVE"]
    assert total(scorer, CHARS.encode("he")) == pytest.approx(model.of([symbols.index("he")]), abs=1e-4)


def test_a_word_model_in_other_letters_is_refused() -> None:
    model, symbols = closed([word.upper() for word in WORDS])
    with pytest.raises(UserError, match=r"only 0 of the language model's 6 words; the others hold .*'T' \(U\+0054"):
        WordScorer(model, symbols, CHARS)


def test_unknown_words_need_unk_and_a_penalty() -> None:
    with pytest.raises(UserError, match="has no <unk>"):
        WordScorer(*closed(), CHARS, unknown_penalty=-1.0)
    for penalty in (0.5, math.nan, -math.inf):
        with pytest.raises(UserError, match="give 0 or a number below"):
            WordScorer(*open_model(), CHARS, unknown_penalty=penalty)


class CountingBigram(Bigram):
    """Number the states by the token before, and count the contexts whose probabilities were asked for."""

    asked = 0
    lasting = True

    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        return tokens

    def log_probs(self, states: Tensor) -> Tensor:
        self.asked += len(states)
        return self.table[states]


@pytest.mark.parametrize("lasting", [False, True])
def test_what_is_known_of_contexts_stays_for_the_next_utterance_where_states_do(lasting: bool) -> None:
    _, symbols = closed()
    model = CountingBigram(len(symbols), 0)
    model.lasting = lasting
    scorer = WordScorer(model, symbols, CHARS)
    labels = CHARS.encode("the then that")
    first = total(scorer, labels)
    asked = model.asked
    assert asked > 0
    assert total(scorer, labels) == first
    assert model.asked == (asked if lasting else 2 * asked)


def test_what_was_known_in_inference_mode_is_not_written_to_outside_of_it() -> None:
    _, symbols = closed()
    model = CountingBigram(len(symbols), 0)
    scorer = WordScorer(model, symbols, CHARS)
    with torch.inference_mode():
        first = total(scorer, CHARS.encode("the"))
    assert total(scorer, CHARS.encode("the then that")) != first


HOMOPHONES = PhoneTokenizer(
    Pronunciations(
        {
            "to": [("T", "UW")],
            "two": [("T", "UW")],
            "too": [("T", "UW")],
            "have": [("HH", "AE", "V")],
            "halve": [("HH", "AE", "V")],
            "dogs": [("D", "AO", "G", "Z")],
        }
    )
)
ALIKE = ["<blank>", *HOMOPHONES.pronunciations.words]


def test_the_next_word_tells_apart_what_sounds_alike() -> None:
    """have two dogs: after "have" alone, "to" is the likelier word; "to dogs" is hardly one."""
    model = Bigram(len(ALIKE))
    have, to, two, dogs = (ALIKE.index(word) for word in ("have", "to", "two", "dogs"))
    table = torch.full_like(model.table, 0.01)
    table[0, have] = table[two, dogs] = table[dogs, 0] = 1.0
    table[have, to], table[have, two] = 0.6, 0.4
    model.table = (table / table.sum(1, keepdim=True)).log()
    scorer = WordScorer(model, ALIKE, HOMOPHONES)
    scorer.begin()
    labels = HOMOPHONES.encode("have two dogs")
    assert scorer.words(labels) == ["have", "two", "dogs"]
    assert scorer.words(HOMOPHONES.encode("have two"), ended=False) == ["have", "to"]


@given(
    seed=st.integers(0, 10**6), said=st.lists(st.sampled_from([*ALIKE[1:], "T-UW-Z"]), max_size=5), closed=st.booleans()
)
def test_words_that_sound_alike_are_the_most_probable_ones_together(seed: int, said: list[str], closed: bool) -> None:
    """Against enumeration, where none is pruned; a word outside the vocabulary has the context of `<unk>`."""
    words = [*ALIKE, UNKNOWN]
    model = Bigram(len(words), seed)
    scorer = WordScorer(model, words, HOMOPHONES, unknown_penalty=None if closed else -1.0)
    scorer.begin()
    space = HOMOPHONES.symbols.index(" ")
    labels: list[int] = []
    for word in said:
        phones = word.split("-") if "-" in word else HOMOPHONES.pronunciations.words[word][0]
        labels += [space, *(HOMOPHONES.symbols.index(phone) for phone in phones)]
    unknown = words.index(UNKNOWN)
    alike = {word: found[0] for word, found in HOMOPHONES.pronunciations.words.items()}
    places = [
        [unknown] if word not in alike else [words.index(other) for other in alike if alike[other] == alike[word]]
        for word in said
    ]
    best = max(map(model.of, itertools.product(*places)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readings, "MOST", 1000)
        patch.setattr(readings, "THRESHOLD", math.inf)
        patch.setattr(readings, "WAIT", 1000)
        found = scorer.words(labels)
    assert [word is None for word in found] == [word not in alike for word in said]
    # Two sequences may have the same pairs of words in another order, and are equally probable.
    assert model.of([unknown if word is None else words.index(word) for word in found]) == pytest.approx(best, abs=1e-5)


def test_an_unknown_word_between_words_that_sound_alike_has_no_name() -> None:
    """No reading is better than another where `<unk>` is impossible, as in a vocabulary that was extended."""
    words = [*ALIKE, UNKNOWN]
    model = Bigram(len(words))
    model.table[:, words.index(UNKNOWN)] = -math.inf
    scorer = WordScorer(model, words, HOMOPHONES)
    scorer.begin()
    space = HOMOPHONES.symbols.index(" ")
    unknown = [HOMOPHONES.symbols.index(phone) for phone in ("Z", "T")]
    labels = [*HOMOPHONES.encode("to"), space, *unknown, space, *HOMOPHONES.encode("two")]
    before, between, after = scorer.words(labels)
    assert before in ("to", "two", "too") and between is None and after in ("to", "two", "too")


def test_what_is_known_of_contexts_is_forgotten_where_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """In hours of a stream, each search adds contexts that no other has."""
    _, symbols = closed()
    model = CountingBigram(len(symbols), 0)
    scorer = WordScorer(model, symbols, CHARS)
    labels = CHARS.encode("the then that")
    first, asked = total(scorer, labels), model.asked
    monkeypatch.setattr(word_scorer, "MOST_FOLLOWED", 0)
    assert total(scorer, labels) == first
    assert model.asked == 2 * asked

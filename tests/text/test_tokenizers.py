"""Tokenizers: round trips, closed and open alphabets, options, and damaged descriptions."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.text.normalisation import NormalisationOptions, normalise
from speechrnn.text.tokenizers import (
    BLANK,
    UNKNOWN,
    CharTokenizer,
    SubwordTokenizer,
    Tokenizer,
    TokenizerOptions,
    WordTokenizer,
    build_tokenizer,
    tokenizer_from_json,
)
from speechrnn.text.unknown_symbols import count_unknown_symbols

CONF = Path(__file__).parents[2] / "conf" / "tokenizer"
FOOD_CHAIN = ["sharks feed on tuna", "tuna feed on herring", "herring feed on plankton", "don't feed the sharks"]
ANIMALS = ["sharks", "tuna", "herring", "plankton", "whales", "seals", "squid"]
FEEDING = [f"{eater} feed on {eaten}" for eater in ANIMALS for eaten in ANIMALS] + FOOD_CHAIN
SUBWORDS = SubwordTokenizer.train(FEEDING, 32)


@pytest.mark.parametrize(
    "tokenizer", [CharTokenizer.build(FOOD_CHAIN), WordTokenizer.build(FOOD_CHAIN), SUBWORDS], ids=lambda t: t.kind
)
class TestEveryTokenizer:
    def test_the_blank_is_symbol_0_and_no_text_holds_it(self, tokenizer: Tokenizer) -> None:
        assert tokenizer.symbols[0] == BLANK
        assert len(tokenizer) == len(tokenizer.symbols) == len(set(tokenizer.symbols))
        for text in FOOD_CHAIN:
            assert 0 < min(tokenizer.encode(text)) <= max(tokenizer.encode(text)) < len(tokenizer)

    def test_decode_undoes_encode(self, tokenizer: Tokenizer) -> None:
        assert [tokenizer.decode(tokenizer.encode(text)) for text in FOOD_CHAIN] == FOOD_CHAIN
        assert tokenizer.encode("") == []
        assert tokenizer.decode([]) == ""

    def test_it_travels_as_json_and_to_other_processes(self, tokenizer: Tokenizer) -> None:
        for copy in (
            tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json()))),
            pickle.loads(pickle.dumps(tokenizer)),
        ):
            assert type(copy) is type(tokenizer)
            assert copy.symbols == tokenizer.symbols
            assert copy.to_json() == tokenizer.to_json()
            assert copy.encode(FOOD_CHAIN[3]) == tokenizer.encode(FOOD_CHAIN[3])

    def test_decode_refuses_blanks_and_numbers_out_of_range(self, tokenizer: Tokenizer) -> None:
        for ids in ([0], [1, -1]):
            with pytest.raises(ValueError, match="blanks"):
                tokenizer.decode(ids)
        with pytest.raises(IndexError):
            tokenizer.decode([len(tokenizer)])

    def test_its_own_text_holds_nothing_unknown(self, tokenizer: Tokenizer) -> None:
        assert not tokenizer.count_unknown(" ".join(FOOD_CHAIN))


@given(st.text("abc 'é\n"))
def test_characters_round_trip(text: str) -> None:
    tokenizer = CharTokenizer.build([], alphabet="abc 'é\n")
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text


@given(st.lists(st.sampled_from(["sharks", "feed", "don't", "tuna", UNKNOWN]), max_size=20).map(" ".join))
def test_words_round_trip(text: str) -> None:
    tokenizer = WordTokenizer.build(FOOD_CHAIN)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=200)
@given(st.text(sorted(set("".join(FOOD_CHAIN)))))
def test_subwords_round_trip_whatever_the_spaces(text: str) -> None:
    assert SUBWORDS.decode(SUBWORDS.encode(text)) == text


def test_characters_are_those_of_the_text_that_are_frequent_enough() -> None:
    assert CharTokenizer.build(["ba", "ab c"]).symbols == [BLANK, " ", "a", "b", "c"]
    assert CharTokenizer.build(["ba", "ab c"], min_count=2).symbols == [BLANK, "a", "b"]
    assert CharTokenizer.build(["xyz"], alphabet="ca b").symbols == [BLANK, "c", "a", " ", "b"]


def test_a_character_outside_the_alphabet_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match=r"'café' holds 'é' \(U\+00E9 LATIN SMALL LETTER E WITH ACUTE\), outside"):
        CharTokenizer.build(["face"]).encode("café")


def test_an_open_alphabet_has_an_index_for_all_other_characters() -> None:
    tokenizer = build_tokenizer(TokenizerOptions("char", min_count=2, unknown=True), ["aab", "bcé"])
    assert tokenizer.symbols == [BLANK, UNKNOWN, "a", "b"]
    assert tokenizer.encode("a<é>b") == [2, 1, 1, 1, 3]
    assert tokenizer.decode([2, 1, 3]) == "a<unk>b"
    assert tokenizer.count_unknown("abéé") == {"é": 2}
    assert tokenizer.unknown_index == 1
    copy = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert copy.to_json() == tokenizer.to_json()
    assert copy.encode("aéb") == [2, 1, 3]
    assert build_tokenizer(TokenizerOptions("char", alphabet="ba", unknown=True), []).symbols == [
        BLANK,
        UNKNOWN,
        "b",
        "a",
    ]
    # A text that contains "<", "u", ... does not open the alphabet.
    assert CharTokenizer.build(["<unk>"]).unknown_index is None
    with pytest.raises(UserError, match="outside the alphabet"):
        CharTokenizer.build(["<unk>"]).encode("a")


def test_words_are_ordered_by_frequency_then_alphabet() -> None:
    texts = ["b b b c", "a a c d"]
    assert WordTokenizer.build(texts).symbols == [BLANK, UNKNOWN, "b", "a", "c", "d"]
    assert WordTokenizer.build(texts[::-1]).symbols == [BLANK, UNKNOWN, "b", "a", "c", "d"]
    assert WordTokenizer.build(texts, vocabulary_size=4).symbols == [BLANK, UNKNOWN, "b", "a"]
    assert WordTokenizer.build(texts, min_count=3).symbols == [BLANK, UNKNOWN, "b"]


def test_words_outside_the_vocabulary_share_one_index() -> None:
    tokenizer = WordTokenizer.build(["the <unk> feeds <blank>"])
    assert tokenizer.symbols == [BLANK, UNKNOWN, "feeds", "the"]
    # A text's own "<unk>" is that symbol, and its "<blank>" is a word like another, never index 0.
    assert tokenizer.encode("the whale <unk> <blank>") == [3, 1, 1, 1]
    assert tokenizer.decode([3, 1]) == "the <unk>"
    assert tokenizer.count_unknown("the whale whale <unk> <blank>") == {"whale": 2, "<blank>": 1}


def test_subwords_have_the_asked_size_and_are_deterministic() -> None:
    assert len(SUBWORDS) == 32
    assert SUBWORDS.symbols[:2] == [BLANK, UNKNOWN]
    assert SubwordTokenizer.train(iter(FEEDING), 32).to_json() == SUBWORDS.to_json()


def test_subwords_are_fewer_than_characters() -> None:
    assert len(SUBWORDS.encode("sharks feed on herring")) < len("sharks feed on herring") * 0.7


def test_unseen_characters_are_unknown_to_subwords_but_not_silent() -> None:
    assert SUBWORDS.count_unknown("tuna ▁ 7") == {"▁": 1, "7": 1}
    assert 1 in SUBWORDS.encode("tuna 7")
    assert SUBWORDS.decode(SUBWORDS.encode("tuna 7")) == "tuna <unk>"


def test_a_corpus_with_its_own_unk_keeps_it() -> None:
    tokenizer = SubwordTokenizer.train(["the <unk> of <unk> feeds the tuna"], 18)
    assert tokenizer.decode(tokenizer.encode("the <unk> feeds")) == "the <unk> feeds"
    assert 1 not in tokenizer.encode("the <unk> feeds")


def test_long_lines_are_learnt_from() -> None:
    assert not SubwordTokenizer.train(["ab " * 5000 + "z", "ab"], 7).count_unknown("z")


def test_a_vocabulary_too_large_names_the_largest_which_works() -> None:
    with pytest.raises(
        UserError, match=r"tokenizer\.vocabulary_size=5000 is too large .* largest possible is \d+\."
    ) as caught:
        SubwordTokenizer.train(FEEDING, 5000)
    largest = int(str(caught.value).rstrip(".").split()[-1])
    assert len(SubwordTokenizer.train(FEEDING, largest)) == largest
    with pytest.raises(UserError, match=f"largest possible is {largest}"):
        SubwordTokenizer.train(FEEDING, largest + 1)


def test_a_vocabulary_too_small_names_the_smallest_which_works() -> None:
    with pytest.raises(
        UserError, match=r"tokenizer\.vocabulary_size=5 is too small .* smallest possible is \d+\."
    ) as caught:
        SubwordTokenizer.train(FEEDING, 5)
    smallest = int(str(caught.value).rstrip(".").split()[-1])
    assert len(SubwordTokenizer.train(FEEDING, smallest)) == smallest


@pytest.mark.parametrize(
    "options",
    [TokenizerOptions("char"), TokenizerOptions("word"), TokenizerOptions("subword", vocabulary_size=50)],
    ids=lambda options: options.kind,
)
@pytest.mark.parametrize("texts", [[], [""]], ids=["nothing", "an empty line"])
def test_an_empty_text_is_refused(options: TokenizerOptions, texts: list[str]) -> None:
    with pytest.raises(UserError, match="empty"):
        build_tokenizer(options, texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "bpe"}, r"tokenizer\.kind is 'bpe'; choose one of char, word, subword"),
        ({"kind": "subword"}, r"needs tokenizer\.vocabulary_size"),
        ({"kind": "char", "vocabulary_size": 50}, r"vocabulary_size has no effect with tokenizer=char"),
        ({"kind": "subword", "vocabulary_size": 50, "min_count": 2}, r"min_count has no effect with tokenizer=subword"),
        ({"kind": "word", "alphabet": "abc"}, r"alphabet has no effect with tokenizer=word"),
        ({"kind": "word", "vocabulary_size": 2}, r"vocabulary_size is 2; give a whole number from 3 up"),
        ({"kind": "word", "vocabulary_size": "many"}, r"vocabulary_size is 'many'"),
        ({"kind": "char", "min_count": 0}, r"min_count is 0"),
        ({"kind": "char", "alphabet": 123}, r"alphabet is 123; give the characters as one quoted string"),
        ({"kind": "char", "alphabet": ""}, r"alphabet is ''"),
        ({"kind": "char", "unknown": 1}, r"tokenizer\.unknown is 1; give true or false"),
        ({"kind": "word", "unknown": True}, r"unknown has no effect with tokenizer=word"),
        ({"kind": "subword", "vocabulary_size": 9, "unknown": True}, r"unknown has no effect with tokenizer=subword"),
    ],
)
def test_wrong_options_name_their_key(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TokenizerOptions(**options)


def test_an_alphabet_that_repeats_a_character_is_refused() -> None:
    with pytest.raises(UserError, match="each symbol once"):
        build_tokenizer(TokenizerOptions("char", alphabet="abca"), [])


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("char", {"min_count", "alphabet", "unknown"}),
        ("word", {"vocabulary_size", "min_count"}),
        ("subword", {"vocabulary_size"}),
    ],
)
def test_the_config_groups_hold_the_options_of_their_kind(kind: str, keys: set[str]) -> None:
    import yaml

    config = yaml.safe_load((CONF / f"{kind}.yaml").read_text())
    assert set(config) == {"kind"} | keys
    assert TokenizerOptions(**config).kind == kind
    if kind == "subword":
        config["vocabulary_size"] = 24
    assert len(build_tokenizer(TokenizerOptions(**config), FOOD_CHAIN))


@pytest.mark.parametrize(
    "damage",
    [
        dict,
        lambda: {"kind": "morse", "symbols": [BLANK]},
        lambda: {"kind": "char"},
        lambda: {"kind": "char", "symbols": 5},
        lambda: {"kind": "char", "symbols": ["a", "b"]},
        lambda: {"kind": "char", "symbols": [BLANK, "a", "a"]},
        lambda: {"kind": "char", "symbols": [BLANK, BLANK]},
        lambda: {"kind": "word", "symbols": [BLANK, "feeds"]},
        lambda: {"kind": "subword", "model": None},
        lambda: {"kind": "subword", "model": ""},
        lambda: {"kind": "subword", "model": "not base64!"},
        lambda: {"kind": "subword", "model": SUBWORDS.to_json()["model"][:400]},
    ],
)
def test_a_damaged_description_is_one_sentence(damage: Callable[[], dict]) -> None:
    with pytest.raises(UserError):
        tokenizer_from_json(damage())


def test_the_vocabulary_of_wikitext_2_has_its_published_size(shared: Path) -> None:
    lines = (shared / "wikitext-2" / "wiki.train.tokens").read_text(encoding="utf-8").splitlines()
    tokenizer = WordTokenizer.build(lines)
    # The blank stands where others count their end-of-line token.
    assert len(tokenizer) == 33_278
    assert sum(len(tokenizer.encode(line)) + 1 for line in lines) == 2_088_628
    assert not tokenizer.count_unknown((shared / "wikitext-2" / "wiki.test.tokens").read_text(encoding="utf-8"))


def test_an4_is_spelt_with_its_training_letters(shared: Path) -> None:
    def transcripts(name: str) -> list[tuple[str, str]]:
        pairs = []
        for line in (shared / "an4" / "etc" / f"an4_{name}.transcription").read_text().splitlines():
            text, _, identity = line.rpartition(" (")
            pairs.append(
                (identity.rstrip(")"), normalise(text.replace("<s>", "").replace("</s>", ""), NormalisationOptions()))
            )
        return pairs

    train, test = transcripts("train"), transcripts("test")
    characters = CharTokenizer.build(text for _, text in train)
    assert set(characters.symbols[1:]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
    assert count_unknown_symbols(characters, test) == []
    subwords = SubwordTokenizer.train([text for _, text in train], 100)
    assert [subwords.decode(subwords.encode(text)) for _, text in test] == [text for _, text in test]

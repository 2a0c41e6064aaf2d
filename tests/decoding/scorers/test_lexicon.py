"""The prefix tree against the list of words, and the lexicon against the texts that it allows."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.scorers.lexicon import Lexicon, PrefixTree, Spelling, check_words
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer

WORDS = ["cat", "the", "that", "then", "a", "he"]
CHARS = CharTokenizer.build([], " acehnt")
SUBWORDS = SubwordTokenizer.train([" ".join(pair) for pair in itertools.product([*WORDS, "tan", "neat"], repeat=2)], 14)
WHOLE = WordTokenizer.build([" ".join(WORDS)])
KINDS = pytest.mark.parametrize("tokenizer", [CHARS, SUBWORDS, WHOLE], ids=lambda tokenizer: tokenizer.kind)


def walk(tree: PrefixTree, labels: list[int]) -> int:
    node = torch.zeros(1, dtype=torch.long)
    for label in labels:
        node = tree.child(node, torch.tensor([label]))
        if node < 0:
            return -1
    return int(node)


def total(lexicon: Lexicon, labels: list[int]) -> float:
    state, result = torch.tensor([lexicon.begin()]), 0.0
    for label in labels:
        result += float(lexicon.scores(state)[0, label])
        state = lexicon.extend(state, torch.tensor([label]))
    return result + float(lexicon.finish(state)[0])


@given(st.sets(st.text("ab'c", min_size=1, max_size=5), min_size=1, max_size=12), st.text("ab'c", max_size=6))
def test_below_a_node_are_the_words_that_begin_like_it(words: set[str], prefix: str) -> None:
    tokenizer = CharTokenizer.build([], " ab'c")
    given = list(words)
    tree = PrefixTree(given, Spelling(tokenizer))
    assert [given[number] for number in tree.order.tolist()] == tree.words == sorted(words)
    below = [word for word in sorted(words) if word.startswith(prefix)]
    node = walk(tree, tokenizer.encode(prefix))
    if not below:
        assert node == -1
        return
    assert tree.words[slice(*tree.limits[:, node].tolist())] == below
    assert int(tree.depth[node]) == len(prefix)
    ends = int(tree.word[node])
    assert (tree.words[ends] if ends >= 0 else None) == (prefix if prefix in words else None)


@KINDS
def test_each_way_on_is_a_child_and_each_child_a_way(tokenizer: Tokenizer) -> None:
    tree = PrefixTree(WORDS, Spelling(tokenizer))
    nodes = torch.arange(tree.outside + 1)
    starts, labels, ends = (part.tolist() for part in tree.ways(nodes))
    ways = {(node, label): end for node, label, end in zip(starts, labels, ends, strict=True)}
    for node, label in itertools.product(nodes.tolist(), range(1, len(tokenizer))):
        assert int(tree.child(torch.tensor([node]), torch.tensor([label]))) == ways.get((node, label), -1)
    assert ways


@KINDS
@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_found_by_its_labels(tokenizer: Tokenizer, word: str) -> None:
    tree = PrefixTree(WORDS, Spelling(tokenizer))
    bare = [label for label, text in enumerate(Spelling(tokenizer).letters) if text == ""]
    node = walk(tree, [label for label in tokenizer.encode(word) if label not in bare])
    assert tree.words[int(tree.word[node])] == word


def test_a_subword_leads_where_its_letters_lead() -> None:
    tree = PrefixTree(WORDS, Spelling(SUBWORDS))
    index = {piece: label for label, piece in enumerate(SUBWORDS.symbols)}
    for piece, label in index.items():
        word = piece.removeprefix("▁")
        if piece.startswith("▁") and word and any(entry.startswith(word) for entry in WORDS):
            assert walk(tree, [label]) == walk(tree, [index[letter] for letter in word])
    assert walk(tree, [index["c"], index["e"]]) == -1


def test_a_tree_takes_each_word_once() -> None:
    for words in (["a", "a"], [""]):
        with pytest.raises(ValueError, match="not empty, each once"):
            PrefixTree(words, Spelling(CHARS))


def test_labels_that_cannot_be_followed_through_words_are_refused() -> None:
    wide = SimpleNamespace(kind="subword", symbols=["<blank>", "<unk>", "▁new▁york"])
    with pytest.raises(UserError, match="'▁new▁york' spans two words"):
        Spelling(wide)
    other = SimpleNamespace(kind="phoneme", symbols=["<blank>", "AH"])
    with pytest.raises(UserError, match="phoneme tokenizer"):
        Spelling(other)


@KINDS
@given(st.lists(st.sampled_from([*WORDS, "cate", "th", "nn"]), max_size=5))
@settings(max_examples=50)
def test_a_lexicon_restricts_or_counts_what_it_lacks(tokenizer: Tokenizer, words: list[str]) -> None:
    listed = ["cat", "the", "then", "a"]
    foreign = sum(word not in listed for word in words)
    labels = tokenizer.encode(" ".join(words))
    assert total(Lexicon(listed, tokenizer), labels) == (-math.inf if foreign else 0)
    assert total(Lexicon(listed, tokenizer, "prefer"), labels) == -foreign


def test_a_foreign_word_is_known_as_soon_as_no_word_begins_like_it() -> None:
    lexicon = Lexicon(["cat", "the"], CHARS)
    state = torch.tensor([lexicon.begin()])
    row = lexicon.scores(state)[0]
    assert {CHARS.symbols[label] for label in range(1, len(CHARS)) if row[label] == 0} == {"c", "t", " "}
    assert row[0] == 0


def test_spaces_that_end_no_word_are_free() -> None:
    for mode in ("restrict", "prefer"):
        assert total(Lexicon(WORDS, CHARS, mode), CHARS.encode("  the   cat ")) == 0


def test_a_lexicon_is_checked() -> None:
    with pytest.raises(UserError, match="choose restrict or prefer"):
        Lexicon(WORDS, CHARS, "forbid")
    with pytest.raises(UserError, match=r"lexicon words \('THE'\) need .*'E' \(U\+0045 LATIN CAPITAL LETTER E\)"):
        Lexicon(["THE", "cat"], CHARS)
    with pytest.raises(UserError, match="'the cat' is not one word"):
        Lexicon(["the cat"], CHARS)
    with pytest.raises(UserError, match="There are no lexicon words"):
        Lexicon([], CHARS)


def test_a_word_model_must_know_the_lexicon() -> None:
    check_words(WORDS, [*WORDS, "more"])
    with pytest.raises(UserError, match=r"lacks 2 of the lexicon's 3 words \('x', 'y'\); train it on text that holds"):
        check_words(["x", "a", "y"], WORDS)

"""Scorers that a configuration adds: language models whose words are written in another case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.language_models import toy_model
from helpers.scorers import total

from speechrnn.core.errors import UserError
from speechrnn.decoding.fusion import (
    DecodingOptions,
    Weights,
    make_language_scorer,
    make_ngram_scorer,
    make_rescorer,
    make_scorers,
)
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.nn.language import save_language
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer

CAPITALS = CharTokenizer.build([], "ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
WORDS = ["the", "cat", "it's", "that"]


def symbols(case: Callable[[str], str]) -> list[str]:
    return ["<blank>", "<unk>", *map(case, WORDS)]


def test_words_of_another_case_are_scored_as_those_of_the_acoustic_model(tmp_path: Path) -> None:
    """Novels are in lower case, transcripts in upper case: such a pair was refused."""
    scores = []
    for case in (str.upper, str.lower):
        path, folder = tmp_path / f"{case.__name__}.arpa", tmp_path / case.__name__
        write_arpa(path, kneser_ney([[2, 3], [4, 2, 3], [5, 3, 1]], symbols(case), 2))
        tokenizer = WordTokenizer(symbols(case))
        save_language(folder, toy_model(len(tokenizer), embedding=6, units=10), tokenizer, training={})
        found = [
            make_ngram_scorer(path, CAPITALS, None, device="cpu"),
            make_language_scorer(folder, CAPITALS, None, device="cpu"),
        ]
        assert [list(words or ())[-4:] for _, words in found] == [["THE", "CAT", "IT'S", "THAT"]] * 2
        scores.append([total(scorer, CAPITALS.encode("IT'S THE CAT")) for scorer, _ in found])
    torch.testing.assert_close(*map(torch.tensor, scores), atol=1e-5, rtol=0)


def test_words_in_other_letters_are_still_refused(tmp_path: Path) -> None:
    tokenizer = WordTokenizer(["<blank>", "<unk>", "\u0434\u0430", "\u043d\u0435\u0442"])
    save_language(tmp_path, toy_model(len(tokenizer), embedding=6, units=10), tokenizer, training={})
    with pytest.raises(UserError, match="can write only 0 of the language model's 2 words"):
        make_language_scorer(tmp_path, CAPITALS, None, device="cpu")


def test_words_that_one_of_two_word_models_lacks_are_allowed(tmp_path: Path) -> None:
    """Each forbade the words that only the other has, as long as one of them was not asked for the other's."""
    path, folder = tmp_path / "words.arpa", tmp_path / "language"
    write_arpa(path, kneser_ney([[2, 3], [4, 2, 3], [1, 3, 1]], ["<blank>", "<unk>", "THE", "CAT", "DOG"], 2))
    tokenizer = WordTokenizer(["<blank>", "<unk>", "THE", "CAT", "BIRD"])
    save_language(folder, toy_model(len(tokenizer), embedding=6, units=10), tokenizer, training={})
    options = DecodingOptions(name="beam", ngram=path, lexicon=None)
    language, ngram, _ = make_scorers(options, folder, Weights(), tokenizer=CAPITALS)
    for text in ("THE CAT", "THE DOG", "THE BIRD", "BIRD DOG"):
        for weighted in (language, ngram):
            assert total(weighted.scorer, CAPITALS.encode(text)) > -torch.inf
    for weighted in (language, ngram):
        assert total(weighted.scorer, CAPITALS.encode("THE COW")) == -torch.inf


def test_rescoring_allows_the_words_of_the_ngram_model(tmp_path: Path) -> None:
    """Hypotheses with words that the rescoring model lacks were dropped, though the search had allowed them."""
    path, folder = tmp_path / "words.arpa", tmp_path / "language"
    write_arpa(path, kneser_ney([[2, 3], [4, 2, 3]], ["<blank>", "<unk>", "THE", "CAT", "DOG"], 2))
    tokenizer = WordTokenizer(["<blank>", "<unk>", "THE", "CAT"])
    save_language(folder, toy_model(len(tokenizer), embedding=6, units=10), tokenizer, training={})
    options = DecodingOptions(name="beam", ngram=path, rescoring_model=folder)
    rescorer = make_rescorer(options, CAPITALS)
    assert rescorer is not None
    assert total(rescorer.scorer, CAPITALS.encode("THE DOG")) > -torch.inf
    assert total(rescorer.scorer, CAPITALS.encode("THE COW")) == -torch.inf

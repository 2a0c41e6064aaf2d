from __future__ import annotations

import pytest
from helpers.generators import tokenizer

from speechrnn.core.errors import UserError
from speechrnn.generation.detokenizer import Spelling
from speechrnn.text.tokenizers import CharTokenizer


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
@pytest.mark.parametrize("text", ["", "a bad cab", "bed\nhead", "\n", "a\n\na", "ba\n"])
def test_a_text_is_spelt_piece_by_piece_as_it_was_read(kind: str, text: str) -> None:
    spelling = Spelling(tokenizer(kind))
    if kind == "word":
        text = text.translate(str.maketrans("cdegh", "bkafl")).replace("bed", "ba").replace("a", "ba")
        text = "\n".join(" ".join("ba" for _ in line.split()) for line in text.split("\n"))
    before, pieces = "", []
    for token in spelling.encode(text):
        pieces.append(spelling.piece(token, before))
        before = pieces[-1][-1:] or before
    assert "".join(pieces) == text


def test_lines_are_joined_by_the_end_of_line() -> None:
    spelling = Spelling(CharTokenizer.build([], "ab"))
    assert spelling.encode("ab\n\na") == (1, 2, 0, 0, 1)
    assert spelling.encode("") == ()


def test_a_word_has_a_space_before_it_where_one_is_due() -> None:
    spelling = Spelling(tokenizer("word"))
    (token,) = spelling.encode("ba")
    assert [spelling.piece(token, before) for before in ("", "\n", " ", "x")] == ["ba", "ba", "ba", " ba"]


@pytest.mark.parametrize("kind", ["char", "subword"])
def test_unknown_characters_are_named(kind: str) -> None:
    with pytest.raises(UserError, match=r"'a bäd\\ncab' holds 'ä' \(U\+00E4\), which the model does not know"):
        Spelling(tokenizer(kind)).encode("a bäd\ncab")
    closed = Spelling(CharTokenizer.build(["abab"], unknown=True))
    with pytest.raises(UserError, match="holds 'c'"):
        closed.encode("abc")


def test_unknown_words_are_read_as_such() -> None:
    spelling = Spelling(tokenizer("word"))
    assert spelling.encode("ba zebra")[1] == spelling.unknown == 1
    assert spelling.words(("zebra", "be", "be bi")) == (spelling.encode("be"), spelling.encode("be bi"))

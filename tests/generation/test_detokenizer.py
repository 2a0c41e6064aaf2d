from __future__ import annotations

import pytest
from helpers.generators import tokenizer

from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.prompt_encoder import PromptEncoder


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
@pytest.mark.parametrize("text", ["", "a bad cab", "bed\nhead", "\n", "a\n\na", "ba\n"])
def test_tokens_decode_to_the_encoded_text(kind: str, text: str) -> None:
    tokens = tokenizer(kind)
    detokenizer = Detokenizer(tokens)
    if kind == "word":
        text = "\n".join(" ".join("ba" for _ in line.split()) for line in text.split("\n"))
    encoded = PromptEncoder(tokens).encode(text)
    before, parts = "", []
    for token in encoded:
        parts.append(detokenizer.decode_token(token, before))
        before = parts[-1][-1:] or before
    assert "".join(parts) == detokenizer.decode(encoded) == text


def test_a_word_has_a_space_before_it_where_one_is_due() -> None:
    tokens = tokenizer("word")
    detokenizer = Detokenizer(tokens)
    (token,) = tokens.encode("ba")
    found = [detokenizer.decode_token(token, before) for before in ("", "\n", " ", "x")]
    assert found == ["ba", "ba", "ba", " ba"]

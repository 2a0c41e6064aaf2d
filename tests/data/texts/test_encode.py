"""Lines as tokens, by blocks: the same as line by line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.data.texts import encode
from speechrnn.data.texts.encode import Encoder
from speechrnn.data.texts.reader import Line
from speechrnn.text.tokenizers import CharTokenizer

OPEN = CharTokenizer.build(["AB "], unknown=True)


@given(texts=st.lists(st.text("AB Cé😀", max_size=6)), block=st.integers(1, 8))
def test_blocks_are_the_lines_encoded_one_by_one(texts: list[str], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "_BLOCK", block)
        encoder = Encoder(OPEN, "The text")
        blocks = list(encoder.blocks(Line(text) for text in texts))
    ids = [token for text in texts for token in (*OPEN.encode(text), 0)]
    assert np.concatenate([[], *(part.ids for part in blocks)]).tolist() == ids
    assert sum(part.characters for part in blocks) == sum(len(text) + 1 for text in texts)
    assert (encoder.lines, encoder.unknown) == (len(texts), ids.count(1))


def test_a_document_begins_a_block_and_a_line_may_go_on() -> None:
    lines = [Line("A", document=True), Line("AB", ended=False), Line("B"), Line("A", document=True)]
    blocks = list(Encoder(OPEN, "The text").blocks(lines))
    assert [(len(block.ids), block.document) for block in blocks] == [(6, True), (2, True)]


def test_all_characters_outside_a_closed_alphabet_are_counted() -> None:
    closed = CharTokenizer.build(["AB"])
    with pytest.raises(UserError) as error:
        list(Encoder(closed, "The training part").blocks([Line("AXA"), Line("B"), Line("XY")]))
    assert all(part in str(error.value) for part in ("The training part", "X", "Y", "tokenizer.unknown=true"))

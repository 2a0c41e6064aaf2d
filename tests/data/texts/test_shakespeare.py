"""Tiny Shakespeare: its three splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.texts import Write, read
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.data.texts import shakespeare, text_options, text_parts
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.data.texts.reader import Line
from speechrnn.data.tokens import TokenFile
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions


class TestShakespeare:
    def test_char_rnns_split_is_the_ends_of_fifty_rows(
        self, shared: Path, tmp_path: Path, as_it_is: NormalisationOptions
    ) -> None:
        """The numbers are those that char-rnn prints: 423 batches of 50 x 50 train, 23 validate."""
        root = shared / "tinyshakespeare"
        prepared = prepare_text(
            text_options({"name": "shakespeare", "root": root}), TokenizerOptions("char"), as_it_is, folder=tmp_path
        )
        assert prepared.valid is not None
        train, valid = TokenFile.open(prepared.train), TokenFile.open(prepared.valid)
        assert (len(train), len(valid)) == (423 * 2500, 23 * 2500)
        symbols = ["\n", *prepared.tokenizer.symbols[1:]]
        whole = (root / "input.txt").read_text(encoding="utf-8")
        for row in range(50):
            parts = train.tokens[row * 21150 : (row + 1) * 21150], valid.tokens[row * 1150 : (row + 1) * 1150]
            text = "".join(symbols[token] for part in parts for token in part)
            assert text == whole[row * 22300 : (row + 1) * 22300]

    def test_rows_need_a_text_that_fills_them(self, write: Write, tmp_path: Path) -> None:
        write("input.txt", "a\n" * 2000)
        with pytest.raises(UserError, match=r"too short for char-rnn's split; use text\.split=end"):
            read(tmp_path, "shakespeare")

    def test_the_first_95_percent_of_its_characters_train(
        self, shared: Path, tmp_path: Path, as_it_is: NormalisationOptions
    ) -> None:
        root = shared / "tinyshakespeare"
        prepared = prepare_text(
            text_options({"name": "shakespeare", "root": root, "split": "end"}),
            TokenizerOptions("char"),
            as_it_is,
            folder=tmp_path,
        )
        whole = (root / "input.txt").read_text(encoding="utf-8")
        assert len(prepared.tokenizer) == len(set(whole)) == 65
        assert prepared.valid is not None
        assert prepared.test is None
        train, valid = TokenFile.open(prepared.train), TokenFile.open(prepared.valid)
        assert (len(train), len(valid)) == (1_059_624, 55_770)
        assert (train.characters, valid.characters) == (len(train), len(valid))
        symbols = ["\n", *prepared.tokenizer.symbols[1:]]
        assert "".join(symbols[token] for text in (train, valid) for token in text.tokens) == whole

    @given(st.text("ab \n", min_size=1, max_size=70))
    def test_each_character_is_in_one_part(self, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
        root = tmp_path_factory.mktemp("shakespeare")
        (root / "input.txt").write_text(text, encoding="utf-8")
        parts = text_parts(text_options({"name": "shakespeare", "root": root, "split": "end"}))

        def joined(split: str) -> str:
            return "".join(line.text + "\n" * line.ended for line in parts[split].lines())

        whole = text if text.endswith("\n") else text + "\n"
        cut = len(whole) * 95 // 100
        assert (joined("train"), joined("valid")) == (whole[:cut], whole[cut:])

    def test_documents_are_what_each_person_says(self, write: Write, tmp_path: Path) -> None:
        write("input.txt", "ANNA:\nYes.\n\nBOB:\nNo.\n" + "\nBOB:\nWell,\nno.\n" * 9)
        lines = read(tmp_path, "shakespeare", documents=True, split="end")
        assert lines["train"][:6] == ["|ANNA:", "Yes.", "", "|BOB:", "No.", ""]
        assert lines["train"][-1].endswith("+")


def test_a_cut_at_a_lines_very_end_leaves_its_end_to_the_other_part(write: Write) -> None:
    path = write("input.txt", "a" * 95 + "\n" + "b" * 3 + "\n")
    assert list(shakespeare._half(path, "strict", True)) == [Line("a" * 95, ended=False)]
    assert list(shakespeare._half(path, "strict", False)) == [Line(""), Line("bbb")]

"""Penn Treebank: parts and published counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.texts import Write, read

from speechrnn.core.errors import UserError
from speechrnn.data.texts import text_options
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions


class TestPennTreebank:
    def test_a_sentence_a_line(self, write: Write, tmp_path: Path, as_it_is: NormalisationOptions) -> None:
        write("data/ptb.train.txt", " aer banknote <unk> N \n aer N \n")
        write("data/ptb.valid.txt", " aer \n")
        write("data/ptb.test.txt", " N years \n")
        assert read(tmp_path, "ptb") == {
            "train": [" aer banknote <unk> N ", " aer N "],
            "valid": [" aer "],
            "test": [" N years "],
        }
        prepared = prepare_text(
            text_options({"name": "ptb", "root": tmp_path}),
            TokenizerOptions("word"),
            as_it_is,
            folder=tmp_path / "prepared",
        )
        # <eos> and <unk>, as in the published vocabulary of 10,000, and three words.
        assert len(prepared.tokenizer) == 5
        assert [prepared.summary["splits"][split]["tokens"] for split in ("train", "valid", "test")] == [8, 2, 3]
        assert prepared.summary["splits"]["train"]["unknown"] == 1

    def test_documents_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"text\.documents=true means nothing for text=ptb"):
            read(tmp_path, "ptb", documents=True)

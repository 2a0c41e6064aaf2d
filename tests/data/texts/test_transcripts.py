"""The transcripts of a run as a text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from helpers.texts import Write, read

from speechrnn.core.errors import UserError
from speechrnn.data.texts import text_options
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions


class TestTranscripts:
    def cuts(self, texts: list[str]) -> bytes:
        rows = [json.dumps({"id": str(n), "supervisions": [{"text": text}]}) for n, text in enumerate(texts)]
        return gzip.compress("\n".join(rows).encode())

    def test_a_transcript_is_a_line(self, write: Write, tmp_path: Path) -> None:
        write("run/prepared/cuts_train.jsonl.gz", self.cuts(["ONE", "TWO  THREE", ""]))
        write("run/prepared/cuts_dev.jsonl.gz", self.cuts(["FOUR"]))
        expected = {"train": ["ONE", "TWO THREE", ""], "valid": ["FOUR"]}
        for root in (tmp_path / "run", tmp_path / "run" / "prepared"):
            assert read(root, "transcripts") == expected
        assert read(tmp_path / "run", "transcripts", documents=True)["train"] == ["|ONE", "|TWO THREE", "|"]

    def test_it_reads_what_a_speech_run_has_prepared(
        self, shared: Path, tmp_path: Path, as_it_is: NormalisationOptions
    ) -> None:
        from speechrnn.data.corpora import corpus_options
        from speechrnn.data.corpora.prepare import prepare

        speech = prepare(corpus_options({"name": "yesno", "root": shared / "yesno"}), tmp_path / "run" / "prepared")
        prepared = prepare_text(
            text_options({"name": "transcripts", "root": tmp_path / "run"}),
            TokenizerOptions("word"),
            as_it_is,
            folder=tmp_path / "text",
        )
        for split, name in (("train", "train"), ("valid", "dev"), ("test", "test")):
            if name in speech.summary["splits"]:
                counts, spoken = prepared.summary["splits"][split], speech.summary["splits"][name]
                assert counts["lines"] == spoken["utterances"]
                assert counts["tokens"] == spoken["words"] + spoken["utterances"]
        assert sorted(prepared.tokenizer.symbols[2:]) == ["NO", "YES"]

    @pytest.mark.parametrize("line", ["no JSON", "[1]", "{}", '{"supervisions": [{}]}'])
    def test_a_damaged_line_is_named(self, write: Write, tmp_path: Path, line: str) -> None:
        write("cuts_train.jsonl.gz", gzip.compress(b'{"supervisions": []}\n' + line.encode()))
        with pytest.raises(UserError, match=r"cuts_train\.jsonl\.gz, line 2 is no cut with a transcript"):
            read(tmp_path, "transcripts")

    def test_another_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"holds no transcripts: looked for cuts_train\.jsonl\.gz, which a run of"):
            read(tmp_path, "transcripts")
        with pytest.raises(UserError, match="it does not exist; looked for"):
            read(tmp_path / "gone", "transcripts")
        with pytest.raises(UserError, match=r"needs text\.root, the folder of a run"):
            read(None, "transcripts")

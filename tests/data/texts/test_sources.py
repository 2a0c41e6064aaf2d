"""Where each text's parts come from: published counts, splits, documents, and a root that does not hold it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.data.texts import shakespeare, text_options, text_parts
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.data.texts.reader import Line
from speechrnn.data.tokens import TokenFile
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions

Write = Callable[[str, str | bytes], Path]


def read(root: Path | None, name: str, **keys: object) -> dict[str, list[str]]:
    """The lines of each part; "|" before those that begin a document, "+" after those that go on."""
    parts = text_parts(text_options({"name": name, "root": root, **keys}))
    return {
        split: ["|" * line.document + line.text + "+" * (not line.ended) for line in part.lines()]
        for split, part in parts.items()
    }


class TestFile:
    def test_parts_are_the_files_one_after_the_other(self, write: Write, tmp_path: Path) -> None:
        write("b.txt", "3\n4")
        write("a.txt.gz", gzip.compress(b"1\n2\n"))
        write("v.txt", "5\n")
        write("t.txt", "6\n\n7\n")
        keys = {"train": ["a*", "b.txt"], "valid": ["v.txt"], "test": ["t.txt"]}
        assert read(tmp_path, "file", **keys) == {
            "train": ["1", "2", "3", "4"],
            "valid": ["5"],
            "test": ["6", "", "7"],
        }
        # Some part has several files, so that each file is a document, in the test part too.
        assert read(tmp_path, "file", documents=True, **keys) == {
            "train": ["|1", "2", "|3", "4"],
            "valid": ["|5"],
            "test": ["|6", "", "7"],
        }

    def test_blank_lines_part_the_documents_of_single_files(self, write: Write, tmp_path: Path) -> None:
        write("a.txt", "1\n2\n\n3\n")
        write("v.txt", "4\n\n5\n")
        assert read(tmp_path, "file", documents=True, train=["a.txt"], valid=["v.txt"]) == {
            "train": ["|1", "2", "", "|3"],
            "valid": ["|4", "", "|5"],
        }

    def test_without_validation_files_the_last_lines_are_held_out(self, write: Write, tmp_path: Path) -> None:
        write("a.txt", "".join(f"{n}\n" for n in range(20)))
        write("b.txt", "".join(f"{n}\n" for n in range(20, 40)))
        for fraction, train in ((0.1, 36), (0.25, 30), (0.9, 4), (0.001, 39)):
            lines = read(tmp_path, "file", train=["a.txt", "b.txt"], valid_fraction=fraction)
            assert lines["train"] == [str(n) for n in range(train)]
            assert lines["valid"] == [str(n) for n in range(train, 40)]
        assert set(read(tmp_path, "file", train=["a.txt"], valid_fraction=0)) == {"train"}
        write("v.txt", "v")
        assert read(tmp_path, "file", train=["a.txt"], valid=["v.txt"])["valid"] == ["v"]
        assert set(read(tmp_path, "file", test=["a.txt"])) == {"test"}

    def test_blank_lines_do_not_count_where_lines_are_held_out(self, write: Write, tmp_path: Path) -> None:
        write("a.txt", "1\n\n\n2\n\n3\n\n4\n\n\n\n")
        lines = read(tmp_path, "file", train=["a.txt"], valid_fraction=0.25, documents=True)
        assert lines == {"train": ["|1", "", "", "|2", "", "|3"], "valid": ["", "|4", "", "", ""]}

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({}, r"needs at least one file, as in text\.train=\[book\.txt\]"),
            ({"train": ["no.txt"]}, r"text\.train=no\.txt: .*no\.txt does not exist"),
            ({"train": ["a.txt"], "test": ["no.txt"]}, r"text\.test=no\.txt"),
            ({"train": ["a.txt"], "valid_fraction": 1}, r"text\.valid_fraction=1 is wrong: .* at most 0\.9"),
            ({"train": ["a.txt"]}, r"cannot hold out a line of .*a\.txt, which has only one; .*text\.valid_fraction=0"),
        ],
    )
    def test_what_cannot_be_done_is_said(self, write: Write, tmp_path: Path, keys: dict, message: str) -> None:
        write("a.txt", "one line\n")
        with pytest.raises(UserError, match=message):
            read(tmp_path, "file", **keys)


class TestWikiText2:
    def test_documents_are_articles(self, write: Write, tmp_path: Path) -> None:
        article = " \n = One = \n \n Text = 1 \n \n = = Part = = \n \n = One = \n more \n \n = Two = \n \n text \n"
        for split in ("train", "valid", "test"):
            write(f"wiki.{split}.tokens", article)
        lines = [" ", "| = One = ", " ", " Text = 1 ", " ", " = = Part = = ", " ", " = One = ", " more ", " "]
        lines += ["| = Two = ", " ", " text "]
        assert read(tmp_path, "wikitext2", documents=True) == dict.fromkeys(("train", "valid", "test"), lines)
        plain = [line.lstrip("|") for line in lines]
        assert read(tmp_path, "wikitext2")["test"] == plain

    def test_other_places_and_names(self, write: Write, tmp_path: Path) -> None:
        for split in ("train", "valid", "test"):
            write(f"examples/{split}.txt", f" {split} \n")
            write(f"unpacked/wikitext-2/wiki.{split}.tokens", f" {split} \n")
        for folder in ("examples", "unpacked"):
            assert read(tmp_path / folder, "wikitext2") == {s: [f" {s} "] for s in ("train", "valid", "test")}

    def test_the_published_counts(self, shared: Path, tmp_path: Path, as_it_is: NormalisationOptions) -> None:
        options = text_options({"name": "wikitext2", "root": shared / "wikitext-2", "documents": True})
        prepared = prepare_text(options, TokenizerOptions("word"), as_it_is, tmp_path)
        splits = prepared.summary["splits"]
        assert {split: part["tokens"] for split, part in splits.items()} == {
            "train": 2_088_628,
            "valid": 217_646,
            "test": 245_569,
        }
        assert len(prepared.tokenizer) == 33_278
        assert {split: part["documents"] for split, part in splits.items()} == {"train": 600, "valid": 60, "test": 60}
        assert prepared.test is not None
        text = TokenFile.open(prepared.test)
        assert len(text) == 245_569
        assert (text.tokens == 0).sum() == splits["test"]["lines"] == 4_358
        # Bits per character are those that `evaluate` gives for the file: every character counts.
        assert text.characters == len((shared / "wikitext-2" / "wiki.test.tokens").read_text(encoding="utf-8"))
        # The words are those of the file, in order, and each article begins with its title.
        words = (shared / "wikitext-2" / "wiki.test.tokens").read_text(encoding="utf-8")
        assert prepared.tokenizer.decode(text.tokens[text.tokens > 0].tolist()).split() == words.split()
        second = text.tokens[text.documents[1] :][:20]
        assert prepared.tokenizer.decode(second[: list(second).index(0)].tolist()).startswith("= ")


class TestShakespeare:
    def test_char_rnns_split_is_the_ends_of_fifty_rows(
        self, shared: Path, tmp_path: Path, as_it_is: NormalisationOptions
    ) -> None:
        """The numbers are those that char-rnn prints: 423 batches of 50 x 50 train, 23 validate."""
        root = shared / "tinyshakespeare"
        prepared = prepare_text(
            text_options({"name": "shakespeare", "root": root}), TokenizerOptions("char"), as_it_is, tmp_path
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
            tmp_path,
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
            text_options({"name": "ptb", "root": tmp_path}), TokenizerOptions("word"), as_it_is, tmp_path / "prepared"
        )
        # <eos> and <unk>, as in the published vocabulary of 10,000, and three words.
        assert len(prepared.tokenizer) == 5
        assert [prepared.summary["splits"][split]["tokens"] for split in ("train", "valid", "test")] == [8, 2, 3]
        assert prepared.summary["splits"]["train"]["unknown"] == 1

    def test_documents_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"text\.documents=true means nothing for text=ptb"):
            read(tmp_path, "ptb", documents=True)


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
            tmp_path / "text",
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


@pytest.mark.parametrize(
    ("name", "looked_for", "download"),
    [
        ("wikitext2", "wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens", True),
        ("ptb", "ptb.train.txt, ptb.valid.txt and ptb.test.txt", False),
        ("shakespeare", "input.txt", True),
    ],
)
def test_a_root_without_the_text_says_what_was_looked_for(
    write: Write, tmp_path: Path, name: str, looked_for: str, download: bool
) -> None:
    file = write("book.txt", "x")
    for root, found in (
        (tmp_path, "not found there; "),
        (tmp_path / "gone", "it does not exist; "),
        (file, "it is a file, not a folder; "),
    ):
        with pytest.raises(UserError) as error:
            read(root, name)
        message = str(error.value)
        assert message.startswith(f"text.root={root} does not hold the text {name}: ")
        assert f"{found}looked for {looked_for}" in message
        assert message.endswith(", or fetch it with text.download=true." if download else "point text.root at it.")
    with pytest.raises(UserError, match=f"The text {name} needs text.root"):
        read(None, name)


def test_a_cut_at_a_lines_very_end_leaves_its_end_to_the_other_part(write: Write) -> None:
    path = write("input.txt", "a" * 95 + "\n" + "b" * 3 + "\n")
    assert list(shakespeare._half(path, "strict", True)) == [Line("a" * 95, ended=False)]
    assert list(shakespeare._half(path, "strict", False)) == [Line(""), Line("bbb")]

"""WikiText-2: parts, published counts, documents."""

from __future__ import annotations

from pathlib import Path

from helpers.texts import Write, read

from speechrnn.data.texts import text_options
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.data.tokens import TokenFile
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import TokenizerOptions


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
        prepared = prepare_text(options, TokenizerOptions("word"), as_it_is, folder=tmp_path)
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

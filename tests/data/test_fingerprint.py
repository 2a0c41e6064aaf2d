"""Digests differ with every token, symbol, text and recording, and do not with the place of a corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.corpora import RATE, say, write_corpus
from hypothesis import given
from hypothesis import strategies as st
from lhotse import CutSet

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.fingerprint import fingerprint_cuts, fingerprint_files, fingerprint_tokenizer, fingerprint_tokens
from speechrnn.data.tokens import TokenFile
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer


def token_file(tokens: list[int], documents: list[int], characters: int = 9, dtype: str = "<u2") -> TokenFile:
    return TokenFile(np.array(tokens, dtype), np.array(documents, np.int64), characters)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.data())
def test_one_other_token_is_another_text(tokens: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(tokens) - 1))
    changed = [token + (number == place) for number, token in enumerate(tokens)]
    assert fingerprint_tokens(token_file(tokens, [0])) != fingerprint_tokens(token_file(changed, [0]))
    assert fingerprint_tokens(token_file(tokens, [0])) == fingerprint_tokens(token_file(tokens, [0], dtype="<u4"))


def test_documents_and_characters_count() -> None:
    digests = {
        fingerprint_tokens(token_file([1, 0, 2, 0], documents, characters))
        for documents, characters in (([0], 9), ([0, 2], 9), ([0], 8))
    }
    assert len(digests) == 3


def test_a_tokenizer_counts_whole() -> None:
    words = [f"w{number}" for number in range(3000)]
    renamed = [*words[:-1], "another"]
    order = ["<blank>", "<unk>"]
    assert fingerprint_tokenizer(WordTokenizer(order + words)) != fingerprint_tokenizer(WordTokenizer(order + renamed))
    assert fingerprint_tokenizer(WordTokenizer(order + words)) == fingerprint_tokenizer(WordTokenizer(order + words))
    letters = ["<blank>", "<unk>", "a", "b"]
    assert fingerprint_tokenizer(WordTokenizer(letters)) != fingerprint_tokenizer(CharTokenizer(letters))


def test_files_count_by_content_and_order_and_not_by_name(tmp_path: Path) -> None:
    for name, content in {"a": b"x", "b": b"y", "c": b"x", "ab": b"xy", "none": b""}.items():
        (tmp_path / name).write_bytes(content)

    def fingerprint(*names: str) -> str | None:
        return fingerprint_files(tmp_path / name for name in names)

    assert fingerprint("a", "b") == fingerprint("c", "b")
    others = [("a",), ("b",), ("a", "b"), ("b", "a"), ("ab",), ("none", "ab"), ("none",), ()]
    assert len({fingerprint(*names) for names in others}) == len(others)
    with pytest.raises(UserError, match=r"missing cannot be read"):
        fingerprint("missing")


def digest(root: Path, prepared: Path) -> str:
    corpus = prepare(corpus_options({"name": "folder", "root": str(root), "dev_fraction": 0.0}), prepared)
    assert corpus.train is not None
    return fingerprint_cuts(CutSet.from_file(corpus.train).to_eager())


def test_a_text_or_a_recording_that_changed_is_another_corpus_and_a_moved_one_is_not(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "corpus", 6)
    first = digest(root, tmp_path / "first")
    shutil.copytree(root, tmp_path / "moved")
    moved = tmp_path / "moved"
    assert digest(moved, tmp_path / "second") == first
    text = (moved / "train/003.txt").read_text()
    (moved / "train/003.txt").write_text("BAD\n")
    assert digest(moved, tmp_path / "third") != first
    (moved / "train/003.txt").write_text(text)
    soundfile.write(moved / "train/002.wav", say(text.strip() + "DDDD"), RATE)
    assert digest(moved, tmp_path / "fourth") != first
    shutil.copy(root / "train/002.wav", moved / "train/002.wav")
    samples, rate = soundfile.read(moved / "train/004.wav")
    soundfile.write(moved / "train/004.wav", samples / 2, rate)  # as long as before
    assert digest(moved, tmp_path / "fifth") != first

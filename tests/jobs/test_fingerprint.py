"""Fingerprints of jobs: contents of files instead of their paths, and keys as one types them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.jobs.fingerprint import check_same, digest, digest_contents, fingerprint, flatten


@dataclass(frozen=True)
class Search:
    """Options with files in them."""

    name: str = "beam"
    lexicon: Path | None = None
    hot_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options of a job."""

    search: Search
    threads: int = field(default=1, metadata={"affects_output": False})


def test_a_digest_is_of_all_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"xy")
    (tmp_path / "b").write_bytes(b"z")
    assert digest(tmp_path / "a", tmp_path / "b") == "3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282"


def test_a_file_counts_by_its_contents_and_not_by_its_path(tmp_path: Path) -> None:
    lexicon, other = tmp_path / "words", tmp_path / "copy"
    lexicon.write_text("GO")
    other.write_text("GO")
    before = fingerprint(Options(Search(lexicon=lexicon)))
    assert fingerprint(Options(Search(lexicon=other), threads=2)) == before
    lexicon.write_text("STAY")
    assert fingerprint(Options(Search(lexicon=lexicon))) != before
    assert fingerprint(Options(Search(lexicon=other, hot_words=("ADA",)))) != before


def test_a_model_directory_counts_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = digest_contents(tmp_path, "model")
    (tmp_path / "notes.txt").write_text("not part of the model")
    assert digest_contents(tmp_path, "model") == before
    for name in ("decoding.json", "facts.json"):  # weights and confidences; warnings of a transcript
        (tmp_path / name).write_text("{}")
        assert digest_contents(tmp_path, "model") != before
        before = digest_contents(tmp_path, "model")


def test_a_file_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lexicon=.*words cannot be read: No such file"):
        fingerprint(Search(lexicon=tmp_path / "words"))


def test_keys_are_compared_as_one_types_them() -> None:
    now = {"model": "sha256:m", "decoding": {"name": "beam", "hot_words": []}}
    assert flatten(now) == {"model": "sha256:m", "decoding.name": "beam", "decoding.hot_words": []}
    check_same(now, now, Path("out"))
    for before, sentence in [
        ({**now, "model": "sha256:n"}, "out was made with another model: give the same keys"),
        ({"model": "sha256:m", "decoding": {"name": "beam"}}, r"out was made with decoding\.hot_words=null"),
        ({**now, "seed": "ü"}, 'out was made with seed="ü"'),
    ]:
        with pytest.raises(UserError, match=sentence):
            check_same(before, now, Path("out"))

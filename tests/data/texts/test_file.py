"""Texts from files of the user: parts, globs, encodings."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from helpers.texts import Write, read

from speechrnn.core.errors import UserError


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

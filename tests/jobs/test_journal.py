"""Lines that are whole, and what work was made with."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.jobs.journal import append, compare, digest, flat, whole_lines


def test_lines_are_added_and_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\n\xc3\xbc\ntor")
    with (tmp_path / "a").open("r+b", buffering=0) as file:
        assert list(whole_lines(file)) == [(0, b"one\n"), (4, b"\xc3\xbc\n")]
        assert append(file, b"two\n") == 7
    assert (tmp_path / "a").read_bytes() == b"one\n\xc3\xbc\ntwo\n"


def test_a_digest_is_of_all_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"xy")
    (tmp_path / "b").write_bytes(b"z")
    assert digest(tmp_path / "a", tmp_path / "b") == "3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282"


def test_keys_are_compared_as_one_types_them() -> None:
    now = {"model": "m", "decoding": {"name": "beam", "hot_words": []}}
    assert flat(now) == {"model": "m", "decoding.name": "beam", "decoding.hot_words": []}
    compare(now, now, Path("out"))
    for before, sentence in [
        ({**now, "model": "n"}, "out was made with another model: give the same keys to go on, choose another output,"),
        ({"model": "m", "decoding": {"name": "beam"}}, r"out was made with decoding\.hot_words=null"),
        ({**now, "seed": "ü"}, 'out was made with seed="ü"'),
    ]:
        with pytest.raises(UserError, match=sentence):
            compare(before, now, Path("out"))

"""JSON that is written is JSON, and any file that is read is taken or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.core.jsonio import finite, parse_json, read_json, read_rows, write_json

BAD = [
    b"{",
    b"\0\0\0\0",
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": ' + b"9" * 400 + b".5}",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b'{"a": "\xff"}',
    b'{"a": "torn',
]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_no_json_is_one_sentence(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(UserError, match=r"a\.json is damaged .*again\.$"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "1"}\n' + text + b"\n")
    with pytest.raises(UserError, match=r"^Line 2 of .*a\.jsonl is no JSON \(.*decode it again\.$"):
        read_rows(tmp_path / "a.jsonl", ["id"], "decode it again")


def test_a_file_without_an_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(UserError, match="holds no JSON object"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_text('{"id": "1"}\n{"id": 2}\n')
    with pytest.raises(UserError, match=r'Line 2 of .* has no texts "id"'):
        read_rows(tmp_path / "a.jsonl", ["id"], "decode it again")
    assert read_json(tmp_path / "none.json") == {} and read_rows(tmp_path / "none.jsonl", [], "") == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_what_is_written_is_json_and_comes_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, {"value": finite(value)})
    assert read_json(path)["value"] == finite(value)


def test_a_number_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@given(st.binary() | st.text().map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_text_is_read_or_a_value_error(text: bytes) -> None:
    try:
        value = parse_json(text)
    except ValueError:
        return
    assert finite(value) == value

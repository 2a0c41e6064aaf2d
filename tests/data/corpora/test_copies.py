"""Copies of recordings are found by their content."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.data.corpora import copies
from speechrnn.data.corpora.copies import find_originals


@given(contents=st.lists(st.sampled_from([b"", b"tuna", b"krll", b"sharks"]), max_size=12))
def test_a_copy_is_known_by_its_content(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number:02}")
        paths[-1].write_bytes(content)
    originals = find_originals(map(str, paths[::-1]))
    for path, content in zip(paths, contents, strict=True):
        assert originals[str(path)] == str(paths[contents.index(content)])


def test_files_that_differ_outside_their_middle_are_no_copies(tmp_path: Path) -> None:
    size = 4 * copies._SAMPLED_BYTES
    (tmp_path / "a").write_bytes(bytes(size))
    (tmp_path / "b").write_bytes(b"x" + bytes(size - 1))
    files = [str(tmp_path / name) for name in "ab"]
    assert find_originals(files) == {name: name for name in files}


def test_a_file_that_is_gone_has_no_copies(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in "ab"]
    assert find_originals(files) == {name: name for name in files}

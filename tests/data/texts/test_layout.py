"""A root that does not hold the text says what was looked for, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.texts import Write, read

from speechrnn.core.errors import UserError


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

"""Messages for users: one line that a terminal can show, whatever a file's name or value holds."""

from __future__ import annotations

import pytest

from speechrnn.audio import TruncatedAudioError
from speechrnn.core.errors import LONGEST_MESSAGE, UserError


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\udcffb", "a\0b", "a\u202eb", "a\x85b"])
def test_what_a_terminal_would_obey_or_cannot_show_is_escaped(name: str) -> None:
    for error in (UserError(f"{name} is wrong."), TruncatedAudioError(f"{name} is wrong.", 1.0)):
        text = str(error)
        assert text.isprintable() and text.startswith("a\\") and text.endswith("b is wrong.")
        text.encode()


def test_text_of_all_languages_stays() -> None:
    for name in ("naïve", "мова", "日本", "می\u200cخواهم", "😀"):
        assert str(UserError(name)) == name


def test_a_value_of_millions_of_characters_does_not_fill_the_screen() -> None:
    for letter in "x\x1b\U000e0001":  # the escape of the last has ten characters
        text = str(UserError(f"key={letter * 10**6} is wrong: give another."))
        assert len(text) < LONGEST_MESSAGE + 10
        assert text.startswith("key=") and text.endswith(" is wrong: give another.")

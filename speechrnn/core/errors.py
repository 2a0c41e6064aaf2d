"""The one exception that users see."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator

LONGEST_MESSAGE = 1000  # characters; a value from a file may have millions
_END = 200  # characters of a longer message that are kept at its end, where it says what to do
_JOINERS = "\u200c\u200d"  # invisible, but a part of how Persian and Hindi are spelt


class UserError(Exception):
    """Bad input, described in one plain sentence that names the file or key and says what to do.

    The command line prints it without a traceback and exits with status 2. Anything else that
    escapes is a bug of ours and keeps its traceback.

    Names and values from files are shown unchanged, except that control characters, line ends and bytes that are not
    text are replaced: these would change the terminal, or raise an error when they are printed.

    >>> raise UserError("talks/ holds no audio; give a folder with recordings.")
    Traceback (most recent call last):
    ...
    speechrnn.core.errors.UserError: talks/ holds no audio; give a folder with recordings.
    >>> print(UserError("a\\nb.wav does not exist."))
    a\\nb.wav does not exist.
    """

    def __str__(self) -> str:
        """Return the sentence, on one line."""
        return one_line(super().__str__())


@contextlib.contextmanager
def keys_below(key: str, groups: Collection[str]) -> Iterator[None]:
    """Add a prefix to the keys in messages of errors that are raised inside, for a recipe whose groups lie below a key.

    >>> with keys_below("prediction", ["language"]):
    ...     raise UserError("language.units=3 has no effect; leave language.units out.")
    Traceback (most recent call last):
    ...
    speechrnn.core.errors.UserError: prediction.language.units=3 has no effect; leave prediction.language.units out.

    Args:
        key: above the groups.
        groups: names of the groups, as the messages have them.
    """
    try:
        yield
    except UserError as error:
        pattern = rf"(?<![\w./\\-])(?=({'|'.join(groups)})(\.\w|=))"
        raise type(error)(re.sub(pattern, f"{key}.", str(error))) from error


def one_line(text: str) -> str:
    """Return a message without control characters, and shortened in the middle where it is very long.

    >>> one_line("bell \\a")
    'bell \\\\x07'
    """
    text = _shortened(text)
    if text.isprintable():
        return text
    escaped = (letter if letter.isprintable() or letter in _JOINERS else repr(letter)[1:-1] for letter in text)
    return _shortened("".join(escaped))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - _END]} ... {text[-_END:]}"

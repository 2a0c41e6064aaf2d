"""Texts to tokens and back, lines and all, one token at a time."""

from __future__ import annotations

from speechrnn.core.errors import UserError
from speechrnn.nn.language import END_OF_LINE
from speechrnn.text.tokenizers import UNKNOWN, Tokenizer

NEWLINE = "\n"


class Spelling:
    """A tokenizer, for texts of several lines that grow token by token.

    Attributes:
        unknown: the index of `<unk>`, which is read but never written; None where the tokenizer has none.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.unknown = 1 if tokenizer.symbols[1:2] == [UNKNOWN] else None
        self.names = [NEWLINE, *tokenizer.symbols[1:]]
        if tokenizer.kind == "subword":
            self.names = [name.replace("▁", " ") for name in self.names]

    def encode(self, text: str) -> tuple[int, ...]:
        """The tokens of a text whose last line has not ended.

        Raises:
            UserError: characters that the model does not know. Words it does not know are `<unk>` to it.
        """
        lines = text.split(NEWLINE)
        if self.tokenizer.kind != "word" and (unknown := set().union(*map(self.tokenizer.count_unknown, lines))):
            names = ", ".join(f"{one!r} (U+{ord(one):04X})" for one in sorted(unknown)[:5])
            raise UserError(f"The text {text[:40]!r} holds {names}, which the model does not know; leave it out.")
        tokens: list[int] = []
        for line in lines:
            tokens += [END_OF_LINE, *self.tokenizer.encode(line)]
        return tuple(tokens[1:])

    def words(self, words: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
        """The tokens of each word that can be written; the others need no ban."""
        known = [word for word in words if not self.tokenizer.count_unknown(word)]
        return tuple(tuple(self.tokenizer.encode(word)) for word in known)

    def piece(self, token: int, before: str) -> str:
        """What a token adds to a text that ends with `before` (its last character; "" where nothing stands there)."""
        name = self.names[token]
        if token == END_OF_LINE or self.tokenizer.kind == "char":
            return name
        begins = before in ("", NEWLINE)
        if self.tokenizer.kind == "word":
            return name if begins or before.isspace() else f" {name}"
        return name.removeprefix(" ") if begins else name

    def text(self, tokens: list[int], before: str) -> str:
        """All that the tokens add."""
        pieces = []
        for token in tokens:
            pieces.append(self.piece(token, before))
            before = pieces[-1][-1:] or before
        return "".join(pieces)

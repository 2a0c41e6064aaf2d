"""Text of tokens, one token at a time."""

from __future__ import annotations

from collections.abc import Sequence

from speechrnn.nn.language import END_OF_LINE
from speechrnn.text.tokenizers import UNKNOWN, Tokenizer

NEWLINE = "\n"


class Detokenizer:
    """A detokenizer of tokens as they are generated, line ends included.

    >>> from speechrnn.text.tokenizers import WordTokenizer
    >>> detokenizer = Detokenizer(WordTokenizer(["<blank>", "<unk>", "sharks", "feed"]))
    >>> detokenizer.decode([2, 3, 0, 2])
    'sharks feed\\nsharks'
    >>> detokenizer.decode_token(3, "s")
    ' feed'

    Attributes:
        symbols: text of each token: a newline for the end of a line, a space for the "▁" of subwords.
        unknown: index of `<unk>`, which is read but never written; None where the tokenizer has none.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.unknown = 1 if tokenizer.symbols[1:2] == [UNKNOWN] else None
        self.symbols = [NEWLINE, *tokenizer.symbols[1:]]
        if tokenizer.kind == "subword":
            self.symbols = [symbol.replace("▁", " ") for symbol in self.symbols]

    def decode_token(self, token: int, before: str) -> str:
        """Return the text that a token adds to a text whose last character is `before` ("" at its beginning)."""
        symbol = self.symbols[token]
        if token == END_OF_LINE or self.tokenizer.kind == "char":
            return symbol
        begins_line = before in ("", NEWLINE)
        if self.tokenizer.kind == "word":
            return symbol if begins_line or before.isspace() else f" {symbol}"
        return symbol.removeprefix(" ") if begins_line else symbol

    def decode(self, tokens: Sequence[int], before: str = "") -> str:
        """Return the text that tokens add to a text whose last character is `before`."""
        parts = []
        for token in tokens:
            parts.append(self.decode_token(token, before))
            before = parts[-1][-1:] or before
        return "".join(parts)

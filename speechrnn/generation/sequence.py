"""A text while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from speechrnn.generation import random_numbers as chance
from speechrnn.generation.detokenizer import Spelling
from speechrnn.generation.results import Completion, FinishReason, Prompt, Token
from speechrnn.nn.language import END_OF_LINE


@dataclass(eq=False)
class Row:
    """One completion of a prompt, token by token.

    Attributes:
        history: the prompt's tokens and those written.
        log_probs: of the tokens written.
        bad_words: tokens of what must not be written.
        key: of its random numbers.
        pieces: what each token added to the text, as far as somebody needed to know.
        finish_reason: None while it goes on.
    """

    prompt: Prompt
    spelling: Spelling
    history: list[int]
    bad_words: tuple[tuple[int, ...], ...]
    key: int = 0
    log_probs: list[float] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    @classmethod
    def begin(cls, prompt: Prompt, spelling: Spelling, number: int = 0) -> Row:
        """The `number`-th completion of a prompt."""
        key = chance.stream_key(prompt.text, prompt.options.seed, number)
        return cls(prompt, spelling, list(prompt.tokens), spelling.words(prompt.options.bad_words), key)

    def copy(self) -> Row:
        """The same text so far, to go on differently."""
        return Row(
            *(self.prompt, self.spelling, self.history.copy(), self.bad_words, self.key, self.log_probs.copy()),
            *(self.pieces.copy(), self.finish_reason),
        )

    @property
    def last(self) -> int:
        """The token that the model reads next."""
        return self.history[-1] if self.history else END_OF_LINE

    @property
    def written(self) -> int:
        """Tokens written."""
        return len(self.log_probs)

    @property
    def unfinished(self) -> bool:
        """Whether the line must not end yet."""
        options = self.prompt.options
        return len(self.log_probs) < options.min_new_tokens and not options.ignore_eos

    def add(self, token: int, log_prob: float) -> None:
        """Writes a token on, and ends the text where it is to end; -1 stands for "nothing may follow"."""
        options = self.prompt.options
        if token < 0:
            self.finish_reason = "length"
            return
        self.history.append(token)
        self.log_probs.append(log_prob)
        if token == END_OF_LINE and not options.ignore_eos:
            self.finish_reason = "eos"
        elif options.stop_strings and self.stops(options.stop_strings):
            self.finish_reason = "stop"
        elif len(self.log_probs) >= options.max_new_tokens:
            self.finish_reason = "length"

    def stops(self, strings: tuple[str, ...]) -> bool:
        """Whether the last token has completed one of the strings."""
        self.spell()
        new = self.pieces[-1]
        if not new:
            return False
        need = max(map(len, strings)) - 1  # characters before the new ones that may belong to the string
        end, place = new, len(self.pieces) - 2
        while place >= 0 and len(end) < need + len(new):
            end = self.pieces[place] + end
            place -= 1
        end = end[-(need + len(new)) :]
        return any(string in end for string in strings)

    def spell(self) -> None:
        """Brings `pieces` up to date."""
        known = len(self.pieces)
        end = len(self.history) - (self.finish_reason == "eos")  # the end of the line is no part of the text
        before = next((piece for piece in reversed(self.pieces) if piece), self.prompt.text)[-1:]
        for token in self.history[len(self.prompt.tokens) + known : end]:
            self.pieces.append(self.spelling.piece(token, before))
            before = self.pieces[-1][-1:] or before

    def completion(self) -> Completion:
        """The text as it is given away."""
        self.spell()
        names, tokens = self.spelling.names, self.history[len(self.prompt.tokens) :]
        each = tuple(
            Token(names[one], round(log_prob, 4)) for one, log_prob in zip(tokens, self.log_probs, strict=True)
        )
        return Completion("".join(self.pieces), each, round(sum(self.log_probs), 4), self.finish_reason or "length")


def uniforms(rows: Sequence[Row], number: int = 0) -> np.ndarray:
    """The random numbers of the rows' next tokens: (rows,) float64. `number`: which, where a token takes several."""
    keys = np.array([row.key for row in rows], dtype=np.uint64)
    steps = np.array([row.written for row in rows], dtype=np.uint64)
    return chance.uniforms(keys, steps, number)

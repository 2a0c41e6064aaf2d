"""A completion while it is generated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from speechrnn.core.errors import UserError
from speechrnn.generation import random_numbers
from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.results import Completion, FinishReason, Prompt, Token
from speechrnn.nn.language import END_OF_LINE


@dataclass(eq=False)
class TokenSequence:
    """One completion of a prompt, token by token.

    Attributes:
        tokens: the prompt's and those generated.
        key: of its random numbers.
        log_probs: of the generated tokens.
        texts: text that each generated token added, as far as it was needed.
        finish_reason: None while it goes on.
        error: raised over this sequence, which ends it.
    """

    prompt: Prompt
    detokenizer: Detokenizer
    tokens: list[int]
    key: int = 0
    log_probs: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    error: Exception | None = None

    @classmethod
    def start(cls, prompt: Prompt, detokenizer: Detokenizer, number: int = 0) -> TokenSequence:
        """Start the `number`-th completion of a prompt."""
        key = random_numbers.stream_key(prompt.text, prompt.options.seed, number)
        return cls(prompt, detokenizer, list(prompt.tokens), key)

    def copy(self) -> TokenSequence:
        """Return the same sequence, to be continued differently."""
        return replace(self, tokens=self.tokens.copy(), log_probs=self.log_probs.copy(), texts=self.texts.copy())

    @property
    def finished(self) -> bool:
        """Return whether no token follows."""
        return self.finish_reason is not None or self.error is not None

    @property
    def last(self) -> int:
        """Return the token that the model reads next."""
        return self.tokens[-1] if self.tokens else END_OF_LINE

    @property
    def length(self) -> int:
        """Return the number of generated tokens."""
        return len(self.log_probs)

    @property
    def too_short(self) -> bool:
        """Return whether the line must not end yet."""
        options = self.prompt.options
        return len(self.log_probs) < options.min_new_tokens and not options.ignore_eos

    def add(self, token: int, log_prob: float) -> None:
        """Append a token, and finish the sequence where it is to end; -1 says that no token may follow.

        Raises:
            UserError: the log-probability is no finite number.
        """
        options = self.prompt.options
        if token < 0:
            self.finish_reason = "length"
            return
        if not math.isfinite(log_prob):
            raise UserError("The model's probabilities are no finite numbers: its weights are damaged; train it again.")
        self.tokens.append(token)
        self.log_probs.append(log_prob)
        if token == END_OF_LINE and not options.ignore_eos:
            self.finish_reason = "eos"
        elif options.stop_strings and self._has_stop_string(options.stop_strings):
            self.finish_reason = "stop"
        elif len(self.log_probs) >= options.max_new_tokens:
            self.finish_reason = "length"

    def _has_stop_string(self, strings: tuple[str, ...]) -> bool:
        """Return whether the last token has completed one of the strings."""
        self.detokenize()
        new = self.texts[-1]
        if not new:
            return False
        before = max(map(len, strings)) - 1  # characters ahead of the new ones that may belong to the string
        end, index = new, len(self.texts) - 2
        while index >= 0 and len(end) < before + len(new):
            end = self.texts[index] + end
            index -= 1
        end = end[-(before + len(new)) :]
        return any(string in end for string in strings)

    def detokenize(self) -> None:
        """Bring `texts` up to date."""
        known = len(self.texts)
        end = len(self.tokens) - (self.finish_reason == "eos")  # the end of the line is no part of the text
        before = next((text for text in reversed(self.texts) if text), self.prompt.text)[-1:]
        for token in self.tokens[len(self.prompt.tokens) + known : end]:
            self.texts.append(self.detokenizer.decode_token(token, before))
            before = self.texts[-1][-1:] or before

    def completion(self) -> Completion:
        """Return the completion of a finished sequence."""
        self.detokenize()
        generated = self.tokens[len(self.prompt.tokens) :]
        tokens = tuple(
            Token(self.detokenizer.symbols[token], round(log_prob, 4))
            for token, log_prob in zip(generated, self.log_probs, strict=True)
        )
        return Completion(
            "".join(self.texts), tokens, round(sum(self.log_probs), 4), finish_reason=self.finish_reason or "length"
        )


def next_uniforms(sequences: Sequence[TokenSequence], number: int = 0) -> np.ndarray:
    """Compute the random numbers for the next token of each sequence.

    Args:
        sequences: the sequences.
        number: which number of the step, where a token takes several.

    Returns:
        (rows,) float64, 0 to below 1.
    """
    keys = np.array([sequence.key for sequence in sequences], dtype=np.uint64)
    steps = np.array([sequence.length for sequence in sequences], dtype=np.uint64)
    return random_numbers.uniforms(keys, steps, number)

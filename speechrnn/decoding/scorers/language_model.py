"""The interface of language models over tokens to the search."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class LanguageModelProtocol(Protocol):
    """A language model over its own tokens, whose states are numbers.

    Token 0 is END OF LINE: it ends an utterance, and the start state is that after one. What a state is, only the model
    knows: it hands out a number for each, to be used until the next `begin`.

    Attributes:
        vocabulary: the number of tokens, END OF LINE included.
    """

    vocabulary: int

    def begin(self) -> int:
        """Forgets all states made before. Returns the number of the start state, in which END OF LINE was read."""

    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        """(n,) states, (n,) tokens -> (n,) int64 states after one more token; a row never depends on the others."""

    def log_probs(self, states: Tensor) -> Tensor:
        """(n,) states -> (n, vocabulary) float32 natural log-probabilities of the next token."""

"""The interface of language models over tokens to the search."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class LanguageModelProtocol(Protocol):
    """A language model over its own tokens, whose states are numbers.

    Token 0 is END OF LINE: it ends an utterance, and the start state is that after one. A state is a number that the
    model gives out; it is valid until the next `begin`.

    Attributes:
        vocabulary: the number of tokens, END OF LINE included.

    A model may have the attribute `lasting`, True, if its states stay valid after `begin`.
    """

    vocabulary: int

    def begin(self) -> int:
        """Forget all states. Return the number of the start state, after END OF LINE."""

    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return (n,) int64 states: (n,) states, each after one of (n,) tokens; a row never depends on the others."""

    def log_probs(self, states: Tensor) -> Tensor:
        """Return (n, vocabulary) float32 natural log-probabilities of the next token after (n,) states."""

"""A word model with more words than it was trained on: they share the probability of `<unk>`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.text.tokenizers import UNKNOWN


class ExtendedVocabulary:
    """A word model whose `<unk>` is shared by words of another model, by their probabilities at the start of a line.

    A recurrent model of 20,000 words and an n-gram model of 65,000 can thus be fused, and words that only one of them
    has remain possible. `<unk>` itself is impossible then, since its probability belongs to the further words.

    Attributes:
        words: the model's words, then the further ones.
        vocabulary: the number of all.
    """

    def __init__(
        self, model: LanguageModelProtocol, words: Sequence[str], other: LanguageModelProtocol, others: Sequence[str]
    ) -> None:
        """
        Args:
            model: with `<unk>` among its words.
            words: its tokens.
            other: the model with further words.
            others: its tokens.
        """
        known = set(words)
        further = [token for token, word in enumerate(others) if token and word not in known]
        start = torch.tensor([other.begin()])
        self._shares = other.log_probs(start)[0, further].log_softmax(0)
        self._model = model
        self._unknown = words.index(UNKNOWN)
        self.words = [*words, *(others[token] for token in further)]
        self.vocabulary = len(self.words)

    def begin(self) -> int:
        """As `LanguageModelProtocol.begin`."""
        return self._model.begin()

    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        """As `LanguageModelProtocol.extend`; a further word is read as `<unk>`."""
        return self._model.extend(states, tokens.masked_fill(tokens >= self._model.vocabulary, self._unknown))

    def log_probs(self, states: Tensor) -> Tensor:
        """As `LanguageModelProtocol.log_probs`."""
        base = self._model.log_probs(states)
        further = base[:, self._unknown, None] + self._shares
        base[:, self._unknown] = -torch.inf
        return torch.cat([base, further], 1)

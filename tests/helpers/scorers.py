"""Language models whose every probability stands in a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from speechrnn.decoding.scorers.base import Scorer
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, WordTokenizer

WORDS = ["cat", "the", "that", "then", "a", "he"]

CHARS = CharTokenizer.build([], " acehnt")

SUBWORDS = SubwordTokenizer.train([" ".join(pair) for pair in itertools.product([*WORDS, "tan", "neat"], repeat=2)], 14)

WHOLE = WordTokenizer.build([" ".join(WORDS)])


class Bigram:
    """A model that knows the token before; its states are numbered by history, so that none is like another."""

    def __init__(self, vocabulary: int, seed: int = 0, impossible: Sequence[int] = ()) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = 2 * torch.randn(vocabulary, vocabulary, generator=generator)
        logits[:, list(impossible)] = -math.inf
        self.table = logits.log_softmax(1)
        self.vocabulary = vocabulary
        self.begin()

    def begin(self) -> int:
        self.last = [0]
        return 0

    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        first = len(self.last)
        self.last += tokens.tolist()
        return torch.arange(first, len(self.last))

    def log_probs(self, states: Tensor) -> Tensor:
        return self.table[torch.tensor(self.last)[states]]

    def of(self, tokens: Sequence[int]) -> float:
        return sum(float(self.table[pair]) for pair in itertools.pairwise([0, *tokens, 0]))


def closed(words: Sequence[str] = WORDS, seed: int = 0) -> tuple[Bigram, list[str]]:
    """A word model in which all words can be spelt."""
    return Bigram(len(words) + 1, seed), ["<blank>", *words]


def total(scorer: Scorer, labels: Sequence[int], finish: bool = True) -> float:
    """Return the score of a whole text, asked label by label."""
    state, result = torch.tensor([scorer.begin()]), 0.0
    for label in labels:
        row = scorer.scores(state)
        assert row.dtype == torch.float32 and row[0, 0] == 0
        result += float(row[0, label])
        state = scorer.extend(state, torch.tensor([label]))
    return result + (float(scorer.finish(state)[0]) if finish else 0.0)

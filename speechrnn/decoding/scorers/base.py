"""Scores that the search adds to the acoustic model's: language models, hot words, a lexicon, a reward for words.

A scorer reads a hypothesis label by label and represents what it has read by a state, an integer: many hypotheses are a
tensor of states, and only the scorer knows the content of a state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.decoding.scorers.lexicon import Spelling
from speechrnn.nn.language import END_OF_LINE
from speechrnn.text.symbols import describe_counts
from speechrnn.text.tokenizers import Tokenizer

IMPOSSIBLE = -math.inf


class Scorer(Protocol):
    """Score label sequences. Labels are the acoustic tokenizer's, 1 and up; a row never depends on the other rows."""

    def begin(self) -> int:
        """Forget all states; return the start state, after no label."""

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        """Return (n,) states: (n,) states, each after one of (n,) labels."""

    def scores(self, states: Tensor) -> Tensor:
        """Return (n, symbols) float32: what each next label adds to the score after (n,) states, natural logarithm.

        -inf forbids it. Column 0, the blank, is 0.
        """

    def finish(self, states: Tensor) -> Tensor:
        """Return (n,) float32: what the end of the utterance adds to the score after (n,) states."""


@dataclass(frozen=True)
class WeightedScorer:
    """A scorer and how much it counts.

    Attributes:
        weight: factor of what it adds; what it forbids stays forbidden at any weight, 0 included.
        name: in messages and results ("language", "hot words").
    """

    scorer: Scorer
    weight: float
    name: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise UserError(f"The weight of {self.name} is {self.weight}; give a finite number, 0 to leave it out.")

    def weigh(self, values: Tensor) -> Tensor:
        """Return the result of `scores` or `finish` times the weight."""
        if self.weight >= torch.finfo(torch.float32).tiny:
            return values * self.weight
        # 0, and what float32 rounds to it, times -inf would be nan.
        return (values * self.weight).masked_fill(values == IMPOSSIBLE, IMPOSSIBLE)


class LabelScorer:
    """A language model whose tokens are the acoustic model's labels: characters, or the same subwords."""

    def __init__(self, model: LanguageModelProtocol, mapping: Tensor) -> None:
        """Wrap a model. `mapping`: (symbols,) its token for each label (see `match_symbols`), on the states' device."""
        self.model = model
        self.mapping = mapping

    def begin(self) -> int:
        """Return the model's start state."""
        return self.model.begin()

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        """As `Scorer.extend`; the states are the model's own."""
        return self.model.extend(states, self.mapping[labels])

    def scores(self, states: Tensor) -> Tensor:
        """As `Scorer.scores`."""
        result = self.model.log_probs(states).index_select(1, self.mapping)
        result[:, 0] = 0.0
        return result

    def finish(self, states: Tensor) -> Tensor:
        """As `Scorer.finish`."""
        return self.model.log_probs(states)[:, END_OF_LINE]


def match_symbols(acoustic: Sequence[str], language: Sequence[str]) -> Tensor:
    """Return the language model's token for each label of the acoustic model: (symbols,) for `LabelScorer`.

    Args:
        acoustic, language: their tokenizers' symbols. Further symbols of the language model are not used.

    Raises:
        UserError: the language model lacks some.
    """
    index = {symbol: number for number, symbol in enumerate(language)}
    missing = [symbol for symbol in acoustic[1:] if symbol not in index]
    if missing:
        known = set(acoustic)
        extra = [symbol for symbol in language[1:] if symbol not in known]
        other = f"; the acoustic model lacks {_listed(extra)}" if extra else ""
        raise UserError(
            f"The language model's alphabet is another than the acoustic model's: it lacks {_listed(missing)}{other}. "
            "Train the language model with the acoustic model's tokenizer, on text normalised in the same way."
        )
    return torch.tensor([END_OF_LINE, *(index[symbol] for symbol in acoustic[1:])])


def _listed(symbols: Sequence[str], most: int = 8) -> str:
    few = describe_counts(dict.fromkeys(symbols[:most], 1)).replace(" 1×", "")
    return few + (f" and {len(symbols) - most} more" if len(symbols) > most else "")


class TableScorer:
    """A scorer with few states, all of whose scores are in tables.

    Attributes:
        follow: (states, symbols) int64, the state after each label.
        gains: (states, symbols) what each label adds.
        ends: (states,) what is added where the utterance ends.
        start: the state in which nothing was read.
    """

    def __init__(self, follow: Tensor, gains: Tensor, ends: Tensor, start: int) -> None:
        self.follow = follow
        self.gains = gains
        self.ends = ends
        self.start = start

    def begin(self) -> int:
        """Return the start state; all others are known beforehand."""
        return self.start

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        """As `Scorer.extend`."""
        return self.follow[states, labels]

    def scores(self, states: Tensor) -> Tensor:
        """As `Scorer.scores`."""
        return self.gains.index_select(0, states)

    def finish(self, states: Tensor) -> Tensor:
        """As `Scorer.finish`."""
        return self.ends[states]


class WordInsertionBonus(TableScorer):
    """A bonus of 1 for each label, or for each word as it begins; it offsets a language model's bias to short texts."""

    def __init__(
        self, tokenizer: Tokenizer, unit: Literal["label", "word"] = "word", device: torch.device | str = "cpu"
    ) -> None:
        """Read the symbols of the acoustic model's `tokenizer`."""
        spelling = Spelling(tokenizer, device)
        bare = torch.tensor([text == "" for text in spelling.letters], device=device)
        if unit == "label":
            gains = torch.ones(1, len(spelling), device=device)
            follow = torch.zeros(1, len(spelling), dtype=torch.long, device=device)
        else:  # state 0: between words, 1: in a word
            follow = (~bare).long().repeat(2, 1)
            gains = torch.stack([~bare, spelling.begins & ~bare]).float()
        gains[:, 0] = 0.0
        super().__init__(follow, gains, torch.zeros(len(gains), device=device), start=0)

"""Readings of labels that spell several words: which of the words that sound alike they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.nn.language import END_OF_LINE

MOST = 8  # readings, each with another context, that are compared
THRESHOLD = 8.0  # natural logarithm below the best of them
WAIT = 4  # words after a word that help to choose it; a live stream shows it as stable then


class Reading(NamedTuple):
    """A sequence of tokens, with its log-probability."""

    score: float
    tokens: tuple[int, ...]


class Readings:
    """Choose a token for each of several words by those before and after it: a Viterbi search in a language model.

    What was found for a sequence of words is used again for the next sequence that begins with the same ones.

    Args:
        model: the language model.
        device: of its states.
    """

    def __init__(self, model: LanguageModelProtocol, device: torch.device | str) -> None:
        self._model = model
        self._device = device

    def begin(self, context: int, following: dict[tuple[int, int], int]) -> None:
        """Forget everything, since the states of the model may have changed.

        Args:
            context: the model's start state.
            following: contexts after a context and a token that are known; others are added.
        """
        self._next = following
        self._known: dict[tuple[int, int], float] = {}  # context, token -> log-probability
        # The words of the latest sequence, and the best reading of each context after them; before the first, no word.
        self._steps: list[tuple[Sequence[int], Mapping[int, Reading]]] = [((), {context: Reading(0.0, ())})]

    def best(self, words: Sequence[Sequence[int]], ended: bool) -> tuple[int, ...]:
        """Return the most probable token of each word.

        Args:
            words: for each word, the tokens that may be meant.
            ended: whether the line ends behind them, whose probability counts then.
        """
        readings = self._after(words)
        if ended:
            return self._longer(readings, [END_OF_LINE])[0][1].tokens[:-1]
        return next(iter(readings.values())).tokens

    def sure(self, words: Sequence[Sequence[int]]) -> int:
        """Return how many of the words, from the first, have the token of `best` whatever words follow."""
        readings = [reading.tokens for reading in self._after(words).values()]
        count = len(words)
        while any(tokens[:count] != readings[0][:count] for tokens in readings):
            count -= 1
        return count

    def _after(self, words: Sequence[Sequence[int]]) -> Mapping[int, Reading]:
        """Return the readings that are left after words, the best one of each context; the most probable first."""
        common = 0
        while common < min(len(words), len(self._steps) - 1) and words[common] == self._steps[common + 1][0]:
            common += 1
        del self._steps[common + 1 :]
        for tokens in words[common:]:
            longer = self._longer(self._steps[-1][1], tokens)
            best = longer[0][1]
            readings: dict[int, Reading] = {}
            for context, reading in longer[:MOST]:
                near = reading.score >= best.score - THRESHOLD  # also where all are impossible
                if near and reading.tokens[:-WAIT] == best.tokens[:-WAIT]:
                    readings.setdefault(self._follow(context, reading.tokens[-1]), reading)
            self._steps.append((tokens, readings))
        return self._steps[-1][1]

    def _longer(self, readings: Mapping[int, Reading], tokens: Sequence[int]) -> list[tuple[int, Reading]]:
        """Return the readings with one of the tokens more, and the contexts before it; the most probable first."""
        pairs = [(context, token) for context in readings for token in tokens]
        scores = self._log_probs(pairs) if len(pairs) > 1 else [0.0]  # nothing to compare
        longer = []
        for (context, token), score in zip(pairs, scores, strict=True):
            before = readings[context]
            longer.append((context, Reading(before.score + score, (*before.tokens, token))))
        return sorted(longer, key=lambda pair: -pair[1].score)

    def _log_probs(self, pairs: Sequence[tuple[int, int]]) -> list[float]:
        """Return the model's log-probabilities of tokens in contexts."""
        if new := [pair for pair in pairs if pair not in self._known]:
            contexts, tokens = torch.tensor(new, device=self._device).T
            if isinstance(self._model, NgramModel):
                values = self._model.log_prob(contexts, tokens)
            else:
                distinct, rows = contexts.unique(return_inverse=True)
                values = self._model.log_probs(distinct)[rows, tokens]
            self._known.update(zip(new, values.tolist(), strict=True))
        return [self._known[pair] for pair in pairs]

    def _follow(self, context: int, token: int) -> int:
        """Return the context after a token."""
        if (context, token) not in self._next:
            state, following = (torch.tensor([value], device=self._device) for value in (context, token))
            self._next[context, token] = int(self._model.extend(state, following))
        return self._next[context, token]

"""Recombination of hypotheses: a narrow beam holds different futures, not variants of a past that no longer matters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from speechrnn.decoding.beam_search import BeamOptions, beam_search
from speechrnn.decoding.recombination import demote_repeated, future_keys
from speechrnn.decoding.scorers.base import WeightedScorer

SYMBOLS = 6
WIDE = 2000  # hypotheses; more than the tests have


class Bigram:
    """A language model of labels: a state is the last label."""

    def __init__(self, log_probs: Tensor) -> None:
        """`log_probs`: (symbols, symbols) of the next label after each; row 0 is that of the beginning."""
        self._log_probs = log_probs.clone()
        self._log_probs[:, 0] = 0.0

    def begin(self) -> int:
        """See `Scorer.begin`."""
        return 0

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        """See `Scorer.extend`."""
        return labels

    def scores(self, states: Tensor) -> Tensor:
        """See `Scorer.scores`."""
        return self._log_probs[states]

    def finish(self, states: Tensor) -> Tensor:
        """See `Scorer.finish`."""
        return torch.zeros(len(states))


def best(log_probs: Tensor, scorer: Bigram, beam_size: int) -> tuple[tuple[int, ...], float]:
    """Return the labels and the score of the best hypothesis."""
    options = BeamOptions(beam_size, blank_threshold=1.0, symbol_threshold=0.0, beam_threshold=None)
    scorers = [WeightedScorer(scorer, 1.0, "ngram")]
    (found,) = beam_search(log_probs[None], torch.tensor([len(log_probs)]), scorers, options=options)
    return found[0].tokens, found[0].score


def frame(**probabilities: float) -> Tensor:
    """Return (symbols,) log-probabilities: `s1=0.6` is the label 1 with 0.6; the rest is shared."""
    given = {int(name[1:]): value for name, value in probabilities.items()}
    rest = (1 - sum(given.values())) / (SYMBOLS - len(given))
    return torch.tensor([given.get(symbol, rest) for symbol in range(SYMBOLS)]).log()


def test_doubts_of_long_ago_do_not_fill_the_beam() -> None:
    model = torch.full((SYMBOLS, SYMBOLS), math.log(1 / (SYMBOLS - 1)))
    model[3, 5], model[4, 5] = math.log(1e-4), math.log(0.9)  # after 3 there is hardly a 5
    doubtful = [frame(s1=0.5, s2=0.495), frame(s0=0.995)] * 6  # 64 variants
    decisive = [frame(s3=0.6, s4=0.395), frame(s0=0.995), frame(s5=0.995)]  # which of 3 and 4 shows only at the 5
    log_probs = torch.stack([*doubtful, *decisive])
    narrow, wide = best(log_probs, Bigram(model), 8), best(log_probs, Bigram(model), WIDE)
    assert narrow[0] == wide[0] == (1,) * 6 + (4, 5)
    assert narrow[1] == pytest.approx(wide[1], abs=0.05)


def test_a_prefix_that_only_now_is_spoken_is_not_held_back_by_its_past() -> None:
    model = torch.full((SYMBOLS, SYMBOLS), math.log(1 / (SYMBOLS - 1)))
    # After the second frame, 4 after 1 and 4 after 2 are both in the beam, by little; then 4 is spoken.
    log_probs = torch.stack([frame(s2=0.6, s1=0.3), frame(s0=0.9, s4=0.02), frame(s4=0.95), frame(s0=0.97)])
    narrow, wide = best(log_probs, Bigram(model), 6), best(log_probs, Bigram(model), WIDE)
    assert narrow[0] == wide[0] == (2, 4)


def test_the_best_of_each_key_loses_nothing() -> None:
    keys = torch.tensor([[3, 3, 5, 3], [1, 2, 1, 2]])
    scores = torch.tensor([[-4.0, -1.0, -math.inf, -2.0], [-1.0, -1.0, -1.0, 0.0]])
    assert (demote_repeated(keys, scores) < 0).tolist() == [[True, False, False, True], [False, True, True, False]]


def test_keys_are_those_of_labels_and_states() -> None:
    last = torch.tensor([[1, 1, 2, 1]])
    states = torch.tensor([[[7, 2**40], [7, 2**40], [7, 2**40], [8, 2**40]]])
    first, second, *others = future_keys(last, states)[0].tolist()
    assert first == second and len({first, *others}) == 3

"""N-best rescoring: a language model too large for the search ranks the hypotheses of the search again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.scorers.base import WeightedScorer


def rescore(hypotheses: Sequence[Sequence[Hypothesis]], scorer: WeightedScorer) -> list[list[Hypothesis]]:
    """Add a scorer's score to each whole hypothesis and rank the hypotheses of each utterance anew.

    All hypotheses of all utterances are scored together, label by label. A hypothesis that the scorer forbids is
    dropped; where it forbids all of an utterance, these stay as they are, without its part.

    Args:
        hypotheses: of each utterance, as `beam_search` returns them.
        scorer: its name must be new among the hypotheses' parts.
    """
    flat = [hypothesis for utterance in hypotheses for hypothesis in utterance]
    lengths = torch.tensor([len(hypothesis.tokens) for hypothesis in flat])
    labels = torch.zeros(len(flat), int(lengths.max()) if flat else 0, dtype=torch.long)
    for row, hypothesis in enumerate(flat):
        labels[row, : len(hypothesis.tokens)] = torch.tensor(hypothesis.tokens, dtype=torch.long)
    states = torch.full((len(flat),), scorer.scorer.begin(), dtype=torch.long)
    totals = torch.zeros(len(flat), dtype=torch.float64)
    for place in range(labels.shape[1]):
        going = (lengths > place).nonzero().squeeze(1)
        following = labels[going, place]
        totals[going] += scorer.scorer.scores(states[going]).gather(1, following[:, None]).squeeze(1).double().cpu()
        states[going] = scorer.scorer.extend(states[going], following)
    totals += scorer.scorer.finish(states).double().cpu()
    scores = iter(zip(totals.tolist(), scorer.weigh(totals).tolist(), strict=True))
    results = []
    for utterance in hypotheses:
        rescored = []
        for hypothesis in utterance:
            part, weighted = next(scores)
            if math.isfinite(part):
                parts = {**hypothesis.parts, scorer.name: part}
                rescored.append(replace(hypothesis, score=hypothesis.score + weighted, parts=parts))
        results.append(sorted(rescored or utterance, key=lambda hypothesis: -hypothesis.score))
    return results

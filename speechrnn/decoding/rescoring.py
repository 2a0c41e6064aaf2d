"""A second opinion on the N-best: a language model too large for the search ranks what the search has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.scorers.base import WeightedScorer


def rescore(hypotheses: Sequence[Sequence[Hypothesis]], scorer: WeightedScorer) -> list[list[Hypothesis]]:
    """Adds what a scorer says of each whole hypothesis, and ranks the hypotheses of each utterance anew.

    All hypotheses of all utterances are scored together, label by label.

    Args:
        hypotheses: of each utterance, as `beam_search` returns them.
        scorer: whose name is new among the hypotheses' parts.
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
    added = iter(zip(totals.tolist(), scorer.weigh(totals).tolist(), strict=True))
    results = []
    for utterance in hypotheses:
        scored = []
        for hypothesis in utterance:
            part, weighted = next(added)
            parts = {**hypothesis.parts, scorer.name: part}
            scored.append(replace(hypothesis, score=hypothesis.score + weighted, parts=parts))
        results.append(sorted(scored, key=lambda hypothesis: -hypothesis.score))
    return results

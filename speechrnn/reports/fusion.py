"""Compare the fused decoding with greedy decoding: which utterances the language model changed, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from speechrnn.evaluation.metrics import Edit, align, count_errors
from speechrnn.reports.speech_run import Alternative, ScoredUtterance

SHOWN = 6  # utterances
ALTERNATIVES = 5  # of each
# Names of scores, as readers see them; others are shown with spaces.
NAMES = {"language": "Language model", "ngram": "N-gram model", "rescoring": "Rescoring model", "length": "Words"}


@dataclass(frozen=True)
class ChangedUtterance:
    """An utterance whose greedy and fused hypotheses differ.

    Attributes:
        greedy, fused: alignments of both hypotheses with the reference.
        scores: columns of the table of alternatives: "acoustic", those of the language models, their weighted sum.
        alternatives: rows of that table.
    """

    id: str
    greedy: list[Edit]
    fused: list[Edit]
    columns: list[str]
    alternatives: list[list[str]]


@dataclass(frozen=True)
class FusionChanges:
    """Changes that the language model made to the greedy hypotheses.

    Attributes:
        compared: number of utterances with both hypotheses.
        better, worse, equal: of the changed ones, those with fewer, more, and as many word errors.
        shown: examples.
    """

    compared: int
    better: int
    worse: int
    equal: int
    shown: list[ChangedUtterance]


def compare_with_greedy(scored: Sequence[ScoredUtterance], most_shown: int = SHOWN) -> FusionChanges | None:
    """Compare the two hypotheses of each utterance.

    Returns:
        the counts and some examples, the greatest gains and losses first; None where there is no greedy hypothesis.
    """
    compared = [item for item in scored if item.row.greedy is not None]
    if not compared:
        return None
    changed = [
        (_gain(item), item) for item in compared if (item.row.greedy or "").split() != item.row.hypothesis.split()
    ]
    ranked = [item for _, item in sorted(changed, key=lambda pair: (-pair[0], pair[1].row.id))]
    chosen = ranked if len(ranked) <= most_shown else [*ranked[: most_shown - 2], *ranked[-2:]]
    better, worse = sum(gain > 0 for gain, _ in changed), sum(gain < 0 for gain, _ in changed)
    return FusionChanges(
        len(compared), better, worse, equal=len(changed) - better - worse, shown=[_changed(item) for item in chosen]
    )


def _gain(item: ScoredUtterance) -> int:
    """Return how many word errors fewer the fused hypothesis has."""
    greedy = count_errors(item.row.reference.split(), (item.row.greedy or "").split())
    return greedy.errors - item.errors.errors


def _changed(item: ScoredUtterance) -> ChangedUtterance:
    best = item.alternatives()[:ALTERNATIVES]
    models = list(dict.fromkeys(name for alternative in best for name in alternative.parts))
    return ChangedUtterance(
        id=item.row.id,
        greedy=align(item.row.reference.split(), (item.row.greedy or "").split()),
        fused=item.edits,
        columns=[
            "Hypothesis",
            "Acoustic model",
            *(NAMES.get(name, name.replace("_", " ").capitalize()) for name in models),
            "Weighted sum",
        ],
        alternatives=[_scores(alternative, models) for alternative in best],
    )


def _scores(alternative: Alternative, models: Sequence[str]) -> list[str]:
    parts = [f"{alternative.parts[name]:.2f}" if name in alternative.parts else "" for name in models]
    return [alternative.text or "(no words)", f"{alternative.acoustic:.2f}", *parts, f"{alternative.score:.2f}"]

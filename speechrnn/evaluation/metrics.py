"""Word and character error rates, their confidence intervals, and the comparison of two runs.

Rates are fractions. Rows are those of `hypotheses.jsonl`: mappings with "id", "reference" and "hypothesis".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from speechrnn.core.errors import UserError
from speechrnn.core.plural import count

HIT, SUBSTITUTION, DELETION, INSERTION = "hit", "substitution", "deletion", "insertion"

_OPERATIONS = {"replace": SUBSTITUTION, "delete": DELETION, "insert": INSERTION}  # rapidfuzz's names


@dataclass(frozen=True)
class Errors:
    """Count the errors of one utterance or, added up, of many.

    >>> sum([Errors(substitutions=1, hits=3), Errors(deletions=1, hits=5)], Errors())
    Errors(substitutions=1, insertions=0, deletions=1, hits=8)
    """

    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0
    hits: int = 0

    @property
    def errors(self) -> int:
        """Return the sum of substitutions, insertions and deletions."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def reference_length(self) -> int:
        """Return the number of reference tokens."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Return errors per reference token; for an empty reference the number of insertions, as in jiwer."""
        return self.errors / max(self.reference_length, 1)

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            hits=self.hits + other.hits,
        )


class Edit(NamedTuple):
    """Hold one step of an alignment; `reference` is None for an insertion, `hypothesis` for a deletion."""

    op: str  # HIT, SUBSTITUTION, DELETION or INSERTION
    reference: str | None
    hypothesis: str | None


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Edit]:
    """Align two token sequences with the fewest errors (Levenshtein 1966).

    Among alignments with equally many errors it is the one of rapidfuzz, so that the counts are those of jiwer.

    Args:
        reference: tokens: a list of words (`text.split()`) or a string, for its characters.
        hypothesis: tokens of the same kind.

    Returns:
        the steps from the reference to the hypothesis, in order.

    >>> align("sharks feed".split(), "shark feed now".split())  # doctest: +NORMALIZE_WHITESPACE
    [Edit(op='substitution', reference='sharks', hypothesis='shark'),
     Edit(op='hit', reference='feed', hypothesis='feed'),
     Edit(op='insertion', reference=None, hypothesis='now')]
    """
    edits: list[Edit] = []
    place = 0  # in the reference
    for step in Levenshtein.editops(reference, hypothesis):
        edits.extend(Edit(HIT, token, token) for token in reference[place : step.src_pos])
        op = _OPERATIONS[step.tag]
        place = step.src_pos + (op != INSERTION)
        source = None if op == INSERTION else reference[step.src_pos]
        edits.append(Edit(op, source, None if op == DELETION else hypothesis[step.dest_pos]))
    edits.extend(Edit(HIT, token, token) for token in reference[place:])
    return edits


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """Count the operations of `align` without building the alignment.

    >>> count_errors("tuna", "tune")
    Errors(substitutions=1, insertions=0, deletions=0, hits=3)
    """
    counts = Counter(step[0] for step in Levenshtein.editops(reference, hypothesis).as_list())
    substitutions, deletions = counts["replace"], counts["delete"]
    return Errors(substitutions, counts["insert"], deletions, hits=len(reference) - substitutions - deletions)


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[Errors]:
    """Count the word errors of each utterance; words are separated by white space.

    Raises:
        UserError: the lists differ in length.

    >>> word_errors(["GO HOME NOW"], ["GO HOME"])[0].rate
    0.3333333333333333
    """
    return [count_errors(a.split(), b.split()) for a, b in _pairs(references, hypotheses)]


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[Errors]:
    """Count the character errors of each utterance; spaces between words count, spaces at the ends do not.

    >>> [errors] = character_errors(["TUNA"], ["TUNE "])
    >>> errors.errors, errors.rate
    (1, 0.25)

    Raises:
        UserError: the lists differ in length.
    """
    return [count_errors(a.strip(), b.strip()) for a, b in _pairs(references, hypotheses)]


def _pairs(references: Sequence[str], hypotheses: Sequence[str]) -> list[tuple[str, str]]:
    if isinstance(references, str) or isinstance(hypotheses, str):
        raise TypeError("references and hypotheses are lists of texts: one text would be taken for a list of letters")
    if len(references) != len(hypotheses):
        raise UserError(
            f"There must be one hypothesis for each reference, not {len(hypotheses)} for {len(references)}."
        )
    return list(zip(references, hypotheses, strict=True))


def bootstrap_interval(
    errors: Sequence[int], lengths: Sequence[int], level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Estimate the confidence interval of an error rate by resampling utterances (Bisani and Ney, ICASSP 2004).

    With the differences of two runs' errors it is the paired interval of the difference of their rates (section 4).

    >>> low, high = bootstrap_interval([0, 1, 0, 2] * 25, [10] * 100)
    >>> low < 0.075 < high
    True

    Args:
        errors: errors of each utterance.
        lengths: reference tokens of each utterance.
        level: coverage; both tails have the same probability.
        samples: number of resampled test sets.
        seed: of the random numbers; equal seeds give equal intervals.

    Returns:
        the lower and the upper bound.

    Raises:
        UserError: no utterances, or lists of different lengths.
    """
    _check_lengths(errors, lengths)
    # Utterances with equal counts are drawn together, as a multinomial: the same distribution in a fraction of the
    # time, independent of the order of utterances. In blocks, so that a million utterances fit in memory.
    rows, counts = np.unique(np.array([errors, lengths], dtype=np.int64).T, axis=0, return_counts=True)
    generator, total = np.random.default_rng(seed), int(counts.sum())
    rates = []
    for done in range(0, samples, 100):
        sums = generator.multinomial(total, counts / total, size=min(100, samples - done)) @ rows
        rates.append(sums[:, 0] / np.maximum(sums[:, 1], 1))
    low, high = np.quantile(np.concatenate(rates), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def matched_pairs(errors_a: Sequence[int], errors_b: Sequence[int]) -> float:
    """Return the two-sided p-value of the matched-pairs test (MAPSSWE; Gillick and Cox, ICASSP 1989).

    Utterances are the segments. The mean difference over its standard error is compared with the normal distribution,
    which needs about 30 utterances. Where all differences are equal, and so have no standard error, it is the sign
    test's p-value.

    >>> round(matched_pairs([1, 0, 2, 1] * 10, [0, 0, 1, 1] * 10), 6)
    0.0
    >>> matched_pairs([1, 2], [1, 2])
    1.0

    Args:
        errors_a: errors of each utterance in the first run.
        errors_b: errors of each utterance in the second run.

    Raises:
        UserError: no utterances, or lists of different lengths.
    """
    _check_lengths(errors_a, errors_b)
    differences = np.subtract(errors_a, errors_b, dtype=np.float64)
    n, mean = len(differences), float(differences.mean())
    if mean == 0:
        return 1.0
    if n == 1 or (deviation := float(differences.std(ddof=1))) == 0:
        return 2.0 ** (1 - n)
    return math.erfc(abs(mean) / (deviation / math.sqrt(n)) / math.sqrt(2))


def _check_lengths(*columns: Sequence[int]) -> None:
    if len({len(column) for column in columns}) != 1:
        raise UserError(
            f"The counts are of {' and '.join(str(len(c)) for c in columns)} utterances; give one for each."
        )
    if not columns[0]:
        raise UserError("There are no utterances to measure; give references and hypotheses.")


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row.get(key), str):
            raise UserError(
                f"Row {number} of the hypotheses ({row.get('id', 'without id')}) has no text {key!r}; add it."
            )
    return [row[key] for row in rows]


def score(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compute the entry of `metrics.json` for one decoding system from the rows of `hypotheses.jsonl`.

    Returns:
        "wer", "cer", "wer_ci95" (95 % interval), "utterances", "words" (of the references), and "substitutions",
        "insertions" and "deletions" in words.

    Raises:
        UserError: no rows, or one without a reference or a hypothesis.

    >>> score([{"id": "a", "reference": "GO HOME", "hypothesis": "GO HOMES"}])["wer"]
    0.5
    """
    references, hypotheses = _column(rows, "reference"), _column(rows, "hypothesis")
    words = word_errors(references, hypotheses)
    total = sum(words, Errors())
    interval = bootstrap_interval([item.errors for item in words], [item.reference_length for item in words])
    return {
        "wer": total.rate,
        "cer": sum(character_errors(references, hypotheses), Errors()).rate,
        "wer_ci95": list(interval),
        "utterances": len(rows),
        "words": total.reference_length,
        "substitutions": total.substitutions,
        "insertions": total.insertions,
        "deletions": total.deletions,
    }


@dataclass(frozen=True)
class Comparison:
    """Compare two runs over the same utterances, in word errors.

    Attributes:
        rate_a: word error rate of the first run.
        rate_b: word error rate of the second run.
        difference: rate_b - rate_a, below 0 where the second run makes fewer errors.
        interval: 95 % interval of the difference.
        p_value: of the two-sided matched-pairs test.
        utterances: number of utterances.
    """

    rate_a: float
    rate_b: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    utterances: int


def compare(rows_a: Sequence[Mapping[str, Any]], rows_b: Sequence[Mapping[str, Any]]) -> Comparison:
    """Compare the word errors of two runs' `hypotheses.jsonl`; rows are matched by id, in any order.

    >>> first = [{"id": "a", "reference": "ONE TWO", "hypothesis": "ONE"}]
    >>> second = [{"id": "a", "reference": "ONE TWO", "hypothesis": "ONE TWO"}]
    >>> compare(first, second).difference
    -0.5

    Raises:
        UserError: an id twice, an utterance in one run only, or one with two different references.
    """
    for name, rows in (("first", rows_a), ("second", rows_b)):
        if len(set(_column(rows, "id"))) != len(rows):
            raise UserError(f"The {name} run has an utterance twice; give each id once.")
    others = {row["id"]: row for row in rows_b}
    if unmatched := sorted(others.keys() ^ {row["id"] for row in rows_a}):
        raise UserError(
            f"{count(len(unmatched), 'utterance is', 'utterances are')} in one run only (first: {unmatched[0]}); "
            "compare runs on one test set."
        )
    rows_b = [others[row["id"]] for row in rows_a]
    references = _column(rows_a, "reference")
    for row, reference, other in zip(rows_a, references, _column(rows_b, "reference"), strict=True):
        if reference.split() != other.split():
            raise UserError(f"The reference of {row['id']} differs between the runs; decode both with the same one.")
    runs = [word_errors(references, _column(rows, "hypothesis")) for rows in (rows_a, rows_b)]
    rates = [sum(run, Errors()).rate for run in runs]
    errors_a, errors_b = ([item.errors for item in run] for run in runs)
    return Comparison(
        rate_a=rates[0],
        rate_b=rates[1],
        difference=rates[1] - rates[0],
        interval=bootstrap_interval(
            np.subtract(errors_b, errors_a).tolist(), [item.reference_length for item in runs[0]]
        ),
        p_value=matched_pairs(errors_a, errors_b),
        utterances=len(references),
    )

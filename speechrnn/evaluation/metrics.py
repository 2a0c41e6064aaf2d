"""How wrong transcripts are: word and character error rates, their intervals, and the comparison of two runs.

Rates are fractions. Rows are those of `hypotheses.jsonl`: mappings with "id", "reference" and "hypothesis".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from speechrnn.core.errors import UserError

HIT, SUBSTITUTION, DELETION, INSERTION = "hit", "substitution", "deletion", "insertion"

BAND = 64  # tokens; half the width of the first band in which an alignment is looked for
FAR = 2**62  # the cost of what lies outside the band


@dataclass(frozen=True)
class Errors:
    """Counts over one utterance or, added up, over many: `sum(list_of_errors, Errors())`."""

    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0
    hits: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.insertions + self.deletions

    @property
    def reference_length(self) -> int:
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Errors per reference token. As in jiwer an empty reference counts as one token: then, the insertions."""
        return self.errors / max(self.reference_length, 1)

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.hits + other.hits,
        )


class Edit(NamedTuple):
    """One step of an alignment; `reference` is None for an insertion, `hypothesis` for a deletion."""

    op: str  # HIT, SUBSTITUTION, DELETION or INSERTION
    reference: str | None
    hypothesis: str | None


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Edit]:
    """The steps from reference to hypothesis: an alignment with the fewest errors and, among those, the most hits.

    Args:
        reference, hypothesis: tokens, as lists of words (`text.split()`) or as strings for their characters.
    """
    moves: list[tuple[int, np.ndarray]] = []
    start, stop_reference, stop_hypothesis = _core(reference, hypothesis)
    _cost(reference[start:stop_reference], hypothesis[start:stop_hypothesis], moves)
    steps = [Edit(HIT, token, token) for token in reversed(reference[stop_reference:])]
    i, j = stop_reference, stop_hypothesis
    while i > start or j > start:
        if i == start:
            op = INSERTION
        else:
            low, row = moves[i - start - 1]
            op = (SUBSTITUTION, DELETION, INSERTION)[row[j - start - low]]
        i -= op != INSERTION
        j -= op != DELETION
        ref = None if op == INSERTION else reference[i]
        hyp = None if op == DELETION else hypothesis[j]
        steps.append(Edit(HIT if ref == hyp else op, ref, hyp))
    steps.extend(Edit(HIT, token, token) for token in reversed(reference[:start]))
    return steps[::-1]


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """The counts of `align` without the alignment; for tokens as there."""
    start, stop_reference, stop_hypothesis = _core(reference, hypothesis)
    n, m = stop_reference - start, stop_hypothesis - start
    # Two numbers decide the other three: insertions - deletions is what the hypothesis is longer.
    errors, substitutions = divmod(_cost(reference[start:stop_reference], hypothesis[start:stop_hypothesis]), n + m + 1)
    insertions = (errors - substitutions + m - n) // 2
    deletions = errors - substitutions - insertions
    return Errors(substitutions, insertions, deletions, len(reference) - substitutions - deletions)


def _core(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[int, int, int]:
    """Where the parts begin and end that are left when the common beginning and end, always hits, are taken off."""
    start, stop_reference, stop_hypothesis = 0, len(reference), len(hypothesis)
    while start < min(stop_reference, stop_hypothesis) and reference[start] == hypothesis[start]:
        start += 1
    while (
        min(stop_reference, stop_hypothesis) > start
        and reference[stop_reference - 1] == hypothesis[stop_hypothesis - 1]
    ):
        stop_reference -= 1
        stop_hypothesis -= 1
    return start, stop_reference, stop_hypothesis


def _cost(
    reference: Sequence[str], hypothesis: Sequence[str], moves: list[tuple[int, np.ndarray]] | None = None
) -> int:
    """errors * (n + m + 1) + substitutions of the best alignment: fewest errors first, then fewest substitutions.

    An alignment with t errors strays at most t tokens from the diagonal (Ukkonen 1985), so a band is enough once it is
    wider than the errors found in it: an hour's transcript costs its length times its errors, not its length squared.

    Args:
        moves: filled, where given, with (first column, codes) a row: 0 diagonal, 1 deletion, 2 insertion.
    """
    numbers: dict[str, int] = {}
    a = np.array([numbers.setdefault(token, len(numbers)) for token in reference], dtype=np.int64)
    b = np.array([numbers.setdefault(token, len(numbers)) for token in hypothesis], dtype=np.int64)
    unit = len(a) + len(b) + 1
    band = max(BAND, 2 * abs(len(a) - len(b)))
    while True:
        if moves is not None:
            moves.clear()
        cost = _banded_cost(a, b, band, unit, moves)
        if cost // unit <= band:
            return cost
        band = min(4 * band, cost // unit)  # what was found can't be bettered outside of that


def _banded_cost(a: np.ndarray, b: np.ndarray, band: int, unit: int, moves: list[tuple[int, np.ndarray]] | None) -> int:
    ramp: np.ndarray = np.arange(len(b) + 1, dtype=np.int64) * unit
    row = np.where(np.arange(len(b) + 1) <= band, ramp, FAR)
    for i in range(len(a)):
        low, stop = max(0, i + 1 - band), min(len(b), i + 1 + band) + 1
        best = row[low:stop] + unit
        skipped = low == 0  # column 0 has no diagonal neighbour
        diagonal = row[low + skipped - 1 : stop - 1] + (b[low + skipped - 1 : stop - 1] != a[i]) * (unit + 1)
        is_deletion = best[skipped:] < diagonal
        np.minimum(best[skipped:], diagonal, out=best[skipped:])
        # Insertions run along the row: row[j] = min over k <= j of best[k] + (j - k) * unit, for all j at once.
        row[low:stop] = ramp[low:stop] + np.minimum.accumulate(best - ramp[low:stop])
        if moves is not None:
            codes: np.ndarray = np.ones(stop - low, dtype=np.uint8)
            codes[skipped:] = is_deletion
            codes[row[low:stop] < best] = 2
            moves.append((low, codes))
    return int(row[-1])


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[Errors]:
    """The errors of each utterance, words being what white space separates. UserError for lists of two lengths."""
    return [count_errors(a.split(), b.split()) for a, b in _pairs(references, hypotheses)]


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[Errors]:
    """As `word_errors`, in characters: spaces between words count, spaces at the ends do not."""
    return [count_errors(a.strip(), b.strip()) for a, b in _pairs(references, hypotheses)]


def _pairs(references: Sequence[str], hypotheses: Sequence[str]) -> list[tuple[str, str]]:
    if isinstance(references, str) or isinstance(hypotheses, str):
        raise TypeError("references and hypotheses are lists of texts: one text would be taken for a list of letters")
    if len(references) != len(hypotheses):
        raise UserError(f"There are {len(references)} references but {len(hypotheses)} hypotheses; give one for each.")
    return list(zip(references, hypotheses, strict=True))


def bootstrap_interval(
    errors: Sequence[int], lengths: Sequence[int], level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The interval of an error rate by resampling utterances (Bisani and Ney, ICASSP 2004).

    Given the differences of two runs' errors it is the paired interval of the difference of their rates (section 4).

    Args:
        errors: errors of each utterance.
        lengths: reference tokens of each utterance.
        level: the probability that the interval covers, cut off equally at both ends.
        samples: resampled test sets; the result is the same for the same seed.
    """
    _check_lengths(errors, lengths)
    # Utterances with the same numbers are drawn together, as a multinomial: the same distribution in a fraction of the
    # time, whatever the order of utterances. In pieces, so that a million utterances fit in memory.
    rows, counts = np.unique(np.array([errors, lengths], dtype=np.int64).T, axis=0, return_counts=True)
    draws, total = np.random.default_rng(seed), int(counts.sum())
    rates = []
    for done in range(0, samples, 100):
        sums = draws.multinomial(total, counts / total, size=min(100, samples - done)) @ rows
        rates.append(sums[:, 0] / np.maximum(sums[:, 1], 1))
    low, high = np.quantile(np.concatenate(rates), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def matched_pairs(errors_a: Sequence[int], errors_b: Sequence[int]) -> float:
    """Two-sided p of the matched-pairs test (MAPSSWE; Gillick and Cox, ICASSP 1989), utterances being the segments.

    The mean difference over its standard error is held against the normal distribution, which takes some 30 utterances
    or more. Where all differences are the same and so have no standard error, p is that of the sign test.
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
    """The entry of `metrics.json` for one way of decoding, from the rows of `hypotheses.jsonl`.

    "words" are those of the references, and the three kinds of errors are counted in words.
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
    """Two runs over the same utterances, in words: difference = rate_b - rate_a, below 0 where b makes fewer errors."""

    rate_a: float
    rate_b: float
    difference: float
    interval: tuple[float, float]  # 95 %, of the difference
    p_value: float  # matched pairs, two-sided
    utterances: int


def compare(rows_a: Sequence[Mapping[str, Any]], rows_b: Sequence[Mapping[str, Any]]) -> Comparison:
    """Compare two runs' `hypotheses.jsonl` by word errors; rows are matched by id, in whatever order.

    Raises:
        UserError: an id twice, an utterance in one run only, or with two different references.
    """
    for name, rows in (("first", rows_a), ("second", rows_b)):
        if len(set(_column(rows, "id"))) != len(rows):
            raise UserError(f"The {name} run names an utterance twice; each id must stand once.")
    others = {row["id"]: row for row in rows_b}
    if alone := sorted(others.keys() ^ {row["id"] for row in rows_a}):
        raise UserError(
            f"{len(alone)} utterances stand in one run only (first: {alone[0]}); compare the same test set."
        )
    rows_b = [others[row["id"]] for row in rows_a]
    references = _column(rows_a, "reference")
    for row, one, other in zip(rows_a, references, _column(rows_b, "reference"), strict=True):
        if one.split() != other.split():
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

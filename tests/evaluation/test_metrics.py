"""Error counts against jiwer and against a plain recursion; intervals and tests against their formulas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import NormalDist

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.evaluation.metrics import (
    Comparison,
    Edit,
    Errors,
    align,
    bootstrap_interval,
    character_errors,
    compare,
    count_errors,
    matched_pairs,
    score,
    word_errors,
)

sentences = st.lists(st.sampled_from(["a", "b", "cc", "feed", "on"]), max_size=9).map(" ".join)
pairs = st.lists(st.tuples(sentences, sentences), min_size=1, max_size=5)


def fewest_errors(reference: str, hypothesis: str) -> int:
    """Return the edit distance, straight from its definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        wrong = int(reference[i - 1] != hypothesis[j - 1])
        return min(distance(i - 1, j - 1) + wrong, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(reference), len(hypothesis))


@given(pairs)
def test_rates_equal_jiwer(texts: list[tuple[str, str]]) -> None:
    references, hypotheses = [a for a, _ in texts], [b for _, b in texts]
    for ours, theirs, rate in (
        (word_errors(references, hypotheses), jiwer.process_words(references, hypotheses), "wer"),
        (character_errors(references, hypotheses), jiwer.process_characters(references, hypotheses), "cer"),
    ):
        total = sum(ours, Errors())
        assert total.rate == pytest.approx(getattr(theirs, rate), abs=1e-12)
        assert total == Errors(theirs.substitutions, theirs.insertions, theirs.deletions, hits=theirs.hits)


@given(st.text("abc ", max_size=12), st.text("abc ", max_size=12))
def test_the_alignment_has_the_fewest_errors(reference: str, hypothesis: str) -> None:
    counts = count_errors(reference, hypothesis)
    assert counts.errors == fewest_errors(reference, hypothesis)
    assert counts.reference_length == len(reference)
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis)


def of_alignment(edits: Sequence[Edit]) -> Errors:
    ops = [edit.op for edit in edits]
    return Errors(ops.count("substitution"), ops.count("insertion"), ops.count("deletion"), hits=ops.count("hit"))


@given(st.text("abc ", max_size=30), st.text("abc ", max_size=30))
def test_the_alignment_spells_both_texts_and_has_the_counts(reference: str, hypothesis: str) -> None:
    edits = align(reference, hypothesis)
    counts = count_errors(reference, hypothesis)
    assert "".join(edit.reference or "" for edit in edits) == reference
    assert "".join(edit.hypothesis or "" for edit in edits) == hypothesis
    for op, ref, hyp in edits:
        assert op == (
            "deletion" if hyp is None else "insertion" if ref is None else "hit" if ref == hyp else "substitution"
        )
    assert of_alignment(edits) == counts


def test_an_alignment_step_by_step() -> None:
    assert align(["sharks", "feed", "on", "the", "tuna"], ["shark", "feed", "on", "now", "and", "then", "tuna"]) == [
        ("substitution", "sharks", "shark"),
        ("hit", "feed", "feed"),
        ("hit", "on", "on"),
        ("insertion", None, "now"),
        ("insertion", None, "and"),
        ("substitution", "the", "then"),
        ("hit", "tuna", "tuna"),
    ]
    assert align(["on", "the", "tuna"], ["on", "tuna"]) == [
        ("hit", "on", "on"),
        ("deletion", "the", None),
        ("hit", "tuna", "tuna"),
    ]


def test_parts_that_changed_places_are_still_found() -> None:
    # Equal lengths, and every hit far off the diagonal: the first band holds substitutions only.
    first, second = [f"a{i}" for i in range(100)], [f"b{i}" for i in range(300)]
    assert count_errors(first + second, second + first) == Errors(0, 100, 100, hits=300)
    assert of_alignment(align(first + second, second + first)) == Errors(0, 100, 100, hits=300)


def test_a_long_transcript_is_counted_exactly() -> None:
    draws = np.random.default_rng(0)
    reference = [f"w{i}" for i in range(8_000)]  # all different: each change below is one error, whatever else happens
    kept = draws.random(8_000)
    hypothesis: list[str] = []
    for word, chance in zip(reference, kept, strict=True):
        if chance < 0.02:
            continue
        hypothesis.append("wrong" if chance < 0.05 else word)
    expected = Errors(
        int(((kept >= 0.02) & (kept < 0.05)).sum()), 0, int((kept < 0.02).sum()), hits=int((kept >= 0.05).sum())
    )
    counts = count_errors(reference, hypothesis)
    assert counts.errors == expected.errors
    assert counts.insertions - counts.deletions == len(hypothesis) - 8_000
    assert counts.hits == expected.hits


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [("", "", 0.0), ("", "two words", 2.0), ("a b", "", 1.0), ("a b", "a b", 0.0), ("a", "a b c", 2.0)],
)
def test_rates_at_the_edges(reference: str, hypothesis: str, rate: float) -> None:
    (errors,) = word_errors([reference], [hypothesis])
    assert errors.rate == rate
    assert errors.rate == jiwer.process_words([reference], [hypothesis]).wer


def test_errors_add_up() -> None:
    total = Errors(1, 2, 3, hits=4) + Errors(10, 20, 30, hits=40)
    assert total == Errors(11, 22, 33, hits=44)
    assert (total.errors, total.reference_length, total.rate) == (66, 88, 0.75)


def test_lists_of_two_lengths_are_refused() -> None:
    for function in (word_errors, character_errors):
        with pytest.raises(UserError, match="not 1 for 2"):
            function(["a", "b"], ["a"])
        with pytest.raises(TypeError, match="lists of texts"):
            function("ab", "ab")
    with pytest.raises(UserError, match="2 and 1 utterances"):
        bootstrap_interval([1, 2], [3])
    with pytest.raises(UserError, match="no utterances"):
        matched_pairs([], [])


def test_the_interval_of_independent_words_is_the_binomial_one() -> None:
    errors = [1] * 80 + [0] * 320  # one word an utterance, 20 % wrong
    low, high = bootstrap_interval(errors, [1] * 400)
    spread = 1.96 * math.sqrt(0.2 * 0.8 / 400)
    assert (low, high) == pytest.approx((0.2 - spread, 0.2 + spread), abs=0.003)
    narrow = bootstrap_interval(errors, [1] * 400, level=0.68)
    assert narrow == pytest.approx((0.18, 0.22), abs=0.003)


def test_the_interval_weighs_utterances_by_their_words() -> None:
    # Ratio of sums, not mean of rates: 1 error in 1 word and 0 in 99, drawn twice out of two.
    assert bootstrap_interval([1, 0], [1, 99]) == (0.0, 1.0)
    assert bootstrap_interval([1, 0], [1, 99], level=0.4) == (0.01, 0.01)


def test_the_interval_depends_on_the_seed_alone() -> None:
    errors, lengths = [0, 1, 2, 3, 1, 0, 5], [4, 5, 6, 7, 8, 9, 10]
    first = bootstrap_interval(errors, lengths, samples=250)
    assert bootstrap_interval(errors, lengths, samples=250) == first
    assert bootstrap_interval(errors[::-1], lengths[::-1], samples=250) == first
    assert bootstrap_interval(errors, lengths, samples=250, seed=1) != first


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=9))
def test_an_interval_lies_within_what_utterances_allow(counts: list[tuple[int, int]]) -> None:
    low, high = bootstrap_interval([e for e, _ in counts], [n for _, n in counts], samples=50)
    rates = [e / max(n, 1) for e, n in counts]
    assert 0 <= low <= high <= sum(e for e, _ in counts) * len(counts)
    if all(n for _, n in counts):
        assert min(rates) - 1e-12 <= low <= high <= max(rates) + 1e-12


def test_matched_pairs_follow_the_formula() -> None:
    # Differences 1, 0, 2, 0: mean 0.75, variance 2.75 / 3.
    statistic = 0.75 / math.sqrt(2.75 / 3 / 4)
    assert matched_pairs([2, 1, 3, 0], [1, 1, 1, 0]) == pytest.approx(2 * (1 - NormalDist().cdf(statistic)), abs=1e-12)
    assert matched_pairs([1, 1, 1, 0], [2, 1, 3, 0]) == matched_pairs([2, 1, 3, 0], [1, 1, 1, 0])


@pytest.mark.parametrize(
    ("a", "b", "p"), [([1, 2], [1, 2], 1.0), ([3], [1], 1.0), ([1, 1], [0, 0], 0.5), ([1] * 11, [0] * 11, 2**-10)]
)
def test_matched_pairs_without_spread_claim_no_more_than_the_sign_test(a: list[int], b: list[int], p: float) -> None:
    assert matched_pairs(a, b) == p


def test_matched_pairs_rarely_see_a_difference_where_there_is_none() -> None:
    draws = np.random.default_rng(0)
    p = [matched_pairs(*draws.poisson(1.0, size=(2, 100)).tolist()) for _ in range(1000)]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.07
    assert matched_pairs(draws.poisson(1.5, size=400).tolist(), draws.poisson(1.0, size=400).tolist()) < 1e-3


def rows(*texts: tuple[str, str]) -> list[dict]:
    return [{"id": f"u{i}", "reference": a, "hypothesis": b} for i, (a, b) in enumerate(texts)]


def test_the_score_is_the_entry_of_metrics_json() -> None:
    entry = score(rows(("a b c d", "a x c d"), ("e f", "e f g"), ("h i", "h"), ("j k", "j k")))
    low, high = entry.pop("wer_ci95")
    assert 0 <= low < 0.3 < high <= 1
    # Characters: "b" to "x", " g" in, " i" out, of 7 + 3 + 3 + 3.
    assert entry == {
        "wer": 0.3,
        "cer": 5 / 16,
        "utterances": 4,
        "words": 10,
        "substitutions": 1,
        "insertions": 1,
        "deletions": 1,
    }


def test_a_row_without_text_is_named() -> None:
    with pytest.raises(UserError, match=r"Row 2 .*u1.* has no text 'hypothesis'"):
        score([*rows(("a", "a")), {"id": "u1", "reference": "a"}])
    with pytest.raises(UserError, match="no utterances"):
        score([])


def test_two_runs_are_compared_by_id_in_whatever_order() -> None:
    texts = [("a b c d", "a b c d"), ("e f g h", "e f x x"), ("i j", "i x"), ("k l", "k l")] * 10
    better = [(a, b if i % 2 else a) for i, (a, b) in enumerate(texts)]
    run_a, run_b = rows(*texts), rows(*better)
    result = compare(run_a, run_b[::-1])
    errors_a = [0, 2, 1, 0] * 10
    errors_b = [0, 2, 0, 0] * 10
    assert isinstance(result, Comparison)
    assert (result.rate_a, result.rate_b, result.utterances) == (30 / 120, 20 / 120, 40)
    assert result.difference == pytest.approx(-10 / 120)
    assert result.p_value == matched_pairs(errors_a, errors_b)
    low, high = result.interval
    assert low < result.difference < high < 0
    swapped = compare(run_b, run_a)
    assert swapped.difference == -result.difference
    assert swapped.p_value == result.p_value


def test_the_interval_of_a_difference_is_paired() -> None:
    # Both runs make the same errors but for one utterance: the shared spread must cancel.
    same = [("a b", "a b"), ("a b", "x y")] * 50
    result = compare(rows(*same, ("a b", "a b")), rows(*same, ("a b", "a x")))
    low, high = result.interval
    assert low == 0.0
    assert high < 5 / 202


def test_runs_that_do_not_belong_together_are_refused() -> None:
    run = rows(("a", "a"), ("b", "b"))
    with pytest.raises(UserError, match=r"1 utterance .*one run only .*u1"):
        compare(run, run[:1])
    with pytest.raises(UserError, match="second run has an utterance twice"):
        compare(run, [*run, run[0]])
    with pytest.raises(UserError, match="reference of u1 differs"):
        compare(run, rows(("a", "a"), ("c", "b")))
    with pytest.raises(UserError, match=r"Row 1 .* has no text 'id'"):
        compare([{"reference": "a", "hypothesis": "a"}], run)


def test_an4_test_has_its_773_words(shared: Path) -> None:
    lines = (shared / "an4" / "etc" / "an4_test.transcription").read_text().splitlines()
    references = [line.rpartition(" (")[0] for line in lines]
    right = [(text, text) for text in references]
    entry = score(rows(*right))
    assert (entry["utterances"], entry["words"], entry["wer"], entry["cer"], entry["wer_ci95"]) == (
        130,
        773,
        0,
        0,
        [0, 0],
    )
    empty = [(text, "") for text in references]
    assert score(rows(*empty))["deletions"] == 773

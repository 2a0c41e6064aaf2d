"""Comparison of fused with greedy hypotheses."""

from __future__ import annotations

from speechrnn.reports.fusion import compare_with_greedy
from speechrnn.reports.speech_run import ScoredUtterance, Utterance


def utterance(id: str, greedy: str | None, fused: str, reference: str = "a b c") -> ScoredUtterance:
    alternatives = [{"text": fused, "score": -1.5, "acoustic": -1.0, "parts": {"language": -2.0, "hot_words": 0.5}}]
    return ScoredUtterance.align(
        Utterance(reference=reference, hypothesis=fused, id=id, greedy=greedy, alternatives=alternatives)
    )


def test_without_greedy_hypotheses_there_is_nothing_to_compare() -> None:
    assert compare_with_greedy([utterance("u", None, "a b c")]) is None
    assert compare_with_greedy([]) is None


def test_counts_changes_by_their_word_errors() -> None:
    changes = compare_with_greedy(
        [
            utterance("better", "a x c", "a b c"),
            utterance("worse", "a b c", "a b"),
            utterance("equal", "a x c", "a y c"),
            utterance("same", "a b c", "a  b c"),  # blanks are no change
            utterance("alone", None, "a"),
        ]
    )
    assert changes is not None
    assert (changes.compared, changes.better, changes.worse, changes.equal) == (4, 1, 1, 1)
    assert [changed.id for changed in changes.shown] == ["better", "equal", "worse"]


def test_shows_the_greatest_gains_and_the_two_greatest_losses() -> None:
    gains = [utterance(f"gain{number}", "x " * number, "a b c") for number in (3, 2, 1, 4, 5)]
    losses = [utterance("lost", "a b c", "x y z"), utterance("lost less", "a b c", "a b")]
    changes = compare_with_greedy([*losses, *gains], most_shown=4)
    assert changes is not None
    assert [changed.id for changed in changes.shown] == ["gain5", "gain4", "lost less", "lost"]


def test_names_the_scores_and_shows_the_alignments() -> None:
    changes = compare_with_greedy([utterance("u", "a x c", "a b c")])
    assert changes is not None
    (changed,) = changes.shown
    assert changed.columns == ["Hypothesis", "Acoustic model", "Language model", "Hot words", "Weighted sum"]
    assert changed.alternatives == [["a b c", "-1.00", "-2.00", "0.50", "-1.50"]]
    assert [edit.hypothesis for edit in changed.greedy] == ["a", "x", "c"]
    assert {edit.op for edit in changed.fused} == {"hit"}


def test_a_score_that_a_hypothesis_lacks_is_left_empty() -> None:
    rows = [
        {"text": "a", "score": -1.0, "acoustic": -1.0, "parts": {"ngram": -2.0}},
        {"text": "", "score": -3.0, "acoustic": -3.0, "parts": {}},
    ]
    item = ScoredUtterance.align(Utterance(reference="a", hypothesis="a", id="u", greedy="b", alternatives=rows))
    changes = compare_with_greedy([item])
    assert changes is not None
    assert changes.shown[0].alternatives[1] == ["(no words)", "-3.00", "", "-3.00"]

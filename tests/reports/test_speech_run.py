"""Reading of a run of speech to text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.reports.speech_run import ScoredUtterance, SpeechRun, Utterance


def write_hypotheses(folder: Path, *rows: dict[str, object]) -> None:
    (folder / "hypotheses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(hypothesis: str, decoding: str = "greedy", **more: object) -> dict[str, object]:
    return {"id": "u", "reference": "a b", "hypothesis": hypothesis, "decoding": decoding, **more}


def test_counts_the_errors_of_an_utterance() -> None:
    errors = ScoredUtterance.align(Utterance(reference="a b c", hypothesis="a x c d")).errors
    assert (errors.substitutions, errors.insertions, errors.deletions, errors.hits) == (1, 1, 0, 2)


def test_describes_the_last_decoding_whose_utterances_are_there(tmp_path: Path) -> None:
    write_hypotheses(tmp_path, row("a", "greedy"), row("a b", "beam"))
    metrics = {"decode": {"greedy": {"wer": 0.5}, "beam": {"wer": 0.0, "split": "dev"}, "ngram": {"wer": 0.1}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    run = SpeechRun.read(tmp_path)
    assert run.way == "beam"
    assert [item.row.hypothesis for item in run.scored] == ["a b"]
    assert (run.metrics.wer, run.metrics.split) == (0.0, "dev")
    assert list(run.decode) == ["greedy", "beam", "ngram"]
    assert not run.has_model and not run.tuned and run.config == ""


def test_scores_utterances_that_have_no_metrics(tmp_path: Path) -> None:
    write_hypotheses(tmp_path, row("a x"))
    run = SpeechRun.read(tmp_path)
    assert run.metrics.wer == 0.5


def test_metrics_alone_are_enough(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({"decode": {"greedy": {"wer": 0.25}}, "tuning": {"weight": 1}}))
    run = SpeechRun.read(tmp_path)
    assert run.scored == [] and run.metrics.wer == 0.25 and run.tuned


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to report") as error:
        SpeechRun.read(tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("metrics", [{"decode": [1]}, {"decode": {"greedy": {"wer": "low"}}}])
def test_damaged_metrics_name_their_file(tmp_path: Path, metrics: dict[str, object]) -> None:
    write_hypotheses(tmp_path, row("a"))
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UserError, match=r"metrics\.json") as error:
        SpeechRun.read(tmp_path)
    assert "decode" in str(error.value)


def test_a_damaged_utterance_is_named(tmp_path: Path) -> None:
    write_hypotheses(tmp_path, row("a", duration=-1))
    with pytest.raises(UserError, match="duration") as error:
        SpeechRun.read(tmp_path)
    assert "hypotheses.jsonl" in str(error.value) and "u" in str(error.value)


def test_a_damaged_alternative_is_named() -> None:
    utterance = Utterance(reference="a", hypothesis="a", id="u7", alternatives=[{"text": "a", "score": "high"}])
    with pytest.raises(UserError, match="u7"):
        ScoredUtterance.align(utterance).alternatives()

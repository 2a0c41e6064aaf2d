"""Tests of reading the folder of a run of text prediction: every field is checked, and what is missing is empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speechrnn.core.errors import UserError
from speechrnn.reports.text_run import LanguageMetrics, Sample, TextRun


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_a_run_with_metrics_alone(tmp_path: Path) -> None:
    write(tmp_path / "metrics.json", {"language": {"perplexity": 12.5, "split": "test", "cache": {"perplexity": 11.0}}})
    run = TextRun.read(tmp_path)
    assert run.metrics == LanguageMetrics(perplexity=12.5, split="test", cache={"perplexity": 11.0})
    assert not run.has_model and run.samples == [] and run.tokenizer == "" and not run.reads_documents


def test_a_run_with_samples_and_a_text(tmp_path: Path) -> None:
    rows = [{"prompt": "", "text": "a b", "temperature": 0.5}, {"prompt": "x", "text": ""}]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = {"text": "ptb", "options": {"documents": True}, "splits": {"test": {"tokens": 7, "unknown": 1}}}
    write(tmp_path / "prepared" / "text" / "summary.json", summary)
    run = TextRun.read(tmp_path)
    assert run.samples == [Sample("", "a b", 0.5), Sample("x", "")] and run.metrics is None
    assert run.reads_documents and run.text.splits["test"].unknown == 1


def test_an_empty_folder_has_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to report"):
        TextRun.read(tmp_path)


@pytest.mark.parametrize(
    ("metrics", "part"),
    [({"language": {"perplexity": "low"}}, "perplexity"), ({"language": [1]}, "language"), ([1], "metrics.json")],
)
def test_a_damaged_field_is_named(tmp_path: Path, metrics: Any, part: str) -> None:
    write(tmp_path / "metrics.json", metrics)
    with pytest.raises(UserError, match=part):
        TextRun.read(tmp_path)

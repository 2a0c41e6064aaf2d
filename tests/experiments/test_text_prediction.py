"""The stages of text prediction guard what they find in the run's folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.data.texts import text_options
from speechrnn.evaluation.text_evaluation import TextEvaluation, TextFiles, evaluate_text
from speechrnn.experiments.run import Run
from speechrnn.experiments.text_prediction import TextPrediction, TextPredictionOptions
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer


def experiment(folder: Path, content: str, **groups: dict[str, Any]) -> TextPrediction:
    """An experiment on a text, in the run's folder `folder`/run.

    Args:
        groups: config groups; `text` without its files.
    """
    for name in ("text.txt", "test.txt"):
        (folder / name).write_bytes(content.encode())
    files = {"name": "file", "root": str(folder), "train": ["text.txt"], "test": ["test.txt"], "valid_fraction": 0.0}
    source = text_options({**files, **groups.pop("text", {})})
    groups = {
        "tokenizer": {"kind": "char"},
        "trainer": {"accelerator": "cpu"},
        **{key: {} for key in ("normalisation", "language", "score", "adaptation", "sample")},
        **groups,
    }
    run = Run.open("text_prediction", OmegaConf.create({"output": str(folder / "run")}), [])
    return TextPrediction(build(TextPredictionOptions, groups, ""), source, run)


def save_model(run: Run, tokenizer: Tokenizer) -> None:
    save_language(
        run.language, LanguageModel(len(tokenizer), LanguageOptions(units=8, embedding=8)), tokenizer, training={}
    )


def test_a_model_with_the_texts_own_tokenizer_is_scored(tmp_path: Path) -> None:
    prediction = experiment(tmp_path, "abc\n" * 20)
    save_model(prediction.run, prediction.prepare().tokenizer)
    prediction.score()
    assert prediction.run.read_metrics()["language"]["split"] == "test"


def test_a_model_with_another_tokenizer_is_refused(tmp_path: Path) -> None:
    """The same number of symbols, so that every index of the text is one of the model's."""
    prediction = experiment(tmp_path, "abd\n" * 20)
    own = prediction.prepare().tokenizer
    other = CharTokenizer.build([], "".join(own.symbols[1:]).replace("D", "C"))
    assert len(other) == len(own)
    save_model(prediction.run, other)
    with pytest.raises(UserError, match="another tokenizer"):
        prediction.score()
    assert prediction.run.read_metrics() == {}


KINDS: dict[str, dict[str, Any]] = {
    "characters": {"tokenizer": {"kind": "char"}},
    "words": {"tokenizer": {"kind": "word", "vocabulary_size": 6}},
    "subwords": {"tokenizer": {"kind": "subword", "vocabulary_size": 20}},
    "unchanged": {"normalisation": {"case": "keep", "collapse_spaces": False}},
    "documents": {"text": {"documents": True}},
    "documents of words": {"text": {"documents": True}, "tokenizer": {"kind": "word"}},
    "a document a file": {"text": {"documents": True, "train": ["text.txt", "more.txt"]}},
    "adapting": {"score": {"cache": True, "dynamic": True}},
}
LINES = "  The cat sat, on a mat  \n\nA dog  sat on\tthe mat \r\n\n \nthe end of cats and dogs"


@pytest.mark.parametrize("kind", KINDS)
def test_evaluate_gives_the_figures_of_a_runs_own_score(kind: str, tmp_path: Path) -> None:
    """Of a text with spaces at both ends of lines, blank lines, other line ends and no last one."""
    (tmp_path / "more.txt").write_text("cats and dogs\n\nthe mat\n")
    prediction = experiment(tmp_path, LINES, **KINDS[kind])
    options, run, tokenizer = prediction.options, prediction.run, prediction.prepare().tokenizer
    torch.manual_seed(0)
    model = LanguageModel(len(tokenizer), LanguageOptions(units=8, embedding=8))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    documents = prediction.source.documents
    save_language(
        run.language,
        model,
        tokenizer,
        training={"normalisation": asdict(options.normalisation), "documents": documents},
    )
    prediction.score()
    own = run.read_metrics()["language"]
    figures = evaluate_text(
        TextEvaluation(
            run.language,
            TextFiles(str(tmp_path / "test.txt"), documents="files" if kind == "a document a file" else documents),
            cache=options.score.cache,
            dynamic=options.score.dynamic,
            device="cpu",
        )
    )
    assert own.pop("split") == "test" and own["tokens"] > 10
    for name in ("cache", "dynamic"):
        assert figures.pop(name, None) == own.pop(name, None)
    assert {key: figures[key] for key in own} == own

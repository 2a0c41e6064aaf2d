"""The stages of text prediction guard what they find in the run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.data.texts import text_options
from speechrnn.experiments.run import Run
from speechrnn.experiments.text_prediction import TextPrediction, TextPredictionOptions
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer


def experiment(folder: Path, text: str) -> TextPrediction:
    """An experiment on a text, in the run's folder `folder`/run."""
    (folder / "text.txt").write_text(text, encoding="utf-8")
    (folder / "test.txt").write_text(text, encoding="utf-8")
    source = text_options(
        {"name": "file", "root": str(folder), "train": ["text.txt"], "test": ["test.txt"], "valid_fraction": 0.0}
    )
    groups = {
        "tokenizer": {"kind": "char"},
        "trainer": {"accelerator": "cpu"},
        **{key: {} for key in ("normalisation", "language", "score", "adaptation", "sample")},
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

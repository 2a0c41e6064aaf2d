"""Models, runs and transcripts of an older version (commit 8fbd196) still load, with the same numbers and words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from speechrnn.audio import load_audio
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.evaluation.hypotheses import HYPOTHESIS, read_texts
from speechrnn.generation.predictor import TextPredictor
from speechrnn.nn.acoustic import load_acoustic
from speechrnn.nn.language import load_language
from speechrnn.reports import write_text_report
from speechrnn.transcription.transcriber import Transcriber

OLD = Path(__file__).parent / "cases" / "older_version"
EXPECTED = json.loads((OLD / "expected.json").read_text())


def test_an_acoustic_model_gives_the_same_log_probabilities() -> None:
    model, tokenizer = load_acoustic(OLD / "run" / "acoustic")
    samples, rate = load_audio(OLD / "tone.wav")
    assert (tokenizer.symbols[1:], rate) == (["A", "B", " "], 8000)
    with torch.inference_mode():
        log_probs, _ = model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
    torch.testing.assert_close(log_probs[0], torch.tensor(EXPECTED["acoustic"]), atol=1e-3, rtol=0)


def test_a_language_model_gives_the_same_log_probabilities() -> None:
    model, _ = load_language(OLD / "run" / "language")
    states, rows = model.start(1), []
    with torch.inference_mode():
        for token in (0, 1, 3, 2):
            log_probs, states = model.score(states, torch.tensor([token]))
            rows.append(log_probs[0])
    torch.testing.assert_close(torch.stack(rows), torch.tensor(EXPECTED["language"]), atol=1e-4, rtol=0)


def test_a_recording_has_the_words_of_its_older_transcript() -> None:
    segmentation = SegmentationOptions(vad="none")
    options = {"engine": "torch", "precision": "float32", "decoding": "greedy", "segmentation": segmentation}
    transcriber = Transcriber.load(OLD / "run" / "acoustic", device="cpu", **options)  # type: ignore[arg-type]
    transcript = json.loads((OLD / "transcripts" / "tone.json").read_text())
    found = transcriber(OLD / "tone.wav")
    assert found.text == transcript["text"]
    assert found.duration == transcript["duration"]
    assert transcript.keys() <= found.to_json().keys()  # every key of the older format is still there


def test_hypotheses_are_read() -> None:
    assert read_texts(OLD / "transcripts", HYPOTHESIS, "hypotheses") == {"tone": "AB"}


def test_the_language_model_of_a_run_completes_prompts() -> None:
    predictor = TextPredictor.load(OLD / "text_run", "cpu")
    (result,) = predictor.generate(["ab"], max_new_tokens=3, ignore_eos=True)
    assert result.error is None and len(result.completions[0].tokens) == 3


def test_a_run_has_its_report(tmp_path: Path) -> None:
    folder = shutil.copytree(OLD / "text_run", tmp_path / "run")
    page = write_text_report(folder).read_text(encoding="utf-8")
    assert "4.00" in page  # the perplexity in its metrics.json

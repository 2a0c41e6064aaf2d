"""Folders of runs of speech to text, for the tests of their report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechrnn.audio import save_audio
from speechrnn.audio.features import FeatureOptions
from speechrnn.evaluation.metrics import score
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.text.tokenizers import CharTokenizer

RATE = 8000


HISTORY = [
    {"epoch": 1, "step": 5, "train_loss": 2.5, "dev_loss": 2.6, "dev_wer": 1.25, "dev_cer": 0.8},
    {"epoch": 2, "step": 10, "train_loss": 0.5, "dev_loss": 0.75, "dev_wer": 0.25, "dev_cer": 0.0},
]


TEXTS = [("red shark", "red shark"), ("blue fish eat it", "blue dish eat it a"), ("one two three", "three")]

# Headings of a page of a run with all its parts.
EVERYTHING = [
    "Summary",
    "Learning",
    "Errors",
    "Utterances with most errors",
    "Spectrogram, symbols and alignment",
    "Corpus",
    "Time",
    "Configuration",
]


def make_run(
    folder: Path,
    texts: Sequence[tuple[str, str]] = TEXTS,
    history: list[Any] = HISTORY,
    model: bool = True,
    seconds: float = 1.0,
) -> list[dict[str, Any]]:
    """Write a run folder, with a tiny model or without, and a tone for each (reference, hypothesis); return rows."""
    if model:
        make_model(folder, texts, history)
    rows: list[dict[str, Any]] = []
    for number, (reference, hypothesis) in enumerate(texts):
        path, duration = folder / "audio" / f"{number}.wav", seconds + number / 4
        time = np.arange(round(duration * RATE)) / RATE
        save_audio(path, 0.5 * np.sin(2 * np.pi * 300 * (number + 1) * time), RATE)
        row = {"id": f"utterance-{number}", "audio": str(path), "duration": duration, "confidence": 0.875}
        rows.append({**row, "reference": reference, "hypothesis": hypothesis, "words": [], "decoding": "greedy"})
    write_rows(folder, rows)
    total = sum(row["duration"] for row in rows)
    write_json(folder / "metrics.json", {"decode": {"greedy": {**score(rows), "audio_seconds": total, "rtf": 0.004}}})
    rejected = {
        "count": 1,
        "reasons": {"silent": 1},
        "utterances": [{"id": "mute", "audio": "mute.wav", "reason": "silent", "detail": "only zeros"}],
    }
    part = {"utterances": 1234, "hours": 2.5, "speakers": 7, "words": 98765, "rejected": rejected}
    write_json(
        folder / "prepared" / "summary.json",
        {"corpus": "folder", "dev_held_out_by": "speaker", "splits": {"train": part}},
    )
    (folder / "config.yaml").write_text("trainer:\n  epochs: 2\n", encoding="utf-8")
    return rows


def make_model(folder: Path, texts: Sequence[tuple[str, str]], history: list[Any]) -> None:
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build([text for pair in texts for text in pair])
    options = AcousticOptions(layers=1, units=16, stride=2, subsampling="stack")
    network = AcousticModel(len(tokenizer), FeatureOptions(sampling_rate=RATE, bins=20), options)
    training = {
        "epochs": 2,
        "best_epoch": 2,
        "parameters": 4_560_000,
        "left_out": [{"id": "tiny", "frames": 3, "needed": 4}],
        "seconds": {"data": 10.0, "step": 60.0, "evaluation": 30.0},
        "history": history,
    }
    save_acoustic(folder / "acoustic", network, tokenizer, training=training)


def write_rows(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "hypotheses.jsonl").write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")

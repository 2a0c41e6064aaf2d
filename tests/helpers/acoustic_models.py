"""An acoustic model that knows no words but has much to say, and recordings for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from speechrnn.audio import save_audio
from speechrnn.audio.features import FeatureOptions
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.text.tokenizers import CharTokenizer

RATE = 16000  # Hz

# A recording a batch, so that every number is the same whatever has been done before.
ALONE = ["device=cpu", "segmentation.vad=none", "engine=torch", "precision=float32", "batch_seconds=0.1"]


def save_listener(folder: Path) -> Path:
    """Writes the model's directory."""
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build([], "ABC ")
    network = AcousticModel(len(tokenizer), FeatureOptions(bins=20), AcousticOptions(units=24, layers=2, channels=4))
    with torch.no_grad():
        network.head.weight.mul_(20)
    save_acoustic(folder, network, tokenizer, training={})
    return folder


def streaming_model(**options: object) -> tuple[AcousticModel, CharTokenizer]:
    """An untrained model for streams, which finds many words in noise; and its alphabet."""
    torch.manual_seed(0)
    tokenizer = CharTokenizer.build([], "ABC ")
    features = FeatureOptions(bins=20, normalisation="training")
    small = {"units": 24, "layers": 2, "channels": 4, "streaming": 0.5, **options}
    network = AcousticModel(len(tokenizer), features, AcousticOptions(**small)).eval()  # type: ignore[arg-type]
    network.front_end.normalise.mean -= 1.0
    with torch.no_grad():
        network.head.weight.mul_(25)
        network.head.bias[0] += 3.0
    return network, tokenizer


def record(folder: Path, count: int, seconds: float = 0.3) -> Path:
    """`count` recordings in folders of a hundred."""
    generator = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // 100}" / f"{number:04}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        length = round(generator.uniform(0.5, 1.5) * seconds * RATE)
        save_audio(path, (generator.standard_normal(length) * 0.1).astype(np.float32), RATE)
    return folder


def written(folder: Path) -> dict[str, bytes]:
    """All files of an output but the record."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "job.jsonl"
    }

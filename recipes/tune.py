"""Tune a beam search: weights of its language models, and calibrated confidences, on the dev part of a run.

The result lies in decoding.json beside the acoustic model's weights, where `transcribe` and `speech_to_text` look for
it; each combination of a language model and an n-gram model has an entry of its own. The test part is not read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import build
from speechrnn.core.plural import count
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.tuning import TuningOptions
from speechrnn.experiments.tuning import tune_run


@dataclass(frozen=True)
class TuneOptions:
    """Keys of the recipe; conf/tune.yaml explains them."""

    run: Path
    decoding: DecodingOptions
    language_model: Path | None
    tuning: TuningOptions
    device: str
    batch_seconds: float = field(metadata={"min": 0.1})


@recipe("tune")
def main(config: DictConfig) -> None:
    """Compute the emissions of the dev part once, and decode them with each combination of weights."""
    options = build(TuneOptions, config, "")
    tuned = tune_run(
        options.run,
        options.decoding,
        options.language_model,
        tuning=options.tuning,
        device=options.device,
        batch_seconds=options.batch_seconds,
    )
    weights, figures = tuned.weights, tuned.figures
    tuned_keys = {key: weight for key, weight in asdict(weights).items() if weight is not None}
    if tuned_keys:
        print(" ".join(f"decoding.{key}={weight:g}" for key, weight in tuned_keys.items()))
    print(
        f"WER {figures['wer']:.2%}, CER {figures['cer']:.2%}, calibration error {figures['calibration_error']:.3f} on "
        f"{count(int(figures['utterances']), 'utterance')}; written into {options.run / 'acoustic'}"
    )


if __name__ == "__main__":
    main()

"""The whole chain on synthetic speech: speech to text for voices that are not in the training data, and text.

Sixteen synthetic voices read sentences of a small vocabulary, the food chain among them; four other voices test. A
small character model learns from the same sentences, helps in decoding, and continues a few prompts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lhotse import CutSet
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.core.config import options_from
from speechrnn.core.files import short_path
from speechrnn.core.plural import count
from speechrnn.data.corpora import corpus_options
from speechrnn.experiments.run import Run, is_first_process, keep_earlier_values
from speechrnn.experiments.speech_to_text import SpeechOptions, SpeechToText
from speechrnn.experiments.stages import run_stages
from speechrnn.experiments.text_prediction import TextPrediction, TextPredictionOptions
from speechrnn.transcription.transcriber import Transcriber, Transcript
from speechrnn.transcription.writers import find_writers, write_transcript

# ways of decoding, as metrics.json calls them
WAYS = {"greedy": "greedy, no language model", "ngram": "beam, n-gram model", "beam": "beam, LSTM language model"}


@dataclass(frozen=True)
class DemoOptions(SpeechOptions):
    """The keys of speech_to_text, how many files are transcribed at the end, and the language model's."""

    stages: tuple[Literal["prepare", "train", "language", "tune", "decode", "report", "predict"], ...]
    files: int = field(metadata={"min": 1})
    prediction: TextPredictionOptions


@recipe("demo")
def main(config: DictConfig) -> None:
    """Do what speech_to_text and transcribe do, then what text_prediction and generate do."""
    kept = keep_earlier_values("demo", config)
    options, corpus = options_from(config, DemoOptions), corpus_options(config.corpus)
    run = Run.open("demo", config)
    run.start_logging(kept)
    speech = SpeechToText(options, corpus, run)
    prediction = TextPrediction(options.prediction, speech.language_text(), run)

    def decode() -> None:
        speech.decode()
        show(run, transcribe(options, run))

    def predict() -> None:
        prediction.score()
        prediction.sample()
        show_prediction(run)

    run_stages(
        options.stages,
        {
            "prepare": speech.prepare,
            "train": speech.train,
            "language": speech.train_language,
            "tune": speech.tune,
            "decode": decode,
            "report": speech.report,
            "predict": predict,
        },
    )
    if is_first_process():
        show_next_step(run)


def transcribe(options: DemoOptions, run: Run) -> dict[str, Transcript]:
    """Transcribe some files of the test voices, as `speechrnn transcribe` would; return transcripts by reference."""
    rows = [json.loads(line) for line in run.hypotheses.read_text(encoding="utf-8").splitlines()]
    chosen = rows[:: max(1, len(rows) // options.files)][: options.files]
    fused = options.decoding.name == "beam"
    transcriber = Transcriber.load(
        run.acoustic, decoding=options.decoding, language_model=run.language if fused else None
    )
    transcripts = {}
    for row in chosen:
        transcripts[row["reference"]] = transcriber(row["audio"])
        for writer in find_writers(("txt", "json")):
            write_transcript(
                writer, transcripts[row["reference"]], run.folder / "transcripts" / f"{row['id']}{writer.suffix}"
            )
    return transcripts


def show(run: Run, transcripts: dict[str, Transcript]) -> None:
    """Print references and transcripts side by side, the error rates, and the paths of the results."""
    console = Console()
    spoken = Table("reference", "transcript", "confidence", title="Voices that are not in the training data")
    for reference, transcript in transcripts.items():
        spoken.add_row(reference, transcript.text, f"{transcript.confidence:.2f}")
    console.print(spoken)
    decoded = run.read_metrics()["decode"]
    rates = Table("decoding", "WER", "95 % interval", "CER", title="Error rates on the test voices")
    for way, figures in decoded.items():
        low, high = figures["wer_ci95"]
        rates.add_row(WAYS[way], f"{figures['wer']:.1%}", f"{low:.1%} to {high:.1%}", f"{figures['cer']:.1%}")
    figures = next(iter(decoded.values()))
    rates.caption = f"{count(figures['utterances'], 'utterance')}, {count(figures['words'], 'word')}"
    console.print(rates)
    # Plain lines: a table would cut paths in two, which could then not be copied.
    for name, path in (
        ("report", run.report),
        ("model", run.acoustic),
        ("transcripts", run.folder / "transcripts"),
        ("numbers", run.metrics),
        ("speech", run.folder / "speech"),
    ):
        print(f"{name:<11}  {short_path(path)}")


def show_prediction(run: Run) -> None:
    """Print how the language model continues its prompts, and its perplexity on the test transcripts."""
    written = Table("prompt", "temperature", "continuation", title="Text prediction")
    for line in run.samples.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        written.add_row(row["prompt"], f"{row['temperature']:g}", " / ".join(row["text"].strip().splitlines()))
    console = Console()
    console.print(written)
    figures = run.read_metrics()["language"]
    print(f"perplexity of a character  {figures['perplexity']:.2f}")
    print(f"language model             {short_path(run.language)}")


def show_next_step(run: Run) -> None:
    """Print the number of words that the model knows, and the command to try next."""
    words = vocabulary(run.prepared / "cuts_train.jsonl.gz")
    if words:
        print(f"\nThis model knows only the {len(words)} words of its training data; it can transcribe nothing else.")
        print("Next, transcribe a recording with the model of English, or train a model on recordings of your own:")
        print("  speechrnn transcribe FILE")
        print("  speechrnn speech_to_text corpus=folder corpus.root=DIR")


def vocabulary(cuts: Path) -> set[str]:
    """Return the different words in the transcripts of a prepared part; none where there is no such part."""
    if not cuts.is_file():
        return set()
    return {word for cut in CutSet.from_file(cuts) for word in (cut.supervisions[0].text or "").split()}


if __name__ == "__main__":
    main()

"""The whole chain on speech made on the spot: speech to text for voices never heard, and text prediction.

Sixteen synthetic voices read sentences of a small vocabulary, the food chain among them; four other voices test. A
small character model learns from the same sentences, helps to decide what was said, and goes on from a few words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli.main import recipe
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.texts.prepare import prepare_text
from speechrnn.experiments import text_prediction as prediction
from speechrnn.experiments.run import Run, is_first_process
from speechrnn.experiments.speech_to_text import SpeechOptions, decode, language_text, train, train_language, tune
from speechrnn.experiments.text_prediction import TextPredictionOptions
from speechrnn.reports.speech import write_report
from speechrnn.transcription.transcriber import Transcriber, Transcript
from speechrnn.transcription.writers import find_writers

# ways of decoding, as metrics.json calls them
WAYS = {"greedy": "the network alone", "ngram": "with an n-gram model", "beam": "with the language model"}


@dataclass(frozen=True)
class DemoOptions(SpeechOptions):
    """The keys of speech_to_text, how many files are transcribed at the end, and what the language model is."""

    stages: tuple[Literal["prepare", "train", "language", "tune", "decode", "report", "predict"], ...]
    files: int = field(metadata={"min": 1})
    prediction: TextPredictionOptions


@recipe("demo")
def main(config: DictConfig) -> None:
    """What speech_to_text and transcribe do, then what text_prediction and generate do."""
    options = DemoOptions.from_config(config)
    source = corpus_options(config.corpus)
    run = Run.open("demo", config)
    run.start_logging()
    if "train" in options.stages:
        corpus = train(options, source, run)
    else:
        corpus = prepare(source, run.prepared, options.normalisation)
    if "language" in options.stages:
        train_language(options, run)
    if not is_first_process():
        return
    if "tune" in options.stages:
        tune(options, corpus, run)
    if "decode" in options.stages:
        decode(options, corpus, run)
    if "report" in options.stages:
        write_report(run.folder)
    if "decode" in options.stages:
        show(run, transcribe(options, run))
    if "predict" in options.stages:
        predict(options, run)


def transcribe(options: DemoOptions, run: Run) -> dict[str, Transcript]:
    """Transcribes some files of the test voices, as `speechrnn transcribe` would; reference -> transcript."""
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
            writer.write(transcripts[row["reference"]], run.folder / "transcripts" / f"{row['id']}{writer.suffix}")
    return transcripts


def show(run: Run, transcripts: dict[str, Transcript]) -> None:
    """Prints what was said and what was understood, the error rates, and where everything lies."""
    console = Console()
    spoken = Table("said", "understood", "confidence", title="Voices that the model has never heard")
    for reference, transcript in transcripts.items():
        spoken.add_row(reference, transcript.text, f"{transcript.confidence:.2f}")
    console.print(spoken)
    results = Table.grid(padding=(0, 2))
    for way, figures in run.read_metrics()["decode"].items():
        low, high = figures["wer_ci95"]
        interval = f"(95 % interval {low:.1%} to {high:.1%}), of characters {figures['cer']:.1%}"
        results.add_row(f"word error rate, {WAYS[way]}", f"{figures['wer']:.1%}  {interval}")
    results.add_row("test", f"{figures['utterances']} utterances, {figures['words']} words")
    for what, path in (
        *(("report", run.report), ("model", run.acoustic), ("transcripts", run.folder / "transcripts")),
        *(("numbers", run.metrics), ("speech", run.folder / "speech")),
    ):
        results.add_row(what, str(path))
    console.print(results)


def predict(options: DemoOptions, run: Run) -> None:
    """Scores the language model on the test transcripts, and prints how it goes on from its prompts."""
    wanted = options.prediction
    source = language_text(options, run)
    text = prepare_text(source, wanted.tokenizer, wanted.normalisation, run.prepared_text)
    prediction.score(wanted, text, run)
    prediction.sample(wanted, text, run)
    written = Table("prompt", "temperature", "how the model goes on", title="Text prediction")
    for line in run.samples.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        written.add_row(row["prompt"], f"{row['temperature']:g}", " / ".join(row["text"].strip().splitlines()))
    console = Console()
    console.print(written)
    figures = run.read_metrics()["language"]
    results = Table.grid(padding=(0, 2))
    results.add_row("perplexity of a character", f"{figures['perplexity']:.2f}")
    results.add_row("language model", str(run.language))
    console.print(results)


if __name__ == "__main__":
    main()

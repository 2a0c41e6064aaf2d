"""The whole chain on speech made on the spot: train, decode held-out voices, transcribe files, report.

Sixteen synthetic voices read sentences of a small vocabulary, the food chain among them; four other voices test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from speechrnn.cli import recipe
from speechrnn.corpora import corpus_options
from speechrnn.report import write_report
from speechrnn.run import Run, is_first_process
from speechrnn.stages import SpeechOptions, decode, train
from speechrnn.transcribe import Transcriber, Transcript
from speechrnn.writers import find_writers


@dataclass(frozen=True)
class DemoOptions(SpeechOptions):
    """The keys of speech_to_text, and how many files are transcribed at the end."""

    files: int = field(metadata={"min": 1})


@recipe("demo")
def main(config: DictConfig) -> None:
    """What the recipe speech_to_text does, then what transcribe does with its model."""
    options = DemoOptions.from_config(config)
    run = Run.open("demo", config)
    run.start_logging()
    corpus = train(options, corpus_options(config.corpus), run)
    if not is_first_process():
        return
    decode(options.decode, corpus, run)
    write_report(run.folder)
    show(run, transcribe(run, options.files))


def transcribe(run: Run, count: int) -> dict[str, Transcript]:
    """Transcribes some files of the test voices, as `speechrnn transcribe` would; reference -> transcript."""
    rows = [json.loads(line) for line in run.hypotheses.read_text(encoding="utf-8").splitlines()]
    chosen = rows[:: max(1, len(rows) // max(count, 1))][:count]
    transcriber = Transcriber.load(run.acoustic)
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
    figures = run.read_metrics()["decode"]["greedy"]
    low, high = figures["wer_ci95"]
    results = Table.grid(padding=(0, 2))
    results.add_row("word error rate", f"{figures['wer']:.1%}  (95 % interval {low:.1%} to {high:.1%})")
    results.add_row("character error rate", f"{figures['cer']:.1%}")
    results.add_row("test", f"{figures['utterances']} utterances, {figures['words']} words")
    for what, path in (
        *(("report", run.report), ("model", run.acoustic), ("transcripts", run.folder / "transcripts")),
        *(("numbers", run.metrics), ("speech", run.folder / "speech")),
    ):
        results.add_row(what, str(path))
    console.print(results)


if __name__ == "__main__":
    main()

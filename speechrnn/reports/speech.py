"""Write the report of a speech_to_text run: one page that opens offline. Its text stands in templates/speech.html."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from speechrnn.audio import AudioError, load_audio
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.core.model_names import WEIGHTS
from speechrnn.core.plural import count
from speechrnn.evaluation.metrics import DELETION, HIT, INSERTION, SUBSTITUTION, Edit, Errors, character_errors
from speechrnn.reports.fusion import compare_with_greedy
from speechrnn.reports.html import Recording, duration, embed_recording, limited, percent, render, time_shares
from speechrnn.reports.plots import error_curves, loss_curves
from speechrnn.reports.run_files import keeps_best_epoch
from speechrnn.reports.speech_run import ScoredUtterance, SpeechRun

MOST_ERRORS = 8  # utterances with players
CONFUSIONS = 12  # most frequent of a kind
REJECTED = 50  # utterances named
# ways of decoding, as metrics.json calls them
WAYS = {"beam": "beam with the language model", "ngram": "beam with the n-gram model", "bare_beam": "beam alone"}
TIMES = {"data": "waiting for data", "step": "training steps", "evaluation": "evaluation on dev"}
LONGEST_DRAWING = 20.0  # seconds; in a longer one nothing can be seen
NO_DRAWING = Markup("")


@dataclass(frozen=True)
class UtteranceView:
    """An utterance as the page shows it."""

    title: str
    id: str
    description: str
    edits: list[Edit]
    recording: Recording
    drawing: Markup = NO_DRAWING


def write_report(folder: str | Path) -> Path:
    """Write `report.html` into a run folder, from those results of the run that are there.

    Returns:
        the path of the report, one file that needs no other.

    Raises:
        UserError: the folder holds no run, a damaged file, or cannot be written.

    >>> write_report("outputs/demo")  # doctest: +SKIP
    PosixPath('outputs/demo/report.html')
    """
    folder = Path(folder)
    run = SpeechRun.read(folder)
    weights = folder / "acoustic" / WEIGHTS
    training = run.training
    missing, examples = _examples(run)
    page = render(
        "speech.html",
        title=folder.resolve().name,
        subtitle=_subtitle(run),
        run=run,
        metrics=run.metrics,
        training=training,
        way=WAYS.get(run.way, run.way),
        model_megabytes=weights.stat().st_size / 1e6 if weights.is_file() else None,
        decodings=_decodings(run),
        keeps_best=keeps_best_epoch(run.config),
        curves=_curves(run),
        errors=_error_table(run),
        without_errors=sum(item.errors.errors == 0 for item in run.scored),
        confusions=_confusions(run.scored),
        fusion=compare_with_greedy(run.scored),
        most_errors=[_view(item) for item in _ranked(run.scored) if item.errors.errors][:MOST_ERRORS],
        examples=examples,
        examples_missing=missing,
        corpus=_corpus(run),
        rejected=limited(
            [
                (item.id, split, item.reason, item.detail or "")
                for split, part in run.corpus.splits.items()
                for item in part.rejected.utterances
            ],
            REJECTED,
        ),
        too_short=limited([(item.id, item.frames, item.needed) for item in training.left_out], REJECTED),
        times=time_shares(training.seconds, TIMES),
        decoding_times=[
            (WAYS.get(way, way), entry.rtf * entry.audio_seconds, entry.audio_seconds, entry.rtf)
            for way, entry in run.decode.items()
            if entry.rtf and entry.audio_seconds
        ],
        config=run.config,
        versions=run.versions,
    )
    path = folder / "report.html"
    with atomic_write(path) as file:
        file.write(page)
    return path


def _subtitle(run: SpeechRun) -> str:
    parts = [f"corpus {run.corpus.corpus}"] if run.corpus.corpus else []
    if run.decode:
        parts.append(f"decoding {', '.join(run.decode)}")
    return ", ".join(parts)


def _decodings(run: SpeechRun) -> list[tuple[str, ...]]:
    """Return the rows of the table that compares ways of decoding."""
    return [
        (
            WAYS.get(name, name),
            entry.split,
            percent(entry.wer),
            " to ".join(percent(end) for end in entry.wer_ci95),
            percent(entry.cer),
            "" if entry.calibration_error is None else f"{entry.calibration_error:.3f}",
            f"{entry.rtf:.3g}" if entry.rtf else "",
        )
        for name, entry in run.decode.items()
        if entry.wer is not None and entry.cer is not None
    ]


def _curves(run: SpeechRun) -> list[Markup]:
    """Return the curves of the loss and, where there is a dev part, of the error rates."""
    history, best = run.training.history, run.training.best_epoch
    return [curve for curve in (loss_curves(history, best), error_curves(history, best)) if curve] if history else []


def _error_table(run: SpeechRun) -> list[tuple[object, ...]]:
    """Return the counts of errors in words and in characters, a row each."""
    if not run.scored:
        return []
    words = sum((item.errors for item in run.scored), Errors())
    rows = [item.row for item in run.scored]
    letters = sum(character_errors([row.reference for row in rows], [row.hypothesis for row in rows]), Errors())
    return [
        (name, e.reference_length, e.hits, e.substitutions, e.insertions, e.deletions, e.errors, percent(e.rate))
        for name, e in (("Words", words), ("Characters", letters))
    ]


def _confusions(scored: Sequence[ScoredUtterance]) -> dict[str, list[tuple[str | int, ...]]]:
    """Return the most frequent errors of each kind: the words and how often, a row each."""
    edits = Counter(edit for item in scored for edit in item.edits if edit.op != HIT)
    found = {}
    for kind in (SUBSTITUTION, DELETION, INSERTION):
        frequent = sorted(
            (pair for pair in edits.items() if pair[0].op == kind), key=lambda pair: (-pair[1], str(pair[0]))
        )
        found[kind] = [
            tuple(value for value in (edit.reference, edit.hypothesis, times) if value is not None)
            for edit, times in frequent[:CONFUSIONS]
        ]
    return found


def _examples(run: SpeechRun) -> tuple[str, list[UtteranceView]]:
    """Return some utterances with spectrogram, probabilities and alignment, or why there are none."""
    from speechrnn.nn.acoustic import load_acoustic
    from speechrnn.reports.posteriors import analyse, draw

    chosen = _choose(run.scored)
    if not chosen or not run.has_model:
        return "", []
    try:
        model, tokenizer = load_acoustic(run.folder / "acoustic")
    except UserError as error:
        return f"No pictures: {error}", []
    views = []
    for number, (title, item) in enumerate(chosen):
        row, drawing = item.row, NO_DRAWING
        try:
            samples, _ = load_audio(
                row.audio, model.front_end.options.sampling_rate, start=row.start, duration=row.duration
            )
        except AudioError:
            samples = None  # the line below the player says why
        if samples is not None and len(samples):
            analysis = analyse(model, tokenizer, samples, text=row.hypothesis)
            drawing = draw(analysis, tokenizer.symbols, f"utterance{number}")
        views.append(_view(item, title, drawing))
    return "", views


def _view(item: ScoredUtterance, title: str = "", drawing: Markup = NO_DRAWING) -> UtteranceView:
    row = item.row
    parts = [f"{count(item.errors.errors, 'error')} in {count(item.errors.reference_length, 'word')}"]
    if row.duration:
        parts.append(duration(row.duration))
    if row.confidence is not None:
        parts.append(f"confidence {row.confidence:.2f}")
    recording = embed_recording(Path(row.audio), row.start, row.duration) if row.audio else Recording()
    return UtteranceView(title, row.id, " · ".join(parts), edits=item.edits, recording=recording, drawing=drawing)


def _corpus(run: SpeechRun) -> list[tuple[object, ...]]:
    """Return the sizes of the corpus's parts, a row each."""
    return [
        (
            split,
            part.utterances,
            f"{part.hours:.2f}",
            "" if part.speakers is None else part.speakers,
            part.words,
            part.rejected.count,
            ", ".join(f"{reason} {number:,}" for reason, number in part.rejected.reasons.items()),
        )
        for split, part in run.corpus.splits.items()
    ]


def _ranked(scored: Sequence[ScoredUtterance]) -> list[ScoredUtterance]:
    """Return the utterances with most errors first; among equals, the one with the higher error rate."""
    return sorted(scored, key=lambda item: (-item.errors.errors, -item.errors.rate, item.row.id))


def _choose(scored: Sequence[ScoredUtterance]) -> list[tuple[str, ScoredUtterance]]:
    """Return an utterance without errors, of middle length, one of middle error rate, and one with many errors."""
    short = [item for item in scored if 0 < item.row.duration <= LONGEST_DRAWING]
    right = sorted((i for i in short if not i.errors.errors and i.errors.hits), key=lambda item: item.row.duration)
    wrong = sorted((i for i in short if i.errors.errors), key=lambda item: item.errors.rate)
    chosen = [("Without errors", right[len(right) // 2])] if right else []
    if wrong:
        worst = _ranked(wrong)[0]
        others = [item for item in wrong if item is not worst]
        chosen += [("A usual utterance with errors", others[len(others) // 2])] if others else []
        chosen.append(("The utterance with most errors", worst))
    return chosen

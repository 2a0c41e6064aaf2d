"""A run as one page that opens offline: how good, how it got there, what went wrong, and what the model heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from speechrnn.audio import AudioError, load_audio
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.evaluation.metrics import DELETION, HIT, INSERTION, SUBSTITUTION, Errors, character_errors
from speechrnn.nn.checkpoint import WEIGHTS
from speechrnn.reports import html as markup
from speechrnn.reports.fusion import changes
from speechrnn.reports.html import length, note, number, percent, section, table
from speechrnn.reports.results import Results, Scored

WORST = 8  # utterances with players
CONFUSIONS = 12  # most frequent of a kind
REJECTED = 50  # utterances named
# ways of decoding, as metrics.json calls them
WAYS = {"beam": "beam with the language model", "ngram": "beam with the n-gram model", "bare_beam": "beam alone"}
LONGEST_PICTURE = 20.0  # seconds; in a longer one nothing can be made out


def write_report(folder: str | Path) -> Path:
    """Writes `report.html` into a run folder, from whatever of a run is there: one file that needs no other.

    Returns:
        the path of the report.

    Raises:
        UserError: the folder holds no run, a damaged file, or cannot be written.
    """
    folder = Path(folder)
    run = Results.read(folder)
    parts = [_summary, _learning, _errors, changes, _worst, _examples, _corpus, _time]
    body = "\n".join(part for part in (*(make(run) for make in parts), markup.configuration(run.config)) if part)
    path = folder / "report.html"
    with atomic_write(path) as file:
        file.write(markup.page(folder.resolve().name, _subtitle(run), body, run.model.get("versions") or {}))
    return path


def _subtitle(run: Results) -> str:
    parts = [f"corpus {run.corpus['corpus']}"] if run.corpus.get("corpus") else []
    if run.decode:
        parts.append(f"decoding {' and '.join(run.decode)}")
    return ", ".join(parts)


def _summary(run: Results) -> str:
    tiles = []
    figures = run.figures
    if "wer" in figures:
        ends = [percent(end) for end in figures.get("wer_ci95") or []]
        interval = f"95\u00a0%: {' to '.join(ends)}" if ends else ""
        tiles.append(markup.tile("Word error rate", percent(figures["wer"]), interval))
    if "cer" in figures:
        tiles.append(markup.tile("Character error rate", percent(figures["cer"])))
    if "utterances" in figures:
        amount = [number(figures["words"], "word")] if "words" in figures else []
        amount += [length(figures["audio_seconds"])] if "audio_seconds" in figures else []
        tiles.append(markup.tile("Utterances", f"{figures['utterances']:,}", ", ".join(amount)))
    if figures.get("rtf"):
        tiles.append(markup.tile("Real-time factor", f"{figures['rtf']:.3g}", f"{1 / figures['rtf']:,.0f} × real time"))
    weights = run.folder / "acoustic" / WEIGHTS
    if run.training.get("parameters"):
        size = f"{weights.stat().st_size / 1e6:.1f} MB" if weights.is_file() else ""
        tiles.append(markup.tile("Parameters", f"{run.training['parameters'] / 1e6:.2f} M", size))
    if run.training.get("seconds"):
        epochs = number(run.training.get("epochs", 0), "epoch")
        tiles.append(markup.tile("Training", length(sum(run.training["seconds"].values())), epochs))
    lines = [
        (
            WAYS.get(name, name),
            percent(entry["wer"]),
            " to ".join(percent(end) for end in entry.get("wer_ci95") or []),
            percent(entry["cer"]),
            f"{entry['calibration_error']:.3f}" if "calibration_error" in entry else "",
            f"{entry['rtf']:.3g}" if entry.get("rtf") else "",
        )
        for name, entry in run.decode.items()
        if "wer" in entry and "cer" in entry
    ]
    header = ["Decoding", "WER", "95 % interval", "CER", "Calibration error", "Real-time factor"]
    compared = table("lrrrrr", header, lines) if len(lines) > 1 else ""
    remark = (
        note(f"The figures above and the errors below are of the way called {WAYS.get(run.way, run.way)}.")
        if compared
        else ""
    )
    return section("Summary", f'<dl class="tiles">{"".join(tiles)}</dl>', compared, remark)


def _learning(run: Results) -> str:
    from speechrnn.reports.plots import error_curves, loss_curves

    history, best = run.training.get("history") or [], run.training.get("best_epoch", -1)
    if not history:
        return ""
    curves = [loss_curves(history, best), error_curves(history, best)]
    missing = "" if curves[1] else note("Without a dev part there are no error rates during training.")
    return section("Learning", f'<div class="curves">{"".join(curves)}</div>', missing)


def _errors(run: Results) -> str:
    if not run.scored:
        return ""
    words = sum((item.errors for item in run.scored), Errors())
    rows = [item.row for item in run.scored]
    letters = sum(character_errors([r["reference"] for r in rows], [r["hypothesis"] for r in rows]), Errors())
    header = ["", "In the reference", "Right", "Substitutions", "Insertions", "Deletions", "Errors", "Rate"]
    counts = [
        (name, e.reference_length, e.hits, e.substitutions, e.insertions, e.deletions, e.errors, percent(e.rate))
        for name, e in (("Words", words), ("Characters", letters))
    ]
    wrong = sum(item.errors.errors > 0 for item in run.scored)
    share = note(f"{number(len(rows), 'utterance')}, {len(rows) - wrong:,} without an error in a word.")
    edits = Counter(edit for item in run.scored for edit in item.edits if edit.op != HIT)

    def most(op: str, header: list[str], caption: str) -> str:
        frequent = sorted((e for e in edits.items() if e[0].op == op), key=lambda e: (-e[1], str(e[0])))[:CONFUSIONS]
        rows = [(*(word for word in edit[1:] if word is not None), times) for edit, times in frequent]
        return table("l" * (len(header) - 1) + "r", header, rows, caption)

    kinds = [
        most(SUBSTITUTION, ["Said", "Recognised", "Times"], "Substituted most often"),
        most(DELETION, ["Said", "Times"], "Left out most often"),
        most(INSERTION, ["Recognised", "Times"], "Put in most often"),
    ]
    return section("Errors", table("lrrrrrrr", header, counts), share, f'<div class="columns">{"".join(kinds)}</div>')


def _worst(run: Results) -> str:
    worst = [item for item in _ranked(run.scored) if item.errors.errors][:WORST]
    if not worst:
        return note("No word is wrong.") if run.scored else ""
    legend = note("Most word errors first. S: another word, D: left out, I: put in.")
    return section("Worst utterances", legend, *(_utterance(item) for item in worst))


def _examples(run: Results) -> str:
    from speechrnn.nn.acoustic import load_acoustic
    from speechrnn.reports.posteriors import hear, picture

    examples = _choose(run.scored)
    if not examples or not run.model:
        return ""
    try:
        model, tokenizer = load_acoustic(run.folder / "acoustic")
    except UserError as error:
        return section("What the model hears", note(f"No pictures: {error}"))
    drawn = []
    for place, (title, item) in enumerate(examples):
        row, drawing = item.row, ""
        try:
            span = {"start": row.get("start", 0.0), "duration": item.duration or None}
            samples, _ = load_audio(row["audio"], model.front_end.options.sampling_rate, **span)
            drawing = picture(hear(model, tokenizer, samples, row["hypothesis"]), tokenizer.symbols, f"heard{place}")
        except AudioError:
            pass  # the player's line says why
        drawn.append(_utterance(item, title, f'<div class="picture">{drawing}</div>' if drawing else ""))
    explained = note(
        "Above, the log-mel spectrogram with the recognised words; below, the probability of each symbol over the same "
        "time. Outlined is the path of the recognised text through it (forced alignment)."
    )
    return section("What the model hears", explained, *drawn)


def _utterance(item: Scored, title: str = "", drawing: str = "") -> str:
    row = item.row
    heard = markup.player(Path(row["audio"]), row.get("start", 0.0), item.duration) if row.get("audio") else ""
    head = f"<b>{markup.escape(title)}</b> " if title else ""
    return (
        f'<article class="utterance"><h3>{head}<code>{markup.escape(row.get("id", ""))}</code> '
        f"<small>{markup.escape(_describe(item))}</small></h3>\n"
        f"{markup.differences(item.edits)}\n{heard}\n{drawing}</article>"
    )


def _describe(item: Scored) -> str:
    parts = [f"{number(item.errors.errors, 'error')} in {number(item.errors.reference_length, 'word')}"]
    if item.duration:
        parts.append(length(item.duration))
    if item.row.get("confidence") is not None:
        parts.append(f"confidence {item.row['confidence']:.2f}")
    return " · ".join(parts)


def _corpus(run: Results) -> str:
    rows, named = [], []
    for split, part in (run.corpus.get("splits") or {}).items():
        rejected = part["rejected"]
        why = ", ".join(f"{reason} {count:,}" for reason, count in rejected["reasons"].items())
        hours = f"{part['hours']:.2f}"
        rows.append((split, part["utterances"], hours, part["speakers"], part["words"], rejected["count"], why))
        named += [(bad["id"], split, bad["reason"], bad.get("detail") or "") for bad in rejected["utterances"]]
    held_out = run.corpus.get("dev_held_out_by")
    origin = note(f"The dev part is held out of train by {held_out}.") if held_out else ""
    header = ["Part", "Utterances", "Hours", "Speakers", "Words", "Rejected", "Why"]
    lost = [(item["id"], item["frames"], item["needed"]) for item in run.training.get("left_out") or []]
    return section(
        "Corpus",
        table("lrrrrrl", header, rows),
        origin,
        _listed("llll", named, ["Utterance", "Part", "Reason", "Detail"], "rejected utterance"),
        _listed("lrr", lost, ["Utterance", "Frames", "Frames needed"], "training utterance too short for the text"),
    )


def _listed(sides: str, rows: Sequence[tuple[object, ...]], header: list[str], noun: str) -> str:
    if not rows:
        return ""
    more = note(f"and {len(rows) - REJECTED:,} more") if len(rows) > REJECTED else ""
    plural = noun if len(rows) == 1 else noun.replace("utterance", "utterances")
    return markup.details(f"{len(rows):,} {plural}", table(sides, header, rows[:REJECTED]) + more)


def _time(run: Results) -> str:
    names = {"data": "waiting for data", "step": "training steps", "evaluation": "evaluation on dev"}
    seconds = run.training.get("seconds") or {}
    spent = [(names.get(key, key), float(value)) for key, value in seconds.items()]
    lines = [
        note(
            f"Decoding ({way}) took {length(entry['rtf'] * entry['audio_seconds'])} for "
            f"{length(entry['audio_seconds'])} of audio: a real-time factor of {entry['rtf']:.3g}."
        )
        for way, entry in run.decode.items()
        if entry.get("rtf") and entry.get("audio_seconds")
    ]
    return section("Where the time went", markup.shares(spent) if spent else "", *lines)


def _ranked(scored: Sequence[Scored]) -> list[Scored]:
    """Most errors first; of as many, those of the shorter utterance."""
    return sorted(scored, key=lambda item: (-item.errors.errors, -item.errors.rate, str(item.row.get("id"))))


def _choose(scored: Sequence[Scored]) -> list[tuple[str, Scored]]:
    """One utterance without errors, of middle length, one of middle error rate, and one with many errors."""
    short = [item for item in scored if item.duration <= LONGEST_PICTURE]
    right = sorted((i for i in short if not i.errors.errors and i.errors.hits), key=lambda item: item.duration)
    wrong = sorted((i for i in short if i.errors.errors), key=lambda item: item.errors.rate)
    chosen = [("Without errors", right[len(right) // 2])] if right else []
    if wrong:
        worst = _ranked(wrong)[0]
        others = [item for item in wrong if item is not worst]
        chosen += [("Middling", others[len(others) // 2])] if others else []
        chosen.append(("With many errors", worst))
    return chosen

"""Claim: live recognition makes few more errors than whole recordings, and its words come soon and stay.

Prints, for a model and the recordings of a manifest (JSON lines with audio_filepath and text): the word error rate over
whole recordings and live at several latencies, all greedy, in packets of 0.1 s; how long after its end a word is shown
(median and 90 % of the words, seconds of sound); how many words of partials were taken back, as a share of all words;
and how long the last words take to be computed after the sound has ended (95 % of the recordings).

--picture FILE.svg draws error rate against latency, as in docs/guides/live.md:

    python benchmarks/latency.py --model english --manifest test.jsonl --picture docs/images/latency.svg
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from timing import line, machine, parser, stop

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.evaluation.metrics import word_errors
from speechrnn.transcription.events import Event
from speechrnn.transcription.streamer import StreamingRecognizer
from speechrnn.transcription.transcriber import Transcriber

LATENCIES = (0.2, 0.3, 0.6, 1.2)  # seconds
PACKET = 0.1  # seconds
ENOUGH = 20  # recordings of a quick run


@dataclass
class LiveRun:
    """Results of live recognition of some recordings at a latency.

    Attributes:
        texts: of each recording.
        delays: seconds of sound between the end of each word and the event that first showed it.
        taken_back: words of partials that a later event replaced.
        endings: seconds that the last words of each recording took to compute.
    """

    texts: list[str]
    delays: list[float]
    taken_back: int
    endings: list[float]

    @property
    def words(self) -> int:
        """Return the number of words."""
        return sum(len(text.split()) for text in self.texts)


def agreeing(words: Sequence[str], others: Sequence[str]) -> int:
    """Return how many words, from the first, two texts share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(words, others, strict=False)))


def follow(events: Sequence[tuple[float, Event]], run: LiveRun) -> str:
    """Count the delays and the words taken back of a recording's (seconds of sound, event); return its text."""
    texts: list[str] = []
    shown: list[str] = []
    since: list[float] = []  # seconds of sound at which each word was shown first
    for now, event in events:
        words = [word.word for word in event.words]
        same = agreeing(words, shown)
        run.taken_back += len(shown) - same
        shown, since = words, since[:same] + [now] * (len(words) - same)
        if event.kind == "final":
            run.delays += [time - word.end for time, word in zip(since, event.words, strict=True)]
            texts.append(event.text)
            shown, since = [], []
    return " ".join(texts)


def run_live(recognizer: StreamingRecognizer, recordings: Sequence[np.ndarray]) -> LiveRun:
    """Recognise recordings live."""
    run, rate = LiveRun([], [], 0, []), recognizer.sampling_rate
    size = round(PACKET * rate)
    for samples in recordings:
        streamer, events = recognizer.stream(), []
        for place in range(0, len(samples), size):
            now = min(place + size, len(samples)) / rate
            events += [(now, event) for event in streamer.accept(samples[place : place + size])]
        began = time.perf_counter()
        events += [(len(samples) / rate, event) for event in streamer.finish()]
        run.endings.append(time.perf_counter() - began)
        run.texts.append(follow(events, run))
    return run


def plain(text: str) -> str:
    """Return a text without case and punctuation."""
    return re.sub(r"[^\w' ]", " ", text.lower())


def error_rate(references: Sequence[str], texts: Sequence[str]) -> float:
    """Return the word error rate, percent; case and punctuation do not count."""
    errors = word_errors([plain(text) for text in references], [plain(text) for text in texts])
    return 100 * sum(error.errors for error in errors) / sum(error.reference_length for error in errors)


def draw(path: Path, model: str, whole: float, rates: dict[float, float]) -> None:
    """Draw error rates against latencies."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "latency", "font.size": 11}):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        axes.plot(list(rates), list(rates.values()), "o-", color="#2a6fb0", label="live")
        for latency, rate in rates.items():
            axes.annotate(f"{rate:.1f}", (latency, rate), (5, 5), textcoords="offset points")
        axes.axhline(whole, color="#777777", linestyle="--", label=f"whole recordings: {whole:.1f}")
        axes.set(xlabel="latency (s)", ylabel="word error rate (%)", title=f"{model}, greedy", xscale="log")
        axes.set_xticks(list(rates), [f"{latency:g}" for latency in rates], minor=False)
        axes.minorticks_off()
        low, high = min(whole, *rates.values()), max(whole, *rates.values())
        axes.set_ylim(max(0.0, low - 0.3 * (high - low) - 1), high + 0.3 * (high - low) + 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> None:
    """Print the result lines."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--model", default="english", help="name or directory (english)")
    options.add_argument("--manifest", type=Path, required=True, help="recordings and texts")
    options.add_argument("--every", type=int, default=1, help="take every n-th recording")
    options.add_argument("--latencies", type=float, nargs="+", default=LATENCIES, help="seconds")
    options.add_argument("--picture", type=Path, help="an SVG file that is drawn")
    args = options.parse_args()
    torch.set_num_threads(1)
    print(machine(1))
    rows = [json.loads(text) for text in args.manifest.read_text().splitlines()][:: args.every]
    rows = rows[:ENOUGH] if args.quick else rows
    try:
        transcriber = Transcriber.load(args.model, decoding="greedy", device="cpu", engine="torch", precision="float32")
        paths, rate = [args.manifest.parent / row["audio_filepath"] for row in rows], transcriber.sampling_rate
        recordings = [load_audio(path, rate)[0] for path in paths]
        references = [row["text"] for row in rows]
        whole = error_rate(references, [transcriber.decode([samples])[0].text for samples in recordings])
        print(f"whole recordings: {whole:.2f} % WER, {len(rows)} recordings", flush=True)
        rates = {}
        for latency in sorted(args.latencies):
            recognizer = StreamingRecognizer.load(args.model, decoding="greedy", latency=latency)
            run = run_live(recognizer, recordings)
            rates[latency] = error_rate(references, run.texts)
            median, most = np.quantile(run.delays, [0.5, 0.9]) if run.delays else (0.0, 0.0)
            print(
                f"{latency:g} s: a word is shown {median:.2f} s after its end ({most:.2f} s for 90 %), "
                f"{run.taken_back / max(1, run.words):.3f} of the words are taken back, the last words take "
                f"{1000 * np.quantile(run.endings, 0.95):.0f} ms (95 %)"
            )
            ratio = whole / rates[latency] if rates[latency] else 1.0
            print(line(f"live_{1000 * latency:.0f}ms_word_errors", ratio, rates[latency], whole, "% WER"), flush=True)
    except UserError as error:
        stop(str(error))
    if args.picture is not None:
        draw(args.picture, recognizer.name, whole, rates)


if __name__ == "__main__":
    main()

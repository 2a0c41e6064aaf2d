"""Claim: live recognition makes few more errors than whole recordings, and its words come soon and stay.

Prints, for a model and the recordings of a manifest (JSON lines with audio_filepath and text), the word error rate over
whole recordings, and for several latencies, in packets of 0.1 s, decoded as `speechrnn listen` does or by --decoding:
the word error rate; how long after its end a word comes (median and 90 % of the words, seconds of sound) and how long
after the beginning of the first word the first partial comes; how many words of partials were taken back, as a share of
all words; the processor time of one thread, as a share of real time; and the processor time that the last words take
after the sound has ended (95 % of the recordings). --hold and --no-gate are for comparisons.

--streams 40 feeds so many streams at the same time to one thread at the longest of the latencies: how late its words
are, by processor time (95 % of the packets).

--picture FILE.svg draws error rate against latency, as in docs/guides/live.md:

    python benchmarks/latency.py --model english --manifest test.jsonl --picture docs/images/latency.svg
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from manifest import read_rows
from timing import line, machine, parser, stop

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.evaluation.metrics import word_errors
from speechrnn.transcription.events import Event
from speechrnn.transcription.speech_gate import SpeechGateOptions
from speechrnn.transcription.streamer import StreamingRecognizer
from speechrnn.transcription.streaming_options import StreamingOptions
from speechrnn.transcription.transcriber import Transcriber

LATENCIES = (0.2, 0.3, 0.6, 1.2)  # seconds
PACKET = 0.1  # seconds
TOGETHER_SECONDS = 10.0  # of each of several streams
ENOUGH = 20  # recordings of a quick run


@dataclass
class LiveRun:
    """Results of live recognition of some recordings at a latency.

    Attributes:
        texts: of each recording.
        delays: seconds of sound between the end of each word and the event that first showed it.
        taken_back: words of partials that a later event replaced.
        endings: seconds of processor time that the last words of each recording took to compute.
        firsts: seconds of sound from the beginning of each recording's first word to its first partial.
        processor: seconds of processor time, in all.
    """

    texts: list[str]
    delays: list[float]
    taken_back: int
    endings: list[float]
    firsts: list[float] = field(default_factory=list)
    processor: float = 0.0

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
    run, rate = LiveRun([], [], 0, endings=[]), recognizer.sampling_rate
    size = round(PACKET * rate)
    whole = time.process_time()
    for samples in recordings:
        streamer, events = recognizer.stream(), []
        for place in range(0, len(samples), size):
            now = min(place + size, len(samples)) / rate
            events += [(now, event) for event in streamer.accept(samples[place : place + size])]
        began = time.process_time()
        events += [(len(samples) / rate, event) for event in streamer.finish()]
        run.endings.append(time.process_time() - began)
        run.texts.append(follow(events, run))
        spoken = [event.words[0].start for _, event in events if event.kind == "final" and event.words]
        if spoken:
            run.firsts.append(next(now for now, event in events if event.words) - spoken[0])
    run.processor = time.process_time() - whole
    return run


def run_together(recognizer: StreamingRecognizer, recordings: Sequence[np.ndarray], streams: int) -> list[float]:
    """Feed streams at the same time, each with the recordings one after another from another one on.

    Returns:
        how late each round of packets is done, in seconds, if its processor time were all that passes.
    """
    size = round(PACKET * recognizer.sampling_rate)
    streamers = [recognizer.stream() for _ in range(streams)]
    order = [[recordings[(first + n) % len(recordings)] for n in range(len(recordings))] for first in range(streams)]
    sounds = [np.concatenate(several) for several in order]
    rounds = round(TOGETHER_SECONDS / PACKET)
    delays, free = [], 0.0  # free: the moment at which the processor has done what has come
    for number in range(rounds):
        came = (number + 1) * PACKET
        packets = [np.take(sound, np.arange(number * size, (number + 1) * size), mode="wrap") for sound in sounds]
        began = time.process_time()
        recognizer.accept(streamers, packets)
        free = max(free, came) + time.process_time() - began
        delays.append(free - came)
    return delays


def plain(text: str) -> str:
    """Return a text without case and punctuation."""
    return re.sub(r"[^\w' ]", " ", text.lower())


def error_rate(references: Sequence[str], texts: Sequence[str]) -> float:
    """Return the word error rate, percent; case and punctuation do not count."""
    errors = word_errors([plain(text) for text in references], [plain(text) for text in texts])
    return 100 * sum(error.errors for error in errors) / sum(error.reference_length for error in errors)


def draw(path: Path, title: str, whole: float, rates: dict[float, float]) -> None:
    """Draw error rates against latencies."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "latency", "font.size": 11}):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        axes.plot(list(rates), list(rates.values()), "o-", color="#2a6fb0", label="live")
        for latency, rate in rates.items():
            axes.annotate(f"{rate:.1f}", (latency, rate), (7, 5), textcoords="offset points")
        axes.axhline(whole, color="#777777", linestyle="--", label=f"whole recordings: {whole:.1f}")
        axes.set(xlabel="latency (s)", ylabel="word error rate (%)", title=title, xscale="log")
        axes.set_xticks(list(rates), [f"{latency:g}" for latency in rates], minor=False)
        axes.minorticks_off()
        low, high = min(whole, *rates.values()), max(whole, *rates.values())
        axes.set_ylim(max(0.0, low - 0.3 * (high - low) - 1), high + 0.5 * (high - low) + 1)
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
    options.add_argument("--decoding", choices=("greedy", "beam"), help="instead of what listen does")
    options.add_argument("--hold", type=float, default=StreamingOptions().hold, help="seconds, as the key of listen")
    options.add_argument("--no-gate", action="store_true", help="let all sound have words, as gate.detector=none")
    options.add_argument("--streams", type=int, default=0, help="at the same time, in the end")
    options.add_argument("--picture", type=Path, help="an SVG file that is drawn")
    args = options.parse_args()
    torch.set_num_threads(1)
    print(machine(1))
    rows = read_rows(args.manifest, args.every)
    rows = rows[:ENOUGH] if args.quick else rows
    try:
        transcriber = Transcriber.load(
            args.model, decoding=args.decoding, device="cpu", engine="torch", precision="float32"
        )
        recordings = [load_audio(row["audio_filepath"], transcriber.sampling_rate)[0] for row in rows]
        references = [row["text"] for row in rows]
        whole = error_rate(references, [transcriber.decode([samples])[0].text for samples in recordings])
        print(f"whole recordings: {whole:.2f} % WER, {len(rows)} recordings", flush=True)
        rates = {}
        for latency in sorted(args.latencies):
            gate = SpeechGateOptions(detector="none" if args.no_gate else "auto")
            recognizer = StreamingRecognizer.load(
                args.model, decoding=args.decoding, latency=latency, hold=args.hold, gate=gate
            )
            run = run_live(recognizer, recordings)
            rates[latency] = error_rate(references, run.texts)
            median, most = np.quantile(run.delays, [0.5, 0.9]) if run.delays else (0.0, 0.0)
            share = run.processor * recognizer.sampling_rate / sum(map(len, recordings))
            print(
                f"{latency:g} s, {recognizer.decoding}: a word is shown {median:.2f} s after its end "
                f"({most:.2f} s for 90 %), the first {np.median(run.firsts or [0.0]):.2f} s after its beginning; "
                f"{run.taken_back / max(1, run.words):.3f} of the words are taken back; "
                f"{share:.4f} of real time; the last words take {1000 * np.quantile(run.endings, 0.95):.0f} ms (95 %)"
            )
            ratio = whole / rates[latency] if rates[latency] else 1.0
            print(
                line(f"live_{1000 * latency:.0f}ms_word_errors", ratio, rates[latency], peer=whole, unit="% WER"),
                flush=True,
            )
    except UserError as error:
        stop(str(error))
    if args.streams:
        late = np.quantile(run_together(recognizer, recordings, args.streams), 0.95)
        print(f"{args.streams} streams at {max(rates):g} s on one thread: {late:.2f} s late (95 % of the packets)")
    if args.picture is not None:
        draw(args.picture, f"{recognizer.name}, {recognizer.decoding}", whole, rates=rates)


if __name__ == "__main__":
    main()

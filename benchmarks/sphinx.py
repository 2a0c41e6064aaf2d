"""Claim: on one core, our transcripts have fewer word errors than pocketsphinx's and come many times as fast.

All sides transcribe the AN4 test files (or --quick: a few of them), from the files on disk, in turn on the same core:

- `own`: pocketsphinx with its own English acoustic model, dictionary and language model, as its wheel brings them.
- `words`: the same acoustic model with AN4's dictionary, any word after any other with the same probability. This is a
  unigram model, since pocketsphinx takes twenty times as long for the same loop written as a grammar.
- `greedy`, and `fused` where --language-model names one: ours, in batches.

Printed are the word error rate of each, with its 95 % interval, and how many times real time it runs, counted in the
processor time of all its threads: what else the machine does must not favour the side that has its turn later. Needs
pocketsphinx (pip install pocketsphinx). Without --model, an untrained one of the experiment's shape does the same work
on the same sound; its words are nonsense.
"""

from __future__ import annotations

import math
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from an4 import ROOT, save_untrained
from timing import in_turn, line, machine, parser, result, stop

from speechrnn.audio import audio_info, load_audio
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import Utterance
from speechrnn.data.corpora.an4 import utterances
from speechrnn.evaluation.metrics import bootstrap_interval, word_errors
from speechrnn.transcription.transcriber import Failure, Transcriber

VARIANT = re.compile(r"\(\d+\)$")  # the second pronunciation of A stands in the dictionary as A(2)
RATE = 16000  # Hz, of pocketsphinx's model and of AN4
Side = Callable[[], list[str]]


def keep_to(threads: int) -> None:
    """Confine this process to so many cores, whatever threads are started in it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    torch.set_num_threads(threads)


def unigrams(dictionary: Path, path: Path) -> None:
    """Write an ARPA model in which each word of a pronouncing dictionary, and the end, is as probable as the next."""
    words = sorted(
        {VARIANT.sub("", entry.split()[0]) for entry in dictionary.read_text().splitlines() if entry.strip()}
    )
    each = f"{-math.log10(len(words) + 1):.4f}"
    lines = ["-99 <s>", *(f"{each} {word}" for word in ("</s>", *words))]
    path.write_text(f"\\data\\\nngram 1={len(lines)}\n\n\\1-grams:\n" + "\n".join(lines) + "\n\n\\end\\\n")


def sphinx_words(decoder: Any, files: Sequence[Path]) -> list[str]:
    """Return the words that a pocketsphinx decoder finds in each file."""
    texts = []
    for file in files:
        samples, _ = load_audio(file, RATE)
        decoder.start_utt()
        decoder.process_raw((samples * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        # Its dictionary writes letters as "b."; AN4 as B.
        texts.append(hypothesis.hypstr.upper().replace(".", "") if hypothesis else "")
    return texts


def our_words(transcriber: Transcriber, files: Sequence[Path]) -> list[str]:
    """Return the words that ours finds; a file that cannot be read ends the script."""
    texts = {}
    for found in transcriber.transcribe(files):
        if isinstance(found, Failure):
            stop(found.reason)
        texts[found.audio] = found.text
    return [texts[str(file)] for file in files]


def peers(root: Path, folder: Path, files: Sequence[Path]) -> dict[str, Side]:
    """pocketsphinx with its own words and with AN4's."""
    try:
        from pocketsphinx import Decoder
    except ImportError:
        stop("needs the package pocketsphinx: pip install pocketsphinx")
    dictionary = next(
        (path for path in (root / "etc" / "an4.dic", root / "an4" / "etc" / "an4.dic") if path.exists()), None
    )
    if dictionary is None:
        stop(f"{root} holds no etc/an4.dic. The key here is --root.")
    unigrams(dictionary, folder / "words.arpa")
    decoders = {
        "own": Decoder(loglevel="FATAL"),
        "words": Decoder(loglevel="FATAL", lm=str(folder / "words.arpa"), dict=str(dictionary)),
    }
    return {name: partial(sphinx_words, decoder, files) for name, decoder in decoders.items()}


def ours(model: Path, language_model: Path | None, files: Sequence[Path]) -> dict[str, Side]:
    """The greedy decoder and, with a language model, the beam search that asks it."""
    sides: dict[str, Side] = {"greedy": partial(our_words, Transcriber.load(model, "cpu"), files)}
    if language_model is not None:
        fused = Transcriber.load(model, "cpu", "beam", language_model)
        sides["fused"] = partial(our_words, fused, files)
    return sides


def measure(
    test: Sequence[Utterance], our_sides: dict[str, Side], peer_sides: dict[str, Side], repeats: int
) -> list[str]:
    """Measure words and times of all sides; return the result lines, errors first."""
    seconds = sum(audio_info(utterance.audio).duration for utterance in test)
    references = [utterance.text or "" for utterance in test]
    lengths = [len(text.split()) for text in references]
    decoded: dict[str, list[str]] = {}

    used: dict[str, list[float]] = {name: [] for name in (*peer_sides, *our_sides)}

    def run_side(name: str, side: Side) -> None:
        began = time.process_time()
        decoded[name] = side()
        used[name].append(time.process_time() - began)

    sides = {**peer_sides, **our_sides}
    times = in_turn({name: partial(run_side, name, side) for name, side in sides.items()}, repeats, warm_up=False)
    rates, speeds = {}, {}
    for name, texts in decoded.items():
        errors = [counts.errors for counts in word_errors(references, texts)]
        low, high = bootstrap_interval(errors, lengths)
        rates[name] = 100 * sum(errors) / sum(lengths)
        speeds[name] = seconds / statistics.median(used[name])
        print(
            f"{name}: WER {rates[name]:.1f} % ({100 * low:.1f} to {100 * high:.1f}), {speeds[name]:.1f} times real time"
            f" ({seconds / times[name]:.1f} by the clock on the wall)"
        )
    lines = []
    for mine in our_sides:
        for peer in peer_sides:
            ratio = rates[peer] / rates[mine] if rates[mine] else math.inf  # a few files may have no error at all
            lines.append(line(f"wer_{mine}_{peer}", ratio, rates[mine], peer=rates[peer], unit="%"))
    for mine in our_sides:
        for peer in peer_sides:
            speed = f"speed_{mine}_{peer}"
            lines.append(result(speed, speeds[mine], speeds[peer], unit="times real time", more_is_better=True))
    return lines


def main() -> None:
    """Print errors and speeds."""
    options = parser(__doc__, repeats=3)
    options.set_defaults(threads=1)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    options.add_argument("--model", type=Path, help="an acoustic model's directory")
    options.add_argument("--language-model", type=Path, help="a language model's directory, for the fused side")
    given = options.parse_args()
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    keep_to(given.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            test = utterances(given.root)["test"]
            test = test[:: len(test) // 5] if given.quick else test
            files = [utterance.audio for utterance in test]
            peer_sides = peers(given.root, folder, files)
            model = given.model or folder / "model"
            if given.model is None:
                save_untrained(model)
            our_sides = ours(model, given.language_model, files)
            lines = measure(test, our_sides, peer_sides, repeats=1 if given.quick else given.repeats)
        except UserError as error:
            stop(str(error) if given.root.is_dir() else f"{error} The key here is --root.")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Claim: the English model makes fewer word errors than pocketsphinx's own English model, many times as fast.

Prints the word error rates of a model on the dev part or the test part of the English corpus: greedy, and in the beam
with its language models, with the calibration error of the confidences; by speaker and by sex; over a telephone (8 kHz,
G.711); with noise that was not in the training; and greedily with a limited look-ahead, as a live recogniser has it.
Intervals are of 95 %, over utterances.

--sphinx N decodes every N-th utterance with pocketsphinx too (pip install pocketsphinx), on the same core in turn, and
prints both error rates and the ratio of the processor times, also of narrower searches. The test part is for the table
of docs/results.md only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soxr
import torch
from manifest import read_rows
from timing import line, machine, parser, stop

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.data.dataset import pad
from speechrnn.decoding.confidence import expected_calibration_error
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.greedy import greedy
from speechrnn.decoding.tuning import correct_words
from speechrnn.evaluation.metrics import bootstrap_interval, word_errors
from speechrnn.nn.acoustic import AcousticModel
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.transcription.streaming_options import blocks_for
from speechrnn.transcription.transcriber import Transcriber, Transcript

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
RATE = 16000  # Hz
WOMEN = {"ls84", "ls1673", "ls2412", "ls1462"}  # speakers of the test and dev parts, from LibriSpeech's SPEAKERS.TXT
LATENCIES = (0.3, 0.6, 1.2)  # seconds
BATCH = 8  # utterances
SEARCHES = {  # compared with pocketsphinx
    "beam_10": DecodingOptions(name="beam", beam_size=10, beam_threshold=6.0),
    "beam_20": DecodingOptions(name="beam", beam_size=20, beam_threshold=8.0),
    "beam_100": DecodingOptions(name="beam", beam_size=100, beam_threshold=10.0),
    "beam": DecodingOptions(name="beam"),
}


@dataclass(frozen=True)
class Utterance:
    """A test utterance: samples (n,) float32 at 16 kHz."""

    samples: np.ndarray
    speaker: str
    text: str


def read(root: Path, part: str, every: int) -> list[Utterance]:
    """Read every n-th utterance of a part."""
    return read_utterances(root / "english" / f"{part}.jsonl", every, key="--root")


def read_utterances(manifest: Path, every: int, key: str = "--manifest") -> list[Utterance]:
    """Read every n-th utterance of a manifest; "" is the speaker of one that names none."""
    return [
        Utterance(load_audio(row["audio_filepath"], RATE)[0], str(row.get("speaker", "")), row["text"])
        for row in read_rows(manifest, every, key)
    ]


def over_telephone(samples: np.ndarray) -> np.ndarray:
    """Return samples (n,) as they come out of a telephone line: 300 to 3400 Hz of 8 kHz audio in G.711's mu-law."""
    narrow = soxr.resample(samples, RATE, 8000)
    spectrum = np.fft.rfft(narrow)
    frequencies = np.fft.rfftfreq(len(narrow), 1 / 8000)
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    narrow = np.fft.irfft(spectrum, len(narrow)).clip(-1, 1)
    codes = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / math.log(256) * 127)
    decoded = np.sign(codes) * np.expm1(np.abs(codes) / 127 * math.log(256)) / 255
    return soxr.resample(decoded, 8000, RATE).astype(np.float32)


def with_noise(samples: np.ndarray, noises: Sequence[np.ndarray], decibels: float, number: int) -> np.ndarray:
    """Add one of the noises to samples (n,) at a signal-to-noise ratio in dB."""
    generator = np.random.default_rng(number)
    noise = noises[number % len(noises)]
    noise = np.resize(np.roll(noise, int(generator.integers(len(noise)))), len(samples))
    scale = np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-decibels / 20)
    return (samples + scale * noise).astype(np.float32)


def transcripts_of(transcriber: Transcriber, samples: Sequence[np.ndarray]) -> list[Transcript]:
    """Return the transcripts of recordings at 16 kHz."""
    return transcriber([*samples], sampling_rate=RATE)


def transcribe(transcriber: Transcriber, samples: Sequence[np.ndarray]) -> list[str]:
    """Return the texts of recordings at 16 kHz."""
    return [transcript.text for transcript in transcripts_of(transcriber, samples)]


def calibration_error(utterances: Sequence[Utterance], transcripts: Sequence[Transcript]) -> float:
    """Return the expected calibration error of the words' confidences."""
    pairs = list(zip(utterances, transcripts, strict=True))
    confidences = [word.confidence for _, transcript in pairs for word in transcript.words]
    correct = [right for utterance, transcript in pairs for right in correct_words(utterance.text, transcript.text)]
    return expected_calibration_error(confidences, correct)


@torch.inference_mode()
def transcribe_live(
    model: AcousticModel, tokenizer: Tokenizer, latency: float, samples: Sequence[np.ndarray]
) -> list[str]:
    """Return the greedy texts of recordings as a live recogniser with a latency in seconds finds them."""
    blocks = blocks_for(latency, model)
    texts = []
    for first in range(0, len(samples), BATCH):
        log_probs, lengths = model(*pad(samples[first : first + BATCH]), blocks)
        texts += [tokenizer.decode(result.tokens) for result in greedy(log_probs, lengths)]
    return texts


def sphinx(samples: Sequence[np.ndarray]) -> list[str]:
    """Return pocketsphinx's texts."""
    from pocketsphinx import Decoder

    decoder, texts = Decoder(loglevel="FATAL"), []
    for wave in samples:
        decoder.start_utt()
        decoder.process_raw((wave * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        texts.append(hypothesis.hypstr if hypothesis else "")
    return texts


def report(name: str, utterances: Sequence[Utterance], texts: Sequence[str]) -> float:
    """Print an error rate with its interval, and return it."""
    errors = word_errors([utterance.text for utterance in utterances], list(texts))
    counts, words = [error.errors for error in errors], [error.reference_length for error in errors]
    low, high = bootstrap_interval(counts, words)
    rate = sum(counts) / sum(words)
    print(f"{name:28} WER {100 * rate:5.2f} % ({100 * low:.2f} to {100 * high:.2f}), {sum(words)} words", flush=True)
    return rate


Side = Callable[[Sequence[np.ndarray]], list[str]]


def clocked(side: Side, samples: Sequence[np.ndarray]) -> tuple[list[str], float]:
    """Return texts, and the seconds of processor time that they took."""
    began = time.process_time()
    return side(samples), time.process_time() - began


def main() -> None:
    """Print the rates, and the ratio as the last line."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--root", type=Path, default=DATA, help="the folder of english, noise")
    options.add_argument("--model", default="english", help="a name or a directory")
    options.add_argument("--part", choices=["dev", "test"], default="dev")
    options.add_argument("--manifest", type=Path, help="other recordings than a part, such as those of other speakers")
    options.add_argument("--every", type=int, default=1, help="decode every n-th utterance only")
    options.add_argument("--clean", action="store_true", help="leave out telephone, noise and the limited look-ahead")
    options.add_argument("--sphinx", type=int, default=0, help="decode every n-th utterance with pocketsphinx")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    every = 40 if args.quick else args.every
    utterances = read_utterances(args.manifest, every) if args.manifest else read(args.root, args.part, every)
    samples = [utterance.samples for utterance in utterances]
    try:
        plain, beam = Transcriber.load(args.model, device="cpu", decoding="greedy"), Transcriber.load(args.model)
    except UserError as error:
        stop(f"{error} The key here is --model.")
    report("greedy", utterances, transcribe(plain, samples))
    transcripts = transcripts_of(beam, samples)
    texts = [transcript.text for transcript in transcripts]
    report("beam", utterances, texts)
    print(f"{'beam':28} calibration error {calibration_error(utterances, transcripts):.3f}")
    groups = {f"beam, speaker {name}": {name} for name in sorted({utterance.speaker for utterance in utterances})}
    if not args.manifest:  # of others the sex is not known
        speakers = {utterance.speaker for utterance in utterances}
        groups |= {"beam, women": WOMEN, "beam, men": speakers - WOMEN}
    for name, chosen in groups.items():
        pairs = [pair for pair in zip(utterances, texts, strict=True) if pair[0].speaker in chosen]
        if pairs:
            report(name, *zip(*pairs, strict=True))
    if not args.clean:
        report("beam, telephone", utterances, transcribe(beam, [over_telephone(wave) for wave in samples]))
        noises = [load_audio(args.root / "noise" / f"noise{number}.flac", RATE)[0] for number in (4, 5)]
        for decibels in (20, 10, 5):
            noisy = [with_noise(wave, noises, decibels, number=number) for number, wave in enumerate(samples)]
            report(f"beam, noise at {decibels} dB", utterances, transcribe(beam, noisy))
        for latency in LATENCIES:
            live = partial(transcribe_live, plain.model, plain.tokenizer, latency)
            report(f"greedy, live at {latency:g} s", utterances, live(samples))
    if args.sphinx:
        torch.set_num_threads(1)
        some = utterances[:: args.sphinx]
        waves = [utterance.samples for utterance in some]
        theirs, their_time = clocked(sphinx, waves)
        their_rate = report("pocketsphinx", some, theirs)
        for name, decoding in SEARCHES.items():
            # A new one, since the other has the words of these utterances in its cache.
            ours, our_time = clocked(partial(transcribe, Transcriber.load(args.model, decoding=decoding)), waves)
            our_rate = report(f"{name}, the same utterances", some, ours)
            print(line(f"{name}_word_errors", our_rate / their_rate, 100 * our_rate, peer=100 * their_rate, unit="%"))
            print(line(f"{name}_processor_time", their_time / our_time, our_time, peer=their_time, unit="s"))


if __name__ == "__main__":
    main()

"""Claim: the entropy of the emissions for each label tells more recordings that a model does not know than confidence.

Prints, for each model that is given, the share of recordings with the warning `unfamiliar`: of speech like its own that
was not in its training, and of others' (the other models' own speech, four languages that espeak-ng speaks, singing
over chords, chords alone, noise); and whether a job of these recordings says so. The peer is the mean confidence of a
recording's words, below a threshold that warns of as many recordings of the model's dev part.

--demo, --an4 and --english are folders of runs, with prepared/ and acoustic/facts.json (`speechrnn tune run=FOLDER`).
Held out are their test parts. For the model in the package, copy its acoustic/ into the folder of `speech_to_text
experiment=english stages=[prepare]`. Needs espeakng-loader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import scipy.signal
import soxr
import torch
from lhotse import CutSet
from timing import line, machine, parser, stop

from speechrnn.audio import load_audio
from speechrnn.core.errors import UserError
from speechrnn.data.corpora.espeak import speak
from speechrnn.data.dataset import examples
from speechrnn.transcription.transcriber import Failure, Transcriber, Transcript
from speechrnn.transcription.transcript_warnings import UNFAMILIAR
from speechrnn.transcription.unfamiliar import describe_job

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
RATE = 16000  # Hz
SENTENCES = {
    "german": [
        "Am Morgen ging der alte Mann mit seinem Hund durch den stillen Wald.",
        "Können Sie mir bitte sagen, wie ich zum Bahnhof komme?",
        "Gestern Abend haben wir lange über die neuen Bücher gesprochen.",
        "Die Kinder spielen jeden Nachmittag auf der Wiese hinter dem Haus.",
        "Wenn es morgen regnet, bleiben wir zu Hause und kochen eine Suppe.",
        "Der Zug nach München fährt heute mit zwanzig Minuten Verspätung ab.",
    ],
    "french": [
        "Ce matin, le vieux monsieur se promenait avec son chien dans la forêt.",
        "Pourriez-vous me dire comment aller à la gare, s'il vous plaît ?",
        "Hier soir, nous avons longtemps parlé des nouveaux livres.",
        "Les enfants jouent tous les après-midi dans le pré derrière la maison.",
        "S'il pleut demain, nous resterons chez nous et nous ferons une soupe.",
        "Le train pour Lyon partira aujourd'hui avec vingt minutes de retard.",
    ],
    "spanish": [
        "Esta mañana el viejo caminaba con su perro por el bosque tranquilo.",
        "¿Podría decirme cómo se llega a la estación, por favor?",
        "Anoche hablamos mucho tiempo sobre los libros nuevos.",
        "Los niños juegan todas las tardes en el prado detrás de la casa.",
        "Si llueve mañana, nos quedaremos en casa y haremos una sopa.",
        "El tren a Sevilla sale hoy con veinte minutos de retraso.",
    ],
    "finnish": [
        "Tänä aamuna vanha mies käveli koiransa kanssa hiljaisessa metsässä.",
        "Voisitteko kertoa minulle, miten pääsen rautatieasemalle?",
        "Eilen illalla puhuimme pitkään uusista kirjoista.",
        "Lapset leikkivät joka iltapäivä niityllä talon takana.",
        "Jos huomenna sataa, jäämme kotiin ja keitämme keittoa.",
        "Tampereen juna lähtee tänään kaksikymmentä minuuttia myöhässä.",
    ],
}
CODES = {"german": "de", "french": "fr", "spanish": "es", "finnish": "fi"}
VERSES = [
    "This morning the old man went with his dog through the quiet forest.",
    "Yesterday evening we talked for a long time about the new books.",
    "The children play every afternoon in the meadow behind the house.",
    "The train to London leaves today with a delay of twenty minutes.",
]
VARIANTS = ("", "+m3", "+f2", "+f4")
SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12])  # semitones
PROGRESSION = [(0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16)]

Sounds = list[np.ndarray]


class Share(NamedTuple):
    """Number of recordings that have words, the warning, and a mean confidence below the peer's threshold."""

    recordings: int
    with_words: int
    warned: int
    doubted: int


def speech(text: str, voice: str, seed: int) -> np.ndarray:
    """Return samples (n,) at 16 kHz."""
    spoken = speak(text, voice, rate=150, seed=seed)
    return soxr.resample(spoken.samples, spoken.sampling_rate, RATE).astype(np.float32)


def foreign(language: str, every: int) -> Sounds:
    """Return sentences of a language in four voices."""
    pairs = [(text, CODES[language] + variant) for variant in VARIANTS for text in SENTENCES[language]]
    return [speech(text, voice, number) for number, (text, voice) in enumerate(pairs[::every])]


def chords(samples: int, generator: np.random.Generator, root: float) -> np.ndarray:
    """Return plucked chords (samples,), a new one every two seconds, with a drum every half second."""
    time = np.arange(samples) / RATE
    sound, strokes = np.zeros(samples), time % 0.5
    for begin in range(0, samples, 2 * RATE):
        part = slice(begin, min(samples, begin + 2 * RATE))
        clock = time[part] - time[begin]
        for semitones in PROGRESSION[generator.integers(4)]:
            frequency = root * 2 ** (semitones / 12)
            for harmonic in range(1, 8):
                tone = np.sin(2 * np.pi * frequency * harmonic * clock + generator.uniform(0, 2 * np.pi))
                sound[part] += np.minimum(1, clock / 0.02) * np.exp(-clock / 1.5) * tone / harmonic**1.5
    sound += 2 * generator.normal(size=samples) * np.exp(-50 * strokes)
    return sound / np.abs(sound).max()


def melody(samples: int, generator: np.random.Generator, base: float) -> np.ndarray:
    """Return frequencies (samples,) in Hz of a melody with glides and vibrato."""
    frequencies = np.empty(samples)
    begin = 0
    while begin < samples:
        end = begin + int(RATE * generator.choice([0.35, 0.5, 0.7, 1.0]))
        frequencies[begin:end] = base * 2 ** (generator.choice(SCALE) / 12)
        begin = end
    window = np.hanning(1200)
    smooth = np.convolve(np.pad(frequencies, 600, mode="edge"), window / window.sum(), "same")[600 : 600 + samples]
    time = np.arange(samples) / RATE
    return smooth * 2 ** (np.sin(2 * np.pi * 5.5 * time) * np.minimum(1, time % 0.7 / 0.2) / 24)


def sing(spoken: np.ndarray, generator: np.random.Generator, base: float, stretch: float = 1.7) -> np.ndarray:
    """Return spoken samples sung: the resonances of each frame (linear prediction), excited by a melody."""
    hop, window, order = 160, np.hanning(640), 18
    size = int(len(spoken) * stretch)
    padded = np.pad(spoken, (len(window) // 2, len(window)))
    frequencies = melody(size + len(window), generator, base)
    pulses = np.diff(np.floor(np.cumsum(frequencies) / RATE), prepend=0)
    source = pulses * np.sqrt(RATE / frequencies) + 0.03 * generator.normal(size=len(pulses))
    sung = np.zeros(size + len(window))
    for begin in range(0, size, hop):
        place = int(begin / stretch)
        frame = padded[place : place + len(window)] * window
        level = np.sqrt(np.mean(frame**2))
        if level < 1e-4:
            continue
        resonances = librosa.lpc(frame + 1e-6 * generator.normal(size=len(window)), order=order)
        voice = scipy.signal.lfilter([1], resonances, source[begin : begin + len(window)] * window)
        sung[begin : begin + len(window)] += voice / (np.sqrt(np.mean(voice**2)) + 1e-9) * level
    return sung[:size] / np.abs(sung).max()


def songs(every: int) -> Sounds:
    """Return verses sung over chords, 0 to 6 dB above them."""
    generator = np.random.default_rng(0)
    sounds = []
    for number in range(0, 16, every):
        text = " ".join(generator.permutation(VERSES)[:2])
        voice = sing(speech(text, f"en-us{VARIANTS[number % 4]}", number), generator, (130, 160, 220, 260)[number % 4])
        band = chords(len(voice), generator, root=110.0)
        voice *= np.sqrt(np.mean(band**2) / np.mean(voice**2)) * 10 ** (generator.choice([0, 3, 6]) / 20)
        mixed = voice + band
        sounds.append((0.3 * mixed / np.abs(mixed).max()).astype(np.float32))
    return sounds


def tunes(every: int) -> Sounds:
    """Return ten seconds of chords each."""
    generator = np.random.default_rng(1)
    roots = (98, 110, 131, 147)
    return [(0.3 * chords(10 * RATE, generator, roots[n % 4])).astype(np.float32) for n in range(0, 12, every)]


def noises(root: Path, every: int) -> Sounds:
    """Return ten seconds of each noise."""
    files = sorted((root / "noise").glob("*.flac"))
    return [load_audio(path, RATE, duration=10.0)[0] for path in files[::every]]


def part(run: Path, name: str, every: int) -> Sounds:
    """Return every n-th utterance of a part of a run's corpus."""
    path = run / "prepared" / f"cuts_{name}.jsonl.gz"
    if not path.is_file():
        stop(f"{path} is not there; give the folder of a run.")
    return [example.load(RATE) for example in examples(CutSet.from_file(path))[::every]]


def transcribe(transcriber: Transcriber, sounds: Sounds) -> Iterator[Transcript]:
    """Yield the transcript of each recording at 16 kHz."""
    for result in transcriber.transcribe(iter(sounds), ordered=True, sampling_rate=RATE):
        if isinstance(result, Failure):
            stop(result.reason)
        yield result


def is_warned(transcript: Transcript) -> bool:
    """Return whether a transcript has the warning."""
    return any(warning.kind == UNFAMILIAR for warning in transcript.warnings)


def measure(transcripts: Sequence[Transcript], threshold: float) -> Share:
    """Count the recordings that are warned of, and those whose confidence is below a threshold."""
    with_words = [transcript for transcript in transcripts if transcript.words]
    doubted = sum(transcript.confidence < threshold for transcript in with_words)
    return Share(len(transcripts), len(with_words), sum(map(is_warned, transcripts)), doubted=doubted)


def confidence_threshold(dev: Sequence[Transcript]) -> float:
    """Return the mean confidence below which as many recordings of a dev part lie as are warned of."""
    confidences = sorted(transcript.confidence for transcript in dev if transcript.words)
    return confidences[min(sum(map(is_warned, dev)), len(confidences) - 1)]


def main() -> None:
    """Print the rates, and the ratio as the last line."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--root", type=Path, default=DATA, help="the folder of noise")
    for name in ("demo", "an4", "english"):
        options.add_argument(f"--{name}", type=Path, help="folder of a run")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine(args.threads))
    every = 6 if args.quick else 1
    runs: dict[str, Path] = {name: run for name in ("demo", "an4", "english") if (run := getattr(args, name))}
    if not runs:
        stop("Give the folder of at least one run: --demo, --an4 or --english.")
    own: dict[str, Callable[[], Sounds]] = {
        name: (lambda run=run: part(run, "test", every))  # type: ignore[misc]
        for name, run in runs.items()
    }
    strange: dict[str, Callable[[], Sounds]] = {
        **{language: (lambda language=language: foreign(language, every)) for language in SENTENCES},  # type: ignore[misc]
        "songs": lambda: songs(every),
        "chords": lambda: tunes(every),
        "noise": lambda: noises(args.root, every),
    }
    sounds = {name: make() for name, make in {**own, **strange}.items()}
    totals = np.zeros(3)
    for model, run in runs.items():
        try:
            transcriber = Transcriber.load(run / "acoustic", device="cpu", decoding="greedy")
        except UserError as error:
            stop(str(error))
        if transcriber.facts.dev is None:
            stop(f"{run / 'acoustic'} has no facts.json; write it with: speechrnn tune run={run}")
        dev = list(transcribe(transcriber, part(run, "dev", every)))
        threshold = confidence_threshold(dev)
        rows = {"dev": measure(dev, threshold)}
        for name, recordings in sounds.items():
            rows[name] = found = measure(list(transcribe(transcriber, recordings)), threshold)
            if name != model and not (model == "english" and name in own):  # which it may well know
                totals += found.with_words, found.warned, found.doubted
        for name, found in rows.items():
            told = describe_job([[UNFAMILIAR]] * found.warned, found.recordings, run / "acoustic") is not None
            ours, peer = (100 * part / max(1, found.with_words) for part in (found.warned, found.doubted))
            print(
                f"{model:8} on {name:8} {found.recordings:4} recordings, {found.with_words:4} with words, {ours:5.1f} %"
                f" of them warned of ({peer:5.1f} % by confidence); the job {'is' if told else 'is not'}",
                flush=True,
            )
    ours, peer = (100 * total / totals[0] for total in totals[1:])
    print(line("unfamiliar", ours / max(peer, 1e-9), ours, peer=peer, unit="% of the recordings with words"))


if __name__ == "__main__":
    main()

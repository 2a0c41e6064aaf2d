"""Each experiment of speech to text runs to its report, on a toy corpus in the layout of the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from helpers.corpora import say

from speechrnn.cli import help
from speechrnn.cli import main as cli

RATE = 16000
WORDS = ["AB", "CAB", "BAD", "DAB", "ABBA", "CAD"]
# Small networks, little training and little search; all else is the experiment's.
SMALL = [
    "features.bins=16",
    "acoustic.layers=2",
    "acoustic.units=8",
    "acoustic.channels=2",
    "trainer.epochs=1",
    "trainer.min_steps=0",
    "trainer.batch_seconds=10",
    "trainer.workers=0",
    "trainer.accelerator=cpu",
]
SMALL_BEAM = [
    "decoding.beam_size=4",
    "ngram_order=2",
    "prediction.language.layers=1",
    "prediction.language.units=8",
    "prediction.language.embedding=8",
    "prediction.trainer.epochs=1",
    "prediction.trainer.min_steps=0",
    "prediction.trainer.accelerator=cpu",
    "tuning.weights=[0.5]",
    "tuning.rewards=[0.0]",
]


def speak(path: Path, text: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, say(text, rate=RATE, seed=seed), RATE)


def text_of(number: int) -> str:
    return f"{WORDS[number % 6]} {WORDS[number // 2 % 6]}"


def write_an4(root: Path) -> None:
    (root / "etc").mkdir(parents=True)
    for part, folder, count in (("train", "an4_clstk", 16), ("test", "an4test_clstk", 3)):
        ids, lines = [], []
        for number in range(count):
            speaker, name = f"speaker{number % 4}", f"an{number}-{part}-b"
            speak(root / "wav" / folder / speaker / f"{name}.wav", text_of(number), number)
            ids.append(f"{folder}/{speaker}/{name}")
            lines.append(f"<s> {text_of(number)} </s> ({name})")
        (root / f"etc/an4_{part}.fileids").write_text("\n".join(ids) + "\n")
        (root / f"etc/an4_{part}.transcription").write_text("\n".join(lines) + "\n")


def write_yesno(root: Path) -> None:
    for number in range(16):
        digits = [str(number >> bit & 1) for bit in range(4)]
        speak(root / "waves_yesno" / f"{'_'.join(digits)}.wav", "".join("AB"[int(digit)] for digit in digits), number)


def write_manifests(root: Path) -> None:
    for part, count in (("train", 12), ("dev", 3), ("test", 3)):
        rows = []
        for number in range(count):
            speak(root / part / f"{number}.wav", text_of(number), number)
            rows.append({"audio_filepath": f"{part}/{number}.wav", "text": text_of(number), "speaker": str(number % 3)})
        (root / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = {word for number in range(12) for word in text_of(number).lower().split()}
    (root / "words.dict").write_text("".join(f"{word} {' '.join(word.upper())}\n" for word in sorted(words)))


def write_librispeech(root: Path) -> None:
    for part, speaker, count in (("train-clean-100", 19, 12), ("dev-clean", 84, 3), ("test-clean", 61, 3)):
        folder = root / "LibriSpeech" / part / str(speaker) / "1"
        lines = []
        for number in range(count):
            name = f"{speaker}-1-{number:04}"
            speak(folder / f"{name}.flac", text_of(number), number)
            lines.append(f"{name} {text_of(number)}")
        (folder / f"{speaker}-1.trans.txt").write_text("\n".join(lines) + "\n")


MANIFESTS = ["corpus=manifest", *(f"corpus.{part}=[{part}.jsonl]" for part in ("train", "dev", "test"))]

# Of each experiment the toy corpus, and further keys.
EXPERIMENTS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "an4": (write_an4, []),
    "an4_fused": (write_an4, SMALL_BEAM),
    "an4_streaming": (write_an4, SMALL_BEAM),
    "english": (
        write_manifests,
        [*SMALL_BEAM, "acoustic.intermediate_layer=1", "tokenizer.pronunciations={corpus}/words.dict"],
    ),
    "from_english": (write_manifests, [*SMALL_BEAM, *MANIFESTS]),
    "librispeech_100": (write_librispeech, [*SMALL_BEAM, "acoustic.intermediate_layer=1"]),
    "yesno": (write_yesno, ["corpus.segments=false"]),
}


def test_every_experiment_is_here() -> None:
    pages = (help.root() / "conf" / "experiment" / "speech_to_text").glob("*.yaml")
    assert {page.stem for page in pages} == EXPERIMENTS.keys()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_runs_to_its_report(experiment: str, tmp_path: Path) -> None:
    write, more = EXPERIMENTS[experiment]
    write(tmp_path / "corpus")
    keys = [f"experiment={experiment}", f"corpus.root={tmp_path / 'corpus'}", f"output={tmp_path / 'run'}"]
    # A fine-tuned model has the features and the layers of that with which it begins.
    small = [key for key in SMALL if experiment != "from_english" or not key.startswith(("features.", "acoustic."))]
    with pytest.raises(SystemExit) as ended:
        cli.main(["speech_to_text", *keys, *small, *(key.format(corpus=tmp_path / "corpus") for key in more)])
    assert ended.value.code == 0
    run = tmp_path / "run"
    assert (run / "report.html").stat().st_size > 0
    systems = json.loads((run / "metrics.json").read_text())["decode"]
    assert list(systems) == (["greedy", "ngram", "beam"] if SMALL_BEAM[0] in more else ["greedy"])
    assert ("Chosen for" in (run / "run.log").read_text()) == (experiment in ("from_english", "librispeech_100"))

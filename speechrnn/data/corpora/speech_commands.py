"""Speech Commands v0.02: one-second clips of 35 English words, 16 kHz; CC BY 4.0.

Warden 2018, "Speech Commands: a dataset for limited-vocabulary speech recognition".
"""

from __future__ import annotations

from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import Utterance
from speechrnn.data.corpora.layout import audio_files, locate, read_lines
from speechrnn.data.download import Archive

LAYOUT = "validation_list.txt, testing_list.txt and a folder of .wav files for each word"
MARKERS = ("validation_list.txt", "testing_list.txt")
FOLDER = "speech_commands_v0.02"

ARCHIVE = Archive(
    url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    creates=FOLDER,
    # as in torchaudio.datasets.SPEECHCOMMANDS
    sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    inside=".",
)


def missing_archives(root: Path) -> list[Archive]:
    """Return the archives that `corpus.download=true` must fetch: none where the corpus is there."""
    return [] if any(all((base / m).is_file() for m in MARKERS) for base in (root, root / FOLDER)) else [ARCHIVE]


def utterances(root: Path | None) -> dict[str, list[Utterance]]:
    """Return the published split: what the two lists name is dev and test, all else trains.

    The transcript is the name of the folder, the speaker the hash in the file name (`0a7c2a8d_nohash_0.wav`). Folders
    that start with an underscore (`_background_noise_`) hold no words.

    Raises:
        UserError: the root holds no such tree.
    """
    base = locate(root, "speech_commands", LAYOUT, markers=MARKERS, inside=(FOLDER, f"SpeechCommands/{FOLDER}"))
    audio = {name: path for name, path in audio_files(base).items() if "/" in name and not name.startswith("_")}
    splits = {}
    for split, list_name in (("dev", "validation_list.txt"), ("test", "testing_list.txt")):
        # with_suffix, because a list may name files that were kept under another suffix
        lines = ((number, Path(line.strip())) for number, line in read_lines(base / list_name))
        names = [_checked(name, f"{base / list_name}, line {number}") for number, name in lines]
        splits[split] = [
            _utterance(n.with_suffix("").as_posix(), audio.pop(n.with_suffix("").as_posix(), base / n)) for n in names
        ]
    return {"train": [_utterance(name, path) for name, path in audio.items()], **splits}


def _checked(name: Path, where: str) -> Path:
    """Return a name of a list if it is one of a file below the corpus."""
    if not name.name or name.is_absolute() or ".." in name.parts:
        raise UserError(f"{where}: {str(name)[:60]!r} is no file below the corpus; correct the line.")
    return name


def _utterance(name: str, path: Path) -> Utterance:
    word, _, file = name.partition("/")
    return Utterance(f"{word}-{file}", path, word, speaker=file.partition("_nohash_")[0])

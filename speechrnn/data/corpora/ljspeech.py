"""LJ Speech 1.1: 24 hours of one woman reading seven books, 22.05 kHz; public domain.

https://keithito.com/LJ-Speech-Dataset/
"""

from __future__ import annotations

from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import Utterance
from speechrnn.data.corpora.layout import audio_files, locate, read_lines
from speechrnn.data.download import Archive

LAYOUT = "metadata.csv and a folder wavs/"
FOLDER = "LJSpeech-1.1"

ARCHIVE = Archive(
    url="https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    creates=FOLDER,
    # as in torchaudio.datasets.LJSPEECH
    sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    files=("*.wav", 13100),
)


def missing_archives(root: Path) -> list[Archive]:
    """Return the archives that `corpus.download=true` must fetch: none where the corpus is there."""
    return [] if any((base / "metadata.csv").is_file() for base in (root, root / FOLDER)) else [ARCHIVE]


def utterances(root: Path | None, *, expanded: bool = True) -> dict[str, list[Utterance]]:
    """Return all of it as train: LJ Speech has no published split (`corpus.dev_fraction` holds out a dev part).

    Args:
        root: the folder of metadata.csv, or the one that holds `LJSpeech-1.1/`.
        expanded: take the third column of metadata.csv, where numbers and abbreviations are written out as they are
            spoken, not the second.

    Raises:
        UserError: the root holds no such tree, or a line of metadata.csv has fewer than two columns.
    """
    base = locate(root, "ljspeech", LAYOUT, markers=("metadata.csv", "wavs"), inside=(FOLDER,))
    audio = audio_files(base / "wavs")
    found = []
    for number, line in read_lines(base / "metadata.csv"):
        # No quoting in this file: a quotation mark is part of the text.
        cells = line.split("|")
        if len(cells) < 2:
            raise UserError(
                f"{base / 'metadata.csv'}, line {number}: expected 'ID|text|expanded text', got {line[:60]!r}."
            )
        text = cells[2] if expanded and len(cells) > 2 else cells[1]
        found.append(Utterance(cells[0], audio.pop(cells[0], base / "wavs" / f"{cells[0]}.wav"), text, speaker="LJ"))
    found += [Utterance(name, path, None, speaker="LJ") for name, path in audio.items()]
    return {"train": found}

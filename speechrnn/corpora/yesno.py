"""yesno: 60 files of eight Hebrew words, "ken" (yes) or "lo" (no), by one man, 8 kHz; OpenSLR 1, CC BY 3.0.

https://www.openslr.org/1/ ; the label is the file name: 1_0_0_0_0_0_0_1 is YES NO NO NO NO NO NO YES.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from speechrnn.corpora import Utterance
from speechrnn.corpora.download import Archive
from speechrnn.corpora.layout import audio_files, existing_root, wrong_root

LAYOUT = "60 audio files named like 0_1_1_0_0_1_1_0.wav, there or in waves_yesno/"

ARCHIVE = Archive(
    url="http://www.openslr.org/resources/1/waves_yesno.tar.gz",
    creates="waves_yesno",
    # as in torchaudio.datasets.YESNO
    sha256="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
    files=("*.wav", 60),
)

_NAME = re.compile(r"[01](_[01])*")


def missing_archives(root: Path) -> list[Archive]:
    """What `corpus.download=true` must fetch: nothing where the corpus is there already."""
    return [] if root.is_dir() and any(_NAME.fullmatch(path.stem) for path in audio_files(root).values()) else [ARCHIVE]


def utterances(root: Path | None, *, split: Literal["kaldi", "icefall"] = "kaldi") -> dict[str, list[Utterance]]:
    """30 training and 30 test files.

    Args:
        root: the folder of the files, or the one that holds `waves_yesno/`.
        split: "kaldi": of the sorted names the first half trains, the second tests
            (kaldi egs/yesno/s5/local/create_yesno_waves_test_train.pl); "icefall": every second one tests, from the
            second on (lhotse.recipes.yesno). The numbers of the two are not comparable.

    Raises:
        UserError: the root holds no such files.
    """
    root = existing_root(root, "yesno", LAYOUT)
    files = sorted(audio_files(root).values(), key=lambda path: path.stem)
    named = [path for path in files if _NAME.fullmatch(path.stem)]
    if not named:
        raise wrong_root(root, "yesno", LAYOUT)
    found = [_utterance(path) for path in named]
    half = len(found) // 2
    train, test = (found[:half], found[half:]) if split == "kaldi" else (found[::2], found[1::2])
    train += [Utterance(path.stem, path, None, "global") for path in files if path not in set(named)]
    return {"train": train, "test": test}


def _utterance(path: Path) -> Utterance:
    words = ["YES" if label == "1" else "NO" for label in path.stem.split("_")]
    return Utterance(path.stem, path, " ".join(words), speaker="global")  # Kaldi's name for the one speaker

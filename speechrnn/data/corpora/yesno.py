"""yesno: 60 files of eight Hebrew words, "ken" (yes) or "lo" (no), by one man, 8 kHz; OpenSLR 1, CC BY 3.0.

https://www.openslr.org/1/ ; the label is the file name: 1_0_0_0_0_0_0_1 is YES NO NO NO NO NO NO YES.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from speechrnn.data.corpora import Utterance
from speechrnn.data.corpora.layout import audio_files, existing_root, wrong_root
from speechrnn.data.download import Archive

if TYPE_CHECKING:
    import numpy as np

LAYOUT = "60 audio files named like 0_1_1_0_0_1_1_0.wav, there or in waves_yesno/"

ARCHIVE = Archive(
    url="http://www.openslr.org/resources/1/waves_yesno.tar.gz",
    creates="waves_yesno",
    # as in torchaudio.datasets.YESNO
    sha256="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
    files=("*.wav", 60),
)

_NAME = re.compile(r"[01](_[01])*")
_SEGMENTS = ((1, 3, 4), (2, 4, 2), (4, 1, 3), (3, 2, 3))  # words of each segment, repeated over the files
_FRAME = 0.01  # seconds: of the loudness that separates words from silence
_LEVELS = (20, 25, 30, 15, 35, 40)  # dB below the loudest frame: what lies lower is silence
_GAPS = (0.05, 0.08, 0.12, 0.16)  # seconds: shorter silences are inside a word
_SHORTEST = 0.12  # seconds: shorter sounds are no words


def missing_archives(root: Path) -> list[Archive]:
    """Return the archives that `corpus.download=true` must fetch: none where the corpus is there."""
    return [] if root.is_dir() and any(_NAME.fullmatch(path.stem) for path in audio_files(root).values()) else [ARCHIVE]


def utterances(
    root: Path | None, *, split: Literal["kaldi", "icefall"] = "kaldi", segments: bool = True
) -> dict[str, list[Utterance]]:
    """List 30 training and 30 test utterances.

    Args:
        root: the folder of the files, or the one that holds `waves_yesno/`.
        split: "kaldi": of the sorted names the first half trains, the second tests
            (kaldi egs/yesno/s5/local/create_yesno_waves_test_train.pl); "icefall": every second one tests, from the
            second on (lhotse.recipes.yesno). The numbers of the two are not comparable.
        segments: cut each training file into three segments in the silences between its words, and leave out files
            in which other than eight words are found. Every file of Kaldi's training half begins with "no", which a
            network with a memory learns instead of the word. Test files stay as they are.

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
    if segments:
        train = [segment for whole, sizes in zip(train, itertools.cycle(_SEGMENTS)) for segment in cut(whole, sizes)]
    train += [Utterance(path.stem, path, None, speaker="global") for path in files if path not in set(named)]
    return {"train": train, "test": test}


def _utterance(path: Path) -> Utterance:
    words = ["YES" if label == "1" else "NO" for label in path.stem.split("_")]
    return Utterance(path.stem, path, " ".join(words), speaker="global")  # Kaldi's name for the one speaker


def cut(whole: Utterance, sizes: tuple[int, ...]) -> list[Utterance]:
    """Cut the file into segments of the given numbers of words, in the middle of silences.

    A file in which another number of words is found comes back without its text, so that the summary lists it:
    0_1_0_1_0_0_0_0 has seven.
    """
    from speechrnn.audio import AudioError, load_audio

    words = (whole.text or "").split()
    if len(words) != sum(sizes):
        return [whole]
    try:
        samples, rate = load_audio(whole.audio)
    except AudioError:  # the summary lists it
        return [whole]
    sounds = find_sounds(samples, rate, len(words))
    if sounds is None:
        return [replace(whole, text=None)]
    ends = list(itertools.accumulate(sizes))
    middles = [(sounds[end - 1][1] + sounds[end][0]) / 2 for end in ends[:-1]]
    borders = [0.0, *middles, len(samples) / rate]
    return [
        Utterance(
            f"{whole.id}-{number}",
            whole.audio,
            " ".join(words[end - size : end]),
            speaker=whole.speaker,
            start=start,
            duration=stop - start,
        )
        for number, (size, end, (start, stop)) in enumerate(
            zip(sizes, ends, itertools.pairwise(borders), strict=True), start=1
        )
    ]


def find_sounds(samples: np.ndarray, rate: int, count: int) -> list[tuple[float, float]] | None:
    """Return start and end (seconds) of the `count` sounds of (samples,); None where no threshold finds that number."""
    import numpy as np

    width = round(_FRAME * rate)
    if len(samples) < width:
        return None
    frames = samples[: len(samples) // width * width].reshape(-1, width)
    power = np.convolve(np.square(frames, dtype=np.float64).mean(axis=1), np.ones(3), mode="same")
    for level, gap in itertools.product(_LEVELS, _GAPS):
        loud = power > power.max() * 10 ** (-level / 10)
        edges = np.flatnonzero(np.diff(np.r_[False, loud, False])).reshape(-1, 2) * _FRAME
        sounds: list[tuple[float, float]] = []
        for start, end in edges.tolist():
            if sounds and start - sounds[-1][1] < gap:
                sounds[-1] = (sounds[-1][0], end)
            else:
                sounds.append((start, end))
        sounds = [(start, end) for start, end in sounds if end - start > _SHORTEST]
        if len(sounds) == count:
            return sounds
    return None

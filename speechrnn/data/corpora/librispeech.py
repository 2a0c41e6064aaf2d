"""LibriSpeech and Mini LibriSpeech: read English audio books, 16 kHz; OpenSLR 12 and 31, CC BY 4.0.

Panayotov et al. 2015, "LibriSpeech: an ASR corpus based on public domain audio books".
"""

from __future__ import annotations

from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS, Utterance
from speechrnn.data.corpora.layout import audio_files, existing_root, files_below, read_lines, wrong_root
from speechrnn.data.download import Archive

LAYOUT = "folders train-*, dev-* and test-* (there or in LibriSpeech/) with SPEAKER/CHAPTER/*.trans.txt and .flac files"

# as in torchaudio.datasets.LIBRISPEECH; OpenSLR publishes MD5 only
_SHA256 = {
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
}


def missing_archives(
    root: Path,
    *,
    train_parts: list[str] | None = None,
    dev_parts: list[str] | None = None,
    test_parts: list[str] | None = None,
) -> list[Archive]:
    """Return the archives that `corpus.download=true` must fetch: the named parts that are missing.

    Raises:
        UserError: no part is named (all of them are 60 GB), or one has no known archive.
    """
    wanted = {"train_parts": train_parts, "dev_parts": dev_parts, "test_parts": test_parts}
    if any(value is None for value in wanted.values()):
        raise UserError(
            "corpus.download=true needs the parts of LibriSpeech to fetch (all of them are 60 GB): set "
            "corpus.train_parts, corpus.dev_parts and corpus.test_parts, as in corpus.train_parts=[train-clean-100]."
        )
    archives = []
    for key, parts in wanted.items():
        for part in parts or []:
            if (root / part).is_dir() or (root / "LibriSpeech" / part).is_dir():
                continue
            if part not in _SHA256:
                raise UserError(f"corpus.{key}: {part} cannot be downloaded; there are {', '.join(_SHA256)}.")
            url = f"https://www.openslr.org/resources/12/{part}.tar.gz"
            archives.append(Archive(url, creates=f"LibriSpeech/{part}", sha256=_SHA256[part]))
    return archives


def utterances(
    root: Path | None,
    *,
    train_parts: list[str] | None = None,
    dev_parts: list[str] | None = None,
    test_parts: list[str] | None = None,
) -> dict[str, list[Utterance]]:
    """Return the published parts. Utterance ids are LibriSpeech's (`SPEAKER-CHAPTER-NUMBER`), speakers its numbers.

    Args:
        root: the folder of the parts, or the one that holds `LibriSpeech/`.
        train_parts, dev_parts, test_parts: names of folders; None takes every `train-*`, `dev-*`, `test-*` that is
            there, [] none. Mini LibriSpeech's `train-clean-5` and `dev-clean-2` are folders like the others.

    Raises:
        UserError: the root holds no part, or not one that is asked for.
    """
    base = existing_root(root, "librispeech", LAYOUT)
    if (base / "LibriSpeech").is_dir():
        base = base / "LibriSpeech"
    splits = {}
    for split, parts in zip(SPLITS, (train_parts, dev_parts, test_parts), strict=True):
        names = sorted(path.name for path in base.glob(f"{split}-*") if path.is_dir()) if parts is None else parts
        for name in names:
            if not (base / name).is_dir():
                there = ", ".join(sorted(path.name for path in base.glob("*-*") if path.is_dir())) or "no part at all"
                raise UserError(f"corpus.{split}_parts: there is no folder {name} in {base}, but {there}.")
        if names:
            splits[split] = [utterance for name in names for utterance in _part(base / name)]
    if not splits:
        raise wrong_root(base, "librispeech", LAYOUT)
    return splits


def _part(folder: Path) -> list[Utterance]:
    audio = audio_files(folder)
    found = []
    for path in files_below(folder):
        if not path.name.endswith(".trans.txt"):
            continue
        for number, line in read_lines(path):
            name, _, text = line.strip().partition(" ")
            if "/" in name:
                raise UserError(f"{path}, line {number}: {name[:60]!r} is no id of an utterance; correct the line.")
            expected = path.parent / f"{name}.flac"
            file = audio.pop(expected.relative_to(folder).with_suffix("").as_posix(), expected)
            found.append(Utterance(name, file, text, speaker=name.split("-")[0]))
    found += [Utterance(path.stem, path, None, speaker=path.stem.split("-")[0]) for path in audio.values()]
    return found

"""A folder of your own: each audio file beside a text file of the same name (talk.wav, talk.txt)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS, Utterance
from speechrnn.data.corpora.layout import audio_files, compose, existing_root, files_below, read_lines, wrong_root

LAYOUT = "audio files, each beside a text file of the same name (talk.wav and talk.txt), at any depth"


def utterances(
    root: Path | None, *, text_suffix: str = ".txt", speaker_from_folder: bool | None = None
) -> dict[str, list[Utterance]]:
    """List the utterances. Folders `train`, `dev` and `test` in the root are the splits; without any, all is train.

    Utterance ids are paths relative to the split's folder, without suffix. Lines of a transcript are joined by spaces.

    Args:
        root: the folder, searched at any depth.
        text_suffix: the suffix of the transcripts.
        speaker_from_folder: the name of the folder that holds a file is its speaker, as in `anna/one.wav`; what lies
            directly in a split's folder has no known speaker. None: where the folders of a split look like speakers:
            two or more, each with two or more different transcripts (folders of one word each are labels), and no
            file outside them.

    Raises:
        UserError: no such folder, or it holds neither audio nor transcripts.
    """
    root = existing_root(root, "folder", LAYOUT)
    if not text_suffix.startswith(".") or len(text_suffix) < 2:
        raise UserError(f"corpus.text_suffix={text_suffix!r} must start with a dot, as in .txt.")
    bases = {split: root / split for split in SPLITS if (root / split).is_dir()} or {"train": root}
    splits = {split: _split(base, text_suffix, speaker_from_folder) for split, base in bases.items()}
    if not any(splits.values()):
        raise wrong_root(root, "folder", LAYOUT)
    return splits


def _split(base: Path, text_suffix: str, speaker_from_folder: bool | None) -> list[Utterance]:
    audio = audio_files(base)
    texts = {
        compose(path.relative_to(base).as_posix()[: -len(text_suffix)]): path
        for path in files_below(base)
        if path.name.endswith(text_suffix)
    }
    found = []
    for name in sorted(audio.keys() | texts.keys()):
        text = " ".join(line.strip() for _, line in read_lines(texts[name])) if name in texts else None
        found.append(Utterance(name, audio.get(name, base / name), text, speaker=Path(name).parent.name or None))
    if speaker_from_folder is None:
        speaker_from_folder = _look_like_speakers(found)
    return found if speaker_from_folder else [replace(utterance, speaker=None) for utterance in found]


def _look_like_speakers(utterances: list[Utterance]) -> bool:
    texts: dict[str | None, set[str]] = {}
    for utterance in utterances:
        texts.setdefault(utterance.speaker, set()).update(() if utterance.text is None else (utterance.text,))
    return len(texts) > 1 and None not in texts and all(len(different) > 1 for different in texts.values())

"""Paths of audio files: the suffixes that they have, and the search for them."""

from __future__ import annotations

import contextlib
import difflib
import glob
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user

# fmt: off
AUDIO_SUFFIXES = frozenset([
    ".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".flac", ".mp3",
    ".ogg", ".oga", ".opus", ".spx", ".sph", ".nist", ".wv1", ".wv2",
    ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".webm", ".mka", ".mkv", ".aac", ".ac3", ".amr", ".wma",
    ".avi", ".ts", ".mts", ".m2ts", ".flv", ".wmv", ".asf", ".mpg", ".mpeg", ".mp2", ".mpga", ".vob", ".ogv", ".3g2",
    ".wv", ".tta", ".ape", ".voc",
])
# fmt: on
_MOST_NAMES = 2000  # of a folder, that a missing one is compared with
NO_AUDIO = (
    "{name} holds no audio files: those of folders and globs end in {suffixes}. A file of another name is read if you "
    "give its own path."
)


def find_audio(inputs: str | Path | Sequence[str | Path]) -> list[Path]:
    """Find audio files in files, folders (searched through, links followed) and globs; sorted, each once.

    A file named outright is taken whatever its suffix; folders and globs give those with a suffix in `AUDIO_SUFFIXES`,
    without hidden ones.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.wav", "a.mp3", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in find_audio(folder)]
    ['a.mp3', 'b.wav']

    Raises:
        UserError: an input does not exist, cannot be searched or holds no audio.
    """
    found: dict[str, Path] = {}
    for name in [inputs] if isinstance(inputs, str | Path) else inputs:
        path = expand_user(name)
        if path.is_dir():
            files = _walk(path)
        elif path.exists() or not glob.has_magic(str(path)):
            if not path.exists():
                raise UserError(not_there(path, str(name)))
            files = [path]
        else:
            matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (absolute ones too)
            if not matches:
                raise UserError(f"Nothing matches {name}; check the pattern.")
            files = [file for match in matches for file in (_walk(match) if match.is_dir() else [match])]
            files = [file for file in files if file.suffix.lower() in AUDIO_SUFFIXES]
        if not files:
            raise UserError(NO_AUDIO.format(name=name, suffixes=" ".join(sorted(AUDIO_SUFFIXES))))
        for file in files:
            found.setdefault(os.path.abspath(file), file)  # noqa: PTH100 (two links are two recordings)
    return sorted(found.values())


def not_there(path: Path, name: str, wanted: str = "a file, a folder or a glob") -> str:
    """Return one sentence about an input that does not exist, with the nearest name in its folder.

    >>> not_there(Path("nowhere/talk.wav"), "nowhere/talk.wav")
    'nowhere/talk.wav does not exist; check the path or give a file, a folder or a glob.'

    Args:
        path: the input.
        name: as it was given.
        wanted: what may be given.
    """
    with contextlib.suppress(OSError):  # there is no such folder, or it may not be read
        names = [entry.name for entry in itertools.islice(path.parent.iterdir(), _MOST_NAMES)]
        near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
        if near:
            return f"{name} does not exist; did you mean {path.with_name(near[0])}?"
    return f"{name} does not exist; check the path or give {wanted}."


def _walk(folder: Path) -> list[Path]:
    """Find files with an audio suffix under `folder`; a link back up is followed once."""

    def stop(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be searched: {error.strerror}; make it readable.") from error

    files: list[Path] = []
    seen: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=stop):
        here = Path(root)
        seen.add(here.resolve())
        folders[:] = [name for name in sorted(folders) if name[0] != "." and (here / name).resolve() not in seen]
        files += [here / name for name in names if name[0] != "." and Path(name).suffix.lower() in AUDIO_SUFFIXES]
    return files

"""CMU AN4 (Census, 1991): spelled letters, numbers and control words; 948 training and 130 test utterances.

http://www.speech.cs.cmu.edu/databases/an4/ ; free for any purpose with its notice.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import Utterance
from speechrnn.data.corpora.layout import audio_files, locate, read_lines
from speechrnn.data.download import Archive

LAYOUT = (
    "etc/an4_train.fileids, etc/an4_train.transcription, the same for an4_test, and the audio that they name under wav/"
)
MARKERS = ("etc/an4_train.fileids", "etc/an4_train.transcription", "etc/an4_test.fileids", "etc/an4_test.transcription")

# CMU publishes no checksum, so the number of files stands in for one (and gzip's own CRC).
ARCHIVE = Archive(
    url="http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz",
    creates="an4",
    sha256=None,
    files=("*.sph", 948 + 130),
)

_TRANSCRIPT = re.compile(r"^(?:<s>\s)?(?P<text>.*?)(?:\s*</s>)?\s*\((?P<id>[^()\s]+)\)\s*$")


def missing_archives(root: Path) -> list[Archive]:
    """Return the archives that `corpus.download=true` must fetch: none where the corpus is there."""
    return [] if any(all((base / m).is_file() for m in MARKERS) for base in (root, root / "an4")) else [ARCHIVE]


def utterances(root: Path | None) -> dict[str, list[Utterance]]:
    """Return the published split. `etc/*.fileids` name files without a suffix: whichever audio suffix exists is taken.

    The speaker is the folder of the file (`an4_clstk/fash/an251-fash-b` -> `fash`). A listed file without audio is
    returned with a path that does not exist, audio that no list names with text None.

    Raises:
        UserError: the root is not AN4, a transcript line is damaged, or there is only headerless .raw audio.
    """
    base = locate(root, "an4", LAYOUT, markers=MARKERS, inside=("an4",))
    wav = base / "wav"
    audio = audio_files(wav)
    if not audio and next(wav.rglob("*.raw"), None) is not None:
        raise UserError(
            f"{wav} holds AN4 as headerless .raw files; take the archive with SPHERE files, an4_sphere.tar.gz, instead."
        )
    splits = {}
    listed: set[str] = set()
    for split in ("train", "test"):
        texts = _transcripts(base / "etc" / f"an4_{split}.transcription")
        found = []
        for _, line in read_lines(base / "etc" / f"an4_{split}.fileids"):
            file_id = PurePosixPath(line.strip())
            listed.add(str(file_id))
            found.append(_utterance(str(file_id), audio, wav, text=texts.pop(file_id.name, None)))
        # What is left has a transcript and no place in the list of files, so no audio either.
        found += [Utterance(name, wav / name, text) for name, text in texts.items()]
        splits[split] = found
    for name in sorted(audio.keys() - listed):
        splits["test" if name.startswith("an4test") else "train"].append(_utterance(name, audio, wav, text=None))
    return splits


def _utterance(file_id: str, audio: dict[str, Path], wav: Path, text: str | None) -> Utterance:
    path = PurePosixPath(file_id)
    return Utterance(path.name, audio.get(file_id, wav / file_id), text, speaker=path.parent.name or None)


def _transcripts(path: Path) -> dict[str, str]:
    """Read lines `<s> YES </s> (an251-fash-b)` or `GO (an409-fcaw-b)` as {id: text}."""
    texts = {}
    for number, line in read_lines(path):
        match = _TRANSCRIPT.match(line)
        if match is None:
            raise UserError(f"{path}, line {number}: expected 'WORDS (utterance-id)', got {line.strip()[:60]!r}.")
        texts[match["id"]] = match["text"]
    return texts

"""Manifests, and the lists of public corpora."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fuzz.target import Target, whole
from speechrnn.data.corpora import (
    Utterance,
    an4,
    common_voice,
    folder,
    librispeech,
    ljspeech,
    manifest,
    speech_commands,
)
from speechrnn.data.corpora.check import stamp
from speechrnn.text.normalisation import NormalisationOptions, normalise

NORMALISATION = NormalisationOptions()
ROWS = (
    {"audio_filepath": "a.wav", "text": "ADA LOVELACE", "duration": 1.5, "offset": 0.5, "speaker": "ada", "id": "a-1"},
    {"audio": "b.wav", "sentence": "naïve Größe", "speaker_id": 7},
    {"wav_filename": "c/d.flac", "transcript": "it's", "duration": "2.5"},
)
RECORDING = {
    "id": "r",
    "sources": [{"type": "file", "channels": [0, 1], "source": "a.wav"}],
    "sampling_rate": 16000,
    "num_samples": 32000,
    "duration": 2.0,
    "channel_ids": [0, 1],
}
SEGMENTS = [
    {"id": "s1", "recording_id": "r", "start": 0.1, "duration": 1.0, "channel": 0, "text": "YES", "speaker": "x"}
]
CUTS = (
    {
        "id": "c1",
        "start": 0.0,
        "duration": 2.0,
        "channel": 0,
        "supervisions": SEGMENTS,
        "recording": RECORDING,
        "type": "MonoCut",
    },
    {"id": "c2", "start": 0.5, "duration": 1.5, "channel": [0, 1], "supervisions": [{**SEGMENTS[0], "channel": [0, 1]}]}
    | {"recording": RECORDING, "type": "MultiCut"},
)
JSON_LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode() + b"\n"
CUT_LINES = "\n".join(json.dumps(cut) for cut in CUTS).encode() + b"\n"
CSV = b'audio_filepath,text,duration,speaker\na.wav,"ADA, LOVELACE",1.5,ada\nb.wav,YES,,\nc.wav,"SAY ""NO""",2,x\n'


def check(utterances: Mapping[str, Iterable[Utterance]]) -> None:
    """Use utterances as the preparation of a corpus does; assert that their numbers are some."""
    for listed in utterances.values():
        for utterance in listed:
            assert isinstance(utterance.id, str) and isinstance(utterance.audio, Path)
            assert math.isfinite(utterance.start) and utterance.start >= 0, f"start {utterance.start}"
            assert utterance.duration is None or math.isfinite(utterance.duration), f"duration {utterance.duration}"
            stamp(utterance.audio)
            if utterance.text is not None:
                normalise(utterance.text, NORMALISATION).encode()
                utterance.text.encode()
            f"{utterance.id} {utterance.speaker} {utterance.audio.name}".encode("utf-8", "surrogateescape")


def read_manifest(path: Path) -> None:
    """Read a manifest as train, and its names beside it as root."""
    check(manifest.utterances(None, train=[str(path)]))


READERS: dict[str, Callable[[Path], Mapping[str, Iterable[Utterance]]]] = {
    "an4_train.transcription": lambda path: an4.utterances(path.parent.parent),
    "an4_test.fileids": lambda path: an4.utterances(path.parent.parent),
    "metadata.csv": lambda path: ljspeech.utterances(path.parent),
    "1-2.trans.txt": lambda path: librispeech.utterances(path.parents[3]),
    "testing_list.txt": lambda path: speech_commands.utterances(path.parent),
    "a.txt": lambda path: folder.utterances(path.parent),
}
PLACES = {
    "an4_train.transcription": "an4/etc",
    "an4_test.fileids": "an4/etc",
    "metadata.csv": "lj",
    "1-2.trans.txt": "libri/train-clean-5/1/2",
    "testing_list.txt": "commands",
    "a.txt": "folder",
}
AN4 = b"<s> YES </s> (an251-fash-b)\nGO FORTH (an409-fcaw-b)\n"
FILEIDS = b"an4_clstk/fash/an251-fash-b\nan4_clstk/fcaw/an409-fcaw-b\n"
GOOD = {
    "an4_train.transcription": AN4,
    "an4_test.fileids": FILEIDS,
    "metadata.csv": b'LJ001-0001|Printing, in 1455|Printing, in fourteen fifty-five\nLJ001-0002|it\'s "so"|it\'s "so"\n',  # noqa: E501
    "1-2.trans.txt": b"1-2-0000 CHAPTER ONE\n1-2-0001 IT WAS\n",
    "testing_list.txt": b"yes/0a7c2a8d_nohash_0.wav\nno/0a7c2a8d_nohash_1.wav\n",
    "a.txt": "hello wörld\n".encode(),
}


def prepare_corpora(base: Path) -> None:
    """Write the trees that the lists stand in."""
    for name, place in PLACES.items():
        (base / place).mkdir(parents=True, exist_ok=True)
        (base / place / name).write_bytes(GOOD[name])
    for name, content in (("an4_train.fileids", FILEIDS), ("an4_test.transcription", AN4)):
        (base / "an4/etc" / name).write_bytes(content)
    (base / "an4/wav").mkdir(exist_ok=True)
    (base / "lj/wavs").mkdir(exist_ok=True)
    (base / "commands/validation_list.txt").write_bytes(GOOD["testing_list.txt"])
    (base / "commands/yes").mkdir(exist_ok=True)
    (base / "folder/a.wav").touch()


def read_list(path: Path) -> None:
    """Read a corpus in which one list is the given file."""
    place = path.parent / PLACES[path.name] / path.name
    place.write_bytes(path.read_bytes())
    try:
        check(READERS[path.name](place))
    finally:
        place.write_bytes(GOOD[path.name])


TSV = 'client_id\tpath\tsentence\tup_votes\nabc\tc_1.mp3\tShe said "no.\t2\ndef\tc_2\tOui, ça va\t0\n'.encode()


def read_common_voice(path: Path) -> None:
    """Read Common Voice's table."""
    check(common_voice.utterances(path.parent))


TARGETS = {
    "manifest": Target(
        "manifest",
        whole({"m.jsonl": JSON_LINES, "m.csv": CSV, "m.tsv": CSV.replace(b",", b"\t"), "m.json": JSON_LINES}),
        read_manifest,
        words=(b"audio_filepath", b"text", b"duration", b"offset", b"supervisions", b"tracks"),
        share=3,
    ),
    "cuts": Target("cuts", whole({"c.jsonl": CUT_LINES}), read_manifest, share=2),
    "corpus": Target("corpus", whole(GOOD), read_list, prepare=prepare_corpora, share=1),
    "common_voice": Target("common_voice", whole({"train.tsv": TSV}), read_common_voice, share=2),
}

"""Mutation by somebody who knows the format: fields that are plausible and wrong, with checksums that are right."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable

from fuzz.mutator import INTERESTING, mutate

Change = Callable[[bytes, random.Random], bytes]

# KenLM's binary files: byte offsets, with the struct codes of the fields.
KENLM_FIELDS = (
    (52, "f"),  # constants that show the byte order and the sizes of types
    (68, "I"),
    (72, "I"),
    (80, "Q"),
    (88, "B"),  # order
    (92, "f"),  # load factor of the hash tables
    (96, "I"),  # kind of tables
    (100, "B"),  # whether the words are in the file
    (104, "I"),  # version of the tables
)
KENLM_COUNTS = 108  # uint64 n-grams of each order
KENLM_TABLES = 132  # of three orders
WORDS = (b"<unk>", b"<s>", b"</s>", b"", b"a", b"<UNK>", b"a b", b"\xff\xfe", b"a\nb", b"x" * 5000, b"\xe2\x80\xa8")

# What stands between the fields of a line, and between lines, in files that somebody made or edited.
SPACES = (
    "\t",
    "  ",
    " \t ",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\x1c",
    "\x85",
    "\u2028",
    "\v",
    "\f",
    "",
)
ENDS = ("\n", "\r\n", "\r", " \n", "\n\n", "\t\r\n", "\u2028", "\x85", "\0\n")
KALDI_IDS = ("", "-", "#", "utt 1", "a/../b", "/", "(x)", "é", "e\u0301", "u" * 300, "1", "<eps>", "utt1")
KALDI_VALUES = (
    "cat a.wav |",
    "sph2pipe -f wav -p a.sph |",
    "a.ark:123456789",
    "a.ark:-1",
    "a.ark:5[0:10]",
    "-",
    "|",
    "/",
    "a.wav b.wav",
    "'a.wav'",
    '"a.wav',
    "nan",
    "-1",
    "1e999",
    "0x10",
    "5.0 1.0",
    "rec1 0.0 -1",
    "rec1 3.0 1.0",
    "<s> YES </s>",
    "(utt1)",
    "",
)


def change_kenlm(content: bytes, draw: random.Random) -> bytes:
    """Change fields, counts, offsets or words of a binary file of KenLM."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3))):
        kind = draw.randrange(5)
        if kind == 0:
            at, code = draw.choice(KENLM_FIELDS)
            _put(data, at, code, draw=draw)
        elif kind == 1:
            _put(data, KENLM_COUNTS + 8 * draw.randrange(3), "Q", draw=draw)
        elif kind == 2:  # sizes, offsets and hashes are 8 bytes long, at multiples of 4 in the small files
            _put(data, draw.randrange(KENLM_TABLES, max(KENLM_TABLES + 4, len(data) - 8), 4), "Q", draw=draw)
        elif kind == 3:  # a probability or back-off that is none
            value = draw.choice((float("nan"), float("inf"), float("-inf"), 1e38, 5.0, -1e38, -0.0))
            at = draw.randrange(KENLM_TABLES, max(KENLM_TABLES + 4, len(data) - 4))
            data[at : at + 4] = struct.pack("<f", value)
        elif (start := data.rfind(b"<unk>\0")) >= 0:
            words = bytes(data[start:]).split(b"\0")[:-1]
            place = draw.randrange(len(words))
            words[place : place + draw.randrange(2)] = [draw.choice(WORDS)] * draw.choice((0, 1, 1, 2))
            data[start:] = b"".join(word + b"\0" for word in words)
    return bytes(data)


def _put(data: bytearray, at: int, code: str, draw: random.Random) -> None:
    """Overwrite a field by a number on which sizes break, or change the one there by little."""
    size = struct.calcsize(code)
    if len(data) < at + size:
        return
    if code == "f":
        value = draw.choice((0.0, -1.0, 1.0, 1e-30, 1e30, float("nan"), float("inf"), draw.random() * 4))
        struct.pack_into("<f", data, at, value)
        return
    (before,) = struct.unpack_from(f"<{code}", data, at)
    near = (before + 1, before - 1, before * 2, before // 2, before + len(data))
    value = draw.choice(INTERESTING + near)
    struct.pack_into(f"<{code}", data, at, value % 2 ** (8 * size))


def change_lines(content: bytes, draw: random.Random) -> bytes:
    """Change Kaldi's lists (text, wav.scp, segments, utt2spk): ids, fields, the spaces between, the order, the ends."""
    lines = content.decode("utf-8").splitlines()
    end = draw.choice(ENDS) if draw.random() < 0.3 else "\n"
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(len(lines))
        fields = lines[place].split(" ")
        kind = draw.randrange(7)
        if kind == 0:
            fields[0] = draw.choice(KALDI_IDS)
        elif kind == 1:
            fields[draw.randrange(len(fields))] = draw.choice(KALDI_VALUES)
        elif kind == 2:
            del fields[draw.randrange(len(fields))]
        elif kind == 3:
            at = draw.randrange(len(fields))
            fields[at] = draw.choice(SPACES) + fields[at] + draw.choice(SPACES)
        elif kind == 4:
            lines.insert(draw.randrange(len(lines) + 1), lines[place])
        elif kind == 5:
            draw.shuffle(lines)
        space = draw.choice(SPACES) if kind == 6 else " "
        if kind < 4 or kind == 6:
            lines[place] = space.join(fields)
    return (end.join(lines) + end * draw.randrange(2)).encode("utf-8", "surrogatepass")


def change_archive(content: bytes, draw: random.Random) -> bytes:
    """Change a part of a checkpoint, and pack all parts anew, so that no checksum tells."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = draw.choice([name for name in parts if name.endswith("data.pkl")] * 3 + list(parts))
    parts[name] = mutate(parts[name], draw)
    if draw.random() < 0.05:
        del parts[draw.choice(list(parts))]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name), part)  # without the time of day
    return file.getvalue()

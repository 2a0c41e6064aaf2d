"""Seeded mutation of bytes: what disks, networks, editors, spreadsheets and attackers do to a file."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

HEAD = 512  # bytes in which most formats keep what a reader trusts
LONGEST = 1 << 20  # bytes of a mutated file
INTERESTING = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)

PUNCTUATION = (b"", b"\0", b"\n", b"\r\n", b"\t", b" ", b'"', b"'", b",", b"{", b"}", b"[", b"]", b"\\")
ESCAPES = (b"\\u0000", b"\\ud800")
NUMBERS = (b"-1", b"0", b"1e308", b"-1e308", b"1e999", b"NaN", b"Infinity", b"-inf", b"nan", b"1" * 400, b"1" * 5000)
JSON = (b"null", b"true", b"false", b"[]", b"{}", b"[" * 3000, b'{"a":' * 3000, b"[[[[[")
NO_NUMBERS = (b"0x10", b"1_000", b"\xd9\xa3")
PATHS = (
    b"..",
    b"../../../evil",
    b"/etc/passwd",
    b"/",
    b"~",
    b"~nosuchuser",
    b"%2e%2e",
    b"file:///etc/passwd",
    b"C:\\x",
)
BYTE_ORDERS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff")
CHARACTERS = (b"\xc0\x80", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xe2\x80\x8b", b"\xe2\x80\xae", b"\xcc\x81")
ENDS = (b"\x85", b"\xe2\x80\xa8", b"\x1b[2J", b"\x7f", b"a" * 300)
TEMPLATES = (b"%s%n", b"${oc.env:HOME}")
SYMBOLS = (
    b"</s>",
    b"<s>",
    b"<unk>",
    b"<blank>",
    b"\\data\\",
    b"\\end\\",
    b"ngram 1=",
    b"-99",
    b"(2)",
    b";;;",
    b" #",
    b"|",
)
WORDS = (
    PUNCTUATION + ESCAPES + NUMBERS + JSON + NO_NUMBERS + PATHS + BYTE_ORDERS + CHARACTERS + ENDS + TEMPLATES + SYMBOLS
)


def mutate(data: bytes, random: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Return a damaged copy of a file's content.

    Args:
        data: the whole file.
        random: all choices are drawn from it.
        words: byte strings of the format, which are put in beside those of `WORDS`.
    """
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 12))):
        data = random.choice(OPERATIONS)(data, random, words)[:LONGEST]
    return data


def mutate_json(value: Any, random: random.Random) -> Any:
    """Return a JSON value in which some part is another value, is gone, or stands twice."""
    if isinstance(value, dict) and value and random.random() < 0.8:
        key = random.choice(list(value))
        changed = dict(value)
        draw = random.random()
        if draw < 0.1:
            del changed[key]
        elif draw < 0.15:
            changed[random.choice((key.upper(), "", "\0", "x" * 300, "__class__", f" {key}"))] = value[key]
        else:
            changed[key] = mutate_json(value[key], random)
        return changed
    if isinstance(value, list) and value and random.random() < 0.7:
        place = random.randrange(len(value))
        new = [mutate_json(value[place], random)] if random.random() < 0.7 else []
        return [*value[:place], *new, *value[place + (random.random() < 0.8) :]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and random.random() < 0.5:
        return random.choice(
            (-value, value + 1, value * 2, value * 10**6, value // 3, 0, -1, 2**31, 2**63, 10**30, 10**400)
        )
    return random.choice(
        (
            None,
            True,
            False,
            0,
            -1,
            1,
            0.5,
            2**40,
            -(2**70),
            10**400,
            1e308,
            float("nan"),
            float("-inf"),
            "",
            "\0",
            "nan",
            "\ud800",
            "x" * 500,
            "../..",
            [],
            {},
            [[]],
            ["a"],
            {"a": 1},
            [None],
            list(range(50)),
            "1",
            "lstm",
        )
    )


def dump(value: Any) -> bytes:
    """Return a value as Python's JSON, with whole numbers of any length, NaN and halves of surrogate pairs."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _place(data: bytes, random: random.Random) -> int:
    """Draw a place: half of the time in the head."""
    return random.randrange(min(len(data), HEAD) if random.random() < 0.5 else len(data)) if data else 0


def _flip(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[_place(data, random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _bytes(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    at, size = _place(data, random), random.choice((1, 2, 4, 16, 64))
    new = random.choice((b"\0" * size, b"\xff" * size, random.randbytes(size)))
    return data[:at] + new + data[at + size :]


def _number(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    """Overwrite a field of 1 to 8 bytes by a number on which lengths and counts break, or change the one there."""
    code, size = random.choice((("B", 1), ("H", 2), ("I", 4), ("Q", 8), ("f", 4), ("d", 8)))
    order = random.choice("<>")
    at = _place(data, random)
    if code in "fd":
        new = struct.pack(order + code, random.choice((float("nan"), float("inf"), -1.0, 3e38, 1e-40)))
    else:
        there = int.from_bytes(data[at : at + size], "little" if order == "<" else "big")
        near = (there + 1, there - 1, there * 2, len(data), len(data) - at)
        number = random.choice(INTERESTING + near)
        new = struct.pack(order + code, number % (1 << 8 * size))
    return data[:at] + new + data[at + size :]


def _cut(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    return data[: _place(data, random)]


def _remove(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + random.choice((1, 2, 4, 8, 100, 1000)) :]


def _repeat(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    at, size = _place(data, random), random.choice((1, 4, 30, 300, 3000))
    return data[:at] + data[at : at + size] * random.choice((2, 2, 3, 50)) + data[at + size :]


def _move(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    at, to, size = _place(data, random), _place(data, random), random.choice((1, 4, 30, 300))
    return data[:to] + data[at : at + size] + data[to:]


def _insert(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    at, size = _place(data, random), random.choice((0, 0, 1, 5))
    return data[:at] + random.choice(WORDS + tuple(words)) + data[at + size :]


def _lines(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    """Remove, repeat or exchange lines, or fields within one."""
    lines = data.split(b"\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    draw = random.randrange(5)
    if draw == 0:
        del lines[at]
    elif draw == 1:
        lines.insert(to, lines[at])
    elif draw == 2:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        separator = random.choice((b"\t", b" ", b",", b"|", b":", b"="))
        fields = lines[at].split(separator)
        place = random.randrange(len(fields))
        fields[place : place + (draw == 3)] = [random.choice(WORDS + tuple(words))]
        lines[at] = separator.join(fields)
    return b"\n".join(lines)


def _encode(data: bytes, random: random.Random, words: Sequence[bytes]) -> bytes:
    """Save the file as another program might: UTF-16, Latin-1, with a byte order mark, with other line ends."""
    text = data.decode("utf-8", "replace")
    encoding = random.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp1252", "ends", "macs"))
    if encoding == "ends":
        return data.replace(b"\n", b"\r\n")
    if encoding == "macs":
        return data.replace(b"\n", b"\r")
    return text.encode(encoding, "replace")


OPERATIONS: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    _flip,
    _flip,
    _bytes,
    _number,
    _number,
    _cut,
    _remove,
    _repeat,
    _move,
    _insert,
    _insert,
    _lines,
    _lines,
    _encode,
)

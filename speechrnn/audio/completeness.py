"""Tell from the structure of a file whether it breaks off or was damaged, where its reader would not notice.

Sound that is missing is silent otherwise: readers leave out damaged pages, and stop where a file stops.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

_UNKNOWN_LENGTH = 0x7FFF0000  # bytes; recorders that write to a pipe put lengths from here on into the header
_PADDING = 1  # byte that makes a length even, which some programs count but do not write
_LAST_PAGE = 4  # flag in the header of an Ogg page
_MAX_CHUNKS = 100_000  # of a file that are looked at
_TRANSPORT = ((188, 0), (192, 4), (204, 0))  # bytes of a packet (plain, with a time code, with error correction), sync
_SYNC = 0x47  # byte
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def is_incomplete(path: Path) -> bool:
    """Return whether a file states that it is longer than it is, ends within a packet, or has damaged pages (Ogg).

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cut.ogg"
    >>> _ = path.write_bytes(b"OggS" + bytes(10))
    >>> is_incomplete(path)
    True

    Args:
        path: of a file whose first bytes are those of Ogg, CAF, VOC, WAV, AVI, Matroska, FLV or a transport stream;
            others count as complete.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
        file.seek(0)
        if head.startswith(b"OggS"):
            return _ogg_is_damaged(file)
        if head.startswith(b"caff"):
            return _caf_end(file, size) > size + _PADDING
        if head.startswith(b"Creative Voice File\x1a"):
            return _voc_end(file, int.from_bytes(head[20:22], "little")) > size + _PADDING
        if head.startswith(b"RIFF"):
            stated = int.from_bytes(head[4:8], "little")
            return head[8:12] in (b"WAVE", b"AVI ") and stated < _UNKNOWN_LENGTH and stated + 8 > size + _PADDING
        if head.startswith(b"\x1a\x45\xdf\xa3"):
            return _matroska_end(head) > size + _PADDING
        if head.startswith(b"FLV\x01"):
            return not _flv_ends_with_tag(file, size)
        if any(head[start::packet][:5] == bytes([_SYNC]) * 5 for packet, start in _TRANSPORT):
            return not any(_is_transport_packet(file, size, packet=packet, sync=start) for packet, start in _TRANSPORT)
    return False


def _ogg_is_damaged(file: io.BufferedReader) -> bool:
    """Return whether a page is cut or damaged; a decoder leaves such pages out, and what is behind them moves forward.

    Ogg states no length, and live recordings lack the mark of the last page.
    """
    ended = False
    while header := file.read(27):
        if not header.startswith(b"OggS\0"):
            return not ended  # something may follow the last page
        lacing = file.read(header[26]) if len(header) == 27 else b""
        body = file.read(sum(lacing))
        if len(header) < 27 or len(lacing) < header[26] or len(body) < sum(lacing):
            return True
        if _ogg_checksum(header[:22] + bytes(4) + header[26:] + lacing + body) != header[22:26]:
            return True
        ended = bool(header[5] & _LAST_PAGE)
    return False


def _ogg_checksum(page: bytes) -> bytes:
    """Return the CRC-32 of a page as its header has it: that of zlib with all bits mirrored, begun with zeros."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return mirrored.to_bytes(4, "big").translate(_MIRRORED)


def _caf_end(file: io.BufferedReader, size: int) -> int:
    """Return the byte at which the sound of a CAF file ends, as its chunks state it; 0 where they state none."""
    position = 8
    for _ in range(_MAX_CHUNKS):
        if position > size:
            return position
        file.seek(position)
        header = file.read(12)
        if len(header) < 12:
            break
        length = int.from_bytes(header[4:], "big", signed=True)
        if header[:4] == b"data" or length < 0:  # -1: to the end of the file
            return position + 12 + length if length > 0 else 0
        position += 12 + length
    return 0


def _voc_end(file: io.BufferedReader, position: int) -> int:
    """Return the byte at which the last block of a VOC file ends that begins within the file."""
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        header = file.read(4)
        if len(header) < 4 or header[0] == 0:  # the end, or its block
            break
        position += 4 + int.from_bytes(header[1:], "little")
    return position


def _matroska_end(head: bytes) -> int:
    """Return the byte at which the segment of a Matroska file ends; 0 where it states none."""
    at = head.find(b"\x18\x53\x80\x67")
    if at < 0 or len(head) < at + 12:
        return 0
    length = 9 - head[at + 4].bit_length() if head[at + 4] else 9
    stated = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ((1 << 7 * length) - 1)
    known = stated != (1 << 7 * length) - 1 and length <= 8
    return at + 4 + length + stated if known else 0


def _flv_ends_with_tag(file: io.BufferedReader, size: int) -> bool:
    """Return whether a tag ends where an FLV file ends: the last four bytes are the size of the tag before them."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4), "big")
    if not 11 <= length <= size - 4:
        return False
    file.seek(size - 4 - length)
    tag = file.read(4)
    return tag[0] & 0x1F in (8, 9, 18) and int.from_bytes(tag[1:], "big") + 11 == length


def _is_transport_packet(file: io.BufferedReader, size: int, packet: int, sync: int) -> bool:
    """Return whether a transport stream ends with a packet of such a size."""
    if size < packet or size % packet:
        return False
    file.seek(size - packet + sync)
    return file.read(1) == bytes([_SYNC])

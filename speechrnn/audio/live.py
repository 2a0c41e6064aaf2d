"""Sound as it comes in: a microphone, raw PCM or WAV from a pipe, or a file at its own pace."""

from __future__ import annotations

import logging
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from speechrnn.audio.io import OpenedAudio, audio_blocks
from speechrnn.audio.microphone import Microphone, import_sounddevice
from speechrnn.audio.paths import not_there
from speechrnn.audio.pcm_check import PcmCheck
from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user

logger = logging.getLogger("speechrnn")

SampleFormat = Literal["s16", "s32", "f32", "u8"]

TYPES = {"s16": "<i2", "s32": "<i4", "f32": "<f4", "u8": "u1"}
WAV_FORMATS: dict[tuple[int, int], SampleFormat] = {(1, 8): "u8", (1, 16): "s16", (1, 32): "s32", (3, 32): "f32"}
CONTAINERS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "mp3", b"\x1aE\xdf\xa3": "Matroska", b"FORM": "AIFF"}
LONGEST_HEADER = 2**16  # bytes before the samples of a WAV
OPEN_ENDED = 0x7FFF0000  # bytes from which a WAV header's length means that it was not known


class LiveSource(Protocol):
    """Yield sound in packets, each as soon as it has come in.

    Attributes:
        name: of the source, for messages and transcripts.
        sampling_rate: Hz; known when the first packet is there.
        live: whether the sound goes on when nobody reads.
        pace: seconds of sound that come in a second; 0: as many as are read.
    """

    sampling_rate: int
    live: bool
    pace: float

    @property
    def name(self) -> str: ...

    def packets(self) -> Iterator[np.ndarray]:
        """Yield float or integer samples, (samples,) or (samples, channels), until the sound ends.

        Raises:
            AudioError: the device has vanished, or the rest cannot be read.
            UserError: what comes in is no raw PCM.
        """
        ...

    def close(self) -> None:
        """Let `packets` end soon, from another thread."""


@dataclass
class PacedFile:
    """Read a file, at its own pace or faster.

    Attributes:
        path: of the file.
        sampling_rate: Hz, to which it is resampled.
        packet: seconds of a packet.
        pace: seconds of sound a second; 0: as fast as it is read.
        clock: returns seconds.
        opened: properties of the file; known when the first packet is there.
    """

    path: Path
    sampling_rate: int
    packet: float
    pace: float = 1.0
    live: bool = False
    clock: Callable[[], float] = time.monotonic
    opened: OpenedAudio | None = None
    _closed: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self.path)

    def packets(self) -> Iterator[np.ndarray]:
        """See `LiveSource`."""
        begin, samples = self.clock(), 0
        for block in audio_blocks(self.path, self.packet, self.sampling_rate, on_open=self._note):
            samples += len(block)
            if self.pace > 0:
                self._closed.wait(max(0.0, begin + samples / self.sampling_rate / self.pace - self.clock()))
            if self._closed.is_set():
                return
            yield block

    def _note(self, opened: OpenedAudio) -> None:
        self.opened = opened

    def close(self) -> None:
        """See `LiveSource`."""
        self._closed.set()


@dataclass
class RawPipe:
    """Read raw PCM, or a WAV whose header says what it holds, from a pipe.

    Attributes:
        read: returns at most so many bytes as soon as there are some, none at the end.
        sampling_rate: Hz; a WAV's own, once its header was read.
        format: of the samples.
        channels: number of channels.
        packet: most seconds of a packet.
        clock: returns seconds.
    """

    read: Callable[[int], bytes]
    sampling_rate: int = 16000
    format: SampleFormat = "s16"
    channels: int = 1
    packet: float = 0.1
    name: str = "-"
    live: bool = False
    pace: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _wav: bool = False  # whether there was a header
    _left: int | None = None  # bytes of samples that a WAV's header states
    _closed: bool = False

    def packets(self) -> Iterator[np.ndarray]:
        """See `LiveSource`."""
        waiting = self._read_header()
        check = PcmCheck(self.sampling_rate, self.format, self.channels, timed=not self._wav, clock=self.clock)
        while not self._closed:
            size = np.dtype(TYPES[self.format]).itemsize * self.channels
            whole = len(waiting) // size * size
            if whole:
                samples = self._convert(waiting[:whole])
                waiting = waiting[whole:]
                check.accept(samples)
                yield samples
                check.resume()
            more = self._read(max(size, round(self.packet * self.sampling_rate) * size))
            if not more:
                break
            waiting += more
        if waiting and not self._closed:
            logger.warning("The sound stops in the middle of a sample; its last %d bytes are left out.", len(waiting))

    def close(self) -> None:
        """See `LiveSource`."""
        self._closed = True

    def _read(self, count: int) -> bytes:
        if self._left is not None:
            count = min(count, self._left)
        data = self.read(count) if count else b""
        if self._left is not None:
            self._left -= len(data)
        return data

    def _convert(self, data: bytes) -> np.ndarray:
        samples = np.frombuffer(data, TYPES[self.format]).reshape(-1, self.channels)
        return (samples.astype(np.float32) - 128) / 128 if self.format == "u8" else samples

    def _read_header(self) -> bytes:
        """Read the header of a WAV, if there is one; return the first bytes of samples."""
        data = b""
        while len(data) < 12 and (more := self.read(12 - len(data))):
            data += more
        if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
            kind = next((name for magic, name in CONTAINERS.items() if data.startswith(magic)), None)
            if kind or data[4:8] == b"ftyp":
                raise UserError(
                    f"The pipe brings a file ({kind or 'mp4'}), not raw PCM: send it through "
                    "`ffmpeg -i - -f s16le -ac 1 -ar 16000 -`, or use `speechrnn transcribe inputs=-`."
                )
            return data
        self._wav = True
        place = 12
        while len(data) < LONGEST_HEADER and (more := self.read(4096)):
            data += more
            while place + 8 <= len(data):
                name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
                if name == b"data":
                    samples = data[place + 8 :]
                    if 0 < size < OPEN_ENDED:
                        self._left = max(0, size - len(samples))
                        samples = samples[:size]
                    return samples
                if place + 8 + size > len(data):
                    break
                if name == b"fmt ":
                    self._take_format(data[place + 8 : place + 8 + size])
                place += 8 + size + size % 2
        raise UserError("The pipe brings a WAV without samples; send it again, or raw PCM (`-f s16le`).")

    def _take_format(self, chunk: bytes) -> None:
        """Take rate, channels and format from a WAV's format chunk."""
        tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk.ljust(16, b"\0"))
        if tag == 0xFFFE and len(chunk) >= 26:
            tag = struct.unpack_from("<H", chunk, 24)[0]
        if (tag, bits) not in WAV_FORMATS or not 1 <= channels <= 64:
            raise UserError(
                f"The pipe brings a WAV of {bits} bits in format {tag}; send 16-bit PCM (`-f s16le` or S16_LE)."
            )
        stated = self.sampling_rate, self.format, self.channels
        self.sampling_rate, self.format, self.channels = rate, WAV_FORMATS[tag, bits], channels
        if stated != (rate, self.format, channels):
            logger.warning(
                "The pipe brings a WAV of rate=%d format=%s channels=%d; its header is used.",
                rate,
                self.format,
                channels,
            )


def open_live(
    source: str | None,
    sampling_rate: int,
    *,
    rate: int = 16000,
    format: SampleFormat = "s16",
    channels: int = 1,
    pace: float = 1.0,
    packet: float = 0.1,
    microphone: str | int | None = None,
) -> LiveSource:
    """Return the source that a name stands for.

    Args:
        source: None: a microphone; "-": standard input; a file, or a named pipe.
        sampling_rate: Hz, of the model, at which a microphone records and a file is read.
        rate, format, channels: of raw PCM from a pipe.
        pace: see `PacedFile`.
        packet: seconds of a packet.
        microphone: see `Microphone`.

    Raises:
        UserError: there is no such file, no sounddevice, or standard input is a terminal.
    """
    if source is None:
        import_sounddevice()
        return Microphone(sampling_rate, packet, microphone)
    if source == "-":
        if sys.stdin.isatty():
            raise UserError(
                "input=- reads sound from a pipe, as in: arecord -f S16_LE -r 16000 | speechrnn listen input=-"
            )
        number = sys.stdin.fileno()
        return RawPipe(lambda count: os.read(number, count), rate, format, channels=channels, packet=packet)
    path = expand_user(source)
    if path.is_fifo():
        pipe = path.open("rb", buffering=0)
        return RawPipe(
            lambda count: pipe.read(count) or b"", rate, format, channels=channels, packet=packet, name=str(path)
        )
    if path.is_dir():
        raise UserError(f"input={source} is a folder; give one of its files, or the folder to `speechrnn transcribe`.")
    if not path.is_file():
        raise UserError(not_there(path, f"input={source}", "a file, - for a pipe, or null for the microphone"))
    return PacedFile(path, sampling_rate, packet, pace=pace)

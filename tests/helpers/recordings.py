"""Make recordings of every format, byte by byte where no library writes it."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return noise (samples, channels) within +-0.9."""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (samples, channels)).astype(np.float32)


def speech(samples: int, rate: int) -> np.ndarray:
    """Return (samples,) a swelling tone over some noise: it survives a lossy codec and shows any shift."""
    time = np.arange(samples) / rate
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time) ** 2
    return (tone + 0.02 * noise(samples)[:, 0]).astype(np.float32)


def encode(path: Path, codec: str, samples: np.ndarray, rate: int, **options: str) -> Path:
    """Write (samples, channels) with FFmpeg."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        for start in range(0, len(samples), 1024):
            part = np.ascontiguousarray(samples[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sphere(
    data: bytes, count: int, channels: int = 1, coding: str = "pcm", rate: int = 16000, order: str = "01"
) -> bytes:
    """Return a NIST SPHERE file of 16-bit samples."""
    fields = [
        f"channel_count -i {channels}",
        f"sample_rate -i {rate}",
        "sample_n_bytes -i 2",
        f"sample_count -i {count}",
    ]
    fields += [f"sample_byte_format -s2 {order}", "sample_sig_bits -i 16", f"sample_coding -s{len(coding)} {coding}"]
    return "\n".join(["NIST_1A", "   1024", *fields, "end_head\n"]).encode().ljust(1024) + data


def shorten(samples: np.ndarray) -> bytes:
    """Return the bit stream of Shorten (T. Robinson, CUED/F-INFENG/TR.156, 1994) of int16 (samples,)."""
    bits: list[str] = []

    def unsigned(value: int, low: int) -> None:
        bits.append("0" * (value >> low) + "1" + (f"{value & ((1 << low) - 1):0{low}b}" if low else ""))

    def number(value: int) -> None:
        unsigned(value.bit_length(), 2)
        unsigned(value, value.bit_length())

    for value in (5, 1, 256, 0, 0, 0):  # little-endian 16 bit, channels, block size, no LPC, no mean, no skipped bytes
        number(value)
    for start in range(0, len(samples), 256):
        block = samples[start : start + 256]
        if len(block) < 256:
            unsigned(5, 2)  # a new block size
            number(len(block))
        unsigned(0, 2)  # differences of order 0, so the samples themselves
        unsigned(8, 3)
        for value in map(int, block):
            unsigned(value << 1 if value >= 0 else (~value << 1) | 1, 9)
    unsigned(4, 2)  # the end
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 32)
    return b"ajkg\x02" + int(stream, 2).to_bytes(len(stream) // 8, "big")


def wav(data: bytes, stated: int, rate: int = 16000) -> bytes:
    """Return a 16-bit mono wav file whose header states `stated` bytes of samples."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", min(stated + 36, 2**32 - 1))
        + b"WAVEfmt "
        + form
        + b"data"
        + struct.pack("<I", stated)
        + data
    )


def shift(heard: np.ndarray, said: np.ndarray) -> int:
    """Return by how many samples `heard` comes after `said`."""
    middle = said[2000:-2000]
    return int(np.argmax(np.correlate(heard, middle, "valid"))) - 2000

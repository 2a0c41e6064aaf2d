"""Recordings of all containers and codecs that the two readers open."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import soundfile

from fuzz.target import Target
from speechrnn.audio import AudioError, audio_blocks, audio_info
from speechrnn.audio.samples import RATES

if TYPE_CHECKING:
    import av

RATE = 8000
BLOCK = 10.0  # seconds
SLOW = ("m4a", "mkv", "webm", "ts", "avi", "flv")
LONGEST = 600.0  # seconds that are read; what is behind is checked by no more than memory and time


def tone(channels: int = 1, rate: int = RATE, seconds: float = 0.4) -> np.ndarray:
    """Return (samples, channels) float32."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(time)) * 0.01
    wave = (0.3 * np.sin(2 * np.pi * 440 * time) + noise).astype(np.float32)
    return np.stack([wave] * channels, axis=1)


def sndfile(*variants: tuple[str, str, int], rate: int = RATE) -> Callable[[Path], Mapping[str, bytes]]:
    """Return a maker of files by libsndfile: container, coding, channels."""

    def make(folder: Path) -> dict[str, bytes]:
        seeds = {}
        for container, coding, channels in variants:
            file = io.BytesIO()
            soundfile.write(file, tone(channels, rate), rate, format=container, subtype=coding)
            seeds[f"{container}_{coding}_{channels}.{container.lower()}"] = file.getvalue()
        return seeds

    return make


def ffmpeg(suffix: str, *variants: tuple[str, str, bool], rate: int = 16000) -> Callable[[Path], Mapping[str, bytes]]:
    """Return a maker of files by FFmpeg: container, codec, whether the sound has a gap."""

    def make(folder: Path) -> dict[str, bytes]:
        return {
            f"{codec}_{gap}.{suffix}": _encode(container, codec, gap, rate=rate) for container, codec, gap in variants
        }

    return make


def _encode(container: str, codec: str, gap: bool, rate: int) -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
        fifo, position = av.AudioFifo(), 0
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone(1, rate).T), format="fltp", layout="mono")
        frame.rate = rate
        for part in resampler.resample(frame):
            part.pts = None
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        while (part := cast("av.AudioFrame", fifo.read(size, partial=True))) is not None:
            part.pts, part.time_base = position, Fraction(1, rate)
            position += part.samples + (rate if gap else 0)
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def read(path: Path) -> None:
    """Read header and samples; what is read must be samples of a length that was told."""
    info = None
    try:
        info = audio_info(path)
        assert RATES[0] <= info.sampling_rate <= RATES[1], f"rate {info.sampling_rate}"
        assert info.duration > 0 and np.isfinite(info.duration), f"duration {info.duration}"
        assert info.channels > 0, "no channels"
    except AudioError:
        pass
    seconds = 0.0
    for block in audio_blocks(path, BLOCK, sampling_rate=RATE, strict=False):
        assert block.dtype == np.float32 and block.ndim == 1 and np.isfinite(block).all(), "no samples"
        seconds += len(block) / RATE
        if seconds >= LONGEST:
            return
    # Containers such as mkv state the length of their longest track, so no more than a hint.
    if info is not None and path.suffix[1:] not in SLOW:  # read to the end without an error
        assert abs(info.duration - seconds) < 0.2, f"{info.duration:.3f} s in the header, {seconds:.3f} s read"


_CODINGS = ("PCM_16", "PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "G721_32")
_WAV = [("WAV", coding, 1) for coding in _CODINGS]
_SEEDS: dict[str, Callable[[Path], Mapping[str, bytes]]] = {
    "wav": sndfile(*_WAV, ("WAV", "PCM_16", 2), ("RF64", "PCM_16", 1), ("W64", "PCM_16", 1)),
    "aiff": sndfile(("AIFF", "PCM_16", 1), ("AIFF", "FLOAT", 2), ("AIFF", "ULAW", 1), ("AIFF", "IMA_ADPCM", 1)),
    "au": sndfile(("AU", "PCM_16", 1), ("AU", "G721_32", 1), ("AU", "G723_24", 1), ("XI", "DPCM_16", 1)),
    "caf": sndfile(("CAF", "PCM_16", 1), ("CAF", "ALAC_16", 2), ("CAF", "ALAC_24", 1)),
    "flac": sndfile(("FLAC", "PCM_16", 1), ("FLAC", "PCM_24", 2)),
    "ogg": sndfile(("OGG", "VORBIS", 1), ("OGG", "VORBIS", 2)),
    "opus": sndfile(("OGG", "OPUS", 1), rate=16000),
    "mp3": sndfile(("MP3", "MPEG_LAYER_III", 1), ("MP3", "MPEG_LAYER_III", 2), rate=16000),
    "sphere": sndfile(("NIST", "PCM_16", 1), ("NIST", "ULAW", 2)),
    "gsm": sndfile(("WAV", "GSM610", 1), ("AIFF", "GSM610", 1), ("W64", "GSM610", 1), ("WAV", "NMS_ADPCM_32", 1)),
    "m4a": ffmpeg("m4a", ("mp4", "aac", False), ("mp4", "aac", True), ("mov", "pcm_s16le", False)),
    "mkv": ffmpeg("mkv", ("matroska", "aac", False), ("matroska", "flac", True), ("matroska", "pcm_s16le", False)),
    "webm": ffmpeg("webm", ("webm", "libopus", False), ("webm", "libopus", True), rate=48000),
    "ts": ffmpeg("ts", ("mpegts", "aac", False), ("mpegts", "mp2", True), ("adts", "aac", False)),
    "avi": ffmpeg("avi", ("avi", "pcm_s16le", False), ("avi", "mp2", False)),
    "flv": ffmpeg("flv", ("flv", "aac", True), ("nut", "pcm_s16le", True)),
}
TARGETS = {
    name: Target(name, partial(seeds), read, share=0.3 if name in SLOW else 0.6) for name, seeds in _SEEDS.items()
}

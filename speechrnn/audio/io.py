"""Reading of recordings as mono float32 samples at a sampling rate, and writing.

wav, flac, ogg, opus, mp3, SPHERE and similar formats are read by libsndfile; m4a, mp4, webm and whatever else it cannot
open go to FFmpeg (PyAV). The content decides, never the suffix. A file that holds less than its header states raises
`TruncatedAudioError`. Times are those of the file's own clock: silence stands for a late start and for gaps.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from speechrnn.audio.backends import open_audio
from speechrnn.audio.errors import AudioError, TruncatedAudioError
from speechrnn.audio.reader import BLOCK_SAMPLES, AudioReader, truncation_error
from speechrnn.audio.samples import SILENCE, checked_rate, loud_channel, wrong_sample
from speechrnn.core.files import atomic_write

__all__ = [
    "MIN_SECONDS",
    "AudioError",
    "AudioInfo",
    "OpenedAudio",
    "TruncatedAudioError",
    "audio_blocks",
    "audio_info",
    "load_audio",
    "save_audio",
]

logger = logging.getLogger("speechrnn")

MIN_SECONDS = 0.01  # less is not even one analysis window

_PHASE_SECONDS = 30.0  # of sound by which channels are compared
_CONTEXT = 0.25  # seconds read before and after a resampled clip, more than the resampling filter reaches


@dataclass(frozen=True)
class AudioInfo:
    """Properties of a recording, from its header.

    >>> AudioInfo(Path("talk.wav"), sampling_rate=16000, channels=1, duration=2.5).samples
    40000

    Attributes:
        path: the file.
        sampling_rate: its own, in Hz.
        channels: number of channels.
        duration: in seconds.
    """

    path: Path
    sampling_rate: int
    channels: int
    duration: float

    @property
    def samples(self) -> int:
        """Return the length of a channel in samples at the recording's own rate."""
        return round(self.duration * self.sampling_rate)


@dataclass(frozen=True)
class OpenedAudio:
    """Properties of a recording that is being read, known with its first block.

    >>> OpenedAudio(sampling_rate=8000).loud_channel is None
    True

    Attributes:
        sampling_rate: its own, in Hz.
        loud_channel: the channel that is read because the channels cancel each other out; None: what was asked for is.
    """

    sampling_rate: int
    loud_channel: int | None = None


def audio_info(path: str | Path, strict: bool = True) -> AudioInfo:
    """Read sampling rate, channels and duration, from the header where it can be trusted.

    They agree with `load_audio` to the sample, but for mkv and webm (their headers count in milliseconds: within
    20 ms).
    Files that state no length (aac, live recordings, mp3 without a Xing header) are decoded once to count.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "noise.flac"
    >>> save_audio(path, np.full(20000, 0.1, np.float32), 16000)
    >>> info = audio_info(path)
    >>> info.sampling_rate, info.duration
    (16000, 1.25)

    Args:
        path: the recording.
        strict: refuse a truncated file; if not, the duration is the one that its header states.

    Raises:
        AudioError: as `load_audio`.
    """
    with open_audio(path, strict) as reader:
        frames = reader.frames
        if frames is None:
            frames = 0
            while read := len(reader.read(BLOCK_SAMPLES)):
                frames += read
            if strict and reader.is_truncated(frames):
                raise truncation_error(reader, frames)
        _check_length(reader.path, frames, reader.rate)
        return AudioInfo(reader.path, reader.rate, reader.channels, duration=frames / reader.rate)


def load_audio(
    path: str | Path,
    sampling_rate: int | None = None,
    channel: int | str = "mix",
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read a recording, or a clip of it, as one channel.

    A clip equals the same samples of the whole recording, resampled or not:
    `load_audio(path, rate, start=s, duration=d)` is `load_audio(path, rate)` from
    sample round(s * rate) on, round(d * rate) samples long (halves round up).

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "noise.wav"
    >>> save_audio(path, np.full(20000, 0.1, np.float32), 16000)
    >>> samples, rate = load_audio(path, sampling_rate=8000, start=0.25, duration=0.5)
    >>> samples.shape, rate
    ((4000,), 8000)

    Args:
        path: the recording; silence is valid audio (see `is_silent`).
        sampling_rate: Hz, resampled with soxr HQ; None keeps the recording's own.
        channel: one channel's index from 0, or "mix" for the mean of all channels; where these cancel each other out,
            as in stereo out of phase (the mean is 20 dB weaker than a channel), the louder channel, with a warning.
        start: seconds.
        duration: seconds at most; a clip ends where the recording ends. None reads to the end.

    Returns:
        float32 samples (samples,), full scale 1.0, and their rate in Hz.

    Raises:
        AudioError: the file is missing, a folder, unreadable, empty, no audio, truncated or damaged, without samples,
            shorter than `MIN_SECONDS`, holds samples that are no sound, or has no such channel or clip; or the
            sampling rate is none.
    """
    with open_audio(path) as reader:
        rate = reader.rate if sampling_rate is None else checked_rate(sampling_rate)
        parts = list(_clip(reader, rate, channel, start=start, duration=duration))
    return parts[0] if len(parts) == 1 else np.concatenate(parts), rate


def audio_blocks(
    path: str | Path,
    seconds: float,
    sampling_rate: int | None = None,
    channel: int | str = "mix",
    strict: bool = True,
    on_open: Callable[[OpenedAudio], None] | None = None,
) -> Iterator[np.ndarray]:
    """Read a recording of any length in constant memory.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "noise.wav"
    >>> save_audio(path, np.full(20000, 0.1, np.float32), 16000)
    >>> [len(block) for block in audio_blocks(path, seconds=1.0)]
    [16000, 4000]

    Args:
        path: the recording.
        seconds: length of a block.
        sampling_rate: Hz; None keeps the recording's own.
        channel: as for `load_audio`.
        strict: refuse a truncated file at once; if not, yield what can be read of it before the error.
        on_open: called with the recording's properties before the first block; it takes the place of the logged
            warning about channels.

    Yields:
        float32 (samples,), round(seconds * rate) samples each but for a shorter last one; joined they equal
        `load_audio`.

    Raises:
        TruncatedAudioError: the recording ends before it should.
        AudioError: as `load_audio`, when the reading gets there.
    """
    with open_audio(path, strict) as reader:
        rate = reader.rate if sampling_rate is None else checked_rate(sampling_rate)
        size = _round(seconds * rate)
        if size < 1:
            raise AudioError(f"Blocks of {seconds} s hold no sample at {rate} Hz; ask for longer ones.")
        buffered: list[np.ndarray] = []
        missing = size
        broken = None
        try:
            for part in _clip(reader, rate, channel, start=0.0, duration=None, on_open=on_open):
                while len(part):
                    buffered.append(part[:missing])
                    part = part[missing:]
                    missing -= len(buffered[-1])
                    if not missing:
                        yield np.concatenate(buffered)
                        buffered, missing = [], size
        except TruncatedAudioError as error:
            broken = error
        if buffered:
            yield np.concatenate(buffered)
        if broken is not None:
            raise broken


def save_audio(path: str | Path, samples: np.ndarray, sampling_rate: int) -> None:
    """Write mono float samples (samples,) as 16-bit wav or flac, by suffix; beyond full scale they are clipped.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "loud.flac"
    >>> save_audio(path, np.array([0.5, 2.0] * 800, np.float32), 16000)
    >>> [round(float(sample), 3) for sample in load_audio(path)[0][:2]]
    [0.5, 1.0]

    Raises:
        AudioError: another suffix, or samples that are NaN or infinite.
        UserError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    formats = {".wav": "WAV", ".flac": "FLAC"}
    if path.suffix.lower() not in formats:
        raise AudioError(f"Cannot write {path}: only .wav and .flac are written; choose one of these suffixes.")
    if samples.ndim != 1:
        raise ValueError(f"samples must have the shape (samples,), not {samples.shape}")
    if not np.isfinite(samples).all():
        raise AudioError(f"Cannot write {path}: the samples hold NaN or infinite values; repair what made them.")
    with atomic_write(path, "wb") as file:
        soundfile.write(file, samples, sampling_rate, format=formats[path.suffix.lower()], subtype="PCM_16")


def _clip(
    reader: AudioReader,
    rate: int,
    channel: int | str,
    start: float,
    duration: float | None,
    on_open: Callable[[OpenedAudio], None] | None = None,
) -> Iterator[np.ndarray]:
    """Yield one channel of a clip at `rate` Hz in blocks (samples,), at least one; a truncation is raised last."""
    path, source = reader.path, reader.rate
    if channel != "mix" and not (isinstance(channel, int) and 0 <= channel < reader.channels):
        raise AudioError(
            f"{path} has no channel {channel}; choose channel=mix or a number from 0 to {reader.channels - 1}."
        )
    opened = OpenedAudio(source, _find_loud_channel(reader, channel))
    if on_open is not None:
        on_open(opened)
    if opened.loud_channel is not None:
        channel = opened.loud_channel
        if on_open is None:
            _warn_of_channels(path, channel)
    first = _round(start * rate) if math.isfinite(start) else -1
    wanted = None if duration is None else _round(duration * rate) if math.isfinite(duration) else 0
    if first < 0 or (wanted is not None and wanted < 1):
        raise AudioError(f"{path} has no clip of {duration} s from {start} s on; give a start >= 0 and a duration > 0.")
    if reader.frames is not None:
        _check_length(path, reader.frames, source)
        if first >= reader.frames / source * rate:
            raise _beyond(path, start, reader.frames / source)
    # A resampled clip starts where the two rates share an instant, so that it falls on the samples of the whole.
    step_in, step_out = source // math.gcd(source, rate), rate // math.gcd(source, rate)
    context = 0 if source == rate else math.ceil(_CONTEXT * source / step_in)
    steps = max(0, first // step_out - context)
    position, drop = steps * step_in, first - steps * step_out
    end = None if wanted is None else -(-(first + wanted) * step_in // step_out) + context * step_in
    reader.skip(position)
    resampler = None if source == rate else soxr.ResampleStream(source, rate, 1, dtype="float32", quality="HQ")
    yielded, last = 0, False
    while not last and (wanted is None or yielded < wanted):
        size = BLOCK_SAMPLES if end is None else min(BLOCK_SAMPLES, end - position)
        raw = reader.read(size)
        part = _channel(raw, channel)
        if (wrong := wrong_sample(part)) is not None:
            at = (position + wrong[0]) / source
            raise AudioError(f"{path} holds {wrong[1]} (the first at {at:.3f} s); export it again.")
        position += len(raw)
        last = len(raw) < size or position == end
        if resampler is not None:
            part = resampler.resample_chunk(part, last=last)
        dropped = min(drop, len(part))
        drop -= dropped
        part = part[dropped:] if wanted is None else part[dropped : dropped + wanted - yielded]
        yielded += len(part)
        if len(part):
            yield part
    if len(raw) < size and reader.is_truncated(position):
        raise truncation_error(reader, position)
    if reader.frames is None and end is None:
        _check_length(path, position, source)
    if not yielded:
        raise _beyond(path, start, position / source)


@lru_cache(maxsize=256)
def _loud_channel(path: Path, size: int, changed: int) -> int | None:
    """Return the channel to take instead of the mix where the channels cancel each other out; None: take the mix.

    The channel is chosen once for a file, so that a clip equals the same samples of the whole: from its first
    `_PHASE_SECONDS` that are not silent. Size and time of change tell versions of a file apart.
    """
    with open_audio(path, strict=False) as reader:
        energy: np.ndarray = np.zeros(reader.channels)
        mixed, missing = 0.0, _PHASE_SECONDS * reader.rate
        while missing > 0 and len(raw := reader.read(BLOCK_SAMPLES)):
            loud = energy.max()
            energy += np.square(raw, dtype=np.float64).sum(axis=0)
            mixed += float(np.square(raw.mean(axis=1, dtype=np.float64)).sum())
            missing -= len(raw) if energy.max() - loud > len(raw) * SILENCE**2 else 0
    return loud_channel(energy, mixed)


def _find_loud_channel(reader: AudioReader, channel: int | str) -> int | None:
    """Return the index of a channel that is loud, where "mix" is asked for and would be nearly silent."""
    if channel != "mix" or reader.channels == 1:
        return None
    file = reader.path.stat()
    return _loud_channel(reader.path.absolute(), file.st_size, file.st_mtime_ns)


@lru_cache(maxsize=256)
def _warn_of_channels(path: Path, channel: int) -> None:
    """Log once for each file which channel is read."""
    logger.warning("%s: its channels cancel each other out, so channel %d is read instead of their mix", path, channel)


def _channel(raw: np.ndarray, channel: int | str) -> np.ndarray:
    """Take one channel of (samples, channels) as (samples,), or mix all."""
    if raw.shape[1] == 1:
        return raw.reshape(-1)
    if isinstance(channel, int):
        return np.ascontiguousarray(raw[:, channel])
    return raw @ np.full(raw.shape[1], 1 / raw.shape[1], np.float32)


def _round(samples: float) -> int:
    return math.floor(samples + 0.5)


def _check_length(path: Path, frames: int, rate: int) -> None:
    if frames == 0:
        raise AudioError(f"{path} holds no samples, only a header; record or export it again.")
    if frames < MIN_SECONDS * rate:
        count = "1 sample" if frames == 1 else f"{frames} samples"
        raise AudioError(f"{path} holds only {count} at {rate} Hz, too short to hold speech; leave it out.")


def _beyond(path: Path, start: float, length: float) -> AudioError:
    return AudioError(
        f"{path} ends at {length:.2f} s, before the clip that starts at {start:.2f} s; correct the start."
    )

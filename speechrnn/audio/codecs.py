"""Codecs of telephones and of compressed files: speech as it sounds after it was encoded and decoded."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Codec = Literal["mu_law", "a_law", "gsm", "mp3"]
CODECS: tuple[Codec, ...] = get_args(Codec)
TELEPHONE_RATE = 8000  # Hz
TELEPHONE_BAND = (300.0, 3400.0)  # Hz, of ITU-T G.712
EDGE = 100.0  # Hz, width of the slopes of the band
SHORTEST = 0.05  # seconds that are encoded at least
MOST_COMPRESSION = 0.95  # of libsndfile's MP3 encoder, which refuses 1
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz


@dataclass(frozen=True)
class _Format:
    """A codec: its container and subtype in libsndfile, and whether it is a telephone's."""

    container: str
    subtype: str
    telephone: bool


_FORMATS: dict[Codec, _Format] = {
    "mu_law": _Format("WAV", "ULAW", telephone=True),  # ITU-T G.711, North America and Japan
    "a_law": _Format("WAV", "ALAW", telephone=True),  # ITU-T G.711, elsewhere
    "gsm": _Format("WAV", "GSM610", telephone=True),  # GSM 06.10 full rate
    "mp3": _Format("MP3", "MPEG_LAYER_III", telephone=False),
}


def apply_codec(samples: np.ndarray, sampling_rate: int, codec: Codec, compression: float = 0.5) -> np.ndarray:
    """Encode and decode speech; its words stay at their times.

    >>> apply_codec(np.zeros(16000, np.float32), 16000, "gsm").shape
    (16000,)

    Args:
        samples: (samples,) float32 in -1 to 1; what is louder is clipped.
        sampling_rate: Hz.
        codec: mu_law, a_law and gsm are telephones, with a band from 300 to 3400 Hz; mp3 is a file.
        compression: of mp3, 0 (best quality) to 1 (smallest file).

    Returns:
        (samples,) float32 at the same rate.
    """
    import soxr

    names = _FORMATS[codec]
    rate = TELEPHONE_RATE if names.telephone else nearest_rate(sampling_rate)
    padded = np.pad(samples.astype(np.float32), (0, max(0, round(SHORTEST * sampling_rate) - len(samples))))
    wave = soxr.resample(padded, sampling_rate, rate, quality="HQ")
    if names.telephone:
        wave = limit_band(wave, rate, TELEPHONE_BAND)
    decoded = _encode_and_decode(wave.clip(-1.0, 1.0), rate, names, compression=compression)
    restored = soxr.resample(decoded, rate, sampling_rate, quality="HQ").astype(np.float32)
    result: np.ndarray = np.zeros(len(samples), np.float32)  # rounding and blocks of a codec change the length
    shared = min(len(samples), len(restored))
    result[:shared] = restored[:shared]
    return result


def nearest_rate(sampling_rate: int) -> int:
    """Return the lowest rate of MP3 that loses nothing of a rate in Hz; the highest one where there is none.

    >>> nearest_rate(16000), nearest_rate(20000)
    (16000, 22050)
    """
    return next((rate for rate in MP3_RATES if rate >= sampling_rate), MP3_RATES[-1])


def limit_band(samples: np.ndarray, sampling_rate: int, band: tuple[float, float]) -> np.ndarray:
    """Remove what lies outside a band in Hz, by a filter without delay whose edges are raised cosines."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / sampling_rate)
    inside = np.clip(np.minimum(frequencies - band[0] + EDGE, band[1] + EDGE - frequencies) / EDGE, 0.0, 1.0)
    shaped = spectrum * (0.5 - 0.5 * np.cos(np.pi * inside))
    limited: np.ndarray = np.fft.irfft(shaped, len(samples)).astype(np.float32)
    return limited


def _encode_and_decode(samples: np.ndarray, rate: int, names: _Format, compression: float) -> np.ndarray:
    import soundfile

    file = io.BytesIO()
    quality = {"compression_level": min(compression, MOST_COMPRESSION)} if names.container == "MP3" else {}
    soundfile.write(file, samples, rate, format=names.container, subtype=names.subtype, **quality)
    file.seek(0)
    decoded: np.ndarray = soundfile.read(file, dtype="float32")[0]
    return decoded

"""Sound from a microphone, by the package sounddevice (PortAudio)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechrnn.audio.errors import AudioError
from speechrnn.core.errors import UserError

logger = logging.getLogger("speechrnn")


@dataclass
class Microphone:
    """Record from a microphone by the package sounddevice (PortAudio).

    Attributes:
        sampling_rate: Hz; where the microphone does not offer it, its own rate takes its place before the first packet.
        packet: seconds of a packet.
        device: name or number, as sounddevice takes it; None: the system's own choice.
    """

    sampling_rate: int
    packet: float
    device: str | int | None = None
    name: str = "microphone"
    live: bool = True
    pace: float = 1.0
    _closed: bool = False

    def packets(self) -> Iterator[np.ndarray]:
        """See `LiveSource`."""
        sounddevice = import_sounddevice()
        overflowed = False
        with self._open(sounddevice) as stream:
            while not self._closed:
                try:
                    samples, lost = stream.read(max(1, round(self.packet * self.sampling_rate)))
                except sounddevice.PortAudioError as error:
                    raise AudioError(
                        f"The microphone has vanished ({error}); the words until then are kept."
                    ) from error
                if lost and not overflowed:
                    overflowed = True
                    logger.warning("The machine is too slow for the microphone: some sound was lost.")
                yield samples

    def close(self) -> None:
        """See `LiveSource`."""
        self._closed = True

    def _open(self, sounddevice: Any) -> Any:
        """Open a stream at the sampling rate that is wanted, or at the microphone's own."""
        try:
            try:
                return self._open_at(sounddevice, self.sampling_rate)
            except (sounddevice.PortAudioError, ValueError):
                native = round(sounddevice.query_devices(self.device, "input")["default_samplerate"])
                if native in (0, self.sampling_rate):
                    raise
                stream = self._open_at(sounddevice, native)
                self.sampling_rate = native
                return stream
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UserError(
                f"The microphone cannot be opened ({error}); choose one by microphone=NAME (`python -m sounddevice` "
                "lists them), or send sound by a pipe: input=-."
            ) from error

    def _open_at(self, sounddevice: Any, rate: int) -> Any:
        return sounddevice.InputStream(samplerate=rate, channels=1, dtype="float32", device=self.device)


def import_sounddevice() -> Any:
    """Import sounddevice, where there is a microphone to be used.

    Raises:
        UserError: the package or the PortAudio library is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise UserError(
            "Listening to a microphone needs the package sounddevice: pip install 'speechrnn[listen]'; or send sound "
            "by a pipe: arecord -f S16_LE -r 16000 | speechrnn listen input=-"
        ) from error
    except OSError as error:
        raise UserError(
            f"sounddevice finds no PortAudio library ({error}): install it (libportaudio2), or send sound by a pipe: "
            "arecord -f S16_LE -r 16000 | speechrnn listen input=-"
        ) from error
    return sounddevice

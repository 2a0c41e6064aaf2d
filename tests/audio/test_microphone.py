"""Microphones that overflow, vanish or record at another rate; sounddevice is replaced by a module without devices."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from speechrnn.audio.errors import AudioError
from speechrnn.audio.microphone import Microphone, import_sounddevice
from speechrnn.core.errors import UserError


class PortAudioError(Exception):
    pass


class FakeStream:
    """Gives packets of the numbers 0, 1, 2, ...; a packet of None is a device that is gone."""

    def __init__(self, lost: list[bool | None]) -> None:
        self.lost = iter(lost)
        self.count = 0
        self.closed = False

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def read(self, count: int) -> tuple[np.ndarray, bool]:
        lost = next(self.lost, False)
        if lost is None:
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        self.count += 1
        return np.full((count, 1), self.count - 1, np.float32), lost


class FakeDevice:
    """A microphone that offers some rates only."""

    def __init__(self, rates: tuple[int, ...], native: float, lost: list[bool | None]) -> None:
        self.rates, self.native, self.lost = rates, native, lost
        self.asked: list[int] = []
        self.stream: FakeStream | None = None

    def open(self, *, samplerate: int, channels: int, dtype: str, device: Any) -> FakeStream:
        assert channels == 1 and dtype == "float32"
        if device == "nothing":
            raise ValueError("No input device matching 'nothing'")
        self.asked.append(samplerate)
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        self.stream = FakeStream(self.lost)
        return self.stream

    def query(self, device: Any, kind: str) -> dict[str, Any]:
        assert kind == "input"
        if device == "nothing":
            raise ValueError("No input device matching 'nothing'")
        return {"default_samplerate": self.native}


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeDevice]]:
    def plug(
        rates: tuple[int, ...] = (16000,), native: float = 16000.0, lost: list[bool | None] | None = None
    ) -> FakeDevice:
        device = FakeDevice(rates, native, lost or [])
        module = ModuleType("sounddevice")
        module.InputStream = device.open  # type: ignore[attr-defined]
        module.query_devices = device.query  # type: ignore[attr-defined]
        module.PortAudioError = PortAudioError  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "sounddevice", module)
        return device

    yield plug


PlugIn = Callable[..., FakeDevice]


def test_packets_come_until_it_is_closed(plug_in: PlugIn) -> None:
    device = plug_in()
    microphone = Microphone(16000, 0.1)
    packets = []
    for packet in microphone.packets():
        packets.append(packet)
        if len(packets) == 3:
            microphone.close()
    assert [packet.shape for packet in packets] == [(1600, 1)] * 3
    assert device.stream is not None and device.stream.closed


def test_an_overflow_is_said_once_and_sound_goes_on(plug_in: PlugIn, caplog: pytest.LogCaptureFixture) -> None:
    plug_in(lost=[False, True, True, False, None])
    packets: list[np.ndarray] = []
    with pytest.raises(AudioError):
        packets.extend(Microphone(16000, 0.1).packets())
    assert len(packets) == 4
    assert caplog.text.count("too slow for the microphone") == 1


def test_a_device_that_vanishes_is_an_error_after_its_sound(plug_in: PlugIn) -> None:
    device = plug_in(lost=[False, None])
    packets = Microphone(16000, 0.1).packets()
    next(packets)
    with pytest.raises(AudioError, match=r"vanished.*Device unavailable"):
        next(packets)
    assert device.stream is not None and device.stream.closed


def test_a_device_of_another_rate_records_at_its_own(plug_in: PlugIn) -> None:
    device = plug_in(rates=(44100, 48000), native=48000.0)
    microphone = Microphone(16000, 0.1)
    assert len(next(microphone.packets())) == 4800
    assert device.asked == [16000, 48000] and microphone.sampling_rate == 48000


@pytest.mark.parametrize("name", [None, "nothing"])
def test_a_device_that_cannot_be_opened_is_one_sentence(plug_in: PlugIn, name: str | None) -> None:
    plug_in(rates=(), native=48000.0)
    with pytest.raises(UserError, match=r"microphone=NAME.*input=-"):
        next(Microphone(16000, 0.1, name).packets())


def test_without_sounddevice_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"speechrnn\[listen\]"):
        import_sounddevice()


def test_without_portaudio_the_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(UserError, match="libportaudio2"):
        import_sounddevice()

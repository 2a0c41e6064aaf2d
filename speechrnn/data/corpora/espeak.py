"""Text to speech with espeak-ng, as the wheel of `espeakng-loader` carries it (GPL, hence an extra).

The library keeps global state that one utterance leaves to the next (pitch flutter, echo, gain
control, the C library's `rand`), so that the same sentence never sounds twice quite the same. Each
call here therefore opens the library afresh, which costs a quarter of a millisecond, and seeds its
random numbers: the samples depend on the arguments alone.
"""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from speechrnn.core.config import did_you_mean
from speechrnn.core.errors import UserError

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: espeak_Synth returns when all has been spoken
_OPTIONS = 0x8001  # phoneme events; never exit() the process when the voices are missing
_UTF8 = 1
_AT_CHARACTER = 1  # POS_CHARACTER
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_EVENT_LIST_END, _EVENT_END, _EVENT_PHONEME = 0, 5, 7
_QUIET = 50  # volume, of 100: at full volume the louder voices run into espeak's gain control
_LONGEST_PATH = 150  # characters; espeak keeps the path of its voices in a buffer of 160

_lock = threading.Lock()


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class SpokenWord:
    """A word of the text, as written, with its start and end in seconds from the start of the speech."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Synthesised speech: float32 samples in [-1, 1], shape (samples,), and the words in it.

    `words` has one entry for each whitespace-separated token of the text, or none at all where espeak
    did not tell the time of each of them (it merges some pairs and passes over lone punctuation).
    """

    samples: np.ndarray
    sampling_rate: int
    words: tuple[SpokenWord, ...]


def _loader() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError as error:
        raise UserError("Synthetic speech needs espeak-ng: install it with `pip install 'speechrnn[demo]'`.") from error
    return espeakng_loader


def version() -> str:
    """Return the version of espeak-ng, such as "1.52.0"."""
    with open_library() as library:
        library.espeak_Info.restype = ctypes.c_char_p
        return library.espeak_Info(None).decode()


def check_voices(names: Iterable[str]) -> None:
    """Raise a UserError for the first name that is no English voice of espeak-ng.

    A name is a language file, alone or with a variant: "en-us", "en-gb-scotland+f3". espeak itself
    takes an unknown variant in silence and speaks with its default voice.
    """
    data = Path(_loader().get_data_path())
    # espeak knows its British default by the name of its file, "en", and not as "en-gb".
    languages = sorted(path.name.lower() for path in (data / "lang" / "gmw").glob("en*"))
    variants = sorted(path.name for path in (data / "voices" / "!v").iterdir())
    for name in names:
        language, plus, variant = name.partition("+")
        if language not in languages:
            raise UserError(f"espeak-ng has no voice {name}: {language!r} is none of {', '.join(languages)}.")
        if plus and variant not in variants:
            raise UserError(
                f"espeak-ng has no voice {name}: there is no variant {variant!r}{did_you_mean(variant, variants)}"
            )


def speak(text: str, voice: str, *, rate: int = 175, pitch: int = 50, pitch_range: int = 50, seed: int = 0) -> Speech:
    """Synthesise `text`.

    Args:
        text: plain text, any punctuation.
        voice: espeak-ng's name, such as "en-us+f3" (see `check_voices`).
        rate: words per minute, 80 to 450.
        pitch: 0 to 100; 50 is the voice's own.
        pitch_range: 0 (monotone) to 100 (lively); 50 is the voice's own.
        seed: of the breath noise and of what else espeak draws, 0 to 2 ** 31 - 1.

    Returns:
        The speech at espeak's own rate, 22,050 Hz. The same arguments give the same samples, whatever
        was spoken before, unless someone else in this process keeps the library open.

    Raises:
        UserError: espeakng-loader is not installed, its data cannot be read, or the voice is unknown.
    """
    text = " ".join(text.split())
    chunks: list[bytes] = []
    phonemes: list[tuple[int, int, bool]] = []  # position in the text (from 0), sample, whether it is a pause

    def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != _EVENT_LIST_END:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                phonemes.append((event.text_position - 1, event.sample, event.id.string.startswith(b"_")))
            elif event.type == _EVENT_END:
                phonemes.append((-1, event.sample, True))
            index += 1
        return 0

    callback = _Callback(receive)  # kept in a local: the library holds a bare pointer to it
    with open_library() as library:
        sampling_rate = start(library)
        library.espeak_SetSynthCallback(callback)
        ctypes.CDLL(None).srand(seed)
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(f"espeak-ng has no voice {voice!r}; a voice reads en-us+f3: language, plus, variant.")
        for parameter, value in ((_RATE, rate), (_VOLUME, _QUIET), (_PITCH, pitch), (_RANGE, pitch_range)):
            library.espeak_SetParameter(parameter, int(value), 0)
        data = text.encode()
        size = ctypes.c_size_t(len(data) + 1)
        if library.espeak_Synth(data, size, 0, _AT_CHARACTER, 0, _UTF8, None, None) != 0:
            raise UserError(f"espeak-ng could not say {text!r} with the voice {voice!r}; try another voice.")
    samples = np.frombuffer(b"".join(chunks), dtype=np.int16).astype(np.float32) / 32768.0
    return Speech(samples, sampling_rate, _words(text, phonemes, sampling_rate))


@contextlib.contextmanager
def open_library() -> Iterator[ctypes.CDLL]:
    """Load a fresh copy of the library and lock it: its state belongs to the process."""
    path = _loader().get_library_path()
    with _lock:
        library = ctypes.CDLL(path)
        try:
            yield library
        finally:
            library.espeak_Terminate()
            # Unloading is what resets the static variables; espeak_Terminate leaves them as they are.
            _ctypes.dlclose(library._handle)


def start(library: ctypes.CDLL) -> int:
    """Initialise the library with its voices. Return its sampling rate in Hz."""
    home = Path(_loader().get_data_path()).parent
    sampling_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(home).encode(), _OPTIONS)
    if sampling_rate <= 0:
        reason = "its path is too long for espeak-ng" if len(str(home)) > _LONGEST_PATH else "it is damaged"
        raise UserError(f"espeak-ng cannot read its voices in {home}: {reason}; install espeakng-loader elsewhere.")
    return sampling_rate


def _words(text: str, phonemes: list[tuple[int, int, bool]], sampling_rate: int) -> tuple[SpokenWord, ...]:
    """Return a word begins with its first sound and ends where the next sound or pause begins."""
    words = []
    for token in re.finditer(r"\S+", text):
        inside = [
            index
            for index, (position, _, pause) in enumerate(phonemes)
            if token.start() <= position < token.end() and not pause
        ]
        if not inside or inside[-1] + 1 == len(phonemes):
            return ()
        start, end = phonemes[inside[0]][1], phonemes[inside[-1] + 1][1]
        words.append(SpokenWord(token.group(), start / sampling_rate, end / sampling_rate))
    return tuple(words)

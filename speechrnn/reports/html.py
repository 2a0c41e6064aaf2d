"""Render pages from Jinja2 templates: self-contained HTML files that open without a network.

Every value is escaped, unless it is `Markup`: drawings from `plots.svg`. Texts may run in either direction: an element
that holds one has dir="auto" in the templates.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from speechrnn.audio import AudioError, load_audio
from speechrnn.core.plural import count

TEMPLATES = Path(__file__).with_name("templates")
PLAYER_RATE = 16000  # Hz; every browser plays mp3 at this rate
PLAYER_SECONDS = 30.0  # of an utterance at most, so that the page stays small


def render(template: str, folders: Sequence[Path] = (), **values: object) -> str:
    """Return a page.

    Args:
        template: a file name in one of the folders, or in `speechrnn/reports/templates`, which is searched last.
        values: the template's variables; each must be given.
    """
    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, duration=duration, count=count, cell=cell)
    return environment.get_template(template).render(values)


def percent(rate: float, digits: int = 2) -> str:
    """Return a fraction in per cent, with so many digits after the point.

    >>> percent(0.0563).replace("\\u00a0", " ")
    '5.63 %'
    """
    return f"{100 * rate:.{digits}f}\u00a0%"


def duration(seconds: float) -> str:
    """Return a time in seconds, minutes, or hours and minutes.

    >>> duration(5025).replace("\\u00a0", " ")
    '1 h 24 min'
    """
    if seconds < 59.95:
        return f"{seconds:.1f}\u00a0s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{seconds / 60:.1f}\u00a0min"
    return f"{minutes // 60}\u00a0h {minutes % 60}\u00a0min"


def cell(value: object) -> object:
    """Return a table's value as it is shown: whole numbers with separators of thousands."""
    return f"{value:,}" if isinstance(value, int) else value


@dataclass(frozen=True)
class TimeShare:
    """A part of the time of a run.

    Attributes:
        seconds: its length.
        share: of the whole, a fraction.
    """

    name: str
    seconds: float
    share: float


def time_shares(seconds: Mapping[str, float], names: Mapping[str, str]) -> list[TimeShare]:
    """Return the parts of a run's time with their shares.

    Args:
        seconds: by key.
        names: the text that is shown for a key.
    """
    total = sum(seconds.values()) or 1.0
    return [TimeShare(names.get(key, key), part, part / total) for key, part in seconds.items()]


@dataclass(frozen=True)
class Recording:
    """A recording inside a page.

    Attributes:
        source: a data URI with the sound as mp3, about 4 kB a second; "" if there is none.
        remark: a line below the player; "" if there is nothing to add.
    """

    source: str = ""
    remark: str = ""


def embed_recording(path: Path, start: float, seconds: float) -> Recording:
    """Encode a part of an audio file for a page; a file that cannot be read gives a remark instead.

    Args:
        start: of the part, seconds.
        seconds: its length; 0 for all of the file.
    """
    import soundfile

    longest = PLAYER_SECONDS + 1  # a little more than is played, to know whether something is cut off
    try:
        samples, rate = load_audio(path, PLAYER_RATE, start=start, duration=min(seconds or longest, longest))
    except AudioError as error:
        return Recording(remark=f"No recording to play: {error}")
    played = samples[: round(PLAYER_SECONDS * rate)]
    buffer = io.BytesIO()
    soundfile.write(buffer, played, rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.5)
    data = base64.b64encode(buffer.getvalue()).decode()
    remark = f"The first {PLAYER_SECONDS:.0f} s." if len(played) < len(samples) else ""
    return Recording(f"data:audio/mpeg;base64,{data}", remark)


@dataclass(frozen=True)
class Table:
    """Rows of a table and how many were left out of it."""

    rows: Sequence[Sequence[object]]
    left_out: int = 0


def limited(rows: Sequence[Sequence[object]], most: int) -> Table:
    """Return the first rows of a long table."""
    return Table(rows[:most], max(0, len(rows) - most))

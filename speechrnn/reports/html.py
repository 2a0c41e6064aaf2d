"""Pieces of the report's page: numbers for readers, tables, aligned differences, audio players.

Whatever comes from outside goes through `escape`. Texts may run in either direction: what holds one has dir="auto".
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template

from speechrnn.audio import AudioError, load_audio
from speechrnn.evaluation.metrics import DELETION, HIT, INSERTION, SUBSTITUTION, Edit

PLAYER_RATE = 16000  # Hz; every browser plays mp3 at this rate
PLAYER_SECONDS = 30.0  # of an utterance at most, so that the page stays small
MARKS = {HIT: "", SUBSTITUTION: "S", DELETION: "D", INSERTION: "I"}
MISSING = "∗∗∗"


def escape(value: object) -> str:
    """Any value as text of the page or of an attribute."""
    return html.escape(str(value))


def page(title: str, subtitle: str, body: str, versions: Mapping[str, str]) -> str:
    """A whole page that needs no other file; `body` is markup, the rest plain text."""
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    footer = ", ".join(f"{name} {version}" for name, version in versions.items())
    return template.substitute(title=escape(title), subtitle=escape(subtitle), body=body, footer=escape(footer))


def percent(rate: float) -> str:
    """A fraction as per cent."""
    return f"{100 * rate:.2f}\u00a0%"


def length(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:
        return f"{seconds:.1f}\u00a0s"
    minutes = round(seconds / 60)
    if seconds < 3600:
        return f"{seconds / 60:.1f}\u00a0min"
    return f"{minutes // 60}\u00a0h {minutes % 60}\u00a0min"


def number(count: int, noun: str) -> str:
    """A count and its noun, which takes an s for more than one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def section(title: str, *content: str) -> str:
    """A part of the page; "" without content."""
    inside = "\n".join(part for part in content if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{inside}\n</section>" if inside else ""


def note(text: str) -> str:
    """A line of explanation."""
    return f'<p class="note">{escape(text)}</p>'


def tile(label: str, value: str, remark: str = "") -> str:
    """One of the figures at the top."""
    return f"<div><dt>{escape(label)}</dt><dd>{escape(value)}<small>{escape(remark)}</small></dd></div>"


def table(sides: str, header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table; "" without rows.

    Args:
        sides: a letter a column: l for texts, r for numbers, which are set flush right.
        rows: the first value names the row.
    """
    body = []
    for values in rows:
        shown = [f"{value:,}" if isinstance(value, int) else escape(value) for value in values]
        cells = [
            f'<td class="{side}" dir="auto">{value}</td>' for side, value in zip(sides[1:], shown[1:], strict=True)
        ]
        body.append(f'<tr><th scope="row" dir="auto">{shown[0]}</th>{"".join(cells)}</tr>')
    if not body:
        return ""
    heads = [f'<th scope="col" class="{side}">{escape(head)}</th>' for side, head in zip(sides, header, strict=True)]
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="wide"><table>{title}<thead><tr>{"".join(heads)}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """Times in seconds as bars, with their shares of the sum."""
    total = sum(seconds for _, seconds in parts) or 1.0
    lines = [
        f'<tr><th scope="row">{escape(name)}</th><td class="r">{length(seconds)}</td>'
        f'<td class="r">{100 * seconds / total:.1f}\u00a0%</td>'
        f'<td class="bar"><span style="width:{100 * seconds / total:.1f}%"></span></td></tr>'
        for name, seconds in parts
    ]
    return f'<div class="wide"><table class="shares"><tbody>{"".join(lines)}</tbody></table></div>'


def details(summary: str, content: str) -> str:
    """Something to open on demand."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def configuration(text: str) -> str:
    """The section of a run's config.yaml; "" without one."""
    return section("Configuration", details("config.yaml", f"<pre>{escape(text)}</pre>")) if text.strip() else ""


def differences(edits: Sequence[Edit]) -> str:
    """Reference above hypothesis, word by word, each difference marked by a letter as well as by colour."""
    columns = ['<bdi class="names"><i>reference</i><i>recognised</i></bdi>']  # bdi: no say in the text's direction
    for edit in edits:
        above, below = (escape(MISSING if word is None else word) for word in (edit.reference, edit.hypothesis))
        mark = "" if edit.op == HIT else f'<bdi title="{edit.op}">{MARKS[edit.op]}</bdi>'
        columns.append(f'<span class="{edit.op}"><i>{above}</i><i>{below}</i>{mark}</span>')
    return f'<div class="differences" dir="auto">{" ".join(columns)}</div>'


def player(path: Path, start: float, duration: float) -> str:
    """An audio element that holds its recording as mp3, about 4 kB a second, or a line that says why there is none.

    Args:
        start, duration: the part of the file, seconds; 0 for all of it.
    """
    import soundfile

    try:
        samples, rate = load_audio(
            path, PLAYER_RATE, start=start, duration=min(duration or PLAYER_SECONDS, PLAYER_SECONDS)
        )
    except AudioError as error:
        return note(f"No recording to play: {error}")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.5)
    data = base64.b64encode(buffer.getvalue()).decode()
    cut = note(f"The first {PLAYER_SECONDS:.0f} s.") if duration > PLAYER_SECONDS else ""
    return f'<audio controls preload="metadata" src="data:audio/mpeg;base64,{data}"></audio>{cut}'

"""Draw the terminal of a real session of `speechrnn listen` as an SVG, as it is while the last words are spoken.

    python benchmarks/live_session.py --model outputs/demo --picture docs/images/live.svg talk1.flac talk2.flac

The recordings are joined by pauses and read by `speechrnn listen`; the picture shows its finals, and the partial line
of the last recording, whose words that may still change are dim.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from timing import stop

from speechrnn.audio import load_audio, save_audio

RATE = 16000  # Hz
PAUSE = 1.2  # seconds between recordings
SHARE = 0.6  # of the last recording's words that are there when the picture is taken
LINE, LEFT, TOP, WIDTH = 24, 20, 62, 860  # pixels
COLUMNS = 88  # of the terminal
LISTEN = Path(__file__).resolve().parents[1] / "recipes" / "listen.py"


def run_session(model: str, recordings: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the events of `speechrnn listen` for the joined recordings."""
    parts = [
        part for path in recordings for part in (load_audio(path, RATE)[0], np.zeros(round(PAUSE * RATE), np.float32))
    ]
    with tempfile.TemporaryDirectory() as folder:
        save_audio(Path(folder, "talk.wav"), np.concatenate(parts), RATE)
        keys = [f"model={model}", f"input={folder}/talk.wav", "pace=0", "show=json"]
        session = subprocess.run([sys.executable, str(LISTEN), *keys], capture_output=True, text=True, check=False)
    if session.returncode:
        stop(session.stderr.strip())
    return [json.loads(text) for text in session.stdout.splitlines()]


def screen(events: Sequence[dict[str, Any]]) -> tuple[list[str], str, str]:
    """Return the finals, and the stable and the dim part of the partial line, amid the last segment."""
    last = events[-1]["segment"]
    finals = [event["text"] for event in events if event["kind"] == "final" and event["segment"] < last]
    words = len(events[-1]["words"])
    partials = [event for event in events if event["segment"] == last and event["kind"] == "partial"]
    event = next((e for e in partials if len(e["words"]) >= SHARE * words and e["stable_words"]), partials[-1])
    texts = [word["word"] for word in event["words"]]
    return finals, " ".join(texts[: event["stable_words"]]), " ".join(texts[event["stable_words"] :])


def draw(command: str, finals: Sequence[str], stable: str, dim: str) -> str:
    """Return the SVG of a terminal."""
    rows = [f'<tspan fill="#7ec699">$</tspan> {escape(command)}']
    rows += [escape(row) for final in finals for row in textwrap.wrap(final, COLUMNS)]
    left = len(stable.split())  # words of the partial line that are stable
    for row in textwrap.wrap(f"{stable} {dim}", COLUMNS):
        words = row.split()
        bright, pale = " ".join(words[:left]), " ".join(words[left:])
        left = max(0, left - len(words))
        space = " " if bright and pale else ""
        rows.append(f'{escape(bright)}{space}<tspan fill="#7d8590">{escape(pale)}</tspan>')
    rows[-1] += "\N{LEFT HALF BLOCK}"
    height = TOP + LINE * len(rows)
    texts = [
        f'<text x="{LEFT}" y="{TOP + LINE * number}" xml:space="preserve">{row}</text>'
        for number, row in enumerate(rows)
    ]
    dots = [
        f'<circle cx="{LEFT + 6 + 20 * n}" cy="20" r="6" fill="{c}"/>'
        for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    ]
    style = "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:15px"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'role="img" aria-label="A terminal in which speechrnn listen prints words while somebody speaks">',
            f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#0d1117"/>',
            *dots,
            f'<g fill="#e6edf3" style="{style}">',
            *texts,
            "</g>",
            "</svg>",
            "",
        ]
    )


def main() -> None:
    """Write the picture."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recordings", type=Path, nargs="+")
    options.add_argument("--model", default="english", help="name or directory (english)")
    options.add_argument("--picture", type=Path, required=True, help="the SVG file")
    args = options.parse_args()
    events = run_session(args.model, args.recordings)
    if not events:
        stop("No words were found; choose other recordings.")
    finals, stable, dim = screen(events)
    args.picture.write_text(draw(f"speechrnn listen model={args.model} input=talk.wav", finals, stable, dim=dim))


if __name__ == "__main__":
    main()

"""What the language model changed: of a few utterances, what the network alone would have said, and both opinions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechrnn.evaluation.metrics import align, count_errors
from speechrnn.reports import html as markup
from speechrnn.reports.html import note, number, section, table
from speechrnn.reports.results import Results, Scored

SHOWN = 6  # utterances
READINGS = 5  # of each


def changes(run: Results) -> str:
    """A section of the report; "" where nothing but the network was asked."""
    compared = [item for item in run.scored if "greedy" in item.row]
    if not compared:
        return ""
    changed = [(_gain(item), item) for item in compared if item.row["greedy"].split() != item.row["hypothesis"].split()]
    better, worse = sum(gain > 0 for gain, _ in changed), sum(gain < 0 for gain, _ in changed)
    counts = note(
        f"Of {number(len(compared), 'utterance')}, {len(changed):,} became another text than the network's own: "
        f"{better:,} with fewer word errors, {worse:,} with more. Scores are natural logarithms: the network's, "
        "what each other opinion says before its weight, and their weighted sum."
    )
    # The greatest gains, and the greatest losses as well.
    ranked = [item for _, item in sorted(changed, key=lambda pair: (-pair[0], str(pair[1].row.get("id"))))]
    chosen = ranked if len(ranked) <= SHOWN else [*ranked[: SHOWN - 2], *ranked[-2:]]
    return section("What the language model changed", counts, *map(_utterance, chosen))


def _gain(item: Scored) -> int:
    alone = count_errors(item.row["reference"].split(), item.row["greedy"].split()).errors
    return alone - item.errors.errors


def _utterance(item: Scored) -> str:
    row = item.row
    alone = align(row["reference"].split(), row["greedy"].split())
    return (
        f'<article class="utterance"><h3><code>{markup.escape(row.get("id", ""))}</code></h3>\n'
        f"{note('The network alone:')}{markup.differences(alone)}\n"
        f"{note('With the language model:')}{markup.differences(item.edits)}\n"
        f"{_readings(row.get('alternatives') or [])}</article>"
    )


def _readings(alternatives: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for one in alternatives for name in one.get("parts") or {}))
    rows = [
        (
            one["text"] or "(nothing)",
            f"{one['acoustic']:.2f}",
            *(f"{one['parts'][name]:.2f}" if name in one["parts"] else "" for name in names),
            f"{one['score']:.2f}",
        )
        for one in alternatives[:READINGS]
    ]
    header = ["Reading", "Network", *(name.replace("_", " ").capitalize() for name in names), "Sum"]
    return table("l" + "r" * (len(names) + 2), header, rows)

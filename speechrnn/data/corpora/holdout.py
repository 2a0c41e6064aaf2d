"""Hold out a dev part for corpora that publish none: by whole speakers, else by texts, the same each time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FEWEST_WORDS = 20  # with fewer different words the texts are commands or digits, which dev must share with training

MOST_SHARE = 0.1  # of the training utterances
MOST_SECONDS = 1800.0  # of dev audio


def auto_fraction(seconds: float) -> float:
    """Return the share that is held out of so many seconds of audio: a tenth, and at most half an hour.

    >>> auto_fraction(3600.0), auto_fraction(180_000.0)
    (0.1, 0.01)
    """
    return min(MOST_SHARE, MOST_SECONDS / max(seconds, 1.0))


@dataclass(frozen=True)
class Holdout:
    """Indices of the utterances of the dev part, and the unit in which they were chosen."""

    indices: frozenset[int]
    by: Literal["speaker", "text", "utterance"]


def hold_out(
    ids: Sequence[str], speakers: Sequence[str | None], fraction: float, texts: Sequence[str] | None = None
) -> Holdout:
    """Choose about `fraction` of the utterances by whole speakers, so that dev measures speakers not in training.

    Speakers are taken in the order of a hash of their name as long as each brings the dev part closer to its size:
    the choice depends on names only, not on the order of files or on a seed. At least one speaker is taken (the
    smallest, if all are too big) and never all. Utterances without a speaker are grouped by equal texts, so that no
    text of dev was trained on; with one speaker in all, all utterances are. Commands and
    digits (fewer than `FEWEST_WORDS` different words, or mostly single words) are not grouped by text: training needs
    each of them.

    Args:
        ids: unique utterance ids.
        speakers: of the same length.
        fraction: wanted share of the utterances, from 0 (nothing is held out) to 0.9.
        texts: normalised transcripts, of the same length; None treats all as different.

    Returns:
        The indices, and "speaker", "text" (where some text occurs more than once) or "utterance".

    >>> hold_out(["a", "b", "c"], ["anna", "anna", "ben"], 0.3)
    Holdout(indices=frozenset({2}), by='speaker')
    """
    units = _text_units(ids, texts)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (unit, speaker) in enumerate(zip(units, speakers, strict=True)):
        groups["utterance" if speaker is None else "speaker", unit if speaker is None else speaker].append(index)
    for names in (units, ids):
        if len(groups) < 2:
            groups = defaultdict(list)
            for index, name in enumerate(names):
                groups["utterance", name].append(index)
    by: Literal["speaker", "text", "utterance"] = "utterance"
    if any(kind == "speaker" for kind, _ in groups):
        by = "speaker"
    elif len(groups) < len(ids):
        by = "text"
    if fraction == 0 or len(groups) < 2:
        return Holdout(frozenset(), by)
    wanted = fraction * len(ids)
    chosen: list[int] = []
    order = sorted(groups, key=lambda group: (hashlib.sha256(group[1].encode()).digest(), group))
    for group in order:
        closer = abs(len(chosen) + len(groups[group]) - wanted) < abs(len(chosen) - wanted)
        if closer and len(chosen) + len(groups[group]) < len(ids):
            chosen += groups[group]
    if not chosen:
        chosen = min((groups[group] for group in order), key=len)
    return Holdout(frozenset(chosen), by)


def _text_units(ids: Sequence[str], texts: Sequence[str] | None) -> list[str]:
    """Return for each utterance the first id, in sorted order, of those with its text; its own id for commands."""
    different = set(texts or ())
    words = len({word for text in different for word in text.split()})
    phrases = sum(" " in text for text in different)
    if texts is None or words < FEWEST_WORDS or 2 * phrases < len(different):
        return list(ids)
    first: dict[str, str] = {}
    for name, text in zip(ids, texts, strict=True):
        first[text] = min(name, first.get(text, name))
    return [first[text] for text in texts]

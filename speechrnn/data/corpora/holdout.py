"""Hold out a dev part for corpora that publish none: by whole speakers, else recordings, else texts; always alike."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
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


Unit = Literal["speaker", "recording", "text", "utterance"]


@dataclass(frozen=True)
class Holdout:
    """Indices of the utterances of the dev part, and the unit in which they were chosen."""

    indices: frozenset[int]
    by: Unit


def hold_out(
    ids: Sequence[str],
    speakers: Sequence[str | None],
    fraction: float,
    texts: Sequence[str] | None = None,
    recordings: Sequence[Hashable] | None = None,
    contents: Sequence[Hashable] | None = None,
) -> Holdout:
    """Choose about `fraction` of the utterances by whole speakers, so that dev measures speakers not in training.

    Speakers are taken in the order of a hash of their name as long as each brings the dev part closer to its size:
    the choice depends on names only, not on the order of files or on a seed. At least one speaker is taken (the
    smallest, if all are too big) and never all.

    Of utterances without a speaker, those of one recording are grouped, since they mostly have the same speakers; those
    that are alone in theirs are grouped by equal texts, so that no text of dev was trained on. With one speaker or one
    recording in all, all utterances are grouped by texts. Commands and digits (fewer than `FEWEST_WORDS` different
    words, or mostly single words) are not grouped by text: training needs each of them. Copies of a recording are in
    one group with what they are grouped with.

    Args:
        ids: unique utterance ids.
        speakers: of the same length.
        fraction: wanted share of the utterances, from 0 (nothing is held out) to 0.9.
        texts: normalised transcripts, of the same length; None treats all as different.
        recordings: what names the recording of each, of the same length; None: each has its own.
        contents: what names the content of each one's recording: that of a copy is the same; None: there are no copies.

    Returns:
        The indices, and "speaker", "recording", "text" (where some text occurs more than once) or "utterance".

    >>> hold_out(["a", "b", "c"], ["anna", "anna", "ben"], 0.3)
    Holdout(indices=frozenset({2}), by='speaker')
    """
    units = _join(_text_units(ids, texts), contents)
    shared = _recording_units(ids, recordings)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (unit, recording, speaker) in enumerate(zip(units, shared, speakers, strict=True)):
        if speaker is not None:
            groups["speaker", speaker].append(index)
        elif recording is not None:
            groups["recording", recording].append(index)
        else:
            groups["utterance", unit].append(index)
    for names in (units, ids):
        if len(groups) < 2:
            groups = defaultdict(list)
            for index, name in enumerate(names):
                groups["utterance", name].append(index)
    kinds = {kind for kind, _ in groups}
    by: Unit = "text" if len(groups) < len(ids) else "utterance"
    if kinds & {"speaker", "recording"}:
        by = "speaker" if "speaker" in kinds else "recording"
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


def _join(units: list[str], contents: Sequence[Hashable] | None) -> list[str]:
    """Return units of which those that share a content are one."""
    if contents is None:
        return units
    joined: dict[str, str] = {}  # to a unit that comes before it

    def find(unit: str) -> str:
        while unit in joined:
            unit = joined[unit]
        return unit

    first: dict[Hashable, str] = {}
    for unit, content in zip(units, contents, strict=True):
        earlier, later = sorted((find(unit), find(first.setdefault(content, unit))))
        if earlier != later:
            joined[later] = earlier
    return [find(unit) for unit in units]


def _recording_units(ids: Sequence[str], recordings: Sequence[Hashable] | None) -> list[str | None]:
    """Return for each utterance the first id, in sorted order, of those of its recording; None where it is alone."""
    if recordings is None:
        return [None] * len(ids)
    sizes = Counter(recordings)
    first: dict[Hashable, str] = {}
    for name, recording in zip(ids, recordings, strict=True):
        first[recording] = min(name, first.get(recording, name))
    return [first[recording] if sizes[recording] > 1 else None for recording in recordings]

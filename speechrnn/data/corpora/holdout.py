"""A dev part for corpora that publish none: whole speakers, the same ones each time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Holdout:
    """Which of the given utterances make the dev part, and how they were chosen."""

    indices: frozenset[int]
    by: str  # "speaker" or "utterance"


def hold_out(ids: Sequence[str], speakers: Sequence[str | None], fraction: float) -> Holdout:
    """Choose about `fraction` of the utterances by whole speakers, so that dev measures unheard voices.

    Speakers are taken in the order of a hash of their name as long as each brings the dev part closer to its size:
    the choice hangs on names alone, not on the order of files or on a seed. At least one speaker is taken (the
    smallest, if all are too big) and never all. Utterances without a speaker count as one speaker each; with one
    speaker in all, utterances are chosen in the same way.

    Args:
        ids: unique utterance ids.
        speakers: of the same length.
        fraction: wanted share of the utterances, from 0 (nothing is held out) to 0.9.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (name, speaker) in enumerate(zip(ids, speakers, strict=True)):
        groups["utterance" if speaker is None else "speaker", name if speaker is None else speaker].append(index)
    if len(groups) < 2:
        groups = {("utterance", name): [index] for index, name in enumerate(ids)}
    by = "speaker" if any(kind == "speaker" for kind, _ in groups) else "utterance"
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

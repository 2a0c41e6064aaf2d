"""A corpus on disk -> `cuts_{train,dev,test}.jsonl.gz` (lhotse) and `summary.json` in a folder.

The audio is not copied: the cuts name it. Read it with `speechrnn.audio.load_audio(source, start=cut.start,
duration=cut.duration, channel=...)`, where a MonoCut stands for the one channel `cut.channel` and a MultiCut for all
channels mixed; that reads formats which lhotse's own reader does not.
"""

from __future__ import annotations

import gzip
import hashlib
import inspect
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, expand_user
from speechrnn.core.plural import count
from speechrnn.data.corpora import SPLITS, CorpusOptions, Utterance, corpus_module
from speechrnn.data.corpora.check import MISSING_AUDIO, NO_TRANSCRIPT, Accepted, Rejected, Stamp, check, escape, stamp
from speechrnn.data.corpora.copies import find_originals
from speechrnn.data.corpora.holdout import auto_fraction, hold_out
from speechrnn.data.download import fetch_archives
from speechrnn.data.prepared import clear, read_summary, write_summary
from speechrnn.data.sources import download_list
from speechrnn.text.normalisation import NormalisationOptions

if TYPE_CHECKING:
    from lhotse.cut import Cut

_LOG = logging.getLogger(__name__)
# An utterance that is listed in two parts stays in test or dev: training on test utterances would falsify the result.
_MEASURING_FIRST = ("test", "dev", "train")
_VERSION = 4  # of the prepared folder; raised when the same corpus would give other cuts


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus. A split without utterances has no file."""

    folder: Path
    train: Path | None
    dev: Path | None
    test: Path | None
    summary: dict[str, Any]
    reused: bool  # nothing had changed since the last time

    def describe(self) -> list[str]:
        """Return a line for each split: its size, the rejected utterances, and what it shares with training."""
        lines = []
        for split, part in self.summary["splits"].items():
            sizes = [count(part["utterances"], "utterance"), f"{part['hours']:.2f} h"]
            if part["speakers"]:  # 0: the corpus does not name them
                sizes.append(count(part["speakers"], "speaker"))
            line = f"{split}: {', '.join(sizes)}, {count(part['words'], 'word')}"
            rejected = part["rejected"]
            if rejected["count"]:
                why = ", ".join(f"{reason} {number:,}" for reason, number in rejected["reasons"].items())
                line += f"; {rejected['count']:,} rejected ({why})"
            shared = self.summary.get("shared_with_train", {}).get(split, {})
            for kind, number in shared.items():
                if number == 1:
                    line += f"; 1 utterance has a {kind.removesuffix('s')} that train has too"
                elif number:
                    line += f"; {number:,} utterances have {kind} that train has too"
            lines.append(line)
        return lines


def prepare(options: CorpusOptions, folder: str | Path, normalisation: NormalisationOptions | None = None) -> Prepared:
    """Check every utterance of a corpus and write its cut manifests and summary into `folder`.

    Prepared again with the same options, transcripts and audio files (by size and time), what is there is reused.

    Args:
        options: which corpus, and where it is.
        folder: where to write; made if it is missing.
        normalisation: of the transcripts; None takes the defaults.

    Raises:
        UserError: the corpus is not where it should be, one of its text files is damaged, it cannot be downloaded, no
            utterance is left, or `folder` cannot be written. Single bad utterances are no errors: the summary has them.
    """
    folder = Path(folder)
    normalisation = normalisation or NormalisationOptions()
    module = corpus_module(options.name)
    if options.root is not None:
        options = replace(options, root=expand_user(options.root).absolute())
    if options.download:
        _download(module, options)
    listed = _with_unique_ids(module.utterances(options.root, **options.own))
    stamps = {split: [stamp(utterance.audio) for utterance in found] for split, found in listed.items()}
    fingerprint = _fingerprint(options, normalisation, listed, stamps=stamps)
    if (reusable := _load(folder, fingerprint)) is not None:
        return reusable

    accepted: dict[str, list[Accepted]] = {}
    rejected: dict[str, list[Rejected]] = {}
    seen: set[tuple[str, float, int | None]] = set()
    for split in listed:
        accepted[split], rejected[split] = check(
            split, listed[split], stamps[split], options=options, normalisation=normalisation, seen=seen
        )
    originals = find_originals(item.file for items in accepted.values() for item in items)
    held_out = ""
    if not listed.get("dev") and accepted.get("train"):
        held_out = _hold_out_dev(accepted, options.dev_fraction, originals)
    if not any(accepted.values()):
        raise UserError(_nothing_left(module, options, listed, rejected=rejected))

    clear(folder, (f"cuts_{split}.jsonl.gz" for split in SPLITS))
    for split, items in accepted.items():
        if items:
            _write_cuts(folder / f"cuts_{split}.jsonl.gz", map(_cut, items))
    summary = {
        "corpus": options.name,
        "root": None if options.root is None else str(options.root),
        "options": options.plain(),
        "normalisation": asdict(normalisation),
        "dev_held_out_by": held_out or None,
        "splits": {
            split: _split_summary(accepted.get(split, []), rejected.get(split, []))
            for split in SPLITS
            if accepted.get(split) or rejected.get(split)
        },
        "shared_with_train": {
            split: _shared(accepted["train"], accepted[split], originals)
            for split in ("dev", "test")
            if accepted.get("train") and accepted.get(split)
        },
    }
    write_summary(folder, summary, fingerprint)
    prepared = _load(folder, fingerprint)
    if prepared is None:
        raise RuntimeError(f"{folder} is not what was just written")
    for line in prepared.describe():
        _LOG.info("%s %s", options.name, line)
    return replace(prepared, reused=False)


def _download(module: ModuleType, options: CorpusOptions) -> None:
    missing, root = download_list("corpus", module, options, name="missing_archives")
    keys = {key: value for key, value in options.own.items() if key in inspect.signature(missing).parameters}
    fetch_archives(missing(root, **keys), root)


def _hold_out_dev(
    accepted: dict[str, list[Accepted]], fraction: float | Literal["auto"], originals: Mapping[str, str]
) -> str:
    """Move utterances from training to dev; return what they were held out by, "" where none were.

    What a model has recognised stays in training, unless there is nothing else, and but for copies of what is held out.

    Args:
        originals: see `find_originals`.
    """
    recognised = [item for item in accepted["train"] if item.utterance.recognised]
    train = [item for item in accepted["train"] if not item.utterance.recognised]
    if not train:
        train, recognised = recognised, []
    segments = Counter(item.file for item in train)
    if fraction == "auto":
        fraction = auto_fraction(sum(item.duration for item in train))
    chosen = hold_out(
        [item.utterance.id for item in train],
        [item.utterance.speaker for item in train],
        fraction,
        texts=[item.text for item in train],
        recordings=[originals[item.file] if segments[item.file] > 1 else item.file for item in train],
        contents=[originals[item.file] if segments[item.file] == 1 else item.utterance.id for item in train],
    )
    accepted["dev"] = [item for index, item in enumerate(train) if index in chosen.indices]
    held_out = {originals[item.file] for item in accepted["dev"]}
    accepted["train"] = [item for index, item in enumerate(train) if index not in chosen.indices]
    accepted["train"] += [item for item in recognised if originals[item.file] not in held_out]
    return chosen.by if chosen.indices else ""


def _with_unique_ids(splits: Mapping[str, Iterable[Utterance]]) -> dict[str, list[Utterance]]:
    """Append -2, -3, ... to ids that come again: cut ids are distinct in the whole corpus."""
    used: set[str] = set()
    counts: Counter[str] = Counter()
    listed: dict[str, list[Utterance]] = {}
    for split in _MEASURING_FIRST:
        for utterance in splits.get(split, ()):
            name = utterance.id
            while name in used:
                counts[utterance.id] += 1
                name = f"{utterance.id}-{counts[utterance.id] + 1}"
            used.add(name)
            listed.setdefault(split, []).append(utterance if name == utterance.id else replace(utterance, id=name))
    return listed


def _cut(item: Accepted) -> Cut:
    from lhotse import AudioSource, MonoCut, MultiCut, Recording, SupervisionSegment

    utterance, info = item.utterance, item.info
    channels = list(range(info.channels))
    # One channel of one is that channel; several are mixed unless one is named.
    channel = 0 if info.channels == 1 else utterance.channel
    recording = Recording(
        id=utterance.id,
        sources=[AudioSource(type="file", channels=channels, source=str(utterance.audio.absolute()))],
        sampling_rate=info.sampling_rate,
        num_samples=info.samples,
        duration=info.samples / info.sampling_rate,
        channel_ids=channels,
    )
    supervision = SupervisionSegment(
        id=utterance.id,
        recording_id=utterance.id,
        start=0.0,
        duration=item.duration,
        channel=channels if channel is None else channel,
        text=item.text,
        speaker=utterance.speaker,
    )
    if channel is None:
        return MultiCut(utterance.id, utterance.start, item.duration, channels, [supervision], recording=recording)
    return MonoCut(utterance.id, utterance.start, item.duration, channel, [supervision], recording=recording)


def _write_cuts(path: Path, cuts: Iterable[Cut]) -> None:
    # mtime=0: the same corpus gives the same bytes.
    with atomic_write(path, "wb") as file, gzip.GzipFile("", fileobj=file, mode="wb", mtime=0) as zipped:
        for cut in cuts:
            zipped.write((json.dumps(cut.to_dict(), ensure_ascii=False) + "\n").encode())


def _split_summary(accepted: list[Accepted], rejected: list[Rejected]) -> dict[str, Any]:
    return {
        "utterances": len(accepted),
        "hours": sum(item.duration for item in accepted) / 3600,
        "speakers": len({item.utterance.speaker for item in accepted} - {None}),
        "words": sum(len(item.text.split()) for item in accepted),
        "rejected": {
            "count": len(rejected),
            "reasons": dict(Counter(item.reason for item in rejected).most_common()),
            "utterances": [
                {
                    "id": escape(r.utterance.id),
                    "audio": escape(str(r.utterance.audio)),
                    "reason": r.reason,
                    "detail": escape(r.detail),
                }
                for r in rejected
            ],
        },
    }


def _shared(train: list[Accepted], measuring: list[Accepted], originals: Mapping[str, str]) -> dict[str, int]:
    """Count the utterances of a part whose text, speaker or recording, or a copy of it, occurs in training too."""
    texts = {item.text for item in train}
    speakers = {item.utterance.speaker for item in train} - {None}
    recordings = {originals[item.file] for item in train}
    return {
        "texts": sum(item.text in texts for item in measuring),
        "speakers": sum(item.utterance.speaker in speakers for item in measuring),
        "recordings": sum(originals[item.file] in recordings for item in measuring),
    }


def _nothing_left(
    module: ModuleType,
    options: CorpusOptions,
    listed: dict[str, list[Utterance]],
    rejected: dict[str, list[Rejected]],
) -> str:
    root = options.root or "the working folder"
    layout = getattr(module, "LAYOUT", "utterances")
    everything = [item for items in rejected.values() for item in items]
    if not everything:
        return f"The corpus {options.name} is empty: looked for {layout} in {root}, and found no utterance."
    first = everything[0]
    detail = f" ({first.detail.rstrip('.')})" if first.detail else ""
    example = f"{first.utterance.audio}: {first.reason}{detail}."
    if {item.reason for item in everything} & {NO_TRANSCRIPT, MISSING_AUDIO}:
        example += f" The layout is: {layout}."
    place = f"of the corpus {options.name} in {root}"
    if len(everything) == 1:
        return f"The only utterance {place} cannot be used: {example}"
    why = ", ".join(f"{reason} {number:,}" for reason, number in Counter(r.reason for r in everything).most_common())
    return f"None of the {len(everything):,} utterances {place} can be used ({why}); the first is {example}"


def _fingerprint(
    options: CorpusOptions,
    normalisation: NormalisationOptions,
    listed: dict[str, list[Utterance]],
    stamps: dict[str, list[Stamp | None]],
) -> str:
    digest = hashlib.sha256()
    digest.update(json.dumps([_VERSION, options.plain(), asdict(normalisation)], sort_keys=True).encode())
    for split in sorted(listed):
        digest.update(split.encode())
        for utterance, state in zip(listed[split], stamps[split], strict=True):
            digest.update(repr((utterance, state)).encode())
            digest.update(b"recognised" if utterance.recognised else b"")
    return digest.hexdigest()


def _load(folder: Path, fingerprint: str) -> Prepared | None:
    """Load the result of an earlier call from `folder`, if it is complete and has this fingerprint."""
    summary = read_summary(folder, fingerprint)
    if summary is None:
        return None
    try:
        sizes = {split: part["utterances"] for split, part in summary["splits"].items()}
    except (KeyError, TypeError, AttributeError):
        return None
    paths = {split: folder / f"cuts_{split}.jsonl.gz" if sizes.get(split) else None for split in SPLITS}
    if any(path is not None and not path.is_file() for path in paths.values()):
        return None
    return Prepared(folder, paths["train"], paths["dev"], test=paths["test"], summary=summary, reused=True)

"""A target of the campaign: a reader, files that it reads, and how damaged ones are made of them."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.formats import Change
from fuzz.mutator import dump, mutate, mutate_json

CHANGED = 0.8  # of the inputs of a target that has a mutator of its own


@dataclass(frozen=True)
class Target:
    """A reader of files that somebody else may have made.

    Attributes:
        name: of the kind of file.
        seeds: makes good files: content by name. A folder is given, in which to make them.
        run: reads a damaged file that has the name of its seed; raises UserError, or AssertionError for nonsense.
        prepare: writes what must lie beside the file; called once for a folder.
        words: byte strings of the format, for the mutator.
        share: how many of 100 inputs this target gets, relatively: less for slow ones.
        change: changes a file as somebody who knows its format would; used for most inputs where there is one.
    """

    name: str
    seeds: Callable[[Path], Mapping[str, bytes]]
    run: Callable[[Path], None]
    prepare: Callable[[Path], None] = lambda folder: None
    words: Sequence[bytes] = ()
    share: float = 1.0
    change: Change | None = None

    def damaged(self, seeds: Mapping[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
        """Return name and content of the input `number` of a campaign: a function of (target, seed, number) alone."""
        draw = random.Random(f"{self.name}/{seed}/{number}")
        name = draw.choice(sorted(seeds))
        content = seeds[name]
        if name.endswith(".gz") and draw.random() < 0.6:
            return name, gzip.compress(self._change(gzip.decompress(content), name, draw), 1, mtime=0)
        return name, self._change(content, name, draw)

    def _change(self, content: bytes, name: str, draw: random.Random) -> bytes:
        """Change the values of JSON half of the time, and bytes otherwise."""
        if self.change is not None and draw.random() < CHANGED:
            content = self.change(content, draw)
            return content if draw.random() < CHANGED else mutate(content, draw, self.words)
        if ".json" in name and draw.random() < 0.5:
            lines = content.split(b"\n") if ".jsonl" in name else [content]
            place = draw.randrange(len(lines))
            try:
                value = json.loads(lines[place])
            except ValueError:
                return mutate(content, draw, self.words)
            for _ in range(draw.choice((1, 1, 2, 4))):
                value = mutate_json(value, draw)
            lines[place] = dump(value)
            return b"\n".join(lines)
        if name.endswith(".safetensors") and draw.random() < 0.5:
            size = int.from_bytes(content[:8], "little")
            header = dump(mutate_json(json.loads(content[8 : 8 + size]), draw))
            return len(header).to_bytes(8, "little") + header + content[8 + size :]
        return mutate(content, draw, self.words)


def whole(seeds: Mapping[str, bytes]) -> Callable[[Path], Mapping[str, bytes]]:
    """Return a maker of these seeds."""
    return lambda folder: seeds

"""Copies of recordings: files of equal content under different names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_READERS = 8  # threads; the wait is for the disk or the network
_SAMPLED_BYTES = 4096  # from the middle of files of equal size, before they are read whole
_BLOCK = 1 << 20  # bytes


def find_originals(files: Iterable[str]) -> dict[str, str]:
    """Return for each file the first, in alphabetical order, of those with its content.

    Only files of equal size are read: a block of each, and those whose blocks are equal whole. A file that cannot be
    read has no copies.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, content in (("a", b"tuna"), ("b", b"krill"), ("c", b"tuna")):
    ...     _ = (folder / name).write_bytes(content)
    >>> originals = find_originals([str(folder / name) for name in "cba"])
    >>> [Path(originals[str(folder / name)]).name for name in "abc"]
    ['a', 'b', 'a']
    """
    names = sorted(set(files))
    candidates = _groups(names, _size)
    for digest in (_middle, _whole):
        candidates = [group for names_alike in candidates for group in _groups(names_alike, digest)]
    originals = {name: name for name in names}
    for group in candidates:
        originals.update(dict.fromkeys(group, group[0]))
    return originals


def _groups(names: Sequence[str], key: Callable[[str], object]) -> list[list[str]]:
    """Return the groups of two or more files with equal keys."""

    def read(name: str) -> object:
        try:
            return key(name)
        except OSError:
            return None

    found: dict[object, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(_READERS) as pool:
        for name, value in zip(names, pool.map(read, names), strict=True):
            found[value].append(name)
    return [group for value, group in found.items() if value is not None and len(group) > 1]


def _size(name: str) -> int:
    return Path(name).stat().st_size


def _middle(name: str) -> bytes:
    with Path(name).open("rb") as file:
        file.seek(max(0, _size(name) // 2 - _SAMPLED_BYTES // 2))
        return file.read(_SAMPLED_BYTES)


def _whole(name: str) -> bytes:
    digest = hashlib.sha256()
    with Path(name).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()

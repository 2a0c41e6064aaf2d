"""Digests of training data and tokenizers, by which a training checks that it is resumed with the same ones."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechrnn.core.errors import UserError
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from lhotse.cut import Cut

    from speechrnn.data.tokens import TokenFile

_SAMPLED_FILES = 64  # audio files from whose content a block is read; the others count by name and size
_SAMPLED_BYTES = 4096
_CHUNK = 1 << 22  # tokens
_BLOCK = 1 << 20  # bytes


def fingerprint_values(*values: Any) -> str:
    """Return the digest of JSON values.

    >>> fingerprint_values({"a": 1, "b": 2}) == fingerprint_values({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def fingerprint_tokenizer(tokenizer: Tokenizer) -> str:
    """Return the digest of a whole tokenizer: its kind, and every symbol in its order.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> fingerprint_tokenizer(CharTokenizer.build(["abc"])) == fingerprint_tokenizer(CharTokenizer.build(["abd"]))
    False
    """
    return fingerprint_values(tokenizer.to_json())


def fingerprint_tokens(file: TokenFile) -> str:
    """Return the digest of a token file: its tokens, where its documents begin, and its number of characters.

    >>> import numpy as np
    >>> from speechrnn.data.tokens import TokenFile
    >>> texts = [TokenFile(np.array([1, last, 0]), np.array([0]), 3) for last in (2, 2, 3)]
    >>> first, same, other = map(fingerprint_tokens, texts)
    >>> first == same, first == other
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=32)
    digest.update(json.dumps([len(file), len(file.documents), file.characters]).encode())
    for start in range(0, len(file), _CHUNK):
        digest.update(file.tokens[start : start + _CHUNK].astype("<u4").tobytes())
    digest.update(file.documents.astype("<i8").tobytes())
    return digest.hexdigest()


def fingerprint_files(paths: Iterable[Path]) -> str | None:
    """Return the digest of the contents of files in their order, or None where there are none.

    >>> fingerprint_files([]) is None
    True

    Raises:
        UserError: a file cannot be read.
    """
    digest, path = hashlib.blake2b(digest_size=32), None
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(os.fstat(file.fileno()).st_size.to_bytes(8, "little"))
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest() if path is not None else None


def fingerprint_cuts(cuts: Iterable[Cut]) -> str:
    """Return the digest of prepared utterances.

    It covers each utterance's id, text, part of the recording and channel, and the name and size of each audio file; of
    the audio itself it reads a block of some files. A corpus that was moved to another folder keeps its digest.

    >>> fingerprint_cuts([])[:8]  # of no utterances
    'e3b0c442'

    Args:
        cuts: lhotse cuts as `corpora.prepare` writes them.
    """
    digest = hashlib.sha256()
    sources: dict[str, int] = {}  # bytes by path; -1 where there is no file
    for cut in cuts:
        source = cut.recording.sources[0].source
        if source not in sources:
            sources[source] = _size(Path(source))
        texts = [supervision.text for supervision in cut.supervisions]
        entry = [cut.id, texts, cut.start, cut.duration, cut.channel, Path(source).name, sources[source]]
        digest.update(json.dumps(entry).encode())
    paths = list(sources)
    for path in paths[:: max(1, len(paths) // _SAMPLED_FILES)]:
        digest.update(_middle(Path(path), sources[path]))
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _middle(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, size // 2 - _SAMPLED_BYTES // 2))
            return file.read(_SAMPLED_BYTES)
    except OSError:
        return b""

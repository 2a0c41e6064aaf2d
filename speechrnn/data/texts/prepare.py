"""A text on disk -> tokenizer.json, a token file a part, and summary.json in a folder.

The tokenizer is made from the training part in one pass, each part is tokenized in another, and nothing of it is held
in memory but the counts: a text may be larger than that.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, expand_user
from speechrnn.core.plural import count
from speechrnn.data.download import fetch_files
from speechrnn.data.prepared import clear, read_summary, write_summary
from speechrnn.data.sources import download_list
from speechrnn.data.texts import SPLITS, Part, TextOptions, text_module, text_parts
from speechrnn.data.texts.encode import Encoder, normalised
from speechrnn.data.tokens import TokenFile, write_tokens
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.symbols import UNKNOWN
from speechrnn.text.tokenizers import Tokenizer, TokenizerOptions, build_tokenizer, tokenizer_from_json

_LOG = logging.getLogger(__name__)
_VERSION = 2  # of the prepared folder; raised when the same text would give other tokens
_NAMES = {"train": "training", "valid": "validation", "test": "test"}
_SAMPLE = 20_000_000  # characters that subwords are learnt from; sentencepiece holds about 20 bytes for each


@dataclass(frozen=True)
class PreparedText:
    """A prepared text: its tokenizer, and the token file of each part that it has.

    `summary["splits"]` has of each part: lines, documents, tokens, characters, unknown tokens, files.
    """

    folder: Path
    tokenizer: Tokenizer
    train: Path
    valid: Path | None
    test: Path | None
    summary: dict[str, Any]
    reused: bool  # nothing had changed since the last time

    def describe(self) -> list[str]:
        """Return one line a part: its size, and its share of unknown tokens."""
        lines = [f"{self.summary['tokenizer']['kind']} tokenizer: {count(len(self.tokenizer), 'symbol')}"]
        for split, part in self.summary["splits"].items():
            sizes = (count(part[f"{unit}s"], unit) for unit in ("line", "token", "character"))
            line = f"{split}: {', '.join(sizes)}"
            if part["unknown"]:
                line += f"; <unk> {part['unknown']:,} ({part['unknown'] / part['tokens']:.2%})"
            lines.append(line)
        return lines


def prepare_text(
    options: TextOptions,
    tokenizer: TokenizerOptions,
    normalisation: NormalisationOptions,
    folder: str | Path,
    initial: Tokenizer | None = None,
) -> PreparedText:
    """Make the tokenizer from the training part, and write each part as a token file into `folder`.

    Prepared again with the same options and files (by size and time), what is there is reused.

    Args:
        options: which text, and where it is.
        tokenizer: what kind of tokenizer.
        normalisation: of each line, before anything else.
        folder: where to write; made if it is missing.
        initial: the tokenizer of a model that is to be fine-tuned, used if it can write the training part; if it
            cannot, one of its kind is made. Options of another kind than its own and the default are followed.

    Raises:
        UserError: the text is not where it should be, cannot be downloaded, is empty or no UTF-8, has no training part
            or characters that the tokenizer lacks, or `folder` cannot be written.
    """
    folder = Path(folder)
    if options.root is not None:
        options = replace(options, root=expand_user(options.root).absolute())
    if options.download:
        _download(options)
    parts = text_parts(options)
    if "train" not in parts:
        raise UserError(f"The text {options.name} has no training part; name its files, as in text.train=[book.txt].")
    wanted = tokenizer if initial is None else _of_initial(tokenizer, initial)
    fingerprint = _fingerprint(options, wanted, normalisation, parts=parts, initial=initial)
    if (reusable := _load(folder, fingerprint)) is not None:
        return reusable

    clear(folder, ["tokenizer.json", *(f"{split}.tokens" for split in SPLITS)])
    for split, part in parts.items():
        _refuse_empty(part, normalisation, split)
    texts: Iterable[str] = (line.text for line in normalised(parts["train"].lines(), normalisation))
    made: Tokenizer | None = None
    if initial is not None and wanted.kind == initial.kind and not any(map(initial.count_unknown, texts)):
        made = initial
    if made is None:
        texts = (line.text for line in normalised(parts["train"].lines(), normalisation))
        made = build_tokenizer(wanted, _sample(texts) if wanted.kind == "subword" else texts)
    counts = {
        split: tokenize(part, made, normalisation, path=folder / f"{split}.tokens", split=split)
        for split, part in parts.items()
    }
    with atomic_write(folder / "tokenizer.json") as file:
        json.dump(made.to_json(), file)
    summary = {
        "text": options.name,
        "options": options.plain(),
        "normalisation": asdict(normalisation),
        "tokenizer": {**asdict(wanted), "symbols": len(made)},
        "splits": counts,
    }
    write_summary(folder, summary, fingerprint)
    prepared = _load(folder, fingerprint)
    if prepared is None:
        raise RuntimeError(f"{folder} is not what was just written")
    for line in prepared.describe():
        _LOG.info("%s %s", options.name, line)
    return replace(prepared, reused=False)


def tokenize(
    part: Part, tokenizer: Tokenizer, normalisation: NormalisationOptions, path: str | Path, split: str
) -> dict[str, Any]:
    """Write one part of a text as a token file.

    Args:
        part: as `text_parts` gives it.
        tokenizer: of the model that will read it.
        normalisation: as the model's training text had.
        path: the token file.
        split: "train", "valid" or "test", for messages.

    Returns:
        Its lines, documents, tokens (line ends included), characters (of the normalised text, line ends included),
        unknown (tokens that are `<unk>`, also those of the text itself) and files.

    Raises:
        UserError: the part is empty, no UTF-8, or holds characters that the tokenizer lacks.
    """
    _refuse_empty(part, normalisation, split)
    encoder = Encoder(tokenizer, f"The {_NAMES[split]} part of the text ({_files(part)})")
    tokens = write_tokens(path, encoder.blocks(normalised(part.lines(), normalisation)), len(tokenizer))
    return {
        "lines": encoder.lines,
        "documents": len(tokens.documents),
        "tokens": len(tokens),
        "characters": tokens.characters,
        "unknown": encoder.unknown,
        "files": [str(file) for file in part.files],
    }


def _of_initial(options: TokenizerOptions, initial: Tokenizer) -> TokenizerOptions:
    """Return the options of a tokenizer for a model that begins with the weights of another one."""
    if options != TokenizerOptions():  # a kind that was asked for, or an alphabet
        return options
    size = len(initial) if initial.kind == "subword" else None
    return TokenizerOptions(initial.kind, size, unknown=initial.kind == "char" and UNKNOWN in initial.symbols)


def _refuse_empty(part: Part, normalisation: NormalisationOptions, split: str) -> None:
    if not any(line.text.strip() for line in normalised(part.lines(), normalisation)):
        raise UserError(
            f"The {_NAMES[split]} part of the text ({_files(part)}) is empty, or normalisation leaves nothing of it; "
            "check the files."
        )


def _files(part: Part) -> str:
    more = f" and {len(part.files) - 1:,} more" if len(part.files) > 1 else ""
    return f"{part.files[0]}{more}"


def _download(options: TextOptions) -> None:
    missing, root = download_list("text", text_module(options.name), options, name="missing_files")
    fetch_files(missing(root), root)


def _sample(texts: Iterable[str], most: int = _SAMPLE) -> Iterator[str]:
    """Return all texts, or where they have more than `most` characters, each second, fourth, ... of them."""
    kept: list[str] = []
    size, step = 0, 1
    for number, text in enumerate(texts):
        if number % step:
            continue
        kept.append(text)
        size += len(text)
        while size > most and len(kept) > 1:
            kept, step = kept[::2], 2 * step
            size = sum(map(len, kept))
    return iter(kept)


def _fingerprint(
    options: TextOptions,
    tokenizer: TokenizerOptions,
    normalisation: NormalisationOptions,
    parts: dict[str, Part],
    initial: Tokenizer | None,
) -> str:
    stamps = {}
    for split, part in parts.items():
        stats = [(path.absolute(), path.stat()) for path in part.files]
        stamps[split] = [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    everything = [_VERSION, options.plain(), asdict(tokenizer), asdict(normalisation), stamps]
    if initial is not None:
        everything.append(initial.to_json())
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _load(folder: Path, fingerprint: str) -> PreparedText | None:
    """Load the result of an earlier call from `folder`, if it is complete and has this fingerprint."""
    summary = read_summary(folder, fingerprint)
    if summary is None:
        return None
    try:
        tokenizer = tokenizer_from_json(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
        paths = {split: folder / f"{split}.tokens" for split in summary["splits"]}
        for split, path in paths.items():
            if len(TokenFile.open(path)) != summary["splits"][split]["tokens"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None
    return PreparedText(
        folder,
        tokenizer,
        paths["train"],
        valid=paths.get("valid"),
        test=paths.get("test"),
        summary=summary,
        reused=True,
    )

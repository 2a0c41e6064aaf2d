"""Mozilla Common Voice: read sentences by volunteers in many languages, mp3; CC0.

Ardila et al. 2020, "Common Voice: a massively-multilingual speech corpus".
"""

from __future__ import annotations

from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS, Utterance
from speechrnn.data.corpora.layout import existing_root, read_table, wrong_root

LAYOUT = "train.tsv, dev.tsv and test.tsv beside a folder clips/ (there, or in LANGUAGE/ or cv-corpus-*/LANGUAGE/)"

HOW_TO_GET = (
    "Common Voice cannot be fetched by corpus.download=true, because its terms must be accepted by a person: download "
    "the language from https://commonvoice.mozilla.org/datasets, unpack it, and set corpus.root to its folder."
)


def utterances(root: Path | None, *, language: str | None = None) -> dict[str, list[Utterance]]:
    """Read the published train.tsv, dev.tsv and test.tsv (the other lists overlap with them).

    Args:
        root: the folder of a language, or one above it.
        language: the code of the language, as in `cy`; needed only where the root holds several.

    Raises:
        UserError: no such tree, several languages and none chosen, or a tsv without a needed column.
    """
    base = _language_folder(existing_root(root, "common_voice", LAYOUT), language)
    splits = {}
    for split in SPLITS:
        path = base / f"{split}.tsv"
        if path.is_file():
            splits[split] = _table(path, base / "clips")
    return splits


def _language_folder(root: Path, language: str | None) -> Path:
    code = language or "*"
    patterns = [f"{code}/train.tsv", f"cv-corpus-*/{code}/train.tsv"]
    if language is None or root.name == language:
        patterns.insert(0, "train.tsv")
    found = sorted({path.parent for pattern in patterns for path in root.glob(pattern)})
    if root in found:
        return root
    if not found:
        which = f"nothing for corpus.language={language} is there; " if language else ""
        raise wrong_root(root, "common_voice", LAYOUT, found=which)
    if len(found) > 1:
        places = ", ".join(str(path.relative_to(root)) for path in found)
        raise UserError(
            f"corpus.root={root} holds Common Voice in several places ({places}): "
            "choose one with corpus.language, or point corpus.root at it."
        )
    return found[0]


def _table(path: Path, clips: Path) -> list[Utterance]:
    # Sentences hold unbalanced quotation marks, which are text here and not the table's own quoting.
    rows = read_table(path, "\t", quoted=False)
    header = next(rows, (1, []))[1]
    for column in ("client_id", "path", "sentence"):
        if column not in header:
            raise UserError(f"{path} has no column {column}: its columns are {', '.join(header) or 'none'}.")
    found = []
    for number, cells in rows:
        row = dict(zip(header, cells, strict=False))
        if not row.get("path") or "sentence" not in row:
            raise UserError(f"{path}, line {number}: no clip or no sentence in {cells}.")
        # the first releases name clips without a suffix
        name = row["path"] if Path(row["path"]).suffix else row["path"] + ".mp3"
        found.append(Utterance(Path(name).stem, clips / name, row["sentence"], speaker=row.get("client_id") or None))
    return found

"""The transcripts of a speech corpus that a speech run has prepared, so that a language model fits its decoder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from speechrnn.core.errors import UserError
from speechrnn.data.texts import Part, TextOptions
from speechrnn.data.texts.reader import Line, by_file, find, read_lines

LAYOUT = "cuts_train.jsonl.gz, which a run of speech_to_text leaves in its folder prepared/"


def parts(options: TextOptions, *, extra: Sequence[str] = ()) -> dict[str, Part]:
    """Return the transcripts of each part, normalised as the speech run did, a line each; dev validates.

    With `documents`, each transcript is one.

    Args:
        extra: text files, paths and glob patterns from the working folder on, whose lines are read after the training
            transcripts; with `documents`, each line is one as well.

    Raises:
        UserError: the root is neither a run of speech_to_text nor its folder prepared/, or holds no training part; an
            extra file is not there.
    """
    root = options.root
    if root is None:
        raise UserError("The text transcripts needs text.root, the folder of a run of speech_to_text.")
    folder = root / "prepared" if (root / "prepared").is_dir() else root
    files = {
        split: folder / f"cuts_{name}.jsonl.gz"
        for split, name in (("train", "train"), ("valid", "dev"), ("test", "test"))
    }
    if not files["train"].is_file():
        found = "" if root.is_dir() else "it does not exist; "
        raise UserError(
            f"text.root={root} holds no transcripts: {found}looked for {LAYOUT}; give the folder of such a run, or "
            "prepare one with speechrnn speech_to_text stages=[prepare]."
        )
    result = {
        split: Part((path,), partial(_lines, path, options.errors, options.documents))
        for split, path in files.items()
        if path.is_file()
    }
    if extra:
        more = find(extra, None, "text.extra")
        spoken = result["train"]

        def lines() -> Iterator[Line]:
            yield from spoken.lines()
            for line in by_file(more, options.errors, documents=False):
                yield line._replace(document=options.documents)

        result["train"] = Part(tuple(spoken.files) + tuple(more), lines)
    return result


def _lines(path: Path, errors: str, documents: bool) -> Iterator[Line]:
    for number, line in enumerate(read_lines(path, errors), start=1):
        try:
            segments = json.loads(line.text)["supervisions"]
            texts = [segment["text"] for segment in segments]
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("a text is no text")
            "".join(texts).encode()  # JSON can spell half of a surrogate pair, which no file can hold
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{path}, line {number} is no cut with a transcript ({error}); prepare the corpus anew."
            ) from error
        for text in texts:
            # A transcript is one line, whatever white space it holds.
            yield Line(" ".join(text.split()), document=documents)

"""Add the words that a pronunciation dictionary lacks, by the rules of espeak-ng.

A model of phones trains on no utterance with a word outside its dictionary, and its search finds no such word.
"""

from __future__ import annotations

import gzip
import lzma
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from speechrnn.cli.main import recipe
from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, check_not_read
from speechrnn.core.text_files import open_unpacked
from speechrnn.data.corpora import manifest
from speechrnn.data.corpora.espeak_phones import pronounce
from speechrnn.data.texts.reader import read_lines
from speechrnn.decoding.ngram.model import read_ngrams
from speechrnn.text.pronunciations import Pronunciations

MANIFESTS = (".jsonl", ".json", ".csv", ".tsv")
NGRAMS = (".arpa", ".q8")
SIGN = re.compile(r"<[^<>\s]*>")  # <unk>, <s>: no words
WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*'?")  # letters, with apostrophes and hyphens after the first


@dataclass(frozen=True)
class PronounceOptions:
    """The keys of the recipe; conf/pronounce.yaml explains them."""

    words: Path | tuple[Path, ...]
    dictionary: Path
    output: Path
    vocabulary_size: int | None = field(metadata={"min": 1})
    voice: str


@recipe("pronounce")
def main(config: DictConfig) -> None:
    """Count the words, pronounce those that the dictionary lacks, and write both."""
    options = build(PronounceOptions, config, "")
    pronunciations = Pronunciations.read(options.dictionary, "dictionary")
    if not pronunciations.english:
        raise UserError(
            f"dictionary={options.dictionary} has other phones ({', '.join(pronunciations.symbols[1:6])}, ...) than "
            "the CMU dictionary, whose phones new words get; give a dictionary in its phones, as in `cat K AE1 T`."
        )
    paths = [options.words] if isinstance(options.words, Path) else options.words
    check_not_read(options.output, {"words": paths})
    counts = Counter(word for path in paths for word in read_words(path))
    if not counts:
        raise UserError(f"There is no word in words={', '.join(map(str, paths))}.")
    missing = [word for word, _ in counts.most_common(options.vocabulary_size) if not pronunciations.pronounce(word)]
    lines = [
        f"{word} {' '.join(phones)}\n"
        for word, phones in zip(missing, pronounce(missing, options.voice), strict=True)
        if phones is not None
    ]
    with open_unpacked(options.dictionary) as dictionary:
        known = dictionary.read()
    whole = known + (b"" if known.endswith(b"\n") else b"\n") + "".join(lines).encode()
    packers: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}
    pack = packers.get(options.output.suffix, bytes)
    with atomic_write(options.output, "wb") as file:
        file.write(pack(whole))
    looked_up = min(len(counts), options.vocabulary_size or len(counts))
    print(f"{looked_up:,} words, {len(missing):,} of them not in {options.dictionary}; {len(lines):,} are new in it:")
    print(options.output)


def read_words(path: Path) -> Iterator[str]:
    """Yield the words of a file in lower case, without numbers and punctuation.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise UserError(f"words={path} {'is a folder' if path.is_dir() else 'does not exist'}; give a file with words.")
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".xz")]
    suffix = suffixes[-1] if suffixes else ""
    texts: Iterable[str]
    if suffix in MANIFESTS:
        texts = (utterance.text or "" for utterance in manifest.utterances(None, train=[str(path)])["train"])
    elif suffix in NGRAMS:
        texts = read_ngrams(path).names
    else:
        texts = (line.text for line in read_lines(path))
    for text in texts:
        yield from WORD.findall(SIGN.sub(" ", text.lower().replace("’", "'")))


if __name__ == "__main__":
    main()

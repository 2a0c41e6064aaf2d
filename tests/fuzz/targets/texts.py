"""Texts, n-gram models, lexica, and what error rates are counted on."""

from __future__ import annotations

import base64
import gzip
import lzma
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from helpers.arpa import SMALL

from fuzz.formats import change_kenlm, change_lines
from fuzz.target import Target, whole
from speechrnn.core.errors import UserError
from speechrnn.data.texts import reader
from speechrnn.data.texts.transcripts import _lines as cut_texts
from speechrnn.data.tokens import Block, TokenFile, write_tokens
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.model import read_ngram
from speechrnn.decoding.ngram.quantised import write_quantised
from speechrnn.decoding.scorers.lexicon import Lexicon
from speechrnn.decoding.scorers.word_list import read_word_list
from speechrnn.evaluation import metrics
from speechrnn.evaluation.hypotheses import HYPOTHESIS, REFERENCE, match, read_texts
from speechrnn.text.normalisation import NormalisationOptions, normalise
from speechrnn.text.tokenizers import CharTokenizer

CHARACTERS = CharTokenizer.build([], "ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
LETTERS = CharTokenizer.build([], "abc ")
NORMALISATION = NormalisationOptions(unicode="NFKC")
TEXT = "Ada Lovelace\nnaïve “Größe”\r\n\n = Title = \n\u200bword\u00ad s \u0644\u200c\u0627\n".encode() * 3


def read_text(path: Path) -> None:
    """Read a text for training, and normalise it."""
    characters = 0
    for line in reader.by_blank_lines(reader.read_lines(path)):
        assert "\n" not in line.text
        once = normalise(line.text, NORMALISATION)
        assert normalise(once, NORMALISATION) == once
        once.encode()
        characters += len(once)
        if characters > 1 << 24:
            return


def _packed() -> dict[str, bytes]:
    return {"t.txt": TEXT, "t.txt.gz": gzip.compress(TEXT, mtime=0), "t.txt.xz": lzma.compress(TEXT)}


def read_prepared(path: Path) -> None:
    """Read the transcripts of a prepared corpus."""
    for line in cut_texts(path, "strict", False):
        line.text.encode()


def token_seeds(folder: Path) -> Mapping[str, bytes]:
    """Return a token file."""
    path = folder / "train.tokens"
    write_tokens(path, [Block([3, 4, 0], 3, True), Block([5, 0, 0, 1, 0], 9, True)], 6)
    return {path.name: path.read_bytes()}


def read_token_file(path: Path) -> None:
    """Open a token file and use all of it."""
    file = TokenFile.open(path)
    assert file.characters >= 0 and len(file) == len(file.tokens)
    assert int(file.tokens.astype("int64").sum()) >= 0
    if len(file.documents):
        assert file.documents.min() >= 0 and file.documents.max() <= len(file), "documents outside the text"


CUTS = b'{"id": "a", "supervisions": [{"text": "ADA LOVELACE"}]}\n{"id": "b", "supervisions": [{"text": "YES"}]}\n'
REFERENCES = {
    "r.jsonl": '{"id": "a/1", "reference": "ADA", "hypothesis": "ADDA"}\n{"id": "b", "reference": "naïve", "hypothesis": ""}\n'.encode(),  # noqa: E501
    "r.csv": b'id,text\na/1,"ADA, L"\nb,YES NO\n',
    "r.tsv": b"a/1\tADA\nb\tYES NO\n",
    "r.txt": b"a/1 ADA\nb YES NO\n",
    "r.transcription": b"<s> ADA </s> (1)\nYES NO (b)\n",
    "r.jsonl.gz": gzip.compress(b'{"audio_filepath": "a/1.wav", "text": "ADA", "pred_text": "AD"}\n', mtime=0),
}
HYPOTHESES = {"a/1": "ADA DA", "b": "YES"}


def score(path: Path) -> None:
    """Count the errors of hypotheses against damaged references, and the other way round."""
    texts = read_texts(path, REFERENCE, "references")
    read_texts(path, HYPOTHESIS, "hypotheses")
    matched = match(texts, HYPOTHESES)
    for row in matched.rows:
        row["reference"], row["hypothesis"] = (
            normalise(row[key], NORMALISATION) for key in ("reference", "hypothesis")
        )
    if sum(len(row["reference"]) for row in matched.rows) < 2000:
        references, hypotheses = ([row[key] for row in matched.rows] for key in ("reference", "hypothesis"))
        for errors in metrics.word_errors(references, hypotheses) + metrics.character_errors(references, hypotheses):
            assert errors.errors >= 0
    matched.notes()


def read_lexicon(path: Path) -> None:
    """Read a word list or dictionary and build its trie."""
    words = read_word_list(path, CHARACTERS)
    assert words and not any(CHARACTERS.count_unknown(word) for word in words)
    if sum(map(len, words)) < 20000:
        scores = Lexicon(words, CHARACTERS).scores(torch.tensor([0]))
        assert not scores.isnan().any()


def read_ngrams(path: Path) -> None:
    """Read an n-gram model with and without a tokenizer, and ask it."""
    for tokenizer in (LETTERS, None):
        model = read_ngram(path, tokenizer)
        states = torch.tensor([model.begin()])
        for _ in range(2):
            scores = model.log_probs(states)
            assert not scores.isnan().any() and not (scores == math.inf).any(), "NaN or infinite probability"
            assert scores.shape == (len(states), model.vocabulary)
            tokens = torch.arange(min(model.vocabulary, 8))
            states = model.extend(states[:1].repeat(len(tokens)), tokens)


def quantised_seeds(folder: Path) -> Mapping[str, bytes]:
    """Return a quantised n-gram file."""
    write_quantised(folder / "m.q8", kneser_ney([[2, 3, 1], [2, 3], [3]], LETTERS.symbols, 3))
    return {"m.q8": (folder / "m.q8").read_bytes()}


def read_unpacked(path: Path) -> None:
    """Pack a damaged content of a quantised file, so that no checksum tells, and read it."""
    magic, header, content, *_ = [*path.read_bytes().split(b"\n", 2), b"", b""]
    path.write_bytes(b"\n".join([magic, header, zlib.compress(content)]))
    read_ngrams(path)


def unpacked_seeds(folder: Path) -> Mapping[str, bytes]:
    """Return a quantised n-gram file whose content is not packed."""
    magic, header, packed = quantised_seeds(folder)["m.q8"].split(b"\n", 2)
    return {"m.q8": b"\n".join([magic, header, zlib.decompress(packed)])}


def kenlm_seeds(folder: Path) -> Mapping[str, bytes]:
    """Return binaries of KenLM of three kinds."""
    from helpers.kenlm import BINARY

    return {f"{kind}.bin": zlib.decompress(base64.b85decode(data)) for kind, data in BINARY.items()}


KALDI_TEXT = {
    "text": "utt1 ADA LOVELACE\nutt2 YES NO\nutt3 naïve <unk>\nutt4\n".encode(),
    "stm": b"rec1 1 ada 0.00 1.25 <o,f0> ADA LOVELACE\nrec1 1 ada 1.25 2.5 YES NO\n",
    "trn": b"ADA LOVELACE (utt1)\nYES NO (utt2)\n",
}


def read_kaldi_text(path: Path) -> None:
    """Read transcripts as references, as a text for training, and as a list of words."""
    failed = 0
    for read in (score, read_text, read_lexicon):
        try:
            read(path)
        except UserError as error:
            failed += 1
            last = error
    if failed == 3:
        raise last


LEXICON = b";;; comment\nADA\nLOVELACE\n\nIT'S\nREAD\nREAD(2)\n"
DICTIONARY = b"ADA  EY1 D AH0\nREAD R IY1 D\nREAD(2) R EH1 D # past\nIT'S IH1 T S\n"

TARGETS = {
    "text": Target("text", lambda folder: _packed(), read_text, share=2),
    "prepared_text": Target("prepared_text", whole({"cuts.jsonl": CUTS}), read_prepared, share=1),
    "tokens": Target("tokens", token_seeds, read_token_file, share=1),
    "scoring": Target("scoring", whole(REFERENCES), score, words=(b'"id"', b'"reference"'), share=2),
    "lexicon": Target("lexicon", whole({"l.txt": LEXICON, "d.dict": DICTIONARY}), read_lexicon, share=1),
    "arpa": Target(
        "arpa",
        whole({"m.arpa": SMALL.encode(), "m.arpa.gz": gzip.compress(SMALL.encode(), mtime=0)}),
        read_ngrams,
        words=(b"\\1-grams:", b"\\2-grams:", b"\\4-grams:", b"ngram 2=", b"<space>", b"1e-400", b"-1e400"),
        share=2,
    ),
    "quantised": Target("quantised", quantised_seeds, read_ngrams, words=(b'{"sizes": [',), share=1),
    "unpacked": Target("unpacked", unpacked_seeds, read_unpacked, words=(b'{"sizes": [',), share=2),
    "kenlm": Target("kenlm", kenlm_seeds, read_ngrams, share=0.005),
    "kenlm_fields": Target("kenlm_fields", kenlm_seeds, read_ngrams, share=0.05, change=change_kenlm),
    "kaldi_text": Target("kaldi_text", whole(KALDI_TEXT), read_kaldi_text, change=change_lines),
}

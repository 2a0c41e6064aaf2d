"""A text becomes a tokenizer and token files: counts, closed alphabets, reuse, and texts that cannot be used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.downloads import Server

from speechrnn.core.errors import UserError
from speechrnn.data.download import RemoteFile
from speechrnn.data.texts import encode, reader, shakespeare, text_options, text_parts
from speechrnn.data.texts.prepare import PreparedText, _sample, prepare_text, tokenize
from speechrnn.data.tokens import TokenFile
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, TokenizerOptions, WordTokenizer

Write = Callable[[str, str | bytes], Path]
Prepare = Callable[..., PreparedText]
FOOD_CHAIN = "Sharks feed on tuna.\nTuna feed on herring.\n\nHerring feed on plankton.\nSharks feed on herring, too.\n"


@pytest.fixture
def prepare(tmp_path: Path, as_it_is: NormalisationOptions) -> Prepare:
    """Prepare a.txt (and the files that are given) into the test's folder prepared/."""

    def run(tokenizer: TokenizerOptions, normalisation: NormalisationOptions = as_it_is, **keys: Any) -> PreparedText:
        keys = {"name": "file", "root": tmp_path, "train": ["a.txt"], "valid_fraction": 0, **keys}
        return prepare_text(text_options(keys), tokenizer, normalisation, folder=tmp_path / "prepared")

    return run


def tokens(path: Path | None) -> list[int]:
    assert path is not None
    return TokenFile.open(path).tokens.tolist()


@pytest.mark.parametrize(
    "options",
    [TokenizerOptions("char"), TokenizerOptions("word"), TokenizerOptions("subword", vocabulary_size=24)],
    ids=lambda options: options.kind,
)
def test_tokens_are_those_of_encode_with_0_after_each_line(
    write: Write, prepare: Prepare, options: TokenizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_BLOCK", 30)
    write("a.txt", FOOD_CHAIN)
    write("t.txt", "Sharks feed on Sharks.")
    prepared = prepare(options, test=["t.txt"])
    encoded = [token for line in FOOD_CHAIN.split("\n")[:-1] for token in [*prepared.tokenizer.encode(line), 0]]
    assert tokens(prepared.train) == encoded
    assert tokens(prepared.test) == [*prepared.tokenizer.encode("Sharks feed on Sharks."), 0]
    assert prepared.valid is None
    assert prepared.summary["splits"]["train"] == {
        "lines": 5,
        "documents": 1,
        "tokens": len(encoded),
        "characters": len(FOOD_CHAIN),
        "unknown": 0,
        "files": [str(prepared.folder.parent / "a.txt")],
    }
    assert json.loads((prepared.folder / "summary.json").read_text())["tokenizer"]["symbols"] == len(prepared.tokenizer)


@pytest.mark.parametrize(
    "options",
    [TokenizerOptions("char"), TokenizerOptions("word"), TokenizerOptions("subword", vocabulary_size=20)],
    ids=lambda options: options.kind,
)
def test_a_long_line_read_in_pieces_is_the_same_text(
    write: Write, prepare: Prepare, options: TokenizerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = FOOD_CHAIN.replace("\n", " ").replace("  ", " ").strip()
    write("a.txt", text)
    write("v.txt", text)
    whole = prepare(options, NormalisationOptions(), valid=["v.txt"])
    monkeypatch.setattr(reader, "_BLOCK", 7)
    monkeypatch.setattr(reader, "_LONGEST", 20)
    write("a.txt", text + "\n")  # the same text, another file
    pieces = [line.text for line in reader.read_lines(whole.folder.parent / "a.txt")]
    assert len(pieces) > 4
    part = text_parts(
        text_options({"name": "file", "root": whole.folder.parent, "train": ["a.txt"], "valid_fraction": 0})
    )
    path = whole.folder.parent / "pieces.tokens"
    counts = tokenize(part["train"], whole.tokenizer, NormalisationOptions(), path=path, split="train")
    assert tokens(path) == tokens(whole.train)
    assert counts["lines"] == 1
    assert counts["characters"] == whole.summary["splits"]["train"]["characters"]


def test_lines_are_normalised_and_stay_lines(write: Write, prepare: Prepare) -> None:
    write("a.txt", "Don’t  panic!\n...\n\tÉtude\n")
    prepared = prepare(TokenizerOptions("word"), NormalisationOptions())
    assert prepared.tokenizer.symbols[2:] == ["DON'T", "PANIC", "ÉTUDE"]
    assert tokens(prepared.train) == [2, 3, 0, 0, 4, 0]
    assert prepared.summary["splits"]["train"]["characters"] == len("DON'T PANIC\n\nÉTUDE\n")


def test_documents_start_where_they_do(write: Write, prepare: Prepare) -> None:
    write("a.txt", "\n\na b\nc\n\n\nd\n\ne f g\n")
    prepared = prepare(TokenizerOptions("word"), documents=True)
    text = TokenFile.open(prepared.train)
    assert text.documents.tolist() == [0, 9, 12]
    assert [prepared.tokenizer.symbols[text.tokens[start]] for start in text.documents[1:]] == ["d", "e"]
    assert prepared.summary["splits"]["train"]["documents"] == 3
    plain = prepare(TokenizerOptions("word"))
    assert tokens(plain.train) == text.tokens.tolist()
    assert TokenFile.open(plain.train).documents.tolist() == [0]


def test_words_outside_the_vocabulary_are_counted(write: Write, prepare: Prepare) -> None:
    write("a.txt", "a a a b b c <unk>\n")
    write("t.txt", "a whale b\n")
    prepared = prepare(TokenizerOptions("word", min_count=2), test=["t.txt"])
    assert tokens(prepared.train) == [2, 2, 2, 3, 3, 1, 1, 0]
    assert tokens(prepared.test) == [2, 1, 3, 0]
    assert [prepared.summary["splits"][split]["unknown"] for split in ("train", "test")] == [2, 1]
    assert prepared.describe()[1:] == [
        "train: 1 line, 8 tokens, 18 characters; <unk> 2 (25.00%)",
        "test: 1 line, 4 tokens, 10 characters; <unk> 1 (25.00%)",
    ]


class TestCharactersOutsideTheAlphabet:
    def test_they_are_an_error_that_counts_them_all(
        self, write: Write, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(encode, "_BLOCK", 4)
        write("a.txt", "abc\n" * 3)
        v = write("v.txt", "abc\naéa\ncab\né€\nabz\né\n")
        with pytest.raises(UserError) as error:
            prepare(TokenizerOptions("char"), valid=["v.txt"])
        message = str(error.value)
        assert message.startswith("The validation part of the text (")
        assert "v.txt) holds 'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) 3×, 'z' (U+007A" in message
        assert "'€' (U+20AC EURO SIGN) 1×, outside the alphabet of 3 characters" in message
        assert "train a model with tokenizer.unknown=true" in message  # not advice to evaluate, which has no such key
        # Nothing half done stays behind.
        assert not (v.parent / "prepared" / "valid.tokens").exists()

    def test_rare_ones_of_the_training_text_too(self, write: Write, prepare: Prepare) -> None:
        write("a.txt", "aab\naabx\n")
        with pytest.raises(UserError, match=r"The training part .* holds 'x' .* 1×, outside the alphabet of 2"):
            prepare(TokenizerOptions("char", min_count=2))

    def test_with_unknown_they_share_index_1(self, write: Write, prepare: Prepare) -> None:
        write("a.txt", "aab\naabx\n")
        write("v.txt", "a𝄞é\x00b<unk>\n")
        prepared = prepare(TokenizerOptions("char", min_count=2, unknown=True), valid=["v.txt"])
        assert prepared.tokenizer.symbols == ["<blank>", "<unk>", "a", "b"]
        assert tokens(prepared.train) == [2, 2, 3, 0, 2, 2, 3, 1, 0]
        assert tokens(prepared.valid) == [2, 1, 1, 1, 3, 1, 1, 1, 1, 1, 0]
        assert prepared.summary["splits"]["valid"]["unknown"] == 8


class TestReuse:
    def test_the_same_text_is_prepared_once(self, write: Write, prepare: Prepare) -> None:
        write("a.txt", FOOD_CHAIN)
        first = prepare(TokenizerOptions("word"))
        stamp = first.train.stat().st_mtime_ns
        second = prepare(TokenizerOptions("word"))
        assert (first.reused, second.reused) == (False, True)
        assert second.train.stat().st_mtime_ns == stamp
        assert second.tokenizer.symbols == first.tokenizer.symbols
        assert second.summary == first.summary

    @pytest.mark.parametrize(
        "change",
        [
            lambda write, prepare: write("a.txt", FOOD_CHAIN + "x"),
            lambda write, prepare: os.utime(write("a.txt", FOOD_CHAIN.replace("tuna", "cats")), ns=(5, 5)),
            lambda write, prepare: {"tokenizer": TokenizerOptions("word", min_count=2)},
            lambda write, prepare: {"tokenizer": TokenizerOptions("char")},
            lambda write, prepare: {"normalisation": NormalisationOptions()},
            lambda write, prepare: {"documents": True},
            lambda write, prepare: {"valid_fraction": 0.5},
            lambda write, prepare: {"test": ["a.txt"]},
            lambda write, prepare: prepare.folder.joinpath("train.tokens").write_bytes(b"damaged"),
            lambda write, prepare: prepare.folder.joinpath("train.tokens").unlink(),
            lambda write, prepare: prepare.folder.joinpath("tokenizer.json").write_text("{}"),
            lambda write, prepare: prepare.folder.joinpath("summary.json").write_text("[]"),
            lambda write, prepare: prepare.folder.joinpath("summary.json").unlink(),
        ],
    )
    def test_what_has_changed_is_prepared_anew(self, write: Write, prepare: Prepare, change: Callable) -> None:
        write("a.txt", FOOD_CHAIN)
        first = prepare(TokenizerOptions("word"))
        changed = change(write, first)
        keys = {"tokenizer": TokenizerOptions("word")}
        if isinstance(changed, dict):
            keys |= changed
        second = prepare(**keys)
        assert not second.reused
        assert prepare(**keys).reused
        assert tokens(second.train)

    def test_a_part_that_is_gone_leaves_no_file(self, write: Write, prepare: Prepare) -> None:
        write("a.txt", FOOD_CHAIN)
        first = prepare(TokenizerOptions("word"), test=["a.txt"])
        assert first.test is not None
        second = prepare(TokenizerOptions("word"))
        assert second.test is None
        assert sorted(path.name for path in second.folder.iterdir()) == [
            "summary.json",
            "tokenizer.json",
            "train.tokens",
        ]

    def test_replaced_bytes_are_another_text(self, write: Write, prepare: Prepare) -> None:
        write("a.txt", b"caf\xe9\n")
        with pytest.raises(UserError, match=r"byte 3 \(0xe9\) fits no character"):
            prepare(TokenizerOptions("char"))
        assert "\ufffd" in prepare(TokenizerOptions("char"), errors="replace").tokenizer.symbols


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        ("", {}, r"The training part of the text \(.*a\.txt\) is empty"),
        ("\n \n\n", {}, r"The training part of the text \(.*a\.txt\) is empty"),
        ("a\n", {"test": ["empty.txt"]}, r"The test part of the text \(.*empty\.txt\) is empty"),
        ("a\n", {"train": [], "test": ["a.txt"]}, r"has no training part; name its files, as in text\.train="),
        ("a\n", {"train": ["gone.txt"]}, r"text\.train=gone\.txt: .* does not exist"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_sentence(
    write: Write, prepare: Prepare, content: str, keys: dict[str, Any], message: str
) -> None:
    write("a.txt", content)
    write("empty.txt", "")
    with pytest.raises(UserError, match=message):
        prepare(TokenizerOptions("char"), **keys)


def test_normalisation_that_leaves_nothing_is_said(write: Write, prepare: Prepare) -> None:
    write("a.txt", "...\n!?\n")
    with pytest.raises(UserError, match="or normalisation leaves nothing of it"):
        prepare(TokenizerOptions("word"), NormalisationOptions())


@pytest.mark.parametrize(
    "tokenizer",
    [
        CharTokenizer.build([], alphabet="\nacfé𝄞 \x00"),
        CharTokenizer.build([], alphabet="acf", unknown=True),
        WordTokenizer.build(["a cafe"]),
        SubwordTokenizer.train(["a cafe", "a face"], 7),
    ],
    ids=["char", "char with <unk>", "word", "subword"],
)
def test_blocks_are_encoded_as_single_lines_are(tokenizer: Any) -> None:
    lines = ["a café" if len(tokenizer) == 9 else "a cafe", "", "fa  ca", " a ", "caf" * 50]
    encoder = encode.Encoder(tokenizer, "The text")
    (block,) = encoder.blocks(map(reader.Line, lines))
    assert list(block.ids) == [token for line in lines for token in [*tokenizer.encode(line), 0]]
    assert block.characters == sum(map(len, lines)) + len(lines)
    assert encoder.lines == 5


def test_the_sample_for_subwords_is_spread_over_the_text() -> None:
    texts = [f"{number:04}" for number in range(1000)]
    assert list(_sample(texts, 4000)) == texts
    assert list(_sample(texts, 3999)) == texts[::2]
    assert list(_sample(texts, 100)) == texts[::64]
    assert list(_sample(["a" * 100], 10)) == ["a" * 100]
    assert list(_sample(iter([]), 10)) == []


CONTENT = b"First Citizen:\n" * 40


@pytest.mark.integration
def test_a_text_is_fetched_checked_and_read(
    server: Server, tmp_path: Path, as_it_is: NormalisationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/input.txt"] = CONTENT
    file = RemoteFile(f"{server.url}/input.txt", "input.txt", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(shakespeare, "FILE", file)
    root = tmp_path / "new" / "root"
    options = text_options({"name": "shakespeare", "root": root, "download": True, "split": "end"})
    prepared = prepare_text(options, TokenizerOptions("char"), as_it_is, folder=tmp_path / "prepared")
    assert [path.name for path in root.iterdir()] == ["input.txt"]
    assert (root / "input.txt").read_bytes() == CONTENT
    assert prepared.summary["splits"]["train"]["characters"] == len(CONTENT) * 95 // 100
    # What is there is not fetched again; how it came there does not matter.
    monkeypatch.setattr(shakespeare, "FILE", RemoteFile(f"{server.url}/gone", "input.txt", "0"))
    assert prepare_text(options, TokenizerOptions("char"), as_it_is, folder=tmp_path / "prepared").reused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ptb", r"licensed by the Linguistic Data Consortium and cannot be downloaded .*text\.download=false"),
        ("file", r"The text file has nothing to download; set text\.download=false"),
        ("transcripts", r"The text transcripts has nothing to download"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    name: str, message: str, tmp_path: Path, as_it_is: NormalisationOptions
) -> None:
    options = text_options({"name": name, "root": tmp_path, "download": True})
    with pytest.raises(UserError, match=message):
        prepare_text(options, TokenizerOptions("char"), as_it_is, folder=tmp_path / "prepared")


@pytest.mark.parametrize(
    ("initial", "text", "wanted", "kind"),
    [
        (WordTokenizer.build(["sharks feed on tuna"]), "sharks feed on krill", TokenizerOptions(), "word"),
        (WordTokenizer.build(["sharks feed on tuna"]), "sharks feed", TokenizerOptions("char", min_count=2), "char"),
        (CharTokenizer.build(["sharks feed on tuna"]), "sharks feed", TokenizerOptions("word"), "word"),
        (CharTokenizer.build(["sharks feed on tuna"]), "krill", TokenizerOptions(), "char"),
        (CharTokenizer.build(["sharks"], unknown=True), "krill", TokenizerOptions(), "char"),
    ],
)
def test_a_fine_tuned_model_has_tokens_of_its_kind_or_those_that_were_asked_for(
    tmp_path: Path,
    write: Write,
    as_it_is: NormalisationOptions,
    initial: CharTokenizer | WordTokenizer,
    text: str,
    wanted: TokenizerOptions,
    kind: str,
) -> None:
    write("a.txt", f"{text}\n" * 4)
    options = text_options({"name": "file", "root": tmp_path, "train": ["a.txt"], "valid_fraction": 0})
    prepared = prepare_text(options, wanted, as_it_is, folder=tmp_path / "prepared", initial=initial)
    assert prepared.tokenizer.kind == kind
    assert prepared.summary["tokenizer"]["kind"] == kind
    if wanted == TokenizerOptions():
        assert ("<unk>" in prepared.tokenizer.symbols) == ("<unk>" in initial.symbols)
    else:
        assert prepared.tokenizer.symbols != initial.symbols

"""Quantised n-gram files: what is read is what was rounded, and each kind of damage has its sentence."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import Ngrams, read_arpa, write_arpa
from speechrnn.decoding.ngram.estimation import perplexity
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.ngram.model import NgramModel, read_ngram, read_ngrams
from speechrnn.decoding.ngram.pruning import prune
from speechrnn.decoding.ngram.quantised import MAGIC, is_quantised, quantise, read_quantised, write_quantised
from speechrnn.text.tokenizers import WordTokenizer

SYMBOLS = ["<blank>", "<unk>", "a", "b", "c", "d"]


def random_text(seed: int, lines: int = 40) -> list[list[int]]:
    draw = random.Random(seed)
    return [[1 + int(draw.random() ** 2 * 5) for _ in range(draw.randrange(9))] for _ in range(lines)]


def table(ngrams: Ngrams) -> list[dict[tuple[int, ...], tuple[float, float]]]:
    """Return log-probability and backoff weight of each n-gram, by order."""
    orders = zip(ngrams.words, ngrams.log_probs, ngrams.backoffs, strict=True)
    return [
        dict(zip(map(tuple, words.tolist()), zip(log_probs.tolist(), backoffs.tolist(), strict=True), strict=True))
        for words, log_probs, backoffs in orders
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_quantised(tmp_path / "ngram.q8", kneser_ney(random_text(0), SYMBOLS, 3))
    return tmp_path / "ngram.q8"


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), order=st.integers(1, 4), threshold=st.sampled_from([0.0, 1e-3, 1e-2]))
def test_what_is_read_is_what_was_rounded(seed: int, order: int, threshold: float, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("q8") / "ngram.q8"
    ngrams = prune(kneser_ney(random_text(seed), SYMBOLS, order), threshold, (1,))
    write_quantised(path, ngrams)
    assert is_quantised(path)
    read = read_quantised(path)
    assert read.names == ngrams.names
    assert table(read) == table(quantise(ngrams))
    before = path.read_bytes()
    write_quantised(path, read)
    assert path.read_bytes() == before


@given(seed=st.integers(0, 10**6), size=st.integers(1, 3000), width=st.sampled_from([1e-7, 1e-5, 1e-3, 1.0, 30.0]))
def test_rounded_values_are_rounded_to_themselves(seed: int, size: int, width: float) -> None:
    """For ranges of a few float32 numbers too, and whatever the order in which a processor adds and multiplies."""
    values = -1 - width * torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ngrams = Ngrams(
        "", ["</s>"], (torch.arange(size)[:, None],), log_probs=(values.float(),), backoffs=(torch.zeros(size),)
    )
    once = quantise(ngrams)
    assert len(once.log_probs[0].unique()) <= 256
    assert (once.log_probs[0] - values).abs().max() <= width / 253 / 2 + 1e-6
    nudged = replace(once, log_probs=(once.log_probs[0].nextafter(torch.tensor(0.0)),))  # another processor's rounding
    for rounded in (once, nudged):
        assert torch.equal(quantise(rounded).log_probs[0], rounded.log_probs[0])


def test_perplexity_hardly_changes_and_the_file_is_small(tmp_path: Path) -> None:
    draw = random.Random(0)
    symbols = ["<blank>", *(f"w{number}" for number in range(500))]
    lines = [[1 + int(draw.random() ** 3 * 500) for _ in range(12)] for _ in range(2000)]
    ngrams = kneser_ney(lines, symbols, 3)
    write_quantised(tmp_path / "ngram.q8", ngrams)
    write_arpa(tmp_path / "ngram.arpa.gz", ngrams)
    assert (tmp_path / "ngram.q8").stat().st_size < 0.4 * (tmp_path / "ngram.arpa.gz").stat().st_size
    held_out = [[1 + int(draw.random() ** 3 * 500) for _ in range(12)] for _ in range(100)]
    exact, small = perplexity(ngrams, held_out), perplexity(read_ngrams(tmp_path / "ngram.q8"), held_out)
    assert abs(small / exact - 1) < 0.01


def test_decoding_reads_it_as_any_n_gram_model(path: Path, tmp_path: Path) -> None:
    write_arpa(tmp_path / "ngram.arpa", quantise(kneser_ney(random_text(0), SYMBOLS, 3)))
    for tokenizer in (None, WordTokenizer(SYMBOLS)):
        small, plain = read_ngram(path, tokenizer), read_ngram(tmp_path / "ngram.arpa", tokenizer)
        assert isinstance(small, NgramModel) and small.words == plain.words
        states = [torch.tensor([model.begin()]) for model in (small, plain)]
        for token in (2, 3, 1, 4):
            scores = [model.log_probs(state) for model, state in zip((small, plain), states, strict=True)]
            torch.testing.assert_close(*scores, atol=1e-4, rtol=0)
            states = [
                model.extend(state, torch.tensor([token])) for model, state in zip((small, plain), states, strict=True)
            ]


def test_both_kinds_are_read_as_n_grams(path: Path, tmp_path: Path) -> None:
    write_arpa(tmp_path / "ngram.arpa", read_quantised(path))
    assert read_ngrams(tmp_path / "ngram.arpa").order == read_ngrams(path).order == 3
    assert read_ngrams(tmp_path / "ngram.arpa").names == read_arpa(tmp_path / "ngram.arpa").names


def test_a_missing_file_has_its_sentence(tmp_path: Path) -> None:
    for read in (read_quantised, is_quantised, read_ngram):
        with pytest.raises(UserError, match=r"Cannot read the n-gram model .*nowhere"):
            read(tmp_path / "nowhere")


def refuses(path: Path) -> None:
    """Assert that the file is refused in one sentence, whether it is read as a quantised file or by its kind."""
    for read in (read_quantised, read_ngram):
        with pytest.raises(UserError) as caught:
            read(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refuses(path)


def test_a_file_with_more_behind_it_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")
    refuses(path)


def test_each_flipped_bit_is_refused(path: Path) -> None:
    content = path.read_bytes()
    draw = random.Random(0)
    places = [*range(len(MAGIC) + 40), *(draw.randrange(len(content)) for _ in range(300))]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        refuses(path)


def change(path: Path, edit: Callable[[list[int], bytearray], None]) -> None:
    """Change sizes and content of a file, and pack them anew, so that no checksum tells."""
    magic, header, packed = path.read_bytes().split(b"\n", 2)
    sizes, content = json.loads(header)["sizes"], bytearray(zlib.decompress(packed))
    edit(sizes, content)
    path.write_bytes(b"\n".join([magic, json.dumps({"sizes": sizes}).encode(), zlib.compress(bytes(content))]))


def test_changing_nothing_is_read(path: Path) -> None:
    change(path, lambda sizes, content: None)
    assert read_quantised(path).order == 3


@pytest.mark.parametrize("size", [0, 1, 2**31 - 1, 2**31, 2**62, -1, True, 1.5, None, "5"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_wrong_sizes_are_refused(path: Path, order: int, size: object) -> None:
    change(path, lambda sizes, content: sizes.__setitem__(order, size))  # type: ignore[call-overload]
    refuses(path)


@pytest.mark.parametrize(
    "header", [b"", b"{}", b"[]", b"null", b'{"sizes": []}', b'{"sizes": 3}', b"[" * 9000, b"\xff", b"{" * 20000]
)
def test_a_wrong_header_is_refused(path: Path, header: bytes) -> None:
    magic, _, packed = path.read_bytes().split(b"\n", 2)
    path.write_bytes(b"\n".join([magic, header, packed]))
    refuses(path)


def test_random_changes_of_the_content_are_refused_or_give_probabilities(path: Path) -> None:
    original = path.read_bytes()
    draw = random.Random(0)
    for _ in range(200):
        path.write_bytes(original)
        change(path, lambda sizes, content: content.__setitem__(draw.randrange(len(content)), draw.randrange(256)))
        try:
            model = read_ngram(path)
        except UserError as error:
            assert str(path) in str(error)
            continue
        scores = model.log_probs(torch.tensor([model.begin()]))
        assert not scores.isnan().any() and not (scores == torch.inf).any()


def test_content_of_gigabytes_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few kilobytes whose content would be two gigabytes is refused, with a bound on the memory."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**24)) for _ in range(8)) + packer.flush()
    path.write_bytes(MAGIC + json.dumps({"sizes": [2**25, 2**25]}).encode() + b"\n" + packed)
    unpacked = []
    original = zlib.decompressobj

    class Watched:
        def __init__(self) -> None:
            self.unpacker = original()

        def decompress(self, data: bytes, most: int) -> bytes:
            content = self.unpacker.decompress(data, most)
            unpacked.append(len(content))
            return content

        def __getattr__(self, name: str) -> object:
            return getattr(self.unpacker, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    refuses(path)
    assert unpacked and max(unpacked) < 2**25

"""ARPA files, whole and damaged."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest
import torch
from helpers.arpa import SMALL
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import LN_10, read_arpa, write_arpa


def written(folder: Path, text: str | bytes, name: str = "model.arpa") -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


def test_what_stands_in_the_file_is_read(tmp_path: Path) -> None:
    ngrams = read_arpa(written(tmp_path, "made by a tool\n" + SMALL))
    assert ngrams.names == ["</s>", "<unk>", "a", "b", "<space>"]
    assert ngrams.words[1].tolist() == [[5, 2], [2, 3], [3, 0], [3, 4]]
    assert ngrams.words[2].tolist() == [[5, 2, 3], [2, 3, 0]]
    torch.testing.assert_close(ngrams.log_probs[1], torch.tensor([-0.1, -0.4, -0.2, -0.3]) * LN_10)
    torch.testing.assert_close(ngrams.backoffs[1], torch.tensor([-0.4, -0.25, 0, 0]) * LN_10)
    assert ngrams.backoffs[2].tolist() == [0, 0]


def test_spaces_line_ends_and_compression_make_no_difference(tmp_path: Path) -> None:
    plain = read_arpa(written(tmp_path, SMALL))
    for text in (SMALL.replace("\t", " "), SMALL.replace("\n", "\r\n"), gzip.compress(SMALL.encode())):
        other = read_arpa(written(tmp_path, text))
        assert other.names == plain.names
        assert all(map(torch.equal, other.log_probs + other.words, plain.log_probs + plain.words))


@pytest.mark.parametrize("name", ["out.arpa", "out.arpa.gz"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    ngrams = read_arpa(written(tmp_path, SMALL))
    write_arpa(tmp_path / name, ngrams)
    again = read_arpa(tmp_path / name)
    assert again.names == ngrams.names
    assert all(map(torch.equal, again.words, ngrams.words))
    for own, other in zip(again.log_probs + again.backoffs, ngrams.log_probs + ngrams.backoffs, strict=True):
        torch.testing.assert_close(own, other)
    first = (tmp_path / name).read_bytes()
    write_arpa(tmp_path / name, again)
    assert (tmp_path / name).read_bytes() == first


def test_the_highest_order_may_be_empty(tmp_path: Path) -> None:
    head, _ = SMALL.replace("ngram 3=2", "ngram 3=0").split("-0.05\t<s> a b")
    ngrams = read_arpa(written(tmp_path, head + "\\end\\"))
    assert [tuple(words.shape) for words in ngrams.words] == [(6, 1), (4, 2), (0, 3)]
    assert [len(part) for part in ngrams.log_probs] == [len(part) for part in ngrams.backoffs] == [6, 4, 0]


def test_impossible_is_written_as_99_below(tmp_path: Path) -> None:
    ngrams = read_arpa(written(tmp_path, SMALL.replace("-0.7\tb", "-inf\tb")))
    assert ngrams.log_probs[0][4] == -math.inf
    write_arpa(tmp_path / "out.arpa", ngrams)
    assert "\n-99\tb\t" in (tmp_path / "out.arpa").read_text()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("\\data\\", "data", "is no ARPA file, for none of its lines is"),
        ("ngram 2=4", "ngram 3=4", "line 4: 'ngram 2=NUMBER' should stand here, not 'ngram 3=4'"),
        ("ngram 2=4", "ngram 2=5", "line 21: here end 4 2-grams, but the file's head counts 5"),
        ("ngram 2=4", "ngram 2=3", "line 21: here end 4 2-grams, but the file's head counts 3"),
        ("ngram 3=2\n", "", "line 15: .* is no 2-gram with its log-probability"),
        ("\\2-grams:", "\\3-grams:", "line 15: .*2-grams: should stand here, not"),
        ("-0.4\ta b", "0.4\ta b", "line 17: .* is no log-probability"),
        ("-0.4\ta b", "nan\ta b", "line 17: .* is no log-probability"),
        ("-0.4\ta b", "x\ta b", "line 17: .* should begin with a number"),
        ("-0.4\ta b", "-0.4\ta c", "line 17: the word 'c' is not among the 1-grams"),
        ("-0.4\ta b\t-0.25", "-0.4\ta", "line 17: '-0.4\\\\ta' is no 2-gram"),
        ("-0.15\ta b </s>", "-0.15\ta b </s>\t-1", "line 23: .* is no 3-gram"),
        ("-0.7\tb", "-0.7\ta", "line 12: the word 'a' stands there a second time"),
        ("-0.6\t</s>", "-0.6\t<e>", "no </s> is among the words"),
        ("-99\t<s>", "-99\t<b>", "no <s> is among the words"),
        ("\\end\\\n", "", "line 24: the file ends after 2 of 2 3-grams, before .*it was cut short"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = written(tmp_path, SMALL.replace(old, new))
    with pytest.raises(UserError, match=reason) as caught:
        read_arpa(path)
    assert str(path) in str(caught.value)


@given(length=st.integers(0, len(SMALL) - 7))
def test_a_file_cut_short_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = written(tmp_path_factory.getbasetemp(), SMALL[:length])
    with pytest.raises(UserError, match=str(path)):
        read_arpa(path)


def test_other_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.arpa: No such file"):
        read_arpa(tmp_path / "absent.arpa")
    with pytest.raises(UserError, match=r"Cannot read the n-gram model .*end-of-stream"):
        read_arpa(written(tmp_path, gzip.compress(SMALL.encode())[:60]))
    with pytest.raises(UserError, match="is not UTF-8"):
        read_arpa(written(tmp_path, SMALL.replace("\ta", "\t\xe4").replace(" a", " \xe4").encode("latin-1")))


@pytest.mark.parametrize("count", ["9" * 19, "1" * 4400, "9" * 100_000])
def test_a_count_of_too_many_digits_is_one_sentence(tmp_path: Path, count: str) -> None:
    """Python refuses to read numbers of more than 4,300 digits, with an error of its own."""
    path = tmp_path / "a.arpa"
    path.write_text(SMALL.replace("ngram 2=4", f"ngram 2={count}"))
    with pytest.raises(UserError, match=r"a\.arpa, line 4: 'ngram 2=NUMBER' should stand here") as error:
        read_arpa(path)
    assert len(str(error.value)) < 300

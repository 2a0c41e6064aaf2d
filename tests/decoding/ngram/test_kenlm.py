"""Binary files of KenLM, made by its build_binary from the file that `small_arpa` holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from helpers.arpa import SMALL
from helpers.kenlm import BINARY, binary

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.kenlm import KenlmModel, is_kenlm
from speechrnn.decoding.ngram.model import NgramModel, read_ngram
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer

TOKENIZER = CharTokenizer.build([], "bca ")  # c is unknown to the model


@pytest.fixture
def small(tmp_path: Path) -> NgramModel:
    (tmp_path / "small.arpa").write_text(SMALL)
    model = read_ngram(tmp_path / "small.arpa", TOKENIZER)
    assert isinstance(model, NgramModel)
    return model


@pytest.fixture
def flashlight() -> None:
    pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="no wheel of flashlight-text here")


@pytest.mark.usefixtures("flashlight")
@pytest.mark.parametrize("kind", list(BINARY))
def test_scores_are_those_of_the_arpa_file(tmp_path: Path, small: NgramModel, kind: str) -> None:
    model = read_ngram(binary(tmp_path, kind), TOKENIZER)
    assert isinstance(model, KenlmModel)
    assert (model.order, model.vocabulary, model.words) == (3, 5, TOKENIZER.symbols)
    assert model.missing == ([] if kind == "wordless" else ["c"])
    states, others = torch.tensor([model.begin()]), torch.tensor([small.begin()])
    for _ in range(4):
        torch.testing.assert_close(model.log_probs(states), small.log_probs(others), atol=1e-4, rtol=0)
        tokens = torch.arange(5).repeat(len(states))
        states = model.extend(states.repeat_interleave(5), tokens)
        others = small.extend(others.repeat_interleave(5), tokens)
    # Two tokens are all that three-grams remember.
    assert len(states.unique()) <= 1 + 4 + 4 * 4 + 4


@pytest.mark.usefixtures("flashlight")
def test_the_words_come_from_the_file_where_it_has_them(tmp_path: Path) -> None:
    model = read_ngram(binary(tmp_path, "probing"))
    assert model.words == ["<blank>", "<unk>", "a", "b", " "]
    assert sorted(read_ngram(binary(tmp_path, "trie")).words) == sorted(model.words)
    with pytest.raises(UserError, match="holds no list of its words; give the ARPA file"):
        read_ngram(binary(tmp_path, "wordless"))
    with pytest.raises(UserError, match="knows none of the tokenizer's 2 symbols"):
        read_ngram(binary(tmp_path, "trie"), WordTokenizer.build(["THE CAT"]))


@pytest.mark.usefixtures("flashlight")
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = binary(tmp_path, "probing")
    whole = path.read_bytes()
    words = len(b"<unk>\0<s>\0</s>\0a\0b\0<space>\0")
    for damaged in (whole[:60], whole[:-2], whole[:200] + whole[-words:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"probing.bin is damaged"):
            read_ngram(path, TOKENIZER)


def test_without_flashlight_text_the_arpa_file_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flashlight.lib.text.decoder.kenlm", None)
    path = binary(tmp_path, "probing")
    assert is_kenlm(path)
    with pytest.raises(UserError, match=r"needs the package flashlight-text.* give the ARPA file"):
        read_ngram(path, TOKENIZER)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.bin: No such file"):
        read_ngram(tmp_path / "absent.bin")

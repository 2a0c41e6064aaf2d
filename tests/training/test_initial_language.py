"""Fine-tuning of language models: a training that begins with the weights of a trained one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from speechrnn.core.errors import UserError
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer
from speechrnn.training.initial_language import InitialLanguage
from speechrnn.training.initialisation import weights_digest

TOKENIZER = CharTokenizer.build(["abcdefgh"])
OPTIONS = LanguageOptions(layers=2, units=12, embedding=8)


def trained(folder: Path, **options: Any) -> InitialLanguage:
    torch.manual_seed(1)
    model = LanguageModel(len(TOKENIZER), replace(OPTIONS, **options))
    torch.nn.init.normal_(model.softmax.bias)
    save_language(folder, model, TOKENIZER, training={})
    return InitialLanguage.load(folder)


def untrained(initial: InitialLanguage, tokenizer: CharTokenizer) -> LanguageModel:
    torch.manual_seed(2)
    return LanguageModel(len(tokenizer), initial.architecture(LanguageOptions(dropout=0.7)))


@pytest.mark.parametrize(
    "options", [{}, {"tied": False}, {"softmax": "mixture"}, {"softmax": "adaptive", "cutoffs": (3, 6)}]
)
def test_all_weights_are_copied(tmp_path: Path, options: dict[str, Any]) -> None:
    initial = trained(tmp_path, **options)
    model = untrained(initial, TOKENIZER)
    initial.copy_into(model, TOKENIZER)
    assert model.options.dropout == 0.7
    for name, tensor in initial.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_of_another_vocabulary_shared_tokens_keep_their_vectors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    initial = trained(tmp_path, tied=False)
    tokenizer = CharTokenizer.build(["xhgab"])
    model = untrained(initial, tokenizer)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    initial.copy_into(model, tokenizer)
    after, old = model.state_dict(), initial.model.state_dict()
    for place, symbol in enumerate(tokenizer.symbols):
        shared = symbol in TOKENIZER.symbols
        for name in ("vectors", "softmax.weight", "softmax.bias"):
            expected = old[name][TOKENIZER.symbols.index(symbol)] if shared else before[name][place]
            assert torch.equal(after[name][place], expected), (name, symbol)
    assert torch.equal(after["layers.0.network.weight_hh_l0"], old["layers.0.network.weight_hh_l0"])
    assert f"1 token of {len(tokenizer)} begin at random" in caplog.text


def test_of_another_kind_of_tokens_no_vector_is_taken_for_its_spelling(tmp_path: Path) -> None:
    """The word A is not the character A."""
    initial = trained(tmp_path, tied=False)
    tokenizer = WordTokenizer.build(["a b zebra"])
    torch.manual_seed(2)
    model = LanguageModel(len(tokenizer), initial.architecture(LanguageOptions()))
    before = model.state_dict()["vectors"].clone()
    initial.copy_into(model, tokenizer)
    after, old = model.state_dict()["vectors"], initial.model.state_dict()["vectors"]
    assert torch.equal(after[0], old[0])  # the end of a line
    assert torch.equal(after[1:], before[1:])


def test_another_architecture_is_refused_by_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"language\.units is 64, .* has 12; leave language\.units out"):
        trained(tmp_path).architecture(LanguageOptions(units=64))


def test_the_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    initial = trained(tmp_path)
    before = weights_digest(initial.model)
    with torch.no_grad():
        initial.model.softmax.bias[0] += 1.0
    assert weights_digest(initial.model) != before

"""Fine-tuning of language models: a training that begins with the weights of a trained one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from speechrnn.core.errors import UserError
from speechrnn.data.tokens import Block, write_tokens
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer
from speechrnn.training.fabric import make_fabric
from speechrnn.training.initial_language import InitialLanguage
from speechrnn.training.initialisation import weights_digest
from speechrnn.training.language import LanguageTrainerOptions, train_language
from speechrnn.training.loop import Loop

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


def test_a_word_in_capitals_begins_with_the_vector_of_the_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    old = WordTokenizer.build(["the the shark Shark shark"])
    torch.manual_seed(1)
    save_language(tmp_path, LanguageModel(len(old), replace(OPTIONS, tied=False)), old, training={})
    initial = InitialLanguage.load(tmp_path)
    new = WordTokenizer.build(["THE SHARK Shark KRILL"])
    model = LanguageModel(len(new), initial.architecture(LanguageOptions()))
    initial.copy_into(model, new)
    for name in ("vectors", "softmax.weight", "softmax.bias"):
        weights, trained_weights = model.state_dict()[name], initial.model.state_dict()[name]
        for word, begins_as in (("THE", "the"), ("SHARK", "shark"), ("Shark", "Shark")):
            expected = trained_weights[old.symbols.index(begins_as)]
            assert torch.equal(weights[new.symbols.index(word)], expected), (name, word)
    assert f"1 token of {len(new)} begin at random" in caplog.text


class Killed(BaseException):
    pass


@pytest.mark.integration
def test_a_killed_fine_tuning_ends_with_the_same_bits_and_not_with_other_initial_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    initial = trained(tmp_path / "model", tied=False)
    ids = [[*TOKENIZER.encode(line), 0] for line in ["abc", "cab", "bed"] * 30]
    text = write_tokens(tmp_path / "text", [Block(line, len(line)) for line in ids], len(TOKENIZER))
    options = LanguageTrainerOptions(
        epochs=3, batch_size=4, bptt=5, learning_rate=0.01, accelerator="cpu", checkpoint_steps=2,
        frozen_layers=1, frozen_steps=9,
    )  # fmt: skip
    step = Loop.step

    def fine_tune(name: str, killed_at: int | None = None) -> LanguageModel:
        def step_or_die(loop: Any, *arguments: Any) -> None:
            if loop.state.step == killed_at:
                raise Killed
            step(loop, *arguments)

        monkeypatch.setattr(Loop, "step", step_or_die)
        model, _ = train_language(
            make_fabric(options, tmp_path),
            initial.architecture(LanguageOptions()),
            options,
            tokenizer=TOKENIZER,
            train=text,
            valid=text,
            documents=False,
            folder=tmp_path / name,
            initial=initial,
        )
        return model

    whole = fine_tune("whole").state_dict()
    for killed_at in (7, 21):  # before and after the lower layer begins to move
        with pytest.raises(Killed):
            fine_tune("killed", killed_at)
    for name, tensor in fine_tune("killed").state_dict().items():
        assert torch.equal(whole[name], tensor), name
    lowest = "layers.0.network.weight_hh_l0"
    assert not torch.equal(whole[lowest], initial.model.state_dict()[lowest])
    with torch.no_grad():
        initial.model.softmax.bias[0] += 1.0
    with pytest.raises(UserError, match="the initial weights has changed"):
        fine_tune("killed")


def test_another_architecture_is_refused_by_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"language\.units is 64, .* has 12; leave language\.units out"):
        trained(tmp_path).architecture(LanguageOptions(units=64))


def test_the_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    initial = trained(tmp_path)
    before = weights_digest(initial.model)
    with torch.no_grad():
        initial.model.softmax.bias[0] += 1.0
    assert weights_digest(initial.model) != before

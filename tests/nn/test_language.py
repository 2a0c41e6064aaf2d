from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from speechrnn.core.errors import UserError
from speechrnn.nn.language import LanguageModel, LanguageOptions, load_language, locked_dropout, save_language
from speechrnn.text.tokenizers import CharTokenizer

VOCABULARY = 60
SMALL = {"layers": 2, "units": 12, "embedding": 8, "cutoffs": (10, 30)}
STILL = {"input_dropout": 0.0, "dropout": 0.0, "output_dropout": 0.0, "weight_drop": 0.0}
SOFTMAXES = ["full", "adaptive", "mixture"]
CELLS = ["lstm", "gru", "rnn_tanh"]


def make(**options: object) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(VOCABULARY, LanguageOptions(**{**SMALL, **options}))  # type: ignore[arg-type]


def tokens(length: int, batch: int) -> torch.Tensor:
    return torch.randint(VOCABULARY, (length, batch), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("softmax", SOFTMAXES)
@pytest.mark.parametrize("cell", CELLS)
def test_windows_and_single_steps_agree(cell: str, softmax: str, tied: bool) -> None:
    model = make(cell=cell, softmax=softmax, tied=tied).eval()
    read = tokens(7, 3)
    outputs, end = model(read, model.start(3))
    assert outputs.shape[:2] == (7, 3) and end.shape == (3, model.state_size)
    whole = model.log_probs(outputs)
    torch.testing.assert_close(whole.exp().sum(2), torch.ones(7, 3))
    states = model.start(3)
    for place in range(7):
        before = states.clone()
        step, after = model.score(states, read[place])
        assert torch.equal(states, before)  # other hypotheses may still need it
        torch.testing.assert_close(step, whole[place], atol=1e-5, rtol=1e-5)
        states = after
    torch.testing.assert_close(states, end, atol=1e-5, rtol=1e-5)
    targets = tokens(7, 3)
    targets[2, 1] = -1
    expected = whole.gather(2, targets.clamp_min(0)[..., None]).squeeze(2)
    expected[2, 1] = 0.0
    torch.testing.assert_close(model.target_log_probs(outputs, targets), expected, atol=1e-5, rtol=1e-5)


def test_two_windows_are_as_good_as_one() -> None:
    model = make().eval()
    read = tokens(9, 2)
    whole, end = model(read, model.start(2))
    first, states = model(read[:4], model.start(2))
    second, states = model(read[4:], states)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(states, end)


def test_states_can_be_picked_and_joined() -> None:
    model = make().eval()
    _, states = model(tokens(5, 3), model.start(3))
    picked = torch.cat([states[[2, 0, 2]], model.start(1)])
    scores, _ = model.score(picked, torch.tensor([4, 5, 6, 7]))
    alone, _ = model.score(states[2:3], torch.tensor([6]))
    torch.testing.assert_close(scores[2:3], alone)


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_the_gradients_of_targets_are_those_of_all(softmax: str) -> None:
    gradients = []
    for way in ("targets", "all"):
        model = make(softmax=softmax, **STILL)
        outputs, _ = model(tokens(6, 4), model.start(4))
        targets = tokens(6, 4).flip(0)
        if way == "targets":
            loss = model.target_log_probs(outputs, targets).sum()
        else:
            loss = model.log_probs(outputs).gather(2, targets[..., None]).sum()
        loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-5, rtol=1e-4, msg=name)


def test_the_layers_are_those_of_torch() -> None:
    model = make(tied=False).eval()
    stock = nn.LSTM(8, 12, num_layers=2)
    for number, layer in enumerate(model.recurrent):
        for name, value in layer.network.named_parameters():
            getattr(stock, name.replace("_l0", f"_l{number}")).data.copy_(value)
    read = tokens(7, 3)
    torch.testing.assert_close(model(read, model.start(3))[0], stock(model.embed(read))[0])


def test_weight_drop_really_drops() -> None:
    """In training two passes differ, from the second token on; in evaluation they agree; the raw weight learns."""
    model = make(**{**STILL, "weight_drop": 0.5}).train()
    read = tokens(5, 3)
    first, second = (model(read, model.start(3))[0] for _ in range(2))
    assert not torch.equal(first[1:], second[1:])
    raw = [layer.get_parameter("network.weight_hh_l0") for layer in model.recurrent]
    before = [weight.detach().clone() for weight in raw]
    first.sum().backward()
    for weight, value in zip(raw, before, strict=True):
        assert isinstance(weight, nn.Parameter) and weight.grad is not None
        assert 0.3 < float((weight.grad == 0).float().mean()) < 0.7  # what was dropped has no part in the output
        assert torch.equal(weight, value)
    model.eval()
    assert torch.equal(model(read, model.start(3))[0], model(read, model.start(3))[0])


@pytest.mark.parametrize("key", ["embedding_dropout", "input_dropout", "dropout", "output_dropout"])
def test_each_dropout_acts_in_training_only(key: str) -> None:
    model = make(**{**STILL, key: 0.5})
    read = tokens(5, 3)

    def outputs() -> torch.Tensor:
        return model.drop(model(read, model.start(3))[0])

    assert not torch.equal(outputs(), outputs())
    model.eval()
    assert torch.equal(outputs(), outputs())


def test_locked_dropout_is_the_same_at_all_times_and_different_in_rows() -> None:
    dropped = locked_dropout(torch.ones(6, 4, 200), 0.3, training=True)
    assert torch.equal(dropped, dropped[:1].expand(6, -1, -1))
    assert len({tuple(row.tolist()) for row in dropped[0]}) == 4
    assert abs(float(dropped.mean()) - 1.0) < 0.1  # scaled so that the expectation stays


def test_embedding_dropout_takes_whole_tokens() -> None:
    model = make(**{**STILL, "embedding_dropout": 0.5}).train()
    vectors = model.embed(torch.arange(VOCABULARY).repeat(2, 1))
    gone = (vectors == 0).all(2)
    assert torch.equal(gone[0], gone[1]) and 0.2 < float(gone[0].float().mean()) < 0.8


@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_a_directory_gives_the_model_back(softmax: str, tmp_path: Path) -> None:
    tokenizer = CharTokenizer.build(["".join(chr(97 + n) for n in range(VOCABULARY - 1))])
    model = make(softmax=softmax).eval()
    save_language(tmp_path, model, tokenizer, training={"epochs": 3})
    again, found = load_language(tmp_path)
    assert found.symbols == tokenizer.symbols and asdict(again.options) == asdict(model.options)
    read = tokens(4, 2)
    assert torch.equal(again(read, again.start(2))[0], model(read, model.start(2))[0])
    assert json.loads((tmp_path / "model.json").read_text())["training"] == {"epochs": 3}


def test_a_tied_weight_is_saved_once() -> None:
    names = [name for name, value in make().state_dict().items() if value.shape == (VOCABULARY, 8)]
    assert names == ["softmax.weight"]


@pytest.mark.parametrize("cutoffs", [(), (10, 5), (100,), (10, 10)])
def test_impossible_cutoffs(cutoffs: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"language\.cutoffs=.*vocabulary of 60"):
        make(softmax="adaptive", cutoffs=cutoffs)


def test_cutoffs_beyond_the_vocabulary_are_left_out() -> None:
    assert make(softmax="adaptive", cutoffs=(10, 30, 1000)).softmax.ranges == [(10, 30), (30, 60)]

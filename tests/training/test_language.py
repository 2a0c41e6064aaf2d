from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from speechrnn.core.errors import UserError
from speechrnn.data.tokens import Block, BpttBatches, TokenBatch, TokenFile, write_tokens
from speechrnn.evaluation.perplexity import score_text
from speechrnn.nn.language import LanguageOptions
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.training.fabric import make_fabric
from speechrnn.training.language import LanguageTask, LanguageTrainerOptions, check_units, train_language

ROOT = Path(__file__).parents[2]
TOKENIZER = CharTokenizer.build(["abcdefgh"])
LANGUAGE = LanguageOptions(units=24, embedding=12, input_dropout=0.1, dropout=0.1, output_dropout=0.1)
LINES = ["abc", "cab", "bb"]  # in turn, so that a line tells which one comes next


def token_file(path: Path, lines: int, documents: bool = False) -> TokenFile:
    ids = [[*TOKENIZER.encode(LINES[number % len(LINES)]), 0] for number in range(lines)]
    return write_tokens(path, [Block(line, len(line), documents) for line in ids], len(TOKENIZER))


def trainer(**options: Any) -> LanguageTrainerOptions:
    plain = {"epochs": 2, "batch_size": 4, "bptt": 10, "accelerator": "cpu", "checkpoint_steps": 3}
    return LanguageTrainerOptions(**{**plain, **options})


def make_task(folder: Path, documents: bool = False, **options: Any) -> LanguageTask:
    chosen = trainer(**options)
    fabric = make_fabric(chosen, folder)
    texts = token_file(folder / "train", 60, documents), token_file(folder / "valid", 12, documents)
    task = LanguageTask(fabric, LANGUAGE, chosen, len(TOKENIZER), *texts, documents)
    fabric.setup_module(task.model)
    return task


def train(
    folder: Path, language: LanguageOptions = LANGUAGE, **options: Any
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    chosen = trainer(**options)
    texts = token_file(folder / "train", 120), token_file(folder / "valid", 12)
    fabric = make_fabric(chosen, folder)
    model, summary = train_language(fabric, language, chosen, TOKENIZER, *texts, documents=False, folder=folder)
    return model.state_dict(), summary


@pytest.mark.integration
def test_it_learns_what_only_a_memory_of_the_last_line_tells(tmp_path: Path) -> None:
    quick = LanguageOptions(
        layers=1, units=24, embedding=12, tied=False, input_dropout=0.0, output_dropout=0.0, weight_drop=0.0
    )
    _, summary = train(tmp_path, quick, epochs=15, learning_rate=0.03, average=0.9, gradient_clip=1.0)
    perplexities = [record["valid_perplexity"] for record in summary["history"]]
    # A line's first character is certain only for who remembers the line before; else it is one of three, three times
    # in 11 tokens.
    assert min(perplexities) < math.exp(3 * math.log(3) / 11) < perplexities[0]
    assert summary["tokens"] == 120 / 3 * 11


def test_units_without_an_effect_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"language\.units=24 has no effect.*language\.units=12.*language\.tied=false"):
        train(tmp_path, replace(LANGUAGE, layers=1))
    check_units(replace(LANGUAGE, layers=1, units=12))
    check_units(replace(LANGUAGE, layers=1, tied=False))
    check_units(replace(LANGUAGE, layers=1, softmax="mixture"))


KILLER = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
import test_language
from speechrnn.training.loop import Loop
step = Loop.step
def step_or_die(self, batch, done):
    if self.state.step == {killed_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, batch, done)
Loop.step = step_or_die
test_language.train(Path({run!r}), **{options!r})
"""


@pytest.mark.integration
@pytest.mark.parametrize("options", [{}, {"optimiser": "nt_asgd", "learning_rate": 1.0, "nonmonotone": 1, "epochs": 6}])
def test_a_killed_training_ends_with_the_same_bits(tmp_path: Path, options: dict[str, Any]) -> None:
    """State, windows, dropout and averages included; killed in the middle of an epoch."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    expected, summary = train(tmp_path / "whole", **options)
    killed_at = summary["steps"] // 2 + 5
    code = KILLER.format(
        tests=str(Path(__file__).parent), killed_at=killed_at, run=str(tmp_path / "killed"), options=options
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    saved = torch.load(tmp_path / "killed" / "last.ckpt", weights_only=True)
    assert saved["state"]["batch"] > 0 and saved["carried"].any()
    resumed, again = train(tmp_path / "killed", **options)
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name
    assert [record["valid_loss"] for record in again["history"]] == [
        record["valid_loss"] for record in summary["history"]
    ]


def test_the_averaged_weights_are_evaluated_and_saved(tmp_path: Path) -> None:
    weights, summary = train(
        tmp_path, optimiser="nt_asgd", learning_rate=5.0, nonmonotone=1, epochs=12, gradient_clip=0.0, keep="last"
    )
    assert 0 < summary["averaged_since"] < summary["steps"]
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert all(torch.equal(weights[name], saved["average"][name]) for name in weights)
    assert any(not torch.equal(weights[name], saved["model"][name]) for name in weights)
    task = make_task(tmp_path)
    task.model.load_state_dict(weights)
    assert task.evaluate(task.model.eval())["valid_loss"] == pytest.approx(summary["history"][-1]["valid_loss"])


def test_the_state_goes_on_and_its_gradient_does_not(tmp_path: Path) -> None:
    task = make_task(tmp_path, random_bptt=False)
    _, batches = task.epoch(0, 0)
    first, second, *_ = batches
    task.loss(task.model, first).backward()
    assert task.carried.any() and not task.carried.requires_grad
    task.model.eval()
    remembered = task.loss(task.model, second).item()
    task.carried = torch.zeros_like(task.carried)
    assert task.loss(task.model, second).item() != remembered
    outside = torch.zeros_like(task.carried, requires_grad=True)
    task.carried = outside
    task.loss(task.model, second).backward()
    assert outside.grad is None


@pytest.mark.parametrize("documents", [False, True])
def test_validation_in_the_loop_agrees_with_evaluate(tmp_path: Path, documents: bool) -> None:
    """Rows that begin within the text know what stands before, as the single row of `score_text` does."""
    chosen = trainer()
    texts = token_file(tmp_path / "train", 60, documents), token_file(tmp_path / "valid", 2000, documents)
    task = LanguageTask(make_fabric(chosen, tmp_path), LANGUAGE, chosen, len(TOKENIZER), *texts, documents)
    model = task.model.eval()
    assert task.valid is not None and task.valid.batch_size > 2
    score = score_text(model, texts[1], documents=documents)
    assert task.evaluate(model)["valid_loss"] == pytest.approx(score.nats_per_token, rel=1e-6)


def test_documents_know_nothing_of_each_other(tmp_path: Path) -> None:
    """The text of a document changes no loss of the next."""
    task = make_task(tmp_path, documents=True, random_bptt=False)
    task.model.eval()
    _, batches = task.epoch(0, 0)
    batch = next(iter(batches))
    fresh = TokenBatch(batch.inputs, batch.targets, torch.tensor([True, True, False, False]))
    losses = []
    for memory in (0.0, 1.0):
        task.carried = torch.full_like(task.carried, memory)
        outputs, _ = task.model(fresh.inputs, task.carried.masked_fill(fresh.fresh.unsqueeze(1), 0.0))
        losses.append(outputs)
        kept = task.loss(task.model, fresh).item()
        losses.append(torch.tensor(kept))
    assert torch.equal(losses[0][:, :2], losses[2][:, :2])
    assert not torch.equal(losses[0][:, 2:], losses[2][:, 2:])
    assert losses[1] != losses[3]
    all_fresh = TokenBatch(batch.inputs, batch.targets, torch.ones(4, dtype=torch.bool))
    task.carried = torch.ones_like(task.carried)
    alone = task.loss(task.model, all_fresh).item()
    task.carried = torch.zeros_like(task.carried)
    assert task.loss(task.model, all_fresh).item() == alone


def test_each_token_counts_as_much_whatever_rows_are_left(tmp_path: Path) -> None:
    """The gradient of a batch with one row left of four is a quarter of that row's own."""
    task = make_task(tmp_path, documents=True, random_bptt=False)
    task.model.eval()
    _, batches = task.epoch(0, 0)
    batch = next(iter(batches))
    gradients = []
    for inputs, targets in (
        (batch.inputs, batch.targets.where(torch.arange(4) == 2, torch.tensor(-1))),
        (batch.inputs[:, 2:3], batch.targets[:, 2:3]),
    ):
        part = TokenBatch(inputs, targets, torch.ones(inputs.shape[1], dtype=torch.bool))
        task.carried = task.model.start(inputs.shape[1])
        task.model.zero_grad()
        (task.loss(task.model, part) * task.weight(part)).backward()
        gradients.append(
            [parameter.grad.clone() for parameter in task.model.parameters() if parameter.grad is not None]
        )
    for few, single in zip(*gradients, strict=True):
        torch.testing.assert_close(4 * few, single)


def test_a_process_whose_rows_have_ended_has_a_loss_of_zero(tmp_path: Path) -> None:
    task = make_task(tmp_path, documents=True)
    _, batches = task.epoch(0, 0)
    batch = next(iter(batches))
    ended = TokenBatch(torch.zeros_like(batch.inputs), torch.full_like(batch.targets, -1), batch.fresh)
    loss = task.loss(task.model, ended)
    assert loss.item() == 0.0 and task.weight(ended) == 0.0
    (loss * task.weight(ended)).backward()
    assert all(torch.isfinite(p.grad).all() for p in task.model.parameters() if p.grad is not None)


def test_a_training_does_not_go_on_with_another_text_or_vocabulary(tmp_path: Path) -> None:
    train(tmp_path)
    other = CharTokenizer.build(["abcdefgz"])
    assert len(other) == len(TOKENIZER)
    chosen = trainer(epochs=3)
    texts = token_file(tmp_path / "train", 120), token_file(tmp_path / "valid", 12)
    with pytest.raises(UserError, match=r"the tokenizer has changed.*restart=true"):
        train_language(make_fabric(chosen, tmp_path), LANGUAGE, chosen, other, *texts, documents=False, folder=tmp_path)
    shifted = [[*TOKENIZER.encode(LINES[(number + 1) % 3]), 0] for number in range(120)]
    changed = write_tokens(tmp_path / "train", [Block(line, len(line)) for line in shifted], len(TOKENIZER))
    assert len(changed) == len(texts[0])
    with pytest.raises(UserError, match=r"the training data has changed.*restart=true"):
        train_language(
            make_fabric(chosen, tmp_path),
            LANGUAGE,
            chosen,
            tokenizer=TOKENIZER,
            train=changed,
            valid=texts[1],
            documents=False,
            folder=tmp_path,
        )


def test_penalties_and_the_rate_of_short_windows(tmp_path: Path) -> None:
    task = make_task(tmp_path, activation=2.0, temporal_activation=1.0)
    task.model.eval()  # nothing is drawn
    _, batches = task.epoch(0, 0)
    batch = next(iter(batches))
    outputs, _ = task.model(batch.inputs, task.carried)
    nats = -task.model.target_log_probs(outputs, batch.targets).mean()
    expected = nats + 2 * outputs.square().mean() + (outputs[1:] - outputs[:-1]).square().mean()
    torch.testing.assert_close(task.loss(task.model, batch), expected)
    assert task.rate_factor(batch) == len(batch.inputs) / 10
    assert make_task(tmp_path, random_bptt=False).rate_factor(batch) == 1.0


@pytest.mark.integration
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """Two CPU processes over gloo, by the command that a user types."""
    (tmp_path / "train.txt").write_text("\n".join(LINES * 40), encoding="utf-8")
    command = [
        sys.executable,
        str(ROOT / "recipes" / "text_prediction.py"),
        "text=file",
        "text.train=[train.txt]",
        "output=run",
        "language.units=16",
        "language.embedding=8",
        "trainer.epochs=3",
        "trainer.min_steps=0",
        "trainer.batch_size=4",
        "trainer.bptt=8",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.strategy=ddp",
        "stages=[prepare,train]",
    ]
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK")}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert ended.returncode == 0, ended.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["language"]["training"]["epochs"] == 3
    assert ended.stderr.count("epoch 3/3") == 1  # one process talks
    carried = torch.load(tmp_path / "run" / "checkpoints" / "language" / "last.ckpt", weights_only=True)["carried"]
    assert carried.shape[:2] == (2, 2) and not torch.equal(carried[0], carried[1])  # four rows in all


@pytest.mark.integration
@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_two_processes_that_run_out_of_documents_train_the_model_of_one(tmp_path: Path, penalty: float) -> None:
    """Two CPU processes over gloo; the rows of one have ended while the other reads on. 0 / 0 made its loss nan."""
    lines = 4 * ["abc cab bb"] + 30 * ["cab bb abc"] + 60 * ["bb abc cab"]  # documents of very different lengths
    documents = [" ".join(lines[: 2 + number**2]) for number in (9, 1, 2, 0, 1)]
    (tmp_path / "train.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    (tmp_path / "valid.txt").write_text("abc cab bb\n", encoding="utf-8")
    options = {
        "text": "file",
        "text.train": "[train.txt]",
        "text.valid": "[valid.txt]",
        "text.documents": "true",
        "language.units": 16,
        "language.embedding": 8,
        **{f"language.{name}": 0.0 for name in ("input_dropout", "dropout", "output_dropout", "weight_drop")},
        "trainer.epochs": 3,
        "trainer.batch_size": 4,
        "trainer.bptt": 8,
        "trainer.activation": penalty,
        "trainer.temporal_activation": penalty,
        "trainer.average": 0.0,
        "trainer.keep": "last",
        "trainer.accelerator": "cpu",
        "stages": "[prepare,train]",
    }
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK")}
    models, histories = [], []
    for processes in (1, 2):
        ended = subprocess.run(
            [
                sys.executable,
                str(ROOT / "recipes" / "text_prediction.py"),
                *(f"{key}={value}" for key, value in options.items()),
                f"output={processes}",
                f"trainer.devices={processes}",
                f"trainer.strategy={'ddp' if processes > 1 else 'auto'}",
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr
        assert "not finite" not in ended.stderr
        models.append(load_file(tmp_path / str(processes) / "language" / "model.safetensors"))
        last = torch.load(tmp_path / str(processes) / "checkpoints" / "language" / "last.ckpt", weights_only=True)
        histories.append(last["state"]["history"])
    text = TokenFile.open(tmp_path / "1" / "prepared" / "text" / "train.tokens")
    windows = list(BpttBatches(text, 4, 8, random_length=True, documents=True).plan(0))
    assert any(window.lengths[:2].sum() == 0 or window.lengths[2:].sum() == 0 for window in windows)
    assert [record["step"] for record in histories[0]] == [record["step"] for record in histories[1]]
    for first, second in zip(*histories, strict=True):
        assert first["train_loss"] == pytest.approx(second["train_loss"], rel=1e-4)
    for name, value in models[0].items():
        torch.testing.assert_close(models[1][name], value, atol=2e-4, rtol=2e-3)


def test_rows_that_processes_cannot_share_are_refused(tmp_path: Path) -> None:
    fabric: Any = SimpleNamespace(world_size=3, global_rank=0, device=torch.device("cpu"))
    text = token_file(tmp_path / "train", 12)
    with pytest.raises(UserError, match=r"trainer\.batch_size=4 .*3 processes.*multiple of 3"):
        LanguageTask(
            fabric, LANGUAGE, trainer(batch_size=4), vocabulary=len(TOKENIZER), train=text, valid=None, documents=False
        )

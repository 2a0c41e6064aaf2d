"""What training a language model is: windows of a text in turn, their loss, and perplexity on held-out text.

Truncated back-propagation through time (Williams & Peng 1990): the state goes on from window to window, the gradient
does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from speechrnn.data.tokens import BpttBatches, TokenBatch, TokenFile
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.training.fabric import TrainerOptions, precision, total
from speechrnn.training.loop import Loop

if TYPE_CHECKING:
    from lightning.fabric import Fabric

VALID_ROWS = 10  # of validation text read side by side while training; AWD-LSTM's number


@dataclass(frozen=True)
class LanguageTrainerOptions(TrainerOptions):
    """How a language model is trained; conf/trainer/language.yaml explains each key."""

    batch_size: int = field(default=64, metadata={"min": 1})
    bptt: int = field(default=40, metadata={"min": 1})
    random_bptt: bool = True
    activation: float = field(default=0.0, metadata={"min": 0.0})
    temporal_activation: float = field(default=0.0, metadata={"min": 0.0})


class LanguageTask:
    """A text and a model, as the training loop sees them.

    Attributes:
        carried: (batch, state_size), what the model remembers of each row.
    """

    criterion = "valid_perplexity"
    unit = "tokens"

    def __init__(
        self,
        fabric: Fabric,
        language: LanguageOptions,
        trainer: LanguageTrainerOptions,
        vocabulary: int,
        train: TokenFile,
        valid: TokenFile | None,
        documents: bool,
    ) -> None:
        """`documents`: whether the texts are documents that know nothing of each other."""
        self.fabric = fabric
        self.options = trainer
        torch.manual_seed(trainer.seed)
        self.model = LanguageModel(vocabulary, language)
        place = fabric.global_rank, fabric.world_size
        self.train = BpttBatches(
            train, trainer.batch_size, trainer.bptt, trainer.seed, trainer.random_bptt, documents, *place
        )
        rows = max(1, min(VALID_ROWS, len(valid) // trainer.bptt)) if valid else 0
        self.valid = BpttBatches(valid, rows, trainer.bptt, 0, False, documents, *place) if valid and rows else None
        self.carried = self.model.start(trainer.batch_size).to(fabric.device)
        self.advice = f"trainer.batch_size (now {trainer.batch_size}) or trainer.bptt (now {trainer.bptt})"

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[TokenBatch]]:
        """See `loop.Task`."""
        return self.train.number(epoch), self.train.batches(epoch, start)

    def hardest(self) -> TokenBatch:
        """See `loop.Task`."""
        length = self.options.bptt + (20 if self.options.random_bptt else 0)  # four standard deviations
        tokens = torch.randint(self.model.vocabulary, (length, self.options.batch_size))
        return TokenBatch(tokens, tokens, torch.ones(self.options.batch_size, dtype=torch.bool))

    def loss(self, model: nn.Module, batch: TokenBatch) -> Tensor:
        """See `loop.Task`: nats a token, and AWD-LSTM's penalties on the last layer (Merity et al. 2017).

        Activation regularisation is on what the softmax sees, after dropout; temporal activation regularisation on the
        differences between neighbouring outputs before it.
        """
        batch = batch.to(self.fabric.device)
        states = self.carried.detach().masked_fill(batch.fresh.unsqueeze(1), 0.0)
        outputs, states = model(batch.inputs, states)
        dropped = self.model.drop(outputs)
        with self.fabric.autocast():
            nats = -self.model.target_log_probs(dropped, batch.targets)
        loss = nats.sum() / (batch.targets >= 0).sum()
        # A state that is no number would stay with its row for good.
        self.carried = states.detach() if bool(torch.isfinite(loss)) else torch.zeros_like(states)
        if self.options.activation:
            loss = loss + self.options.activation * dropped.square().mean()
        if self.options.temporal_activation and len(outputs) > 1:
            loss = loss + self.options.temporal_activation * outputs.diff(dim=0).square().mean()
        return loss

    def amount(self, batch: TokenBatch) -> float:
        """See `loop.Task`."""
        return float((batch.targets >= 0).sum())

    def rate(self, batch: TokenBatch) -> float:
        """See `loop.Task`: a short window makes a short step, since each window counts as much (Merity et al. 2018)."""
        return len(batch.inputs) / self.options.bptt if self.options.random_bptt else 1.0

    def headline(self, loss: float) -> str:
        """See `loop.Task`."""
        return f"perplexity {math.exp(min(loss, 50.0)):.1f}"

    @torch.inference_mode()
    def evaluate(self, model: LanguageModel) -> dict[str, float]:
        """See `loop.Task`: nats a token and perplexity of the validation text, read in rows with carried states."""
        if self.valid is None:
            return {}
        states = model.start(self.valid.batch_size)
        sums = torch.zeros(2, dtype=torch.float64)
        for batch in self.valid.batches(0):
            batch = batch.to(self.fabric.device)
            states = states.masked_fill(batch.fresh.unsqueeze(1), 0.0)
            outputs, states = model(batch.inputs, states)
            sums[0] -= model.target_log_probs(outputs, batch.targets).double().sum().cpu()
            sums[1] += (batch.targets >= 0).sum().cpu()
        sums = total(self.fabric, sums.to(self.fabric.device)).cpu()
        loss = float(sums[0] / sums[1])
        return {"valid_loss": loss, "valid_perplexity": math.exp(min(loss, 50.0))}


def train_language(
    fabric: Fabric,
    language: LanguageOptions,
    trainer: LanguageTrainerOptions,
    tokenizer: Tokenizer,
    train: TokenFile,
    valid: TokenFile | None,
    documents: bool,
    folder: Path,
) -> tuple[LanguageModel, dict[str, Any]]:
    """Trains a language model, or goes on with the training that `folder` holds.

    Args:
        fabric: from `fabric.make_fabric`.
        folder: for checkpoints.

    Returns:
        the averaged model, and a summary of its training in JSON values.
    """
    task = LanguageTask(fabric, language, trainer, len(tokenizer), train, valid, documents)
    fingerprint = {
        **{f"language.{key}": value for key, value in asdict(language).items()},
        "batch_size": trainer.batch_size,
        "bptt": trainer.bptt,
        "documents": documents,
        "tokens": len(train),
        "tokenizer": tokenizer.symbols[:1000],
        "processes": fabric.world_size,
    }
    loop: Loop[TokenBatch, LanguageModel] = Loop(fabric, task, trainer, folder, fingerprint)
    model = loop.run()
    seconds = loop.state.seconds
    summary = {
        "epochs": loop.state.epoch,
        "steps": loop.state.step,
        "best_epoch": loop.state.best_epoch,
        "averaged_since": loop.average.since,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "precision": precision(trainer),
        "tokens": len(train),
        "tokens_per_second": loop.state.amount * fabric.world_size / max(seconds["data"] + seconds["step"], 1e-9),
        "seconds": seconds,
        "history": loop.state.history,
    }
    return model, summary

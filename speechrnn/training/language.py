"""The language model's training task: truncated back-propagation through time, judged by perplexity on held-out text.

The recurrent state goes on from window to window, the gradient does not (Williams & Peng 1990).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.data.fingerprint import fingerprint_tokenizer, fingerprint_tokens
from speechrnn.data.tokens import BpttBatches, TokenBatch, TokenFile
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.training.checkpoint import remove_other
from speechrnn.training.fabric import TrainerOptions, precision, sum_over_processes
from speechrnn.training.initial_language import InitialLanguage
from speechrnn.training.initialisation import frozen_parameters, weights_digest
from speechrnn.training.loop import Loop

if TYPE_CHECKING:
    from lightning.fabric import Fabric

VALID_ROWS = 10  # most, of validation text read side by side while training; AWD-LSTM's number
VALID_CONTEXT = 256  # tokens that each of them reads before its part, so that it begins in the state of the whole text
# Options of a training that make another model.
TRAINING = (
    "optimiser",
    "learning_rate",
    "warmup",
    "betas",
    "weight_decay",
    "gradient_clip",
    "average",
    "nonmonotone",
    "seed",
    "random_bptt",
    "state_reset",
    "activation",
    "temporal_activation",
    "frozen_layers",
    "frozen_steps",
)


@dataclass(frozen=True)
class LanguageTrainerOptions(TrainerOptions):
    """Options of a language model's training; the pages of conf/trainer explain each key.

    >>> LanguageTrainerOptions(batch_size=32).bptt
    40
    """

    batch_size: int = field(default=64, metadata={"min": 1})
    bptt: int = field(default=40, metadata={"min": 1})
    random_bptt: bool = True
    state_reset: float = field(default=0.01, metadata={"min": 0.0, "max": 1.0})
    activation: float = field(default=0.0, metadata={"min": 0.0})
    temporal_activation: float = field(default=0.0, metadata={"min": 0.0})


class LanguageTask:
    """A text and a language model, as the training loop needs them; see `task.Task`.

    Attributes:
        rows: of text that this process reads side by side.
        carried: (rows, state_size) recurrent state of each row.
    """

    criterion = "valid_perplexity"
    forward_methods: tuple[str, ...] = ()
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
        initial: InitialLanguage | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        """Build a model and the batches of the text.

        Args:
            fabric: from `make_fabric`.
            language: architecture.
            trainer: options of the training.
            vocabulary: number of tokens.
            train: the training text.
            valid: the validation text; None: there is none.
            documents: whether the state is reset where a document begins.
            initial: the model whose weights the training begins with; None: random ones.
            tokenizer: the vocabulary, needed with `initial`.

        Raises:
            UserError: the processes cannot share the rows of a batch equally.
        """
        self.fabric = fabric
        self.options = trainer
        torch.manual_seed(trainer.seed)
        self.model = LanguageModel(vocabulary, language)
        if initial is not None and tokenizer is not None:
            initial.copy_into(self.model, tokenizer)
        self.frozen = frozen_parameters(trainer, [], self.model.recurrent)
        if self.frozen and self.model.vectors is not None:
            self.frozen.append(self.model.vectors)
        rank, world_size = fabric.global_rank, fabric.world_size
        self.rows, left = divmod(trainer.batch_size, world_size)  # the key is of all processes together
        if left:
            raise UserError(
                f"trainer.batch_size={trainer.batch_size} rows cannot be shared by {world_size} processes; give a "
                f"multiple of {world_size}."
            )
        self.train = BpttBatches(
            train,
            self.rows,
            trainer.bptt,
            seed=trainer.seed,
            random_length=trainer.random_bptt,
            documents=documents,
            rank=rank,
            world_size=world_size,
            reset=trainer.state_reset,
        )
        self.valid = None
        if valid is not None and len(valid):
            part = trainer.bptt if documents else 8 * VALID_CONTEXT
            self.valid = BpttBatches(
                valid,
                max(1, min(VALID_ROWS, len(valid) // part)),
                trainer.bptt,
                documents=documents,
                rank=rank,
                world_size=world_size,
                context=VALID_CONTEXT,
            )
        self.carried = self.model.start(self.rows).to(fabric.device)
        self.memory_keys = f"trainer.batch_size (now {trainer.batch_size}) or trainer.bptt (now {trainer.bptt})"

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[TokenBatch]]:
        """Return the number of batches of an epoch, and its batches from number `start` on."""
        return self.train.number(epoch), self.train.batches(epoch, start)

    def largest_batch(self) -> TokenBatch:
        """Return a batch of random tokens in the longest window."""
        length = self.options.bptt + (20 if self.options.random_bptt else 0)  # four standard deviations
        tokens = torch.randint(self.model.vocabulary, (length, self.rows))
        return TokenBatch(tokens, tokens, torch.ones(self.rows, dtype=torch.bool))

    def loss(self, model: nn.Module, batch: TokenBatch) -> Tensor:
        """Return nats a token, plus AWD-LSTM's penalties on the last layer (Merity et al. 2017).

        Activation regularisation acts on the softmax's inputs, after dropout; temporal activation regularisation on the
        differences between neighbouring outputs before dropout.
        """
        batch = batch.to(self.fabric.device)
        states = self.carried.detach().masked_fill(batch.fresh.unsqueeze(1), 0.0)
        outputs, states = model(batch.inputs, states)
        dropped = self.model.drop(outputs)
        with self.fabric.autocast():
            nats = -self.model.target_log_probs(dropped, batch.targets)
        # In one of several processes all rows may have ended, and the loss of no token is 0.
        there = batch.targets >= 0
        number = there.sum().clamp_min(1)
        loss = nats.sum() / number
        # A state that is not finite would stay in its row for ever.
        self.carried = torch.where(torch.isfinite(loss.detach()), states.detach(), torch.zeros_like(states))
        if self.options.activation:
            loss = loss + self.options.activation * (dropped.square().mean(2) * there).sum() / number
        if self.options.temporal_activation and len(outputs) > 1:
            # Of a window of n tokens there are n - 1 changes a row.
            squares = outputs.diff(dim=0).square().mean(2) * there[1:]
            factor = self.options.temporal_activation * len(outputs) / (len(outputs) - 1)
            loss = loss + factor * squares.sum() / number
        return loss

    def weight(self, batch: TokenBatch) -> float:
        """Return the share of the batch's places that have a target: rows end where there are no more documents.

        Each token counts as much, in a batch of 64 rows and in the last one of an epoch, where a single row is left.
        """
        return self.amount(batch) / batch.targets.numel()

    def check_loss(self, batch: TokenBatch, loss: float) -> None:
        """Accept any loss: the tokens of a text always have a probability."""

    def amount(self, batch: TokenBatch) -> float:
        """Return the number of target tokens of a batch."""
        return float((batch.targets >= 0).sum())

    def rate_factor(self, batch: TokenBatch) -> float:
        """Return the factor of the learning rate: a short window makes a short step (Merity et al. 2018)."""
        return len(batch.inputs) / self.options.bptt if self.options.random_bptt else 1.0

    def format_loss(self, loss: float) -> str:
        """Return a mean training loss as perplexity."""
        return f"perplexity {math.exp(min(loss, 50.0)):.1f}"

    @torch.inference_mode()
    def evaluate(self, model: LanguageModel) -> dict[str, float]:
        """Return nats a token and perplexity of the validation text, read in rows with carried states.

        Each row first reads some tokens before its part, so that the figures are those of `score_text` for one row.
        """
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
        sums = sum_over_processes(self.fabric, sums.to(self.fabric.device)).cpu()
        loss = float(sums[0] / sums[1])
        return {"valid_loss": loss, "valid_perplexity": math.exp(min(loss, 50.0))}


def check_units(language: LanguageOptions) -> None:
    """Check that `units` has an effect: a single layer with a tied softmax is as wide as the embedding.

    Raises:
        UserError: it has none. Models that were trained before still load, so this is not checked in `LanguageOptions`.
    """
    single = language.layers == 1 and language.tied and language.softmax != "mixture"
    if single and language.units != language.embedding:
        raise UserError(
            f"language.units={language.units} has no effect on a single layer with a tied softmax, which is as wide as "
            f"the embedding; give language.units={language.embedding} (language.embedding), or language.tied=false."
        )


def train_language(
    fabric: Fabric,
    language: LanguageOptions,
    trainer: LanguageTrainerOptions,
    tokenizer: Tokenizer,
    train: TokenFile,
    valid: TokenFile | None,
    documents: bool,
    folder: Path,
    save: Callable[[LanguageModel, dict[str, Any]], None] | None = None,
    replace_other: bool = False,
    initial: InitialLanguage | None = None,
) -> tuple[LanguageModel, dict[str, Any]]:
    """Train a language model, or resume the training whose checkpoints are in `folder`.

    >>> model, summary = train_language(
    ...     fabric, LanguageOptions(), LanguageTrainerOptions(), tokenizer, train, valid, False, folder
    ... )  # doctest: +SKIP

    Args:
        fabric: from `make_fabric`.
        language: architecture.
        trainer: options of the training.
        tokenizer: the tokenizer of the texts.
        train: the training text.
        valid: the validation text; None: there is none.
        documents: whether the state is reset where a document begins.
        folder: folder for checkpoints.
        save: called with the model and its summary after each epoch whose model would be kept.
        replace_other: where `folder` holds the training of another model, text or options, train anew and log why.
        initial: the model whose weights the training begins with; None: random ones.

    Returns:
        the averaged model, and a summary of its training in JSON values.

    Raises:
        UserError: an option that has no effect, or see `Loop.run`.
    """
    check_units(language)
    task = LanguageTask(
        fabric,
        language,
        trainer,
        vocabulary=len(tokenizer),
        train=train,
        valid=valid,
        documents=documents,
        initial=initial,
        tokenizer=tokenizer,
    )
    fingerprint = {
        **{f"language.{key}": value for key, value in asdict(language).items()},
        "batch_size": trainer.batch_size,
        "bptt": trainer.bptt,
        "documents": documents,
        "training data": fingerprint_tokens(train),
        "validation data": fingerprint_tokens(valid) if valid is not None else None,
        "tokenizer": fingerprint_tokenizer(tokenizer),
        "processes": fabric.world_size,
        **{f"trainer.{key}": getattr(trainer, key) for key in TRAINING},
    }
    if initial is not None:
        fingerprint["initial weights"] = weights_digest(initial.model)
    # Checkpoints of older versions record fewer options.
    defaults = {f"language.{key}": value for key, value in asdict(LanguageOptions()).items()}
    defaults |= {key: value for key, value in fingerprint.items() if key.startswith("trainer.")}
    if replace_other:
        if fabric.is_global_zero:
            remove_other(folder, fingerprint, defaults)
        fabric.barrier()

    def summary(model: LanguageModel) -> dict[str, Any]:
        seconds = loop.state.seconds
        return {
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

    def publish(model: LanguageModel) -> None:
        if save is not None:
            save(model, summary(model))

    loop: Loop[TokenBatch, LanguageModel] = Loop(
        fabric, task, trainer, folder=folder, fingerprint=fingerprint, publish=publish, defaults=defaults
    )
    model = loop.run()
    return model, summary(model)

"""The training loop: epochs of steps, an evaluation after each epoch, and a checkpoint that everything can go on from.

The loop is on lightning's Fabric, which brings devices, precision, processes and loggers. All state is in one record,
and nothing else is remembered: the batches of an epoch, the random numbers of a step and the learning rate are
functions of (seed, epoch, batch). A training that is killed and started again therefore ends where an
uninterrupted one ends, on a CPU bit for bit.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.training.average import Average, TriggeredAverage
from speechrnn.training.fabric import TrainerOptions, precision, total
from speechrnn.training.optimiser import make_optimiser, rate_at
from speechrnn.training.progress import Progress
from speechrnn.training.task import BatchT, ModelT, State, Task

if TYPE_CHECKING:
    from lightning.fabric import Fabric

logger = logging.getLogger("speechrnn")


class Loop(Generic[BatchT, ModelT]):
    """Trains the model of a task, from wherever the checkpoint folder says that it was."""

    def __init__(
        self,
        fabric: Fabric,
        task: Task[BatchT, ModelT],
        options: TrainerOptions,
        folder: Path,
        fingerprint: dict[str, Any],
    ) -> None:
        """Args:
        folder: for `last.ckpt`, `best.ckpt` and batches without a finite loss.
        fingerprint: plain values that a checkpoint must agree with to be gone on from: model, data, options.
        """
        self.fabric = fabric
        self.task = task
        self.options = options
        self.folder = folder
        self.fingerprint = fingerprint
        self.state = State()
        fabric.to_device(task.model)
        self.average: Average[ModelT] = (
            TriggeredAverage(task.model, options.nonmonotone)
            if options.optimiser == "nt_asgd"
            else Average(task.model, options.average)
        )
        optimiser = make_optimiser(
            task.model, options.optimiser, options.learning_rate, options.betas, options.weight_decay
        )
        self.model, self.optimiser = fabric.setup(task.model, optimiser)

    def run(self) -> ModelT:
        """Trains to the end and returns the averaged model, the best or the last as the options say."""
        if not self.restore(self.folder / "last.ckpt"):
            self.rehearse()
        first_batches, _ = self.task.epoch(0, 0)
        epochs = max(self.options.epochs, math.ceil(self.options.min_steps / max(first_batches, 1)))
        with Progress(epochs, self.state, self.task, visible=self.fabric.is_global_zero) as progress:
            while self.state.epoch < epochs and not self.out_of_patience():
                self.run_epoch(epochs, progress)
        if self.options.keep == "best" and (self.folder / "best.ckpt").exists():
            self.restore(self.folder / "best.ckpt", only_average=True)
        return self.average.model

    def run_epoch(self, epochs: int, progress: Progress) -> None:
        """The rest of the current epoch, its evaluation and its checkpoint."""
        state = self.state
        size, batches = self.task.epoch(state.epoch, state.batch)
        if size == 0:
            raise UserError("There is nothing left to train on; the prepared folder's summary.json says why.")
        self.model.train()
        for batch in self.timed(batches):
            began = time.monotonic()
            self.step(batch, (state.epoch + state.batch / size) / epochs)
            state.batch += 1
            state.seconds["step"] += time.monotonic() - began
            progress.step(state, size)
            if state.batch < size and state.step % self.options.checkpoint_steps == 0:
                self.save("last.ckpt")
        self.finish_epoch(size, progress)

    def timed(self, batches: Iterable[BatchT]) -> Iterator[BatchT]:
        """The same batches, with the time spent waiting for them on record."""
        iterator = iter(batches)
        while True:
            began = time.monotonic()
            batch = next(iterator, None)
            self.state.seconds["data"] += time.monotonic() - began
            if batch is None:
                return
            yield batch

    def step(self, batch: BatchT, done: float) -> None:
        """One optimiser step; `done` is the share of the training behind it."""
        state, options = self.state, self.options
        torch.manual_seed((options.seed << 40) + (state.epoch * 1_000_003 + state.batch) * 64 + self.fabric.global_rank)
        rate = options.learning_rate * self.task.rate(batch)
        if options.optimiser == "adamw":
            rate *= rate_at(done, options.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        state.amount += self.task.amount(batch)
        loss = self.task.loss(self.model, batch)
        if not self.all_finite(loss):
            self.skip(batch, loss)
            return
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.model, self.optimiser, max_norm=options.gradient_clip or math.inf, error_if_nonfinite=False
        )
        if norm is not None and not self.all_finite(norm) and precision(options) != "16-mixed":
            self.skip(batch, norm)  # in 16 bits the loss scaler does as much, and lowers its scale
            return
        state.nonfinite = 0
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        state.step += 1
        state.loss_sum += loss.item()
        state.counted += 1
        self.average.update(self.task.model, state.step)
        if state.step % 20 == 0:
            self.fabric.log_dict({"train/loss": loss.item(), "train/rate": rate}, state.step)

    def all_finite(self, value: Tensor) -> bool:
        """Whether a value is a number in every process, so that all of them step or none does."""
        return total(self.fabric, (~torch.isfinite(value.detach())).float()).item() == 0

    def skip(self, batch: BatchT, value: Tensor) -> None:
        """Leaves out a batch whose loss or gradient norm is not finite in some process, keeps it for inspection, and
        stops at too many in a row."""
        state = self.state
        state.nonfinite += 1
        self.optimiser.zero_grad(set_to_none=True)
        path = self.folder / "nonfinite" / f"epoch{state.epoch}-batch{state.batch}-rank{self.fabric.global_rank}.pt"
        with atomic_write(path, "wb") as file:
            torch.save(vars(batch), file)
        logger.warning(
            "Batch %d of epoch %d is left out: its loss or gradient is no finite number (here %s); saved to %s.",
            *(state.batch + 1, state.epoch + 1, value.item(), path),
        )
        if state.nonfinite >= self.options.nonfinite_patience:
            raise UserError(
                f"Loss or gradient was not finite {state.nonfinite} times in a row; the batches are in {path.parent}; "
                "lower trainer.learning_rate or look for damaged recordings among them."
            )

    def finish_epoch(self, size: int, progress: Progress) -> None:
        """Evaluates the averaged model, remembers the figures, and saves."""
        state, options = self.state, self.options
        began = time.monotonic()
        figures = self.task.evaluate(self.average.model)
        state.seconds["evaluation"] += time.monotonic() - began
        # The mean over processes, which must agree on what is best, or one would wait for the others for ever.
        sums = total(self.fabric, torch.tensor([state.loss_sum, float(state.counted)], device=self.fabric.device))
        train_loss = float(sums[0] / sums[1].clamp_min(1))
        record = {"epoch": state.epoch + 1, "step": state.step, "train_loss": train_loss, **figures}
        state.history.append(record)
        state.epoch, state.batch, state.loss_sum, state.counted = state.epoch + 1, 0, 0.0, 0
        criterion = record.get(self.task.criterion, record["train_loss"])
        state.stale = 0 if criterion < state.best else state.stale + 1
        better = criterion <= state.best  # of equals the later one, whose loss is mostly smaller
        if better:
            state.best, state.best_epoch = criterion, state.epoch
            self.save("best.ckpt")
        figures_so_far = [past.get(self.task.criterion, past["train_loss"]) for past in state.history]
        if self.average.look_back(figures_so_far, state.step):
            logger.info(
                "No better for %d epochs: from here on the mean of all steps is the model.", options.nonmonotone
            )
        self.save("last.ckpt")
        self.fabric.log_dict({f"epoch/{name}": value for name, value in record.items()}, state.step)
        progress.epoch(state, better)

    def out_of_patience(self) -> bool:
        """Whether the criterion has not improved for `patience` epochs."""
        return self.options.patience is not None and self.state.stale >= self.options.patience

    def rehearse(self) -> None:
        """Tries the hardest batch once, so that memory runs out now or not at all; nothing of it is kept."""
        try:
            self.fabric.backward(self.task.loss(self.model, self.task.hardest()))
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
                raise
            raise UserError(f"The largest batch does not fit into memory; lower {self.task.advice}.") from error
        self.optimiser.zero_grad(set_to_none=True)

    def save(self, name: str) -> None:
        """Writes the whole state, by the first process, under a temporary name first."""
        carried = self.fabric.all_gather(self.task.carried) if self.fabric.world_size > 1 else self.task.carried[None]
        if self.fabric.is_global_zero:
            with atomic_write(self.folder / name, "wb") as file:
                torch.save(
                    {
                        "model": self.task.model.state_dict(),
                        "average": self.average.model.state_dict(),
                        "optimiser": self.optimiser.state_dict(),
                        "averaged_since": self.average.since,
                        "carried": carried,  # (processes, ...)
                        "scaler": self.fabric.strategy.precision.state_dict(),
                        "state": vars(self.state),
                        "fingerprint": self.fingerprint,
                    },
                    file,
                )
        self.fabric.barrier()

    def restore(self, path: Path, only_average: bool = False) -> bool:
        """Goes on from a checkpoint, if there is one.

        Raises:
            UserError: it is damaged, or comes from another configuration.
        """
        if not path.exists():
            return False
        try:
            saved = torch.load(path, map_location=self.fabric.device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise UserError(
                f"The checkpoint {path} is damaged; remove it, or start afresh with restart=true."
            ) from error
        if saved["fingerprint"] != self.fingerprint:
            raise UserError(
                f"The checkpoint {path} comes from another configuration "
                f"({difference(saved['fingerprint'], self.fingerprint)}); use another name= or restart=true."
            )
        self.average.model.load_state_dict(saved["average"])
        if not only_average:
            self.task.model.load_state_dict(saved["model"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.average.since = saved["averaged_since"]
            self.task.carried = saved["carried"][self.fabric.global_rank]
            self.fabric.strategy.precision.load_state_dict(saved["scaler"])
            self.state = State(**saved["state"])
            logger.info("Going on from epoch %d, step %d.", self.state.epoch + 1, self.state.step)
        return True


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The first few entries in which two fingerprints differ, in words."""
    changes = [
        f"{key} was {old.get(key)!r}, is {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    return "; ".join(changes[:3])

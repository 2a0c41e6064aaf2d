"""The training loop: epochs of steps, an evaluation after each epoch, and checkpoints to resume from.

The loop uses lightning's Fabric for devices, precision, processes and loggers. All state is in one record: the batches
of an epoch, the random numbers of a step and the learning rate are functions of (seed, epoch, batch). A training that
is killed and started again therefore ends with the same weights as an uninterrupted one, on a CPU bit for bit.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.core.plural import count
from speechrnn.training.average import Average, TriggeredAverage
from speechrnn.training.checkpoint import BEST, LAST, damaged, read_checkpoint, restore_newest
from speechrnn.training.fabric import TrainerOptions, precision, sum_over_processes
from speechrnn.training.optimiser import make_optimiser, rate_at
from speechrnn.training.pending import READ_STEPS, PendingStep, read_outcomes, skip_where
from speechrnn.training.progress import Progress
from speechrnn.training.schedule import Schedule
from speechrnn.training.seeds import step_seed
from speechrnn.training.task import BatchT, ModelT, State, Task

if TYPE_CHECKING:
    from lightning.fabric import Fabric

logger = logging.getLogger("speechrnn")


class Loop(Generic[BatchT, ModelT]):
    """Train the model of a task, from its last checkpoint where there is one.

    >>> model = Loop(fabric, task, options, Path("checkpoints"), {"layers": 3}).run()  # doctest: +SKIP
    """

    def __init__(
        self,
        fabric: Fabric,
        task: Task[BatchT, ModelT],
        options: TrainerOptions,
        folder: Path,
        fingerprint: dict[str, Any],
        publish: Callable[[ModelT], None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        capped: bool = False,
    ) -> None:
        """Set up model, average and optimiser.

        Args:
            fabric: from `make_fabric`.
            task: the model and its data.
            options: of the training.
            folder: folder for `last.ckpt`, `best.ckpt` and batches without a finite loss.
            fingerprint: plain values of model, data and options; only a checkpoint with the same values is resumed.
            publish: called in the first process with the averaged model after each epoch whose model would be kept.
            defaults: values of the fingerprint that checkpoints of older versions do not have.
            capped: see `Schedule`.
        """
        self.fabric = fabric
        self.task = task
        self.options = options
        self.folder = folder
        self.fingerprint = fingerprint
        self.publish = publish
        self.defaults = defaults or {}
        self.state = State()
        self.schedule = Schedule(fabric, options, self.state, capped=capped)
        fabric.to_device(task.model)
        self.average: Average[ModelT] = (
            TriggeredAverage(task.model, options.nonmonotone)
            if options.optimiser == "nt_asgd"
            else Average(task.model, options.average)
        )
        optimiser = make_optimiser(
            task.model,
            options.optimiser,
            options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
            scaled=precision(options) == "16-mixed",
        )
        # On a GPU steps are queued. In 16 bits the loss scaler reads each of them from the device itself.
        self.waits = fabric.device.type == "cpu" or precision(options) == "16-mixed"
        self.pending: list[PendingStep[BatchT]] = []
        self.saved = False  # a checkpoint is there
        self.model, self.optimiser = fabric.setup(task.model, optimiser)
        for method in task.forward_methods:
            self.model.mark_forward_method(method)

    def run(self) -> ModelT:
        """Train to the end.

        Returns:
            the averaged model, of the best or of the last epoch as the options say.

        Raises:
            UserError: a batch does not fit into memory, too many losses were not finite, or a checkpoint is wrong.
        """
        resumed = self.saved = restore_newest(self.folder, self.restore)
        self.schedule = Schedule(self.fabric, self.options, self.state, capped=self.schedule.capped)
        first, size = (self.task.epoch(epoch, 0)[0] for epoch in (0, self.state.epoch))
        self.schedule.start(first, size, self.time_evaluation)
        if not resumed:
            self.try_largest_batch()
        elif self.is_finished():
            logger.info("The training has finished before, after %s.", count(self.state.epoch, "epoch"))
        else:
            logger.info("Going on from epoch %d, step %d.", self.state.epoch + 1, self.state.step)
        with Progress(self.schedule.epochs, self.state, self.task, visible=self.fabric.is_global_zero) as progress:
            while not self.is_finished():
                self.run_epoch(progress)
        if self.options.keep == "best" and (self.folder / BEST).exists():
            self.restore(self.folder / BEST, only_average=True)
        return self.average.model

    def run_epoch(self, progress: Progress) -> None:
        """Train for the rest of the current epoch, or up to the end of the plan; then evaluate and save."""
        state = self.state
        size, batches = self.task.epoch(state.epoch, state.batch)
        if size == 0:
            raise UserError("There is nothing left to train on; the prepared folder's summary.json says why.")
        self.model.train()
        waiting = self.time_batches(batches)
        while not self.schedule.has_ended(size) and (batch := next(waiting, None)) is not None:
            began = time.monotonic()
            self.step(batch, self.schedule.progress(size))
            state.batch += 1
            state.seconds["step"] += time.monotonic() - began
            progress.step(state, size)
            if self.schedule.is_measured():
                progress.set_epochs(self.schedule.plan_minutes(size, self.time_evaluation()).epochs)
                self.save(LAST)
            elif state.batch < size and state.step % self.options.checkpoint_steps == 0:
                self.save(LAST)
        self.finish_epoch(size, progress)

    def time_batches(self, batches: Iterable[BatchT]) -> Iterator[BatchT]:
        """Yield the batches, and add the time spent waiting for them to the state."""
        iterator = iter(batches)
        while True:
            began = time.monotonic()
            batch = next(iterator, None)
            self.state.seconds["data"] += time.monotonic() - began
            if batch is None:
                return
            yield batch

    def step(self, batch: BatchT, done: float) -> None:
        """Take one optimiser step; `done` is the share of the training before it, 0 to 1."""
        state, options = self.state, self.options
        torch.manual_seed(step_seed(options.seed, state.epoch, state.batch, rank=self.fabric.global_rank))
        rate = options.learning_rate * self.task.rate_factor(batch)
        if options.optimiser == "adamw":
            rate *= rate_at(done, self.schedule.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        state.amount += self.task.amount(batch)
        loss = self.task.loss(self.model, batch)
        if not self.waits:
            self.queue_step(batch, loss, rate)
            return
        if not self.all_finite(loss):
            self.skip(batch, state.batch, loss.item())
            return
        weight = self.task.weight(batch)
        norm = self.compute_gradients(loss * weight)
        if norm is not None and not self.all_finite(norm) and precision(options) != "16-mixed":
            # In 16 bits the loss scaler skips the step, and lowers its scale.
            self.skip(batch, state.batch, norm.item())
            return
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        state.step += 1
        self.count_loss(batch, loss.item(), weight)
        self.average.update(self.task.model, state.step)
        if state.step % 20 == 0:
            self.fabric.log_dict({"train/loss": loss.item(), "train/rate": rate}, state.step)

    def compute_gradients(self, loss: Tensor) -> Tensor | None:
        """Compute the gradients of a loss, without those of frozen parameters, and clip them; return their norm."""
        self.fabric.backward(loss)
        if self.state.step < self.options.frozen_steps:
            for parameter in self.task.frozen:
                parameter.grad = None  # the optimiser passes over it: no step, no weight decay, no momentum
        clip = self.options.gradient_clip or math.inf
        return self.fabric.clip_gradients(self.model, self.optimiser, max_norm=clip, error_if_nonfinite=False)

    def queue_step(self, batch: BatchT, loss: Tensor, rate: float) -> None:
        """Take an optimiser step without reading from the device; where a number is not finite, the device skips it."""
        state, weight = self.state, self.task.weight(batch)
        norm = self.compute_gradients(loss * weight)
        broken = ~torch.isfinite(loss.detach())
        if norm is not None:
            broken = broken | ~torch.isfinite(norm)
        broken = (sum_over_processes(self.fabric, broken.float()) > 0).float()
        skip_where(self.optimiser.optimizer, broken)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        state.step += 1
        self.average.update(self.task.model, state.step)
        outcome = torch.stack([loss.detach().float(), broken])
        self.pending.append(PendingStep(batch, state.batch, outcome, weight=weight, rate=rate))
        if len(self.pending) >= READ_STEPS:
            self.read_pending()

    def read_pending(self) -> None:
        """Read the outcomes of the queued steps: count their losses, and save the batches of those that were skipped.

        Raises:
            UserError: there were too many of them in a row.
        """
        steps, self.pending = self.pending, []
        for outcome in read_outcomes(steps):
            step = outcome.step
            if outcome.finite:
                self.count_loss(step.batch, outcome.loss, step.weight)
                self.fabric.log_dict({"train/loss": outcome.loss, "train/rate": step.rate}, self.state.step)
            else:
                self.state.step -= 1
                self.skip(step.batch, step.number, outcome.loss)

    def count_loss(self, batch: BatchT, loss: float, weight: float) -> None:
        """Add the loss of a step to the figures of the epoch."""
        state = self.state
        self.task.check_loss(batch, loss)
        state.nonfinite = 0
        state.loss_sum += loss * weight
        state.counted += weight

    def all_finite(self, value: Tensor) -> bool:
        """Return whether a value is finite in every process, so that all processes take a step or none does."""
        return sum_over_processes(self.fabric, (~torch.isfinite(value.detach())).float()).item() == 0

    def skip(self, batch: BatchT, number: int, value: float) -> None:
        """Skip a batch whose loss or gradient norm is not finite in some process, and save it for inspection.

        Args:
            batch: the batch.
            number: its place in the epoch, from 0.
            value: its loss or the norm of its gradient.

        Raises:
            UserError: there were too many of them in a row.
        """
        state = self.state
        state.nonfinite += 1
        self.optimiser.zero_grad(set_to_none=True)
        path = self.folder / "nonfinite" / f"epoch{state.epoch}-batch{number}-rank{self.fabric.global_rank}.pt"
        with atomic_write(path, "wb") as file:
            torch.save(vars(batch), file)
        logger.warning(
            "Batch %d of epoch %d is skipped: its loss or gradient is not finite (%s); the batch is saved to %s.",
            number + 1,
            state.epoch + 1,
            value,
            path,
        )
        if state.nonfinite >= self.options.nonfinite_patience:
            raise UserError(
                f"Loss or gradient was not finite {state.nonfinite} times in a row; the batches are in {path.parent}; "
                "lower trainer.learning_rate or look for damaged recordings among them."
            )

    def finish_epoch(self, size: int, progress: Progress) -> None:
        """Evaluate the averaged model, record the figures, and save."""
        self.read_pending()
        state, options = self.state, self.options
        figures = self.evaluate()
        # The mean over processes: they must agree on the best epoch, or one would wait for the others for ever.
        sums = sum_over_processes(self.fabric, torch.tensor([state.loss_sum, state.counted], device=self.fabric.device))
        train_loss = float(sums[0] / sums[1]) if sums[1] > 0 else 0.0
        record = {"epoch": state.epoch + 1, "step": state.step, "train_loss": train_loss, **figures}
        state.history.append(record)
        state.epoch, state.batch, state.loss_sum, state.counted = state.epoch + 1, 0, 0.0, 0.0
        criterion = record.get(self.task.criterion, record["train_loss"])
        state.stale = 0 if criterion < state.best else state.stale + 1
        better = criterion <= state.best  # of equal epochs the later one, whose loss is mostly smaller
        if better:
            state.best, state.best_epoch = criterion, state.epoch
            self.save(BEST)
        # Before the checkpoint of the epoch: a training that is killed in between does the epoch, and this, again.
        if self.publish is not None and self.fabric.is_global_zero and (better or options.keep == "last"):
            self.check_present()
            self.publish(self.average.model)
        criteria = [past.get(self.task.criterion, past["train_loss"]) for past in state.history]
        if self.average.end_epoch(criteria, state.step):
            logger.info(
                "No improvement for %d epochs: from here on the model is the mean of all steps.", options.nonmonotone
            )
        self.save(LAST)
        self.fabric.log_dict({f"epoch/{name}": value for name, value in record.items()}, state.step)
        progress.epoch(state, better)
        self.schedule.log_stop()

    def evaluate(self) -> dict[str, float]:
        """Return the figures of the averaged model, and add the time that they take to the state."""
        began = time.monotonic()
        figures = self.task.evaluate(self.average.model)
        self.state.seconds["evaluation"] += time.monotonic() - began
        return figures

    def time_evaluation(self) -> float:
        """Return how many seconds an evaluation takes."""
        before = self.state.seconds["evaluation"]
        self.evaluate()
        return self.state.seconds["evaluation"] - before

    def is_finished(self) -> bool:
        """Return whether all epochs are done, or the criterion has not improved for `patience` epochs.

        A training within an epoch is not finished: the epoch has yet to be evaluated.
        """
        return self.state.batch == 0 and (self.schedule.has_stopped() or self.schedule.has_ended(1))

    def try_largest_batch(self) -> None:
        """Compute the gradient of the largest batch once, so that memory runs out at the start or not at all.

        Raises:
            UserError: it does not fit into memory.
        """
        try:
            carried = self.task.carried
            self.fabric.backward(self.task.loss(self.model, self.task.largest_batch()))
            self.task.carried = carried  # label priors, and states of rows, are those of the training alone
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
                raise
            raise UserError(f"The largest batch does not fit into memory; lower {self.task.memory_keys}.") from error
        self.optimiser.zero_grad(set_to_none=True)

    def save(self, name: str) -> None:
        """Write a checkpoint of the whole training, in the first process."""
        self.read_pending()
        carried = self.fabric.all_gather(self.task.carried) if self.fabric.world_size > 1 else self.task.carried[None]
        if self.fabric.is_global_zero:
            self.check_present()
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
            self.saved = True
        self.fabric.barrier()

    def check_present(self) -> None:
        """Raise UserError where the checkpoints that this training has written or read are gone, with their folder."""
        if self.saved and not self.folder.is_dir():
            raise UserError(
                f"{self.folder} was removed while the training ran; give the same command again to start it afresh."
            )

    def restore(self, path: Path, only_average: bool = False) -> bool:
        """Restore the training from a checkpoint.

        Args:
            path: the checkpoint.
            only_average: restore the averaged weights and nothing else.

        Returns:
            whether there is a checkpoint.

        Raises:
            UserError: it is damaged, or comes from another configuration.
        """
        if not path.exists():
            return False
        saved = read_checkpoint(path, self.fingerprint, self.fabric.device, defaults=self.defaults)
        try:
            self.average.model.load_state_dict(saved["average"])
            if not only_average:
                self.task.model.load_state_dict(saved["model"])
                self.optimiser.load_state_dict(saved["optimiser"])
                self.fabric.strategy.precision.load_state_dict(saved["scaler"])
                self.average.since = int(saved["averaged_since"])
                carried = saved["carried"][self.fabric.global_rank]
                if carried.shape != self.task.carried.shape:
                    raise ValueError
                self.task.carried = carried
                self.state = saved["state"]
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise damaged(path, "its parts are not those of this training") from error
        return True

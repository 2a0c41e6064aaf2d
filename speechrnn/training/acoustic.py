"""The acoustic model's training task: CTC on a corpus, judged by the word error rate of greedy decoding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.audio.augmentation import WaveformAugment
from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.data.dataset import Batch, PlannedBatches, Utterances, examples, loader
from speechrnn.data.fingerprint import fingerprint_cuts, fingerprint_files, fingerprint_tokenizer, fingerprint_values
from speechrnn.decoding.greedy import greedy
from speechrnn.evaluation.metrics import character_errors, word_errors
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.nn.ctc import LabelPriors, consistency_loss, ctc_loss, required_frames
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import CharTokenizer, Tokenizer
from speechrnn.training.acoustic_options import AcousticSettings
from speechrnn.training.fabric import precision, sum_over_processes
from speechrnn.training.feature_statistics import fit_normalisation
from speechrnn.training.initialisation import InitialModel, frozen_parameters, weights_digest
from speechrnn.training.loop import Loop
from speechrnn.training.selection import check_pronunciations, select_long_enough

if TYPE_CHECKING:
    from lhotse import CutSet
    from lightning.fabric import Fabric

logger = logging.getLogger("speechrnn")
IMPLAUSIBLE_LOSS = 100.0  # nats a label
MOST_WARNINGS = 10  # of implausible losses in one process
LARGEST_DEV_LOSS = 100.0  # nats a label; an utterance that is too short for its labels has an infinite loss


class AcousticTask:
    """A corpus and an acoustic model, as the training loop needs them; see `task.Task`.

    Attributes:
        left_out: utterances too short for their labels at the fastest speed of the augmentation.
        contents: digests of the files that options name; None where one names none.
    """

    criterion = "dev_wer"
    forward_methods: tuple[str, ...] = ("training_outputs",)
    unit = "seconds of audio"

    def __init__(
        self,
        fabric: Fabric,
        settings: AcousticSettings,
        tokenizer: Tokenizer,
        train: CutSet,
        dev: CutSet | None,
        initial: InitialModel | None = None,
    ) -> None:
        """Build the model and the batches of the corpus.

        Args:
            fabric: from `make_fabric`.
            settings: options of the training.
            tokenizer: the alphabet.
            train: the training part.
            dev: the held-out part; None: there is none.
            initial: the model whose weights the training begins with; None: random ones.

        Raises:
            UserError: no utterance is long enough for its labels.
        """
        self.fabric = fabric
        self.tokenizer = tokenizer
        self.warnings = 0  # of implausible losses so far
        trainer = settings.trainer
        self.priors = LabelPriors(trainer.label_priors, len(tokenizer)) if trainer.label_priors > 0 else None
        if self.priors is not None:
            self.priors.mean = self.priors.mean.to(fabric.device)
        self.memory_keys = f"trainer.batch_seconds (now {trainer.batch_seconds:g}) or corpus.max_seconds"
        self.sampling_rate = settings.features.sampling_rate
        torch.manual_seed(trainer.seed)
        self.options = trainer
        self.intermediate_labels: Callable[[str], list[int] | None] | None = None
        symbols, phones = 0, None
        if settings.acoustic.intermediate_layer > settings.acoustic.layers:
            raise UserError(
                f"acoustic.intermediate_layer={settings.acoustic.intermediate_layer} is beyond the last of "
                f"acoustic.layers={settings.acoustic.layers}."
            )
        if settings.acoustic.intermediate_layer > 0:
            self.intermediate_labels, symbols = tokenizer.encode, len(tokenizer)
            if tokenizer.kind == "phone":
                characters = CharTokenizer.build(cut.supervisions[0].text for cut in train)
                self.intermediate_labels, symbols = characters.encode, len(characters)
            elif trainer.pronunciations is not None:
                pronunciations = Pronunciations.read(trainer.pronunciations, "trainer.pronunciations")
                self.intermediate_labels, symbols = pronunciations.encode, len(pronunciations.symbols)
                phones = fingerprint_values(pronunciations.symbols, pronunciations.words)
                check_pronunciations(pronunciations, train, trainer.pronunciations)
        self.model = AcousticModel(
            len(tokenizer),
            settings.features,
            settings.acoustic,
            masks=settings.masks,
            channel=settings.channel,
            intermediate_symbols=symbols,
        )
        stack = self.model.recurrent
        levels = [nn.ModuleList(level) for level in zip(stack.layers, stack.norms, strict=True)]
        self.frozen = frozen_parameters(trainer, [self.model.subsampling, self.model.input], levels)
        train, self.left_out = select_long_enough(train, self.model, tokenizer, fastest=max(settings.waveform.speeds))
        if len(train) == 0:
            raise UserError(
                f"No training utterance has enough frames for its labels; lower acoustic.stride "
                f"(now {settings.acoustic.stride})."
            )
        rate = settings.features.sampling_rate
        process = {"rank": fabric.global_rank, "world_size": fabric.world_size}
        share = trainer.batch_seconds / fabric.world_size  # the key is of all processes together
        self.batches = PlannedBatches(examples(train), share, trainer.seed, shuffle=True, **process)
        cache = int(trainer.cache_gigabytes * (1 << 30))
        augment = WaveformAugment(settings.waveform, rate)
        self.contents = {
            "pronunciations": phones,
            "content of augmentation.waveform.noise": fingerprint_files(augment.noise_files),
            "content of augmentation.waveform.rooms": fingerprint_files(augment.room_files),
        }
        self.slowest = min(settings.waveform.speeds)
        self.padding = 2 * settings.waveform.padding
        self.utterances = Utterances(tokenizer, rate, augment, seed=trainer.seed, cache_bytes=cache)
        self.train = loader(self.utterances, self.batches, trainer.workers)
        self.dev = None
        if dev is not None and len(dev) > 0:
            unshuffled = PlannedBatches(examples(dev), share, trainer.seed, shuffle=False, **process)
            self.dev = loader(Utterances(tokenizer, rate, cache_bytes=cache), unshuffled, workers=0)
        if initial is not None:
            initial.copy_into(self.model, tokenizer)
        elif settings.features.normalisation in ("training", "level"):
            fit_normalisation(self.model.front_end, self.utterances.plain(), self.batches.plan(epoch=0), fabric=fabric)

    @property
    def carried(self) -> Tensor:
        """Return the state between utterances: the label priors, if there are any."""
        return self.priors.mean if self.priors is not None else torch.empty(0)

    @carried.setter
    def carried(self, value: Tensor) -> None:
        if self.priors is not None:
            self.priors.mean = value.to(self.fabric.device)

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[Batch]]:
        """Return the number of batches of an epoch, and its batches from number `start` on."""
        self.batches.epoch, self.batches.start = epoch, start
        return len(self.batches.plan(epoch)), self.train

    def largest_batch(self) -> Batch:
        """Return the batch that needs the most memory, with the longest utterances that augmentation may make."""
        batch = self.utterances.plain()[0, self.batches.largest(self.slowest, self.padding)]
        slowest = min(self.slowest, 1.0)  # augmentation may make them longer than they are
        lengths = (batch.lengths / slowest).long() + int(self.padding * self.sampling_rate)
        longer = int(lengths.max()) - batch.waveforms.shape[1]
        return replace(batch, waveforms=F.pad(batch.waveforms, (0, longer)), lengths=lengths)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the CTC loss in nats a label."""
        # Lengths stay on the CPU: to read them from a GPU would stop its queue of work.
        host = batch
        batch = batch.to(self.fabric.device)
        views = 2 if self.options.consistency_weight > 0 else 1
        # A wrapper for one process sets the precision of `forward` only.
        with self.fabric.autocast():
            log_probs, middle, frames = cast(AcousticModel, model).training_outputs(
                batch.waveforms, host.lengths, views
            )
        spoken = self.model.frames(batch.spoken).repeat(views, 1)
        host_frames = self.model.frames(host.lengths).repeat(views)
        labels, label_lengths = batch.labels.repeat(views), batch.label_lengths.repeat(views)
        priors = self.priors.weighted() if self.priors is not None else None
        loss = ctc_loss(
            log_probs,
            host_frames,
            labels,
            label_lengths=host.label_lengths.repeat(views),
            spoken=spoken,
            log_priors=priors,
        )
        if self.priors is not None:
            self.priors.update(log_probs, frames)
        if middle is not None:
            weight = self.options.intermediate_weight
            loss = (1 - weight) * loss + weight * self.intermediate_loss(host, middle, host_frames, spoken=spoken)
        if views > 1:
            loss = loss + self.options.consistency_weight * consistency_loss(log_probs, frames, label_lengths)
        return loss

    def intermediate_loss(self, batch: Batch, log_probs: Tensor, frames: Tensor, spoken: Tensor) -> Tensor:
        """Return the CTC loss of the intermediate layer.

        Utterances with a word of unknown pronunciation are left out, and those with fewer frames than labels: of a
        model of phones, the intermediate labels are characters, of which there are more.

        Args:
            batch: the batch, on the CPU.
            log_probs: (views * batch, frames, symbols).
            frames: (views * batch,) valid frames, on the CPU.
            spoken: (views * batch, 2), see `ctc_loss`.
        """
        assert self.intermediate_labels is not None
        rows = [self.intermediate_labels(text) for text in batch.texts] * (len(frames) // len(batch.texts))
        speech = self.model.frames(batch.spoken[:, 1] - batch.spoken[:, 0]).tolist() * (len(frames) // len(batch.texts))
        known = [number for number, row in enumerate(rows) if row and required_frames(row) <= speech[number]]
        if not known:
            return log_probs.sum() * 0.0
        labels = [rows[number] or [] for number in known]
        rows_of = torch.tensor(known)
        chosen = rows_of.to(log_probs.device, non_blocking=True)
        flat = torch.tensor([label for row in labels for label in row]).to(log_probs.device, non_blocking=True)
        lengths = torch.tensor([len(row) for row in labels])
        return ctc_loss(log_probs[chosen], frames[rows_of], flat, label_lengths=lengths, spoken=spoken[chosen])

    def weight(self, batch: Batch) -> float:
        """Return 1: all batches have the same weight."""
        return 1.0

    def check_loss(self, batch: Batch, loss: float) -> None:
        """Warn of a loss that no model of this audio and these labels should have, with the batch's utterances."""
        if loss > IMPLAUSIBLE_LOSS and self.warnings < MOST_WARNINGS:
            self.warnings += 1
            more = f" and {len(batch.ids) - 5} more" if len(batch.ids) > 5 else ""
            logger.warning(
                "A batch has a loss of %.0f nats a label, as if its texts did not belong to its audio: look for wrong "
                "transcripts, labels that do not fit between long pauses, or augmentation that is too strong, among "
                "the utterances %s%s.",
                loss,
                ", ".join(batch.ids[:5]),
                more,
            )

    def amount(self, batch: Batch) -> float:
        """Return the seconds of audio of a batch, without padding."""
        return float(batch.lengths.sum()) / self.sampling_rate

    def rate_factor(self, batch: Batch) -> float:
        """Return 1: all batches have the same learning rate."""
        return 1.0

    def format_loss(self, loss: float) -> str:
        """Return a mean training loss in nats a label."""
        return f"loss {loss:.3f}"

    @torch.inference_mode()
    def evaluate(self, model: AcousticModel) -> dict[str, float]:
        """Return the loss in nats a label, WER and CER on dev; each process decodes its share of the batches."""
        if self.dev is None:
            return {}
        sums = torch.zeros(6, dtype=torch.float64)
        for batch in self.dev:
            batch = batch.to(self.fabric.device)
            log_probs, frames = model(batch.waveforms, batch.lengths)
            loss = ctc_loss(log_probs, frames, batch.labels, label_lengths=batch.label_lengths).clamp_max(
                LARGEST_DEV_LOSS
            )
            texts = [self.tokenizer.decode(result.tokens) for result in greedy(log_probs, frames)]
            words, characters = word_errors(batch.texts, texts), character_errors(batch.texts, texts)
            sums += torch.tensor(
                [
                    loss.item() * len(texts),
                    len(texts),
                    sum(errors.errors for errors in words),
                    sum(errors.reference_length for errors in words),
                    sum(errors.errors for errors in characters),
                    sum(errors.reference_length for errors in characters),
                ],
                dtype=torch.float64,
            )
        sums = sum_over_processes(self.fabric, sums.to(self.fabric.device)).cpu()
        loss_sum, utterances, word_sum, word_count, character_sum, character_count = sums.tolist()
        return {
            "dev_loss": loss_sum / utterances,
            "dev_wer": word_sum / max(word_count, 1),
            "dev_cer": character_sum / max(character_count, 1),
        }


def train_acoustic(
    fabric: Fabric,
    settings: AcousticSettings,
    tokenizer: Tokenizer,
    train: CutSet,
    dev: CutSet | None,
    folder: Path,
    save: Callable[[AcousticModel, dict[str, Any]], None] | None = None,
    initial: InitialModel | None = None,
    chosen: dict[str, float] | None = None,
) -> tuple[AcousticModel, dict[str, Any]]:
    """Train an acoustic model, or resume the training whose checkpoints are in `folder`.

    >>> model, summary = train_acoustic(fabric, settings, tokenizer, train, dev, folder)  # doctest: +SKIP

    Args:
        fabric: from `make_fabric`.
        settings: options of the training.
        tokenizer: the alphabet.
        train: the training part.
        dev: the held-out part; None: there is none.
        folder: folder for checkpoints.
        save: called with the model and its summary after each epoch whose model would be kept.
        initial: the model whose weights the training begins with; None: random ones.
        chosen: keys that were `auto`, with the values that were chosen for this corpus; see `defaults.choose`.

    Returns:
        the averaged model, and a summary of its training in JSON values.

    Raises:
        UserError: see `AcousticTask` and `Loop.run`.
    """
    task = AcousticTask(fabric, settings, tokenizer, train=train, dev=dev, initial=initial)
    if task.left_out and fabric.is_global_zero:
        first = ", ".join(f"{short.id} ({short.frames} frames, {short.needed} needed)" for short in task.left_out[:5])
        logger.warning("Left out %d utterances too short for their labels: %s.", len(task.left_out), first)
    if fabric.world_size > 1 and fabric.is_global_zero:
        logger.info(
            "%d processes share each step: trainer.batch_seconds=%g is that of all together, %.4g each, and "
            "trainer.learning_rate=%g is the rate of their mean gradient.",
            fabric.world_size,
            settings.trainer.batch_seconds,
            settings.trainer.batch_seconds / fabric.world_size,
            settings.trainer.learning_rate,
        )
    fingerprint = {
        **{f"features.{key}": value for key, value in asdict(settings.features).items()},
        **{f"acoustic.{key}": value for key, value in asdict(settings.acoustic).items()},
        "training data": fingerprint_cuts(train),
        "validation data": fingerprint_cuts(dev) if dev is not None else None,
        "tokenizer": fingerprint_tokenizer(tokenizer),
        **task.contents,
        "processes": fabric.world_size,
        # The loop stores the end of the training and its warm-up with its state.
        **{key: value for key, value in (chosen or {}).items() if key == "trainer.batch_seconds"},
    }
    if initial is not None:
        fingerprint["initial weights"] = weights_digest(initial.model)

    def summary(model: AcousticModel) -> dict[str, Any]:
        return {
            "epochs": loop.state.epoch,
            "steps": loop.state.step,
            "best_epoch": loop.state.best_epoch,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "precision": precision(settings.trainer),
            "utterances": len(task.batches.examples),
            "left_out": [asdict(short) for short in task.left_out],
            "chosen": chosen or {},
            "seconds": loop.state.seconds,
            "history": loop.state.history,
        }

    def publish(model: AcousticModel) -> None:
        if save is not None:
            save(model, summary(model))

    # Checkpoints of older versions record fewer options.
    defaults = {f"features.{key}": value for key, value in asdict(FeatureOptions()).items()}
    defaults |= {f"acoustic.{key}": value for key, value in asdict(AcousticOptions()).items()}
    defaults |= task.contents
    capped = "trainer.warmup" in (chosen or {})
    loop: Loop[Batch, AcousticModel] = Loop(
        fabric,
        task,
        settings.trainer,
        folder=folder,
        fingerprint=fingerprint,
        publish=publish,
        defaults=defaults,
        capped=capped,
    )
    model = loop.run()
    return model, summary(model)

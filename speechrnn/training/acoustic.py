"""The acoustic training task: CTC on a corpus, judged by the word errors of greedy decoding."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformAugment, WaveformOptions
from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.data.dataset import Batch, BucketedBatches, Utterances, loader
from speechrnn.decoding.greedy import greedy
from speechrnn.evaluation.metrics import character_errors, word_errors
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, ctc_loss, required_frames
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.text.unknown_symbols import count_unknown_symbols, describe_unknown
from speechrnn.training.fabric import TrainerOptions, precision, total
from speechrnn.training.loop import Loop

if TYPE_CHECKING:
    from lhotse import CutSet
    from lightning.fabric import Fabric

logger = logging.getLogger("speechrnn")
UNREADABLE = 100.0  # nats a label at most for a dev batch, one of whose utterances may be too short for its labels


@dataclass(frozen=True)
class AcousticTrainerOptions(TrainerOptions):
    """How an acoustic model is trained; conf/trainer/acoustic.yaml explains each key."""

    batch_seconds: float = field(default=45.0, metadata={"min": 0.1})
    workers: int = field(default=0, metadata={"min": 0})
    cache_gigabytes: float = field(default=1.0, metadata={"min": 0.0})


@dataclass(frozen=True)
class AcousticSettings:
    """Everything that shapes an acoustic training, one record a config group."""

    features: FeatureOptions
    acoustic: AcousticOptions
    masks: SpecAugmentOptions
    waveform: WaveformOptions
    trainer: AcousticTrainerOptions


@dataclass(frozen=True)
class LeftOut:
    """An utterance that CTC cannot learn from: it has fewer frames than its labels need."""

    id: str
    frames: int
    needed: int


class AcousticTask:
    """A corpus and a model, as the training loop sees them.

    Attributes:
        left_out: utterances too short for their labels, at the fastest speed that augmentation may give them.
    """

    criterion = "dev_wer"
    unit = "seconds of audio"

    def __init__(
        self, fabric: Fabric, settings: AcousticSettings, tokenizer: Tokenizer, train: CutSet, dev: CutSet | None
    ) -> None:
        self.fabric = fabric
        self.tokenizer = tokenizer
        self.carried = torch.empty(0)  # every utterance begins anew
        trainer = settings.trainer
        self.advice = f"trainer.batch_seconds (now {trainer.batch_seconds:g}) or corpus.max_seconds"
        self.sampling_rate = settings.features.sampling_rate
        torch.manual_seed(trainer.seed)
        self.model = AcousticModel(len(tokenizer), settings.features, settings.acoustic, settings.masks)
        train, self.left_out = fitting(train, self.model, tokenizer, max(settings.waveform.speeds))
        if len(train) == 0:
            raise UserError(
                f"No training utterance has enough frames for its labels; lower acoustic.stride "
                f"(now {settings.acoustic.stride})."
            )
        rate = settings.features.sampling_rate
        place = {"rank": fabric.global_rank, "world_size": fabric.world_size}
        self.batches = BucketedBatches(train, trainer.batch_seconds, trainer.seed, shuffle=True, **place)
        cache = int(trainer.cache_gigabytes * (1 << 30))
        augment = WaveformAugment(settings.waveform, rate)
        self.slowest = min(settings.waveform.speeds)
        self.padding = 2 * settings.waveform.padding
        self.utterances = Utterances(tokenizer, rate, augment, trainer.seed, cache)
        self.train = loader(self.utterances, self.batches, trainer.workers)
        self.dev = None
        if dev is not None and len(dev) > 0:
            unshuffled = BucketedBatches(dev, trainer.batch_seconds, trainer.seed, shuffle=False, **place)
            self.dev = loader(Utterances(tokenizer, rate, cache_bytes=cache), unshuffled, workers=0)
        if settings.features.normalisation == "training":
            self.fit_normalisation()

    def fit_normalisation(self) -> None:
        """Gives the front end the mean and variance of the training set as it is, without augmentation."""
        front_end = self.model.front_end
        added = torch.zeros(front_end.dimensions, dtype=torch.float64)
        squares, frames = added.clone(), 0
        plain = self.utterances.plain()
        for utterances in self.batches.plan(epoch=0):
            batch = plain[0, utterances]
            features, lengths = front_end.extract(batch.waveforms, batch.lengths)
            for row, length in zip(features.double(), lengths, strict=True):
                added += row[:length].sum(0)
                squares += row[:length].square().sum(0)
            frames += int(lengths.sum())
        sums = torch.stack([added, squares, torch.full_like(added, frames)])
        sums = total(self.fabric, sums.to(self.fabric.device)).cpu()
        front_end.normalise.fit(sums[0], sums[1], int(sums[2, 0]))

    def epoch(self, epoch: int, start: int) -> tuple[int, Iterable[Batch]]:
        """See `loop.Task`."""
        self.batches.epoch, self.batches.start = epoch, start
        return len(self.batches.plan(epoch)), self.train

    def hardest(self) -> Batch:
        """See `loop.Task`."""
        batch = self.utterances.plain()[0, self.batches.longest(self.padding)]
        slowest = min(self.slowest, 1.0)  # augmentation may make them longer than they are
        lengths = (batch.lengths / slowest).long() + int(self.padding * self.sampling_rate)
        longer = int(lengths.max()) - batch.waveforms.shape[1]
        return replace(batch, waveforms=F.pad(batch.waveforms, (0, longer)), lengths=lengths)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """See `loop.Task`."""
        batch = batch.to(self.fabric.device)
        log_probs, frames = model(batch.waveforms, batch.lengths)
        return ctc_loss(log_probs, frames, batch.labels, batch.label_lengths, self.model.frames(batch.spoken))

    def amount(self, batch: Batch) -> float:
        """See `loop.Task`: seconds of audio, padding apart."""
        return float(batch.lengths.sum()) / self.sampling_rate

    def rate(self, batch: Batch) -> float:
        """See `loop.Task`."""
        return 1.0

    def headline(self, loss: float) -> str:
        """See `loop.Task`."""
        return f"loss {loss:.3f}"

    @torch.inference_mode()
    def evaluate(self, model: AcousticModel) -> dict[str, float]:
        """See `loop.Task`: loss in nats a label, WER and CER on dev, each process taking its share of the batches."""
        if self.dev is None:
            return {}
        sums = torch.zeros(6, dtype=torch.float64)
        for batch in self.dev:
            batch = batch.to(self.fabric.device)
            log_probs, frames = model(batch.waveforms, batch.lengths)
            loss = ctc_loss(log_probs, frames, batch.labels, batch.label_lengths).clamp_max(UNREADABLE)
            texts = [self.tokenizer.decode(reading.tokens) for reading in greedy(log_probs, frames)]
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
        sums = total(self.fabric, sums.to(self.fabric.device)).cpu()
        loss_sum, utterances, word_sum, word_count, character_sum, character_count = sums.tolist()
        return {
            "dev_loss": loss_sum / utterances,
            "dev_wer": word_sum / max(word_count, 1),
            "dev_cer": character_sum / max(character_count, 1),
        }


def readable(cuts: CutSet, tokenizer: Tokenizer) -> CutSet:
    """The cuts whose text the tokenizer can write; unknown characters are reported with counts and utterance ids."""
    report = count_unknown_symbols(tokenizer, ((cut.id, cut.supervisions[0].text) for cut in cuts))
    if not report:
        return cuts
    kept = cuts.filter(lambda cut: not tokenizer.count_unknown(cut.supervisions[0].text)).to_eager()
    logger.warning("%s Left out %d utterances.", describe_unknown(report), len(cuts) - len(kept))
    return kept


def fitting(cuts: CutSet, model: AcousticModel, tokenizer: Tokenizer, fastest: float) -> tuple[CutSet, list[LeftOut]]:
    """The cuts whose frames can carry their labels even when played `fastest` times as fast, and the others."""
    rate = model.front_end.options.sampling_rate
    left_out = []
    for cut in cuts:
        samples = torch.tensor(int(cut.duration * rate / fastest))
        frames = int(model.frames(samples))
        needed = required_frames(tokenizer.encode(cut.supervisions[0].text))
        if frames < needed:
            left_out.append(LeftOut(cut.id, frames, needed))
    short = {utterance.id for utterance in left_out}
    return cuts.filter(lambda cut: cut.id not in short).to_eager(), left_out


def train_acoustic(
    fabric: Fabric, settings: AcousticSettings, tokenizer: Tokenizer, train: CutSet, dev: CutSet | None, folder: Path
) -> tuple[AcousticModel, dict[str, Any]]:
    """Trains an acoustic model, or goes on with the training that `folder` holds.

    Args:
        fabric: from `fabric.make_fabric`.
        folder: for checkpoints.

    Returns:
        the averaged model, and a summary of its training in JSON values.
    """
    task = AcousticTask(fabric, settings, tokenizer, train, dev)
    if task.left_out and fabric.is_global_zero:
        first = ", ".join(f"{short.id} ({short.frames} frames, {short.needed} needed)" for short in task.left_out[:5])
        logger.warning("Left out %d utterances too short for their labels: %s.", len(task.left_out), first)
    fingerprint = {
        **{f"features.{key}": value for key, value in asdict(settings.features).items()},
        **{f"acoustic.{key}": value for key, value in asdict(settings.acoustic).items()},
        "utterances": len(task.batches.cuts),
        "tokenizer": tokenizer.symbols[:1000],
        "processes": fabric.world_size,
    }
    loop: Loop[Batch, AcousticModel] = Loop(fabric, task, settings.trainer, folder, fingerprint)
    model = loop.run()
    summary = {
        "epochs": loop.state.epoch,
        "steps": loop.state.step,
        "best_epoch": loop.state.best_epoch,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "precision": precision(settings.trainer),
        "utterances": len(task.batches.cuts),
        "left_out": [asdict(short) for short in task.left_out],
        "seconds": loop.state.seconds,
        "history": loop.state.history,
    }
    return model, summary

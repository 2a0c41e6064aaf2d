"""Utterances into batches: bucketed by duration, loaded, augmented, padded.

What a batch holds is a function of (seed, epoch, place in the epoch) alone. A resumed training therefore needs to
remember two numbers to see exactly the batches that it would have seen.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from speechrnn.audio import AudioError, load_audio
from speechrnn.audio.augmentation import AugmentedWaveform, WaveformAugment, change_speed
from speechrnn.data.batching import group_by_length, largest_batch, plan_batches
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from lhotse import CutSet

logger = logging.getLogger("speechrnn")
LoadedT = TypeVar("LoadedT")


@dataclass(frozen=True)
class Example:
    """A labelled utterance: the fields of the manifest that a batch needs.

    Attributes:
        start, duration: the part of the file, seconds.
        channel: which channel of the file, or "mix".
        speaker: name of the speaker; None: not known.
    """

    id: str
    audio: Path
    text: str
    start: float
    duration: float
    channel: int | str = "mix"
    speaker: str | None = None

    def load(self, sampling_rate: int) -> np.ndarray:
        """Load (samples,) float32 at a rate in Hz. AudioError where the file cannot be read."""
        samples, _ = load_audio(self.audio, sampling_rate, self.channel, start=self.start, duration=self.duration)
        return samples


@dataclass(frozen=True)
class Batch:
    """Padded utterances.

    Attributes:
        waveforms: (batch, samples) float32, zero beyond each length.
        lengths: (batch,) samples.
        labels: (all labels of the batch,) one utterance after the other.
        label_lengths: (batch,).
        spoken: (batch, 2), the samples between which each recording lies; what augmentation put before and after it
            holds no word.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    waveforms: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor
    spoken: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the same batch with its tensors on a device."""
        return Batch(
            self.ids,
            self.texts,
            self.waveforms.to(device, non_blocking=True),
            lengths=self.lengths.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            label_lengths=self.label_lengths.to(device, non_blocking=True),
            spoken=self.spoken.to(device, non_blocking=True),
        )


def examples(cuts: CutSet) -> list[Example]:
    """Return the utterances of a lhotse cut set, one supervision each."""
    return [
        Example(
            id=cut.id,
            audio=Path(cut.recording.sources[0].source),
            text=cut.supervisions[0].text,
            start=cut.start,
            duration=cut.duration,
            channel=cut.channel if isinstance(cut.channel, int) else "mix",
            speaker=cut.supervisions[0].speaker,
        )
        for cut in cuts
    ]


def pad(waveforms: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Pad waveforms, (samples,) each, with zeros to (batch, most samples) float32; return (batch,) lengths too."""
    lengths = torch.tensor([len(wave) for wave in waveforms])
    padded = torch.zeros(len(waveforms), int(lengths.max()))
    for row, wave in zip(padded, waveforms, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    return padded, lengths


def batch_by_length(utterances: Sequence[Example], batch_seconds: float) -> list[list[Example]]:
    """Return utterances of similar duration together, the longest first; see `group_by_length`."""
    durations = {number: utterance.duration for number, utterance in enumerate(utterances)}
    return [[utterances[number] for number in batch] for batch in group_by_length(durations, batch_seconds)]


def load_all(utterances: Sequence[Example], load: Callable[[Example], LoadedT]) -> tuple[list[Example], list[LoadedT]]:
    """Load the waveform of each utterance; a damaged file is reported and left out."""
    kept, waveforms = [], []
    for utterance in utterances:
        try:
            waveforms.append(load(utterance))
            kept.append(utterance)
        except AudioError as error:
            logger.warning("Left out %s: %s", utterance.id, error)
    return kept, waveforms


class Utterances(Dataset[Batch]):
    """A dataset that loads the batches of a sampler: (epoch, examples) -> Batch.

    Decoded audio is kept in memory as 16-bit integers up to `cache_bytes`, least recently used going first, since
    decoding and changing the speed cost more than everything else here.

    >>> from speechrnn.audio import save_audio
    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.wav"
    >>> save_audio(path, np.full(8000, 0.1, np.float32), 16000)
    >>> dataset = Utterances(CharTokenizer.build(["AB"]), sampling_rate=16000)
    >>> batch = dataset[0, [Example("a", path, "AB", 0.0, 0.5)]]
    >>> batch.waveforms.shape, batch.labels.tolist()
    (torch.Size([1, 8000]), [1, 2])
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        sampling_rate: int,
        augment: WaveformAugment | None = None,
        seed: int = 0,
        cache_bytes: int = 1 << 30,
    ) -> None:
        self.tokenizer = tokenizer
        self.sampling_rate = sampling_rate
        self.augment = augment
        self.seed = seed
        self.cache_bytes = cache_bytes
        self.cache: OrderedDict[tuple[str, float], np.ndarray] = OrderedDict()
        self.cached_bytes = 0

    def __getitem__(self, request: tuple[int, Sequence[Example]]) -> Batch:
        epoch, requested = request
        utterances, sounds = load_all(requested, lambda utterance: self.waveform(utterance, epoch))
        if not sounds:
            raise AudioError(f"No file of a batch can be read, {requested[0].audio} among them; repair the corpus.")
        waveforms, lengths = pad([sound.samples for sound in sounds])
        labels = [self.tokenizer.encode(utterance.text) for utterance in utterances]
        return Batch(
            ids=tuple(utterance.id for utterance in utterances),
            texts=tuple(utterance.text for utterance in utterances),
            waveforms=waveforms,
            lengths=lengths,
            labels=torch.tensor([label for row in labels for label in row], dtype=torch.long),
            label_lengths=torch.tensor([len(row) for row in labels]),
            spoken=torch.tensor([[sound.start, sound.end] for sound in sounds]),
        )

    def plain(self) -> Utterances:
        """Return the same dataset without augmentation and without a cache."""
        return Utterances(self.tokenizer, self.sampling_rate, cache_bytes=0)

    def waveform(self, utterance: Example, epoch: int) -> AugmentedWaveform:
        """Return the waveform of an utterance with this epoch's augmentation."""
        if self.augment is None:
            samples = self.load(utterance, speed=1.0)
            return AugmentedWaveform(samples, 0, len(samples))
        generator = np.random.default_rng([self.seed, epoch, zlib.crc32(utterance.id.encode())])
        samples = self.load(utterance, self.augment.draw_speed(generator))
        return self.augment(samples, generator)

    def load(self, utterance: Example, speed: float) -> np.ndarray:
        """Return (samples,) float32 at the model's rate, from memory where it is there."""
        key = (utterance.id, speed)
        kept = self.cache.get(key)
        if kept is None:
            samples = change_speed(utterance.load(self.sampling_rate), speed)
            kept = np.round(samples.clip(-1, 1) * 32767).astype(np.int16)
            self.cache[key] = kept
            self.cached_bytes += kept.nbytes
            while self.cached_bytes > self.cache_bytes:
                self.cached_bytes -= self.cache.popitem(last=False)[1].nbytes
        else:
            self.cache.move_to_end(key)
        return kept.astype(np.float32) / 32767


class PlannedBatches(Sampler[tuple[int, list[Example]]]):
    """Sample the batches of one epoch after the other, as `batching.plan_batches` plans them.

    >>> examples = [Example(str(number), Path("a.wav"), "A", 0.0, 1.0 + number) for number in range(3)]
    >>> sampler = PlannedBatches(examples, batch_seconds=4.0, seed=0, shuffle=False)
    >>> [[example.id for example in batch] for batch in sampler.plan(epoch=0)]
    [['2'], ['1', '0']]

    Attributes:
        examples: all utterances.
        epoch: the epoch that the next iteration samples.
        start: number of its batches that the next iteration leaves out, for a resumption.
    """

    def __init__(
        self,
        examples: Iterable[Example],
        batch_seconds: float,
        seed: int,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Prepare a sampler for one of `world_size` processes.

        Args:
            examples: the utterances.
            batch_seconds: most padded seconds of a batch; a longer utterance is a batch of its own.
            seed: of the plans.
            shuffle: False gives each epoch the same batches, the longest utterances first; processes may then have
                different numbers of batches.
            rank: this process, from 0.
            world_size: number of processes; each has its own batches.
        """
        self.examples = list(examples)
        self.batch_seconds = batch_seconds
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start = 0
        self._durations = np.array([example.duration for example in self.examples], np.float64)
        self._planned: tuple[int, list[list[Example]]] | None = None

    def plan(self, epoch: int) -> list[list[Example]]:
        """Return all batches of an epoch for this process; each process has the same number of training batches."""
        if self._planned is None or self._planned[0] != epoch:
            self._planned = epoch, self._plan(epoch)
        return self._planned[1]

    def _plan(self, epoch: int) -> list[list[Example]]:
        if not self.shuffle:
            return batch_by_length(self.examples, self.batch_seconds)[self.rank :: self.world_size]
        batches = plan_batches(self._durations, self.batch_seconds, self.seed, epoch=epoch, world_size=self.world_size)
        return [[self.examples[number] for number in batch] for batch in batches[self.rank :: self.world_size]]

    def largest(self, slowest: float = 1.0, added: float = 0.0) -> list[Example]:
        """Return the training batch with the most padded audio of all epochs; see `batching.largest_batch`."""
        batch = largest_batch(self._durations, self.batch_seconds, slowest, added=added)
        return [self.examples[number] for number in batch]

    def __iter__(self) -> Iterator[tuple[int, list[Example]]]:
        for utterances in self.plan(self.epoch)[self.start :]:
            yield self.epoch, utterances


def loader(dataset: Utterances, batches: PlannedBatches, workers: int) -> DataLoader[Batch]:
    """Return a torch loader whose workers, and so their caches, persist from epoch to epoch."""
    return DataLoader(
        dataset,
        sampler=batches,
        batch_size=None,  # the sampler already gives whole batches
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="forkserver" if workers > 0 else None,
        worker_init_fn=_end_with_training if workers > 0 else None,
    )


def _end_with_training(worker: int) -> None:
    """End this worker process when the training's process is gone, also after SIGKILL.

    torch's workers end when their parent does; but the parent of this one is the fork server, which lives as long as a
    worker does.
    """
    training = multiprocessing.parent_process()

    def watch() -> None:
        if training is not None:
            wait([training.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

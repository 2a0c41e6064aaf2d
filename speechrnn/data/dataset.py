"""Utterances into batches: bucketed by duration, loaded, augmented, padded.

What a batch holds is a function of (seed, epoch, place in the epoch) alone. A resumed training therefore needs to
remember two numbers to see exactly the batches that it would have seen.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from speechrnn.audio import AudioError, load_audio
from speechrnn.audio.augmentation import AugmentedWaveform, WaveformAugment, change_speed
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from lhotse import CutSet

logger = logging.getLogger("speechrnn")
LoadedT = TypeVar("LoadedT")


@dataclass(frozen=True)
class Example:
    """One labelled utterance, as a batch needs it: no more of the manifest than that.

    Attributes:
        start, duration: the part of the file, seconds.
        channel: which channel of the file, or "mix".
    """

    id: str
    audio: Path
    text: str
    start: float
    duration: float
    channel: int | str = "mix"

    def load(self, sampling_rate: int) -> np.ndarray:
        """Its (samples,) float32 at a rate in Hz. AudioError where the file cannot be read."""
        samples, _ = load_audio(self.audio, sampling_rate, self.channel, self.start, self.duration)
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
        """The same batch with its tensors on a device."""
        return Batch(
            self.ids,
            self.texts,
            self.waveforms.to(device, non_blocking=True),
            self.lengths.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.label_lengths.to(device, non_blocking=True),
            self.spoken.to(device, non_blocking=True),
        )


def examples(cuts: CutSet) -> list[Example]:
    """The utterances of a lhotse cut set, one supervision each."""
    return [
        Example(
            id=cut.id,
            audio=Path(cut.recording.sources[0].source),
            text=cut.supervisions[0].text,
            start=cut.start,
            duration=cut.duration,
            channel=cut.channel if isinstance(cut.channel, int) else "mix",
        )
        for cut in cuts
    ]


def pad(waveforms: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Waveforms of (samples,) each -> (batch, most samples) float32 with zeros at the ends, (batch,) lengths."""
    lengths = torch.tensor([len(wave) for wave in waveforms])
    padded = torch.zeros(len(waveforms), int(lengths.max()))
    for row, wave in zip(padded, waveforms, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    return padded, lengths


def by_length(lengths: Mapping[int, float], batch_seconds: float) -> list[list[int]]:
    """Keys of like length together, the longest first; a batch times its longest is at most `batch_seconds`.

    Args:
        lengths: seconds by key; one that is longer than `batch_seconds` gets a batch of its own.
    """
    groups: list[list[int]] = []
    longest = 0.0
    for number in sorted(lengths, key=lambda number: -lengths[number]):
        if groups and (len(groups[-1]) + 1) * longest <= batch_seconds:
            groups[-1].append(number)
        else:
            groups.append([number])
            longest = lengths[number]
    return groups


def batches_of(utterances: Sequence[Example], batch_seconds: float) -> list[list[Example]]:
    """Utterances of like length together; see `by_length`."""
    lengths = {number: utterance.duration for number, utterance in enumerate(utterances)}
    return [[utterances[number] for number in batch] for batch in by_length(lengths, batch_seconds)]


def load_all(utterances: Sequence[Example], load: Callable[[Example], LoadedT]) -> tuple[list[Example], list[LoadedT]]:
    """The utterances and what is loaded of each; one that turns out to be damaged is reported and left out."""
    kept, waveforms = [], []
    for utterance in utterances:
        try:
            waveforms.append(load(utterance))
            kept.append(utterance)
        except AudioError as error:
            logger.warning("Left out %s: %s", utterance.id, error)
    return kept, waveforms


class Utterances(Dataset[Batch]):
    """Loads what a sampler asks for: (epoch, examples) -> Batch.

    Decoded audio is kept in memory as 16-bit integers up to `cache_bytes`, least recently used going first, since
    decoding and changing the speed cost more than everything else here.
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
        utterances, heard = load_all(requested, lambda utterance: self.waveform(utterance, epoch))
        if not heard:
            raise AudioError(f"No file of a batch can be read, {requested[0].audio} among them; repair the corpus.")
        waveforms, lengths = pad([sound.samples for sound in heard])
        labels = [self.tokenizer.encode(utterance.text) for utterance in utterances]
        return Batch(
            ids=tuple(utterance.id for utterance in utterances),
            texts=tuple(utterance.text for utterance in utterances),
            waveforms=waveforms,
            lengths=lengths,
            labels=torch.tensor([label for row in labels for label in row], dtype=torch.long),
            label_lengths=torch.tensor([len(row) for row in labels]),
            spoken=torch.tensor([[sound.start, sound.end] for sound in heard]),
        )

    def plain(self) -> Utterances:
        """The same without augmentation and without a memory."""
        return Utterances(self.tokenizer, self.sampling_rate, cache_bytes=0)

    def waveform(self, utterance: Example, epoch: int) -> AugmentedWaveform:
        """One utterance as this epoch hears it."""
        if self.augment is None:
            samples = self.load(utterance, speed=1.0)
            return AugmentedWaveform(samples, 0, len(samples))
        generator = np.random.default_rng([self.seed, epoch, zlib.crc32(utterance.id.encode())])
        samples = self.load(utterance, self.augment.draw_speed(generator))
        return self.augment(samples, generator)

    def load(self, utterance: Example, speed: float) -> np.ndarray:
        """(samples,) float32 at the model's rate, from memory when it is there."""
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


class BucketedBatches(Sampler[tuple[int, list[Example]]]):
    """Batches of like durations for one epoch after the other, through lhotse's bucketing.

    Attributes:
        epoch: which epoch the next iteration gives.
        start: how many of its batches to leave out, for a resumption.
    """

    def __init__(
        self, cuts: CutSet, batch_seconds: float, seed: int, shuffle: bool, rank: int = 0, world_size: int = 1
    ) -> None:
        """`batch_seconds`: most audio a batch holds, padding included; a longer utterance is a batch of its own."""
        self.cuts = cuts
        self.batch_seconds = batch_seconds
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start = 0
        self._planned: tuple[int, list[list[Example]]] | None = None

    def plan(self, epoch: int) -> list[list[Example]]:
        """All batches of an epoch for this rank, in order; every rank has the same number of training batches."""
        if self._planned is None or self._planned[0] != epoch:
            self._planned = epoch, self._plan(epoch)
        return self._planned[1]

    def _plan(self, epoch: int) -> list[list[Example]]:
        if not self.shuffle:
            return batches_of(examples(self.cuts), self.batch_seconds)[self.rank :: self.world_size]
        from lhotse.dataset import DynamicBucketingSampler

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are using DynamicBucketingSampler with an eagerly read CutSet")
            sampler = DynamicBucketingSampler(
                self.cuts,
                max_duration=self.batch_seconds,
                num_buckets=max(2, min(10, len(self.cuts) // 8)),
                shuffle=True,
                seed=self.seed,
                rank=self.rank,
                world_size=self.world_size,
            )
        sampler.set_epoch(epoch)
        return [examples(cuts) for cuts in sampler]

    def longest(self, added: float = 0.0) -> list[Example]:
        """The batch that needs the most memory: as many utterances of like length as one batch may hold.

        Args:
            added: seconds by which augmentation may lengthen each utterance; with 0 they are the longest, and the more
                it is, the more a batch of many short ones weighs.
        """
        utterances = examples(self.cuts.sort_by_duration())
        counts = [
            min(max(1.0, self.batch_seconds / utterance.duration), len(utterances) - start)
            for start, utterance in enumerate(utterances)
        ]
        sizes = [count * (one.duration + added) for count, one in zip(counts, utterances, strict=True)]
        start = sizes.index(max(sizes))
        return utterances[start : start + int(counts[start])]

    def __iter__(self) -> Iterator[tuple[int, list[Example]]]:
        for utterances in self.plan(self.epoch)[self.start :]:
            yield self.epoch, utterances


def loader(dataset: Utterances, batches: BucketedBatches, workers: int) -> DataLoader[Batch]:
    """A torch loader whose workers, and so their caches, live on from epoch to epoch."""
    return DataLoader(
        dataset,
        sampler=batches,
        batch_size=None,  # the sampler already gives whole batches
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="forkserver" if workers > 0 else None,
    )

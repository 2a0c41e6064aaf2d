"""Batches: what they hold, that nothing is lost, and that they depend on seed, epoch and place alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from helpers.corpora import RATE, say, write_corpus
from lhotse import CutSet

from speechrnn.audio import AudioError, load_audio
from speechrnn.audio.augmentation import WaveformAugment, WaveformOptions
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.dataset import Example, PlannedBatches, Utterances, examples, loader, pad
from speechrnn.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer.build(["ABCD"])


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> CutSet:
    root = write_corpus(tmp_path_factory.mktemp("corpus"), 60)
    corpus = prepare(corpus_options({"name": "folder", "root": str(root), "dev_fraction": 0.0}), root / "prepared")
    assert corpus.train is not None
    return CutSet.from_file(corpus.train).to_eager()


def ids(plan: list[list[Example]]) -> list[str]:
    return sorted(example.id for batch in plan for example in batch)


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_holds_each_utterance_once_within_the_limit(cuts: CutSet, shuffle: bool) -> None:
    plan = PlannedBatches(examples(cuts), 5.0, 0, shuffle=shuffle).plan(3)
    assert ids(plan) == sorted(cut.id for cut in cuts)
    for batch in plan:
        assert len(batch) == 1 or len(batch) * max(example.duration for example in batch) <= 5.0


def test_one_utterance_is_one_batch_in_every_epoch(cuts: CutSet) -> None:
    batches = PlannedBatches(examples(cuts)[:1], 5.0, 0, shuffle=True)
    assert [len(batch) for epoch in range(3) for batch in batches.plan(epoch)] == [1, 1, 1]
    assert len(batches.largest()) == 1


def test_epochs_and_seeds_differ_but_repeat(cuts: CutSet) -> None:
    def plan(seed: int, epoch: int) -> list[list[str]]:
        return [
            [example.id for example in batch]
            for batch in PlannedBatches(examples(cuts), 5.0, seed, shuffle=True).plan(epoch)
        ]

    assert plan(0, 1) == plan(0, 1)
    assert plan(0, 1) != plan(0, 2)
    assert plan(0, 1) != plan(1, 1)


def test_a_resumed_epoch_gives_the_rest(cuts: CutSet) -> None:
    batches = PlannedBatches(examples(cuts), 5.0, 0, shuffle=True)
    batches.epoch = 2
    whole = [[example.id for example in batch] for _, batch in batches]
    batches.start = 3
    assert [[example.id for example in batch] for _, batch in batches] == whole[3:]


@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_an_epoch(cuts: CutSet, shuffle: bool) -> None:
    plans = [
        PlannedBatches(examples(cuts), 5.0, 0, shuffle=shuffle, rank=rank, world_size=2).plan(0) for rank in (0, 1)
    ]
    if shuffle:
        assert len(plans[0]) == len(plans[1])  # else one process would wait for the other for ever
    assert not set(ids(plans[0])) & set(ids(plans[1]))
    assert sorted(ids(plans[0]) + ids(plans[1])) == sorted(cut.id for cut in cuts)


@pytest.mark.parametrize(("slowest", "added"), [(1.0, 0.0), (0.8, 0.0), (1.0, 2.0), (0.9, 1.0)])
def test_no_planned_batch_is_larger_than_the_one_tried_first(cuts: CutSet, slowest: float, added: float) -> None:
    batches = PlannedBatches(examples(cuts), 5.0, 0, shuffle=True)

    def size(batch: list[Example]) -> float:
        return len(batch) * (max(example.duration for example in batch) / slowest + added)

    largest = max(size(batch) for epoch in range(20) for batch in batches.plan(epoch))
    assert size(batches.largest(slowest, added)) >= largest


def test_a_batch_tells_where_each_recording_lies(cuts: CutSet) -> None:
    chosen = examples(cuts)[:4]
    options = WaveformOptions(speeds=(1.0,), padding=0.3, volume=(0.0, 0.0))
    padded = Utterances(TOKENIZER, RATE, WaveformAugment(options, RATE))[0, chosen]
    plain = Utterances(TOKENIZER, RATE)[0, chosen]
    assert plain.spoken.tolist() == [[0, length] for length in plain.lengths.tolist()]
    for row, (start, end), length, expected in zip(
        padded.waveforms, padded.spoken.tolist(), padded.lengths.tolist(), plain.waveforms, strict=True
    ):
        assert 0 < start < end < length
        torch.testing.assert_close(row[start:end], expected[: end - start])


def test_a_batch_is_padded_and_labelled(cuts: CutSet) -> None:
    chosen = examples(cuts)[:3]
    batch = Utterances(TOKENIZER, RATE)[0, chosen]
    assert batch.ids == tuple(example.id for example in chosen)
    start = 0
    for row, length, count, example in zip(
        batch.waveforms, batch.lengths.tolist(), batch.label_lengths.tolist(), chosen, strict=True
    ):
        expected, _ = load_audio(example.audio, RATE)
        np.testing.assert_allclose(row[:length].numpy(), expected, atol=1 / 32000)
        assert not row[length:].any()
        assert TOKENIZER.decode(batch.labels[start : start + count].tolist()) == example.text
        start += count
    assert start == len(batch.labels)


def test_augmentation_depends_on_seed_epoch_and_utterance_alone(cuts: CutSet) -> None:
    def hear(seed: int, epoch: int, chosen: list[Example]) -> dict[str, np.ndarray]:
        augment = WaveformAugment(WaveformOptions(), RATE)
        batch = Utterances(TOKENIZER, RATE, augment, seed=seed)[epoch, chosen]
        rows = zip(batch.ids, batch.waveforms, batch.lengths.tolist(), strict=True)
        return {id: row[:length].numpy() for id, row, length in rows}

    few = examples(cuts)[:6]
    first, again = hear(0, 1, few), hear(0, 1, few[::-1][:3])
    for id, wave in again.items():
        assert np.array_equal(wave, first[id])
    for other in (hear(1, 1, few), hear(0, 2, few)):
        assert any(len(other[id]) != len(first[id]) or not np.array_equal(other[id], first[id]) for id in first)


def test_damaged_audio_is_reported_and_left_out(cuts: CutSet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF, but no more")
    bad = Example("bad", tmp_path / "bad.wav", "AB", start=0.0, duration=1.0)
    batch = Utterances(TOKENIZER, RATE)[0, [bad, *examples(cuts)[:2]]]
    assert batch.ids == tuple(example.id for example in examples(cuts)[:2])
    assert len(batch.waveforms) == len(batch.label_lengths) == 2
    assert "Left out bad" in caplog.text
    with pytest.raises(AudioError, match="repair the corpus"):
        Utterances(TOKENIZER, RATE)[0, [bad]]


def test_the_cache_keeps_its_limit_and_changes_nothing(cuts: CutSet) -> None:
    few = examples(cuts)[:10]
    limit = 30_000  # bytes: two or three utterances
    small, none = Utterances(TOKENIZER, RATE, cache_bytes=limit), Utterances(TOKENIZER, RATE, cache_bytes=0)
    for _ in range(2):
        for example in few:
            assert np.array_equal(small.waveform(example, 0).samples, none.waveform(example, 0).samples)
            assert small.cached_bytes == sum(kept.nbytes for kept in small.cache.values()) <= limit
    assert none.cached_bytes == 0 and small.cache


def test_part_and_channel_of_a_file(tmp_path: Path) -> None:
    left, right = say("AB", seed=1), say("AB", seed=2)
    soundfile.write(tmp_path / "two.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    example = Example("x", tmp_path / "two.wav", "AB", start=0.1, duration=0.2, channel=1)
    np.testing.assert_allclose(example.load(RATE), right[round(0.1 * RATE) : round(0.3 * RATE)], atol=1e-6)


def test_workers_give_the_same_batches(cuts: CutSet) -> None:
    def epoch(workers: int) -> list[torch.Tensor]:
        dataset = Utterances(TOKENIZER, RATE, WaveformAugment(WaveformOptions(), RATE))
        return [
            batch.waveforms for batch in loader(dataset, PlannedBatches(examples(cuts), 10.0, 0, shuffle=True), workers)
        ]

    for here, there in zip(epoch(0), epoch(1), strict=True):
        assert torch.equal(here, there)


LOADING = """
import sys
import time

from speechrnn.audio.augmentation import WaveformAugment, WaveformOptions
from speechrnn.data.dataset import Example, PlannedBatches, Utterances, loader
from speechrnn.text.tokenizers import CharTokenizer

if __name__ == "__main__":
    examples = [Example("x", sys.argv[1], "AB", start=0.0, duration=0.2, channel=0)]
    dataset = Utterances(CharTokenizer.build(["AB"]), 16000, WaveformAugment(WaveformOptions(), 16000))
    batches = iter(loader(dataset, PlannedBatches(examples, 1.0, 0, True), 1))
    next(batches)
    print(batches._workers[0].pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.integration
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_killed_training(tmp_path: Path, ending: signal.Signals) -> None:
    soundfile.write(tmp_path / "a.wav", say("AB"), RATE)
    script = tmp_path / "loading.py"
    script.write_text(LOADING)
    with subprocess.Popen([sys.executable, script, tmp_path / "a.wav"], stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        worker = int(training.stdout.readline())
        os.kill(worker, 0)
        training.send_signal(ending)
    deadline = time.monotonic() + 120
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    left = Path(f"/proc/{worker}").exists()
    if left:
        os.kill(worker, signal.SIGKILL)
    assert not left


def test_pad_by_construction() -> None:
    padded, lengths = pad([np.ones(2, np.float32), np.full(3, 2, np.float32)])
    assert padded.tolist() == [[1, 1, 0], [2, 2, 2]]
    assert lengths.tolist() == [2, 3]

"""Words do not depend on batches, threads, order, windows or memory."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.transcribers import ALL, RATE, TOKENIZER, noise, pause, played, speller, spoken, talkative
from torch import Tensor

from speechrnn.audio import MIN_SECONDS, AudioError, find_audio, load_audio, save_audio
from speechrnn.data.dataset import pad
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.transcription.transcriber import Failure, Transcriber, Transcript


@pytest.mark.parametrize("subsampling", ["stack", "convolution"])
@pytest.mark.parametrize("kind", ["log_mel", "mfcc", "kaldi"])
def test_the_shortest_audio_there_can_be(kind: str, subsampling: str) -> None:
    model = talkative(noise(1), kind, subsampling=subsampling)
    transcriber = Transcriber(model, TOKENIZER, "talkative", device="cpu", segmentation=ALL)
    shortest = noise(MIN_SECONDS)
    alone = transcriber((shortest, RATE))
    assert transcriber.decode([shortest, noise(2)])[0] == alone
    assert all(0 <= word.start < word.end <= alone.duration for word in alone.words)


@pytest.mark.integration
@pytest.mark.parametrize(("kind", "subsampling"), [("log_mel", "convolution"), ("mfcc", "stack")])
def test_the_same_words_at_batch_sizes_1_8_and_32_on_all_of_an4s_test_files(
    shared: Path, kind: str, subsampling: str
) -> None:
    paths = find_audio(shared / "an4" / "wav" / "an4test_clstk")
    waveforms = [load_audio(path, RATE)[0] for path in paths]
    model = talkative(waveforms[0], kind, subsampling=subsampling)
    transcriber = Transcriber(model, TOKENIZER, "talkative", device="cpu", segmentation=ALL)

    def words(size: int) -> list[list[str]]:
        parts = [transcriber.decode(waveforms[start : start + size]) for start in range(0, len(waveforms), size)]
        return [[word.word for word in transcript.words] for part in parts for transcript in part]

    alone = words(1)
    assert len(alone) == 130
    assert len({tuple(words) for words in alone}) > 60 and sum(map(len, alone)) > 200  # it does say something
    assert words(8) == alone
    assert words(32) == alone
    by_path = {result.audio: result for result in transcriber.transcribe(paths, batch_seconds=60.0)}
    assert [[word.word for word in by_path[str(path)].words] for path in paths] == alone  # type: ignore[union-attr]


@pytest.mark.parametrize("batch_seconds", [1.0, 30.0, 300.0])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_whatever_the_batches_the_threads_and_the_order(batch_seconds: float, threads: int) -> None:
    sources = [(played(spoken(1 + number % 5, number)), RATE) for number in range(20)]
    texts = [spoken(1 + number % 5, number) for number in range(20)]
    long = [spoken(150, 100), spoken(20, 101)]
    sources.insert(7, (np.concatenate([played(long[0]), pause(3), played(long[1])]), RATE))
    texts.insert(7, " ".join(long))
    order = np.random.default_rng(threads).permutation(len(sources)).tolist()
    transcriber = speller(threads=threads)
    found = {result.audio: result for result in transcriber.transcribe([sources[n] for n in order], batch_seconds)}
    for place, number in enumerate(order):
        result = found[f"samples {place}"]
        assert isinstance(result, Transcript) and result.text == texts[number]
        assert result.words == speller(threads=1)(sources[number]).words
    assert len(found) == len(sources)


def test_recordings_joined_with_pauses_are_the_words_of_each_alone() -> None:
    random = np.random.default_rng(5)
    texts = [spoken(int(random.integers(1, 25)), number) for number in range(75)]
    pauses = random.uniform(0.6, 3.0, len(texts))
    alone = [speller()((played(text), RATE)) for text in texts]
    assert [item.text for item in alone] == texts
    parts, starts = list[np.ndarray](), list[float]()
    for text, seconds in zip(texts, pauses, strict=True):
        starts.append(sum(map(len, parts)) / RATE)
        parts += [played(text), pause(seconds)]
    joined = speller()((np.concatenate(parts), RATE))
    assert joined.duration > 600
    assert joined.text == " ".join(texts)
    assert [segment.text for segment in joined.segments] == texts
    for segment, start, item in zip(joined.segments, starts, alone, strict=True):
        for word, other in zip(segment.words, item.words, strict=True):
            assert word.start == pytest.approx(start + other.start, abs=0.031)
            assert word.end == pytest.approx(start + other.end, abs=0.031)


def test_running_speech_is_one_segment_of_whole_words_up_to_five_minutes() -> None:
    text = spoken(300, 1)
    samples = played(text)
    assert 150 < len(samples) / RATE < 300
    transcript = speller()((samples, RATE))
    assert transcript.text == text and len(transcript.segments) == 1
    more = spoken(1000, 2)
    transcript = speller()((played(more), RATE))
    assert transcript.duration > 600
    # There is no pause between words, so a word may fall to two segments; no letter is lost or doubled.
    assert transcript.text.replace(" ", "") == more.replace(" ", "")
    assert all(segment.end - segment.start <= 300 for segment in transcript.segments)


def test_windows_of_running_speech_are_as_the_whole_within_the_context() -> None:
    samples = noise(75, 3)
    model = talkative(samples[: 5 * RATE])
    with torch.inference_mode():
        for name, weights in model.recurrent.named_parameters():
            if "weight_hh" in name or "bias_ih" in name:
                weights.mul_(0.3)  # a network that has learnt nothing may remember for longer than any context
        features, frames = model.front_end.extract(*pad([samples]))
    model.front_end.normalise.kind = "training"
    model.front_end.normalise.fit(features[0].sum(0), features[0].square().sum(0), int(frames))
    rows: list[Tensor] = []
    transcriber = Transcriber(model, TOKENIZER, "talkative", device="cpu", segmentation=ALL)
    decoder = transcriber.decoder

    class Watching:
        name = "watching"

        def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
            rows.extend(log_probs)
            return decoder(log_probs, frames)

    transcriber.decoder = Watching()
    transcriber((samples, RATE))
    (joined,) = rows
    with torch.inference_mode():
        (whole,), _ = model(*pad([samples]))
    assert joined.shape == whole.shape
    torch.testing.assert_close(joined.exp(), whole.exp(), atol=1e-3, rtol=0)
    assert not torch.equal(joined, whole)  # it did go in windows


def test_reading_is_only_a_bounded_while_ahead() -> None:
    taken = 0
    clip = np.tile(played("AB"), 34)  # 10 s

    def sources() -> Iterator[tuple[np.ndarray, int]]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield clip, RATE

    results = speller(threads=2).transcribe(sources())
    next(results)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("reader")]
    assert threads
    for thread in threads:
        thread.join(1.0)  # it does not end: it waits
    assert 24 <= taken <= 250
    results.close()  # type: ignore[attr-defined]
    assert taken <= 250


def test_closing_early_ends_the_threads() -> None:
    sources = [(played(spoken(5, number)), RATE) for number in range(200)]
    results = speller(threads=2).transcribe(sources, batch_seconds=5.0)
    next(results)
    results.close()  # type: ignore[attr-defined]
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("reader", "network"))]


def test_torchs_own_threads_are_as_many_as_before() -> None:
    before = torch.get_num_threads()
    speller(threads=2)((played("ABC"), RATE))
    assert torch.get_num_threads() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts by /proc")
def test_a_transcriber_that_is_called_often_holds_no_more(tmp_path: Path) -> None:
    """A short version of benchmarks/memory.py: threads, open files and memory are flat."""

    def status(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])

    transcriber = speller(ALL, threads=2)
    save_audio(tmp_path / "a.wav", played("ABC"), RATE)
    sources: list[Path | tuple[np.ndarray, int]] = [tmp_path / "a.wav", (played("A" * 100), RATE)]
    held = []
    for _ in range(2):
        for number in range(100):
            assert transcriber(sources[number % 2]).text
        gc.collect()
        held.append((status("Threads"), len(list(Path("/proc/self/fd").iterdir())), status("VmRSS")))
    (threads, files, memory), (more_threads, more_files, more_memory) = held
    assert more_threads <= threads and more_files <= files
    assert more_memory - memory < 15_000  # KiB; a call's samples and emissions alone are 1,000


def test_a_batch_that_does_not_fit_into_memory_is_halved() -> None:
    transcriber = speller(ALL, threads=1)
    engine = transcriber.engine

    class Small:
        name = "small"

        def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            if len(waveforms) > 2 or waveforms.shape[1] > 6 * RATE:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return engine(waveforms, lengths)

    transcriber.engine = Small()
    texts = [spoken(2, number) for number in range(7)]
    sources = [(played(text), RATE) for text in texts]
    results = list(transcriber.transcribe([*sources, (noise(7), RATE), (noise(70), RATE)]))
    assert {result.audio: result.text for result in results if isinstance(result, Transcript)} == {
        f"samples {number}": text for number, text in enumerate(texts)
    }
    failures = {result.audio: result.reason for result in results if isinstance(result, Failure)}
    assert failures.keys() == {"samples 7", "samples 8"}
    assert "7 s" in failures["samples 7"] and "memory" in failures["samples 7"]


def test_other_errors_of_the_network_are_not_taken_for_memory() -> None:
    transcriber = speller()

    class Wrong:
        name = "wrong"

        def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    transcriber.engine = Wrong()
    (failure,) = transcriber.transcribe([(played("ABC"), RATE)])
    assert isinstance(failure, Failure) and failure.reason.startswith("samples 0: RuntimeError: mat1 and mat2")
    assert failure.details is not None and "Traceback" in failure.details
    with pytest.raises(AudioError, match="mat1") as caught:
        transcriber((played("ABC"), RATE))
    assert "in __call__" in str(caught.value.__cause__)  # the traceback shows where

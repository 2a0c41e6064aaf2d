"""A transcriber around networks whose answers the tests know, or whose answers must not change."""

from __future__ import annotations

import gc
import json
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.model_directories import change_description
from torch import Tensor

from speechrnn.audio import MIN_SECONDS, AudioError, find_audio, load_audio, save_audio
from speechrnn.audio.features import FeatureOptions
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.errors import UserError
from speechrnn.data.dataset import pad
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.nn.recurrent import Blocks
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.transcription.transcriber import Failure, Transcriber, Transcript

RATE = 16000  # Hz, of all models here
TOKENIZER = CharTokenizer.build([], "ABC ")
ALL = SegmentationOptions(vad="none")  # what is heard here is no speech
LOUD = SegmentationOptions(vad="energy")


def noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """(samples,) that come and go four times a second, so that networks hear something change."""
    time = np.arange(round(seconds * rate)) / rate
    loudness = 0.3 * (1 + np.sin(8 * np.pi * time)) / 2
    return (np.random.default_rng(seed).standard_normal(len(time)) * loudness).astype(np.float32).clip(-1, 1)


def talkative(example: np.ndarray, kind: str = "log_mel", **acoustic: int | str) -> AcousticModel:
    """A network with random weights that says many different things: loud, and without a favourite symbol."""
    torch.manual_seed(0)
    options = AcousticOptions(**{"units": 24, "layers": 2, "channels": 4, **acoustic})  # type: ignore[arg-type]
    model = AcousticModel(len(TOKENIZER), FeatureOptions(kind=kind, bins=20), options).eval()  # type: ignore[arg-type]
    with torch.inference_mode():
        model.head.weight.mul_(20)
        model.head.bias.zero_()
        log_probs, _ = model(*pad([example]))
        model.head.bias.copy_(-log_probs[0].mean(0))
    return model


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(talkative(noise(3)), TOKENIZER, "talkative", "cpu", segmentation=ALL)


class Scripted(AcousticModel):
    """Hears what it is told to, one symbol a frame of 30 ms, each with probability 0.9; beyond the script, blanks."""

    name = "scripted"

    def __init__(self, script: str) -> None:
        super().__init__(len(TOKENIZER), FeatureOptions(bins=4), AcousticOptions(units=2, layers=1, channels=1))
        self.script = [TOKENIZER.symbols.index(letter) if letter != "_" else 0 for letter in script]

    def forward(self, waveforms: Tensor, lengths: Tensor, blocks: Blocks | None = None) -> tuple[Tensor, Tensor]:
        frames = self.frames(lengths)
        log_probs = torch.full((len(waveforms), int(frames.max()), len(TOKENIZER)), math.log(0.1 / 4))
        for frame in range(log_probs.shape[1]):
            log_probs[:, frame, self.script[frame] if frame < len(self.script) else 0] = math.log(0.9)
        return log_probs, frames


def scripted(script: str) -> Transcriber:
    model = Scripted(script)
    return Transcriber(model, TOKENIZER, "scripted", "cpu", engine=model, segmentation=ALL)


class Tones(AcousticModel):
    """Spells what is played to it: a tone a letter, a symbol a frame of 30 ms, of which it sees no other one."""

    name = "tones"
    hertz = (500.0, 1000.0, 2000.0, 3000.0)  # of A, B, C and the space

    def __init__(self) -> None:
        super().__init__(len(TOKENIZER), FeatureOptions(bins=4), AcousticOptions(units=2, layers=1, channels=1))
        self.calls: list[tuple[int, int]] = []  # (batch, samples) of each

    def forward(self, waveforms: Tensor, lengths: Tensor, blocks: Blocks | None = None) -> tuple[Tensor, Tensor]:
        self.calls.append((waveforms.shape[0], waveforms.shape[1]))
        frames = self.frames(lengths)
        step = 480
        padded = torch.nn.functional.pad(waveforms, (0, step * int(frames.max()) - waveforms.shape[1]))
        power = torch.fft.rfft(padded.view(len(waveforms), -1, step)).abs()  # bins of 33.3 Hz
        peaks = power.argmax(2).float() * (RATE / step)
        symbols = (peaks[..., None] - torch.tensor(self.hertz)).abs().argmin(2) + 1
        order = [TOKENIZER.symbols.index(letter) for letter in "ABC "]
        symbols = torch.where(power.amax(2) > 5.0, torch.tensor([0, *order])[symbols], 0)
        log_probs = torch.full((*symbols.shape, len(TOKENIZER)), math.log(0.001 / 4))
        return log_probs.scatter_(2, symbols[..., None], math.log(0.999)), frames


def played(text: str) -> np.ndarray:
    """(samples,) that `Tones` spells `text` from: each letter 90 ms, and 60 ms of silence after it."""
    time = np.arange(round(0.09 * RATE)) / RATE
    tones = dict(zip("ABC ", Tones.hertz, strict=True))
    letters = [np.sin(2 * np.pi * tones[letter] * time) * 0.5 for letter in text]
    return np.concatenate([part for item in letters for part in (item, np.zeros(round(0.06 * RATE)))]).astype(
        np.float32
    )


def spoken(words: int, seed: int) -> str:
    """Words without sense, each of one to seven letters."""
    chance = np.random.default_rng(seed)
    return " ".join("".join(chance.choice(list("ABC"), chance.integers(1, 8))) for _ in range(words))


def pause(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def speller(segmentation: SegmentationOptions = LOUD, threads: int | None = None) -> Transcriber:
    model = Tones()
    return Transcriber(model, TOKENIZER, "tones", "cpu", engine=model, segmentation=segmentation, threads=threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven recordings of different lengths, and three files that are none."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, seconds in enumerate((0.4, 2.0, 0.9, 1.4, 3.1, 0.5, 1.1)):
        save_audio(folder / f"good{number}.wav", noise(seconds, number), RATE)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("I am not a recording.\n")
    (folder / "cut.wav").write_bytes((folder / "good4.wav").read_bytes()[:40_000])
    return folder


def test_what_a_transcript_says() -> None:
    transcript = scripted("__AB_A_ _CC_")((noise(1), RATE))
    first, second = transcript.words
    assert (first.word, first.start, first.end) == ("ABA", 0.06, 0.18)
    assert (second.word, second.start, second.end) == ("C", 0.27, 0.33)
    assert first.confidence == second.confidence == transcript.confidence == 0.9
    assert json.loads(json.dumps(transcript.to_json())) == {
        "audio": "samples 0",
        "duration": 1.0,
        "text": "ABA C",
        "confidence": 0.9,
        "segments": [
            {
                "start": 0.06,
                "end": 0.33,
                "text": "ABA C",
                "confidence": 0.9,
                "words": [
                    {"word": "ABA", "start": 0.06, "end": 0.18, "confidence": 0.9},
                    {"word": "C", "start": 0.27, "end": 0.33, "confidence": 0.9},
                ],
                "alternatives": [],
            }
        ],
        "alternatives": [],
        "model": "scripted",
        "decoding": "greedy",
        "incomplete": None,
        "channel": None,
        "warnings": [],
    }


def test_spaces_are_one_and_inside() -> None:
    assert scripted(" _A _ B_ ")((noise(1), RATE)).text == "A B"


def test_where_the_network_hears_nothing_there_are_no_segments() -> None:
    transcript = scripted("____")((noise(1), RATE))
    assert (transcript.text, transcript.segments, transcript.words) == ("", (), ())
    assert transcript.confidence == 0.9  # of each blank


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), np.full(RATE, 0.25, np.float32)])
def test_silence_is_an_empty_transcript_of_which_the_network_is_not_asked(samples: np.ndarray) -> None:
    silent, heard = scripted("AB").decode([samples, noise(1)])
    assert (silent.text, silent.segments, silent.duration, silent.confidence) == ("", (), 1.0, 1.0)
    assert heard.text == "AB"


def test_a_batch_of_silence_alone(tmp_path: Path) -> None:
    save_audio(tmp_path / "silence.wav", np.zeros(RATE, np.float32), RATE)
    assert scripted("AB")(tmp_path / "silence.wav").text == ""


def test_each_source_has_its_result_and_bad_ones_are_said(transcriber: Transcriber, folder: Path) -> None:
    sources = sorted(folder.iterdir())
    results = list(transcriber.transcribe(sources, batch_seconds=3.0))
    assert sorted(result.audio for result in results) == sorted(map(str, sources))
    failures = {Path(result.audio).name: result.reason for result in results if isinstance(result, Failure)}
    assert failures.keys() == {"empty.wav", "text.wav"}
    assert all(str(folder / name) in reason for name, reason in failures.items())
    for result in results:
        if isinstance(result, Transcript):
            assert result == transcriber(result.audio)
            assert result.text
            assert (result.incomplete is not None) == result.audio.endswith("cut.wav")


def test_of_a_file_that_breaks_off_there_is_what_can_be_read(transcriber: Transcriber, folder: Path) -> None:
    whole, cut = transcriber(folder / "good4.wav"), transcriber(folder / "cut.wav")
    assert cut.duration == pytest.approx((40_000 - 44) / 2 / RATE, abs=1e-3)
    assert str(folder / "cut.wav") in str(cut.incomplete) and whole.incomplete is None
    assert cut.text == transcriber((load_audio(folder / "good4.wav")[0][:19_978], RATE)).text


def test_of_a_long_file_that_breaks_off_there_is_what_can_be_read(tmp_path: Path) -> None:
    save_audio(tmp_path / "long.wav", np.concatenate([played("AB CC"), pause(60), played("B A"), pause(9)]), RATE)
    whole = (tmp_path / "long.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: 50 * RATE * 2])
    assert speller()(tmp_path / "long.wav").text == "AB CC B A"
    cut = speller()(tmp_path / "cut.wav")
    assert (cut.text, cut.duration) == ("AB CC", pytest.approx(50, abs=0.01))
    assert "cut.wav" in str(cut.incomplete)


def test_a_file_that_is_damaged_behind_its_header_leaves_the_batch(transcriber: Transcriber, tmp_path: Path) -> None:
    import soundfile

    samples = noise(1).astype(np.float32)
    save_audio(tmp_path / "good.wav", samples, RATE)
    samples[RATE // 2] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    first, second = transcriber.transcribe([tmp_path / "good.wav", tmp_path / "nan.wav"])
    assert isinstance(first, Failure) and "NaN" in first.reason
    assert isinstance(second, Transcript) and second.audio.endswith("good.wav")


def test_files_and_samples_give_the_same_words_and_times(transcriber: Transcriber, folder: Path) -> None:
    path = folder / "good4.wav"
    samples, rate = load_audio(path)
    read, given = transcriber(path), transcriber((samples, rate))
    integers = transcriber(((samples * 32768).astype(np.int16), rate))
    assert read.words == given.words == integers.words and read.words
    assert read.duration == given.duration == 3.1


def test_another_rate_is_resampled_to_the_models(transcriber: Transcriber, tmp_path: Path) -> None:
    samples = noise(2, rate=44_100)
    save_audio(tmp_path / "high.wav", samples, 44_100)
    expected = transcriber.decode([load_audio(tmp_path / "high.wav", RATE)[0]])[0]
    from_file = transcriber(tmp_path / "high.wav")
    assert from_file.words == expected.words and from_file.words
    assert from_file.duration == 2.0
    assert transcriber((samples, 44_100)).duration == 2.0


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ((np.zeros((2, 2, RATE), np.float32), RATE), "shape"),
        ((np.zeros(5, np.float32), RATE), "5 samples at 16000 Hz are too short"),
        ((np.zeros(RATE, np.float32), 0), "check the sampling rate"),
        ((np.full(RATE, np.nan, np.float32), RATE), "NaN"),
        ((np.zeros(RATE, np.complex64), RATE), "float or integer"),
        ("nowhere.wav", "nowhere.wav does not exist"),
    ],
)
def test_a_bad_source_is_one_sentence(
    transcriber: Transcriber, source: str | tuple[np.ndarray, int], sentence: str
) -> None:
    with pytest.raises(AudioError, match=sentence):
        transcriber(source)


def test_samples_are_arrays_or_tensors_with_any_channels(transcriber: Transcriber) -> None:
    samples = np.random.default_rng(5).standard_normal(RATE).astype(np.float32) * 0.1
    expected = transcriber((samples, RATE)).text
    assert expected
    stereo = np.stack([samples, samples])
    for source in (samples, torch.from_numpy(samples), stereo, stereo.T, (np.round(samples * 2**15)).astype(np.int16)):
        assert transcriber(source, sampling_rate=RATE).text == expected
    with pytest.raises(AudioError, match="rate"):
        transcriber(samples)


def test_a_list_gives_transcripts_in_its_order(transcriber: Transcriber) -> None:
    generator = np.random.default_rng(6)
    clips = [0.1 * generator.standard_normal(RATE * seconds // 2).astype(np.float32) for seconds in (5, 1, 4, 2, 3)]
    transcripts = transcriber(clips, sampling_rate=RATE)
    assert [transcript.duration for transcript in transcripts] == [2.5, 0.5, 2.0, 1.0, 1.5]
    assert [transcript.text for transcript in transcripts] == [transcriber((clip, RATE)).text for clip in clips]
    ordered = list(transcriber.transcribe(((clip, RATE) for clip in clips), ordered=True))
    assert [result.audio for result in ordered] == [transcript.audio for transcript in transcripts]


def test_a_transcript_as_the_text_of_any_format(transcriber: Transcriber) -> None:
    transcript = transcriber(0.1 * np.random.default_rng(7).standard_normal(RATE), sampling_rate=RATE)
    assert transcript.to("txt") == f"{transcript.text}\n"
    assert json.loads(transcript.to("json"))["text"] == transcript.text
    assert "-->" in transcript.to("srt")
    with pytest.raises(UserError, match="No format str; did you mean srt"):
        transcript.to("str")


@pytest.mark.parametrize("subsampling", ["stack", "convolution"])
@pytest.mark.parametrize("kind", ["log_mel", "mfcc", "kaldi"])
def test_the_shortest_audio_there_can_be(kind: str, subsampling: str) -> None:
    model = talkative(noise(1), kind, subsampling=subsampling)
    transcriber = Transcriber(model, TOKENIZER, "talkative", "cpu", segmentation=ALL)
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
    transcriber = Transcriber(model, TOKENIZER, "talkative", "cpu", segmentation=ALL)

    def said(size: int) -> list[list[str]]:
        parts = [transcriber.decode(waveforms[start : start + size]) for start in range(0, len(waveforms), size)]
        return [[word.word for word in transcript.words] for part in parts for transcript in part]

    alone = said(1)
    assert len(alone) == 130
    assert len({tuple(words) for words in alone}) > 60 and sum(map(len, alone)) > 200  # it does say something
    assert said(8) == alone
    assert said(32) == alone
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
    chance = np.random.default_rng(5)
    texts = [spoken(int(chance.integers(1, 25)), number) for number in range(75)]
    pauses = chance.uniform(0.6, 3.0, len(texts))
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
    transcriber = Transcriber(model, TOKENIZER, "talkative", "cpu", segmentation=ALL)
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


@pytest.mark.parametrize("seconds", [2.0, 45.0])
def test_silence_noise_and_music_have_no_words(seconds: float) -> None:
    pytest.importorskip("silero_vad")
    time = np.arange(round(seconds * RATE)) / RATE
    sounds = {
        "silence": np.zeros(len(time), np.float32),
        "noise": np.random.default_rng(0).standard_normal(len(time)).astype(np.float32).clip(-4, 4) * 0.1,
        "music": (0.1 * np.sum([np.sin(2 * np.pi * hertz * time) for hertz in (220, 277.2, 329.6)], axis=0)).astype(
            np.float32
        ),
    }
    model = Scripted("AB_C" * 5000)
    transcriber = Transcriber(
        model, TOKENIZER, "scripted", "cpu", engine=model, segmentation=SegmentationOptions(vad="silero")
    )
    for sound in sounds.values():
        transcript = transcriber((sound, RATE))
        assert (transcript.text, transcript.segments, transcript.confidence) == ("", (), 1.0)
        assert transcript.duration == seconds


def test_a_silent_file_among_others_has_its_empty_transcript() -> None:
    sources = [(played("A B"), RATE), (pause(2), RATE), (pause(70), RATE), (played("CAB"), RATE)]
    texts = {result.audio: result.text for result in speller().transcribe(sources) if isinstance(result, Transcript)}
    assert texts == {"samples 0": "A B", "samples 1": "", "samples 2": "", "samples 3": "CAB"}


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


def test_an_error_of_the_sources_comes_out() -> None:
    def sources() -> Iterator[tuple[np.ndarray, int]]:
        yield played("A"), RATE
        raise ValueError("no more names")

    with pytest.raises(ValueError, match="no more names"):
        list(speller().transcribe(sources()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("reader", "network"))]


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


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"decodin": "beam"}, r"Transcriber\.load has no option decodin; did you mean decoding\?"),
        ({"devcie": "cpu", "threads": 1}, r"no option devcie; did you mean device\?"),
        ({"zzz": 1}, r"no option zzz; the keys there are device, decoding"),
        ({"language_model": ""}, r"Transcriber\.load: language_model= is empty: give a directory"),
    ],
)
def test_a_wrong_keyword_is_one_sentence(keywords: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        Transcriber.load(tmp_path, **keywords)


def test_samples_without_a_rate_say_so_once(transcriber: Transcriber) -> None:
    with pytest.raises(AudioError) as caught:
        transcriber(noise(1))
    assert str(caught.value).count("rate") == 2 and "sampling_rate=HZ" in str(caught.value)  # of which one is the key


def test_a_word_in_the_frame_that_begins_where_the_audio_ends() -> None:
    transcriber = scripted("__________A")  # frame 10 begins at 0.3 s
    (word,) = transcriber((noise(0.3), RATE)).words
    assert (word.start, word.end) == (0.295, 0.3)


def test_loading_gives_the_same_words(transcriber: Transcriber, tmp_path: Path) -> None:
    save_acoustic(tmp_path / "model", transcriber.model, TOKENIZER, {})
    loaded = Transcriber.load(tmp_path / "model", "cpu", engine="torch", precision="float32", segmentation=ALL)
    ours, theirs = transcriber((noise(2), RATE)), loaded((noise(2), RATE))
    assert theirs.words == ours.words
    assert theirs.model == str(tmp_path / "model")


def _remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_kind(folder: Path) -> None:
    change_description(folder, kind="language")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (_remove_weights, "no model.safetensors"),
        (_damage_weights, "model.safetensors is damaged"),
        (_other_kind, "kind 'language'"),
    ],
)
def test_a_bad_model_directory_is_one_sentence(
    transcriber: Transcriber, tmp_path: Path, harm: Callable[[Path], None], sentence: str
) -> None:
    save_acoustic(tmp_path, transcriber.model, TOKENIZER, {})
    harm(tmp_path)
    with pytest.raises(UserError, match=sentence):
        Transcriber.load(tmp_path, "cpu")


def test_batches_need_a_length(transcriber: Transcriber) -> None:
    with pytest.raises(UserError, match="batch_seconds=0"):
        list(transcriber.transcribe([], batch_seconds=0))


def test_threads_are_at_least_one(transcriber: Transcriber) -> None:
    with pytest.raises(UserError, match="threads=0"):
        Transcriber(transcriber.model, TOKENIZER, "talkative", "cpu", threads=0)


def test_no_sources_are_no_results(transcriber: Transcriber) -> None:
    assert list(transcriber.transcribe([])) == []

"""A transcriber around networks whose answers the tests know, or whose answers must not change."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn import audio
from speechrnn.audio import AudioError
from speechrnn.data import by_length, pad
from speechrnn.decoding.hypothesis import Word
from speechrnn.errors import UserError
from speechrnn.features import FeatureOptions
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.text import CharTokenizer
from speechrnn.transcribe import Failure, Transcriber, Transcript, fit

RATE = 16000  # Hz, of all models here
TOKENIZER = CharTokenizer.build([], "ABC ")


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
    return Transcriber(talkative(noise(3)), TOKENIZER, "talkative", "cpu")


class Scripted(AcousticModel):
    """Hears what it is told to, one symbol a frame of 30 ms, each with probability 0.9; beyond the script, blanks."""

    def __init__(self, script: str) -> None:
        super().__init__(len(TOKENIZER), FeatureOptions(bins=4), AcousticOptions(units=2, layers=1, channels=1))
        self.script = [TOKENIZER.symbols.index(letter) if letter != "_" else 0 for letter in script]

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.frames(lengths)
        log_probs = torch.full((len(waveforms), int(frames.max()), len(TOKENIZER)), math.log(0.1 / 4))
        for frame in range(log_probs.shape[1]):
            log_probs[:, frame, self.script[frame] if frame < len(self.script) else 0] = math.log(0.9)
        return log_probs, frames


def scripted(script: str) -> Transcriber:
    return Transcriber(Scripted(script), TOKENIZER, "scripted", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven recordings of different lengths, and three files that are none."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, seconds in enumerate((0.4, 2.0, 0.9, 1.4, 3.1, 0.5, 1.1)):
        audio.save(folder / f"good{number}.wav", noise(seconds, number), RATE)
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
            }
        ],
        "alternatives": [],
        "model": "scripted",
        "decoding": "greedy",
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
    audio.save(tmp_path / "silence.wav", np.zeros(RATE, np.float32), RATE)
    assert scripted("AB")(tmp_path / "silence.wav").text == ""


def test_each_source_has_its_result_and_bad_ones_are_said(transcriber: Transcriber, folder: Path) -> None:
    sources = sorted(folder.iterdir())
    results = list(transcriber.transcribe(sources, batch_seconds=3.0))
    assert sorted(result.audio for result in results) == sorted(map(str, sources))
    failures = {Path(result.audio).name: result.reason for result in results if isinstance(result, Failure)}
    assert failures.keys() == {"empty.wav", "text.wav", "cut.wav"}
    assert all(str(folder / name) in reason for name, reason in failures.items())
    for result in results:
        if isinstance(result, Transcript):
            assert result == transcriber(result.audio)
            assert result.text


def test_a_file_that_is_damaged_behind_its_header_leaves_the_batch(transcriber: Transcriber, tmp_path: Path) -> None:
    import soundfile

    samples = noise(1).astype(np.float32)
    audio.save(tmp_path / "good.wav", samples, RATE)
    samples[RATE // 2] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    first, second = transcriber.transcribe([tmp_path / "good.wav", tmp_path / "nan.wav"])
    assert isinstance(first, Failure) and "NaN" in first.reason
    assert isinstance(second, Transcript) and second.audio.endswith("good.wav")


def test_files_and_samples_give_the_same_words_and_times(transcriber: Transcriber, folder: Path) -> None:
    path = folder / "good4.wav"
    samples, rate = audio.load(path)
    read, given = transcriber(path), transcriber((samples, rate))
    integers = transcriber(((samples * 32768).astype(np.int16), rate))
    assert read.words == given.words == integers.words and read.words
    assert read.duration == given.duration == 3.1


def test_another_rate_is_resampled_to_the_models(transcriber: Transcriber, tmp_path: Path) -> None:
    samples = noise(2, rate=44_100)
    audio.save(tmp_path / "high.wav", samples, 44_100)
    expected = transcriber.decode([audio.load(tmp_path / "high.wav", RATE)[0]])[0]
    from_file = transcriber(tmp_path / "high.wav")
    assert from_file.words == expected.words and from_file.words
    assert from_file.duration == 2.0
    assert transcriber((samples, 44_100)).duration == 2.0


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ((np.zeros((RATE, 2), np.float32), RATE), "shape"),
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


@pytest.mark.parametrize("subsampling", ["stack", "convolution"])
@pytest.mark.parametrize("kind", ["log_mel", "mfcc", "kaldi"])
def test_the_shortest_audio_there_can_be(kind: str, subsampling: str) -> None:
    transcriber = Transcriber(talkative(noise(1), kind, subsampling=subsampling), TOKENIZER, "talkative", "cpu")
    shortest = noise(audio.SHORTEST)
    alone = transcriber((shortest, RATE))
    assert transcriber.decode([shortest, noise(2)])[0] == alone
    assert all(0 <= word.start < word.end <= alone.duration for word in alone.words)


@pytest.mark.parametrize(("kind", "subsampling"), [("log_mel", "convolution"), ("mfcc", "stack")])
def test_the_same_words_at_batch_sizes_1_8_and_32_on_all_of_an4s_test_files(
    shared: Path, kind: str, subsampling: str
) -> None:
    paths = audio.find(shared / "an4" / "wav" / "an4test_clstk")
    waveforms = [audio.load(path, RATE)[0] for path in paths]
    transcriber = Transcriber(talkative(waveforms[0], kind, subsampling=subsampling), TOKENIZER, "talkative", "cpu")

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


def test_never_more_than_one_batch_of_audio_is_in_memory(
    transcriber: Transcriber, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []
    load, decode = audio.load, transcriber.decode

    def count(path: Path, rate: int) -> tuple[np.ndarray, int]:
        samples, rate = load(path, rate)
        held[-1] += len(samples) / rate
        return samples, rate

    def decode_and_forget(waveforms: list[np.ndarray]) -> list[Transcript]:
        held.append(0.0)
        return decode(waveforms)

    held.append(0.0)
    monkeypatch.setattr(audio, "load", count)
    monkeypatch.setattr(transcriber, "decode", decode_and_forget)
    results = transcriber.transcribe(sorted(folder.glob("good*.wav")), batch_seconds=2.5)
    next(results)
    assert held == [pytest.approx(3.1), 0.0]  # the longest first, alone since it is longer than a batch
    list(results)
    assert sum(held) == pytest.approx(9.4) and max(held[1:]) <= 2.5


def test_a_batch_that_does_not_fit_into_memory_is_halved(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = transcriber.decode

    def only_two(waveforms: list[np.ndarray]) -> list[Transcript]:
        if len(waveforms) > 2 or max(map(len, waveforms)) > 2 * RATE:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return decode(waveforms)

    sources = [(noise(seconds, number), RATE) for number, seconds in enumerate((1.0, 1.1, 1.2, 1.3, 1.4))]
    expected = {number: transcriber(source).text for number, source in enumerate(sources)}
    monkeypatch.setattr(transcriber, "decode", only_two)
    results = list(transcriber.transcribe([*sources, (noise(3), RATE)]))
    assert {result.audio: result.text for result in results if isinstance(result, Transcript)} == {
        f"samples {number}": text for number, text in expected.items()
    }
    (failure,) = (result for result in results if isinstance(result, Failure))
    assert failure.audio == "samples 5" and "3 s" in failure.reason and "memory" in failure.reason


def test_other_errors_of_the_network_are_not_taken_for_memory(
    transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(waveforms: list[np.ndarray]) -> list[Transcript]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(transcriber, "decode", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        list(transcriber.transcribe([(noise(1), RATE)]))


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 20), max_size=30), st.floats(0.1, 60))
def test_batches_hold_all_once_and_no_more_than_asked(lengths: list[float], batch_seconds: float) -> None:
    groups = by_length(dict(enumerate(lengths)), batch_seconds)
    assert sorted(number for group in groups for number in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[number] for number in group)
        assert len(group) == 1 or len(group) * longest <= batch_seconds * (1 + 1e-9)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=8),
    st.sampled_from([0.01, 0.02, 0.03, 0.04]),
    st.floats(0.0, 1.0),
)
def test_times_lie_in_the_audio_in_order_and_take_time(layout: list[tuple[int, int]], frame: float, cut: float) -> None:
    words, frames = [], 0
    for number, (pause, length) in enumerate(layout):
        start = frames + pause
        frames = start + length
        words.append(Word(f"w{number}", start * frame, frames * frame, 0.5))
    # The audio ends within the last frame, perhaps where it begins.
    duration = round(max((frames - 1 + cut) * frame, audio.SHORTEST), 3)
    fitted = fit(words, duration)
    assert [word.word for word in fitted] == [word.word for word in words]
    assert fitted[0].start >= 0 and fitted[-1].end <= duration
    assert all(word.start < word.end for word in fitted)
    assert all(word.end <= later.start for word, later in itertools.pairwise(fitted))
    for before, after in zip(words[:-2], fitted[:-2], strict=True):  # only the end is touched
        assert after.start == pytest.approx(before.start, abs=6e-4)
        assert after.end == pytest.approx(before.end, abs=6e-4)


def test_a_word_in_the_frame_that_begins_where_the_audio_ends() -> None:
    transcriber = scripted("__________A")  # frame 10 begins at 0.3 s
    (word,) = transcriber((noise(0.3), RATE)).words
    assert (word.start, word.end) == (0.295, 0.3)


def test_loading_gives_the_same_words(transcriber: Transcriber, tmp_path: Path) -> None:
    save_acoustic(tmp_path / "model", transcriber.model, TOKENIZER, {})
    loaded = Transcriber.load(tmp_path / "model", "cpu")
    ours, theirs = transcriber((noise(2), RATE)), loaded((noise(2), RATE))
    assert theirs.words == ours.words
    assert theirs.model == str(tmp_path / "model")


def _remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _other_kind(folder: Path) -> None:
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**description, "kind": "language"}))


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

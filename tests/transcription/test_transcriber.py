"""A transcriber around networks whose output is known: sources, transcripts, and errors in one sentence."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.model_directories import change_description
from helpers.transcribers import ALL, RATE, TOKENIZER, Scripted, noise, pause, played, scripted, speller, talkative

from speechrnn.audio import AudioError, load_audio, save_audio
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import save_acoustic
from speechrnn.transcription.transcriber import Failure, Transcriber, Transcript


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(talkative(noise(3)), TOKENIZER, "talkative", device="cpu", segmentation=ALL)


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
    assert (second.word, second.start, second.end) == ("C", 0.18, 0.33)
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
                    {"word": "C", "start": 0.18, "end": 0.33, "confidence": 0.9},
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
    silent, loud = scripted("AB").decode([samples, noise(1)])
    assert (silent.text, silent.segments, silent.duration, silent.confidence) == ("", (), 1.0, 1.0)
    assert loud.text == "AB"


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
        ((np.zeros(RATE, np.float32), 0), "sampling rate must be"),
        ((np.full(RATE, np.nan, np.float32), RATE), "NaN"),
        ((np.zeros(RATE, np.complex64), RATE), "float or signed integer"),
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
        model, TOKENIZER, "scripted", device="cpu", engine=model, segmentation=SegmentationOptions(vad="silero")
    )
    for sound in sounds.values():
        transcript = transcriber((sound, RATE))
        assert (transcript.text, transcript.segments, transcript.confidence) == ("", (), 1.0)
        assert transcript.duration == seconds


def test_a_silent_file_among_others_has_its_empty_transcript() -> None:
    sources = [(played("A B"), RATE), (pause(2), RATE), (pause(70), RATE), (played("CAB"), RATE)]
    texts = {result.audio: result.text for result in speller().transcribe(sources) if isinstance(result, Transcript)}
    assert texts == {"samples 0": "A B", "samples 1": "", "samples 2": "", "samples 3": "CAB"}


def test_an_error_of_the_sources_comes_out() -> None:
    def sources() -> Iterator[tuple[np.ndarray, int]]:
        yield played("A"), RATE
        raise ValueError("no more names")

    with pytest.raises(ValueError, match="no more names"):
        list(speller().transcribe(sources()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("reader", "network"))]


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


def test_what_is_no_recording_is_that_items_failure_and_named(transcriber: Transcriber) -> None:
    samples = np.zeros(RATE, np.float32)
    sources: list[Any] = [None, 3, b"talk.wav", [samples], (samples,), (samples, RATE, 1), {"a": 1}, (RATE, samples)]
    *failures, last = transcriber.transcribe([*sources, samples], ordered=True, sampling_rate=RATE)
    for number, failure in enumerate(failures[:-1]):
        assert isinstance(failure, Failure)
        assert f"Recording {number} is of the type {type(sources[number]).__name__}" in failure.reason
    assert isinstance(failures[-1], Failure) and "Samples must be" in failures[-1].reason
    assert isinstance(last, Transcript)


def test_samples_need_no_list_around_them_and_nothing_else_is_iterated(transcriber: Transcriber) -> None:
    for samples in (np.zeros(RATE, np.float32), torch.zeros(RATE)):
        assert len(list(transcriber.transcribe(samples, sampling_rate=RATE))) == 1
    for nothing in (None, 5):
        with pytest.raises(UserError, match="no recordings in"):
            list(transcriber.transcribe(nothing))  # type: ignore[arg-type]


def test_samples_without_a_rate_say_so_once(transcriber: Transcriber) -> None:
    with pytest.raises(AudioError) as caught:
        transcriber(noise(1))
    assert str(caught.value).count("rate") == 2 and "sampling_rate=HZ" in str(caught.value)  # of which one is the key


def test_a_word_in_the_frame_that_begins_where_the_audio_ends() -> None:
    transcriber = scripted("__________A")  # frame 10 begins at 0.3 s
    (word,) = transcriber((noise(0.3), RATE)).words
    assert (word.start, word.end) == (0.295, 0.3)


def test_loading_gives_the_same_words(transcriber: Transcriber, tmp_path: Path) -> None:
    save_acoustic(tmp_path / "model", transcriber.model, TOKENIZER, training={})
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
    save_acoustic(tmp_path, transcriber.model, TOKENIZER, training={})
    harm(tmp_path)
    with pytest.raises(UserError, match=sentence):
        Transcriber.load(tmp_path, "cpu")


def test_batches_need_a_length(transcriber: Transcriber) -> None:
    with pytest.raises(UserError, match="batch_seconds=0"):
        list(transcriber.transcribe([], batch_seconds=0))


def test_threads_are_at_least_one(transcriber: Transcriber) -> None:
    with pytest.raises(UserError, match="threads=0"):
        Transcriber(transcriber.model, TOKENIZER, "talkative", device="cpu", threads=0)


def test_no_sources_are_no_results(transcriber: Transcriber) -> None:
    assert list(transcriber.transcribe([])) == []

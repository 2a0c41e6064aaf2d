"""Synthetic speech: the same from the same seed, as loud, noisy and long as drawn, its words where it says."""

from __future__ import annotations

import itertools
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.corpora import ReadCuts
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed (pip install 'speechrnn[demo]')")

from speechrnn.audio import audio_info
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import SPLITS, corpus_options, espeak, grammar
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.corpora.synthesis import MARGIN, Draw, Settings, coloured_noise, draw, record
from speechrnn.data.corpora.synthetic import DEV_VOICES, TEST_VOICES, TRAIN_VOICES, utterances

PAGE = Path(__file__).parents[3] / "conf" / "corpus" / "synthetic.yaml"
SMALL: dict[str, Any] = {"train_utterances": 3, "dev_utterances": 1, "test_utterances": 2}
SETTINGS = Settings(
    seed=0,
    sampling_rate=16000,
    voices={"train": ("en-us", "en+f3", "en-029+m1"), "dev": ("en+f2",), "test": ("en+m3",)},
    sentences=None,
    rate=(140, 190),
    pitch=(40, 60),
    pitch_range=(30, 70),
    noises=("white", "pink"),
    snr=(10.0, 30.0),
    level=(-30.0, -20.0),
)
DRAW = Draw(
    id="train-00000",
    text="Sharks feed on tuna fishes.",
    voice="en-us+f1",
    rate=160,
    pitch=50,
    pitch_range=50,
    noise=None,
    snr=20.0,
    level=-26.0,
    seed=1,
)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "corpus"
    utterances(root, **SMALL)
    return root


# What is spoken


@pytest.mark.parametrize("voice", ["en-us+f3", "en-gb-scotland+klatt", "en+Andy", "en-us+croak"])
def test_speech_does_not_depend_on_what_was_spoken_before(voice: str) -> None:
    first = espeak.speak("Open the red door.", voice, seed=3).samples
    espeak.speak("Good morning.", "en-us+whisper", rate=220, pitch=70, seed=5)
    again = espeak.speak("Open the red door.", voice, seed=3).samples
    np.testing.assert_array_equal(first, again)


def test_voice_rate_and_pitch_are_heard() -> None:
    plain = espeak.speak(DRAW.text, "en-us")
    assert plain.sampling_rate == 22050
    assert plain.samples.dtype == np.float32
    # 0.7 times the speed takes well over 1.2 times as long
    slow = espeak.speak(DRAW.text, "en-us", rate=120)
    assert len(slow.samples) > 1.2 * len(plain.samples)
    for other in (espeak.speak(DRAW.text, "en-us+f3"), espeak.speak(DRAW.text, "en-us", pitch=80)):
        size = min(len(other.samples), len(plain.samples))
        assert np.corrcoef(other.samples[:size], plain.samples[:size])[0, 1] < 0.5


@pytest.mark.parametrize("voice", ["en-us", "en-us+f1", "en-gb-scotland+klatt"])
@pytest.mark.parametrize("rate", [130, 190])
def test_words_are_where_they_are_said_to_be(voice: str, rate: int) -> None:
    # Full stops part the words by silence, so that energy alone finds them; none begins or ends softly, and these
    # voices have no echo that sounds on.
    speech = espeak.speak("Monday. Nine. Lemon. Under.", voice, rate=rate)
    assert [word.word for word in speech.words] == ["Monday.", "Nine.", "Lemon.", "Under."]
    loud = np.abs(speech.samples) > 0.01 * np.abs(speech.samples).max()
    at = np.flatnonzero(loud)
    gaps = np.flatnonzero(np.diff(at) > 0.1 * speech.sampling_rate)
    starts = at[[0, *(gaps + 1)]] / speech.sampling_rate
    ends = at[[*gaps, -1]] / speech.sampling_rate
    np.testing.assert_allclose([word.start for word in speech.words], starts, atol=0.03)
    np.testing.assert_allclose([word.end for word in speech.words], ends, atol=0.06)


def test_words_follow_each_other_and_are_all_there_or_none() -> None:
    words = espeak.speak("Call 3 four, 27 — Micro-organisms!", "en-us").words
    assert words == ()  # a lone dash has no sound
    words = espeak.speak("Call 3   four, 27 Micro-organisms!", "en-us").words
    assert [word.word for word in words] == ["Call", "3", "four,", "27", "Micro-organisms!"]
    assert all(word.start < word.end for word in words)
    assert all(left.end <= right.start for left, right in itertools.pairwise(words))


def test_unknown_voices_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    espeak.check_voices(["en-us", "en-gb-scotland+m8", "en+Andy"])
    for voice, message in {
        "en-gb+f1": "espeak-ng has no voice en-gb+f1: 'en-gb' is none of en, en-029, en-gb-scotland",
        "en-us+F1": "espeak-ng has no voice en-us+F1: there is no variant 'F1'; did you mean f1",
        "en-us+": "espeak-ng has no voice en-us+: there is no variant ''",
    }.items():
        with pytest.raises(UserError, match=re.escape(message)):
            espeak.check_voices([voice])
    with pytest.raises(UserError, match="espeak-ng has no voice 'nobody'"):
        espeak.speak("Go.", "nobody")


def test_without_espeak_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=re.escape("pip install 'speechrnn[demo]'")):
        utterances(tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_voices_that_cannot_be_read_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import espeakng_loader

    for folder, reason in ((tmp_path / "empty", "it is damaged"), (tmp_path / ("x" * 160), "its path is too long")):
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda folder=folder: str(folder / "espeak-ng-data"))
        with pytest.raises(UserError, match=re.escape(f"cannot read its voices in {folder}: {reason}")):
            espeak.speak("Go.", "en-us")
    monkeypatch.undo()
    assert len(espeak.speak("Go.", "en-us").samples) > 0


# The sentences


def test_the_grammar_says_all_its_words_and_no_others() -> None:
    random = np.random.default_rng(0)
    drawn = [grammar.draw(random) for _ in range(2000)]
    assert set(grammar.FOOD_CHAIN) | set(grammar.TIMETABLE) < set(drawn)
    words = {word.strip(".,").lower() for sentence in drawn for word in sentence.split()}
    assert len(words) == 52
    assert {"micro-organisms", "wednesday", "zero", "yellow", "window", "tomorrow"} < words
    assert not any("{" in sentence for sentence in drawn)


@given(seed=st.integers(0, 2**63), split=st.sampled_from(SPLITS), index=st.integers(0, 99_999))
def test_each_draw_is_its_own_and_within_its_ranges(seed: int, split: str, index: int) -> None:
    settings = replace(SETTINGS, seed=seed)
    drawn = draw(settings, split, index)
    assert draw(settings, split, index) == drawn
    assert draw(settings, split, index + 1).seed != drawn.seed
    assert drawn.voice == settings.voices[split][index % len(settings.voices[split])]
    for value, (low, high) in (
        (drawn.rate, settings.rate),
        (drawn.pitch, settings.pitch),
        (drawn.pitch_range, settings.pitch_range),
        (drawn.snr, settings.snr),
        (drawn.level, settings.level),
    ):
        assert low <= value <= high
    assert drawn.noise in settings.noises


def test_both_ends_of_a_range_are_drawn() -> None:
    settings = replace(SETTINGS, rate=(150, 152), pitch=(50, 50))
    drawn = [draw(settings, "train", index) for index in range(60)]
    assert {each.rate for each in drawn} == {150, 151, 152}
    assert {each.pitch for each in drawn} == {50}


# The recording


def test_white_noise_is_flat_and_pink_noise_falls_by_3_db_an_octave() -> None:
    for colour, slope in (("white", 0.0), ("pink", -3.01)):
        noise = coloured_noise(colour, 200_003, np.random.default_rng(0))  # type: ignore[arg-type]
        assert noise.shape == (200_003,)
        assert rms(noise) == pytest.approx(1.0, abs=1e-5)
        power = np.abs(np.fft.rfft(noise)) ** 2
        octaves = [10 * np.log10(power[2**k : 2 ** (k + 1)].mean()) for k in range(9, 16)]
        assert np.diff(octaves) == pytest.approx(slope, abs=0.35)


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr", [0.0, 20.0])
def test_the_drawn_snr_is_that_of_the_mixture(colour: str, snr: float) -> None:
    clean = record(DRAW, 16000).samples.astype(np.float64)
    mixed = record(replace(DRAW, noise=colour, snr=snr), 16000).samples  # type: ignore[arg-type]
    noise = coloured_noise(colour, len(clean), np.random.default_rng(DRAW.seed))  # type: ignore[arg-type]
    parts = np.stack([clean, noise], axis=1)
    (speech_gain, noise_gain), *_ = np.linalg.lstsq(parts, mixed, rcond=None)
    np.testing.assert_allclose(parts @ [speech_gain, noise_gain], mixed, atol=1e-6)
    margin = round(MARGIN * 16000)
    ratio = speech_gain * rms(clean[margin:-margin]) / (noise_gain * rms(noise))
    assert 20 * np.log10(ratio) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize("level", [-40.0, -20.0])
def test_level_and_margins(level: float) -> None:
    samples = record(replace(DRAW, level=level), 16000).samples
    assert 20 * np.log10(rms(samples)) == pytest.approx(level, abs=0.01)
    margin = round(MARGIN * 16000)
    assert not samples[:margin].any()
    assert not samples[-margin:].any()
    # The sound itself begins and ends within a frame of the search (32 ms).
    loud = np.flatnonzero(np.abs(samples) > 0.003 * np.abs(samples).max())
    assert loud[0] < margin + 0.04 * 16000
    assert loud[-1] > len(samples) - margin - 0.04 * 16000


def test_a_level_beyond_full_scale_stops_at_the_peak() -> None:
    samples = record(replace(DRAW, level=0.0), 16000).samples
    assert np.abs(samples).max() == pytest.approx(0.97, abs=1e-6)


@pytest.mark.parametrize("sampling_rate", [8000, 16000, 44100])
def test_word_times_survive_resampling_and_trimming(sampling_rate: int) -> None:
    speech = record(replace(DRAW, text="Nine. Lemon."), sampling_rate)
    assert speech.sampling_rate == sampling_rate
    nine, lemon = speech.words
    assert nine.start == pytest.approx(MARGIN, abs=0.04)
    at = np.arange(len(speech.samples)) / sampling_rate
    between = speech.samples[(at > nine.end + 0.05) & (at < lemon.start - 0.03)]
    assert len(between) > 0.05 * sampling_rate
    assert rms(between) < 0.01 * rms(speech.samples[(at > nine.start) & (at < nine.end)])


def test_a_sentence_without_sound_is_named() -> None:
    with pytest.raises(UserError, match=re.escape("nothing to hear in the sentence '...'")):
        record(replace(DRAW, text="..."), 16000)


# The corpus


def test_the_same_seed_makes_the_same_bytes(made: Path, tmp_path: Path) -> None:
    utterances(tmp_path / "same", **SMALL)
    assert contents(tmp_path / "same") == contents(made)
    utterances(tmp_path / "larger", train_utterances=4, dev_utterances=0, test_utterances=2)
    larger = contents(tmp_path / "larger")
    sounds = {name: data for name, data in contents(made).items() if name.endswith(".flac")}
    assert {name: larger[name] for name in sounds if not name.startswith("dev")} == {
        name: data for name, data in sounds.items() if not name.startswith("dev")
    }
    utterances(tmp_path / "other", **SMALL, seed=1)
    other = contents(tmp_path / "other")
    assert not any(other[name] == sounds[name] for name in sounds)


def test_what_is_written(made: Path) -> None:
    splits = utterances(made, **SMALL)
    assert {split: len(found) for split, found in splits.items()} == {"train": 3, "dev": 1, "test": 2}
    assert [found.id for found in splits["test"]] == ["test-00000", "test-00001"]
    entries = {entry["id"]: entry for entry in map(json.loads, (made / "utterances.jsonl").read_text().splitlines())}
    words = {entry["id"]: entry["words"] for entry in map(json.loads, (made / "words.jsonl").read_text().splitlines())}
    for split, voices in (("train", TRAIN_VOICES), ("dev", DEV_VOICES), ("test", TEST_VOICES)):
        for index, found in enumerate(splits[split]):
            info = audio_info(found.audio)
            assert (info.sampling_rate, info.channels) == (16000, 1)
            assert found.speaker == voices[index]
            entry = entries[found.id]
            assert (entry["text"], entry["voice"]) == (found.text, found.speaker)
            assert entry["duration"] == pytest.approx(info.duration, abs=1e-3)
            assert found.text is not None
            assert [word["word"] for word in words[found.id]] == found.text.split()
            assert words[found.id][0]["start"] == pytest.approx(MARGIN, abs=0.06)
            assert words[found.id][-1]["end"] == pytest.approx(info.duration - MARGIN, abs=0.06)


def test_a_corpus_is_made_once_and_again_when_it_must(tmp_path: Path) -> None:
    keys = {"train_utterances": 2, "dev_utterances": 0, "test_utterances": 1}

    def make(**other: object) -> dict[str, int]:
        utterances(tmp_path, **{**keys, **other})  # type: ignore[arg-type]
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}

    first = make()
    assert sorted(first) == ["test-00000.flac", "train-00000.flac", "train-00001.flac"]
    assert make() == first
    (tmp_path / "train" / "train-00001.flac").unlink()
    second = make()
    assert sorted(second) == sorted(first)
    marker = tmp_path / "synthetic.json"
    marker.write_text(
        marker.read_text().replace('"complete": true', '"complete": false')
    )  # as an interruption leaves it
    assert make()["train-00000.flac"] > second["train-00000.flac"]
    # Fewer utterances: those of before are not left behind.
    assert sorted(make(train_utterances=1, test_utterances=0)) == ["train-00000.flac"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=f"corpus.root={tmp_path} holds files, but no synthetic corpus"):
        utterances(tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]
    with pytest.raises(UserError, match="is a file, not a folder"):
        utterances(tmp_path / "thesis.txt", **SMALL)
    with pytest.raises(UserError, match=r"needs corpus\.root"):
        utterances(None, **SMALL)


def test_own_sentences_from_a_list_or_a_file(tmp_path: Path) -> None:
    said = ("Good morning.", "How are you?")
    from_list = utterances(tmp_path / "list", **{**SMALL, "train_utterances": 8}, sentences=said)
    assert {found.text for found in from_list["train"]} == set(said)
    (tmp_path / "said.txt").write_text("\ufeffGood morning.\n\n How  are you? \n")
    from_file = utterances(tmp_path / "file", **{**SMALL, "train_utterances": 8}, sentences=str(tmp_path / "said.txt"))
    assert [found.text for found in from_file["train"]] == [found.text for found in from_list["train"]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rate": (190, 140)}, "corpus.rate=[190,140] is wrong: it must be from 80 to 450, the lower one first."),
        ({"pitch": (0, 101)}, "corpus.pitch=[0,101] is wrong: it must be from 0 to 100"),
        ({"seed": -1}, "corpus.seed=-1 is wrong"),
        ({"sampling_rate": 16}, "corpus.sampling_rate=16 is wrong: it must be from 8000"),
        ({"test_utterances": -1}, "corpus.test_utterances=-1 is wrong"),
        ({"dev_voices": ()}, "corpus.dev_voices=[] names no voice"),
        ({"test_voices": ("en-us", "en-us+m9")}, "espeak-ng has no voice en-us+m9"),
        ({"sentences": ("", "  ")}, "corpus.sentences holds no sentence"),
        ({"sentences": "/no/such/file.txt"}, "corpus.sentences=/no/such/file.txt cannot be read"),
    ],
)
def test_wrong_values_are_named_before_anything_is_written(
    tmp_path: Path, keys: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        utterances(tmp_path / "corpus", **keys)  # type: ignore[arg-type]
    assert not (tmp_path / "corpus").exists()


def test_the_config_page_holds_the_defaults_and_its_voices_are_apart() -> None:
    page = corpus_options({**yaml.safe_load(PAGE.read_text()), "root": "somewhere"})
    assert page.own == corpus_options({"name": "synthetic", "root": "somewhere"}).own
    assert len(set(TRAIN_VOICES)) == len(TRAIN_VOICES) >= 12
    variants = {name: {voice.partition("+")[2] for voice in page.own[f"{name}_voices"]} for name in SPLITS}
    assert not variants["train"] & (variants["dev"] | variants["test"])
    assert not variants["dev"] & variants["test"]
    espeak.check_voices([*TRAIN_VOICES, *DEV_VOICES, *TEST_VOICES])


def test_it_can_be_prepared_like_any_corpus(made: Path, tmp_path: Path, read_cuts: ReadCuts) -> None:
    options = corpus_options({"name": "synthetic", "root": str(made), **SMALL})
    prepared = prepare(options, tmp_path / "prepared")
    assert [prepared.summary["splits"][split]["utterances"] for split in SPLITS] == [3, 1, 2]
    cuts = read_cuts(prepared.train)
    assert [cut["supervisions"][0]["speaker"] for cut in cuts] == list(TRAIN_VOICES[:3])
    assert prepare(options, tmp_path / "prepared").reused

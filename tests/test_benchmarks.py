"""The benchmarks: fair turns, the form of their results, and that each one's --quick runs."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from helpers.acoustic_models import save_listener, streaming_model

from speechrnn.audio import save_audio
from speechrnn.decoding.hypothesis import Word
from speechrnn.nn.acoustic import load_acoustic, save_acoustic
from speechrnn.transcription.events import Event

FOLDER = Path(__file__).parents[1] / "benchmarks"
Load = Callable[[str], ModuleType]
SCRIPTS = [
    "blocks",
    "busy",
    "cluster",
    "decoding",
    "engine",
    "english",
    "fine_tuning",
    "generation",
    "hot_words",
    "language",
    "latency",
    "levels",
    "levers",
    "memory",
    "batches",
    "metrics",
    "mixture",
    "no_speech",
    "noise",
    "packed",
    "packets",
    "recurrent",
    "sphinx",
    "startup",
    "streaming",
    "training",
    "transcribe",
    "unfamiliar",
    "word_times",
]
SHARED = ["an4", "live_session", "manifest", "timing"]  # modules of scripts, and what draws a picture
RESULT = re.compile(r"^(?P<name>\w+): ratio (?P<ratio>\S+) \(ours (?P<ours>\S+), peer (?P<peer>\S+) (?P<unit>.+)\)$")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a benchmark's module as its scripts do, and forgets it afterwards: its name may be another's."""
    monkeypatch.syspath_prepend(FOLDER)
    for name in (*SHARED, *SCRIPTS):
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setitem(sys.modules, name, None)  # restored to what it was, or removed, at the end
        del sys.modules[name]
    return importlib.import_module


def test_every_script_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted([*SCRIPTS, *SHARED])


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_states_the_claim_and_the_common_options(
    name: str, module: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        module(name).main()
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "Claim: " in said
    for option in ("--quick", "--threads", "--repeats"):
        assert option in said


def test_results_say_how_many_times_as_good_ours_is(module: Load) -> None:
    timing = module("timing")
    assert timing.result("step", 0.5, 2.0, "s") == "step: ratio 4 (ours 0.5, peer 2 s)"
    line = timing.result("speed", 300.0, 100.0, "times real time", more_is_better=True)
    assert line == "speed: ratio 3 (ours 300, peer 100 times real time)"
    assert timing.share("data", 1.0, 50.0, "s") == "data: ratio 0.02 (ours 1, peer 50 s)"


def test_sides_take_turns_and_the_first_is_not_counted(module: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    timing = module("timing")
    calls: list[str] = []
    clock = iter(range(1000))

    class Clock:
        @staticmethod
        def perf_counter() -> int:
            return next(clock)

    def slow() -> None:
        calls.append("B")
        for _ in range(100 if calls.count("B") == 1 else 4):
            next(clock)

    monkeypatch.setattr(timing, "time", Clock)
    assert timing.in_turn({"a": lambda: calls.append("A"), "b": slow}, repeats=3) == {"a": 1, "b": 5}
    assert calls == ["A", "B"] * 4


def test_recurrent_compares_what_agrees(
    module: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recurrent = module("recurrent")
    for name, value in {"LONGEST": 12, "BATCH": 3, "PEAK_SIZE": 64}.items():
        monkeypatch.setattr(recurrent, name, value)
    lines = [RESULT.match(line) for line in recurrent.compare(8, 4, "cpu", repeats=1)]
    assert [line and line["name"] for line in lines] == [
        "share_of_peak_ours_3x8",
        "share_of_peak_packed_3x8",
        "bfloat16_3x8",
        "recurrent_3x8",
    ]
    right = recurrent.packed
    monkeypatch.setattr(recurrent, "packed", lambda *given: 1.001 * right(*given))
    with pytest.raises(SystemExit) as stopped:
        recurrent.compare(8, 4, "cpu", repeats=1)
    assert stopped.value.code == 2
    assert "cannot be compared" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["english", "memory", "noise", "training", "transcribe"])
def test_a_missing_corpus_is_one_sentence(
    name: str, module: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = str(torch.get_num_threads())
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--threads", threads, "--root", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as stopped:
        module(name).main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "nowhere" in said and "--root" in said


def test_unfamiliar_needs_a_run_with_facts(
    module: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = str(torch.get_num_threads())
    for arguments, words in [([], "--demo"), (["--demo", str(tmp_path / "nowhere")], "nowhere")]:
        monkeypatch.setattr(sys, "argv", ["unfamiliar", "--threads", threads, *arguments])
        with pytest.raises(SystemExit) as stopped:
            module("unfamiliar").main()
        assert stopped.value.code == 2 and words in capsys.readouterr().err


def test_a_song_has_the_length_and_the_pitch_that_were_asked_for(module: Load) -> None:
    unfamiliar = module("unfamiliar")
    generator = np.random.default_rng(0)
    spoken = 0.1 * generator.standard_normal(16000)
    sung = unfamiliar.sing(spoken, generator, base=200.0, stretch=1.5)
    assert len(sung) == 24000 and np.abs(sung).max() == 1.0
    power = np.abs(np.fft.rfft(sung * np.hanning(len(sung)))) ** 2
    frequencies = np.fft.rfftfreq(len(sung), 1 / 16000)
    between = (frequencies > 20) & (frequencies < 180)  # the melody begins at 200 Hz
    voice = (frequencies >= 180) & (frequencies < 420)
    assert power[voice].mean() > 10 * power[between].mean()
    tune = unfamiliar.chords(32000, generator, root=110.0)
    assert len(tune) == 32000 and np.abs(tune).max() == 1.0


def test_packed_is_undone(module: Load) -> None:
    from speechrnn.nn.recurrent import RecurrentLayer

    layer, lengths = RecurrentLayer(3, 4), torch.tensor([5, 2])
    inputs = torch.randn(5, 2, 3)
    with module("an4").packed(layer):
        assert (layer(inputs, lengths)[2:, 1] == 0).all()  # what unpacking leaves there
    assert (layer(inputs, lengths)[2:, 1] != 0).any()


def test_a_whole_model_has_the_same_outputs_on_packed_layers(module: Load, tmp_path: Path) -> None:
    model, _ = load_acoustic(save_listener(tmp_path))
    wave = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, frames = model(wave, torch.tensor([4000]))
        with module("an4").packed(model):
            packed, _ = model(wave, torch.tensor([4000]))
    torch.testing.assert_close(packed[:, : int(frames)], expected[:, : int(frames)])


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_ends_with_results(name: str, shared: Path) -> None:
    if name in ("blocks", "english", "latency", "levels", "noise", "packets", "unfamiliar", "word_times"):
        pytest.skip("it needs trained models")
    if name == "sphinx":
        pytest.importorskip("pocketsphinx", reason="the peer of sphinx.py: pip install pocketsphinx")
    on_an4 = ("decoding", "memory", "sphinx", "startup", "training", "transcribe")
    corpora = {"mixture": "wikitext-2", **dict.fromkeys(on_an4, "an4")}
    root = ["--root", str(shared / corpora[name])] if name in corpora else []
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--quick", *root]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = RESULT.match(done.stdout.splitlines()[-1])
    assert result is not None, done.stdout
    assert float(result["ratio"]) > 0


def test_sounds_without_speech_are_sound(module: Load) -> None:
    sounds = module("no_speech")
    for make in sounds.SOUNDS:
        found = make(np.random.default_rng(0), 40000)
        assert found.shape == (40000,) and np.isfinite(found).all()
        assert 0.01 < np.abs(found).max() <= 1.5, make.__name__


def test_amplified_samples_are_clipped_at_full_scale(module: Load) -> None:
    levels = module("levels")
    np.testing.assert_allclose(levels.amplify(np.array([0.01, -0.5]), 20.0), [0.1, -1.0])
    np.testing.assert_allclose(levels.amplify(np.array([0.5]), -40.0), [0.005])


def test_rows_of_a_manifest(module: Load, tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_text("".join(f'{{"audio_filepath": "{name}.wav", "text": "A"}}\n' for name in "abc") + "\n")
    rows = module("manifest").read_rows(path, every=2)
    assert [row["audio_filepath"] for row in rows] == [tmp_path / "a.wav", tmp_path / "c.wav"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        ("", "names no recordings"),
        ("a.wav A\n", "is no manifest"),
        ('{"audio_filepath": "a.wav"}\n', "is no manifest"),
        ("[1, 2]\n", "is no manifest"),
    ],
)
def test_a_bad_manifest_is_a_sentence(
    content: str | None, reason: str, module: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit) as stopped:
        module("manifest").read_rows(path)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"{path} {reason}" in said and "The key here is --manifest." in said


def test_words_that_are_taken_back_and_their_delays_are_counted(module: Load) -> None:
    latency = module("latency")

    def event(kind: str, segment: int, *words: str) -> Event:
        placed = tuple(Word(word, 1.0 * number, number + 0.5, confidence=0.9) for number, word in enumerate(words))
        return Event(kind, segment, " ".join(words), words=placed, stable_words=0, time=9.0)  # type: ignore[arg-type]

    run = latency.LiveRun([], [], 0, [])
    events = [
        (1.0, event("partial", 0, "TWO")),
        (2.0, event("partial", 0, "TWO", "READ")),
        (2.5, event("partial", 0, "TWO", "RED", "HERRINGS")),
        (3.0, event("final", 0, "TWO", "RED", "HERRINGS")),
        (4.0, event("final", 1, "ONE")),
    ]
    run.texts.append(latency.follow(events, run))
    assert run.texts == ["TWO RED HERRINGS ONE"] and run.words == 4
    assert run.taken_back == 1
    assert run.delays == [0.5, 1.0, 0.0, 3.5]
    assert latency.error_rate(["two, red herrings one"], run.texts) == 0.0


def test_latency_measures_and_draws(
    module: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_acoustic(tmp_path / "acoustic", *streaming_model(), {})
    generator = np.random.default_rng(0)
    save_audio(tmp_path / "talk.wav", (generator.standard_normal(32000) * 0.1).astype(np.float32), 16000)
    (tmp_path / "test.jsonl").write_text(json.dumps({"audio_filepath": "talk.wav", "text": "ab cab"}) + "\n")
    picture = tmp_path / "latency.svg"
    arguments = ["--quick", "--model", str(tmp_path / "acoustic"), "--manifest", str(tmp_path / "test.jsonl")]
    monkeypatch.setattr(sys, "argv", ["latency", *arguments, "--latencies", "0.3", "0.6", "--picture", str(picture)])
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--no-gate", "--hold", "0.2", "--streams", "2"])
    module("latency").main()
    printed = capsys.readouterr().out
    assert "2 streams at 0.6 s" in printed
    lines = [RESULT.match(line) for line in printed.splitlines()]
    assert [line["name"] for line in lines if line] == ["live_300ms_word_errors", "live_600ms_word_errors"]
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_a_session_is_drawn_amid_its_last_segment(module: Load) -> None:
    session = module("live_session")

    def event(kind: str, segment: int, text: str, stable: int) -> dict[str, object]:
        words = [{"word": word} for word in text.split()]
        return {"kind": kind, "segment": segment, "text": text, "words": words, "stable_words": stable}

    events = [
        event("partial", 0, "ONE", 0),
        event("final", 0, "ONE <TWO>", 2),
        event("partial", 1, "RED", 0),
        event("partial", 1, "RED HERRINGS SWIM", 1),
        event("final", 1, "RED HERRINGS SWIM", 3),
    ]
    assert session.screen(events) == (["ONE <TWO>"], "RED", "HERRINGS SWIM")
    drawing = ElementTree.fromstring(session.draw("speechrnn listen", *session.screen(events)))
    texts = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["$ speechrnn listen", "ONE <TWO>", "RED HERRINGS SWIM▌"]


def test_hours_of_a_stream_repeat(
    module: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from speechrnn.audio.features import FeatureOptions
    from speechrnn.nn.acoustic import AcousticModel, AcousticOptions

    streaming = module("streaming")
    torch.manual_seed(0)
    options = AcousticOptions(units=16, layers=1, channels=4, streaming=0.4)
    model = AcousticModel(28, FeatureOptions(bins=20, normalisation="training"), options).eval()
    monkeypatch.setattr(streaming, "PERIOD", 6.0)
    streaming.print_hours(model, 0.001)
    lines = capsys.readouterr().out.splitlines()
    assert [bool(RESULT.match(line)) for line in lines] == [False, True, True]
    assert lines[0].endswith("are the same.")


def test_word_times_are_held_against_the_truth(tmp_path: Path, module: Load) -> None:
    (tmp_path / "speech").mkdir()
    said = [{"word": "a", "start": 0.5, "end": 1.0}, {"word": "b", "start": 1.0, "end": 1.5}]
    heard = [{"word": "a", "start": 0.53, "end": 0.96}, {"word": "c", "start": 0.99, "end": 1.5}]
    truth = [{"id": "one", "words": said}, {"id": "two", "words": said}]
    found = [{"id": "one", "words": heard}, {"id": "two", "words": heard[:1]}]  # the second one lacks a word
    (tmp_path / "speech" / "words.jsonl").write_text("\n".join(map(json.dumps, truth)))
    (tmp_path / "hypotheses.jsonl").write_text("\n".join(map(json.dumps, found)))
    starts, ends = module("word_times").distances(tmp_path)
    assert starts == pytest.approx([0.03, 0.01]) and ends == pytest.approx([0.04, 0.0])


def test_every_word_of_a_dictionary_is_as_probable_as_the_next(tmp_path: Path, module: Load) -> None:
    (tmp_path / "words.dic").write_text("A  AH\nA(2)  EY\nB  B IY\n\nYES  Y EH S\n")
    module("sphinx").unigrams(tmp_path / "words.dic", tmp_path / "words.arpa")
    entries = (tmp_path / "words.arpa").read_text().partition("\\1-grams:\n")[2].splitlines()
    assert entries[:5] == ["-99 <s>", "-0.6021 </s>", "-0.6021 A", "-0.6021 B", "-0.6021 YES"]  # log10 of a quarter
    assert entries[5:] == ["", "\\end\\"]


def test_time_is_linear_when_each_further_hour_costs_the_same(module: Load) -> None:
    memory = module("memory")
    costs = [memory.Cost(60.0, 400.0, 6.0), memory.Cost(3660.0, 500.0, 16.0), memory.Cost(18060.0, 500.0, 56.0)]
    time_line, peak_line = map(RESULT.match, memory.lines("length", costs, 3600.0, "hour"))
    assert time_line and (time_line["ratio"], time_line["ours"]) == ("1", "10")
    assert peak_line and (peak_line["ratio"], peak_line["ours"], peak_line["peer"]) == ("0.8", "500", "400")


def test_noise_has_the_ratio_that_it_is_asked_for(module: Load) -> None:
    generator = np.random.default_rng(0)
    speech, noise = generator.standard_normal(8000), generator.standard_normal(3000)
    noisy = module("english").with_noise(speech, [noise], decibels=10.0, number=0)
    assert 10 * np.log10(np.mean(speech**2) / np.mean((noisy - speech) ** 2)) == pytest.approx(10.0, abs=0.01)


def test_a_telephone_has_nothing_above_its_band(module: Load) -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    power = np.abs(np.fft.rfft(module("english").over_telephone(wave))) ** 2  # bins of 1 Hz
    assert power[4200:].sum() < 0.001 * power[300:3400].sum()


def test_speakers_who_are_decoded_are_in_no_training(module: Load) -> None:
    rows = [[{"duration": 30.0, "speaker": str(number)} for _ in range(4)] for number in range(40)]
    ten, decoded = module("fine_tuning").split(rows, 10.0)
    twenty, same = module("fine_tuning").split(rows, 20.0)
    assert decoded == same
    assert {row["speaker"] for row in ten} < {row["speaker"] for row in twenty}
    assert not {row["speaker"] for row in twenty} & {row["speaker"] for row in decoded}
    assert (len(ten), len(twenty), len(decoded)) == (20, 40, 120)


def test_differences_of_trainings_are_those_between_the_same_seeds(module: Load) -> None:
    compare = module("levers").compare
    assert compare([8.0, 9.0], [10.0, 10.0]) == (-1.5, 0.5)
    assert compare([11.0], [10.0]) == (1.0, 0.0)


def test_hot_words_are_found_or_false_alarms(module: Load) -> None:
    script = module("hot_words")
    utterances = [script.Utterance(np.zeros(1), "a", "the ledger of jacquard"), script.Utterance(np.zeros(1), "a", "a")]
    assert script.found(utterances, ["ledger ledger of", "jacquard"], ["ledger", "jacquard"]) == (1, 2)

"""`speechrnn transcribe` as a user types it, with a small network that knows no words but has much to say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.acoustic_models import save_listener
from helpers.transcription_jobs import ROOT, Run, make_run

from speechrnn.audio import save_audio
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.model_facts import update_facts
from speechrnn.decoding.uncertainty import DevStatistics
from speechrnn.transcription.transcriber import Transcriber

RATE = 16000  # Hz


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    # The recordings are noise, in which a speech detector finds nothing.
    return make_run(["device=cpu", "segmentation.vad=none"], capsys, monkeypatch)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_listener(tmp_path_factory.mktemp("model"))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """recordings/{a/one.wav, b/two.flac, silence.wav}"""
    folder = tmp_path / "recordings"
    generator = np.random.default_rng(0)
    for name, seconds in (("a/one.wav", 0.7), ("b/two.flac", 1.3)):
        (folder / name).parent.mkdir(parents=True)
        noise = generator.standard_normal(round(seconds * RATE)) * 0.1
        save_audio(folder / name, noise.astype(np.float32), RATE)
    save_audio(folder / "silence.wav", np.zeros(RATE, np.float32), RATE)
    return folder


def written(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_becomes_a_folder_of_transcripts(run: Run, model: Path, recordings: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    status, out, err = run(f"model={model}", f"inputs=[{recordings}]", f"output={output}")
    assert (status, err) == (0, "")
    assert out.startswith("3 files, 3.0 s of audio in ") and out.rstrip().endswith(f"times real time): {output}")
    names = ["a/one", "b/two", "silence"]
    expected = [f"{name}{suffix}" for name in names for suffix in (".json", ".txt")]
    assert written(output) == sorted([*expected, "hypotheses.jsonl", "job.jsonl"])

    transcriber = Transcriber.load(model, "cpu", segmentation=SegmentationOptions("none"))
    rows = [json.loads(line) for line in (output / "hypotheses.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == names
    for name, row in zip(names, rows, strict=True):
        transcript = json.loads((output / f"{name}.json").read_text())
        assert transcript == json.loads(json.dumps(transcriber(transcript["audio"]).to_json()))
        assert (output / f"{name}.txt").read_text() == transcript["text"] + "\n"
        words = [word for segment in transcript["segments"] for word in segment["words"]]
        assert row == {
            "id": name,
            "audio": str(next(recordings.glob(f"{name}.*"))),
            "duration": transcript["duration"],
            "hypothesis": transcript["text"],
            "confidence": transcript["confidence"],
            "words": words,
            "decoding": "greedy",
        }
    assert rows[0]["hypothesis"] and not rows[2]["hypothesis"]


def test_one_file_one_format(run: Run, model: Path, recordings: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    status, out, _ = run(f"model={model}", f"inputs={recordings}/b/two.flac", f"output={output}", "formats=[txt]")
    assert status == 0 and out.startswith("1 file, 1.3 s of audio")
    assert re.search(r" in [\d.]+ s by (torch|onnx) \w+ \(", out)
    assert written(output) == ["hypotheses.jsonl", "job.jsonl", "two.txt"]


def test_bad_files_are_said_at_the_end_and_the_rest_goes_on(
    run: Run, model: Path, recordings: Path, tmp_path: Path
) -> None:
    (recordings / "empty.wav").touch()
    (recordings / "a" / "letter.wav").write_text("Dear Sir or Madam")
    (recordings / "cut.wav").write_bytes((recordings / "silence.wav").read_bytes()[:9000])
    output = tmp_path / "out"
    status, out, err = run(f"model={model}", f"inputs=[{recordings}]", f"output={output}", "formats=[txt]")
    assert status == 1
    assert out.startswith("4 files")
    first, *failures = err.splitlines()
    assert first == "2 of 6 could not be transcribed; retry_failed=true tries again:"
    last = failures.pop()
    assert failures.pop() == "1 of 6 could be transcribed only in part; retry_failed=true tries again:"
    assert last.startswith(f"  {recordings / 'cut.wav'} ") and "breaks off at" in last
    reasons = ["holds text, not audio", "is empty"]
    for line, name, reason in zip(failures, ("a/letter.wav", "empty.wav"), reasons, strict=True):
        assert line.startswith(f"  {recordings / name} ") and reason in line
    assert written(output) == ["a/one.txt", "b/two.txt", "cut.txt", "hypotheses.jsonl", "job.jsonl", "silence.txt"]
    assert len((output / "hypotheses.jsonl").read_text().splitlines()) == 4
    status, out, again = run(f"model={model}", f"inputs=[{recordings}]", f"output={output}", "formats=[txt]")
    assert (status, again) == (1, err)
    assert out == f"{output} has transcripts of 4 of 6 files; all were tried before.\n"  # not: nothing to do


def test_where_nothing_is_good_there_are_no_hypotheses(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    status, out, err = run(f"model={model}", f"inputs={tmp_path}/empty.wav", f"output={tmp_path}/out")
    assert status == 1 and out == f"No file was transcribed: {tmp_path}/out\n" and "is empty" in err
    assert (tmp_path / "out" / "hypotheses.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "{tmp}/nowhere"}, "There is no model directory {tmp}/nowhere"),
        # The model is looked at before anything else.
        ({"model": "{tmp}/nowhere", "inputs": "{tmp}/nothing"}, "There is no model directory {tmp}/nowhere"),
        ({"inputs": "{tmp}/nothing"}, "{tmp}/nothing does not exist"),
        ({"inputs": "[{tmp}/out]"}, "{tmp}/out holds no audio"),
        ({"output": "{tmp}/talk.srt"}, "formats=[srt] > {tmp}/talk.srt"),
        ({"output": "{rec}/a/one.wav"}, "names a file, but transcripts go into a folder"),
        ({"formats": "[txt,jsn]"}, "No format jsn; did you mean json?"),
        (
            {"decoding": "greddy"},
            "decoding=greddy is none of the options of decoding (beam, greedy)",
        ),
        ({"device": "tpu"}, "device=tpu is not on this machine"),
        ({"inputs": "[{rec}/a,{rec}/more/one.wav]"}, "would both be written as 'one'"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_written(
    run: Run, model: Path, recordings: Path, tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    (tmp_path / "out").mkdir()
    (recordings / "more").mkdir()
    (recordings / "more" / "one.wav").write_bytes((recordings / "a" / "one.wav").read_bytes())
    places = {"tmp": str(tmp_path), "rec": str(recordings)}
    keys = {"model": str(model), "inputs": f"[{recordings}]", "output": f"{tmp_path}/out", **change}
    given = [f"{key}={value.format(**places)}" for key, value in keys.items()]
    status, out, err = run(*given)
    assert (status, out) == (2, "")
    assert err.startswith("speechrnn: ") and err.count("\n") == 1
    assert sentence.format(**places) in err
    assert written(tmp_path / "out") == []


def test_an_output_that_cannot_be_written(run: Run, model: Path, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    status, _, err = run(f"model={model}", f"inputs=[{recordings}]", f"output={tmp_path}/out")
    assert status == 2 and err.count("\n") == 1 and f"output={tmp_path}/out names a file" in err


@pytest.mark.parametrize("batch_seconds", ["0.1", "1000"])
def test_the_words_do_not_depend_on_the_batches(
    run: Run, model: Path, recordings: Path, tmp_path: Path, batch_seconds: str
) -> None:
    output = tmp_path / "out"
    assert run(f"model={model}", f"inputs={recordings}", f"output={output}", f"batch_seconds={batch_seconds}")[0] == 0
    transcriber = Transcriber.load(model, "cpu", segmentation=SegmentationOptions("none"))
    for name in ("a/one.wav", "b/two.flac"):
        assert (output / name).with_suffix(".txt").read_text() == transcriber(recordings / name).text + "\n"


def test_in_a_terminal_there_is_a_bar(
    run: Run, model: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    status, out, err = run(f"model={model}", f"inputs=[{recordings}]", f"output={tmp_path}/out")
    assert status == 0 and out.startswith("3 files")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)
    assert "3/3 files" in shown and "3.0 s of audio" in shown and "times real time" in shown


def test_the_script_itself_does_the_same_and_imports_nothing_heavy(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    heavy = ["lightning", "lhotse", "librosa", "matplotlib", "scipy", "pandas", "jiwer", "av", "tensorboard", "rich"]
    heavy += ["fsspec", "ray"]
    arguments = [f"model={model}", f"inputs=[{recordings}]", f"output={tmp_path}/out", "device=cpu"]
    code = f"""if True:
        import atexit, runpy, sys
        sys.path.insert(0, {str(ROOT)!r})
        sys.argv = {[str(ROOT / "recipes" / "transcribe.py"), *arguments]}
        atexit.register(lambda: print(sorted(set({heavy}) & set(sys.modules))))
        runpy.run_path(sys.argv[0], run_name="__main__")
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, last = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert first.startswith("3 files") and last == "[]"
    assert len(written(tmp_path / "out")) == 8


def test_a_warning_stands_in_the_files_and_once_at_the_end(
    run: Run, model: Path, recordings: Path, tmp_path: Path
) -> None:
    left = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    for name in ("phase0", "phase1"):
        soundfile.write(recordings / f"{name}.wav", np.stack([left, -left], 1), RATE)
    output = tmp_path / "out"
    command = f"model={model}", f"inputs=[{recordings}]", f"output={output}", "formats=[json]"
    for _ in range(2):  # what was transcribed before counts, too
        status, _, err = run(*command)
        assert status == 0
        assert err.count("\n") == 1 and "2 of 5" in err and "channels" in err and "hypotheses.jsonl" in err
    warned = {name: json.loads((output / f"{name}.json").read_text())["warnings"] for name in ("phase0", "silence")}
    assert [sorted(warning) for warning in warned["phase0"]] == [["kind", "message"]] and warned["silence"] == []
    rows = [json.loads(line) for line in (output / "hypotheses.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows if "warnings" in row] == ["phase0", "phase1"]
    status, _, err = run(f"model={model}", f"inputs=[{recordings}]")
    assert status == 0 and err.count("channels") == 1


@pytest.fixture
def sure_model(tmp_path: Path) -> Path:
    """The small network, which is said to be surer of its dev part than it is of anything."""
    folder = save_listener(tmp_path / "sure")
    training = TrainingFacts(1.5, 900, 12, words=4000, vocabulary=60, sampling_rates={"16000": 1.5}, narrow_band=False)
    update_facts(folder, training, DevStatistics(utterances=60, uncertainty=0.001, deviation=0.01))
    return folder


def chords(seconds: float) -> np.ndarray:
    """A chord every half second, with a beat."""
    time = np.arange(round(seconds * RATE)) / RATE
    beat = time % 0.5
    chord = (time // 0.5 % 4).astype(int)
    tones = np.array([[220.0, 277.2, 329.6], [246.9, 311.1, 370.0], [293.7, 370.0, 440.0], [329.6, 415.3, 493.9]])
    sound = np.sin(2 * np.pi * tones[chord] * time[:, None]).sum(1) * np.exp(-4 * beat)
    return (0.2 * sound + 0.3 * np.random.default_rng(0).standard_normal(len(time)) * np.exp(-60 * beat)).astype(
        np.float32
    )


@pytest.mark.parametrize("detector", ["energy", "silero", "none"])
def test_music_and_noise_alone_give_empty_or_warned_transcripts(
    run: Run, sure_model: Path, tmp_path: Path, detector: str
) -> None:
    if detector == "silero":
        pytest.importorskip("silero_vad")
    generator = np.random.default_rng(0)
    sounds = {
        "song": chords(5.0),
        "concert": chords(40.0),  # longer than a window
        "hiss": 0.1 * generator.standard_normal(5 * RATE),
        "rain": 0.1 * generator.standard_normal(40 * RATE),
        "hum": 0.3 * np.sin(2 * np.pi * 50 * np.arange(5 * RATE) / RATE),
    }
    for name, sound in sounds.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        save_audio(tmp_path / "in" / f"{name}.wav", sound.astype(np.float32), RATE)
    output = tmp_path / "out"
    status, _, err = run(
        f"model={sure_model}", f"inputs=[{tmp_path / 'in'}]", f"output={output}", f"segmentation.vad={detector}"
    )
    assert status == 0 and "Traceback" not in err
    kinds = {}
    for name in sounds:
        transcript = json.loads((output / f"{name}.json").read_text())
        kinds[name] = [warning["kind"] for warning in transcript["warnings"]]
        assert kinds[name] == (["unfamiliar"] if transcript["text"] else [])
    warned = sum(map(bool, kinds.values()))
    assert warned == 5 if detector == "none" else warned <= 5
    assert err.count("unlike what") == (warned > 1)  # one sentence for the job
    if warned > 1:
        assert f"{warned} of 5 files" in err and "1.5 hours" in err and str(sure_model) in err

"""`speechrnn transcribe talk.wav`: without output=, the words are printed; the model is found by its name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.acoustic_models import record
from helpers.bundles import save_bundle

from speechrnn.cli import main as cli
from speechrnn.core import model_names
from speechrnn.transcription.bundle import find_bundle
from speechrnn.transcription.transcriber import Transcriber

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`run("talk.wav", "key=value", ...)` -> (exit status, stdout, stderr); `english` is a small untrained bundle."""
    monkeypatch.setattr(model_names, "PRETRAINED", tmp_path / "pretrained")
    save_bundle(tmp_path / "pretrained" / "english")
    record(tmp_path / "calls", 3)
    monkeypatch.chdir(tmp_path)

    def transcribe(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(["transcribe", "device=cpu", "segmentation.vad=none", "precision=float32", *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return transcribe


def test_a_pipe_gets_a_line_a_recording_and_the_rest_is_on_stderr(run: Run) -> None:
    status, out, err = run("calls/")
    assert status == 0 and err.startswith("3 files, ")
    assert run("calls/", "output=out", "formats=[txt,json]")[0] == 0
    texts = sorted(Path("out").rglob("*.txt"))
    names = [f"calls/{path.relative_to('out').with_suffix('.wav').as_posix()}" for path in texts]
    assert out == "".join(f"{name}\t{path.read_text()}" for name, path in zip(names, texts, strict=True))
    assert run(str(names[0]))[1] == texts[0].read_text()
    transcript = json.loads(texts[0].with_suffix(".json").read_text())
    assert (transcript["model"], transcript["decoding"]) == ("english", "beam")
    assert Transcriber.load("english", "cpu", decoding="greedy").decoder.name == "greedy"


def test_a_terminal_gets_times(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, out, _ = run("calls/0/0000.wav")
    assert status == 0 and out.startswith("[00:00.") and " --> 00:00." in out.splitlines()[0] and "]  " in out


def test_one_format_may_be_printed_and_several_need_a_folder(run: Run) -> None:
    status, out, _ = run("calls/0/0000.wav", "formats=[srt]")
    assert status == 0 and out.startswith("1\n00:00:00,")
    status, out, err = run("calls/0/0000.wav", "formats=[srt,vtt]")
    assert (status, out) == (2, "") and "output=DIR" in err and err.count("\n") == 1
    for format in ("srt", "vtt", "tsv", "textgrid"):
        status, out, err = run("calls/", f"formats=[{format}]")
        assert (status, out) == (2, "") and f"formats=[{format}] of 3 recordings" in err and err.count("\n") == 1
    status, out, _ = run("calls/", "formats=[json]")
    names = [line.split('"')[3] for line in out.splitlines() if '"audio"' in line]
    assert status == 0 and len(set(names)) == 3


def test_a_recording_that_cannot_be_read_is_listed_and_the_others_are_printed(run: Run) -> None:
    Path("calls/0/0001.wav").write_text("a letter")
    status, out, err = run("calls/")
    assert status == 1 and len(out.splitlines()) == 2 and "0001.wav" not in out
    assert "1 of 3 could not be transcribed" in err and "0001.wav" in err


def test_a_package_without_its_model_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pretrained").rename(tmp_path / "elsewhere")
    status, out, err = run("calls/")
    assert (status, out) == (2, "") and "english is not part of this installation" in err and err.count("\n") == 1
    assert run("calls/", "model=elsewhere/english/acoustic", "decoding=greedy")[0] == 0
    assert find_bundle("elsewhere/english").language == Path("elsewhere/english/language")

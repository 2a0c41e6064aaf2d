"""The record of a job is deleted beside what it wrote: the same command says so and changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers.acoustic_models import ALONE, record, save_listener
from helpers.language_models import toy_model

from speechrnn.cli import main as cli
from speechrnn.nn.language import save_language
from speechrnn.text.tokenizers import CharTokenizer


def run(command: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Give a command in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", sys.argv)
    try:
        return cli.main(command)
    except SystemExit as end:
        return int(end.code or 0)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files but records by name."""
    names = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("job.jsonl"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


@pytest.mark.parametrize("record_left", [None, bytes(4096)])  # zeros are what a power cut leaves
def test_transcripts_without_their_record_are_not_overwritten_unasked(
    tmp_path: Path,
    record_left: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, recordings = save_listener(tmp_path / "model"), record(tmp_path / "recordings", 6)
    output = tmp_path / "out"
    command = ["transcribe", f"model={model}", f"inputs={recordings}", f"output={output}", *ALONE]
    assert run(command, monkeypatch) == 0
    whole = contents(output)
    (output / "job.jsonl").unlink()
    if record_left is not None:
        (output / "job.jsonl").write_bytes(record_left)
    capsys.readouterr()
    assert run(command, monkeypatch) == 2
    message = capsys.readouterr().err
    assert f"{output}/" in message and "overwrite=true" in message and contents(output) == whole
    assert run([*command, "overwrite=true"], monkeypatch) == 0
    assert contents(output) == whole and len(whole) > 6


@pytest.mark.parametrize("remedy", [[], ["overwrite=true"]])
def test_completions_without_their_record_are_not_overwritten_unasked(
    tmp_path: Path, remedy: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alphabet = CharTokenizer.build(["ABCDEFGH"])
    save_language(tmp_path / "model", toy_model(len(alphabet)), alphabet, training={})
    (tmp_path / "prompts.txt").write_text("AB\nCD\nEF\n")
    files = [f"prompts={tmp_path}/prompts.txt", f"output={tmp_path}/out/all.jsonl"]
    command = ["generate", f"model={tmp_path}/model", *files, "device=cpu", "max_new_tokens=5"]
    assert run(command, monkeypatch) == 0
    whole = contents(tmp_path / "out")
    (tmp_path / "out" / "all.jsonl.job.jsonl").unlink()
    capsys.readouterr()
    status = run([*command, *remedy], monkeypatch)
    assert contents(tmp_path / "out") == whole
    if not remedy:
        assert status == 2 and "overwrite=true" in capsys.readouterr().err
    else:
        assert status == 0

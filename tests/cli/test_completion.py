"""Tab completion, asked as bash asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from speechrnn.cli import help
from speechrnn.cli.completion import complete

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("speechrnn gen", ["generate "]),
        ("speechrnn generate stre", ["stream="]),
        ("speechrnn text_prediction text=p", ["text=ptb "]),
        ("speechrnn text_prediction text=ptb text.ro", ["text.root="]),
        ("speechrnn speech_to_text acoustic.uni", ["acoustic.units="]),
        ("speechrnn speech_to_text experiment=an4_f", ["experiment=an4_fused "]),
        ("speechrnn speech_to_text prediction.tokenizer=w", ["prediction.tokenizer=word "]),
        ("speechrnn generate stream=", ["stream=false ", "stream=true "]),
        ("speechrnn generate model=mod", ["model=models/"]),
        ("speechrnn transcribe inputs=[models/a.wav,models/b", ["inputs=[models/a.wav,models/b.wav"]),
        ("speechrnn nothing_known k", []),
    ],
)
def test_the_last_word_is_completed(
    line: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "models" / name).touch()
    assert complete(line, ROOT) == words


def test_a_new_word_offers_every_recipe_or_key() -> None:
    assert complete("speechrnn ", ROOT) == sorted(f"{name} " for name in help.recipes(ROOT))
    assert {"corpus=", "corpus.root=", "trainer.epochs="} <= set(complete("speechrnn speech_to_text ", ROOT))


@pytest.mark.integration
def test_bash_completes(tmp_path: Path) -> None:
    """The installed function, called with what bash gives to it at a Tab."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash on this machine")
    command = tmp_path / "speechrnn"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m speechrnn.cli.main "$@"\n')
    command.chmod(0o755)
    script = """
        eval "$(speechrnn -sc install=bash)"
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1)
        $(complete -p speechrnn | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for line, expected in (
        ("speechrnn trans", "transcribe \n"),
        ("speechrnn transcribe executor=p", "executor=processes \n"),
        ("speechrnn evaluate referen", "references=\n"),
    ):
        result = subprocess.run(
            ["bash", "-c", script, "bash", line], capture_output=True, text=True, env={**os.environ, **path}
        )
        assert (result.stdout, result.stderr) == (expected, "")

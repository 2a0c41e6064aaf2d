"""Users of the package get its types: a wrong argument is an error of mypy in their code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER = """
from speechrnn import TextPredictor, Transcriber

reveal_type(Transcriber.load("model"))
Transcriber.load("model", device="cpu")
Transcriber.load("model", devcie="cpu")
reveal_type(TextPredictor.load("model"))
TextPredictor.load("model").generate(["a"], max_new_tokens="many")
"""


@pytest.mark.integration
def test_a_wrong_argument_is_an_error_of_mypy(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER)
    options = ["--config-file", "", "--follow-imports", "silent", "--cache-dir", ".cache", "--ignore-missing-imports"]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "user.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
    )
    lines = [line for line in result.stdout.splitlines() if "error:" in line or "Revealed" in line]
    assert len(lines) == 4, result.stdout + result.stderr
    assert 'speechrnn.transcription.transcriber.Transcriber"' in lines[0]
    assert lines[1].startswith("user.py:6:") and '"devcie"' in lines[1]
    assert 'speechrnn.generation.predictor.TextPredictor"' in lines[2]
    assert lines[3].startswith("user.py:8:") and "max_new_tokens" in lines[3]


def test_the_package_is_marked_as_typed() -> None:
    assert (ROOT / "speechrnn" / "py.typed").is_file()

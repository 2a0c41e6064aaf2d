"""Fixtures of the command line: a folder with a small recipe, and a command run in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest
from helpers.command import PAGES, Command, Result

from speechrnn.cli import main as cli


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with conf/ and recipes/; its name has a space, as folders do."""
    root = tmp_path_factory.mktemp("a project")
    for name, text in PAGES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text).lstrip(), encoding="utf-8")
    return root


@pytest.fixture
def speechrnn(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The command, run in this process from an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["speechrnn"])

    def run(*arguments: str) -> Result:
        try:
            status = cli.main(arguments, root)
        except SystemExit as exit:
            assert isinstance(exit.code, int)
            status = exit.code
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run

"""The log of a run: run.log and the terminal, one run after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from speechrnn.core.errors import UserError
from speechrnn.experiments.log import logger, start_logging, stop_logging


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    stop_logging()


def test_lines_go_to_the_file_of_the_current_run_and_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_logging()  # of a run of another test
    before = list(logger.handlers)  # pytest's own, in some orders of the tests
    for name in ("first", "second"):
        start_logging(tmp_path / f"{name}.log", first=True)
        logger.info("epoch of the %s", name)
    stop_logging()
    for name in ("first", "second"):
        (line,) = (tmp_path / f"{name}.log").read_text().splitlines()
        assert line.endswith(f"INFO epoch of the {name}")
    assert capsys.readouterr().err == "epoch of the first\nepoch of the second\n"
    assert logger.propagate and logger.handlers == before


def test_the_other_processes_of_a_training_log_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(tmp_path / "run.log", first=False)
    logger.info("epoch 1")
    assert not (tmp_path / "run.log").exists() and capsys.readouterr().err == ""


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "run.log"
    with pytest.raises(UserError) as error:
        start_logging(path, first=True)
    assert str(path) in str(error.value) and "output" in str(error.value)


def test_a_full_disk_costs_the_line_of_the_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging(tmp_path / "run.log", first=True)

    def full(record: logging.LogRecord) -> str:
        raise OSError(28, "No space left on device")

    (file,) = (handler for handler in logger.handlers if isinstance(handler, logging.FileHandler))
    monkeypatch.setattr(file, "format", full)
    logger.info("epoch 1")
    assert capsys.readouterr().err == "epoch 1\n"

"""Tests of the worker of a transcription job: one outcome an input, under the input's own name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.servers import website

from speechrnn.jobs.inputs import Input
from speechrnn.jobs.storage import EVERYWHERE
from speechrnn.jobs.transcription_worker import Outcome, outcomes
from speechrnn.transcription.reader import Channel
from speechrnn.transcription.transcript import Failure, Segment, Transcript

Announce = Callable[[int, Segment], None]


class Engine:
    """An engine's name."""

    name = "none"


class Transcriber:
    """A transcriber whose transcript is the content of the file; `touch` is called while it is read."""

    engine = Engine()

    def __init__(self, touch: Callable[[Path], object] = lambda path: None) -> None:
        self.touch = touch

    def transcribe(
        self, sources: Iterable[str | Channel], ordered: bool = False, on_segment: Announce | None = None
    ) -> Iterator[Transcript | Failure]:
        for number, source in enumerate(sources):
            path = Path(source if isinstance(source, str) else source.path)
            self.touch(path)
            if not path.is_file():
                yield Failure(str(source), f"{source} does not exist.")
                continue
            text = path.read_text()
            if on_segment is not None:
                on_segment(number, Segment(0.0, 1.0, text, confidence=1.0, words=()))
            yield Transcript(
                str(source), 1.0, text, confidence=1.0, segments=(), alternatives=(), model="model", decoding="greedy"
            )


def run(inputs: Iterable[Input], transcriber: Transcriber | None = None, **keys: Any) -> list[Outcome]:
    worker: Any = transcriber or Transcriber()
    return list(outcomes(worker, inputs, **keys))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_text(name.upper())
    return tmp_path


def test_a_result_has_the_name_of_its_input(files: Path) -> None:
    stdin = Input("talk", "-", place=str(files / "a.wav"))
    gone = Input("gone", "-", place=str(files / "gone.wav"))
    first, second = run([stdin, gone])
    assert isinstance(first.result, Transcript) and (first.result.audio, first.result.text) == ("-", "A")
    assert isinstance(second.result, Failure) and str(files) not in second.result.reason
    assert first.file_state is not None and second.file_state is None and first.engine == "none"


def test_refused_inputs_are_failures_among_the_others(files: Path) -> None:
    inputs = [
        Input("a", str(files / "a.wav")),
        Input("x", "x:y", error="x:y is no address."),
        Input("b", str(files / "b.wav")),
    ]
    assert [isinstance(outcome.result, Failure) for outcome in run(inputs)] == [False, True, False]


def test_a_file_that_changes_while_it_is_read_is_a_failure(files: Path) -> None:
    (outcome,) = run([Input("a", str(files / "a.wav"))], Transcriber(lambda path: path.write_text("longer")))
    assert isinstance(outcome.result, Failure) and "was changed while it was read" in outcome.result.reason


def test_channels_of_a_file_are_inputs_of_their_own(files: Path) -> None:
    inputs = [Input(f"a-{number}", str(files / "a.wav"), channel=number) for number in (0, 1)]
    found = [outcome.result for outcome in run(inputs)]
    assert [result.channel for result in found if isinstance(result, Transcript)] == [0, 1]


def test_segments_are_announced_with_their_input(files: Path) -> None:
    said: list[tuple[str, str]] = []
    inputs = [Input(name, str(files / f"{name}.wav")) for name in ("b", "a")]
    run(inputs, on_segment=lambda item, segment: said.append((item.id, segment.text)))
    assert said == [("b", "B"), ("a", "A")]


@pytest.mark.integration
def test_inputs_at_addresses_are_fetched(files: Path) -> None:
    with website(files) as address:
        inputs = [
            Input("a", f"{address}/a.wav"),
            Input("gone", f"{address}/gone.wav"),
            Input("b", str(files / "b.wav")),
        ]
        found = {outcome.input.id: outcome.result for outcome in run(inputs, remote_options=EVERYWHERE, ordered=True)}
    assert list(found) == ["a", "gone", "b"] and isinstance(found["gone"], Failure)
    first = found["a"]
    assert isinstance(first, Transcript) and first.audio == f"{address}/a.wav" and first.text == "A"

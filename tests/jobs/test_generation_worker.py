"""Tests of the worker of a generation job: one outcome a prompt, in order, whatever is raised over one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from speechrnn.core.failures import MachineError
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.results import Prompt, Result
from speechrnn.jobs.executors import Lost
from speechrnn.jobs.generation_worker import lost_outcome, outcomes


def prompt(number: int) -> Prompt:
    return Prompt(number, f"text {number}", (1,), options=GenerationOptions())


class Predictor:
    """A predictor that raises over a batch in which such a prompt is."""

    def __init__(self, bad: Iterable[int] = (), error: Exception | None = None) -> None:
        self.bad, self.error = {*bad}, error or RuntimeError("a bug")

    def complete(self, prompts: Iterable[Prompt | Result], batch_size: int) -> Iterator[Result]:
        batch: list[Prompt | Result] = []
        for item in prompts:
            batch.append(item)
            if len(batch) == batch_size:
                yield from self.results(batch)
                batch = []
        yield from self.results(batch)

    def results(self, batch: list[Prompt | Result]) -> Iterator[Result]:
        if any(item.id in self.bad for item in batch):
            raise self.error
        for item in batch:
            yield item if isinstance(item, Result) else Result(item.id, item.text)


def run(predictor: Any, prompts: Iterable[Prompt | Result], batch_size: int = 3) -> list[Any]:
    return list(outcomes(predictor, prompts, batch_size))


@pytest.mark.parametrize("bad", [[], [0], [4], [9], [1, 2, 8], range(10)])
def test_only_the_prompt_at_fault_fails(bad: list[int]) -> None:
    found = run(Predictor(bad), map(prompt, range(10)))
    assert [outcome.result.id for outcome in found] == [*range(10)]
    assert [outcome.result.id for outcome in found if outcome.result.error] == [*bad]
    for outcome in found:
        assert (outcome.details is not None) == (outcome.result.id in bad)
        if outcome.details:
            assert "RuntimeError" in outcome.details and outcome.result.prompt == f"text {outcome.result.id}"


def test_lines_that_are_no_prompts_keep_their_place() -> None:
    found = run(Predictor([2]), [prompt(0), Result(1, None, error="No JSON."), prompt(2)])
    assert [outcome.result.error and outcome.result.error[:7] for outcome in found] == [None, "No JSON", "Prompt "]


def test_an_error_of_the_source_is_no_prompts_fault() -> None:
    def source() -> Iterator[Prompt]:
        yield prompt(0)
        raise ValueError("the file ends in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        run(Predictor(), source())


def test_a_machine_that_fails_ends_the_work() -> None:
    with pytest.raises(MachineError):
        run(Predictor([1], MachineError("The GPU has fallen off the bus.")), map(prompt, range(3)))


def test_a_prompt_at_which_workers_died_has_a_reason() -> None:
    result = lost_outcome(Lost(prompt(3), "Three workers have died at it.")).result
    assert (result.id, result.prompt, result.error) == (3, "text 3", "Three workers have died at it.")

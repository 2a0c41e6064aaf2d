"""The worker of a generation job: takes prompts and gives their results, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speechrnn.core.failures import describe_error, raise_if_fatal, traceback_of
from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Prompt, Result
from speechrnn.jobs.executors import Lost


@dataclass(frozen=True)
class GenerationOutcome:
    """Hold the result of a prompt.

    Attributes:
        result: its completions, or its error.
        details: the traceback of an unexpected error, for the log.
    """

    result: Result
    details: str | None = None


@dataclass(frozen=True)
class GenerationWorker:
    """Hold all that a predictor is made from, to be sent to another process; see `TextPredictor`.

    Attributes:
        model: directory of the language model.
        device: on which it computes.
        batch_size: most texts that are written at a time.
    """

    model: Path
    device: str
    batch_size: int

    def __call__(self) -> Callable[[Iterable[Prompt | Result]], Iterator[GenerationOutcome]]:
        """Load the predictor.

        Returns:
            A function that yields one outcome for each prompt, in order.

        Raises:
            UserError: see `TextPredictor.load`.
        """
        return self.with_predictor(TextPredictor.load(self.model, self.device))

    def with_predictor(
        self, predictor: TextPredictor
    ) -> Callable[[Iterable[Prompt | Result]], Iterator[GenerationOutcome]]:
        """Return the same function for a predictor that is loaded."""
        return lambda prompts: outcomes(predictor, prompts, self.batch_size)


class _PromptsError(Exception):
    """Carry an exception of the source of prompts past the predictor."""


def outcomes(
    predictor: TextPredictor, prompts: Iterable[Prompt | Result], batch_size: int
) -> Iterator[GenerationOutcome]:
    """Yield one outcome for each prompt, in order.

    Where the predictor raises over a batch, its prompts are completed one by one, so that only the one at fault fails.

    Args:
        predictor: the model.
        prompts: prompts, and results of lines that are no prompts.
        batch_size: most texts that are written at a time.
    """
    source = iter(prompts)
    taken: deque[Prompt | Result] = deque()  # prompts that have no result yet

    def take() -> Iterator[Prompt | Result]:
        while True:
            try:
                prompt = next(source)
            except StopIteration:
                return
            except Exception as error:
                raise _PromptsError from error
            taken.append(prompt)
            yield prompt

    while True:
        try:
            for result in predictor.complete(take(), batch_size):
                taken.popleft()
                yield GenerationOutcome(result)
            return
        except _PromptsError as error:
            assert error.__cause__ is not None
            raise error.__cause__ from None
        except Exception as error:
            raise_if_fatal(error)
        while taken:
            yield _complete_alone(predictor, taken.popleft())


def _complete_alone(predictor: TextPredictor, prompt: Prompt | Result) -> GenerationOutcome:
    try:
        (result,) = predictor.complete([prompt], 1)
    except Exception as error:
        raise_if_fatal(error)
        reason = describe_error(f"Prompt {prompt.id}", error)
        return GenerationOutcome(Result(prompt.id, _text_of(prompt), error=reason), traceback_of(error))
    return GenerationOutcome(result)


def lost_outcome(lost: Lost) -> GenerationOutcome:
    """Make the outcome of a prompt at which its workers died."""
    prompt: Prompt | Result = lost.item
    return GenerationOutcome(Result(prompt.id, _text_of(prompt), error=lost.reason))


def _text_of(prompt: Prompt | Result) -> str | None:
    return prompt.text if isinstance(prompt, Prompt) else prompt.prompt

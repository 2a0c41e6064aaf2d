"""What a worker does that generates: prompts in, results out, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speechrnn.generation.predictor import TextPredictor
from speechrnn.generation.results import Prompt, Result
from speechrnn.jobs.executors import Lost


@dataclass(frozen=True)
class GenerateWorker:
    """All that a predictor is made from, to be sent to where it works; see `TextPredictor.load` and `complete`."""

    model: Path
    device: str
    batch_size: int

    def __call__(self) -> Callable[[Iterable[Prompt | Result]], Iterator[Result]]:
        """Loads the predictor; what it gives takes prompts and gives one result each.

        Raises:
            UserError: see `TextPredictor.load`.
        """
        return self.with_model(TextPredictor.load(self.model, self.device))

    def with_model(self, predictor: TextPredictor) -> Callable[[Iterable[Prompt | Result]], Iterator[Result]]:
        """The same for a predictor that is loaded."""
        return lambda prompts: predictor.complete(prompts, self.batch_size)


def given_up(lost: Lost) -> Result:
    """What became of a prompt that no worker survived."""
    prompt: Prompt | Result = lost.item
    text = prompt.text if isinstance(prompt, Prompt) else prompt.prompt
    return Result(prompt.id, text, error=lost.reason)

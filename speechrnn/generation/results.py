"""What generation takes and gives: prompts, completions, and the tokens these are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from speechrnn.generation.options import GenerationOptions
from speechrnn.nn.language import END_OF_LINE

FinishReason = Literal["length", "stop", "eos"]


@dataclass(frozen=True)
class Prompt:
    """A text to go on from.

    Attributes:
        id: how its result is told from others.
        text: as it was given.
        tokens: the text as the model reads it; 0 ends a line.
        options: how to go on.
    """

    id: int | str
    text: str
    tokens: tuple[int, ...]
    options: GenerationOptions

    @property
    def before(self) -> tuple[int, ...]:
        """What the model reads before the last token of the prompt; a text begins as if a line had ended."""
        return (END_OF_LINE, *self.tokens)[:-1]


class Token(NamedTuple):
    """A written token: its symbol ("\\n" for the line's end) and the natural log-probability that the model gave it.

    That is the model's own, before temperature, penalties and bans.
    """

    token: str
    logprob: float


@dataclass(frozen=True)
class Completion:
    """A text that goes on from a prompt.

    Attributes:
        text: what stands after the prompt, so that both put together read as one text: for a word model it begins with
            a space where one is due.
        tokens: the tokens of the text, and of the end of its line where that is why it ends.
        logprob: the sum of theirs.
        finish_reason: "eos": the line ended; "stop": a stop string was written; "length": `max_new_tokens`
            was reached, or nothing was left that might be written.
    """

    text: str
    tokens: tuple[Token, ...]
    logprob: float
    finish_reason: FinishReason


@dataclass(frozen=True)
class Result:
    """What became of a prompt: completions, or one sentence that says why there are none."""

    id: int | str
    prompt: str | None
    completions: tuple[Completion, ...] = ()
    error: str | None = None

    @property
    def tokens(self) -> int:
        """Written, in all completions."""
        return sum(len(one.tokens) for one in self.completions)

    def to_json(self) -> dict[str, Any]:
        """The line of the output file."""
        if self.error is not None:
            return {"id": self.id, "prompt": self.prompt, "error": self.error}
        completions = [{**asdict(one), "tokens": [token._asdict() for token in one.tokens]} for one in self.completions]
        return {"id": self.id, "prompt": self.prompt, "completions": completions}

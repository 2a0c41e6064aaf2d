"""Inputs and outputs of generation: prompts, tokens, completions, results."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from speechrnn.core.errors import UserError
from speechrnn.generation.options import GenerationOptions
from speechrnn.nn.language import END_OF_LINE

logger = logging.getLogger("speechrnn")
FinishReason = Literal["length", "stop", "eos"]


@dataclass(frozen=True)
class Prompt:
    """A prompt, tokenized and with its options: what `TextPredictor.prompt` returns.

    >>> Prompt("p1", "ab", (1, 2), GenerationOptions(seed=3)).context
    (0, 1)

    Attributes:
        id: name of the prompt in the results.
        text: the prompt as the user wrote it.
        tokens: indices of the normalised prompt; 0 ends a line.
        options: options of its completions.
        bad_words: indices of the words in `options.bad_words`.
    """

    id: int | str
    text: str
    tokens: tuple[int, ...]
    options: GenerationOptions
    bad_words: tuple[tuple[int, ...], ...] = ()

    @property
    def context(self) -> tuple[int, ...]:
        """Return the tokens before the last one; a text begins as if a line had ended."""
        return (END_OF_LINE, *self.tokens)[:-1]


class Token(NamedTuple):
    """A token of a completion.

    >>> Token("SHARKS", -1.25).logprob
    -1.25

    Attributes:
        token: its symbol; a newline for the end of the line.
        logprob: natural log-probability under the model, before temperature, penalties and bans.
    """

    token: str
    logprob: float


@dataclass(frozen=True)
class Completion:
    """A text that continues a prompt.

    >>> Completion(" FEED", (Token("FEED", -0.5),), -0.5, "length").finish_reason
    'length'

    Attributes:
        text: the text to append to the prompt: for a word model it begins with a space where one is needed.
        tokens: tokens of the text, and the line end where `finish_reason` is "eos".
        logprob: sum of the tokens' log-probabilities.
        finish_reason: "eos": the line ended; "stop": a stop string was written; "length": `max_new_tokens`
            was reached, or no token was allowed to follow.
    """

    text: str
    tokens: tuple[Token, ...]
    logprob: float
    finish_reason: FinishReason


@dataclass(frozen=True)
class Result:
    """Completions of a prompt, or one sentence that says why there are none.

    >>> Result(3, "x", error="The prompt is empty.").to_json()
    {'id': 3, 'prompt': 'x', 'error': 'The prompt is empty.'}

    Attributes:
        id: id of the prompt.
        prompt: the prompt as the user wrote it; None where it could not be read.
        completions: in the order of their numbers, or, of a beam search, the best first.
        error: the sentence, for a prompt that failed.
    """

    id: int | str
    prompt: str | None
    completions: tuple[Completion, ...] = ()
    error: str | None = None

    @classmethod
    def from_error(cls, prompt: Prompt, error: Exception) -> Result:
        """Return the result of a prompt over which an exception was raised; its traceback is logged."""
        if isinstance(error, UserError):
            return cls(prompt.id, prompt.text, error=str(error))
        logger.debug("Prompt %s", prompt.id, exc_info=error)
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        return cls(prompt.id, prompt.text, error=f"The prompt could not be completed ({reason}); change or remove it.")

    @property
    def tokens(self) -> int:
        """Return the number of tokens of all completions."""
        return sum(len(completion.tokens) for completion in self.completions)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that stands in the output file."""
        if self.error is not None:
            return {"id": self.id, "prompt": self.prompt, "error": self.error}
        completions = [
            {**asdict(completion), "tokens": [token._asdict() for token in completion.tokens]}
            for completion in self.completions
        ]
        return {"id": self.id, "prompt": self.prompt, "completions": completions}

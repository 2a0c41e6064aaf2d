"""Options of text generation; names and meaning are those of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypedDict

from speechrnn.core.errors import UserError

MIN_TEMPERATURE = 1e-5  # below it a draw takes the most probable token anyway, and scores would leave float32's range
MAX_TEMPERATURE = 1e30  # all tokens are equally probable long before


class GenerationOverrides(TypedDict, total=False):
    """Types of the keyword arguments that stand for fields of `GenerationOptions`; a test holds that both agree."""

    max_new_tokens: int
    min_new_tokens: int
    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    repetition_penalty: float
    no_repeat_ngram_size: int
    num_beams: int
    length_penalty: float
    num_return_sequences: int
    stop_strings: Sequence[str]
    bad_words: Sequence[str]
    ignore_eos: bool | None
    seed: int


@dataclass(frozen=True)
class GenerationOptions:
    """Options that each prompt may set for itself.

    >>> GenerationOptions(max_new_tokens=40, temperature=0.8, seed=1).greedy
    False
    >>> GenerationOptions(do_sample=False).greedy
    True

    Attributes:
        max_new_tokens: maximum number of tokens of a completion.
        min_new_tokens: number of tokens before the line may end; without effect where `ignore_eos` is true.
        do_sample: draw tokens by their probability; false, or a temperature below 1e-5, takes the most probable one
            (greedy).
        temperature: divides the scores before a draw: below 1 sharpens the distribution, above 1 flattens it.
        top_k: draw among the k most probable tokens; 0 for all.
        top_p: draw among the most probable tokens that together have this probability (Holtzman et al. 2020).
        min_p: draw among tokens that have at least this share of the most probable one's probability.
        typical_p: draw among tokens whose surprisal is nearest to the entropy and that together have this
            probability (Meister et al. 2023).
        repetition_penalty: above 1 makes tokens of the prompt and of the completion less likely (Keskar et al. 2019).
        no_repeat_ngram_size: no sequence of this many tokens stands twice in prompt and completion; 0 allows it.
        num_beams: above 1 searches for the most probable text with this many beams, instead of drawing one.
        length_penalty: beams are ranked by log-probability over length to this power; 0 favours short texts.
        num_return_sequences: completions of each prompt.
        stop_strings: a completion ends where it contains one of these; the string stays in it.
        bad_words: words that are never written, as the tokenizer splits them.
        ignore_eos: false: a completion ends where the model ends its line. True: the line end is written as a newline,
            and the text goes on. None: true for a model of running text, whose training text goes on after each line
            end; false for a model of separate documents, and where the model directory does not say.
        seed: the same prompt and seed give the same text.
    """

    max_new_tokens: int = field(default=100, metadata={"min": 1, "max": 2**31 - 1})
    min_new_tokens: int = field(default=0, metadata={"min": 0})
    do_sample: bool = True
    temperature: float = field(default=1.0, metadata={"min": 0.0})
    top_k: int = field(default=0, metadata={"min": 0})
    top_p: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    min_p: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    typical_p: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    repetition_penalty: float = field(default=1.0, metadata={"min": 0.01, "max": 100.0})
    no_repeat_ngram_size: int = field(default=0, metadata={"min": 0})
    num_beams: int = field(default=1, metadata={"min": 1, "max": 10_000})
    length_penalty: float = field(default=1.0, metadata={"min": -20.0, "max": 20.0})
    num_return_sequences: int = field(default=1, metadata={"min": 1, "max": 100_000})
    stop_strings: tuple[str, ...] = ()
    bad_words: tuple[str, ...] = ()
    ignore_eos: bool | None = None
    seed: int = field(default=0, metadata={"min": -(2**63), "max": 2**63 - 1})

    def __post_init__(self) -> None:
        for name in ("stop_strings", "bad_words"):
            if isinstance(texts := getattr(self, name), str):
                raise UserError(f"{name}={texts} is wrong: it must be a list of texts.")
            object.__setattr__(self, name, tuple(texts))
        if self.min_new_tokens > self.max_new_tokens:
            raise UserError(
                f"min_new_tokens={self.min_new_tokens} is more than max_new_tokens={self.max_new_tokens}; "
                "lower the first or raise the second."
            )
        if not all(self.stop_strings) or not all(word.strip() for word in self.bad_words):
            raise UserError("stop_strings and bad_words must not hold an empty text; leave it out.")
        if self.num_beams > 1:
            if not self.unfiltered or not (self.greedy or self.temperature == 1):
                raise UserError(
                    f"num_beams={self.num_beams} searches and draws nothing: leave out temperature, top_k, top_p, "
                    "min_p and typical_p."
                )
            if self.num_return_sequences > self.num_beams:
                raise UserError(
                    f"num_return_sequences={self.num_return_sequences} is more than num_beams={self.num_beams} can "
                    "give; raise num_beams."
                )
        elif self.greedy and self.num_return_sequences > 1:
            raise UserError(
                f"num_return_sequences={self.num_return_sequences} would be the same text each time: greedy generation "
                "has only one; set do_sample=true and a temperature, or num_beams."
            )

    @cached_property
    def greedy(self) -> bool:
        """Return whether each step takes the most probable token."""
        return not self.do_sample or self.temperature < MIN_TEMPERATURE

    @cached_property
    def unfiltered(self) -> bool:
        """Return whether a draw leaves out no token for its low probability."""
        return (self.top_k, self.top_p, self.min_p, self.typical_p) == (0, 1.0, 0.0, 1.0)

    @cached_property
    def constrained(self) -> bool:
        """Return whether penalties or bans depend on the tokens so far."""
        return self.repetition_penalty != 1 or self.no_repeat_ngram_size > 0 or bool(self.bad_words)

    @cached_property
    def plain_sampling(self) -> bool:
        """Return whether tokens are drawn from the model's own distribution."""
        return not (self.greedy or self.constrained) and self.temperature == 1 and self.unfiltered

    @cached_property
    def adaptive_sampling(self) -> bool:
        """Return whether `AdaptiveSampler` can choose: greedy, or a draw from all tokens at a temperature up to 1."""
        return not self.constrained and (self.greedy or (self.temperature <= 1 and self.unfiltered))

    @cached_property
    def effective_temperature(self) -> float:
        """Return the number that divides the scores before a draw; 1 for greedy generation, which draws nothing."""
        return 1.0 if self.greedy else min(self.temperature, MAX_TEMPERATURE)


DEFAULTS = GenerationOptions()

"""How text is generated; the names and their meaning are those of Hugging Face's transformers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from speechrnn.core.errors import UserError


@dataclass(frozen=True)
class GenerationOptions:
    """What can be different for each prompt.

    Attributes:
        max_new_tokens: most tokens of a completion.
        min_new_tokens: so many tokens before the line may end; nothing where `ignore_eos` lets it go on anyway.
        do_sample: draw tokens by their probability; false, or a temperature of 0, takes the most probable (greedy).
        temperature: divides the scores before drawing: below 1 plays safe, above 1 dares more.
        top_k: draw among the k most probable tokens; 0 for all.
        top_p: draw among the most probable tokens that together have this probability (Holtzman et al. 2020).
        min_p: draw among tokens that have at least this share of the most probable one's probability.
        typical_p: draw among tokens whose surprise is nearest to the expected one and that together have this
            probability (Meister et al. 2023).
        repetition_penalty: above 1 makes tokens of the prompt and of what was written less likely (Keskar et al. 2019).
        no_repeat_ngram_size: no sequence of so many tokens stands twice in prompt and text; 0 to allow it.
        num_beams: above 1 searches the most probable text, of so many kept at a time, instead of drawing one.
        length_penalty: beams are ranked by log-probability over length to this power; 0 favours short ones.
        num_return_sequences: completions of each prompt.
        stop_strings: where one of these was written the text ends, with it.
        bad_words: what is never written, as the tokenizer splits it.
        ignore_eos: false: a completion ends where the model ends its line; true: the line's end is written as a
            newline, and the text goes on.
        seed: the same prompt and seed give the same text.
    """

    max_new_tokens: int = field(default=100, metadata={"min": 1})
    min_new_tokens: int = field(default=0, metadata={"min": 0})
    do_sample: bool = True
    temperature: float = field(default=1.0, metadata={"min": 0.0})
    top_k: int = field(default=0, metadata={"min": 0})
    top_p: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    min_p: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    typical_p: float = field(default=1.0, metadata={"min": 0.0, "max": 1.0})
    repetition_penalty: float = field(default=1.0, metadata={"min": 0.01})
    no_repeat_ngram_size: int = field(default=0, metadata={"min": 0})
    num_beams: int = field(default=1, metadata={"min": 1})
    length_penalty: float = 1.0
    num_return_sequences: int = field(default=1, metadata={"min": 1})
    stop_strings: tuple[str, ...] = ()
    bad_words: tuple[str, ...] = ()
    ignore_eos: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.min_new_tokens > self.max_new_tokens:
            raise UserError(
                f"min_new_tokens={self.min_new_tokens} is more than max_new_tokens={self.max_new_tokens}; "
                "lower the first or raise the second."
            )
        if not all(self.stop_strings) or not all(word.strip() for word in self.bad_words):
            raise UserError("stop_strings and bad_words must not hold an empty text; leave it out.")
        if self.num_beams > 1:
            if not self.draws_from_all or self.temperature not in (0.0, 1.0):
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
        """Whether the most probable token is taken at each step."""
        return not self.do_sample or self.temperature == 0

    @cached_property
    def draws_from_all(self) -> bool:
        """Whether no token is left out of the draw for being improbable."""
        return (self.top_k, self.top_p, self.min_p, self.typical_p) == (0, 1.0, 0.0, 1.0)

    @cached_property
    def constrained(self) -> bool:
        """Whether what was written before changes what may follow, by more than the model knows of it."""
        return self.repetition_penalty != 1 or self.no_repeat_ngram_size > 0 or bool(self.bad_words)

    @cached_property
    def plain(self) -> bool:
        """Whether tokens are drawn from the model's own distribution."""
        return not (self.greedy or self.constrained) and self.temperature == 1 and self.draws_from_all

    @cached_property
    def unshaped(self) -> bool:
        """Whether what is chosen follows from the model's distribution and the temperature, at most 1, alone."""
        return not self.constrained and (self.greedy or (self.temperature <= 1 and self.draws_from_all))

"""Text that a user gives, in the form in which the model read its training text."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from speechrnn.core.errors import UserError
from speechrnn.generation.detokenizer import NEWLINE
from speechrnn.generation.options import DEFAULTS, GenerationOptions
from speechrnn.generation.results import Prompt
from speechrnn.nn.language import END_OF_LINE
from speechrnn.text.normalisation import UNCHANGED, NormalisationOptions, normalise
from speechrnn.text.tokenizers import Tokenizer


class PromptEncoder:
    """The normalisation and tokenization of prompts, bad words and stop strings.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> encoder = PromptEncoder(CharTokenizer.build([], " ABC"), NormalisationOptions())
    >>> encoder.normalise("a cab!")
    'A CAB'
    >>> encoder.encode("cab\\na")
    (4, 2, 3, 0, 2)

    Attributes:
        normalisation: what was done to the model's training text.
        running_text: whether the model's training text goes on after each line end; see `GenerationOptions.ignore_eos`.
    """

    def __init__(
        self, tokenizer: Tokenizer, normalisation: NormalisationOptions = UNCHANGED, running_text: bool = False
    ) -> None:
        self.tokenizer = tokenizer
        self.normalisation = normalisation
        self.running_text = running_text
        self._adapt = lru_cache(maxsize=16)(self.adapt_options)

    @property
    def accepts_unknown(self) -> bool:
        """Return whether the model was trained to read `<unk>`; a subword model was not."""
        return self.tokenizer.kind != "subword" and self.tokenizer.unknown_index is not None

    def prompt(self, text: str, options: GenerationOptions = DEFAULTS, id: int | str = 0) -> Prompt:
        """Return a prompt for `TextPredictor.complete`.

        Raises:
            UserError: it is no text, or holds characters that the model does not know.
        """
        check_text(text)
        options, bad_words = self._adapt(options)
        return Prompt(id, text, self.encode(text), options=options, bad_words=bad_words)

    def adapt_options(self, options: GenerationOptions) -> tuple[GenerationOptions, tuple[tuple[int, ...], ...]]:
        """Return options as they are for this model, and the indices of the bad words that it can write."""
        if options.ignore_eos is None and self.running_text:
            options = replace(options, ignore_eos=True)
        if self.normalisation != UNCHANGED:
            # What normalisation leaves nothing of can never be written, so nothing stops there and nothing is banned.
            options = replace(
                options,
                stop_strings=tuple(filter(None, map(self.normalise_fragment, options.stop_strings))),
                bad_words=tuple(filter(str.strip, map(self.normalise_fragment, options.bad_words))),
            )
        known = [word for word in options.bad_words if not self.tokenizer.count_unknown(word)]
        return options, tuple(tuple(self.tokenizer.encode(word)) for word in known)

    def normalise(self, text: str) -> str:
        """Normalise each line of a prompt as the training text was; a space at its end stays."""
        result = NEWLINE.join(normalise(line, self.normalisation) for line in text.split(NEWLINE))
        open_end = self.normalisation.collapse_spaces and text.endswith(" ")
        return f"{result} " if open_end and result and not result.endswith((" ", NEWLINE)) else result

    def normalise_fragment(self, text: str) -> str:
        """Normalise a part of a line, such as a stop string; a space at either end stays."""
        if text.isspace():
            return text
        result = self.normalise(text)
        return f" {result}" if text.startswith(" ") and result and not result.startswith((" ", NEWLINE)) else result

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the indices of the normalised text, whose last line has not ended.

        Raises:
            UserError: it is no text, or has characters that the model does not know, and reads no `<unk>` for.
        """
        check_text(text)
        lines = self.normalise(text).split(NEWLINE)
        if not self.accepts_unknown and (unknown := set().union(*map(self.tokenizer.count_unknown, lines))):
            names = ", ".join(f"{character!r} (U+{ord(character):04X})" for character in sorted(unknown)[:5])
            raise UserError(f"The text {text[:40]!r} holds {names}, which the model does not know; leave it out.")
        tokens: list[int] = []
        for line in lines:
            tokens += [END_OF_LINE, *self.tokenizer.encode(line)]
        return tuple(tokens[1:])


def check_text(text: object) -> None:
    """Raise UserError unless a prompt, or another text from Python, is one.

    >>> check_text("it was a")
    """
    if not isinstance(text, str):
        raise UserError(f"A text is wanted, in Python a str, not a {type(text).__name__}.")

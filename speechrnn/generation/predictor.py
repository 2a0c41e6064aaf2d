"""Text prediction with a language model: completions, next words, perplexity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from speechrnn.core.config import build
from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError
from speechrnn.core.jsonio import read_json
from speechrnn.core.model_names import DESCRIPTION, find_model_directory
from speechrnn.data.tokens import TokenBatch
from speechrnn.evaluation.perplexity import PlainScorer, perplexity
from speechrnn.generation.beam_search import BeamSearchEngine
from speechrnn.generation.detokenizer import NEWLINE, Detokenizer
from speechrnn.generation.engine import SamplingEngine
from speechrnn.generation.fixed_batches import FixedBatches
from speechrnn.generation.next_words import find_next_words
from speechrnn.generation.options import DEFAULTS, GenerationOptions, GenerationOverrides
from speechrnn.generation.prompt_encoder import PromptEncoder, check_text
from speechrnn.generation.results import Prompt, Result
from speechrnn.nn.language import END_OF_LINE, LanguageModel, load_language
from speechrnn.text.normalisation import UNCHANGED, NormalisationOptions, model_normalisation
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TextPredictor:
    """A language model that completes prompts.

    The text for a prompt and a seed does not depend on the batch size, the order or the other prompts.

    >>> from speechrnn.nn.language import LanguageModel, LanguageOptions
    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> tokenizer = CharTokenizer.build([], " ABC")
    >>> model = LanguageModel(len(tokenizer), LanguageOptions(units=8, embedding=8))
    >>> predictor = TextPredictor(model, tokenizer, "cpu")
    >>> [result] = predictor.generate(["A CAB"], max_new_tokens=4, ignore_eos=True)
    >>> len(result.completions[0].tokens)
    4
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        device: str = "auto",
        normalisation: NormalisationOptions = UNCHANGED,
        running_text: bool = False,
    ) -> None:
        """Use a model that is in memory; `load` reads one from its directory.

        Args:
            model: the language model.
            tokenizer: its tokenizer.
            device: cpu, cuda, cuda:1; auto is a GPU where there is one, else the CPU.
            normalisation: what was done to its training text, and is done to prompts.
            running_text: whether its training text goes on after each line end; see `GenerationOptions.ignore_eos`.
        """
        self.device = find_device(device)
        if self.device.type == "mps":
            raise UserError("device=mps lacks the 64-bit numbers that texts are drawn with; choose cpu.")
        self.model = model.eval().to(self.device)
        self.model.pack()
        self.tokenizer = tokenizer
        self.encoder = PromptEncoder(tokenizer, normalisation, running_text)
        self.detokenizer = Detokenizer(tokenizer)

    @cached_property
    def batches(self) -> FixedBatches:
        """Return the model's batches of fixed sizes, which are chosen when they are first needed."""
        return FixedBatches(self.model)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> TextPredictor:
        """Load a model by its name or directory.

        >>> TextPredictor.load("english").next_words("it was", k=2)  # doctest: +SKIP
        [('A', 0.15), ('NOT', 0.08)]

        Raises:
            UserError: no such model, or not one of a language model; no such device.
        """
        folder = find_model_directory(folder, "language")
        model, tokenizer = load_language(folder)
        description = read_json(Path(folder) / DESCRIPTION)
        training = description.get("training")
        running_text = isinstance(training, dict) and training.get("documents") is False
        return cls(model, tokenizer, device, model_normalisation(description), running_text)

    def generate(
        self,
        prompts: str | Sequence[str],
        options: GenerationOptions = DEFAULTS,
        *,
        batch_size: int = 256,
        **overrides: Unpack[GenerationOverrides],
    ) -> list[Result]:
        """Complete prompts.

        Args:
            prompts: texts, normalised as the model's training text was; an empty one begins a new text.
            options: how to complete them.
            batch_size: maximum number of texts generated at a time, which changes none of them.
            overrides: fields of `GenerationOptions` that differ from `options`.

        Returns:
            One result a prompt, in their order; its id is the prompt's number from 0.

        Raises:
            UserError: a prompt with characters that the model does not know; an unknown option or a wrong value.
        """
        if overrides:
            options = build(GenerationOptions, {**asdict(options), **overrides}, "")
        texts = [prompts] if isinstance(prompts, str) else prompts
        if not isinstance(texts, Iterable) or isinstance(texts, bytes):
            check_text(texts)
        return list(self.complete([self.prompt(text, options, id) for id, text in enumerate(texts)], batch_size))

    def prompt(self, text: str, options: GenerationOptions = DEFAULTS, id: int | str = 0) -> Prompt:
        """Return a prompt for `complete`.

        Raises:
            UserError: it holds characters that the model does not know.
        """
        return self.encoder.prompt(text, options, id)

    def complete(self, prompts: Iterable[Prompt | Result], batch_size: int = 256) -> Iterator[Result]:
        """Complete prompts from a source of any length, of which only those at work are in memory.

        Args:
            prompts: what `prompt` returns. An item that is a result already, such as the reason why a line is no
                prompt, is returned in its place.
            batch_size: maximum number of texts generated at a time, which changes none of them.

        Returns:
            One result an item, in their order.
        """
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f"batch_size={batch_size} is wrong: it must be a whole number, at least 1.")
        searches = False

        def needs_search(item: Prompt | Result) -> bool:
            nonlocal searches
            searches = item.options.num_beams > 1 if isinstance(item, Prompt) else searches
            return searches

        for search, items in groupby(prompts, needs_search):
            engine = (BeamSearchEngine if search else SamplingEngine)(self.batches, self.detokenizer, batch_size)
            yield from engine.run(items)

    def stream(self, prompt: Prompt) -> Iterator[str]:
        """Yield the text of the one completion of a prompt, token by token as it is generated.

        Raises:
            UserError: the options ask for a beam search, whose texts are known at its end, or for several completions.
        """
        if prompt.options.num_beams > 1 or prompt.options.num_return_sequences > 1:
            raise UserError(
                "Only one text can be shown as it is written: num_beams and num_return_sequences must be 1."
            )
        return SamplingEngine(self.batches, self.detokenizer, 1).stream(prompt)

    def perplexity(self, text: str) -> float:
        """Compute exp of the mean nats per token of a text, whose lines each have an end-of-line token.

        Raises:
            UserError: the text is empty, or holds characters that the model does not know.
        """
        if not text:
            raise UserError("There is no text to score; give at least a line.")
        check_text(text)
        targets = torch.tensor(self.encoder.encode(text.removesuffix(NEWLINE) + NEWLINE)).unsqueeze(1)
        inputs = torch.cat([torch.full_like(targets[:1], END_OF_LINE), targets[:-1]])
        reader, nats = PlainScorer(self.model), 0.0
        for window in zip(inputs.split(reader.length), targets.split(reader.length), strict=True):
            nats -= float(reader.read(TokenBatch(*window, torch.zeros(1, dtype=torch.bool))).double().sum())
        return perplexity(nats / len(targets))

    def next_words(self, prompt: str, k: int = 5) -> list[tuple[str, float]]:
        """Find the `k` most probable next words, with their probabilities.

        The last word of the prompt counts as complete, with or without a space after it: "SHARKS FE" does not become
        "SHARKS FEED".

        Raises:
            UserError: the prompt holds characters that the model does not know.
        """
        return find_next_words(self.batches, self.encoder, self.detokenizer, prompt=prompt, k=k)

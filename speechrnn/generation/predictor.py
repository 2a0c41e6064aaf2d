"""Prompts in, completions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path

import torch

from speechrnn.core.config import build
from speechrnn.core.device import find_device
from speechrnn.core.errors import UserError
from speechrnn.data.tokens import TokenBatch
from speechrnn.evaluation.perplexity import PlainScorer, perplexity
from speechrnn.generation.beam_search import BeamEngine
from speechrnn.generation.detokenizer import NEWLINE, Spelling
from speechrnn.generation.engine import Engine
from speechrnn.generation.fixed_batches import Tiles
from speechrnn.generation.next_words import next_words
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.results import Prompt, Result
from speechrnn.nn.language import END_OF_LINE, LanguageModel, load_language
from speechrnn.text.tokenizers import Tokenizer

DEFAULTS = GenerationOptions()


class TextPredictor:
    """A language model at work.

    >>> predictor = TextPredictor.load("outputs/text_prediction/shakespeare/language")
    >>> predictor.generate(["ROMEO:"], max_new_tokens=40, seed=1)[0].completions[0].text

    The text for a prompt and a seed does not depend on the batch size, the order or the other prompts.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, device: str = "auto") -> None:
        """`device`: auto is a GPU where there is one, else the CPU; or cpu, cuda, cuda:1."""
        self.device = find_device(device)
        if self.device.type == "mps":
            raise UserError("device=mps lacks the 64-bit numbers that texts are drawn with; choose cpu.")
        self.model = model.eval().to(self.device)
        self.tokenizer = tokenizer
        self.spelling = Spelling(tokenizer)

    @cached_property
    def tiles(self) -> Tiles:
        """The model in matrices whose height changes nothing; found out when they are first needed."""
        return Tiles(self.model)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> TextPredictor:
        """From a model directory.

        Raises:
            UserError: no model directory, or not one of a language model; no such device.
        """
        return cls(*load_language(folder), device)

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = DEFAULTS.max_new_tokens,
        min_new_tokens: int = DEFAULTS.min_new_tokens,
        do_sample: bool = DEFAULTS.do_sample,
        temperature: float = DEFAULTS.temperature,
        top_k: int = DEFAULTS.top_k,
        top_p: float = DEFAULTS.top_p,
        min_p: float = DEFAULTS.min_p,
        typical_p: float = DEFAULTS.typical_p,
        repetition_penalty: float = DEFAULTS.repetition_penalty,
        no_repeat_ngram_size: int = DEFAULTS.no_repeat_ngram_size,
        num_beams: int = DEFAULTS.num_beams,
        length_penalty: float = DEFAULTS.length_penalty,
        num_return_sequences: int = DEFAULTS.num_return_sequences,
        stop_strings: Sequence[str] = DEFAULTS.stop_strings,
        bad_words: Sequence[str] = DEFAULTS.bad_words,
        ignore_eos: bool = DEFAULTS.ignore_eos,
        seed: int = DEFAULTS.seed,
        batch_size: int = 256,
    ) -> list[Result]:
        """Goes on from each prompt: one result a prompt, in their order, its id the prompt's number from 0.

        An empty prompt begins a new text. `GenerationOptions` says what each argument means; `batch_size` is how many
        texts are written at a time, which changes none of them.

        Raises:
            UserError: a prompt with characters that the model does not know; a wrong value.
        """
        options = build(
            GenerationOptions,
            {
                "max_new_tokens": max_new_tokens,
                "min_new_tokens": min_new_tokens,
                "do_sample": do_sample,
                "temperature": temperature,
                "top_k": top_k,
                "top_p": top_p,
                "min_p": min_p,
                "typical_p": typical_p,
                "repetition_penalty": repetition_penalty,
                "no_repeat_ngram_size": no_repeat_ngram_size,
                "num_beams": num_beams,
                "length_penalty": length_penalty,
                "num_return_sequences": num_return_sequences,
                "stop_strings": stop_strings,
                "bad_words": bad_words,
                "ignore_eos": ignore_eos,
                "seed": seed,
            },
            "",
        )
        texts = [prompts] if isinstance(prompts, str) else prompts
        return list(self.complete([self.prompt(text, options, id) for id, text in enumerate(texts)], batch_size))

    def prompt(self, text: str, options: GenerationOptions = DEFAULTS, id: int | str = 0) -> Prompt:
        """A text to go on from.

        Raises:
            UserError: it holds characters that the model does not know.
        """
        return Prompt(id, text, self.spelling.encode(text), options)

    def complete(self, prompts: Iterable[Prompt | Result], batch_size: int = 256) -> Iterator[Result]:
        """Goes on from prompts that may come from a file of any length; those at work are in memory, and no others.

        What is a result already, such as the reason why a line is no prompt, is given through in its place.
        """
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size} is wrong: it must be at least 1.")
        searches = False

        def search(item: Prompt | Result) -> bool:
            nonlocal searches
            searches = item.options.num_beams > 1 if isinstance(item, Prompt) else searches
            return searches

        for beams, some in groupby(prompts, search):
            engine = (BeamEngine if beams else Engine)(self.tiles, self.spelling, batch_size)
            yield from engine.run(some)

    def stream(self, prompt: Prompt) -> Iterator[str]:
        """The one completion of a prompt, piece by piece as it is written.

        Raises:
            UserError: beams are chosen among when all are written; or there are to be several completions.
        """
        if prompt.options.num_beams > 1 or prompt.options.num_return_sequences > 1:
            raise UserError(
                "Only one text can be shown as it is written: num_beams and num_return_sequences must be 1."
            )
        return Engine(self.tiles, self.spelling, 1).stream(prompt)

    def perplexity(self, text: str) -> float:
        """exp of the mean nats per token of a text, whose lines each have an end-of-line token; see `scoring`.

        Raises:
            UserError: the text is empty, or holds characters that the model does not know.
        """
        if not text:
            raise UserError("There is no text to score; give at least a line.")
        targets = torch.tensor([*self.spelling.encode(text.removesuffix(NEWLINE)), END_OF_LINE]).unsqueeze(1)
        inputs = torch.cat([torch.full_like(targets[:1], END_OF_LINE), targets[:-1]])
        reader, nats = PlainScorer(self.model), 0.0
        for some in zip(inputs.split(reader.length), targets.split(reader.length), strict=True):
            nats -= float(reader.read(TokenBatch(*some, torch.zeros(1, dtype=torch.bool))).double().sum())
        return perplexity(nats / len(targets))

    def next_words(self, prompt: str, k: int = 5) -> list[tuple[str, float]]:
        """The `k` most probable words after a prompt whose last word is complete, with their probabilities.

        Raises:
            UserError: the prompt holds characters that the model does not know.
        """
        return next_words(self.tiles, self.spelling, prompt, k)

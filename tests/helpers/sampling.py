"""Rows of options and of outputs, for the tests of drawing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.prompt_encoder import PromptEncoder
from speechrnn.generation.results import Prompt
from speechrnn.generation.sequence import TokenSequence
from speechrnn.nn.language import LanguageModel
from speechrnn.text.tokenizers import WordTokenizer

V = 300

TOKENIZER = WordTokenizer(["<blank>", "<unk>", *map(str, range(V - 2))])

UNKNOWN = 1

ADAPTIVE: dict[str, Any] = {"softmax": "adaptive", "cutoffs": (10, 60, 150)}


def sequence(options: GenerationOptions, number: int = 0) -> TokenSequence:
    _, bad_words = PromptEncoder(TOKENIZER).adapt_options(options)
    prompt = Prompt(0, str(number), (5,), options=options, bad_words=bad_words)
    return TokenSequence.start(prompt, Detokenizer(TOKENIZER), number)


def outputs_of(model: LanguageModel, rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        states = torch.randn(rows, model.state_size, generator=generator)
        return model.step(states, torch.randint(model.vocabulary, (rows,), generator=generator))[0].contiguous()

"""A language model reads a text with its gates in view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.data.texts.encode import normalised
from speechrnn.data.texts.reader import Line, read_lines
from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation.surprisal import surface_form
from speechrnn.evaluation.text_evaluation import training_normalisation
from speechrnn.nn.language import END_OF_LINE, LanguageModel
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.tutorials.gates.cell import LstmCell, Step


@dataclass(frozen=True)
class Reading:
    """What went on in a model while it read.

    Attributes:
        tokens: each as it stands in the text; the end of a line is "\\n".
        layers: of each LSTM layer, all steps: (tokens, units) each.
    """

    tokens: list[str]
    layers: list[Step]

    def part(self, begin: int, end: int) -> Reading:
        """The same of some of the tokens."""
        cut = [Step(*(getattr(layer, field.name)[begin:end] for field in fields(Step))) for layer in self.layers]
        return Reading(self.tokens[begin:end], cut)


@torch.no_grad()
def read(model: LanguageModel, tokenizer: Tokenizer, tokens: Sequence[int]) -> Reading:
    """Reads a text of token indices from its beginning, in each layer by `LstmCell`, one step a token.

    Raises:
        UserError: the model is no LSTM.
    """
    if model.options.cell != "lstm":
        raise UserError(
            f"The model's cells are {model.options.cell}, which have no such gates; give model=DIR of an lstm."
        )
    inputs = model.embed(torch.tensor([END_OF_LINE, *tokens])[:, None])  # a text begins as if a line had ended
    layers = []
    for layer in model.recurrent:
        steps: Step = LstmCell.from_lstm(layer.network)(inputs)  # type: ignore[arg-type]
        inputs = steps.hidden
        layers.append(Step(*(getattr(steps, field.name)[1:, 0] for field in fields(Step))))
    return Reading([surface_form(tokenizer, token) for token in tokens], layers)


def encode(tokenizer: Tokenizer, lines: Iterable[str]) -> list[int]:
    """Lines as one text of indices, an end of line after each."""
    return [index for line in lines for index in (*tokenizer.encode(line), END_OF_LINE)]


def encode_sentence(text: str, tokenizer: Tokenizer, model: Path) -> list[int]:
    """What a user typed, normalised as the model's training text was. UserError for characters it does not know."""
    lines = normalised(map(Line, text.split("\n")), training_normalisation(model))
    tokens = encode(tokenizer, (line.text for line in lines))
    if not any(tokens):
        raise UserError("sentence is empty: give some text, as in sentence='Sharks feed on fish.'")
    return tokens


def held_out_tokens(model: Path, file: Path | None, tokenizer: Tokenizer, most: int) -> list[int]:
    """At most so many tokens that the model has not learnt from.

    Args:
        model: its directory; beside it, a training leaves its prepared text.
        file: a text to take instead; None for the validation or test part of that one.

    Raises:
        UserError: there is no such file, or none beside the model.
    """
    if file is not None:
        lines = normalised(read_lines(file), training_normalisation(model))
        return list(islice((index for line in lines for index in encode(tokenizer, [line.text])), most))
    folder = model.resolve().parent / "prepared" / "text"
    for split in ("valid", "test"):
        path = folder / f"{split}.tokens"
        if path.is_file():
            return [int(token) for token in TokenFile.open(path).tokens[:most]]
    raise UserError(
        f"No held-out text lies beside {model}: give one that the model has not learnt from, held_out=FILE."
    )


def difference(model: LanguageModel, reading: Reading, tokens: Sequence[int]) -> float:
    """The largest difference between what the steps give and what torch's own LSTM gives, over the last layer."""
    column = torch.tensor([END_OF_LINE, *tokens])[:, None]
    with torch.no_grad():
        outputs: Tensor = model(column, model.start(1))[0]
    return (outputs[1:, 0] - reading.layers[-1].hidden).abs().max().item()

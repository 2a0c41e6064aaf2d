"""Run the LSTM layers of a language model on a text, with all gates recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.core.jsonio import read_json
from speechrnn.core.model_names import DESCRIPTION
from speechrnn.data.texts.encode import normalised
from speechrnn.data.texts.reader import Line, read_lines
from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation.surprisal import surface_form
from speechrnn.nn.language import END_OF_LINE, LanguageModel
from speechrnn.text.normalisation import model_normalisation
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.tutorials.gates.cell import LstmCell, Step


@dataclass(frozen=True)
class Activations:
    """Gates, memory and outputs of a model at each token of a text.

    Attributes:
        tokens: each as it stands in the text; the end of a line is "\\n".
        layers: of each LSTM layer, all steps: (tokens, units) each.
    """

    tokens: list[str]
    layers: list[Step]

    def part(self, begin: int, end: int) -> Activations:
        """Return the same for the tokens from `begin` to before `end`."""
        cut = [layer.apply(lambda values: values[begin:end]) for layer in self.layers]
        return Activations(self.tokens[begin:end], cut)


@torch.no_grad()
def record_activations(model: LanguageModel, tokenizer: Tokenizer, tokens: Sequence[int]) -> Activations:
    """Read a text of token indices from its beginning, each layer with `LstmCell`.

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
        layers.append(steps.apply(lambda values: values[1:, 0]))
    return Activations([surface_form(tokenizer, token) for token in tokens], layers)


def encode(tokenizer: Tokenizer, lines: Iterable[str]) -> list[int]:
    """Return lines as one list of token indices, an end of line after each."""
    return [index for line in lines for index in (*tokenizer.encode(line), END_OF_LINE)]


def encode_sentence(text: str, tokenizer: Tokenizer, model: Path) -> list[int]:
    """Return the tokens of a text, normalised as the model's training text was.

    Raises:
        UserError: characters that the model does not know, or no text.
    """
    lines = normalised(map(Line, text.split("\n")), model_normalisation(read_json(model / DESCRIPTION)))
    tokens = encode(tokenizer, (line.text for line in lines))
    if not any(tokens):
        raise UserError("sentence is empty: give some text, as in sentence='Sharks feed on fish.'")
    return tokens


def held_out_tokens(model: Path, file: Path | None, tokenizer: Tokenizer, most: int) -> list[int]:
    """Return at most so many tokens that the model was not trained on.

    Args:
        model: its directory; beside it, a training leaves its prepared text.
        file: a text to take instead; None for the validation or test part of that one.

    Raises:
        UserError: there is no such file, or none beside the model.
    """
    if file is not None:
        lines = normalised(read_lines(file), model_normalisation(read_json(model / DESCRIPTION)))
        return list(islice((index for line in lines for index in encode(tokenizer, [line.text])), most))
    folder = model.resolve().parent / "prepared" / "text"
    for split in ("valid", "test"):
        path = folder / f"{split}.tokens"
        if path.is_file():
            return [int(token) for token in TokenFile.open(path).tokens[:most]]
    raise UserError(
        f"No held-out text lies beside {model}: give a text that the model was not trained on, held_out=FILE."
    )


def difference(model: LanguageModel, activations: Activations, tokens: Sequence[int]) -> float:
    """Return the largest difference between `LstmCell` and torch's own LSTM, over the outputs of the last layer."""
    column = torch.tensor([END_OF_LINE, *tokens])[:, None]
    with torch.no_grad():
        outputs: Tensor = model(column, model.start(1))[0]
    return (outputs[1:, 0] - activations.layers[-1].hidden).abs().max().item()

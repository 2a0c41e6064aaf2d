"""The language model: tokens in, log-probabilities of the next token out.

An embedding, recurrent layers, and a softmax that shares the embedding's weights (Press & Wolf 2017, Inan et al. 2017),
with AWD-LSTM's regularisers (Merity et al. 2018). The state of a row is one flat vector, so that the states of
many prompts or hypotheses are picked, joined and kept as rows of one tensor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.nn.checkpoint import DESCRIPTION, load_model, load_weights, save_model
from speechrnn.nn.recurrent import RecurrentLayer
from speechrnn.nn.softmax import LARGE, AdaptiveSoftmax, FullSoftmax, MixtureOfSoftmaxes, Softmax
from speechrnn.text.tokenizers import Tokenizer, tokenizer_from_json

END_OF_LINE = 0  # index of every tokenizer; a text begins as if one stood before it


@dataclass(frozen=True)
class LanguageOptions:
    """Shape of the language model.

    Attributes:
        cell: lstm, gru or rnn_tanh (Elman's).
        layers, units: how many, and hidden units of each; the last one is as wide as the embedding where it is tied.
        embedding: size of a token's vector.
        tied: whether the softmax's weights are the embedding's.
        softmax: full; adaptive (Grave et al. 2017), which spends less on rare words; auto: adaptive above 10,000
            tokens, else full; or mixture (Yang et al. 2018).
        cutoffs: of the adaptive softmax: where its clusters begin, tokens being numbered by falling frequency.
        components: of the mixture.
        embedding_dropout: share of tokens whose vectors are zero in a window (Gal & Ghahramani 2016).
        input_dropout, dropout, output_dropout: shares of the first layer's inputs, of what goes from layer to layer,
            and of the softmax's inputs that are set to zero, the same ones throughout a window (locked, or variational
            dropout; Gal & Ghahramani 2016).
        weight_drop: share of the recurrent weights set to zero (DropConnect; Merity et al. 2018).
    """

    cell: Literal["lstm", "gru", "rnn_tanh"] = "lstm"
    layers: int = field(default=2, metadata={"min": 1})
    units: int = field(default=512, metadata={"min": 1})
    embedding: int = field(default=400, metadata={"min": 1})
    tied: bool = True
    softmax: Literal["auto", "full", "adaptive", "mixture"] = "auto"
    cutoffs: tuple[int, ...] = field(default=(1000, 4000, 10000, 20000), metadata={"min": 1})
    components: int = field(default=4, metadata={"min": 2})
    embedding_dropout: float = field(default=0.0, metadata={"min": 0.0, "max": 0.95})
    input_dropout: float = field(default=0.35, metadata={"min": 0.0, "max": 0.95})
    dropout: float = field(default=0.25, metadata={"min": 0.0, "max": 0.95})
    output_dropout: float = field(default=0.4, metadata={"min": 0.0, "max": 0.95})
    weight_drop: float = field(default=0.2, metadata={"min": 0.0, "max": 0.95})


def locked_dropout(inputs: Tensor, share: float, training: bool) -> Tensor:
    """(length, batch, dim): zeroes the same dimensions of a row at all times, others in other rows."""
    if not training or share == 0:
        return inputs
    mask = inputs.new_empty(1, *inputs.shape[1:]).bernoulli_(1 - share).div_(1 - share)
    return inputs * mask


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, softmax.

    Attributes:
        vocabulary: number of tokens.
        state_size: numbers in the state of one row.
    """

    def __init__(self, vocabulary: int, options: LanguageOptions) -> None:
        super().__init__()
        self.options = options
        self.vocabulary = vocabulary
        vectors = nn.Parameter(torch.empty(vocabulary, options.embedding).uniform_(-0.1, 0.1))
        last = options.embedding if options.tied and options.softmax != "mixture" else options.units
        sizes = [options.embedding, *[options.units] * (options.layers - 1), last]
        self.layers = nn.ModuleList(
            RecurrentLayer(before, after, options.cell, bidirectional=False) for before, after in pairwise(sizes)
        )
        # Where they are tied, the softmax holds the vectors: a parameter has one name and is saved once.
        self.vectors = None if options.tied else vectors
        weight = vectors if options.tied else nn.Parameter(vectors.detach().clone())
        self.softmax = make_softmax(weight, last, options)
        self.state_size = sum(layer.state_size for layer in self.recurrent)

    @property
    def recurrent(self) -> list[RecurrentLayer]:
        """The recurrent layers, from the lowest."""
        return cast(list[RecurrentLayer], list(self.layers))

    def start(self, batch: int) -> Tensor:
        """(batch, state_size): the state before anything was read."""
        return self.softmax.weight.new_zeros(batch, self.state_size)

    def forward(self, tokens: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Reads on: (length, batch), (batch, state_size) -> (length, batch, dim) of the last layer, the new states.

        What comes out is not yet dropped: `drop` does that before `log_probs` or `target_log_probs`.
        """
        options = self.options
        outputs = locked_dropout(self.embed(tokens), options.input_dropout, self.training)
        ends = []
        for number, (layer, state) in enumerate(zip(self.recurrent, self.split(states), strict=True)):
            if number > 0:
                outputs = locked_dropout(outputs, options.dropout, self.training)
            outputs, end = layer.carry(outputs, state, options.weight_drop)
            ends.append(end)
        return outputs, torch.cat(ends, 1)

    def embed(self, tokens: Tensor) -> Tensor:
        """(...) -> (..., embedding); in training some tokens have no vector throughout."""
        weight: Tensor = self.softmax.weight if self.vectors is None else self.vectors
        share = self.options.embedding_dropout
        if self.training and share > 0:
            weight = weight * weight.new_empty(len(weight), 1).bernoulli_(1 - share).div_(1 - share)
        return F.embedding(tokens, weight)

    def split(self, states: Tensor) -> tuple[Tensor, ...]:
        """(batch, state_size) -> one (batch, layer's state_size) a layer."""
        return states.split([layer.state_size for layer in self.recurrent], 1)

    def drop(self, outputs: Tensor) -> Tensor:
        """Locked dropout of (length, batch, dim) outputs; nothing in evaluation."""
        return locked_dropout(outputs, self.options.output_dropout, self.training)

    def log_probs(self, outputs: Tensor) -> Tensor:
        """(..., dim) -> (..., vocabulary) natural log-probabilities of the next token."""
        return self.softmax(outputs)

    def target_log_probs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(..., dim), (...) -> (...) log-probabilities of the targets alone; 0 where the target is -1."""
        flat = self.softmax.of_targets(outputs.flatten(0, -2), targets.clamp_min(0).flatten())
        return flat.view_as(targets).masked_fill(targets < 0, 0.0)

    def step(self, states: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """One token a row: (batch, state_size), (batch,) -> (batch, dim) of the last layer, the new states."""
        outputs = self.embed(tokens)
        ends = []
        for layer, state in zip(self.recurrent, self.split(states), strict=True):
            ends.append(layer.step(outputs, state))
            outputs = ends[-1][:, : layer.network.hidden_size]
        return outputs, torch.cat(ends, 1)

    def score(self, states: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What follows when each row reads one token, as a decoder asks for it.

        (batch, state_size), (batch,) -> (batch, vocabulary) natural log-probabilities, (batch, state_size) new states.
        The states given stay as they are; many hypotheses that share a prefix share its row.
        """
        outputs, states = self.step(states, tokens)
        return self.log_probs(outputs), states


def make_softmax(weight: nn.Parameter, dimensions: int, options: LanguageOptions) -> Softmax:
    """The softmax that the options ask for, over the rows of `weight`, for inputs of so many dimensions."""
    if options.softmax == "mixture":
        return MixtureOfSoftmaxes(weight, dimensions, options.components, options.output_dropout)
    if options.softmax == "adaptive" or (options.softmax == "auto" and len(weight) > LARGE):
        return AdaptiveSoftmax(weight, dimensions, options.cutoffs)
    return FullSoftmax(weight, dimensions)


def save_language(folder: str | Path, model: LanguageModel, tokenizer: Tokenizer, training: dict[str, Any]) -> None:
    """Writes a language model directory; `training` is a summary in JSON values for whoever finds it."""
    description = {"language": asdict(model.options), "tokenizer": tokenizer.to_json(), "training": training}
    save_model(folder, "language", description, model.state_dict())


def load_language(folder: str | Path) -> tuple[LanguageModel, Tokenizer]:
    """Reads a language model directory: the model, in evaluation mode, and its tokenizer.

    Raises:
        UserError: see `checkpoint.load_model`; or the parts do not belong together.
    """
    description, weights = load_model(folder, "language")
    try:
        tokenizer = tokenizer_from_json(description["tokenizer"])
        fields = description["language"]
        options = LanguageOptions(**{**fields, "cutoffs": tuple(fields["cutoffs"])})
    except (KeyError, TypeError) as error:
        raise UserError(f"{Path(folder) / DESCRIPTION} is damaged ({error}); copy or train the model again.") from error
    model = LanguageModel(len(tokenizer), options)
    load_weights(model, weights, folder)
    return model.eval(), tokenizer

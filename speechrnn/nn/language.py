"""Language model: tokens to log-probabilities of the next token.

An embedding, recurrent layers, and a softmax that shares the embedding's weights (Press & Wolf 2017, Inan et al. 2017),
with AWD-LSTM's regularisers (Merity et al. 2018). The state of a row is one flat vector, so that the states of
many prompts or hypotheses are selected, concatenated and stored as rows of one tensor.
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
from speechrnn.core.model_names import find_model_directory
from speechrnn.nn.checkpoint import (
    DESCRIPTION,
    check_sizes,
    damaged,
    load_model,
    load_options,
    load_tokenizer,
    load_weights,
    save_model,
)
from speechrnn.nn.recurrent import RecurrentLayer
from speechrnn.nn.softmax import LARGE, AdaptiveSoftmax, FullSoftmax, MixtureOfSoftmaxes, Softmax
from speechrnn.text.tokenizers import Tokenizer

END_OF_LINE = 0  # index in every tokenizer; a text begins as if an end of line stood before it


@dataclass(frozen=True)
class LanguageOptions:
    """Configure the language model.

    >>> LanguageOptions(layers=1, units=64, embedding=64).softmax
    'auto'

    Attributes:
        cell: lstm (Hochreiter & Schmidhuber 1997), gru (Cho et al. 2014) or rnn_tanh (Elman 1990).
        layers: number of layers.
        units: hidden units of each layer; where the softmax is tied, the last layer is as wide as the embedding.
        embedding: size of a token's vector.
        tied: whether the softmax's weights are the embedding's.
        softmax: full; adaptive (Grave et al. 2017), which spends less time on rare words; auto: adaptive above 10,000
            tokens, else full; or mixture (Yang et al. 2018).
        cutoffs: first tokens of the adaptive softmax's clusters, tokens being numbered by falling frequency.
        components: softmaxes of the mixture.
        embedding_dropout: share of tokens whose vectors are zero in a window (Gal & Ghahramani 2016).
        input_dropout: share of the first layer's inputs that are set to zero, the same ones throughout a window (locked
            or variational dropout, Gal & Ghahramani 2016), as for the next two.
        dropout: share of each layer's outputs that are set to zero on the way to the next layer.
        output_dropout: share of the softmax's inputs that are set to zero.
        weight_drop: share of the recurrent weights that are set to zero (DropConnect; Merity et al. 2018).
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
    """Set the same dimensions of a row to zero at all times, and others in other rows (Gal & Ghahramani 2016).

    Args:
        inputs: (length, batch, dim).
        share: share of the dimensions.
        training: whether to do it at all.

    Returns:
        the shape of `inputs`, scaled so that its expectation stays.
    """
    if not training or share == 0:
        return inputs
    mask = inputs.new_empty(1, *inputs.shape[1:]).bernoulli_(1 - share).div_(1 - share)
    return inputs * mask


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, softmax.

    >>> model = LanguageModel(50, LanguageOptions(layers=2, units=16, embedding=8)).eval()
    >>> outputs, states = model(torch.zeros(5, 2, dtype=torch.long), model.start(2))
    >>> model.log_probs(outputs).shape
    torch.Size([5, 2, 50])

    Attributes:
        options: architecture.
        vocabulary: number of tokens.
        state_size: size of a row's state.
    """

    def __init__(self, vocabulary: int, options: LanguageOptions) -> None:
        """Build an untrained model.

        Raises:
            UserError: the adaptive softmax's cutoffs do not fit the vocabulary.
        """
        super().__init__()
        self.options = options
        self.vocabulary = vocabulary
        vectors = nn.Parameter(torch.empty(vocabulary, options.embedding).uniform_(-0.1, 0.1))
        last = options.embedding if options.tied and options.softmax != "mixture" else options.units
        sizes = [options.embedding, *[options.units] * (options.layers - 1), last]
        self.layers = nn.ModuleList(
            RecurrentLayer(before, after, options.cell, bidirectional=False) for before, after in pairwise(sizes)
        )
        # With a tied softmax the softmax holds the vectors: a parameter has one name and is saved once.
        self.vectors = None if options.tied else vectors
        weight = vectors if options.tied else nn.Parameter(vectors.detach().clone())
        self.softmax = make_softmax(weight, last, options)
        self.state_size = sum(layer.state_size for layer in self.recurrent)

    @property
    def recurrent(self) -> list[RecurrentLayer]:
        """Return the recurrent layers, the first one first."""
        return cast(list[RecurrentLayer], list(self.layers))

    def start(self, batch: int) -> Tensor:
        """Return the states at the beginning of a text: (batch, state_size) zeros."""
        return self.softmax.weight.new_zeros(batch, self.state_size)

    def forward(self, tokens: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Run the recurrent layers over a window of tokens.

        Args:
            tokens: (length, batch) int64.
            states: (batch, state_size), from `start` or from the window before.

        Returns:
            (length, batch, dim) outputs of the last layer, before `drop`, and (batch, state_size) new states.
        """
        options = self.options
        outputs = locked_dropout(self.embed(tokens), options.input_dropout, self.training)
        ends = []
        for number, (layer, state) in enumerate(zip(self.recurrent, self._split(states), strict=True)):
            if number > 0:
                outputs = locked_dropout(outputs, options.dropout, self.training)
            outputs, end = layer.forward_from(outputs, state, options.weight_drop)
            ends.append(end)
        return outputs, torch.cat(ends, 1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Look up token vectors: (...) -> (..., embedding); in training those of some tokens are zero throughout."""
        weight: Tensor = self.softmax.weight if self.vectors is None else self.vectors
        share = self.options.embedding_dropout
        if self.training and share > 0:
            weight = weight * weight.new_empty(len(weight), 1).bernoulli_(1 - share).div_(1 - share)
        return F.embedding(tokens, weight)

    def _split(self, states: Tensor) -> tuple[Tensor, ...]:
        """Split states by layer: (batch, state_size) -> a (batch, layer's state_size) for each layer."""
        return states.split([layer.state_size for layer in self.recurrent], 1)

    def drop(self, outputs: Tensor) -> Tensor:
        """Apply the output dropout to (length, batch, dim) outputs; in evaluation they stay as they are."""
        return locked_dropout(outputs, self.options.output_dropout, self.training)

    def log_probs(self, outputs: Tensor) -> Tensor:
        """Return natural log-probabilities of the next token: (..., dim) outputs -> (..., vocabulary)."""
        return self.softmax(outputs)

    def target_log_probs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return log-probabilities of targets alone: (..., dim) outputs, (...) -> (...); 0 where a target is -1."""
        flat = self.softmax.target_log_probs(outputs.flatten(0, -2), targets.clamp_min(0).flatten())
        return flat.view_as(targets).masked_fill(targets < 0, 0.0)

    def pack(self) -> None:
        """Pack the weights of the recurrent layers for inference: see `RecurrentLayer.pack`."""
        for layer in self.recurrent:
            layer.pack()

    def step(self, states: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token a row: (batch, state_size), (batch,) tokens -> (batch, dim) outputs, new states."""
        outputs = self.embed(tokens)
        ends = []
        for layer, state in zip(self.recurrent, self._split(states), strict=True):
            ends.append(layer.step(outputs, state))
            outputs = ends[-1][:, : layer.network.hidden_size]
        return outputs, torch.cat(ends, 1)

    def score(self, states: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token a row and return log-probabilities of the next, as a decoder needs it.

        Args:
            states: (batch, state_size); they are not changed, so hypotheses with a common prefix can share its row.
            tokens: (batch,) int64.

        Returns:
            (batch, vocabulary) natural log-probabilities, (batch, state_size) new states.
        """
        outputs, states = self.step(states, tokens)
        return self.log_probs(outputs), states


def make_softmax(weight: nn.Parameter, dimensions: int, options: LanguageOptions) -> Softmax:
    """Build the softmax that the options select.

    Args:
        weight: (vocabulary, embedding) token vectors.
        dimensions: of the softmax's inputs.
        options: of the language model.

    Raises:
        UserError: the adaptive softmax's cutoffs do not fit the vocabulary.
    """
    if options.softmax == "mixture":
        return MixtureOfSoftmaxes(weight, dimensions, options.components, dropout=options.output_dropout)
    if options.softmax == "adaptive" or (options.softmax == "auto" and len(weight) > LARGE):
        return AdaptiveSoftmax(weight, dimensions, options.cutoffs)
    return FullSoftmax(weight, dimensions)


def save_language(folder: str | Path, model: LanguageModel, tokenizer: Tokenizer, training: dict[str, Any]) -> None:
    """Write a language model directory.

    >>> save_language("models/mine", model, tokenizer, {"epochs": 3})  # doctest: +SKIP

    Args:
        folder: the directory; it is made.
        model: the model.
        tokenizer: its vocabulary.
        training: summary of the training, in JSON values.

    Raises:
        UserError: the directory cannot be written.
    """
    description = {"language": asdict(model.options), "tokenizer": tokenizer.to_json(), "training": training}
    save_model(folder, "language", description, weights=model.state_dict())


def load_language(folder: str | Path) -> tuple[LanguageModel, Tokenizer]:
    """Read a language model directory.

    >>> model, tokenizer = load_language("outputs/demo/language")  # doctest: +SKIP

    Returns:
        the model, in evaluation mode, and its tokenizer.

    Raises:
        UserError: see `checkpoint.load_model`; or the files do not belong together.
    """
    folder = find_model_directory(folder, "language")
    description, weights = load_model(folder, "language")
    tokenizer = load_tokenizer(description, folder)
    options = load_options(LanguageOptions, description, "language", folder=folder)
    sizes = {
        "the vocabulary": (len(tokenizer), "softmax.weight", 0),
        "language.embedding": (options.embedding, "softmax.weight", 1),
    }
    if options.layers > 1 or not options.tied or options.softmax == "mixture":
        sizes["language.units"] = (options.units, "layers.0.network.weight_hh_l0", 1)
    if options.softmax == "mixture":
        sizes["language.components"] = (options.components, "softmax.prior.weight", 0)
    check_sizes(weights, sizes, (options.layers, "layers.{}.network.weight_hh_l0"), folder=folder)
    try:
        model = LanguageModel(len(tokenizer), options)
    except UserError as error:
        raise damaged(Path(folder) / DESCRIPTION, str(error).rstrip(".")) from error
    load_weights(model, weights, folder)
    return model.eval(), tokenizer

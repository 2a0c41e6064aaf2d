"""Score a text with a language model: perplexity, bits per character, and the probability of each line.

The convention: a text is its lines, each with an end-of-line token; every token is predicted, those ends included, and
the text begins from the start state, as if a line had just ended. Perplexity is exp of the mean nats per token. Bits
per character are those of all tokens over the characters of the text, its line ends among them, so that they compare
models of different tokens.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from speechrnn.data.tokens import BpttBatches, TokenBatch, TokenFile
from speechrnn.nn.language import END_OF_LINE, LanguageModel

WINDOW = 256  # tokens of a row read at once
LOGITS = 2**24  # most numbers of a softmax held at once


@dataclass(frozen=True)
class TextScore:
    """Scores of a text.

    Attributes:
        nats: minus the natural logarithm of the text's probability.
        tokens: predicted, line ends included.
        characters: of the text, line ends included.
    """

    nats: float
    tokens: int
    characters: int

    @property
    def nats_per_token(self) -> float:
        """Return the negative mean log-probability a token; nan for a text of no tokens."""
        return self.nats / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        """Return the perplexity; nan for a text of no tokens; inf where it is more than a float holds."""
        return perplexity(self.nats_per_token)

    @property
    def bits_per_character(self) -> float:
        """Return the bits a character; nan for a text of no characters."""
        return self.nats / math.log(2) / self.characters if self.characters else math.nan

    def figures(self) -> dict[str, float]:
        """Return the entry of `metrics.json`."""
        return {
            "perplexity": self.perplexity,
            "bits_per_character": self.bits_per_character,
            "nats_per_token": self.nats_per_token,
            "tokens": self.tokens,
            "characters": self.characters,
        }


class LineScore(NamedTuple):
    """A line: how many tokens, its end included, and the natural logarithm of its probability after those before it."""

    tokens: int
    logprob: float

    @property
    def perplexity(self) -> float:
        """Return the perplexity of the line."""
        return perplexity(-self.logprob / self.tokens)


class Reader(Protocol):
    """A scorer that computes the log-probability of each token of a text from the tokens before it.

    Attributes:
        length: tokens of a window.
    """

    length: int

    def read(self, batch: TokenBatch) -> Tensor:
        """Return (length, batch) log-probabilities of the targets; 0 where there is none."""
        ...


class PlainScorer:
    """The model as it was trained, with its state carried from window to window."""

    length = WINDOW

    def __init__(self, model: LanguageModel, rows: int = 1) -> None:
        self.model = model
        self.states = model.start(rows)

    @torch.inference_mode()
    def read(self, batch: TokenBatch) -> Tensor:
        outputs, targets = self.advance(batch)
        return target_log_probs(self.model, outputs, targets)

    def advance(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Run the model on a window, keep its state; return (length, batch, dim) outputs, (length, batch) targets."""
        batch = batch.to(self.states.device)
        # The state before any token is zero.
        states = self.states.masked_fill(batch.fresh.unsqueeze(1), 0.0)
        outputs, self.states = self.model(batch.inputs, states)
        return outputs, batch.targets


def score_text(
    model: LanguageModel,
    text: TokenFile,
    batch_size: int = 1,
    documents: bool = False,
    reader: Reader | None = None,
) -> TextScore:
    """Score a text in constant memory; the model is in evaluation mode meanwhile.

    >>> import numpy as np
    >>> from speechrnn.nn.language import LanguageOptions
    >>> model = LanguageModel(4, LanguageOptions(units=8, embedding=8))
    >>> text = TokenFile(np.array([1, 2, 3, 0], np.uint16), np.array([0]), characters=4)
    >>> score_text(model, text).tokens
    4

    Args:
        batch_size: rows. With 1 the whole text is one stream whose state is carried from its beginning to its end:
            these are the figures to publish. With more, the text is cut into so many parts that are read side by side,
            each from the start state; this is many times faster, and nearly the same figures where the
            parts are long: use it during training. With `documents` it is exact for any number of rows.
        documents: whether each document of the text begins from the start state.
        reader: the scorer, with `batch_size=1` only; None: the model as it was trained.
    """
    if batch_size == 1:
        nats = -sum(float(log_probs.sum()) for log_probs in token_log_probs(model, text, documents, reader=reader))
    else:
        rows = reader or PlainScorer(model, batch_size)
        with evaluating(model):
            batches = BpttBatches(text, batch_size, rows.length, documents=documents).batches(0)
            nats = -sum(float(rows.read(batch).double().sum()) for batch in batches)
    return TextScore(nats, len(text), text.characters)


def token_log_probs(
    model: LanguageModel, text: TokenFile, documents: bool = False, reader: Reader | None = None
) -> Iterator[np.ndarray]:
    """Yield the log-probabilities of the tokens of a text in order, read as one stream; (tokens,) float64 a window."""
    reader = reader or PlainScorer(model)
    with evaluating(model):
        for batch in windows(text, reader.length, documents):
            yield reader.read(batch).squeeze(1).double().cpu().numpy()


def score_lines(text: TokenFile, log_probs: Iterable[np.ndarray]) -> Iterator[LineScore]:
    """Yield the score of each line, from the log-probabilities of the tokens in the form of `token_log_probs`."""
    place, tokens, total = 0, 0, 0.0
    for window in log_probs:
        ends: np.ndarray = np.flatnonzero(text.tokens[place : place + len(window)] == END_OF_LINE) + 1
        *lines, rest = np.split(window, ends)
        for line in lines:
            yield LineScore(tokens + len(line), total + float(line.sum()))
            tokens, total = 0, 0.0
        tokens, total = tokens + len(rest), total + float(rest.sum())
        place += len(window)
    if tokens:
        yield LineScore(tokens, total)


def windows(text: TokenFile, length: int, documents: bool = False) -> Iterator[TokenBatch]:
    """Yield windows of at most `length` tokens in one row, in order; no window crosses the end of a document."""
    starts = [int(start) for start in text.documents] if documents else [0]
    for start, end in pairwise([*starts, len(text)]):
        for place in range(start, end, length):
            stop = min(place + length, end)
            targets = torch.from_numpy(text.tokens[place:stop].astype(np.int64))
            before = int(text.tokens[place - 1]) if place > start else END_OF_LINE
            inputs = torch.cat([torch.tensor([before]), targets[:-1]])
            yield TokenBatch(inputs[:, None], targets[:, None], torch.tensor([place == start]))


def target_log_probs(model: LanguageModel, outputs: Tensor, targets: Tensor) -> Tensor:
    """Compute `LanguageModel.target_log_probs` some steps at a time, so that a large vocabulary needs little memory."""
    steps = max(1, LOGITS // (model.vocabulary * outputs.shape[1]))
    parts = zip(outputs.split(steps), targets.split(steps), strict=True)
    return torch.cat([model.target_log_probs(*part) for part in parts])


@contextlib.contextmanager
def evaluating(model: LanguageModel) -> Iterator[None]:
    """Put the model into evaluation mode, and afterwards into the mode that it had."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def perplexity(nats_per_token: float) -> float:
    """Return exp(nats), or inf where it is more than a float holds."""
    return math.exp(nats_per_token) if not nats_per_token > 700 else math.inf

"""Language models that adapt to the text they read: the neural cache, and dynamic evaluation.

Both predict a token from the tokens before it only, so their outputs are probabilities like the model's own. But they
learn from the text that they are tested on, so their figures have a row of their own.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor, nn

from speechrnn.data.tokens import TokenBatch, TokenFile
from speechrnn.evaluation.perplexity import PlainScorer, score_text, target_log_probs
from speechrnn.nn.language import LanguageModel

EPSILON = 2e-5  # limits the step of a weight that has had hardly any gradient yet


@dataclass(frozen=True)
class CacheOptions:
    """The neural cache.

    Attributes:
        theta: how much more positions with a similar context count; 0: all positions count the same.
        weight: of the cache against the model, the paper's lambda.
        window: tokens that are remembered.
    """

    theta: float = field(default=1.0, metadata={"min": 0.0})
    weight: float = field(default=0.1, metadata={"min": 0.0, "max": 0.99})
    window: int = field(default=2000, metadata={"min": 1})


@dataclass(frozen=True)
class DynamicOptions:
    """Dynamic evaluation.

    Attributes:
        rate: length of a step.
        decay: share by which the weights move back to the trained ones after each step.
        segment: tokens read between two steps.
    """

    rate: float = field(default=3e-4, metadata={"min": 0.0})
    decay: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    segment: int = field(default=10, metadata={"min": 1})


@dataclass(frozen=True)
class AdaptationOptions:
    """The config group `adaptation`."""

    cache: CacheOptions = CacheOptions()
    dynamic: DynamicOptions = DynamicOptions()


class NeuralCache(PlainScorer):
    """A model mixed with a memory of the text (Grave, Joulin & Usunier 2017, https://arxiv.org/abs/1612.04426).

    The memory holds, for each of the last `window` tokens, the model's output before it, h_i, and the token itself. It
    gives a token w the probability sum over i with token w of exp(theta h_t . h_i), normalised over all i. This
    probability and the model's are mixed by `weight`; while the cache is empty, the model's is used. The batch must be
    one row.
    """

    def __init__(self, model: LanguageModel, options: CacheOptions) -> None:
        super().__init__(model)
        self.options = options
        self.forget()

    def forget(self) -> None:
        """Empty the memory."""
        self.keys: Tensor | None = None  # (remembered, dim)
        self.words: Tensor | None = None  # (remembered,)

    @torch.inference_mode()
    def read(self, batch: TokenBatch) -> Tensor:
        if bool(batch.fresh.any()):
            self.forget()
        outputs, targets = self.advance(batch)
        own = target_log_probs(self.model, outputs, targets).squeeze(1)
        cached, remembers = self.recall(outputs.squeeze(1).float(), targets.squeeze(1))
        weight = self.options.weight
        mixed = torch.logaddexp(math.log1p(-weight) + own, (weight * cached).log())
        return torch.where(remembers, mixed, own).unsqueeze(1)

    def recall(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Look up (length,) targets by (length, dim) outputs: (length,) probabilities, and whether there are any."""
        keys = outputs if self.keys is None else torch.cat([self.keys, outputs])
        words = targets if self.words is None else torch.cat([self.words, targets])
        now = torch.arange(len(keys) - len(outputs), len(keys), device=keys.device).unsqueeze(1)
        ago = now - torch.arange(len(keys), device=keys.device)  # (length, keys): a position uses those before it
        hidden = (ago < 1) | (ago > self.options.window)
        likeness = (self.options.theta * outputs @ keys.T).masked_fill(hidden, -math.inf)
        remembers = ~hidden.all(1)
        shares = likeness.softmax(1).masked_fill(hidden, 0.0)  # where the cache is empty, softmax gives nan
        self.keys, self.words = keys[-self.options.window :], words[-self.options.window :]
        return (shares * (words == targets.unsqueeze(1))).sum(1), remembers


class DynamicEvaluation:
    """A model that is trained on the text that it scores (Krause et al. 2018, https://arxiv.org/abs/1709.07432).

    The batch must be one row.

    After each segment, which it was tested on before, a copy of the model takes a gradient step on it, and goes a share
    of the way back to the trained weights. As in the paper's RMS rule a step is divided, weight by weight, by the root
    of the mean squared gradient; that mean is over the segments read so far, so no training text is needed. The model
    itself never changes. Each document begins with the trained weights.
    """

    def __init__(self, model: LanguageModel, options: DynamicOptions) -> None:
        self.length = options.segment
        self.options = options
        self.trained = list(model.parameters())
        self.model = without_dropout(model)
        self.states = model.start(1)
        self.forget()

    def forget(self) -> None:
        """Restore the trained weights."""
        self.segments = 0
        self.squares = [torch.zeros_like(weight) for weight in self.trained]
        with torch.no_grad():
            for weight, trained in zip(self.model.parameters(), self.trained, strict=True):
                weight.copy_(trained)

    def read(self, batch: TokenBatch) -> Tensor:
        batch = batch.to(self.states.device)
        if bool(batch.fresh.any()):
            self.forget()
            self.states = self.model.start(1)
        with torch.enable_grad():
            outputs, states = self.model(batch.inputs, self.states)
            log_probs = target_log_probs(self.model, outputs, batch.targets)
            gradients = torch.autograd.grad(-log_probs.mean(), list(self.model.parameters()))
        self.states = states.detach()
        self.learn(gradients)
        return log_probs.detach()

    @torch.no_grad()
    def learn(self, gradients: Sequence[Tensor]) -> None:
        """Take one gradient step."""
        self.segments += 1
        parts = zip(self.model.parameters(), self.trained, self.squares, gradients, strict=True)
        for weight, trained, square, gradient in parts:
            square.lerp_(gradient.square(), 1 / self.segments)
            weight.addcdiv_(gradient, square.sqrt().add_(EPSILON), value=-self.options.rate)
            weight.lerp_(trained, self.options.decay)


def without_dropout(model: LanguageModel) -> LanguageModel:
    """Return a copy without dropout, in training mode, since cuDNN computes gradients only there."""
    other = copy.deepcopy(model)
    other.options = replace(
        model.options, embedding_dropout=0.0, input_dropout=0.0, dropout=0.0, output_dropout=0.0, weight_drop=0.0
    )
    for module in other.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return other.train()


def adaptive_scorer(model: LanguageModel, options: CacheOptions | DynamicOptions) -> NeuralCache | DynamicEvaluation:
    """Return the scorer of the options' kind, for `score_text` and `token_log_probs`."""
    return NeuralCache(model, options) if isinstance(options, CacheOptions) else DynamicEvaluation(model, options)


def adapted_figures(
    model: LanguageModel, text: TokenFile, options: CacheOptions | DynamicOptions, documents: bool = False
) -> dict[str, float]:
    """Return the row of an adapting model in `metrics.json`: its figures on the text, and its options."""
    score = score_text(model, text, documents=documents, reader=adaptive_scorer(model, options))
    return {**score.figures(), **asdict(options)}

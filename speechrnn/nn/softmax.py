"""Softmax layers of the language model: full, adaptive, mixture.

Each holds the token vectors (with a tied softmax the embedding's own) and computes the log-probabilities of all tokens
or, at less cost, those of given targets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.core.errors import UserError

LARGE = 10_000  # tokens; above it `softmax=auto` is adaptive, and a full softmax is computed in blocks
BLOCK = 2048  # tokens of a block


class BlockedLogProbs(torch.autograd.Function):
    """Log-probabilities of targets in a large vocabulary, computed in blocks of tokens on a CPU.

    (rows, dim), (vocabulary, dim), (vocabulary,), (rows,) -> (rows,). The result is the negative cross entropy of
    `F.linear`, which reads and writes rows x vocabulary numbers in main memory about six times; that takes longer
    than the matrix products. Here each block is written once and read once, and all else stays in the cache.
    """

    @staticmethod
    def forward(context: Any, inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """Compute log-probabilities, and save the scores for the backward pass."""
        blocks = [torch.addmm(b, inputs, w.t()) for w, b in zip(weight.split(BLOCK), bias.split(BLOCK), strict=True)]
        total = torch.stack([block.logsumexp(1) for block in blocks]).logsumexp(0)
        context.save_for_backward(inputs, weight, targets, total, *blocks)
        return (inputs * weight[targets]).sum(1) + bias[targets] - total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Compute gradients; that of a score is 1 (target) or 0 (other token) less the token's probability."""
        inputs, weight, targets, total, *blocks = context.saved_tensors
        gradient = gradients[0].unsqueeze(1)
        for_inputs = weight[targets] * gradient
        for_weight, for_bias = torch.empty_like(weight), weight.new_empty(len(weight))
        parts = zip(blocks, weight.split(BLOCK), for_weight.split(BLOCK), for_bias.split(BLOCK), strict=True)
        for block, w, to_weight, to_bias in parts:
            scores = (block - total.unsqueeze(1)).exp_().mul_(-gradient)
            torch.mm(scores.t(), inputs, out=to_weight)
            torch.sum(scores, 0, out=to_bias)
            for_inputs.addmm_(scores, w)
        for_weight.index_add_(0, targets, inputs * gradient)
        for_bias.index_add_(0, targets, gradients[0])
        return for_inputs, for_weight, for_bias, None


class FullSoftmax(nn.Module):
    """One softmax over all tokens."""

    def __init__(self, weight: nn.Parameter, dimensions: int) -> None:
        """Build the layer.

        Args:
            weight: (vocabulary, embedding) token vectors.
            dimensions: of the inputs; a linear layer maps them to the embedding's size where it differs.
        """
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.fit = nn.Linear(dimensions, weight.shape[1]) if dimensions != weight.shape[1] else nn.Identity()

    def forward(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities of all tokens: (..., dimensions) -> (..., vocabulary)."""
        return F.linear(self.fit(outputs), self.weight, self.bias).float().log_softmax(-1)

    def target_log_probs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return log-probabilities of targets: (rows, dimensions), (rows,) -> (rows,)."""
        outputs = self.fit(outputs)
        if len(self.weight) > LARGE and outputs.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return BlockedLogProbs.apply(outputs, self.weight, self.bias, targets)
        logits = F.linear(outputs, self.weight, self.bias).float()
        return -F.cross_entropy(logits, targets, reduction="none")


class AdaptiveSoftmax(nn.Module):
    """A softmax over frequent tokens and clusters of rare ones, then a softmax within the cluster (Grave et al. 2017).

    A token of a cluster has log p(cluster) + log p(token | cluster), so training computes the scores of rare tokens
    only where one of them is the target. Unlike in the paper all clusters have the full dimension, so that the token
    vectors can be the embedding's. Tokens must be numbered by falling frequency, as word tokenizers do.
    """

    def __init__(self, weight: nn.Parameter, dimensions: int, cutoffs: tuple[int, ...]) -> None:
        """Build the layer.

        Args:
            weight: (vocabulary, embedding) token vectors.
            dimensions: of the inputs.
            cutoffs: first tokens of the clusters: with (2000, 10000) the frequent tokens are 0 to 1999, the clusters
                2000 to 9999 and the rest. Cutoffs beyond the vocabulary are ignored.

        Raises:
            UserError: the cutoffs do not rise, or none is within the vocabulary.
        """
        super().__init__()
        inside = [cutoff for cutoff in cutoffs if cutoff < len(weight)]
        if not inside or inside != sorted(set(inside)):
            raise UserError(
                f"language.cutoffs={list(cutoffs)} must rise and begin below the vocabulary of {len(weight)} tokens; "
                "for a small vocabulary use language.softmax=full."
            )
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.clusters = nn.Linear(weight.shape[1], len(inside))
        self.fit = nn.Linear(dimensions, weight.shape[1]) if dimensions != weight.shape[1] else nn.Identity()
        self.frequent = inside[0]
        self.ranges = list(pairwise([*inside, len(weight)]))

    def split(self) -> tuple[list[tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]:
        """Return weight and bias of each cluster, and those of the head: frequent tokens, then a row a cluster."""
        sizes = [self.frequent, *(end - start for start, end in self.ranges)]
        # One split instead of slices: the gradient of each slice would be as large as the whole matrix.
        (weight, *weights), (bias, *biases) = self.weight.split(sizes), self.bias.split(sizes)
        head = torch.cat([weight, self.clusters.weight]), torch.cat([bias, self.clusters.bias])
        return list(zip(weights, biases, strict=True)), head

    def forward(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities of all tokens: (..., dimensions) -> (..., vocabulary)."""
        outputs = self.fit(outputs)
        clusters, head = self.split()
        first = F.linear(outputs, *head).float().log_softmax(-1)
        parts = [first[..., : self.frequent]]
        for number, cluster in enumerate(clusters, start=self.frequent):
            parts.append(first[..., number].unsqueeze(-1) + F.linear(outputs, *cluster).float().log_softmax(-1))
        return torch.cat(parts, -1)

    def target_log_probs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return log-probabilities of targets: (rows, dimensions), (rows,) -> (rows,)."""
        outputs = self.fit(outputs)
        clusters, head = self.split()
        first = targets.clone()  # index in the head: the token itself, or its cluster
        rows_by_cluster = []
        for number, (start, end) in enumerate(self.ranges, start=self.frequent):
            inside = (targets >= start) & (targets < end)
            first[inside] = number
            rows_by_cluster.append(inside.nonzero().squeeze(1))
        result = -F.cross_entropy(F.linear(outputs, *head).float(), first, reduction="none")
        for cluster, rows, (start, _) in zip(clusters, rows_by_cluster, self.ranges, strict=True):
            if len(rows):
                logits = F.linear(outputs[rows], *cluster).float()
                result = result.index_add(0, rows, -F.cross_entropy(logits, targets[rows] - start, reduction="none"))
        return result


class MixtureOfSoftmaxes(nn.Module):
    """A weighted mean of several softmaxes, which one matrix of low rank cannot express (Yang et al. 2018)."""

    def __init__(self, weight: nn.Parameter, dimensions: int, components: int, dropout: float) -> None:
        """Build the layer.

        Args:
            weight: (vocabulary, embedding) token vectors.
            dimensions: of the inputs.
            components: number of softmaxes.
            dropout: share of each component's dimensions that are set to zero in training.
        """
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.components = components
        self.prior = nn.Linear(dimensions, components, bias=False)
        self.latent = nn.Linear(dimensions, components * weight.shape[1])
        self.dropout = nn.Dropout(dropout)

    def _components(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Compute (..., dimensions) -> (..., components) log-weights, (..., components, embedding) inputs."""
        latent = torch.tanh(self.latent(outputs)).unflatten(-1, (self.components, self.weight.shape[1]))
        return self.prior(outputs).float().log_softmax(-1), self.dropout(latent)

    def forward(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities of all tokens: (..., dimensions) -> (..., vocabulary)."""
        prior, latent = self._components(outputs)
        each = F.linear(latent, self.weight, self.bias).float().log_softmax(-1)  # (..., components, vocabulary)
        return torch.logsumexp(prior.unsqueeze(-1) + each, -2)

    def target_log_probs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return log-probabilities of targets: (rows, dimensions), (rows,) -> (rows,)."""
        prior, latent = self._components(outputs)
        logits = F.linear(latent, self.weight, self.bias).float()  # (rows, components, vocabulary)
        wanted = targets[:, None, None].expand(-1, self.components, 1)
        each = logits.gather(2, wanted).squeeze(2) - logits.logsumexp(2)
        return torch.logsumexp(prior + each, 1)


Softmax = FullSoftmax | AdaptiveSoftmax | MixtureOfSoftmaxes

"""Ways from a language model's hidden vector to the probabilities of all tokens.

Each holds the token vectors (perhaps the embedding's own), gives all log-probabilities, and, at less cost, those of
given targets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.core.errors import UserError

LARGE = 10_000  # tokens; a larger vocabulary asks for thrift
BLOCK = 2048  # tokens whose scores are computed together


class BlockedLogProbs(torch.autograd.Function):
    """Log-probabilities of targets among many tokens, in blocks of tokens, on a CPU.

    (rows, dim), (vocabulary, dim), (vocabulary,), (rows,) -> (rows,). The same as the cross entropy of `F.linear`, but
    that goes through rows x vocabulary numbers in main memory half a dozen times, which takes longer than the matrix
    products; here each block is written once and read once, and everything else happens in the cache.
    """

    @staticmethod
    def forward(context: Any, inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """Keeps the scores for the backward pass."""
        blocks = [torch.addmm(b, inputs, w.t()) for w, b in zip(weight.split(BLOCK), bias.split(BLOCK), strict=True)]
        total = torch.stack([block.logsumexp(1) for block in blocks]).logsumexp(0)
        context.save_for_backward(inputs, weight, targets, total, *blocks)
        return (inputs * weight[targets]).sum(1) + bias[targets] - total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """The gradient of a score is what its token's probability lacks to 1 if it is the target, to 0 if not."""
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
        """`weight`: (vocabulary, embedding); inputs of other dimensions are brought to that size first."""
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.fit = nn.Linear(dimensions, weight.shape[1]) if dimensions != weight.shape[1] else nn.Identity()

    def forward(self, outputs: Tensor) -> Tensor:
        """(..., dimensions) -> (..., vocabulary) log-probabilities."""
        return F.linear(self.fit(outputs), self.weight, self.bias).float().log_softmax(-1)

    def of_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(rows, dimensions), (rows,) -> (rows,) log-probabilities."""
        outputs = self.fit(outputs)
        if len(self.weight) > LARGE and outputs.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return BlockedLogProbs.apply(outputs, self.weight, self.bias, targets)
        logits = F.linear(outputs, self.weight, self.bias).float()
        return -F.cross_entropy(logits, targets, reduction="none")


class AdaptiveSoftmax(nn.Module):
    """A softmax over the frequent tokens and clusters of rarer ones, then one within the cluster (Grave et al. 2017).

    A token of a cluster has log p(cluster) + log p(token | cluster), so training computes the rare tokens' scores only
    where one of them is the target. Unlike the paper's, all clusters keep the full dimension, so that the token
    vectors can be the embedding's. Tokens must be numbered by falling frequency, as our tokenizers do.
    """

    def __init__(self, weight: nn.Parameter, dimensions: int, cutoffs: tuple[int, ...]) -> None:
        """`cutoffs`: where clusters begin: (2000, 10000) are 0 to 1999, which are frequent, 2000 to 9999, and the rest.

        Those beyond the vocabulary are left out.

        Raises:
            UserError: they do not rise, or none is within the vocabulary.
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
        """Weight and bias of each cluster, and those of the head: the frequent tokens, then the clusters themselves."""
        sizes = [self.frequent, *(end - start for start, end in self.ranges)]
        # All at once: the gradient of a slice is as large as the whole.
        (weight, *weights), (bias, *biases) = self.weight.split(sizes), self.bias.split(sizes)
        head = torch.cat([weight, self.clusters.weight]), torch.cat([bias, self.clusters.bias])
        return list(zip(weights, biases, strict=True)), head

    def forward(self, outputs: Tensor) -> Tensor:
        """(..., dimensions) -> (..., vocabulary) log-probabilities."""
        outputs = self.fit(outputs)
        clusters, head = self.split()
        first = F.linear(outputs, *head).float().log_softmax(-1)
        parts = [first[..., : self.frequent]]
        for number, cluster in enumerate(clusters, start=self.frequent):
            parts.append(first[..., number].unsqueeze(-1) + F.linear(outputs, *cluster).float().log_softmax(-1))
        return torch.cat(parts, -1)

    def of_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(rows, dimensions), (rows,) -> (rows,) log-probabilities."""
        outputs = self.fit(outputs)
        clusters, head = self.split()
        first = targets.clone()  # what the head says: the token itself, or its cluster
        members = []
        for number, (start, end) in enumerate(self.ranges, start=self.frequent):
            inside = (targets >= start) & (targets < end)
            first[inside] = number
            members.append(inside.nonzero().squeeze(1))
        result = -F.cross_entropy(F.linear(outputs, *head).float(), first, reduction="none")
        for cluster, rows, (start, _) in zip(clusters, members, self.ranges, strict=True):
            if len(rows):
                logits = F.linear(outputs[rows], *cluster).float()
                result = result.index_add(0, rows, -F.cross_entropy(logits, targets[rows] - start, reduction="none"))
        return result


class MixtureOfSoftmaxes(nn.Module):
    """A weighted mean of several softmaxes, which one matrix of low rank cannot express (Yang et al. 2018)."""

    def __init__(self, weight: nn.Parameter, dimensions: int, components: int, dropout: float) -> None:
        """`dropout`: share of each component's dimensions set to zero in training."""
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(len(weight)))
        self.components = components
        self.prior = nn.Linear(dimensions, components, bias=False)
        self.latent = nn.Linear(dimensions, components * weight.shape[1])
        self.dropout = nn.Dropout(dropout)

    def parts(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """(..., dimensions) -> (..., components) log-weights, (..., components, embedding)."""
        latent = torch.tanh(self.latent(outputs)).unflatten(-1, (self.components, self.weight.shape[1]))
        return self.prior(outputs).float().log_softmax(-1), self.dropout(latent)

    def forward(self, outputs: Tensor) -> Tensor:
        """(..., dimensions) -> (..., vocabulary) log-probabilities."""
        prior, latent = self.parts(outputs)
        each = F.linear(latent, self.weight, self.bias).float().log_softmax(-1)  # (..., components, vocabulary)
        return torch.logsumexp(prior.unsqueeze(-1) + each, -2)

    def of_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(rows, dimensions), (rows,) -> (rows,) log-probabilities."""
        prior, latent = self.parts(outputs)
        logits = F.linear(latent, self.weight, self.bias).float()  # (rows, components, vocabulary)
        wanted = targets[:, None, None].expand(-1, self.components, 1)
        each = logits.gather(2, wanted).squeeze(2) - logits.logsumexp(2)
        return torch.logsumexp(prior + each, 1)


Softmax = FullSoftmax | AdaptiveSoftmax | MixtureOfSoftmaxes

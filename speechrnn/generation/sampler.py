"""The choice of each row's next token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.adaptive_sampling import ClusterSampler
from speechrnn.generation.categorical import NEVER, Buffers, Weights, most_probable, pick, weigh
from speechrnn.generation.fixed_batches import Tiles, padded
from speechrnn.generation.logits_processors import constrain, fill_in, warp
from speechrnn.generation.sequence import Row, uniforms
from speechrnn.nn.softmax import AdaptiveSoftmax

MOST = 64  # rows of a softmax, of which a CPU's cache shall hold a chunk


class Sampler:
    """Chooses tokens by the rows' options."""

    def __init__(self, tiles: Tiles, unknown: int | None) -> None:
        """`unknown`: the token that is never chosen."""
        self.tiles = tiles
        self.unknown = unknown
        self.buffers = Buffers(tiles.model.start(0))
        softmax = tiles.model.softmax
        self.clusters = None
        if isinstance(softmax, AdaptiveSoftmax) and (unknown is None or unknown < softmax.frequent):
            self.clusters = ClusterSampler(tiles, softmax, unknown)

    @torch.inference_mode()
    def choose(self, outputs: Tensor, rows: Sequence[Row]) -> tuple[list[int], list[float]]:
        """One token a row, and the natural log-probability that the model gives it.

        Args:
            outputs: (rows, dim) of the model's last layer.

        Returns:
            tokens, -1 where nothing may follow, and log-probabilities.
        """
        tokens = torch.zeros(len(rows), dtype=torch.int64, device=outputs.device)
        log_probs = torch.zeros(len(rows), dtype=torch.float64, device=outputs.device)
        by_cluster = [self.clusters is not None and row.prompt.options.unshaped for row in rows]
        for sampler, chosen in ((self.clusters, True), (self, False)):
            numbers = [number for number, one in enumerate(by_cluster) if one is chosen]
            if sampler is not None and numbers:
                index = self.tiles.tensor(numbers)
                found = sampler.choose_all(outputs[index], [rows[number] for number in numbers])
                tokens[index], log_probs[index] = found
        return tokens.tolist(), log_probs.tolist()

    def choose_all(self, outputs: Tensor, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """The same from the probabilities of the whole vocabulary: tokens (rows,), log-probabilities (rows,)."""
        tokens = torch.empty(len(rows), dtype=torch.int64, device=outputs.device)
        log_probs = torch.empty(len(rows), dtype=torch.float64, device=outputs.device)
        numbers = self.tiles.tensor(np.arange(len(rows)))

        def work(first: int, end: int, height: int) -> None:
            model, some = self.tiles.model, rows[first:end]
            scores = self.buffers.get("raw", height, model.vocabulary)
            parts = fill_in(scores, model, outputs[padded(numbers[first:end], height)])
            weights = weigh(scores[: len(some)], self.buffers, parts)
            tokens[first:end], log_probs[first:end] = self.choose_by(weights, some)

        self.tiles.each(work, len(rows), MOST if outputs.device.type == "cpu" else None)
        return tokens, log_probs

    def choose_by(self, weights: Weights, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """The same from the raw scores."""
        scores, whole = weights.scores, weights.log_sum
        if all(row.prompt.options.plain and not row.unfinished for row in rows):
            if self.unknown is not None:
                scores[:, self.unknown] = NEVER
                weights.without(self.unknown)
            tokens = weights.draw(uniforms(rows))
        else:
            tokens = self.shape_and_choose(self.buffers.get("shaped", *scores.shape).copy_(scores), rows)
        return tokens, pick(scores, tokens.clamp(min=0)).double() - whole

    def shape_and_choose(self, scores: Tensor, rows: Sequence[Row]) -> Tensor:
        """(rows, vocabulary), changed as the rows' options ask -> (rows,) tokens, -1 where nothing may follow."""
        options = [row.prompt.options for row in rows]
        constrain(scores, rows, self.unknown)
        tokens = most_probable(scores)
        nothing = pick(scores, tokens) == NEVER
        if not all(one.greedy for one in options):
            warp(scores, options)
            # Where nothing is left, anything: it is not used.
            weights = weigh(scores.masked_fill_(nothing.unsqueeze(1), 0.0), self.buffers)
            greedy = torch.tensor([one.greedy for one in options], device=tokens.device)
            tokens = torch.where(greedy, tokens, weights.draw(uniforms(rows)))
        return tokens.masked_fill(nothing, -1)

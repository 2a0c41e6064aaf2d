"""The choice of tokens from an adaptive softmax, looking only into clusters that matter.

A draw first finds a frequent token or a cluster; only rows that found a cluster compute what is inside. At a
temperature T below 1 a token has the weight p ** (1 / T), whose sum over a cluster isn't known without looking. But it
is at most the cluster's own P ** (1 / T). So the cluster is drawn with that weight and looked into; where the draw
falls into the part of the weight that was too much, it is rejected, and repeated with the cluster's right weight. What
is accepted has exactly the distribution that looking into all clusters would give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from speechrnn.generation.categorical import BELOW_ONE, NEVER, Buffers, most_probable, pick, weigh
from speechrnn.generation.fixed_batches import Tiles, padded
from speechrnn.generation.sequence import Row, uniforms
from speechrnn.nn.language import END_OF_LINE
from speechrnn.nn.softmax import AdaptiveSoftmax


class ClusterSampler:
    """Chooses tokens for rows that take the most probable one, or draw from all at a temperature of at most 1."""

    def __init__(self, tiles: Tiles, softmax: AdaptiveSoftmax, unknown: int | None) -> None:
        """`unknown`: the token that is never chosen, a frequent one."""
        self.tiles = tiles
        self.unknown = unknown
        self.fit = softmax.fit
        self.frequent = softmax.frequent
        self.starts = [start for start, _ in softmax.ranges]
        with torch.no_grad():
            self.clusters, self.head = softmax.split()
        self.buffers = Buffers(tiles.model.start(0))

    def choose_all(self, outputs: Tensor, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """(rows, dim) -> tokens (rows,), log-probabilities (rows,) float64."""
        turn = Turn(self, outputs, rows)
        greedy = torch.tensor([row.prompt.options.greedy for row in rows], device=outputs.device)
        turn.take_most_probable(greedy.nonzero().squeeze(1))
        turn.draw((~greedy).nonzero().squeeze(1))
        return turn.tokens, turn.log_probs

    def inside(self, fitted: Tensor, rows: int, cluster: int) -> Tensor:
        """(height, embedding), of which the first rows count -> (rows, tokens of the cluster) raw scores."""
        return F.linear(fitted, *self.clusters[cluster])[:rows]

    def each(self, work: Callable[[Tensor, Tensor], None], index: Tensor) -> None:
        """Calls `work(part, tile)` for each matrix: some of the index, and the same with padding."""

        def one(first: int, end: int, height: int) -> None:
            work(index[first:end], padded(index[first:end], height))

        self.tiles.each(one, len(index))


class Turn:
    """One step of some rows.

    Attributes:
        head: (rows, frequent tokens and clusters) log-probabilities.
        scores: the same, with temperature and bans, and of clusters looked into what their tokens come to.
        right: (rows, clusters): whether that has been done, or need not be.
        tokens, log_probs: what was chosen.
    """

    def __init__(self, sampler: ClusterSampler, outputs: Tensor, rows: Sequence[Row]) -> None:
        self.sampler = sampler
        self.rows = rows
        self.fitted = outputs.new_empty(len(rows), sampler.head[0].shape[1])
        self.head = outputs.new_empty(len(rows), len(sampler.head[0]))
        sampler.each(partial(self.look_at_head, outputs), torch.arange(len(rows), device=outputs.device))
        heat = [row.prompt.options.temperature or 1.0 for row in rows]
        self.heat = torch.tensor(heat, device=outputs.device).unsqueeze(1)
        self.scores = self.head / self.heat
        self.ban()
        self.right = (self.heat == 1).repeat(1, len(sampler.starts))
        self.tokens = torch.zeros(len(rows), dtype=torch.int64, device=outputs.device)
        self.log_probs = torch.zeros(len(rows), dtype=torch.float64, device=outputs.device)

    def look_at_head(self, outputs: Tensor, part: Tensor, tile: Tensor) -> None:
        """Fills in `fitted` and `head`."""
        fitted = self.sampler.fit(outputs[tile])
        self.fitted[part] = fitted[: len(part)]
        self.head[part] = F.linear(fitted, *self.sampler.head)[: len(part)].float().log_softmax(1)

    def ban(self) -> None:
        """Lowers the scores of what must not be chosen, which the head has."""
        if self.sampler.unknown is not None:
            self.scores[:, self.sampler.unknown] = NEVER
        unfinished = [number for number, row in enumerate(self.rows) if row.unfinished]
        if unfinished:
            self.scores[unfinished, END_OF_LINE] = NEVER

    def take_most_probable(self, waiting: Tensor) -> None:
        """Chooses for greedy rows. A cluster less probable than the best token so far isn't looked into."""
        if not len(waiting):
            return
        frequent = self.scores[waiting, : self.sampler.frequent]
        self.tokens[waiting] = most_probable(frequent)
        self.log_probs[waiting] = pick(frequent, self.tokens[waiting]).double()
        for cluster in range(len(self.sampler.starts)):
            better = self.head[waiting, self.sampler.frequent + cluster] > self.log_probs[waiting]
            self.sampler.each(partial(self.look_for_better, cluster), waiting[better])

    def look_for_better(self, cluster: int, part: Tensor, tile: Tensor) -> None:
        """Takes the cluster's most probable token where it is more probable than the best so far."""
        inside = self.sampler.inside(self.fitted[tile], len(part), cluster).log_softmax(1)
        token = most_probable(inside)
        log_prob = (self.head[part, self.sampler.frequent + cluster] + pick(inside, token)).double()
        better = log_prob > self.log_probs[part]
        self.tokens[part] = torch.where(better, token + self.sampler.starts[cluster], self.tokens[part])
        self.log_probs[part] = torch.where(better, log_prob, self.log_probs[part])

    def draw(self, waiting: Tensor) -> None:
        """Draws for the other rows."""
        attempt = 0
        while len(waiting):  # each rejection sets one of the row's clusters right
            numbers = [uniforms(self.rows, 2 * attempt + number) for number in (0, 1)]
            first, second = torch.from_numpy(np.stack(numbers)).to(waiting.device)
            self.sampler.each(partial(self.draw_column, first), waiting)
            columns = self.tokens[waiting]
            for cluster in range(len(self.sampler.starts)):
                chosen = waiting[columns == self.sampler.frequent + cluster]
                self.sampler.each(partial(self.draw_inside, cluster, second), chosen)
            waiting = waiting[self.tokens[waiting] < 0]
            attempt += 1

    def draw_column(self, uniform: Tensor, part: Tensor, tile: Tensor) -> None:
        """A token or a cluster by the scores."""
        self.tokens[part] = columns = weigh(self.scores[part], self.sampler.buffers).draw(uniform[part])
        self.log_probs[part] = pick(self.head[part], columns).double()

    def draw_inside(self, cluster: int, uniform: Tensor, part: Tensor, tile: Tensor) -> None:
        """A token of the cluster; -1 where the draw is rejected."""
        inside = self.sampler.inside(self.fitted[tile], len(part), cluster)
        weights = weigh(inside, self.sampler.buffers)
        log_sum, heat = weights.log_sum, self.heat[part]
        if (heat != 1).any():
            weights = weigh(inside / heat, self.sampler.buffers)
        # What the tokens' weights come to, as a share of the cluster's own
        whole = (weights.log_sum - log_sum / heat.squeeze(1)).clamp(max=0.0)
        share = torch.where(self.right[part, cluster], 1.0, whole.exp())
        tokens = weights.draw((uniform[part] / share).clamp(max=BELOW_ONE))
        accepted = uniform[part] < share
        self.tokens[part] = torch.where(accepted, tokens + self.sampler.starts[cluster], -1)
        self.log_probs[part] += pick(inside, tokens).double() - log_sum
        self.scores[part, self.sampler.frequent + cluster] += torch.where(accepted, 0.0, whole).float()
        self.right[part, cluster] |= ~accepted

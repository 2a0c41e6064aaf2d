"""Choice of tokens from an adaptive softmax that computes only the clusters that may hold the chosen token.

A draw first finds a frequent token or a cluster; only rows that found a cluster compute the scores inside it. At a
temperature T below 1 a token has the weight p ** (1 / T), whose sum over a cluster isn't known before the cluster is
computed. But it is at most the cluster's own P ** (1 / T). So the cluster is drawn with that weight and then computed;
where the draw falls into the excess of that weight, it is rejected, and repeated with the cluster's right weight. The
accepted tokens have exactly the distribution that computing all clusters would give (rejection sampling).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from speechrnn.generation.categorical import (
    BELOW_ONE,
    MASKED,
    Buffers,
    Categorical,
    pick_columns,
    row_argmax,
    shape_independent,
)
from speechrnn.generation.fixed_batches import FixedBatches, pad_index
from speechrnn.generation.sequence import TokenSequence, next_uniforms
from speechrnn.nn.language import END_OF_LINE
from speechrnn.nn.softmax import AdaptiveSoftmax


class AdaptiveSampler:
    """A sampler for rows of `GenerationOptions.adaptive_sampling`: greedy, or a draw from all tokens."""

    def __init__(self, batches: FixedBatches, softmax: AdaptiveSoftmax, unknown: int | None) -> None:
        """Prepare the tables. `unknown`: a frequent token that is never chosen."""
        self.batches = batches
        self.unknown = unknown
        self.fit = softmax.fit
        self.frequent = softmax.frequent
        self.starts = [start for start, _ in softmax.ranges]
        with torch.no_grad():
            self.clusters, self.head = softmax.split()
        self.buffers = Buffers(batches.model.start(0))

    def choose_rows(self, outputs: Tensor, sequences: Sequence[TokenSequence]) -> tuple[Tensor, Tensor]:
        """Choose tokens: (rows, dim) -> tokens (rows,), log-probabilities (rows,) float64."""
        step = _Step(self, outputs, sequences)
        greedy = torch.tensor([sequence.prompt.options.greedy for sequence in sequences], device=outputs.device)
        step.take_most_probable(greedy.nonzero().squeeze(1))
        step.draw((~greedy).nonzero().squeeze(1))
        return step.tokens, step.log_probs

    def cluster_scores(self, fitted: Tensor, rows: int, cluster: int) -> Tensor:
        """Compute scores of a cluster's tokens: (size, embedding), of which the first rows count -> (rows, tokens)."""
        weight, bias = self.clusters[cluster]
        return F.linear(fitted, weight, bias)[:rows]

    def for_each(self, work: Callable[[Tensor, Tensor], None], index: Tensor) -> None:
        """Call `work(rows, padded)` for each batch: part of the index, and the same padded to the batch's size."""

        def run(first: int, end: int, size: int) -> None:
            work(index[first:end], pad_index(index[first:end], size))

        self.batches.for_each(run, len(index))


class _Step:
    """Choice of one token for each of some rows.

    Attributes:
        head: (rows, frequent tokens and clusters) log-probabilities.
        scores: the same with temperature and bans; of clusters that were computed, the log of their tokens' sum.
        exact: (rows, clusters) whether a cluster's score is that sum.
        tokens, log_probs: the choice.
    """

    def __init__(self, sampler: AdaptiveSampler, outputs: Tensor, sequences: Sequence[TokenSequence]) -> None:
        self.sampler = sampler
        self.sequences = sequences
        self.fitted = outputs.new_empty(len(sequences), sampler.head[0].shape[1])
        self.head = outputs.new_empty(len(sequences), len(sampler.head[0]))
        rows = torch.arange(len(sequences), device=outputs.device)
        sampler.for_each(partial(self._compute_head, outputs), rows)
        temperatures = [sequence.prompt.options.effective_temperature for sequence in sequences]
        self.temperature = torch.tensor(temperatures, device=outputs.device).unsqueeze(1)
        self.scores = self.head / self.temperature
        self._ban()
        self.exact = (self.temperature == 1).repeat(1, len(sampler.starts))
        self.tokens = torch.zeros(len(sequences), dtype=torch.int64, device=outputs.device)
        self.log_probs = torch.zeros(len(sequences), dtype=torch.float64, device=outputs.device)

    def _compute_head(self, outputs: Tensor, rows: Tensor, padded: Tensor) -> None:
        """Fill in `fitted` and `head`."""
        fitted = self.sampler.fit(outputs[padded])
        self.fitted[rows] = fitted[: len(rows)]
        self.head[rows] = F.linear(fitted, *self.sampler.head)[: len(rows)].float().log_softmax(1)

    def _ban(self) -> None:
        """Mask the tokens that must not be chosen, all of which are frequent."""
        if self.sampler.unknown is not None:
            self.scores[:, self.sampler.unknown] = MASKED
        too_short = [row for row, sequence in enumerate(self.sequences) if sequence.too_short]
        if too_short:
            self.scores[too_short, END_OF_LINE] = MASKED

    def take_most_probable(self, rows: Tensor) -> None:
        """Choose for greedy rows. A cluster less probable than the best token so far isn't computed."""
        if not len(rows):
            return
        frequent = self.scores[rows, : self.sampler.frequent]
        self.tokens[rows] = row_argmax(frequent)
        self.log_probs[rows] = pick_columns(frequent, self.tokens[rows]).double()
        for cluster in range(len(self.sampler.starts)):
            better = self.head[rows, self.sampler.frequent + cluster] > self.log_probs[rows]
            self.sampler.for_each(partial(self._take_better, cluster), rows[better])

    def _take_better(self, cluster: int, rows: Tensor, padded: Tensor) -> None:
        """Take the cluster's most probable token where it is more probable than the best so far."""
        inside = self.sampler.cluster_scores(self.fitted[padded], len(rows), cluster).log_softmax(1)
        token = row_argmax(inside)
        log_prob = (self.head[rows, self.sampler.frequent + cluster] + pick_columns(inside, token)).double()
        better = log_prob > self.log_probs[rows]
        self.tokens[rows] = torch.where(better, token + self.sampler.starts[cluster], self.tokens[rows])
        self.log_probs[rows] = torch.where(better, log_prob, self.log_probs[rows])

    def draw(self, rows: Tensor) -> None:
        """Draw for the other rows."""
        attempt = 0
        while len(rows):  # each rejection makes the score of one of the row's clusters exact
            numbers = [next_uniforms(self.sequences, 2 * attempt + number) for number in (0, 1)]
            first, second = torch.from_numpy(np.stack(numbers)).to(rows.device)
            self.sampler.for_each(partial(self._draw_column, first), rows)
            columns = self.tokens[rows]
            for cluster in range(len(self.sampler.starts)):
                chosen = rows[columns == self.sampler.frequent + cluster]
                self.sampler.for_each(partial(self._draw_inside, cluster, second), chosen)
            rows = rows[self.tokens[rows] < 0]
            attempt += 1

    def _draw_column(self, uniform: Tensor, rows: Tensor, padded: Tensor) -> None:
        """Draw a token or a cluster by the scores."""
        distribution = Categorical.from_scores(self.scores[rows], self.sampler.buffers)
        self.tokens[rows] = columns = distribution.draw(uniform[rows])
        self.log_probs[rows] = pick_columns(self.head[rows], columns).double()

    def _draw_inside(self, cluster: int, uniform: Tensor, rows: Tensor, padded: Tensor) -> None:
        """Draw a token of the cluster; -1 where the draw is rejected."""
        inside = self.sampler.cluster_scores(self.fitted[padded], len(rows), cluster)
        distribution = Categorical.from_scores(inside, self.sampler.buffers)
        log_sum, temperature = distribution.log_sum, self.temperature[rows]
        if (temperature != 1).any():
            distribution = Categorical.from_scores(inside / temperature, self.sampler.buffers)
        # log of the sum of the tokens' weights as a share of the cluster's own
        log_share = (distribution.log_sum - log_sum / temperature.squeeze(1)).clamp(max=0.0)
        share = torch.where(self.exact[rows, cluster], 1.0, shape_independent(torch.exp, log_share))
        tokens = distribution.draw((uniform[rows] / share).clamp(max=BELOW_ONE))
        accepted = uniform[rows] < share
        self.tokens[rows] = torch.where(accepted, tokens + self.sampler.starts[cluster], -1)
        self.log_probs[rows] += pick_columns(inside, tokens).double() - log_sum
        self.scores[rows, self.sampler.frequent + cluster] += torch.where(accepted, 0.0, log_share).float()
        self.exact[rows, cluster] |= ~accepted

"""Choice of the next token of each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.adaptive_sampling import AdaptiveSampler
from speechrnn.generation.categorical import MASKED, Buffers, Categorical, pick_columns, row_argmax
from speechrnn.generation.fixed_batches import FixedBatches, pad_index
from speechrnn.generation.logits_processors import constrain, fill_logits, warp
from speechrnn.generation.sequence import TokenSequence, next_uniforms
from speechrnn.nn.softmax import AdaptiveSoftmax

CPU_ROWS = 64  # rows of a softmax, of which a CPU's cache shall hold a chunk


class Sampler:
    """Chooses tokens by the options of each sequence."""

    def __init__(self, batches: FixedBatches, unknown: int | None) -> None:
        """`unknown`: the token that is never chosen."""
        self.batches = batches
        self.unknown = unknown
        self.buffers = Buffers(batches.model.start(0))
        softmax = batches.model.softmax
        self.adaptive = None
        if isinstance(softmax, AdaptiveSoftmax) and (unknown is None or unknown < softmax.frequent):
            self.adaptive = AdaptiveSampler(batches, softmax, unknown)

    @torch.inference_mode()
    def choose(self, outputs: Tensor, sequences: Sequence[TokenSequence]) -> tuple[list[int], list[float]]:
        """Choose one token a row.

        Args:
            outputs: (rows, dim) of the model's last layer.
            sequences: one a row.

        Returns:
            Tokens, -1 where none may follow, and their natural log-probabilities under the model.
        """
        tokens = torch.zeros(len(sequences), dtype=torch.int64, device=outputs.device)
        log_probs = torch.zeros(len(sequences), dtype=torch.float64, device=outputs.device)
        adaptive = [self.adaptive is not None and sequence.prompt.options.adaptive_sampling for sequence in sequences]
        for sampler, wanted in ((self.adaptive, True), (self, False)):
            numbers = [number for number, is_adaptive in enumerate(adaptive) if is_adaptive is wanted]
            if sampler is not None and numbers:
                index = self.batches.index(numbers)
                tokens[index], log_probs[index] = sampler.choose_rows(
                    outputs[index], [sequences[number] for number in numbers]
                )
        return tokens.tolist(), log_probs.tolist()

    def choose_rows(self, outputs: Tensor, sequences: Sequence[TokenSequence]) -> tuple[Tensor, Tensor]:
        """Choose from the scores of the whole vocabulary: (rows, dim) -> tokens, log-probabilities (rows,)."""
        tokens = torch.empty(len(sequences), dtype=torch.int64, device=outputs.device)
        log_probs = torch.empty(len(sequences), dtype=torch.float64, device=outputs.device)
        numbers = self.batches.index(np.arange(len(sequences)))

        def work(first: int, end: int, size: int) -> None:
            model, batch = self.batches.model, sequences[first:end]
            scores = self.buffers.get("logits", size, model.vocabulary)
            chunks = fill_logits(scores, model, outputs[pad_index(numbers[first:end], size)])
            distribution = Categorical.from_scores(scores[: len(batch)], self.buffers, chunks)
            tokens[first:end], log_probs[first:end] = self._choose_from(distribution, batch)

        self.batches.for_each(work, len(sequences), CPU_ROWS if outputs.device.type == "cpu" else None)
        return tokens, log_probs

    def _choose_from(self, distribution: Categorical, sequences: Sequence[TokenSequence]) -> tuple[Tensor, Tensor]:
        """Choose from the model's distribution: tokens, log-probabilities (rows,)."""
        scores, log_sum = distribution.scores, distribution.log_sum
        if all(sequence.prompt.options.plain_sampling and not sequence.too_short for sequence in sequences):
            if self.unknown is not None:
                scores[:, self.unknown] = MASKED
                distribution.update_masked(self.unknown)
            tokens = distribution.draw(next_uniforms(sequences))
        else:
            tokens = self._process_and_choose(self.buffers.get("processed", *scores.shape).copy_(scores), sequences)
        return tokens, pick_columns(scores, tokens.clamp(min=0)).double() - log_sum

    def _process_and_choose(self, scores: Tensor, sequences: Sequence[TokenSequence]) -> Tensor:
        """Apply the options to (rows, vocabulary) scores and choose: (rows,) tokens, -1 where none may follow."""
        options = [sequence.prompt.options for sequence in sequences]
        constrain(scores, sequences, self.unknown)
        tokens = row_argmax(scores)
        nothing = pick_columns(scores, tokens) == MASKED
        if not all(row.greedy for row in options):
            warp(scores, options)
            # Where nothing is left, anything: it is not used.
            distribution = Categorical.from_scores(scores.masked_fill_(nothing.unsqueeze(1), 0.0), self.buffers)
            greedy = torch.tensor([row.greedy for row in options], device=tokens.device)
            tokens = torch.where(greedy, tokens, distribution.draw(next_uniforms(sequences)))
        return tokens.masked_fill(nothing, -1)

"""Choice of the next token of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.adaptive_sampling import AdaptiveSampler
from speechrnn.generation.categorical import MASKED, Buffers, Categorical, pick_columns, row_argmax
from speechrnn.generation.fixed_batches import FixedBatches, pad_index
from speechrnn.generation.logits_processors import constrain, fill_logits, warp
from speechrnn.generation.sequence import TokenSequence, next_uniforms
from speechrnn.nn.softmax import AdaptiveSoftmax

Chooser = Callable[[Tensor, Sequence[TokenSequence]], tuple[Tensor, Tensor]]
CPU_ROWS = 64  # rows of a softmax, of which a CPU's cache shall hold a chunk


class Sampler:
    """A sampler that chooses tokens by the options of each sequence."""

    def __init__(self, batches: FixedBatches, unknown: int | None) -> None:
        """Hold `unknown`, the token that is never chosen."""
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
        ways: dict[Chooser, list[int]] = {}
        for number, sequence in enumerate(sequences):
            ways.setdefault(self._way(sequence), []).append(number)
        for way, numbers in ways.items():
            index = self.batches.index(numbers)
            tokens[index], log_probs[index] = way(outputs[index], [sequences[number] for number in numbers])
        return tokens.tolist(), log_probs.tolist()

    def _way(self, sequence: TokenSequence) -> Chooser:
        """Return the function that chooses; it depends on the sequence alone, since each rounds in its own way."""
        options = sequence.prompt.options
        if self.adaptive is not None and options.adaptive_sampling:
            return self.adaptive.choose_rows
        return self._draw_rows if options.plain_sampling and not sequence.too_short else self._process_rows

    def _draw_rows(self, outputs: Tensor, sequences: Sequence[TokenSequence]) -> tuple[Tensor, Tensor]:
        """Draw from the model's own distribution: (rows, dim) -> tokens, log-probabilities (rows,)."""

        def choose(distribution: Categorical, batch: Sequence[TokenSequence]) -> Tensor:
            if self.unknown is not None:
                distribution.scores[:, self.unknown] = MASKED
                distribution.update_masked(self.unknown)
            return distribution.draw(next_uniforms(batch))

        return self._choose_rows(choose, outputs, sequences)

    def _process_rows(self, outputs: Tensor, sequences: Sequence[TokenSequence]) -> tuple[Tensor, Tensor]:
        """Apply the options and choose: (rows, dim) -> tokens, -1 where none may follow, log-probabilities (rows,)."""

        def choose(distribution: Categorical, batch: Sequence[TokenSequence]) -> Tensor:
            scores = self.buffers.get("processed", *distribution.scores.shape).copy_(distribution.scores)
            return self._process_and_choose(scores, batch)

        return self._choose_rows(choose, outputs, sequences)

    def _choose_rows(
        self,
        choose: Callable[[Categorical, Sequence[TokenSequence]], Tensor],
        outputs: Tensor,
        sequences: Sequence[TokenSequence],
    ) -> tuple[Tensor, Tensor]:
        """Choose from the scores of the whole vocabulary: (rows, dim) -> tokens, log-probabilities (rows,)."""
        tokens = torch.empty(len(sequences), dtype=torch.int64, device=outputs.device)
        log_probs = torch.empty(len(sequences), dtype=torch.float64, device=outputs.device)
        numbers = self.batches.index(np.arange(len(sequences)))

        def work(first: int, end: int, size: int) -> None:
            model, batch = self.batches.model, sequences[first:end]
            scores = self.buffers.get("logits", size, model.vocabulary)
            chunks = fill_logits(scores, model, outputs[pad_index(numbers[first:end], size)])
            distribution = Categorical.from_scores(scores[: len(batch)], self.buffers, chunks)
            log_sum = distribution.log_sum
            chosen = choose(distribution, batch)
            tokens[first:end] = chosen
            log_probs[first:end] = pick_columns(distribution.scores, chosen.clamp(min=0)).double() - log_sum

        self.batches.for_each(work, len(sequences), CPU_ROWS if outputs.device.type == "cpu" else None)
        return tokens, log_probs

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

"""Beam search over many prompts side by side, by the rules of Hugging Face's transformers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.generation.detokenizer import Detokenizer
from speechrnn.generation.engine import MAX_PENDING, PREFILL_PROMPTS
from speechrnn.generation.fixed_batches import FixedBatches, each_on_failure, pad_index, prefill_prompts
from speechrnn.generation.logits_processors import compute_logits, constrain
from speechrnn.generation.results import Prompt, Result
from speechrnn.generation.sequence import TokenSequence


@dataclass
class BeamCandidates:
    """The best next tokens of a beam, best first: (tokens,) each.

    Attributes:
        tokens: indices.
        scores: log-probabilities after penalties and bans, by which beams are ranked.
        log_probs: natural log-probabilities under the model.
    """

    tokens: list[int]
    scores: list[float]
    log_probs: list[float]


@dataclass
class Beam:
    """An unfinished text.

    Attributes:
        sequence: its tokens.
        score: sum of their scores.
        parent: number of the beam that it extends, among the beams before the last step.
    """

    sequence: TokenSequence
    score: float
    parent: int = 0


@dataclass
class BeamSearch:
    """The beams of one prompt.

    Attributes:
        prompt: the prompt.
        error: raised over this search, which ends it.
        beams: the best unfinished texts, best first; empty when the search is over.
        finished: finished texts with their rank: the score over the length to the power of `length_penalty`.
    """

    prompt: Prompt
    beams: list[Beam]
    finished: list[tuple[float, TokenSequence]] = field(default_factory=list)
    error: Exception | None = None

    def advance(self, candidates: Sequence[BeamCandidates | Exception]) -> None:
        """Extend the beams by one token: the candidates of each beam. An exception ends the search."""
        try:
            for best in candidates:
                if isinstance(best, Exception):
                    raise best
            self._extend(cast(Sequence[BeamCandidates], candidates))
        except Exception as error:
            self.error, self.beams = error, []

    def _extend(self, candidates: Sequence[BeamCandidates]) -> None:
        if any(math.isnan(score) for best in candidates for score in best.scores[:1]):
            raise UserError("The model's probabilities are no finite numbers: its weights are damaged; train it again.")
        width = self.prompt.options.num_beams
        extended = [
            (beam.score + score, number, token, log_prob)
            for number, (beam, best) in enumerate(zip(self.beams, candidates, strict=True))
            for token, score, log_prob in zip(best.tokens, best.scores, best.log_probs, strict=True)
            if score > -math.inf
        ]
        extended.sort(key=lambda extension: -extension[0])  # stable: of equals the one of the better beam comes first
        unfinished: list[Beam] = []
        for place, (score, number, token, log_prob) in enumerate(extended[: 2 * width]):
            sequence = self.beams[number].sequence.copy()
            sequence.add(token, log_prob)
            if sequence.finish_reason not in ("eos", "stop"):
                unfinished.append(Beam(sequence, score, number))
            elif place < width:
                self._finish(sequence, score)
            if len(unfinished) == width:
                break
        length = self.beams[0].sequence.length + 1
        if not extended:  # no token may follow anywhere
            self._close(self.beams)
        elif length >= self.prompt.options.max_new_tokens:
            self._close(unfinished)
        elif len(self.finished) == width and self.finished[-1][0] >= self._rank(extended[0][0], length):
            self.beams = []  # no beam can still become better than the finished texts
        else:
            self.beams = unfinished

    def _rank(self, score: float, length: int) -> float:
        """Compute the number by which texts of different length are compared."""
        return score / max(length, 1) ** self.prompt.options.length_penalty

    def _finish(self, sequence: TokenSequence, score: float) -> None:
        """Add a finished text if it is among the best."""
        self.finished.append((self._rank(score, sequence.length), sequence))
        self.finished.sort(key=lambda ranked: -ranked[0])
        del self.finished[self.prompt.options.num_beams :]

    def _close(self, beams: list[Beam]) -> None:
        """End the search with texts that could have gone on."""
        for beam in beams:
            self._finish(beam.sequence, beam.score)
        self.beams = []

    def result(self) -> Result:
        """Return the best texts, best first, or the error."""
        try:
            if self.error is not None:
                return Result.from_error(self.prompt, self.error)
            best = self.finished[: self.prompt.options.num_return_sequences]
            return Result(self.prompt.id, self.prompt.text, tuple(sequence.completion() for _, sequence in best))
        except Exception as error:
            return Result.from_error(self.prompt, error)


class BeamSearchEngine:
    """An engine that searches for the most probable texts.

    Attributes:
        generated: tokens so far, those of discarded beams included.
    """

    def __init__(self, batches: FixedBatches, detokenizer: Detokenizer, batch_size: int) -> None:
        """Hold a model. `batch_size`: maximum number of beams at a time, but at least those of one prompt."""
        self.batches = batches
        self.detokenizer = detokenizer
        self.batch_size = batch_size
        self.pending: deque[BeamSearch | Result] = deque()  # not returned yet, in order
        self.active: list[BeamSearch] = []
        self.states = batches.model.start(0)  # of the active beams, in their order
        self.generated = 0

    def run(self, prompts: Iterable[Prompt | Result]) -> Iterator[Result]:
        """Complete prompts; results come in their order. An item that is a result already is returned in its place."""
        source = prefill_prompts(self.batches, prompts, max(self.batch_size, PREFILL_PROMPTS))
        while True:
            self._admit(source)
            if self.active:
                self._step()
            elif not self.pending:
                return
            while self.pending and (isinstance(first := self.pending[0], Result) or not first.beams):
                self.pending.popleft()
                yield first if isinstance(first, Result) else first.result()

    def _admit(self, source: Iterator[tuple[Prompt | Result, Tensor | None]]) -> None:
        """Take prompts from the source until their beams fill the batch."""
        states = [self.states]
        beams = sum(search.prompt.options.num_beams for search in self.active)
        while beams < self.batch_size and len(self.pending) < MAX_PENDING:
            item, state = next(source, (None, None))
            if isinstance(item, Prompt) and state is not None:
                search = BeamSearch(item, [Beam(TokenSequence.start(item, self.detokenizer), 0.0)])
                self.pending.append(search)
                self.active.append(search)
                states.append(state.unsqueeze(0))
                beams += item.options.num_beams
            elif isinstance(item, Result):
                self.pending.append(item)
            else:
                break
        self.states = torch.cat(states)

    def _step(self) -> None:
        """Generate one token of each beam."""
        sequences = [beam.sequence for search in self.active for beam in search.beams]
        last = self.batches.index([sequence.last for sequence in sequences])
        after = torch.empty_like(self.states)
        found: list[BeamCandidates | Exception] = [BeamCandidates([], [], [])] * len(sequences)

        def work(first: int, end: int, size: int) -> None:
            rows = pad_index(torch.arange(first, end, device=last.device), size)
            outputs, states = self.batches.model.step(self.states[rows], last[rows])
            after[first:end] = states[: end - first]
            scores = compute_logits(self.batches.model, outputs)[: end - first]

            def find(some: Sequence[int]) -> list[BeamCandidates]:
                rows = scores if len(some) == len(scores) else scores[some[0] : some[0] + 1]
                return find_candidates(rows, [sequences[first + row] for row in some], self.detokenizer.unknown)

            found[first:end] = each_on_failure(find, range(end - first))

        self.batches.for_each(work, len(sequences))
        parents: list[int] = []
        start = 0
        for search in self.active:
            end = start + len(search.beams)
            search.advance(found[start:end])
            parents += [start + beam.parent for beam in search.beams]
            start = end
        self.active = [search for search in self.active if search.beams]
        self.states = after[self.batches.index(parents)]
        self.generated += len(sequences)


def find_candidates(scores: Tensor, sequences: Sequence[TokenSequence], unknown: int | None) -> list[BeamCandidates]:
    """Find the best next tokens of each row, twice as many as it has beams: enough if half of them end.

    Args:
        scores: (rows, vocabulary).
        sequences: one a row.
        unknown: a token that is never chosen.
    """
    log_probs = scores.log_softmax(1)
    constrained = log_probs.clone()
    constrain(constrained, sequences, unknown)
    counts = [2 * sequence.prompt.options.num_beams for sequence in sequences]
    values, tokens = top_tokens(constrained, max(counts))
    rows = zip(counts, tokens.tolist(), values.tolist(), log_probs.gather(1, tokens).tolist(), strict=True)
    return [BeamCandidates(best[:count], scores[:count], own[:count]) for count, best, scores, own in rows]


def top_tokens(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the highest scores of each row and their tokens, the lower of tokens with the same score first.

    `Tensor.topk` orders equal scores in another way for another count, so that a text could depend on how many beams
    the prompts beside it have.

    >>> top_tokens(torch.tensor([[0.0, 2.0, 1.0, 2.0, 0.0]]), 4)[1].tolist()
    [[1, 3, 2, 0]]

    Args:
        scores: (rows, vocabulary).
        count: of tokens, cut to the vocabulary.

    Returns:
        Scores and tokens, (rows, count) each, the highest first.
    """
    count = min(count, scores.shape[1])
    values, tokens = scores.topk(min(count + 1, scores.shape[1]), 1)  # one more, so that equal ones at the end are seen
    equal = ((values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -math.inf)).any(1).nonzero().squeeze(1)
    if len(equal):
        ordered = scores[equal].sort(dim=1, descending=True, stable=True)
        values[equal], tokens[equal] = ordered.values[:, : values.shape[1]], ordered.indices[:, : values.shape[1]]
    return values[:, :count], tokens[:, :count]

"""Beam search over many prompts side by side, as Hugging Face's transformers does it for one batch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from speechrnn.generation.detokenizer import Spelling
from speechrnn.generation.engine import AHEAD, PRIMED
from speechrnn.generation.fixed_batches import Tiles, padded, primed
from speechrnn.generation.logits_processors import constrain, raw_scores
from speechrnn.generation.results import Prompt, Result
from speechrnn.generation.sequence import Row


@dataclass
class Candidates:
    """The best next tokens of a row, best first: (tokens,) each.

    Attributes:
        scores: log-probabilities after penalties and bans, by which beams are ranked.
        log_probs: the model's own.
    """

    tokens: list[int]
    scores: list[float]
    log_probs: list[float]


@dataclass
class Beam:
    """A text that is still being written, with the sum of its scores, and from which of the beams before it comes."""

    row: Row
    score: float
    parent: int = 0


@dataclass
class Search:
    """The beams of one prompt.

    Attributes:
        beams: the best texts that go on, best first; empty when the search is over.
        ended: texts that ended, with their rank: the score over the length to the power of `length_penalty`.
    """

    prompt: Prompt
    beams: list[Beam]
    ended: list[tuple[float, Row]] = field(default_factory=list)

    def advance(self, candidates: Sequence[Candidates]) -> None:
        """Writes one token on: the candidates of each beam."""
        width = self.prompt.options.num_beams
        extended = [
            (beam.score + score, number, token, log_prob)
            for number, (beam, best) in enumerate(zip(self.beams, candidates, strict=True))
            for token, score, log_prob in zip(best.tokens, best.scores, best.log_probs, strict=True)
            if score > -math.inf
        ]
        extended.sort(key=lambda one: -one[0])  # stable: of equals the one of the better beam comes first
        going: list[Beam] = []
        for place, (score, number, token, log_prob) in enumerate(extended[: 2 * width]):
            row = self.beams[number].row.copy()
            row.add(token, log_prob)
            if row.finish_reason not in ("eos", "stop"):
                going.append(Beam(row, score, number))
            elif place < width:
                self.end(row, score)
            if len(going) == width:
                break
        written = self.beams[0].row.written + 1
        if not extended:  # nothing may follow anywhere
            self.close(self.beams)
        elif written >= self.prompt.options.max_new_tokens:
            self.close(going)
        elif len(self.ended) == width and self.ended[-1][0] >= self.rank(extended[0][0], written):
            self.beams = []  # no beam can still become better than what has ended
        else:
            self.beams = going

    def rank(self, score: float, written: int) -> float:
        """What texts of different length are compared by."""
        return score / max(written, 1) ** self.prompt.options.length_penalty

    def end(self, row: Row, score: float) -> None:
        """Keeps a text that ended if it is among the best."""
        self.ended.append((self.rank(score, row.written), row))
        self.ended.sort(key=lambda one: -one[0])
        del self.ended[self.prompt.options.num_beams :]

    def close(self, beams: list[Beam]) -> None:
        """Ends the search, with texts that could have gone on."""
        for beam in beams:
            self.end(beam.row, beam.score)
        self.beams = []

    def result(self) -> Result:
        """The best texts, best first."""
        rows = [row for _, row in self.ended[: self.prompt.options.num_return_sequences]]
        return Result(self.prompt.id, self.prompt.text, tuple(row.completion() for row in rows))


class BeamEngine:
    """Searches the most probable texts.

    Attributes:
        written: tokens so far, those of discarded beams included.
    """

    def __init__(self, tiles: Tiles, spelling: Spelling, batch_size: int) -> None:
        """`batch_size`: most beams at a time, of however many prompts, but of one at least."""
        self.tiles = tiles
        self.spelling = spelling
        self.batch_size = batch_size
        self.searches: deque[Search | Result] = deque()  # not given away yet, in order
        self.at_work: list[Search] = []
        self.states = tiles.model.start(0)  # of the beams at work, in their order
        self.written = 0

    def run(self, prompts: Iterable[Prompt | Result]) -> Iterator[Result]:
        """Completes prompts; results come in their order. What is a result already is given through in its place."""
        source = primed(self.tiles, prompts, max(self.batch_size, PRIMED))
        while True:
            self.fill(source)
            if self.at_work:
                self.step()
            elif not self.searches:
                return
            while self.searches and (isinstance(first := self.searches[0], Result) or not first.beams):
                self.searches.popleft()
                yield first if isinstance(first, Result) else first.result()

    def fill(self, source: Iterator[tuple[Prompt | Result, Tensor | None]]) -> None:
        """Lets prompts in until their beams, once there are all, fill the batch."""
        states = [self.states]
        beams = sum(search.prompt.options.num_beams for search in self.at_work)
        while beams < self.batch_size and len(self.searches) < AHEAD:
            item, state = next(source, (None, None))
            if isinstance(item, Prompt) and state is not None:
                search = Search(item, [Beam(Row.begin(item, self.spelling), 0.0)])
                self.searches.append(search)
                self.at_work.append(search)
                states.append(state.unsqueeze(0))
                beams += item.options.num_beams
            elif isinstance(item, Result):
                self.searches.append(item)
            else:
                break
        self.states = torch.cat(states)

    def step(self) -> None:
        """Writes one token on each beam."""
        rows = [beam.row for search in self.at_work for beam in search.beams]
        last = self.tiles.tensor([row.last for row in rows])
        after = torch.empty_like(self.states)
        found: list[Candidates] = [Candidates([], [], [])] * len(rows)

        def work(first: int, end: int, height: int) -> None:
            where = padded(torch.arange(first, end, device=last.device), height)
            outputs, states = self.tiles.model.step(self.states[where], last[where])
            after[first:end] = states[: end - first]
            scores = raw_scores(self.tiles.model, outputs)[: end - first]
            found[first:end] = candidates(scores, rows[first:end], self.spelling.unknown)

        self.tiles.each(work, len(rows))
        parents: list[int] = []
        start = 0
        for search in self.at_work:
            end = start + len(search.beams)
            search.advance(found[start:end])
            parents += [start + beam.parent for beam in search.beams]
            start = end
        self.at_work = [search for search in self.at_work if search.beams]
        self.states = after[self.tiles.tensor(parents)]
        self.written += len(rows)


def candidates(scores: Tensor, rows: Sequence[Row], unknown: int | None) -> list[Candidates]:
    """The best next tokens of each row, twice as many as it has beams: enough if half of them end.

    `scores`: (rows, vocabulary).
    """
    log_probs = scores.log_softmax(1)
    shaped = log_probs.clone()
    constrain(shaped, rows, unknown)
    widest = max(row.prompt.options.num_beams for row in rows)
    best = shaped.topk(min(2 * widest, shaped.shape[1]), 1)
    model = log_probs.gather(1, best.indices)
    counts = [2 * row.prompt.options.num_beams for row in rows]
    each = zip(counts, best.indices.tolist(), best.values.tolist(), model.tolist(), strict=True)
    return [Candidates(*(numbers[:count] for numbers in lists)) for count, *lists in each]

"""CTC prefix beam search as tensors: all utterances of a batch, and all their hypotheses, take a frame together.

A hypothesis is a prefix, the labels read so far without blanks, with the mass of all paths that read it, those that end
in a blank and those that end in its last label kept apart (Graves 2012, section 7.5.3; Hannun et al. 2014). Where two
paths come to the same prefix, their masses are added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.candidates import Candidates
from speechrnn.decoding.frames import Frame, Frames
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.prefix_trie import NOWHERE, PrefixTrie
from speechrnn.decoding.score_cache import ScoreCache
from speechrnn.decoding.scorers.base import WeightedScorer

NEVER = -math.inf
ENTRIES = 2**21  # most numbers in the trie's table of children before it drops what the beam has left behind: 16 MB
SLACK = 16  # but not before it holds so many nodes for each hypothesis in the beam


@dataclass(frozen=True)
class BeamOptions:
    """How wide a search is, and what it leaves out. With thresholds of 1, 0 and null it leaves out nothing.

    Attributes:
        beam_size: hypotheses of an utterance that are kept from frame to frame.
        blank_threshold: a frame whose blank has at least this probability is taken to be blank for sure, and costs no
            time; 1: no frame is.
        symbol_threshold: a label is tried in a frame where it has at least this share of the most probable symbol's
            probability; 0: always.
        beam_threshold: a hypothesis is kept that scores at most so much less (natural logarithm) than its utterance's
            best; null: however little.
        nbest: hypotheses of an utterance that are returned, if so many are found.
    """

    beam_size: int = field(default=20, metadata={"min": 1})
    blank_threshold: float = field(default=0.999, metadata={"min": 0.0, "max": 1.0})
    symbol_threshold: float = field(default=1e-4, metadata={"min": 0.0, "max": 1.0})
    beam_threshold: float | None = field(default=10.0, metadata={"min": 0.0})
    nbest: int = field(default=1, metadata={"min": 1})

    def __post_init__(self) -> None:
        for name, least in (("beam_size", 1), ("nbest", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name}={getattr(self, name)} is wrong: give a whole number of at least {least}.")
        for name in ("blank_threshold", "symbol_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name}={getattr(self, name)} is wrong: give a probability, a number from 0 to 1.")
        if self.beam_threshold is not None and not self.beam_threshold >= 0:
            raise UserError(f"beam_threshold={self.beam_threshold} is wrong: give a number of at least 0, or null.")


def beam_search(
    log_probs: Tensor, frames: Tensor, scorers: Sequence[WeightedScorer] = (), options: BeamOptions | None = None
) -> list[list[Hypothesis]]:
    """The most probable label sequences of a batch.

    What an utterance gets does not depend on the other ones, nor on padding. A scorer is asked for a prefix when a
    frame wants to extend it, once, however often it falls out of the beam and comes back (unless it was away for
    so long that its node had to be dropped), together with all others for which that frame does.

    Args:
        log_probs: (batch, frames, symbols) natural logarithms; symbol 0 is the blank. Padding may hold anything. A
            frame where all is -inf says nothing, and is passed over.
        frames: (batch,) true frames, 0 and up.
        scorers: what is added to a label sequence's log-probability, each with a weight, and each with its own name.

    Returns:
        for each utterance its hypotheses, at least one, at most `options.nbest`, the best first. A hypothesis that a
        scorer forbids to end has the score -inf, and is there only if all have. An utterance without
        frames has one empty hypothesis; so has, with the score -inf, one whose beam died out.

    Raises:
        UserError: NaN or +inf in an utterance's log-probabilities or from a scorer; two scorers of one name.
    """
    options = options or BeamOptions()
    names = [one.name for one in scorers]
    if len(set(names)) < len(names):
        raise UserError(f"Two scorers have the same name, of {', '.join(names)}; call one of them otherwise.")
    if not len(log_probs):
        return []
    with torch.inference_mode():
        search = Search(log_probs, frames.to(log_probs.device), scorers, options)
        search.run()
        return search.hypotheses()


class Beam(NamedTuple):
    """The hypotheses of some utterances after a frame, each (utterances, beam), an utterance's best first.

    An empty place has the node NOWHERE and the mass 0.

    Attributes:
        nodes: in the trie; no utterance has a node twice.
        parents, last, repeats: what the trie says of them.
        blank, label: log-mass of the paths that end in a blank, and of those that end in the last label.
        total: of both.
        language: what the scorers have added, weighted; None without scorers.
    """

    nodes: Tensor
    parents: Tensor
    last: Tensor
    repeats: Tensor
    blank: Tensor
    label: Tensor
    total: Tensor
    language: Tensor | None

    def some(self, utterances: slice) -> Beam:
        """Those utterances."""
        return Beam(*(None if part is None else part[utterances] for part in self))  # type: ignore[arg-type]


class Search:
    """One batch's search."""

    def __init__(
        self, log_probs: Tensor, frames: Tensor, scorers: Sequence[WeightedScorer], options: BeamOptions
    ) -> None:
        batch, _, self.symbols = log_probs.shape
        self.options = options
        self.device = log_probs.device
        size = self.size = options.beam_size
        labels = self.symbols if scorers else size + 1
        thresholds = options.blank_threshold, options.symbol_threshold
        self.frames = Frames(log_probs, frames, *thresholds, labels=labels, stride=size + 1)
        limit = max(ENTRIES // self.symbols, SLACK * batch * size)
        self.trie = PrefixTrie(self.symbols, batch, limit, size, len(scorers), self.device)
        self.answers = ScoreCache(scorers, self.trie) if scorers else None
        self.nothing = log_probs.new_full((batch, 1), NEVER, dtype=torch.float32)
        self.slots = torch.arange(size, device=self.device).expand(batch, size).contiguous()
        self.pairs: dict[int, Candidates] = {}  # by how many labels are tried
        self.ended: list[Beam] = []  # of utterances that have no more frames
        nodes = torch.full((batch, size), NOWHERE, device=self.device)
        nodes[:, 0] = self.trie.roots
        mass = self.nothing.repeat(1, size)
        mass[:, 0] = 0.0
        label = torch.full_like(mass, NEVER)
        language = torch.zeros_like(mass) if scorers else None
        self.beam = self._stand(nodes, mass, label, mass, language)

    def run(self) -> None:
        """Takes all frames."""
        for frame in self.frames:
            active = len(frame.log_probs)
            if active < len(self.beam.nodes):
                self.ended.append(self.beam.some(slice(active, None)))
                self.beam = self.beam.some(slice(active))
                self.nothing, self.slots = self.nothing[:active], self.slots[:active]
            if self.trie.full(active * self.size):
                self._make_room()
            self.beam = self._step(frame, self.beam)

    def hypotheses(self) -> list[list[Hypothesis]]:
        """What was found, in the order of the utterances."""
        beams = [self.beam, *self.ended[::-1]]
        nodes = torch.cat([beam.nodes for beam in beams])
        acoustic = torch.cat([beam.total for beam in beams])
        scores = acoustic
        parts = acoustic.new_zeros(*nodes.shape, 0)
        if self.answers is not None:
            so_far = acoustic + torch.cat([beam.language for beam in beams if beam.language is not None])
            ends, of_ends = self.answers.finish(nodes.view(-1))
            scores = so_far + ends.view_as(nodes)
            parts = self.trie.sums[nodes] + of_ends.view(*nodes.shape, -1)
            self.answers.refuse_nan(parts)
            # where none may end, the best so far
            none = (scores == NEVER).all(1, keepdim=True)
            order = torch.where(none, so_far, scores).sort(dim=1, descending=True, stable=True).indices
        else:
            order = torch.arange(self.size, device=self.device).expand_as(nodes)
        order = order[:, : self.options.nbest]
        nodes, acoustic, scores = (part.gather(1, order) for part in (nodes, acoustic, scores))
        parts = parts.gather(1, order.unsqueeze(2).expand(-1, -1, parts.shape[2]))
        return self._in_order(nodes, acoustic, scores, parts)

    def _step(self, frame: Frame, beam: Beam) -> Beam:
        """One frame: (active, beam) hypotheses -> the best of them and of what one more label makes of them."""
        size, trie, nothing = self.size, self.trie, self.nothing
        pairs = self._pairs(frame.tried)
        total, before_blank, before_label = beam.total, beam.blank, beam.label
        if frame.after_blank is not None:
            before_blank = torch.where(frame.after_blank, total, before_blank)
            before_label = before_label.masked_fill(frame.after_blank, NEVER)
        # Hypotheses as they are: one more blank, or their last label again without a blank between. And where a
        # prefix and its parent are both in the beam, what would extend the parent to it.
        again = frame.log_probs.gather(1, beam.last)
        blank = total + frame.blank
        parent = trie.slot.take(beam.parents)
        sources = torch.cat([total, nothing, before_blank, nothing], 1)
        merged = sources.gather(1, parent.add(beam.repeats, alpha=size + 1)) + again
        label = torch.logaddexp(before_label + again, merged)
        # Hypotheses with one more label; the last label once more needs a blank between.
        masses = total.index_select(1, pairs.slots) + frame.values.index_select(1, pairs.ranks)
        masses = torch.cat([masses, torch.logaddexp(blank, label), nothing, blank, label], 1)
        rank = frame.ranks.gather(1, beam.last)
        masses.scatter_(1, pairs.places.take(rank + self.slots), before_blank + again)
        # The shortest prefix has no parent in the beam, so this reaches the place of what isn't tried, too.
        masses.scatter_(1, pairs.places.take(rank + parent), NEVER)
        scores = masses[:, : pairs.count]
        language = None
        if self.answers is not None and beam.language is not None:
            rows = self.answers.ask(beam.nodes)
            added = rows.index_select(1, pairs.slots) * self.symbols + frame.labels.index_select(1, pairs.ranks)
            added = beam.language.index_select(1, pairs.slots) + self.answers.table.view(-1).take(added)
            language = torch.cat([added, beam.language], 1)
            scores = scores + language
        scores, chosen = scores.topk(size)
        dead = scores.isneginf()
        if self.options.beam_threshold is not None:
            dead |= scores < scores[:, :1] - self.options.beam_threshold
        if language is not None:
            language = language.gather(1, chosen)
        chosen.masked_fill_(dead, pairs.count)
        nodes = beam.nodes.gather(1, pairs.origin.take(chosen)).masked_fill_(dead, NOWHERE)
        nodes = trie.extend(nodes, frame.labels.gather(1, pairs.added.take(chosen)))
        trie.slot.index_fill_(0, beam.nodes.view(-1), size)
        total = masses.gather(1, chosen)
        blank = masses.gather(1, pairs.blank.take(chosen))
        label = masses.gather(1, pairs.label.take(chosen))
        return self._stand(nodes, blank, label, total, language)

    def _stand(self, nodes: Tensor, blank: Tensor, label: Tensor, total: Tensor, language: Tensor | None) -> Beam:
        """The beam with these nodes, which the trie learns."""
        trie = self.trie
        trie.slot.index_copy_(0, nodes.view(-1), self.slots.view(-1))
        parents, last, repeats = trie.parent.take(nodes), trie.label.take(nodes), trie.repeats.take(nodes)
        return Beam(nodes, parents, last, repeats, blank, label, total, language)

    def _pairs(self, tried: int) -> Candidates:
        if tried not in self.pairs:
            self.pairs[tried] = Candidates(self.size, tried, self.frames.labels, self.answers is not None, self.device)
        return self.pairs[tried]

    def _make_room(self) -> None:
        """Has the trie drop nodes, and tells everybody the numbers of those that stay."""
        numbers = self.trie.keep(torch.cat([beam.nodes.view(-1) for beam in (self.beam, *self.ended)]))
        self.ended = [beam._replace(nodes=numbers.take(beam.nodes)) for beam in self.ended]
        self.beam = self._stand(numbers.take(self.beam.nodes), *self.beam[4:])
        if self.answers is not None:
            self.answers.compact()

    def _in_order(self, nodes: Tensor, acoustic: Tensor, scores: Tensor, parts: Tensor) -> list[list[Hypothesis]]:
        """(batch, found), and for the parts (batch, found, scorers), as in `Frames` -> hypotheses as in the batch."""
        offsets = self.frames.offsets.unsqueeze(1)
        names = [one.name for one in self.answers.scorers] if self.answers is not None else []
        sequences = iter(self.trie.sequences(nodes.reshape(-1)))
        columns = (nodes, scores.cpu() + offsets, acoustic.cpu() + offsets, parts)
        hypotheses: list[list[Hypothesis]] = [[] for _ in nodes]
        for utterance, *rows in zip(self.frames.order.tolist(), *(column.tolist() for column in columns), strict=True):
            found = []
            for node, score, mass, values in zip(*rows, strict=True):
                tokens = next(sequences)
                if node != NOWHERE:
                    found.append(Hypothesis(tokens, score, mass, dict(zip(names, values, strict=True))))
            possible = [hypothesis for hypothesis in found if hypothesis.score > NEVER]
            hypotheses[utterance] = possible or found or [Hypothesis((), NEVER, NEVER, dict.fromkeys(names, 0.0))]
        return hypotheses

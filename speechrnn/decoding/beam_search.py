"""CTC prefix beam search as tensors: all hypotheses of all utterances of a batch advance together, frame by frame.

A hypothesis is a prefix: the labels so far, without blanks, and the probability mass of all paths that spell it. Paths
that end in a blank and paths that end in its last label are summed separately (Graves 2012, section 7.5.3; Hannun et
al. 2014). Where two paths spell the same prefix, their masses are added.

Hypotheses after which all scorers are in the same state have the same future, and are recombined (Ney & Ortmanns 2000):
the best one of them is kept, the others only where there is a free place. Without it, variants of words long before
would fill the beam.
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
from speechrnn.decoding.recombination import demote_repeated, future_keys
from speechrnn.decoding.score_cache import ScoreCache
from speechrnn.decoding.scorers.base import TableScorer, WeightedScorer

IMPOSSIBLE = -math.inf
FLOOR = -1e4  # finite log-probability of an impossible text, where no possible one was found
CHILD_TABLE_ENTRIES = 2**21  # 16 MB: a larger table of children drops the prefixes that have left the beam ...
NODES_PER_HYPOTHESIS = 16  # ... unless it holds fewer nodes than this for each hypothesis


@dataclass(frozen=True)
class BeamOptions:
    """Set the width and the pruning of a beam search. Thresholds of 1, 0 and None prune nothing.

    Attributes:
        beam_size: hypotheses of an utterance that are kept from frame to frame.
        blank_threshold: a frame whose blank has at least this probability counts as blank and is skipped; 1: none is.
        symbol_threshold: a label is tried in a frame where it has at least this share of the most probable symbol's
            probability; 0: always.
        beam_threshold: a hypothesis is dropped that scores this much less (natural logarithm) than its utterance's
            best one; None: only `beam_size` limits the beam.
        nbest: most hypotheses of an utterance that are returned.

    >>> BeamOptions(beam_size=50).nbest
    1
    """

    beam_size: int = field(default=20, metadata={"min": 1})
    blank_threshold: float = field(default=0.999, metadata={"min": 0.0, "max": 1.0})
    symbol_threshold: float = field(default=1e-4, metadata={"min": 0.0, "max": 1.0})
    beam_threshold: float | None = field(default=10.0, metadata={"min": 0.0})
    nbest: int = field(default=1, metadata={"min": 1})

    def __post_init__(self) -> None:
        for name in ("beam_size", "nbest"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"{name}={value} is wrong: give a whole number of at least 1.")
        for name in ("blank_threshold", "symbol_threshold"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UserError(f"{name}={value} is wrong: give a probability, a number from 0 to 1.")
        least = self.beam_threshold
        if least is not None and (not isinstance(least, int | float) or not least >= 0):
            raise UserError(f"beam_threshold={least} is wrong: give a number of at least 0, or null.")


def beam_search(
    log_probs: Tensor, frames: Tensor, scorers: Sequence[WeightedScorer] = (), options: BeamOptions | None = None
) -> list[list[Hypothesis]]:
    """Find the most probable label sequences of each utterance of a batch.

    The result for an utterance depends neither on the other ones nor on padding. The scores of a prefix are
    computed once, together with those of all other prefixes that the frame extends, also if it leaves the beam and
    comes back (unless its node was dropped meanwhile).

    Args:
        log_probs: (batch, frames, symbols) natural logarithms; symbol 0 is the blank. Padding may hold any value. A
            frame where all symbols are -inf is skipped.
        frames: (batch,) true frames, 0 and up.
        scorers: added to the log-probability of a label sequence, each with its weight; their names must differ.
        options: None: the defaults.

    Returns:
        for each utterance 1 to `options.nbest` hypotheses with finite scores, the best first. Where the scorers allow
        none of the hypotheses to end (the audio stops within a word of a lexicon), each loses the labels at its end
        that form no allowed word, see `Hypothesis.open_word`. An utterance without frames, or whose beam died out, has
        one empty hypothesis.

    Raises:
        UserError: NaN or +inf in an utterance's log-probabilities or from a scorer; two scorers of one name.

    >>> log_probs = torch.tensor([[[0.1, 0.6, 0.3], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]]]).log()
    >>> beam_search(log_probs, torch.tensor([3]))[0][0].tokens
    (1, 2)
    """
    options = options or BeamOptions()
    names = [scorer.name for scorer in scorers]
    if len(set(names)) < len(names):
        raise UserError(f"Two scorers have the same name ({', '.join(names)}); rename one of them.")
    if not len(log_probs):
        return []
    with torch.inference_mode():
        search = Search(len(log_probs), log_probs.shape[2], scorers, options=options, device=log_probs.device)
        ordered = search.order(log_probs, frames.to(log_probs.device))
        search.run(ordered)
        return search.results(ordered.order.tolist(), ordered.offsets)


class Beam(NamedTuple):
    """Hold the hypotheses of some utterances after a frame; tensors are (utterances, beam), the best first.

    An empty slot has the node NOWHERE and the mass 0.

    Attributes:
        nodes: prefixes, as nodes of the trie; no utterance has a node twice.
        parents: the nodes' parents.
        last: their last labels.
        repeats: 1 where the last label is that of the parent.
        blank: log-mass of the paths that end in a blank.
        label: log-mass of the paths that end in the last label.
        total: log-mass of both.
        language: weighted sum of the scorers' log-probabilities; None without scorers.
    """

    nodes: Tensor
    parents: Tensor
    last: Tensor
    repeats: Tensor
    blank: Tensor
    label: Tensor
    total: Tensor
    language: Tensor | None

    def select(self, utterances: slice | Tensor) -> Beam:
        """Return the beam of some of the utterances, by a slice or their numbers."""
        return Beam._make(None if part is None else part[utterances] for part in self)


def join_beams(beams: Sequence[Beam]) -> Beam:
    """Return the beams of several groups of utterances as one."""
    columns = zip(*beams, strict=True)
    return Beam._make(None if column[0] is None else torch.cat(column) for column in columns)


class Search:
    """Search one batch: `order` its frames, `run` through them, take the `results`."""

    def __init__(
        self,
        batch: int,
        symbols: int,
        scorers: Sequence[WeightedScorer],
        options: BeamOptions,
        device: torch.device,
    ) -> None:
        self.symbols = symbols
        self.options = options
        self.device = device
        size = self.size = options.beam_size
        self.labels = min(symbols if scorers else size + 1, symbols - 1)  # of a frame that can matter
        limit = max(CHILD_TABLE_ENTRIES // self.symbols, NODES_PER_HYPOTHESIS * batch * size)
        self.trie = PrefixTrie(self.symbols, batch, limit, absent=size, scorers=len(scorers), device=self.device)
        self.cache = ScoreCache(scorers, self.trie) if scorers else None
        self.recombines = any(not isinstance(scorer.scorer, TableScorer) for scorer in scorers)
        self.candidates: dict[int, Candidates] = {}  # by the number of labels that are tried
        self.ended: list[Beam] = []  # of utterances that have no frames left
        self.beam = self.begin(self.trie.roots)

    def begin(self, roots: Tensor) -> Beam:
        """Return the beams of utterances before their first frame: each holds its root, (batch,), only."""
        batch, size = len(roots), self.size
        self.resize(batch)
        nodes = torch.full((batch, size), NOWHERE, device=self.device)
        nodes[:, 0] = roots
        mass = self.impossible.repeat(1, size)
        mass[:, 0] = 0.0
        label = torch.full_like(mass, IMPOSSIBLE)
        language = torch.zeros_like(mass) if self.cache is not None else None
        return self.make_beam(nodes, mass, label, total=mass, language=language)

    def resize(self, batch: int) -> None:
        """Prepare for beams of so many utterances."""
        self.impossible = torch.full((batch, 1), IMPOSSIBLE, device=self.device)
        self.slots = torch.arange(self.size, device=self.device).expand(batch, self.size).contiguous()

    def order(self, log_probs: Tensor, frames: Tensor, after_blank: Tensor | None = None) -> Frames:
        """Put the frames of (batch, frames, symbols) log-probabilities in order for `run`; see `Frames`."""
        return Frames(
            log_probs,
            frames,
            self.options.blank_threshold,
            symbol_threshold=self.options.symbol_threshold,
            labels=self.labels,
            stride=self.size + 1,
            after_blank=after_blank,
        )

    def run(self, frames: Frames) -> None:
        """Advance through all frames; the utterances of `beam` are in the order of `frames.order`."""
        for frame in frames:
            active = len(frame.log_probs)
            if active < len(self.beam.nodes):
                self.ended.append(self.beam.select(slice(active, None)))
                self.beam = self.beam.select(slice(active))
                self.impossible, self.slots = self.impossible[:active], self.slots[:active]
            if self.trie.full(active * self.size):
                self._compact()
            self.beam = self._step(frame, self.beam)

    def joined_beam(self) -> Beam:
        """Return the beams of all utterances, in the order of `Frames.order`."""
        return join_beams([self.beam, *self.ended[::-1]])

    def results(self, order: Sequence[int], offsets: Tensor) -> list[list[Hypothesis]]:
        """Return the hypotheses of each utterance; see `beam_search`.

        Args:
            order: (batch,) the place of each utterance of the beams in the result.
            offsets: (batch,) float64 on the CPU: the log-probability that all hypotheses of one have in common.
        """
        beam = self.joined_beam()
        nodes, acoustic = beam.nodes, beam.total
        scores, kept = acoustic, nodes
        parts = acoustic.new_zeros(*nodes.shape, 0)
        if self.cache is not None and beam.language is not None:
            ends, end_parts = self.cache.finish(nodes.view(-1))
            scores = acoustic + beam.language + ends.view_as(nodes)
            parts = self.trie.sums[nodes] + end_parts.view(*nodes.shape, -1)
            self.cache.refuse_nan(parts)
            if bool((open_ended := (scores == IMPOSSIBLE).all(1)).any()):
                kept = nodes.clone()
                kept[open_ended] = self._drop_open_words(nodes[open_ended])
                shortened, shortened_parts = self._score_shortened(kept[open_ended], acoustic[open_ended])
                scores[open_ended], parts[open_ended] = shortened, shortened_parts
            ranked = scores.sort(dim=1, descending=True, stable=True).indices
        else:
            ranked = torch.arange(self.size, device=self.device).expand_as(nodes)
        if kept is nodes:  # otherwise several hypotheses may have become equal
            ranked = ranked[:, : self.options.nbest]
        nodes, kept, acoustic, scores = (column.gather(1, ranked) for column in (nodes, kept, acoustic, scores))
        parts = parts.gather(1, ranked.unsqueeze(2).expand(-1, -1, parts.shape[2]))
        offsets = offsets.unsqueeze(1)
        return self._hypotheses(
            order, nodes, kept, acoustic=acoustic.cpu() + offsets, scores=scores.cpu() + offsets, parts=parts
        )

    def _drop_open_words(self, nodes: Tensor) -> Tensor:
        """Return, for (utterances, beam) nodes, the longest prefix of whole words at which an utterance may end."""
        assert self.cache is not None
        begins = next((scorer.scorer.begins for scorer in self.cache.scorers if hasattr(scorer.scorer, "begins")), None)
        labels = self.trie.label[nodes]
        shrinking = labels != 0  # no root
        while bool(shrinking.any()):
            whole = begins[labels] if begins is not None else torch.ones_like(shrinking)
            nodes = torch.where(shrinking, self.trie.parent[nodes], nodes)
            ends, _ = self.cache.finish(nodes.view(-1))
            labels = self.trie.label[nodes]
            shrinking &= ~(whole & (ends.view_as(nodes) > IMPOSSIBLE)) & (labels != 0)
        return nodes

    def _score_shortened(self, nodes: Tensor, acoustic: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores, (utterances, beam), and parts, (utterances, beam, scorers), of hypotheses without open words.

        `acoustic` stays that of the whole hypothesis. A scorer that forbids even the empty text costs FLOOR.
        """
        assert self.cache is not None
        _, end_parts = self.cache.finish(nodes.view(-1))
        parts = (self.trie.sums[nodes] + end_parts.view(*nodes.shape, -1)).clamp_min(FLOOR)
        weights = parts.new_tensor([scorer.weight for scorer in self.cache.scorers])
        return acoustic + parts @ weights, parts

    def _step(self, frame: Frame, beam: Beam) -> Beam:
        """Advance by a frame: return the best of the hypotheses and of their extensions by a label."""
        size, trie, impossible = self.size, self.trie, self.impossible
        pairs = self._candidates(frame.tried)
        total, before_blank, before_label = beam.total, beam.blank, beam.label
        if frame.after_blank is not None:
            before_blank = torch.where(frame.after_blank, total, before_blank)
            before_label = before_label.masked_fill(frame.after_blank, IMPOSSIBLE)
        # Hypotheses as they are: one more blank, or their last label again without a blank between. And where a
        # prefix and its parent are both in the beam, what would extend the parent to it.
        again = frame.log_probs.gather(1, beam.last)
        blank = total + frame.blank
        parent = trie.slot.take(beam.parents)
        sources = torch.cat([total, impossible, before_blank, impossible], 1)
        merged = sources.gather(1, parent.add(beam.repeats, alpha=size + 1)) + again
        label = torch.logaddexp(before_label + again, merged)
        # Hypotheses with one more label; the last label once more needs a blank between.
        masses = total.index_select(1, pairs.slots) + frame.values.index_select(1, pairs.ranks)
        masses = torch.cat([masses, torch.logaddexp(blank, label), impossible, blank, label], 1)
        rank = frame.ranks.gather(1, beam.last)
        masses.scatter_(1, pairs.places.take(rank + self.slots), before_blank + again)
        # The shortest prefix has no parent in the beam, so this also sets the place of candidates that aren't tried.
        masses.scatter_(1, pairs.places.take(rank + parent), IMPOSSIBLE)
        scores = masses[:, : pairs.count]
        language = None
        if self.cache is not None and beam.language is not None:
            rows = self.cache.rows(beam.nodes)
            added = rows.index_select(1, pairs.slots) * self.symbols + frame.labels.index_select(1, pairs.ranks)
            added = beam.language.index_select(1, pairs.slots) + self.cache.table.view(-1).take(added)
            language = torch.cat([added, beam.language], 1)
            scores = scores + language
        if self.recombines and beam.language is not None:
            futures = future_keys(beam.last, trie.states[beam.nodes])
            # What is extended ranks by its score before the frame, what stays as it is by that after it.
            ranked = torch.stack([beam.total + beam.language, scores[:, len(pairs.slots) :]])
            before, now = demote_repeated(futures.expand_as(ranked), ranked)
            lost = torch.cat([before.index_select(1, pairs.slots), now], 1)
            chosen = (scores + lost).topk(size).indices
            scores = scores.gather(1, chosen)
        else:
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
        return self.make_beam(nodes, blank, label, total=total, language=language)

    def make_beam(self, nodes: Tensor, blank: Tensor, label: Tensor, total: Tensor, language: Tensor | None) -> Beam:
        """Return the beam with these nodes, and record their slots in the trie."""
        trie = self.trie
        trie.slot.index_copy_(0, nodes.view(-1), self.slots.view(-1))
        parents, last, repeats = trie.parent.take(nodes), trie.label.take(nodes), trie.repeats.take(nodes)
        return Beam(nodes, parents, last, repeats=repeats, blank=blank, label=label, total=total, language=language)

    def move_beam(self, beam: Beam, nodes: Tensor) -> Beam:
        """Return a beam whose hypotheses, with their masses, have other nodes; see `make_beam`."""
        return self.make_beam(nodes, beam.blank, beam.label, total=beam.total, language=beam.language)

    def _candidates(self, tried: int) -> Candidates:
        if tried not in self.candidates:
            every = self.cache is not None
            self.candidates[tried] = Candidates(self.size, tried, self.labels, every=every, device=self.device)
        return self.candidates[tried]

    def _compact(self) -> None:
        """Drop nodes of the trie that no hypothesis needs, and renumber the others everywhere."""
        numbers = self.trie.keep(torch.cat([beam.nodes.view(-1) for beam in (self.beam, *self.ended)]))
        self.ended = [beam._replace(nodes=numbers.take(beam.nodes)) for beam in self.ended]
        self.beam = self.move_beam(self.beam, numbers.take(self.beam.nodes))
        if self.cache is not None:
            self.cache.compact()

    def _hypotheses(
        self, order: Sequence[int], nodes: Tensor, kept: Tensor, acoustic: Tensor, scores: Tensor, parts: Tensor
    ) -> list[list[Hypothesis]]:
        """Reorder (batch, found) tensors and (batch, found, scorers) parts from the order of `Frames` to the batch's.

        Args:
            order: see `results`.
            nodes: the whole hypotheses.
            kept: what is left of them without their open words.
            acoustic, scores: their scores, offsets included.
        """
        names = [scorer.name for scorer in self.cache.scorers] if self.cache is not None else []
        whole = self.trie.sequences(nodes.reshape(-1))
        sequences = zip(whole, whole if kept is nodes else self.trie.sequences(kept.reshape(-1)), strict=True)
        columns = [column.tolist() for column in (nodes, scores, acoustic, parts)]
        results: list[list[Hypothesis]] = [[] for _ in nodes]
        for utterance, *rows in zip(order, *columns, strict=True):
            found: dict[tuple[int, ...], Hypothesis] = {}
            for node, score, mass, values in zip(*rows, strict=True):
                labels, tokens = next(sequences)
                if node != NOWHERE and score > IMPOSSIBLE and tokens not in found:
                    named = dict(zip(names, values, strict=True))
                    found[tokens] = Hypothesis(tokens, score, mass, parts=named, open_word=labels[len(tokens) :])
            died_out = Hypothesis((), FLOOR, FLOOR, parts=dict.fromkeys(names, 0.0))
            results[utterance] = list(found.values())[: self.options.nbest] or [died_out]
        return results

"""CTC prefix beam search over streams: each keeps its beam from block to block, and all share a trie and its scores."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from speechrnn.decoding.beam_search import Beam, Search, join_beams
from speechrnn.decoding.fusion import HOT_WORDS, DecodingOptions
from speechrnn.decoding.hypothesis import Hypothesis
from speechrnn.decoding.prefix_trie import NOWHERE
from speechrnn.decoding.scorers.base import WeightedScorer
from speechrnn.decoding.scorers.hot_words import StreamHotWords
from speechrnn.decoding.scorers.word_list import spell
from speechrnn.text.tokenizers import Tokenizer

IDLE_STATES = 1000  # states of the scorers that are forgotten when no stream is amid a segment
MOST_STATES = 500_000  # states at which only those of live hypotheses are kept, which are computed anew


class SearchState:
    """Hold the beam of a segment of a stream.

    Attributes:
        phrases: hot words of the stream.
        beam: its hypotheses, a batch of 1.
        offset: log-probability that all hypotheses have in common.
        after_blank: whether blank frames were left out since the last one that was not blank.
        stable: node of the longest prefix that all hypotheses were found to share.
        stable_tokens: its labels.
    """

    def __init__(self, phrases: tuple[str, ...], beam: Beam) -> None:
        self.phrases = phrases
        self.beam = beam
        self.offset = 0.0
        self.after_blank = False
        self.stable = int(beam.nodes[0, 0])
        self.stable_tokens: tuple[int, ...] = ()


class StreamingSearch:
    """Search the segments of any number of streams; those that advance together share a batch.

    The hypotheses of a segment are those of `beam_search` over all of its frames, whatever the blocks in which these
    come. Memory is bounded: prefixes and scorers' states that no live hypothesis needs are forgotten.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> search = StreamingSearch(CharTokenizer.build(["AB"]), [], DecodingOptions(name="beam"), torch.device("cpu"))
    >>> segment = search.start()
    >>> for frame in ([0.1, 0.6, 0.3], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]):
    ...     search.advance([segment], [torch.tensor([frame]).log()])
    >>> search.finish(segment)[0].tokens
    (1, 2)
    """

    def __init__(
        self, tokenizer: Tokenizer, scorers: Sequence[WeightedScorer], options: DecodingOptions, device: torch.device
    ) -> None:
        """
        Args:
            tokenizer: of the acoustic model.
            scorers: fused into the search; nothing else may use them.
            options: of the search.
            device: of the log-probabilities.
        """
        self._tokenizer = tokenizer
        self._scorers = list(scorers)
        self._options = options
        self._device = device
        self._hot_words: StreamHotWords | None = None
        self._live: weakref.WeakSet[SearchState] = weakref.WeakSet()
        self._ended = False  # whether a segment has ended since the last frames: then it is time to forget its states
        self._search = self._make_search()

    @torch.inference_mode()
    def _make_search(self) -> Search:
        """Return a search without prefixes; the scorers begin again."""
        return Search(1, len(self._tokenizer), self._scorers, options=self._options.search, device=self._device)

    @torch.inference_mode()
    def start(self, hot_words: Sequence[str] = ()) -> SearchState:
        """Begin a segment.

        Args:
            hot_words: words and phrases that are expected in it, besides those of the options.

        Raises:
            UserError: the acoustic model cannot write the hot words.
        """
        phrases = (*self._options.hot_words, *hot_words)
        phrases = tuple(spell(phrase, self._tokenizer) or phrase for phrase in phrases)
        if hot_words and self._hot_words is None:
            pool = StreamHotWords(self._tokenizer, self._device)
            pool.add(phrases)  # which raises before anything has changed
            self._hot_words = pool
            others = [scorer for scorer in self._scorers if scorer.name != HOT_WORDS]
            self._scorers = [*others, WeightedScorer(pool, self._options.hot_word_boost, HOT_WORDS)]
            self._renew()
        state = SearchState(phrases, self._search.begin(self._make_root(phrases).view(1)))
        self._live.add(state)
        return state

    @torch.inference_mode()
    def advance(self, states: Sequence[SearchState], log_probs: Sequence[Tensor]) -> None:
        """Read the next frames of some segments.

        Args:
            states: distinct segments.
            log_probs: for each (frames, symbols) natural logarithms, of any number of frames.
        """
        new = [pair for pair in zip(states, log_probs, strict=True) if len(pair[1])]
        if not new:
            return
        self._reserve(len(new) * max(len(rows) for _, rows in new))
        search = self._search
        padded = torch.nn.utils.rnn.pad_sequence([rows for _, rows in new], batch_first=True)
        counts = torch.tensor([len(rows) for _, rows in new], device=self._device)
        after_blank = torch.tensor([state.after_blank for state, _ in new], device=self._device)
        frames = search.order(padded, counts, after_blank)
        search.resize(len(new))
        search.ended = []
        search.beam = join_beams([state.beam for state, _ in new]).select(frames.order)
        search.run(frames)
        beam = search.joined_beam()
        for place, number in enumerate(frames.order.tolist()):
            new[number][0].beam = beam.select(slice(place, place + 1))
            new[number][0].offset += float(frames.offsets[place])
        for (state, _), blank in zip(new, frames.trailing_blanks().tolist(), strict=True):
            state.after_blank = blank

    @torch.inference_mode()
    def best(self, state: SearchState) -> tuple[tuple[int, ...], int]:
        """Return the labels of the best hypothesis so far, and how many at its beginning all hypotheses share.

        Every later hypothesis begins with those labels, too.
        """
        trie = self._search.trie
        nodes = state.beam.nodes[0]
        nodes = nodes[nodes != NOWHERE]
        if not len(nodes):
            return state.stable_tokens, len(state.stable_tokens)
        parent = trie.parent.cpu().numpy()
        way = [int(nodes[0])]  # nodes of the best hypothesis, from the stable one on
        while way[-1] != state.stable:
            way.append(int(parent[way[-1]]))
        way.reverse()
        numbers = torch.tensor(way, device=self._device)
        places = torch.full_like(trie.parent, -1)  # on the way
        places[numbers] = torch.arange(len(way), device=self._device)
        while bool((aside := places[nodes] < 0).any()):
            nodes = torch.where(aside, trie.parent[nodes], nodes)
        shared = int(places[nodes].min())
        best = tuple(trie.label[numbers[1:]].tolist())
        tokens = state.stable_tokens + best
        state.stable = way[shared]
        state.stable_tokens += best[:shared]
        return tokens, len(state.stable_tokens)

    @torch.inference_mode()
    def preview(self, state: SearchState, log_probs: Tensor) -> tuple[tuple[int, ...], int]:
        """Return what `best` would after (frames, symbols) more log-probabilities; the segment stays as it is."""
        self._reserve(len(log_probs))
        before = dict(vars(state))
        self.advance([state], [log_probs])
        best = self.best(state)
        trie = self._search.trie
        trie.slot.index_fill_(0, state.beam.nodes.view(-1), trie.absent)
        vars(state).update(before)
        self._search.resize(1)
        state.beam = self._search.move_beam(state.beam, state.beam.nodes)
        return best

    @torch.inference_mode()
    def finish(self, state: SearchState) -> list[Hypothesis]:
        """End a segment: return its hypotheses as `beam_search` does."""
        search = self._search
        search.beam, search.ended = state.beam, []
        (found,) = search.results([0], torch.tensor([state.offset], dtype=torch.float64))
        self._live.discard(state)
        self._ended = True
        return found

    def _is_idle(self, states: int) -> bool:
        """Return whether the scorers' states are worth forgetting and no stream is amid a segment."""
        return states > IDLE_STATES and all(map(self._is_fresh, self._live))

    def _is_fresh(self, state: SearchState) -> bool:
        """Return whether a segment has no labels yet, in any hypothesis."""
        return not bool(self._search.trie.label[state.beam.nodes].any())

    def _make_root(self, phrases: tuple[str, ...]) -> Tensor:
        """Return the node of a new empty prefix, ()."""
        search, trie = self._search, self._search.trie
        root = trie.add_root()
        if search.cache is not None:
            trie.states[root] = search.cache.start
            if self._hot_words is not None:
                trie.states[root, -1] = self._hot_words.add(phrases)
        return root

    def _reserve(self, frames: int) -> None:
        """Make room for the prefixes of so many frames, all streams together."""
        cache = self._search.cache
        if cache is not None and (cache.states > MOST_STATES or (self._ended and self._is_idle(cache.states))):
            self._renew()
        self._ended = False
        trie, needed = self._search.trie, frames * self._search.size
        if trie.full(needed):
            self._compact()
            trie.limit = max(trie.limit, trie.size + needed)

    def _compact(self) -> None:
        """Drop the nodes of the trie that no live hypothesis needs."""
        live = list(self._live)
        numbers = self._search.trie.keep(torch.cat([state.beam.nodes.view(-1) for state in live]))
        if self._search.cache is not None:
            self._search.cache.compact()
        self._search.resize(1)
        for state in live:
            state.beam = self._search.move_beam(state.beam, numbers.take(state.beam.nodes))
            state.stable = int(numbers[state.stable])

    def _renew(self) -> None:
        """Forget all prefixes and scorers' states, and compute anew those of live hypotheses."""
        live = list(self._live)
        paths = [self._search.trie.sequences(state.beam.nodes[0]) for state in live]
        self._search = self._make_search()
        search, trie, cache = self._search, self._search.trie, self._search.cache
        for state, sequences in zip(live, paths, strict=True):
            known: dict[tuple[int, ...], int] = {(): int(self._make_root(state.phrases))}
            for length in range(1, max(map(len, sequences)) + 1):
                prefixes = list(dict.fromkeys(path[:length] for path in sequences if len(path) >= length))
                parents = torch.tensor([known[prefix[:-1]] for prefix in prefixes], device=self._device)
                if cache is not None:
                    cache.rows(parents)
                nodes = trie.extend(parents, torch.tensor([prefix[-1] for prefix in prefixes], device=self._device))
                if cache is not None:
                    cache.advance(nodes)
                known.update(zip(prefixes, nodes.tolist(), strict=True))
            nodes = torch.tensor([[known[path] for path in sequences]], device=self._device)
            nodes = nodes.masked_fill(state.beam.nodes == NOWHERE, NOWHERE)
            search.resize(1)
            language = state.beam.language
            if cache is not None and language is None:  # until now there were no scorers
                language = torch.zeros_like(state.beam.total)
            state.beam = search.make_beam(
                nodes, state.beam.blank, state.beam.label, total=state.beam.total, language=language
            )
            state.stable = known[state.stable_tokens]

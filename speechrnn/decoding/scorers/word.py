"""A language model over words, whose scores are added while the words are spelt."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.model import NgramModel
from speechrnn.decoding.scorers.backoff_sums import BackoffWordSums
from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.decoding.scorers.lexicon import PrefixTree, Spelling, spellings
from speechrnn.decoding.scorers.readings import Readings
from speechrnn.decoding.scorers.spelt_words import SpeltWords
from speechrnn.decoding.scorers.word_sums import DenseWordSums, WordSums
from speechrnn.nn.language import END_OF_LINE
from speechrnn.text.symbols import describe_counts
from speechrnn.text.tokenizers import UNKNOWN, Tokenizer

MOST_FOLLOWED = 2**17  # words in a context whose next context is kept from one search to the next
TINY = 1e-30  # probability of a node whose words are lost in the rounding of the sums


class WordScorer:
    """A word model with look-ahead through the prefix tree of its vocabulary (Ortmanns et al. 1996).

    A node of the tree stands for all words that begin so, with the sum of their probabilities; each letter adds the
    logarithm of the new sum over the old one, and the word's end the rest: a whole word adds its own log-probability.
    Spaces that end no word add nothing.

    Unless unknown words are forbidden, a word outside the vocabulary has the probability of `<unk>`, times
    exp(unknown_penalty) for each letter. All nodes above it have a share of that, so that the sums stay right.

    Where the acoustic model writes phones, a word may have several pronunciations, and a pronunciation several words:
    it is then taken for the most probable of them in its context. `words` tells which.

    Attributes:
        begins: (symbols,) bool, labels that begin a word (or end one: the space).
        left_out: words of the model that the acoustic model can't write.
    """

    def __init__(
        self,
        model: LanguageModelProtocol,
        words: Sequence[str],
        tokenizer: Tokenizer,
        unknown_penalty: float | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """
        Args:
            words: the model's tokens, from 0 (the end of a line) on.
            tokenizer: of the acoustic model.
            unknown_penalty: natural logarithm, 0 or below; None forbids words outside the vocabulary.
            device: of the states.

        Raises:
            UserError: the alphabets do not fit, or there is no `<unk>` for unknown words.
        """
        spelling = Spelling(tokenizer, device)
        tokens = [number for number, word in enumerate(words) if number != END_OF_LINE and word != UNKNOWN]
        spelt = [number for number in tokens if words[number].split() == [words[number]]]
        spelt = [number for number in spelt if not tokenizer.count_unknown(words[number])]
        if 2 * len(spelt) < len(tokens) or not spelt:
            self._refuse([words[number] for number in tokens], len(spelt), tokenizer)
        self.left_out = sorted({words[number] for number in tokens} - {words[number] for number in spelt})
        self.model = model
        entries: dict[str, list[int]] = {}  # tokens of each spelling
        for number in spelt:
            for letters in spellings(words[number], tokenizer):
                entries.setdefault(letters, []).append(number)
        self.tree = PrefixTree(list(entries), spelling, device)
        self._words, self._letters = words, spelling.letters
        self._begins_list = spelling.begins.tolist()
        self._penalty = unknown_penalty
        self._unknown = words.index(UNKNOWN) if UNKNOWN in words else END_OF_LINE
        if unknown_penalty is not None:
            if self._unknown == END_OF_LINE:
                raise UserError(
                    "The language model has no <unk>, so it can't tell how probable unknown words are; "
                    "forbid them, or train the model with a vocabulary smaller than the text's."
                )
            if not -math.inf < unknown_penalty <= 0:
                raise UserError(
                    f"The penalty of unknown words is {unknown_penalty} a letter; give 0 or a number below."
                )
        self._lengths = spelling.lengths
        self.begins = spelling.begins
        self._bare = torch.tensor([text == "" for text in spelling.letters], device=device)
        self._bare_labels = self._bare.nonzero()[:, 0]
        self._heads = (self.begins & ~self._bare).nonzero()[:, 0]  # labels that begin a word and already spell it
        heads = self.tree.child(torch.zeros_like(self._heads), self._heads)
        self._head_nodes = heads.masked_fill(heads < 0, self.tree.outside)
        self._full = torch.zeros_like(self.tree.word, dtype=torch.bool)  # nodes of probability 1
        self._full[[0, self.tree.outside]] = True
        self._spelt = SpeltWords([entries[letters] for letters in self.tree.words], self._unknown, device)
        self._sums = make_sums(model, self._spelt)
        self._readings = Readings(model, device)
        self._forget()

    @staticmethod
    def _refuse(words: list[str], spelt: int, tokenizer: Tokenizer) -> None:
        unknown = sum((tokenizer.count_unknown(word) for word in words), Counter())
        raise UserError(
            f"The acoustic model can write only {spelt:,} of the language model's {len(words):,} words; the others "
            f"hold {describe_counts(unknown, 5)}. Train the language model on text normalised like the transcripts."
        )

    def _forget(self) -> None:
        self._sums.forget()
        self._next: dict[tuple[int, int], int] = {}  # context, token -> context

    @property
    def capacity(self) -> int:
        """Return how many contexts' sums the memory holds; with more in use they are computed again and again."""
        return self._sums.capacity

    def begin(self) -> int:
        """As `Scorer.begin`. A state is a context of the model and the node of the incomplete word in the tree."""
        lasting = getattr(self.model, "lasting", False) and self._sums.writable
        if not lasting or len(self._next) > MOST_FOLLOWED:
            self._forget()
        context = self.model.begin()
        self._readings.begin(context, self._next)
        return context * (self.tree.outside + 1)

    @torch.inference_mode()
    def words(self, labels: Sequence[int], ended: bool = True) -> list[str | None]:
        """Return the model's words for a label sequence since `begin`; None where it has no such word.

        Words that sound alike are told apart by those before and after them; see `Readings`. The search itself, which
        does not know those after them yet, takes the most probable one.

        Args:
            labels: of words that may have ended or not.
            ended: whether the line ends behind them.
        """
        spelt = self._spelt_words(labels)
        tokens = self._readings.best(list(map(self._tokens, spelt)), ended)
        return [
            None if place is None else self._words[token]
            for place, token in zip(map(self._place, spelt), tokens, strict=True)
        ]

    @torch.inference_mode()
    def sure_words(self, labels: Sequence[int], count: int) -> int:
        """Return how many of the first `count` words of labels, which have ended, no word behind them changes."""
        return self._readings.sure(list(map(self._tokens, self._spelt_words(labels)[:count])))

    def _spelt_words(self, labels: Sequence[int]) -> list[str]:
        """Cut a label sequence into words, as they are spelt."""
        spelt = [""]
        for label in labels:
            if self._begins_list[label]:
                spelt.append("")
            spelt[-1] += self._letters[label] or ""
        return list(filter(None, spelt))

    def _place(self, letters: str) -> int | None:
        """Return the number of the tree's word that is spelt so; None of an unknown word."""
        place = bisect.bisect_left(self.tree.words, letters)
        return place if place < len(self.tree.words) and self.tree.words[place] == letters else None

    def _tokens(self, letters: str) -> Sequence[int]:
        """Return the tokens of the words that are spelt so."""
        place = self._place(letters)
        return [self._unknown] if place is None else self._spelt.tokens[place]

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        """As `Scorer.extend`."""
        contexts, nodes = self._split(states)
        begins = self.begins.take(labels)
        contexts = self._close(contexts, nodes, begins)
        nodes = self.tree.child(nodes.masked_fill(begins, 0), labels)
        nodes = nodes.masked_fill(nodes < 0, self.tree.outside).masked_fill(self._bare.take(labels), 0)
        return contexts * (self.tree.outside + 1) + nodes

    def scores(self, states: Tensor) -> Tensor:
        """As `Scorer.scores`."""
        contexts, nodes = self._split(states)
        count = len(states)
        if len(self._heads):
            after = self._close(contexts, nodes, self._can_end(nodes))
            rows, after_rows = self._sums.rows(torch.cat([contexts, after])).chunk(2)
        else:
            rows = self._sums.rows(contexts)
        place, labels, children = self.tree.ways(nodes)
        masses, below = self._masses(torch.cat([rows, rows.take(place)]), torch.cat([nodes, children])).split(
            [count, len(children)]
        )
        if self._penalty is None:
            result = torch.full((count, len(self.begins)), -math.inf, device=states.device)
        else:
            outside = nodes == self.tree.outside
            leave = (self._unknown_logs(rows, nodes) - masses).masked_fill(outside, 0.0)
            result = (leave[:, None] + self._penalty * self._lengths).float()
        result[place, labels] = (below - masses.take(place)).float()
        ends = self._ends(rows, nodes, masses)
        if len(self._heads):
            firsts = self._masses(after_rows[:, None], self._head_nodes[None])
            if self._penalty is None:
                firsts = firsts.masked_fill(self._head_nodes == self.tree.outside, -math.inf)
            else:
                unknown = self._sums.unknown(after_rows)[:, None] + self._penalty * self._lengths[self._heads]
                firsts = torch.where(self._head_nodes == self.tree.outside, unknown.double(), firsts)
            result[:, self._heads] = (ends[:, None] + firsts).float()
        result[:, self._bare_labels] = ends[:, None].float()
        result[:, 0] = 0.0
        return result

    def finish(self, states: Tensor) -> Tensor:
        """As `Scorer.finish`."""
        contexts, nodes = self._split(states)
        after = self._close(contexts, nodes, self._can_end(nodes))
        rows, after_rows = self._sums.rows(torch.cat([contexts, after])).chunk(2)
        ends = self._ends(rows, nodes, self._masses(rows, nodes))
        return (ends + self._sums.ends(after_rows)).float()

    def _split(self, states: Tensor) -> tuple[Tensor, Tensor]:
        contexts = torch.div(states, self.tree.outside + 1, rounding_mode="floor")
        return contexts, states - contexts * (self.tree.outside + 1)

    def _can_end(self, nodes: Tensor) -> Tensor:
        if self._penalty is not None:
            return torch.ones_like(nodes, dtype=torch.bool)
        return self.tree.word[nodes] >= 0

    def _close(self, contexts: Tensor, nodes: Tensor, which: Tensor) -> Tensor:
        """Return (n,) contexts after the open words have ended in the rows `which`; no word is open at the root."""
        places = (which & (nodes != 0)).nonzero()[:, 0]
        if len(places) == 0:
            return contexts
        tokens = self._ended_tokens(contexts[places], nodes[places])
        pairs = list(zip(contexts[places].tolist(), tokens.tolist(), strict=True))
        if new := [pair for pair in dict.fromkeys(pairs) if pair not in self._next]:
            before, following = torch.tensor(new, device=contexts.device).T
            self._next.update(zip(new, self.model.extend(before, following).tolist(), strict=True))
        result = contexts.clone()
        result[places] = torch.tensor([self._next[pair] for pair in pairs], device=contexts.device)
        return result

    def _ended_tokens(self, contexts: Tensor, nodes: Tensor) -> Tensor:
        """Return the (n,) tokens of the words that end at (n,) nodes in (n,) contexts."""
        words = self.tree.word.take(nodes)
        known = words.clamp_min(0)
        several = len(self._spelt.shared) > 0
        tokens = self._sums.tokens(self._sums.rows(contexts), known) if several else self._spelt.first[known]
        return tokens.masked_fill(words < 0, self._unknown)

    def _unknown_logs(self, rows: Tensor, nodes: Tensor) -> Tensor:
        """Return the float64 log-probability of an unknown word that ends at the node."""
        return self._sums.unknown(rows).double() + (self._penalty or 0.0) * self.tree.depth[nodes]

    def _masses(self, rows: Tensor, nodes: Tensor) -> Tensor:
        """Return float64 log-probabilities of all words below the nodes; 0 at the root and outside the tree."""
        mass = self._sums.between(rows, self.tree.limits[:, nodes])
        if self._penalty is not None:
            mass = mass + self._unknown_logs(rows, nodes).exp()
        return mass.clamp_min(TINY).log().masked_fill(self._full.take(nodes), 0.0)

    def _ends(self, rows: Tensor, nodes: Tensor, masses: Tensor) -> Tensor:
        """Return (n,) float64: what the end of the open word adds to the score."""
        words = self.tree.word.take(nodes)
        known = self._sums.log_probs(rows, words.clamp_min(0)).double()
        if self._penalty is None:
            ends, free = known.masked_fill(words < 0, -math.inf), nodes == 0
        else:
            ends, free = torch.where(words < 0, self._unknown_logs(rows, nodes), known), self._full.take(nodes)
        return (ends - masses).masked_fill(free, 0.0)


def make_sums(model: LanguageModelProtocol, words: SpeltWords) -> WordSums:
    """Return the sums of a language model's words, in the form that suits the model."""
    if isinstance(model, NgramModel) and not model.missing:
        return BackoffWordSums(model, words)
    return DenseWordSums(model, words)

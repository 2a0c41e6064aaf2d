"""N-gram language models as tensors: many states advance and are scored together."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.ngram.arpa import Ngrams, read_arpa
from speechrnn.decoding.ngram.kenlm import KenlmModel, is_kenlm
from speechrnn.decoding.ngram.quantised import is_quantised, read_quantised
from speechrnn.decoding.ngram.symbols import BEGIN, END, match_names, missing_symbols, symbol, visible
from speechrnn.decoding.ranges import ranges
from speechrnn.text.tokenizers import BLANK, UNKNOWN, Tokenizer

DENSE = 2**24  # pairs of a context and a token up to which all are worked out beforehand (128 MiB)


def read_ngram(
    path: str | Path, tokenizer: Tokenizer | None = None, device: str | torch.device = "cpu"
) -> NgramModel | KenlmModel:
    """Read an n-gram model: an ARPA file (plain or gzip), a quantised file, or a binary file of KenLM.

    Args:
        tokenizer: whose tokens the model shall have; see `names` for how its symbols are spelt in the file. Without
            one, the tokens are the file's words.

    Raises:
        UserError: see `read_ngrams`, `NgramModel` and `KenlmModel`.
    """
    if is_kenlm(path):
        return KenlmModel(path, tokenizer, device)
    return NgramModel(read_ngrams(path), tokenizer, device)


def read_ngrams(path: str | Path) -> Ngrams:
    """Read the n-grams of an ARPA file (plain or gzip) or of a quantised file.

    >>> read_ngrams("outputs/text_prediction/words/ngram.q8").order  # doctest: +SKIP
    3

    Raises:
        UserError: see `read_arpa` and `read_quantised`.
    """
    return read_quantised(path) if is_quantised(path) else read_arpa(path)


class NgramModel:
    """A backing-off n-gram model; implements `scorers.language_model.LanguageModelProtocol`.

    A state is the longest end of what was read that the model knows as a context. Contexts are numbered: 0 is the
    empty one, 1 + w that of the word w, and then come the n-grams of orders 2 to order - 1, sorted. All of them exist
    from the start, so that states stay valid beyond `begin` and nothing grows.

    A token that the model does not know is `<unk>` to it (as in KenLM): several may share that probability.

    Attributes:
        vocabulary: number of tokens.
        words: the symbol of each token, a tokenizer's list: 0 is `<blank>`, which means END OF LINE here.
        missing: the tokenizer's symbols that are `<unk>` to the model.
        order: of the longest n-grams.
    """

    def __init__(self, ngrams: Ngrams, tokenizer: Tokenizer | None = None, device: str | torch.device = "cpu") -> None:
        """Build the tensors of the model.

        Raises:
            UserError: the tokenizer is of another kind (see `match_names`); an n-gram stands there twice, or without
                the shorter one that it begins with.
        """
        self.order = ngrams.order
        self._source = ngrams.source
        tokens = list(range(len(ngrams.names)))
        self.words = [BLANK, *map(symbol, ngrams.names[1:])]
        self.missing: list[str] = []
        if tokenizer is not None:
            tokens = match_names(ngrams.names, tokenizer, ngrams.source)
            self.words = tokenizer.symbols
            self.missing = missing_symbols(tokens, tokenizer)
        self.vocabulary = self._begin = len(self.words)  # `<s>` is a word only as the first of a context
        self._alias = torch.arange(self.vocabulary, device=device)
        if self.missing:
            if tokens[1] < 0:  # a column for `<unk>`, which is no token of the tokenizer's
                tokens[1] = self.vocabulary
                self._begin += 1
            lost = set(range(self.vocabulary)) - set(tokens)
            self._alias[list(lost)] = tokens[1]
        self._base = 1 + self._begin
        self._fill(ngrams, torch.tensor([*tokens, self._begin], device=device))
        self._table: tuple[Tensor, Tensor] | None = None
        if len(self._lower) * self.vocabulary <= DENSE:
            self._table = self._tabulate()

    def _fill(self, ngrams: Ngrams, tokens: Tensor) -> None:
        """Number the contexts, and sort the n-grams of order 2 and more by their keys: context * base + word."""
        words, log_probs, backoffs = _known(ngrams, 1, tokens)
        self._unigrams = log_probs.new_full((self._base,), -math.inf).index_put((words[:, 0],), log_probs)
        self._unigrams = self._unigrams[: self._begin]
        self._backoffs = backoffs.new_zeros(1 + self._base).index_put((1 + words[:, 0],), backoffs)
        self._lower = torch.zeros_like(self._backoffs, dtype=torch.int64)  # the context without its first word
        self._keys = tokens.new_full((1,), torch.iinfo(torch.int64).max)  # with a last one, which nothing is behind
        self._log_probs = log_probs[:0]
        for order in range(2, self.order + 1):
            words, log_probs, backoffs = _known(ngrams, order, tokens)
            contexts = self._contexts(words)
            keys = contexts * self._base + words[:, -1]
            if bool((keys[1:] < keys[:-1]).any()):  # a quantised file is sorted
                keys, places = keys.sort()
                words, log_probs, backoffs, contexts = (part[places] for part in (words, log_probs, backoffs, contexts))
            if (twice := keys[1:] == keys[:-1]).any():
                spelt = self._spell(words[1:][twice][0])
                raise UserError(f"{self._source} holds the {order}-gram '{spelt}' twice; make it again.")
            # Contexts are numbered upwards, so the keys of a longer n-gram are larger and all stay sorted.
            self._keys = torch.cat([self._keys[:-1], keys, self._keys[-1:]])
            self._log_probs = torch.cat([self._log_probs, log_probs])
            if order < self.order:
                lower = self._follow(self._lower[contexts], words[:, -1])
                self._lower = torch.cat([self._lower, lower])
                self._backoffs = torch.cat([self._backoffs, backoffs])
        self._offsets = torch.searchsorted(
            self._keys, torch.arange(len(self._lower) + 1, device=tokens.device) * self._base
        )

    def _contexts(self, words: Tensor) -> Tensor:
        """Return (n,) contexts of (n, order) words: all words but the last."""
        contexts = 1 + words[:, 0]
        for word in words[:, 1:-1].unbind(1):
            contexts = self._child(contexts, word)
            if (gone := contexts == 0).any():
                raise UserError(
                    f"{self._source} holds '{self._spell(words[gone][0])}' without the shorter n-gram that it begins "
                    "with; make it again and drop no n-gram that others begin with."
                )
        return contexts

    def _spell(self, words: Tensor) -> str:
        others = {0: END, self.vocabulary: UNKNOWN} | {self._begin: BEGIN}
        return " ".join(others[word] if word in others else visible(self.words[word]) for word in words.tolist())

    def _child(self, contexts: Tensor, words: Tensor) -> Tensor:
        """Return (n,) contexts: (n,) contexts, none empty, extended by (n,) words; 0 where there is none."""
        keys = contexts * self._base + words
        places = torch.searchsorted(self._keys, keys)
        children = 1 + self._base + places
        # The longest n-grams are no contexts.
        return torch.where((self._keys[places] == keys) & (children < len(self._lower)), children, 0)

    def _follow(self, contexts: Tensor, words: Tensor) -> Tensor:
        """Return (n,) longest known contexts at the ends of (n,) contexts followed by (n,) words."""
        found = torch.zeros_like(contexts)
        for _ in range(self.order - 1):
            found = torch.where(found == 0, self._child(contexts, words), found)
            contexts = self._lower[contexts]
        return torch.where(found == 0, 1 + words, found)

    def _score(self, contexts: Tensor) -> Tensor:
        """Return (n, vocabulary) scores after (n,) contexts: unigrams, overwritten by longer and longer n-grams."""
        chain = [contexts]
        for _ in range(self.order - 2):
            chain.append(self._lower[chain[-1]])
        rows = self._unigrams.repeat(len(contexts), 1)
        for links in reversed(chain):
            rows += self._backoffs[links, None]
            owners, entries = self._entries(links)
            rows[owners, self._keys[entries] % self._base] = self._log_probs[entries]
        return rows[:, self._alias] if self.missing else rows

    def _entries(self, contexts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the n-grams that go on after (n,) contexts: places in `contexts`, and places in `_keys`."""
        return ranges(self._offsets[contexts], self._offsets[contexts + 1])

    def _tabulate(self) -> tuple[Tensor, Tensor]:
        """Tabulate `_score` and `_follow` for all contexts and tokens, so that a step of a beam is one look-up."""
        contexts = torch.arange(len(self._lower), device=self._lower.device)
        scores = torch.cat([self._score(part) for part in contexts.split(2**14)])
        follows = [
            self._follow(part.repeat_interleave(self.vocabulary), self._alias.repeat(len(part))).int()
            for part in contexts.split(2**14)
        ]
        return scores, torch.cat(follows).view(-1, self.vocabulary)

    lasting = True  # see `LanguageModelProtocol`

    def begin(self) -> int:
        """Return the number of the start state; other states stay valid."""
        return 1 + self._begin

    def extend(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return (n,) states: (n,) states, each after one of (n,) tokens; END OF LINE leads to the start state."""
        if self._table is not None:
            follows = self._table[1][states, tokens].long()
        else:
            follows = self._follow(states, self._alias[tokens])
        return torch.where(tokens == 0, self.begin(), follows)

    def log_probs(self, states: Tensor) -> Tensor:
        """Return (n, vocabulary) float32 natural log-probabilities of the next token; -inf where it is impossible."""
        return self._table[0][states] if self._table is not None else self._score(states)

    def log_prob(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return (n,) float32 natural log-probabilities of (n,) tokens after (n,) states."""
        tokens = self._alias[tokens]
        chain = [states]
        for _ in range(self.order - 2):
            chain.append(self._lower[chain[-1]])
        values = self._unigrams[tokens]
        for links in reversed(chain):
            if not bool(links.any()):  # the empty context
                continue
            keys = links * self._base + tokens
            places = torch.searchsorted(self._keys, keys)
            there = self._keys[places] == keys
            longer = self._log_probs[places.masked_fill(~there, 0)] if len(self._log_probs) else values
            values = torch.where(there, longer, values + self._backoffs[links])
        return values

    @property
    def contexts(self) -> int:
        """Return how many states there are: they are numbered from 0."""
        return len(self._lower)

    def lower(self, states: Tensor) -> Tensor:
        """Return (n,) states that (n,) states back off to: their contexts without the first word."""
        return self._lower[states]

    def backoffs(self, states: Tensor) -> Tensor:
        """Return (n,) float32 natural logarithms of the backoff weights of (n,) states."""
        return self._backoffs[states]

    def counts(self, states: Tensor) -> Tensor:
        """Return (n,) numbers of tokens for which the model has an n-gram after (n,) states."""
        return self._offsets[states + 1] - self._offsets[states]

    def entries(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return those tokens: (m,) places in `states`, and (m,) tokens. For a model that has all its tokens."""
        owners, entries = self._entries(states)
        return owners, self._keys[entries] % self._base


def _known(ngrams: Ngrams, order: int, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the n-grams of an order whose words are all tokens: words, log-probabilities, backoffs.

    Others are never asked for, and so are those that go on after `</s>` or before `<s>`.
    """
    words, log_probs, backoffs = (
        part[order - 1].to(tokens.device) for part in (ngrams.words, ngrams.log_probs, ngrams.backoffs)
    )
    words = tokens[words]
    kept = (words >= 0).all(1) & (words[:, :-1] != 0).all(1) & (words[:, 1:] != tokens[-1]).all(1)
    return (words, log_probs, backoffs) if bool(kept.all()) else (words[kept], log_probs[kept], backoffs[kept])

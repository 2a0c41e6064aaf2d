"""The words that may be spelt: a prefix tree over them, and the labels that lead through it.

The tree's edges are characters. A label is one of them (CharTokenizer), several (SubwordTokenizer: however a word is
cut into tokens, it ends at the same node) or a whole word (WordTokenizer).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.ranges import ranges
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.symbols import describe_counts
from speechrnn.text.tokenizers import UNKNOWN, Tokenizer

SPACE_MARK = "▁"  # sentencepiece's sign for a space
FIRST_PHONE = 0xE000  # phones are letters of Unicode's private area
MOST_SPELLINGS = 16  # of a phrase: each of its words may have several pronunciations


class Spelling:
    """Spell the labels of an acoustic tokenizer: the text that each of them adds.

    Attributes:
        begins: (symbols,) bool: a space stands before the label's letters, so that the open word ends.
        letters: of each label, without that space; "" for a bare space; None for the blank and `<unk>`, which spell no
            word that is known.
        lengths: (symbols,) the number of letters, 1 for `<unk>`.
    """

    def __init__(self, tokenizer: Tokenizer, device: torch.device | str = "cpu") -> None:
        symbols = list(tokenizer.symbols)
        if tokenizer.kind == "char":
            begins = [symbol == " " for symbol in symbols]
            self.letters: list[str | None] = ["" if symbol == " " else symbol for symbol in symbols]
        elif tokenizer.kind == "subword":
            begins = [symbol.startswith(SPACE_MARK) for symbol in symbols]
            self.letters = [symbol.removeprefix(SPACE_MARK) for symbol in symbols]
            if wide := next((symbol for symbol in symbols if SPACE_MARK in symbol[1:]), None):
                raise UserError(
                    f"The subword {wide!r} spans two words, so words can't be followed while they are spelt; train the "
                    "acoustic model with subwords that end where a word ends, or decode without words."
                )
        elif tokenizer.kind == "word":
            begins = [True] * len(symbols)
            self.letters = list(symbols)
        elif tokenizer.kind == "phone":
            begins = [symbol == " " for symbol in symbols]
            self.letters = ["" if symbol == " " else chr(FIRST_PHONE + index) for index, symbol in enumerate(symbols)]
        else:
            raise UserError(f"Words can't be followed through the labels of a {tokenizer.kind} tokenizer; use char.")
        self.letters[0], begins[0] = None, False
        if symbols[1:2] == [UNKNOWN]:
            self.letters[1] = None
        self.begins = torch.tensor(begins, device=device)
        self.lengths = torch.tensor([1 if text is None else len(text) for text in self.letters], device=device)

    def __len__(self) -> int:
        """Return the number of symbols."""
        return len(self.letters)


def spellings(word: str, tokenizer: Tokenizer) -> list[str]:
    """Return the letters of a word that the acoustic model can write: of phones, one string for each pronunciation.

    Args:
        word: one word, or several with a space between them.
        tokenizer: of the acoustic model.
    """
    if not isinstance(tokenizer, PhoneTokenizer):
        return [word]
    pronunciations = tokenizer.pronunciations
    spelt = [
        ["".join(chr(FIRST_PHONE + pronunciations.index[phone]) for phone in phones) for phones in found]
        for found in map(pronunciations.pronounce, word.split())
    ]
    return [" ".join(parts) for parts in itertools.islice(itertools.product(*spelt), MOST_SPELLINGS)]


class PrefixTree:
    """Distinct words by what they begin with; node 0 is the root, and words are numbered in their sorted order.

    The words below a node are a range of numbers, so that a sum over them is a difference of two cumulative sums.

    Attributes:
        words: in sorted order.
        order: (words,) the place of each in the list that was given.
        outside: the number after the last node; it stands for whatever the tree does not hold.
        limits: (2, nodes + 1) the words below a node, itself included, are from the first number to the one before the
            second; of `outside`, none.
        word: (nodes + 1,) the word that ends at the node, or -1.
        depth: (nodes + 1,) letters that lead to the node; 0 for `outside`.
    """

    def __init__(self, words: Sequence[str], spelling: Spelling, device: torch.device | str = "cpu") -> None:
        """Build the tree. `words`: not empty, without spaces, none twice."""
        order = sorted(range(len(words)), key=words.__getitem__)
        self.words = [words[number] for number in order]
        if not all(self.words) or len(set(self.words)) < len(words):
            raise ValueError("a prefix tree takes words that are not empty, each once")
        parents, letters, first, last, word, depth = [-1], [""], [0], [len(words)], [-1], [0]
        path = [0]  # the nodes of the word before
        for number, (before, text) in enumerate(zip(["", *self.words], self.words, strict=False)):
            shared = next(
                (place for place, (a, b) in enumerate(zip(before, text, strict=False)) if a != b), len(before)
            )
            for node in path[shared + 1 :]:
                last[node] = number
            del path[shared + 1 :]
            for letter in text[shared:]:
                parents.append(path[-1])
                letters.append(letter)
                first.append(number)
                last.append(len(words))
                word.append(-1)
                depth.append(len(path))
                path.append(len(parents) - 1)
            word[path[-1]] = number
        self.outside = len(parents)
        self.symbols = len(spelling)
        self.order = torch.tensor(order, device=device)
        self.limits = torch.tensor([[*first, 0], [*last, 0]], device=device)
        self.word, self.depth = (
            torch.tensor([*column, end], device=device) for column, end in ((word, -1), (depth, 0))
        )
        self._link(parents, letters, spelling, device=device)

    def _link(self, parents: list[int], letters: list[str], spelling: Spelling, device: torch.device | str) -> None:
        """Find each label's edges through the tree and sort them by node and label."""
        codes = {letter: code for code, letter in enumerate(sorted(set(letters)))}
        above = torch.tensor(parents)
        code = torch.tensor([codes[letter] for letter in letters])
        keys, nodes = torch.sort(above * len(codes) + code)
        arrivals = {letter: (code == number).nonzero()[:, 0] for letter, number in codes.items()}

        def walk(starts: Tensor, ends: Tensor, text: str) -> tuple[Tensor, Tensor]:
            for letter in text:
                wanted = ends * len(codes) + codes.get(letter, 0)  # "" is letter 0, on no edge below the root
                place = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
                there = keys[place] == wanted
                starts, ends = starts[there], nodes[place[there]]
            return starts, ends

        ways = []
        root = torch.zeros(1, dtype=torch.long)
        for label, (text, begins) in enumerate(zip(spelling.letters, spelling.begins.tolist(), strict=True)):
            if text and begins:
                starts, ends = walk(root, root, text)
            elif text and text[0] in codes:
                ends = arrivals[text[0]]
                starts, ends = walk(above[ends], ends, text[1:])
            else:
                continue
            ways.append(torch.stack([starts * self.symbols + label, ends]))
        links = torch.cat(ways, 1) if ways else torch.zeros(2, 0, dtype=torch.long)
        self._keys, place = torch.sort(links[0].to(device))
        self._ends = links[1].to(device)[place]
        self._starts = torch.searchsorted(self._keys, torch.arange(self.outside + 2, device=device) * self.symbols)

    def child(self, nodes: Tensor, labels: Tensor) -> Tensor:
        """Return (n,) nodes that (n,) labels lead to from (n,) nodes, or -1; labels that begin a word start at 0."""
        if len(self._keys) == 0:
            return torch.full_like(nodes, -1)
        wanted = nodes * self.symbols + labels
        place = torch.searchsorted(self._keys, wanted).clamp_max(len(self._keys) - 1)
        return torch.where(self._keys.take(place) == wanted, self._ends.take(place), -1)

    def ways(self, nodes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return all (m,) edges from (n,) nodes: index in `nodes`, label, and target node."""
        place, way = ranges(self._starts.take(nodes), self._starts.take(nodes + 1))
        return place, self._keys.take(way) % self.symbols, self._ends.take(way)


class Lexicon:
    """A scorer of a list of words: others are impossible ("restrict"), or cost 1 each ("prefer").

    The cost of a word is added as soon as no word of the lexicon begins like it. Spaces that end no word cost nothing.
    """

    def __init__(
        self, words: Iterable[str], tokenizer: Tokenizer, mode: str = "restrict", device: torch.device | str = "cpu"
    ) -> None:
        """
        Args:
            words: as transcripts have them.
            tokenizer: of the acoustic model.

        Raises:
            UserError: no words; one with a space or with characters that the acoustic model can't write; another mode.
        """
        if mode not in ("restrict", "prefer"):
            raise UserError(f"The lexicon's mode is {mode!r}; choose restrict or prefer.")
        listed = list(dict.fromkeys(words))
        check_spelling(listed, tokenizer, "lexicon words")
        if two := next((word for word in listed if len(word.split()) != 1), None):
            raise UserError(f"The lexicon's entry {two!r} is not one word; give each word an entry of its own.")
        spelling = Spelling(tokenizer, device)
        spelt = dict.fromkeys(letters for word in listed for letters in spellings(word, tokenizer))
        self.tree = PrefixTree(list(spelt), spelling, device)
        self.begins = spelling.begins
        self.bare = torch.tensor([text == "" for text in spelling.letters], device=device)
        self._foreign = -math.inf if mode == "restrict" else -1.0
        # What a label adds that begins a word.
        labels = torch.arange(len(spelling), device=device)
        unknown = (self.tree.child(torch.zeros_like(labels), labels) < 0) & ~self.bare
        self._heads = torch.zeros(len(spelling), device=device).masked_fill(unknown, self._foreign)

    def begin(self) -> int:
        """Return the root."""
        return 0

    def extend(self, states: Tensor, labels: Tensor) -> Tensor:
        """A state is a node of the tree, or the number that stands for all other words."""
        begins = self.begins[labels]
        nodes = self.tree.child(states.masked_fill(begins, 0), labels)
        nodes = nodes.masked_fill(nodes < 0, self.tree.outside)
        return nodes.masked_fill(self.bare[labels], 0)

    def scores(self, states: Tensor) -> Tensor:
        """As `Scorer.scores`."""
        foreign = torch.full_like(states, self._foreign, dtype=torch.float32)
        if self._foreign > -math.inf:
            foreign = foreign.masked_fill(states == self.tree.outside, 0.0)  # its cost was added before
        result = foreign[:, None].repeat(1, len(self.begins))
        place, labels, _ = self.tree.ways(states)
        result[place, labels] = 0.0
        result = torch.where(self.begins, self.finish(states)[:, None] + self._heads, result)
        result[:, 0] = 0.0
        return result

    def finish(self, states: Tensor) -> Tensor:
        """As `Scorer.finish`."""
        free = (self.tree.word[states] >= 0) | (states == 0)
        if self._foreign > -math.inf:
            free |= states == self.tree.outside
        return torch.where(free, 0.0, self._foreign)


def check_spelling(texts: Sequence[str], tokenizer: Tokenizer, name: str) -> None:
    """Check that the acoustic model can write the texts; `name` is used in messages ("hot words").

    Raises:
        UserError: it can't, or there are none.
    """
    if not any(text.strip() for text in texts):
        raise UserError(f"There are no {name}; give some, or leave them out.")
    wrong = {text: unknown for text in texts if (unknown := tokenizer.count_unknown(text))}
    if wrong:
        symbols = describe_counts(sum(wrong.values(), Counter()))
        few = ", ".join(map(repr, list(wrong)[:3])) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        if tokenizer.kind == "phone":
            words = ", ".join(sorted(sum(wrong.values(), Counter()))[:5])
            raise UserError(
                f"The {name} ({few}) have no pronunciation in the dictionary of the acoustic model ({words}); "
                "spell them otherwise, or leave them out."
            )
        raise UserError(
            f"The {name} ({few}) need {symbols}, which the acoustic model can't write; "
            "spell them as the transcripts that it was trained on."
        )


def check_words(lexicon: Iterable[str], words: Iterable[str]) -> None:
    """Check that a word model knows words of the lexicon; it would make all others impossible.

    Raises:
        UserError: it lacks some.
    """
    known = set(words)
    listed = list(dict.fromkeys(lexicon))
    if missing := [word for word in listed if word not in known]:
        few = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise UserError(
            f"The language model lacks {len(missing):,} of the lexicon's {len(listed):,} words ({few}); train it on "
            "text that holds them and is normalised like the lexicon, take them out of the lexicon, or allow unknown "
            "words (decoding.unknown_penalty=-3)."
        )

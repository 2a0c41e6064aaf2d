"""Words that the user expects, each with a boost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.scorers.base import TableScorer
from speechrnn.decoding.scorers.lexicon import Spelling, check_spelling, spellings
from speechrnn.text.tokenizers import Tokenizer


class HotWords(TableScorer):
    """A boost for each hot word or phrase that a text holds as whole words (Aho & Corasick 1975).

    A boost is added letter by letter as the word is spelt, so that the beam keeps the hypothesis, and subtracted where
    the
    word breaks off or goes on into a longer one: in the end, a text has the boosts of the hot words in it only. Hot
        words
    that overlap ("NEW YORK" and "YORK") count each. A boost below 0 makes a word less likely, and is added at its end.
    """

    def __init__(self, boosts: Mapping[str, float], tokenizer: Tokenizer, device: torch.device | str = "cpu") -> None:
        """
        Args:
            boosts: natural logarithms by word or phrase, written as transcripts are.
            tokenizer: of the acoustic model. Its labels are followed character by character, so that a word is found
                however it is cut into subwords.

        Raises:
            UserError: no words, characters that the acoustic model can't write, or a boost that is no finite number.
        """
        phrases = {" ".join(phrase.split()): boost for phrase, boost in boosts.items()}
        if "" in phrases:
            raise UserError("hot_words has an empty entry; leave it out.")
        check_spelling(list(phrases), tokenizer, "hot words")
        for phrase, boost in phrases.items():
            if not math.isfinite(boost):
                raise UserError(f"The boost of the hot word {phrase!r} is {boost}; give a finite number.")
        spelling = Spelling(tokenizer)
        machine = _Machine(
            {letters: boost for phrase, boost in phrases.items() for letters in spellings(phrase, tokenizer)}
        )
        states = len(machine.follow)
        gains = torch.zeros(states, len(spelling), dtype=torch.float64)
        follow = torch.zeros(states, len(spelling), dtype=torch.long)
        for label, (letters, begins) in enumerate(zip(spelling.letters, spelling.begins.tolist(), strict=True)):
            place = torch.arange(states)
            # A label that spells no known text counts as a letter that is in no hot word.
            for letter in [" "] * begins + ([""] if letters is None else list(letters)):
                code = machine.codes.get(letter, 0)
                gains[:, label] += machine.gains[place, code]
                place = machine.follow[place, code]
            follow[:, label] = place
        gains[:, 0] = 0.0
        super().__init__(
            follow.to(device), gains.float().to(device), machine.ends.float().to(device), start=machine.start
        )


class StreamHotWords(TableScorer):
    """The hot words of several streams in one scorer: each list has states of its own.

    The state 0 is that of a stream without hot words.
    """

    def __init__(self, tokenizer: Tokenizer, device: torch.device | str = "cpu") -> None:
        """`tokenizer`: of the acoustic model."""
        symbols = len(tokenizer)
        super().__init__(
            torch.zeros(1, symbols, dtype=torch.long, device=device),
            torch.zeros(1, symbols, device=device),
            torch.zeros(1, device=device),
            start=0,
        )
        self._tokenizer = tokenizer
        self._starts: dict[tuple[str, ...], int] = {(): 0}

    def add(self, phrases: Sequence[str]) -> int:
        """Add a list of hot words, each with a boost of 1, unless it is known; return its start state.

        Raises:
            UserError: see `HotWords`.
        """
        key = tuple(sorted(set(phrases)))
        if key not in self._starts:
            words = HotWords(dict.fromkeys(key, 1.0), self._tokenizer, self.follow.device)
            offset = len(self.follow)
            self._starts[key] = words.start + offset
            self.follow = torch.cat([self.follow, words.follow + offset])
            self.gains = torch.cat([self.gains, words.gains])
            self.ends = torch.cat([self.ends, words.ends])
        return self._starts[key]


class _Machine:
    """The hot words' automaton over characters; code 0 is any character that stands in none of them.

    Each hot word is looked for with a space before and after it, and the text is read as if it were so enclosed. A
    state is the longest end of the text that a hot word begins with.
    """

    def __init__(self, phrases: Mapping[str, float]) -> None:
        self.codes = {letter: code for code, letter in enumerate(sorted({" "}.union(*phrases)), start=1)}
        children: list[dict[int, int]] = [{}]
        spaces = [False]  # whether the state's text ends with a space
        hopes = [0.0]  # boost of the letters so far, subtracted if the word breaks off
        awards = [0.0]  # boost of complete hot words
        for phrase, boost in phrases.items():
            state = 0
            for place, letter in enumerate(f" {phrase} "):
                code = self.codes[letter]
                if code not in children[state]:
                    children[state][code] = len(children)
                    children.append({})
                    spaces.append(letter == " ")
                    hopes.append(0.0)
                    awards.append(0.0)
                state = children[state][code]
                if place <= len(phrase):
                    hopes[state] = max(hopes[state], boost * place / len(phrase))
            awards[state] += boost
        count = len(children)
        rows = [[0] * (len(self.codes) + 1) for _ in range(count)]
        fallback = [0] * count  # the longest shorter end that a hot word begins with
        queue = [0]
        for state in queue:  # by rising length
            rows[state] = list(rows[fallback[state]]) if state else rows[0]
            for code, child in children[state].items():
                fallback[child] = rows[state][code]
                rows[state][code] = child
                hopes[child] = max(hopes[child], hopes[fallback[child]])
                awards[child] += awards[fallback[child]]
                queue.append(child)
        space = self.codes[" "]
        self.start = children[0][space]
        self.follow = torch.tensor(rows)
        hope = torch.tensor(hopes, dtype=torch.float64)
        self.gains = (hope + torch.tensor(awards, dtype=torch.float64))[self.follow] - hope[:, None]
        # A second space changes nothing.
        between = torch.tensor(spaces).nonzero()[:, 0]
        self.follow[between, space] = between
        self.gains[between, space] = 0.0
        self.ends = self._ends(hope, between, space)

    def _ends(self, hope: Tensor, between: Tensor, space: int) -> Tensor:
        """Return the boosts at the end of a text, which completes a word as a space does."""
        ends = self.gains[:, space] - hope[self.follow[:, space]]
        ends[between] = -hope[between]
        return ends

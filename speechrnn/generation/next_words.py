"""The most probable next words, as a keyboard offers them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.detokenizer import NEWLINE, Spelling
from speechrnn.generation.fixed_batches import Tiles, padded
from speechrnn.generation.logits_processors import raw_scores
from speechrnn.nn.language import END_OF_LINE
from speechrnn.text.tokenizers import UNKNOWN

RAREST = 1e-6  # probability of a word below which it is not looked for
TOGETHER = 16  # beginnings looked into at a time
MOST = 4096  # beginnings of words that are looked into


@dataclass(order=True)
class Beginning:
    """A word as far as it is spelt; `cost` is minus its probability, which no word that begins so can exceed."""

    cost: float
    text: str
    token: int = field(compare=False)  # its last one, not read yet
    state: Tensor = field(compare=False)  # (state_size,) before that


def next_words(tiles: Tiles, spelling: Spelling, prompt: str, k: int) -> list[tuple[str, float]]:
    """The `k` most probable words after a prompt, whose last word is taken to be complete, with their probabilities.

    Of a word model these are its next tokens. Of a model of characters or subwords it is a best-first search through
    the ways to spell on until a space or the line's end: a beginning is given up where it is less probable than
    `k` whole words are, so that none of these is missed. (Subwords can spell a word in several ways, which are added
    up; of those that are given up, the probability is missing.)

    Raises:
        UserError: the prompt holds characters that the model does not know.
    """
    prompt = prompt.rstrip(" ")
    kind = spelling.tokenizer.kind
    if kind == "char" and " " in spelling.names and not prompt.endswith(NEWLINE) and prompt:
        prompt += " "
    *before, last = (END_OF_LINE, *spelling.encode(prompt))
    (state,) = tiles.prime([before])
    first = Beginning(-1.0, "", last, state)
    if kind == "word":
        (found,), _ = look(tiles, [first])
        words = {name: float(found[token]) for token, name in enumerate(spelling.names)}
        for name in (NEWLINE, UNKNOWN):
            words.pop(name, None)
    else:
        words = search(tiles, spelling, first, k)
    return sorted(words.items(), key=lambda word: (-word[1], word[0]))[:k]


def search(tiles: Tiles, spelling: Spelling, first: Beginning, k: int) -> dict[str, float]:
    """Words and their probabilities, the `k` most probable ones among them."""
    ends = np.array([name[:1] in (" ", NEWLINE) for name in spelling.names])  # tokens that leave a word before them
    pieces = spelling.tokenizer.kind == "subword"  # a word begins with one of the ends
    words: dict[str, float] = {}
    waiting = [first]
    looked = 0
    while waiting and looked < MOST:
        bound = max([RAREST, *heapq.nlargest(k, words.values())[k - 1 :]])
        some: list[Beginning] = []
        while waiting and len(some) < TOGETHER and -waiting[0].cost > bound:
            some.append(heapq.heappop(waiting))
        if not some:
            break
        looked += len(some)
        found, states = look(tiles, some)
        for beginning, probabilities, state in zip(some, found, states, strict=True):
            on = ~ends
            if beginning is first:
                if pieces:  # given that a word follows, as after the space of a character model
                    on = ends & (np.arange(len(ends)) != END_OF_LINE)
                    probabilities = probabilities / probabilities[on].sum()
            elif beginning.text:
                whole = -beginning.cost * float(probabilities[ends].sum())
                words[beginning.text] = words.get(beginning.text, 0.0) + whole
            each = -beginning.cost * probabilities
            for token in np.flatnonzero(on & (each > bound)).tolist():
                if token != spelling.unknown:
                    text = beginning.text + spelling.names[token].removeprefix(" ")
                    heapq.heappush(waiting, Beginning(-float(each[token]), text, token, state))
    return words


def look(tiles: Tiles, beginnings: Sequence[Beginning]) -> tuple[np.ndarray, Tensor]:
    """Reads the last token of each: probabilities (beginnings, vocabulary) float64, states (beginnings, state_size)."""
    before = torch.stack([one.state for one in beginnings])
    last = tiles.tensor([one.token for one in beginnings])
    after = torch.empty_like(before)
    found = np.empty((len(beginnings), tiles.model.vocabulary))

    def work(first: int, end: int, height: int) -> None:
        tile = padded(torch.arange(first, end, device=last.device), height)
        outputs, states = tiles.model.step(before[tile], last[tile])
        after[first:end] = states[: end - first]
        found[first:end] = raw_scores(tiles.model, outputs)[: end - first].double().softmax(1).cpu().numpy()

    tiles.each(work, len(beginnings))
    return found, after

"""Surprisal of each token of a text under a language model, and the tokens that the model expected."""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass

import torch

from speechrnn.data.tokens import TokenFile
from speechrnn.evaluation.perplexity import PlainScorer, evaluating, windows
from speechrnn.nn.language import END_OF_LINE, LanguageModel
from speechrnn.text.tokenizers import Tokenizer

EXPECTED = 3  # most probable tokens that are named
SEEN = {" ": "␣", "▁": "␣", "\t": "⇥", "\u00a0": "⍽"}  # signs in the place of invisible characters


@dataclass(frozen=True)
class TokenSurprisal:
    """One token of a text.

    Attributes:
        token: its index.
        logprob: natural logarithm of its probability after all that stands before it.
        expected: the most probable tokens there and their probabilities, the first one first.
    """

    token: int
    logprob: float
    expected: tuple[tuple[int, float], ...]

    @property
    def bits(self) -> float:
        """Return the surprisal in bits: minus the logarithm to base 2 of the probability."""
        return -self.logprob / math.log(2)


@torch.inference_mode()
def token_surprisals(model: LanguageModel, text: TokenFile, most: int, documents: bool = False) -> list[TokenSurprisal]:
    """Score the first `most` tokens of a text as one stream; with `documents`, each document from the start state."""
    found: list[TokenSurprisal] = []
    reader = PlainScorer(model)
    with evaluating(model):
        for batch in windows(text, min(reader.length, most), documents):
            outputs, targets = reader.advance(batch)
            log_probs = model.log_probs(outputs[:, 0])
            own = log_probs.gather(1, targets).squeeze(1)
            best, tokens = log_probs.topk(min(EXPECTED, model.vocabulary), 1)
            for token, logprob, names, chances in zip(
                targets[:, 0].tolist(), own.tolist(), tokens.tolist(), best.exp().tolist(), strict=True
            ):
                found.append(TokenSurprisal(token, logprob, tuple(zip(names, chances, strict=True))))
            if len(found) >= most:
                break
    return found[:most]


def surface_form(tokenizer: Tokenizer, token: int) -> str:
    """Return a token as it stands in a text, with its space; the end of a line is a line feed."""
    if token == END_OF_LINE:
        return "\n"
    symbol = tokenizer.symbols[token]
    return {"word": f"{symbol} ", "subword": symbol.replace("▁", " ")}.get(tokenizer.kind, symbol)


def visible_form(tokenizer: Tokenizer, token: int) -> str:
    """Return a token in visible characters: "↵" for the end of a line, a sign for a space."""
    if token == END_OF_LINE:
        return "↵"
    return "".join(SEEN.get(letter, letter) for letter in tokenizer.symbols[token])


def select_passage(found: list[TokenSurprisal], tokenizer: Tokenizer, characters: int) -> slice:
    """Return a slice of about so many characters that begins at the start of a line near the middle of the text."""
    starts = [0, *(place + 1 for place, surprisal in enumerate(found) if surprisal.token == END_OF_LINE)]
    sizes = list(itertools.accumulate(len(surface_form(tokenizer, surprisal.token)) for surprisal in found))
    # In a short text, where enough follows.
    latest = bisect.bisect_left(sizes, sizes[-1] - characters) if found else 0
    start = max(place for place in starts if place <= min(len(found) // 2, latest))
    before = sizes[start - 1] if start else 0
    return slice(start, bisect.bisect_right(sizes, before + characters))

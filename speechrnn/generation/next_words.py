"""The most probable next words after a text."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.generation.detokenizer import NEWLINE, Detokenizer
from speechrnn.generation.fixed_batches import FixedBatches, pad_index
from speechrnn.generation.logits_processors import compute_logits
from speechrnn.generation.prompt_encoder import PromptEncoder, check_text
from speechrnn.nn.language import END_OF_LINE
from speechrnn.text.tokenizers import UNKNOWN

MIN_PROBABILITY = 1e-6  # of a word; less probable ones are not looked for
BATCH = 16  # partial words read at a time
MAX_PARTIAL_WORDS = 4096  # partial words that are read


@dataclass(order=True)
class PartialWord:
    """The beginning of a word.

    Attributes:
        cost: minus its probability, which no word that begins so can exceed.
        text: its characters.
        token: its last token, not read yet.
        state: (state_size,) before that token.
    """

    cost: float
    text: str
    token: int = field(compare=False)
    state: Tensor = field(compare=False)


def find_next_words(
    batches: FixedBatches, encoder: PromptEncoder, detokenizer: Detokenizer, prompt: str, k: int
) -> list[tuple[str, float]]:
    """Find the `k` most probable words after a prompt whose last word is complete, with their probabilities.

    Of a word model these are its next tokens. Of a model of characters or subwords it is a best-first search through
    the ways to spell on until a space or the line's end: a partial word is dropped where it is less probable than
    `k` whole words are, so that none of these is missed. (Subwords can spell a word in several ways, which are added
    up; the probability of dropped ways is missing.)

    Raises:
        UserError: the prompt is no text, or holds characters that the model does not know; or `k` is no whole number.
    """
    check_text(prompt)
    if not isinstance(k, int):
        raise UserError(f"k={k} is wrong: it must be a whole number.")
    prompt = prompt.rstrip(" ")
    kind = encoder.tokenizer.kind
    if kind == "char" and " " in detokenizer.symbols and not prompt.endswith(NEWLINE) and prompt:
        prompt += " "
    *before, last = (END_OF_LINE, *encoder.encode(prompt))
    (state,) = batches.prefill([before])
    first = PartialWord(-1.0, "", last, state=state)
    if kind == "word":
        (found,), _ = _read(batches, [first])
        words = {symbol: float(found[token]) for token, symbol in enumerate(detokenizer.symbols)}
        for symbol in (NEWLINE, UNKNOWN):
            words.pop(symbol, None)
    else:
        words = _search(batches, detokenizer, first, k=k)
    return sorted(words.items(), key=lambda word: (-word[1], word[0]))[:k]


def _search(batches: FixedBatches, detokenizer: Detokenizer, first: PartialWord, k: int) -> dict[str, float]:
    """Find words and their probabilities, the `k` most probable ones among them."""
    symbols = detokenizer.symbols
    ends = np.array([symbol[:1] in (" ", NEWLINE) for symbol in symbols])  # tokens before which a word ends
    subwords = detokenizer.tokenizer.kind == "subword"  # a word begins with one of the ends
    words: dict[str, float] = {}
    waiting = [first]
    read = 0
    while waiting and read < MAX_PARTIAL_WORDS:
        bound = max([MIN_PROBABILITY, *heapq.nlargest(k, words.values())[k - 1 :]])
        batch: list[PartialWord] = []
        while waiting and len(batch) < BATCH and -waiting[0].cost > bound:
            batch.append(heapq.heappop(waiting))
        if not batch:
            break
        read += len(batch)
        found, states = _read(batches, batch)
        for partial, probabilities, state in zip(batch, found, states, strict=True):
            allowed = ~ends
            if partial is first:
                if subwords:  # given that a word follows, as after the space of a character model
                    allowed = ends & (np.arange(len(ends)) != END_OF_LINE)
                    probabilities = probabilities / probabilities[allowed].sum()
            elif partial.text:
                complete = -partial.cost * float(probabilities[ends].sum())
                words[partial.text] = words.get(partial.text, 0.0) + complete
            extended = -partial.cost * probabilities
            for token in np.flatnonzero(allowed & (extended > bound)).tolist():
                if token != detokenizer.unknown:
                    text = partial.text + symbols[token].removeprefix(" ")
                    heapq.heappush(waiting, PartialWord(-float(extended[token]), text, token, state=state))
    return words


def _read(batches: FixedBatches, partial_words: Sequence[PartialWord]) -> tuple[np.ndarray, Tensor]:
    """Read the last token of each: probabilities (rows, vocabulary) float64, states (rows, state_size)."""
    before = torch.stack([partial.state for partial in partial_words])
    last = batches.index([partial.token for partial in partial_words])
    after = torch.empty_like(before)
    found = np.empty((len(partial_words), batches.model.vocabulary))

    def work(first: int, end: int, size: int) -> None:
        rows = pad_index(torch.arange(first, end, device=last.device), size)
        outputs, states = batches.model.step(before[rows], last[rows])
        after[first:end] = states[: end - first]
        logits = compute_logits(batches.model, outputs)[: end - first]
        found[first:end] = logits.double().softmax(1).cpu().numpy()

    batches.for_each(work, len(partial_words))
    return found, after

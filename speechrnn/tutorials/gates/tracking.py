"""Cells that keep track of something with a name: inside quotes, the place in the line, the place in the word.

After Karpathy, Johnson & Fei-Fei (2015), who found such cells by looking. Here they are found by correlation: chosen on
one half of a text that the model has not learnt from, and judged on the other, since the best of many cells would look
good by luck on the half that it was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speechrnn.tutorials.gates.reading import Reading


@dataclass(frozen=True)
class Tracker:
    """A cell and what it follows.

    Attributes:
        name: such as "inside quotes".
        layer, unit: where it is, from 0 up.
        correlation: between the cell state and what it follows, over the half that it was not chosen on; negative where
            the cell falls as that rises.
    """

    name: str
    layer: int
    unit: int
    correlation: float


def inside_quotes(tokens: Sequence[str]) -> list[float]:
    """1 from an opening quotation mark to the token before the closing one; an empty line closes all."""
    inside, before, signal = False, "", []
    for token in tokens:
        for character in token:
            inside = {'"': not inside, "“": True, "”": False}.get(character, inside)
        if token == before == "\n":
            inside = False
        signal.append(float(inside))
        before = token
    return signal


def place_in_line(tokens: Sequence[str]) -> list[float]:
    """Characters read since the line began; 0 at its end."""
    return _count(tokens, lambda token: token == "\n")


def place_in_word(tokens: Sequence[str]) -> list[float]:
    """Letters read of a word, 0 between words."""
    return _count(tokens, lambda token: not token.isalnum())


def place_in_sentence(tokens: Sequence[str]) -> list[float]:
    """Characters read since the last full stop, question mark or exclamation mark."""
    return _count(tokens, lambda token: token.strip() in (".", "!", "?"))


SIGNALS = {
    "inside quotes": inside_quotes,
    "place in the line": place_in_line,
    "place in the word": place_in_word,
    "place in the sentence": place_in_sentence,
}


def signals(tokens: Sequence[str], characters: bool) -> dict[str, Tensor]:
    """name -> (tokens,) what could be followed in this text; what never changes in it is left out.

    Args:
        characters: whether the tokens are characters. Others have no place in a word.
    """
    found = {}
    for name, count in SIGNALS.items():
        signal = torch.tensor(count(tokens))
        halves = signal.tensor_split(2)
        if (characters or count is not place_in_word) and all(len(half) > 1 and half.std() > 0 for half in halves):
            found[name] = signal
    return found


def correlations(cells: Tensor, signal: Tensor) -> Tensor:
    """Pearson's, (tokens, units) with (tokens,) -> (units,); 0 for a cell that never changes."""
    cells, signal = cells - cells.mean(0), signal - signal.mean()
    return (cells * signal[:, None]).sum(0) / (cells.norm(dim=0) * signal.norm()).clamp_min(1e-12)


def find_trackers(reading: Reading, characters: bool) -> list[Tracker]:
    """The cell that follows each signal best."""
    trackers = []
    units = [layer.cell.shape[1] for layer in reading.layers]
    cells = torch.cat([layer.cell for layer in reading.layers], 1)
    for name, signal in signals(reading.tokens, characters).items():
        (first, second), (sought, judged) = cells.tensor_split(2), signal.tensor_split(2)
        best = int(correlations(first, sought).abs().argmax())
        correlation = correlations(second[:, best : best + 1], judged).item()
        layer = next(number for number in range(len(units)) if best < sum(units[: number + 1]))
        trackers.append(Tracker(name, layer, best - sum(units[:layer]), correlation))
    return trackers


def _count(tokens: Sequence[str], ends: Callable[[str], bool]) -> list[float]:
    count, signal = 0, []
    for token in tokens:
        count = 0 if ends(token) else count + len(token)
        signal.append(float(count))
    return signal

"""Find cells that follow a named signal: inside quotes, the place in the line, in the word, in the sentence.

Karpathy, Johnson & Fei-Fei (2015) found such cells by looking at them. Here a cell is chosen by its correlation on one
half of a text that the model was not trained on, and its correlation is measured on the other half: the best of many
cells would always look good on the half on which it was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speechrnn.tutorials.gates.activations import Activations


@dataclass(frozen=True)
class Tracker:
    """A cell and the signal that it follows.

    Attributes:
        name: of the signal, such as "inside quotes".
        layer, unit: indices from 0.
        correlation: of memory and signal on the half on which the cell was not chosen.
    """

    name: str
    layer: int
    unit: int
    correlation: float


def inside_quotes(tokens: Sequence[str]) -> list[float]:
    """Return 1 from an opening quotation mark to the token before the closing one; an empty line closes all."""
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
    """Return the number of characters since the line began; 0 at its end."""
    return _count(tokens, lambda token: token == "\n")


def place_in_word(tokens: Sequence[str]) -> list[float]:
    """Return the number of letters since the word began, 0 between words."""
    return _count(tokens, lambda token: not token.isalnum())


def place_in_sentence(tokens: Sequence[str]) -> list[float]:
    """Return the number of characters since the last full stop, question mark or exclamation mark."""
    return _count(tokens, lambda token: token.strip() in (".", "!", "?"))


SIGNALS = {
    "inside quotes": inside_quotes,
    "place in the line": place_in_line,
    "place in the word": place_in_word,
    "place in the sentence": place_in_sentence,
}


def signals(tokens: Sequence[str], characters: bool) -> dict[str, Tensor]:
    """Return the signals (tokens,) by name; those that are constant in the text are left out.

    Args:
        characters: whether the tokens are characters; words have no place in the word.
    """
    found = {}
    for name, count in SIGNALS.items():
        signal = torch.tensor(count(tokens))
        halves = signal.tensor_split(2)
        if (characters or count is not place_in_word) and all(len(half) > 1 and half.std() > 0 for half in halves):
            found[name] = signal
    return found


def correlations(cells: Tensor, signal: Tensor) -> Tensor:
    """Return Pearson's correlations (units,) of (tokens, units) with (tokens,); 0 for a constant cell."""
    cells, signal = cells - cells.mean(0), signal - signal.mean()
    return (cells * signal[:, None]).sum(0) / (cells.norm(dim=0) * signal.norm()).clamp_min(1e-12)


def find_trackers(activations: Activations, characters: bool) -> list[Tracker]:
    """Return the cell that follows each signal best."""
    trackers = []
    units = [layer.cell.shape[1] for layer in activations.layers]
    cells = torch.cat([layer.cell for layer in activations.layers], 1)
    for name, signal in signals(activations.tokens, characters).items():
        (first, second), (sought, judged) = cells.tensor_split(2), signal.tensor_split(2)
        best = int(correlations(first, sought).abs().argmax())
        correlation = correlations(second[:, best : best + 1], judged).item()
        layer = next(number for number in range(len(units)) if best < sum(units[: number + 1]))
        trackers.append(Tracker(name, layer, best - sum(units[:layer]), correlation=correlation))
    return trackers


def _count(tokens: Sequence[str], ends: Callable[[str], bool]) -> list[float]:
    count, signal = 0, []
    for token in tokens:
        count = 0 if ends(token) else count + len(token)
        signal.append(float(count))
    return signal

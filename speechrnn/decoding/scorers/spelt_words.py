"""The words of a language model as the acoustic model spells them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


class SpeltWords:
    """Spellings and the tokens of the language model that each stands for: several where words sound alike.

    Spellings are numbered as the words of the prefix tree.

    >>> words = SpeltWords([[3], [1, 4]], unknown=2)
    >>> words.first.tolist(), words.groups.tolist()
    ([3, 1], [-1, 0])

    Attributes:
        tokens: of each spelling.
        first: (spellings,) the first token of each.
        groups: (spellings,) the group of each spelling of several words; -1 where it belongs to one word only.
        shared: (groups,) the spellings of several words.
        alternatives: (groups, words of the largest) their tokens; the first one fills up the shorter rows.
        flat: (n,) the tokens of all spellings, one after the other.
        offsets: (spellings + 1,) where those of each begin in `flat`.
        unknown: token whose probability unknown words have.
    """

    def __init__(self, tokens: Sequence[Sequence[int]], unknown: int, device: torch.device | str = "cpu") -> None:
        self.tokens = tokens
        self.unknown = unknown
        self.first = torch.tensor([found[0] for found in tokens], device=device)
        several = [number for number, found in enumerate(tokens) if len(found) > 1]
        most = max((len(tokens[number]) for number in several), default=1)
        padded = [list(tokens[number]) + [tokens[number][0]] * (most - len(tokens[number])) for number in several]
        self.shared = torch.tensor(several, dtype=torch.long, device=device)
        self.alternatives = torch.tensor(padded, dtype=torch.long, device=device).view(len(several), most)
        self.flat = torch.tensor([token for found in tokens for token in found], device=device)
        self.offsets = torch.tensor([0, *itertools.accumulate(map(len, tokens))], device=device)
        self.groups = torch.full((len(tokens),), -1, device=device)
        self.groups[self.shared] = torch.arange(len(several), device=device)

    def __len__(self) -> int:
        """Return the number of spellings."""
        return len(self.tokens)

    def choose(self, log_probs: Tensor) -> tuple[Tensor, Tensor]:
        """Take each spelling for the most probable of its words.

        Args:
            log_probs: (n, tokens) of the language model.

        Returns:
            (n, spellings) log-probabilities, and the (n, groups) tokens that have those of the shared spellings.
        """
        values = log_probs.index_select(1, self.first)
        if not len(self.shared):
            return values, self.shared.new_empty(len(log_probs), 0)
        best, places = log_probs[:, self.alternatives].max(2)
        values[:, self.shared] = best
        tokens = self.alternatives.expand(len(log_probs), -1, -1).gather(2, places[:, :, None])
        return values, tokens[:, :, 0]

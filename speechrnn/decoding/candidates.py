"""The pairs of hypothesis and label that a search tries in a frame."""

from __future__ import annotations

import torch


class Candidates:
    """Index the extensions of a frame: hypotheses (by their slot in the beam) with labels (by their rank).

    Candidates for the next beam are the pairs and behind them the hypotheses as they are. Behind the candidates' masses
    stand one that is never chosen, for what isn't tried, and the masses of hypotheses as they are that end in a
    blank and in a label.

    Where only the frame ranks the labels (no scorers), a pair is left out if at least `beam_size` others are better:
    the a-th best hypothesis with the s-th best label (both from 0) scores no more than each of (a + 1)(s + 1) pairs.
    One label of a hypothesis may be an exception, the repetition of its last one, which leaves (a + 1) s. (A pair that
    is merged into a hypothesis in the beam makes that at least as good.)

    Attributes:
        count: of the candidates.
        slots, ranks: (pairs,).
        origin: (count + 1,) the slot from which each comes.
        added: (count + 1,) the rank of the label that it adds, and `labels` for hypotheses as they are.
        blank, label: (count + 1,) where the mass stands of its paths that end in a blank, and in a label.
        places: ((labels + 1) x (beam_size + 1),) which candidate a rank and a slot are.
    """

    def __init__(self, beam_size: int, tried: int, labels: int, every: bool, device: torch.device) -> None:
        """List the candidates. `tried`: the most probable labels; `every`: their pairs with all slots are needed."""
        slot = torch.arange(beam_size, device=device)
        rank = torch.arange(tried, device=device)
        needed = (slot[:, None] + 1) * rank <= (beam_size * max(tried, 1) if every else beam_size)
        self.slots, self.ranks = (part.contiguous() for part in needed.nonzero().T)
        pairs = len(self.slots)
        self.count = pairs + beam_size
        never = torch.tensor([self.count], device=device)
        self.origin = torch.cat([self.slots, slot, never * 0])
        self.added = torch.cat([self.ranks, torch.full_like(slot, labels), never * 0 + labels])
        self.blank = torch.cat([never.expand(pairs), never + 1 + slot, never])
        self.label = torch.cat([torch.arange(pairs, device=device), never + 1 + beam_size + slot, never])
        places = torch.full((labels + 1, beam_size + 1), self.count, device=device)
        places[self.ranks, self.slots] = torch.arange(pairs, device=device)
        self.places = places.view(-1)

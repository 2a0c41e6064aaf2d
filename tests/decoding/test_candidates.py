"""The candidates of a frame hold every pair that may be among the best."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.decoding.candidates import Candidates


@given(beam=st.integers(1, 12), tried=st.integers(1, 10), seed=st.integers(0, 1000))
def test_the_best_of_all_pairs_are_among_the_candidates(beam: int, tried: int, seed: int) -> None:
    """Scores of hypotheses and of labels both fall; a pair's score is their sum."""
    generator = torch.Generator().manual_seed(seed)
    hypotheses = torch.rand(beam, generator=generator).sort(descending=True).values
    labels = torch.rand(tried, generator=generator).sort(descending=True).values
    candidates = Candidates(beam, tried, tried, every=False, device=torch.device("cpu"))
    best = (hypotheses[:, None] + labels).flatten().topk(min(beam, beam * tried)).values
    found = (hypotheses[candidates.slots] + labels[candidates.ranks]).topk(len(best)).values
    torch.testing.assert_close(found, best)


@given(beam=st.integers(1, 12), tried=st.integers(0, 10), every=st.booleans())
def test_a_candidate_is_found_by_its_rank_and_slot(beam: int, tried: int, every: bool) -> None:
    labels = max(tried, 1)
    candidates = Candidates(beam, tried, labels, every=every, device=torch.device("cpu"))
    pairs = len(candidates.slots)
    assert candidates.count == pairs + beam
    if every:
        assert pairs == beam * tried
    places = candidates.places.view(labels + 1, beam + 1)
    assert places[candidates.ranks, candidates.slots].tolist() == [*range(pairs)]
    assert candidates.origin[pairs:-1].tolist() == [*range(beam)]  # the hypotheses as they are

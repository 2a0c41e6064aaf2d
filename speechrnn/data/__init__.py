"""Corpora, texts, and the batches and token files made of them.

>>> from speechrnn.data import plan_batches
>>> sorted(len(batch) for batch in plan_batches([2.0, 2.0, 9.0, 2.0, 2.0], batch_seconds=4.0, seed=0, epoch=0))
[1, 2, 2]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.data.batching import largest_batch, plan_batches
    from speechrnn.data.dataset import PlannedBatches, Utterances
    from speechrnn.data.fingerprint import fingerprint_cuts, fingerprint_tokenizer, fingerprint_tokens
    from speechrnn.data.tokens import BpttBatches, TokenFile

__all__ = [
    "BpttBatches",
    "PlannedBatches",
    "TokenFile",
    "Utterances",
    "fingerprint_cuts",
    "fingerprint_tokenizer",
    "fingerprint_tokens",
    "largest_batch",
    "plan_batches",
]

_MODULES = {
    "batching": ("largest_batch", "plan_batches"),
    "dataset": ("PlannedBatches", "Utterances"),
    "fingerprint": ("fingerprint_cuts", "fingerprint_tokenizer", "fingerprint_tokens"),
    "tokens": ("BpttBatches", "TokenFile"),
}

__getattr__ = lazy_names(__name__, _MODULES)

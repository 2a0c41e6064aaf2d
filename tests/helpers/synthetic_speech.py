"""Settings of synthetic utterances."""

from __future__ import annotations

from speechrnn.data.corpora.synthesis import Draw

DRAW = Draw(
    id="train-00000",
    text="Sharks feed on tuna fishes.",
    voice="en-us+f1",
    rate=160,
    pitch=50,
    pitch_range=50,
    noise=None,
    snr=20.0,
    level=-26.0,
    seed=1,
)

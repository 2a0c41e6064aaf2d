"""From the acoustic model's log-probabilities to words: hypotheses, search, and alignment."""

"""Warnings of a stream: reasons to doubt its words, each given once, as soon as it is known."""

from __future__ import annotations

import logging
from collections import deque

import torch
from torch import Tensor

from speechrnn.decoding.model_facts import ModelFacts
from speechrnn.decoding.uncertainty import Uncertainty, measure_uncertainty
from speechrnn.transcription.transcript_warnings import TranscriptWarning, narrow_band, unfamiliar
from speechrnn.transcription.unfamiliar import CLOSE_RATE, lowest_rate

logger = logging.getLogger("speechrnn")

RECENT_LABELS = 300  # of the latest segments (about half a minute of speech) that are compared with the dev part


class StreamWarnings:
    """Collect and log the warnings of a stream.

    >>> warnings = StreamWarnings(ModelFacts(), 16000)
    >>> warnings.check_rate(8000)
    >>> warnings.take()
    ()

    Attributes:
        all: every warning so far.
    """

    def __init__(self, facts: ModelFacts, sampling_rate: int) -> None:
        """
        Args:
            facts: about the model.
            sampling_rate: of the model, Hz.
        """
        self.all: tuple[TranscriptWarning, ...] = ()
        self._facts = facts
        self._lowest = lowest_rate(facts.training, sampling_rate)
        self._recent: deque[Uncertainty] = deque()  # of the latest segments
        self._taken = 0

    def add(self, warning: TranscriptWarning) -> None:
        """Log a warning, unless there was one of its kind."""
        if all(known.kind != warning.kind for known in self.all):
            self.all += (warning,)
            logger.warning(warning.message)

    @property
    def waiting(self) -> bool:
        """Return whether there are warnings that were not taken yet."""
        return self._taken < len(self.all)

    def take(self) -> tuple[TranscriptWarning, ...]:
        """Return the warnings that are new since the last call."""
        new = self.all[self._taken :]
        self._taken = len(self.all)
        return new

    def check_rate(self, rate: int) -> None:
        """Warn of a sampling rate, in Hz, below those that the model was trained on."""
        if self._lowest is not None and rate < CLOSE_RATE * self._lowest:
            self.add(narrow_band(rate, self._lowest))

    def check_segment(self, log_probs: Tensor) -> None:
        """Warn where the latest segments with words are unlike the model's training data.

        Args:
            log_probs: (frames, symbols) of a segment that has ended, and has words.
        """
        dev = self._facts.dev
        if dev is None:
            return
        (uncertainty,) = measure_uncertainty(log_probs.unsqueeze(0), torch.tensor([len(log_probs)]))
        self._recent.append(uncertainty)
        total = sum(self._recent, Uncertainty())
        while total.labels - self._recent[0].labels >= RECENT_LABELS:
            self._recent.popleft()
            total = sum(self._recent, Uncertainty())
        if dev.is_far(total):
            self.add(unfamiliar(dev.ratio(total), self._facts.training))

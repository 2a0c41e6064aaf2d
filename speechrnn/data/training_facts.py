"""Facts about the speech that a model was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from speechrnn.core.plural import count

if TYPE_CHECKING:
    from lhotse.cut import Cut

RARE = 0.05  # least share of the audio from which a sampling rate counts as one of the training's


@dataclass(frozen=True)
class TrainingFacts:
    """Describe a training part.

    >>> TrainingFacts(hours=0.7, utterances=900, speakers=70, words=3000, vocabulary=100).describe()
    '0.7 hours, 70 speakers, 100 different words'

    Attributes:
        hours: of audio.
        utterances: how many.
        speakers: how many; 0: not known.
        words: how many in all transcripts.
        vocabulary: how many different ones.
        sampling_rates: hours of audio by the sampling rate of its files, Hz.
        narrow_band: whether a part of it was limited to the band of a telephone in training; None: not known.
        init_from: the model whose weights the training began with; None: random ones.
    """

    hours: float = field(metadata={"min": 0.0})
    utterances: int = field(metadata={"min": 0})
    speakers: int = field(metadata={"min": 0})
    words: int = field(metadata={"min": 0})
    vocabulary: int = field(metadata={"min": 0})
    sampling_rates: dict[str, float] = field(default_factory=dict)
    narrow_band: bool | None = None
    init_from: str | None = None

    def __post_init__(self) -> None:
        if not all(rate.isascii() and rate.isdecimal() and len(rate) <= 7 for rate in self.sampling_rates):
            raise ValueError("sampling_rates has a key that is no rate in Hz")

    @classmethod
    def of(cls, cuts: Iterable[Cut], narrow_band: bool | None = None, init_from: str | None = None) -> TrainingFacts:
        """Describe the utterances of a prepared part.

        Args:
            cuts: one supervision each.
            narrow_band, init_from: see the attributes.
        """
        utterances, words, speakers = 0, Counter[str](), set[str]()
        seconds: Counter[int] = Counter()
        for cut in cuts:
            utterances += 1
            seconds[int(cut.sampling_rate)] += cut.duration
            words.update((cut.supervisions[0].text or "").split())
            if cut.supervisions[0].speaker is not None:
                speakers.add(cut.supervisions[0].speaker)
        return cls(
            hours=round(sum(seconds.values()) / 3600, 4),
            utterances=utterances,
            speakers=len(speakers),
            words=words.total(),
            vocabulary=len(words),
            sampling_rates={str(rate): round(seconds[rate] / 3600, 4) for rate in sorted(seconds)},
            narrow_band=narrow_band,
            init_from=init_from,
        )

    @property
    def lowest_rate(self) -> int | None:
        """Return the lowest sampling rate in Hz that the model was trained on; None: any, or not known.

        It is not known of a model that was fine-tuned, since the first training may have had others.
        """
        if self.narrow_band is not False or self.init_from is not None:
            return None
        total = sum(self.sampling_rates.values())
        known = [int(rate) for rate, hours in self.sampling_rates.items() if hours > RARE * total]
        return min(known, default=None)

    def describe(self) -> str:
        """Return hours, speakers where they are known, vocabulary, and where it began, for a sentence."""
        speakers = f"{count(self.speakers, 'speaker')}, " if self.speakers else ""
        initial = "" if self.init_from is None else f", fine-tuned from {self.init_from}"
        return f"{self.hours:.1f} hours, {speakers}{count(self.vocabulary, 'different word')}{initial}"

"""Utterances that an acoustic model can be trained on: their labels are known and fit into their frames."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel
from speechrnn.nn.ctc import required_frames
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import Tokenizer
from speechrnn.text.unknown_symbols import count_unknown_symbols, describe_unknown

if TYPE_CHECKING:
    from lhotse import CutSet

logger = logging.getLogger("speechrnn")


@dataclass(frozen=True)
class TooShort:
    """An utterance that has fewer frames than CTC needs for its labels."""

    id: str
    frames: int
    needed: int


def check_pronunciations(pronunciations: Pronunciations, cuts: CutSet, path: Path) -> None:
    """Log how many utterances have a word without a pronunciation.

    Raises:
        UserError: all of them have.
    """
    missing = sum(pronunciations.encode(cut.supervisions[0].text) is None for cut in cuts)
    if missing == len(cuts):
        raise UserError(
            f"Each training transcript has a word that {path} does not pronounce; leave out trainer.pronunciations."
        )
    if missing:
        logger.info("%d of %d utterances have a word without a pronunciation in %s.", missing, len(cuts), path)


def select_encodable(cuts: CutSet, tokenizer: Tokenizer) -> CutSet:
    """Return the cuts whose text the tokenizer can encode, and log the unknown characters with their utterances."""
    report = count_unknown_symbols(tokenizer, ((cut.id, cut.supervisions[0].text) for cut in cuts))
    if not report:
        return cuts
    encodable = cuts.filter(lambda cut: not tokenizer.count_unknown(cut.supervisions[0].text)).to_eager()
    logger.warning("%s Left out %d utterances.", describe_unknown(report), len(cuts) - len(encodable))
    return encodable


def select_long_enough(
    cuts: CutSet, model: AcousticModel, tokenizer: Tokenizer, fastest: float
) -> tuple[CutSet, list[TooShort]]:
    """Split cuts by whether their frames suffice for their labels when played `fastest` times as fast.

    Returns:
        the cuts that are long enough, and a record of each of the others.
    """
    rate = model.front_end.options.sampling_rate
    left_out = []
    for cut in cuts:
        samples = torch.tensor(int(cut.duration * rate / fastest))
        frames = int(model.frames(samples))
        needed = required_frames(tokenizer.encode(cut.supervisions[0].text))
        if frames < needed:
            left_out.append(TooShort(cut.id, frames, needed))
    short = {utterance.id for utterance in left_out}
    return cuts.filter(lambda cut: cut.id not in short).to_eager(), left_out

"""One way from log-probabilities to words with times and confidences, greedily or by beam search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.alignment import align_words, words_on_path
from speechrnn.decoding.beam_search import beam_search
from speechrnn.decoding.confidence import Calibration, word_posteriors
from speechrnn.decoding.fusion import DecodingOptions, make_rescorer, make_scorers
from speechrnn.decoding.greedy import best_paths
from speechrnn.decoding.hypothesis import DecodingResult, Hypothesis, Word
from speechrnn.decoding.rescoring import rescore
from speechrnn.decoding.scorers.base import WeightedScorer
from speechrnn.decoding.tuned_weights import TunedDecoding
from speechrnn.text.tokenizers import Tokenizer


class Decoder(Protocol):
    """What finds the words."""

    @property
    def name(self) -> str:
        """What transcripts say of it."""

    def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
        """(batch, frames, symbols) log-probabilities, (batch,) true frames -> what was said in each utterance."""


@dataclass(frozen=True)
class GreedyDecoder:
    """Takes each frame's most probable symbol; a word is as sure as its letters."""

    tokenizer: Tokenizer
    seconds_per_frame: float
    name: str = "greedy"

    def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
        """See `Decoder`."""
        found = []
        for hypothesis, path, scores in best_paths(log_probs, frames):
            words = words_on_path(path, scores, self.tokenizer, self.seconds_per_frame)
            found.append(DecodingResult(words, (self.tokenizer.decode(hypothesis.tokens),), (hypothesis,), len(path)))
        return found


@dataclass(frozen=True)
class BeamDecoder:
    """Searches for the text that acoustic model and scorers like best, places it in time, and says how sure it is."""

    tokenizer: Tokenizer
    seconds_per_frame: float
    options: DecodingOptions
    scorers: Sequence[WeightedScorer] = ()
    rescorer: WeightedScorer | None = None
    calibration: Calibration = field(default_factory=Calibration)
    name: str = "beam"

    def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
        """See `Decoder`."""
        hypotheses = beam_search(log_probs, frames, self.scorers, self.options)
        if self.rescorer is not None:
            hypotheses = rescore(hypotheses, self.rescorer)
        log_probs = log_probs.cpu()
        return [
            self._place(one, row[:count])
            for one, row, count in zip(hypotheses, log_probs, frames.tolist(), strict=True)
        ]

    def _place(self, hypotheses: list[Hypothesis], log_probs: Tensor) -> DecodingResult:
        texts = tuple(self.tokenizer.decode(hypothesis.tokens) for hypothesis in hypotheses)
        words = align_words(log_probs, hypotheses[0].tokens, self.tokenizer, self.seconds_per_frame)
        if len(hypotheses) == 1:
            posteriors = [1.0] * len(
                words
            )  # without an alignment of the hypothesis with itself, which takes its square
        else:
            posteriors = word_posteriors(
                [text.split() for text in texts], [hypothesis.score for hypothesis in hypotheses]
            )
        sure = tuple(
            Word(word.word, word.start, word.end, self.calibration(posterior, word.confidence))
            for word, posterior in zip(words, posteriors, strict=True)
        )
        return DecodingResult(sure, texts, tuple(hypotheses), len(log_probs))


def system_name(options: DecodingOptions, language_model: str | Path | None) -> str:
    """What the way of decoding is called in results: greedy, beam (with a language model), ngram, or bare_beam."""
    if options.name == "greedy":
        return "greedy"
    if language_model is not None:
        return "beam"
    return "ngram" if options.ngram is not None else "bare_beam"


def make_decoder(
    options: DecodingOptions,
    language_model: str | Path | None,
    tokenizer: Tokenizer,
    seconds_per_frame: float,
    tuned: Mapping[str, TunedDecoding],
    device: torch.device | str = "cpu",
) -> Decoder:
    """The decoder that the options ask for.

    Args:
        language_model: a language model directory, or None.
        tokenizer: of the acoustic model.
        tuned: what tuning found for each system; see `tuned.read_tuned`.

    Raises:
        UserError: see `fusion.make_scorers`; a language model beside greedy decoding, which would not ask it.
    """
    if options.name == "greedy":
        if language_model is not None:
            raise UserError(f"language_model={language_model} is not asked by decoding=greedy; add decoding=beam.")
        return GreedyDecoder(tokenizer, seconds_per_frame)
    found = tuned.get(system_name(options, language_model), TunedDecoding())
    folder = None if language_model is None else Path(language_model)
    scorers = make_scorers(options, folder, found.weights, tokenizer, device)
    rescorer = make_rescorer(options, tokenizer, device)
    return BeamDecoder(tokenizer, seconds_per_frame, options, scorers, rescorer, found.calibration)

"""Decoders: from log-probabilities to words with times and confidences, greedily or by beam search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from speechrnn.decoding.hypothesis import ConfidenceFeatures, DecodingResult, Hypothesis, Word
from speechrnn.decoding.rescoring import rescore
from speechrnn.decoding.scorers.base import WeightedScorer
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.decoding.tuned_weights import TunedDecoding, find_tuned
from speechrnn.text.tokenizers import Tokenizer

POSTERIOR_HYPOTHESES = 10  # hypotheses from which confidences are computed, however many are returned
_BEAM_ONLY = ("ngram", "hot_words", "lexicon", "rescoring_model")  # options that greedy decoding cannot use
NO_EVIDENCE = 0.5  # the posterior of a word where no hypotheses were compared


class Decoder(Protocol):
    """Decode log-probabilities into words.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> decoder: Decoder = GreedyDecoder(CharTokenizer.build(["AB"]), seconds_per_frame=0.02)
    >>> decoder.name
    'greedy'
    """

    @property
    def name(self) -> str:
        """Return the name that transcripts give for the decoding."""

    def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
        """Decode (batch, frames, symbols) log-probabilities with (batch,) true frames; a result an utterance."""


@dataclass(frozen=True)
class GreedyDecoder:
    """Decode by each frame's most probable symbol.

    Attributes:
        tokenizer: of the acoustic model.
        seconds_per_frame: time between two frames.
        calibration: of the confidences; None: a word's confidence is its acoustic probability.
        name: in transcripts.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> decoder = GreedyDecoder(CharTokenizer.build(["AB"]), seconds_per_frame=0.02)
    >>> log_probs = torch.tensor([[[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]]).log()
    >>> decoder(log_probs, torch.tensor([2]))[0].texts
    ('AB',)
    """

    tokenizer: Tokenizer
    seconds_per_frame: float
    calibration: Calibration | None = None
    name: str = "greedy"

    def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
        """Decode a batch; see `Decoder`."""
        results = []
        for hypothesis, path, scores in best_paths(log_probs, frames):
            words = words_on_path(path, scores, self.tokenizer, seconds_per_frame=self.seconds_per_frame)
            features = tuple(ConfidenceFeatures(NO_EVIDENCE, word.confidence) for word in words)
            words = with_confidences(words, features, self.calibration)
            text = _text(self.tokenizer, hypothesis)
            results.append(DecodingResult(words, (text,), (hypothesis,), frames=len(path), features=features))
        return results


@dataclass(frozen=True)
class BeamDecoder:
    """Decode by beam search: the text with the highest score from the acoustic model and all scorers.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> decoder = BeamDecoder(CharTokenizer.build(["AB"]), 0.02, DecodingOptions(beam_size=4))
    >>> log_probs = torch.tensor([[[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]]).log()
    >>> decoder(log_probs, torch.tensor([2]))[0].texts[0]
    'AB'

    Attributes:
        tokenizer: of the acoustic model.
        seconds_per_frame: time between two frames.
        options: of the search.
        scorers: fused into the search.
        rescorer: ranks the hypotheses that the search has found; None: none.
        calibration: of the confidences.
        name: in transcripts.
    """

    tokenizer: Tokenizer
    seconds_per_frame: float
    options: DecodingOptions
    scorers: Sequence[WeightedScorer] = ()
    rescorer: WeightedScorer | None = None
    calibration: Calibration = field(default_factory=Calibration)
    name: str = "beam"

    @property
    def search_options(self) -> DecodingOptions:
        """Return the options of the search, which finds twice as many hypotheses as are compared.

        Texts may differ in spaces only.
        """
        return replace(self.options, nbest=2 * max(self.options.nbest, POSTERIOR_HYPOTHESES))

    def __call__(self, log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
        """Decode a batch; see `Decoder`."""
        models = [weighted.scorer for weighted in self.scorers if isinstance(weighted.scorer, WordScorer)]
        # As many utterances at once as models of words have memory for: each hypothesis may be in another context.
        beam_size = self.options.search.beam_size
        size = max(1, min((model.capacity // beam_size for model in models), default=len(log_probs)))
        results = []
        for rows, counts in zip(log_probs.split(size), frames.split(size), strict=True):
            found = beam_search(rows, counts, self.scorers, options=self.search_options.search)
            results += self.results(found, rows, counts)
        return results

    def results(self, found: Sequence[list[Hypothesis]], log_probs: Tensor, frames: Tensor) -> list[DecodingResult]:
        """Turn the hypotheses of a search, twice as many as are compared, into results; see `Decoder`."""
        wanted = max(self.options.nbest, POSTERIOR_HYPOTHESES)
        distinct = [self._distinct(hypotheses)[:wanted] for hypotheses in found]
        if self.rescorer is not None:
            distinct = rescore(distinct, self.rescorer)
        log_probs = log_probs.cpu()
        rows = zip(distinct, log_probs, frames.tolist(), strict=True)
        return [self._result(hypotheses, row[:count]) for hypotheses, row, count in rows]

    def _distinct(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Drop hypotheses whose text, but for spaces, is that of a better one."""
        best: dict[str, Hypothesis] = {}
        for hypothesis in hypotheses:
            best.setdefault(" ".join(self.words(hypothesis.tokens)), hypothesis)
        return list(best.values())

    def words(self, tokens: Sequence[int], ended: bool = True) -> list[str]:
        """Return the words of labels that the last search has found.

        Where the labels are phones, the first language model of words chooses among words that sound alike.

        Args:
            tokens: the labels.
            ended: whether they are all of an utterance.
        """
        words = self.tokenizer.decode(tokens).split()
        if (scorer := self._homophone_scorer()) is None:
            return words
        found = scorer.words(tokens, ended)
        return [word if known is None else known for word, known in zip(words, found, strict=True)]

    def sure_words(self, tokens: Sequence[int], count: int) -> int:
        """Return how many of the first `count` words of labels, which have ended, no label behind them changes."""
        scorer = self._homophone_scorer()
        return count if scorer is None else scorer.sure_words(tokens, count)

    def _homophone_scorer(self) -> WordScorer | None:
        """Return the scorer that chooses among words that sound alike."""
        if self.tokenizer.kind != "phone":
            return None
        return next((weighted.scorer for weighted in self.scorers if isinstance(weighted.scorer, WordScorer)), None)

    def _result(self, hypotheses: list[Hypothesis], log_probs: Tensor) -> DecodingResult:
        best, compared = hypotheses[0], hypotheses[:POSTERIOR_HYPOTHESES]
        texts = tuple(" ".join(self.words(hypothesis.tokens)) for hypothesis in hypotheses)
        words = align_words(
            log_probs, best.tokens, self.tokenizer, seconds_per_frame=self.seconds_per_frame, open_word=best.open_word
        )
        words = tuple(replace(word, word=text) for word, text in zip(words, texts[0].split(), strict=True))
        if len(compared) == 1:
            posteriors = [1.0] * len(words)
        else:
            scores = [hypothesis.score for hypothesis in compared]
            posteriors = word_posteriors([text.split() for text in texts[: len(compared)]], scores)
        pairs = zip(posteriors, words, strict=True)
        features = tuple(ConfidenceFeatures(posterior, word.confidence) for posterior, word in pairs)
        words = with_confidences(words, features, self.calibration)
        shown = slice(self.options.nbest)
        return DecodingResult(words, texts[shown], tuple(hypotheses[shown]), frames=len(log_probs), features=features)


def make_decoder(
    options: DecodingOptions,
    language_model: str | Path | None,
    tokenizer: Tokenizer,
    seconds_per_frame: float,
    tuned: Mapping[str, TunedDecoding],
    device: torch.device | str = "cpu",
) -> Decoder:
    """Make the decoder that the options name.

    Args:
        options: of decoding.
        language_model: a language model directory, or None.
        tokenizer: of the acoustic model.
        seconds_per_frame: time between two frames.
        tuned: weights and calibrations; see `read_tuned`.
        device: of the log-probabilities.

    Raises:
        UserError: see `make_scorers`; a language model or hot words beside greedy decoding, which does not use them.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> make_decoder(DecodingOptions(), None, CharTokenizer.build(["ABC"]), seconds_per_frame=0.02, tuned={}).name
    'greedy'
    """
    if options.name == "greedy" and language_model is not None:
        raise UserError(f"language_model={language_model} is not used by decoding=greedy; add decoding=beam.")
    unused = [key for key in _BEAM_ONLY if getattr(options, key)]
    if options.name == "greedy" and unused:
        raise UserError(f"{', '.join(unused)} cannot be used by decoding=greedy; choose decoding=beam.")
    if options.name == "greedy":
        return make_greedy(tokenizer, seconds_per_frame, tuned)
    found = find_tuned(tuned, options, language_model)
    options = options.with_search(found.search)
    folder = None if language_model is None else Path(language_model)
    scorers = make_scorers(options, folder, found.weights, tokenizer=tokenizer, device=device)
    rescorer = make_rescorer(options, tokenizer, device)
    calibration = found.calibration or Calibration()
    return BeamDecoder(
        tokenizer, seconds_per_frame, options, scorers=scorers, rescorer=rescorer, calibration=calibration
    )


def make_greedy(tokenizer: Tokenizer, seconds_per_frame: float, tuned: Mapping[str, TunedDecoding]) -> GreedyDecoder:
    """Make the greedy decoder with the calibration that was found for it; see `make_decoder`.

    >>> from speechrnn.text.tokenizers import CharTokenizer
    >>> make_greedy(CharTokenizer.build(["ABC"]), seconds_per_frame=0.02, tuned={}).calibration is None
    True
    """
    found = find_tuned(tuned, DecodingOptions(), None)
    return GreedyDecoder(tokenizer, seconds_per_frame, found.calibration)


def _text(tokenizer: Tokenizer, hypothesis: Hypothesis) -> str:
    return " ".join(tokenizer.decode(hypothesis.tokens).split())


def with_confidences(
    words: Sequence[Word], features: Sequence[ConfidenceFeatures], calibration: Calibration | None
) -> tuple[Word, ...]:
    if calibration is None:
        return tuple(words)
    pairs = zip(words, features, strict=True)
    return tuple(replace(word, confidence=calibration(*of_word)) for word, of_word in pairs)

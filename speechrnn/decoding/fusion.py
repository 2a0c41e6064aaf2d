"""Shallow fusion: the scorers that a configuration adds to the acoustic model, and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from speechrnn.core.errors import UserError
from speechrnn.core.model_names import find_model_directory
from speechrnn.decoding.beam_search import BeamOptions
from speechrnn.decoding.ngram.model import read_ngram
from speechrnn.decoding.scorers.base import LabelScorer, Scorer, WeightedScorer, WordInsertionBonus, match_symbols
from speechrnn.decoding.scorers.extended_vocabulary import ExtendedVocabulary
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.decoding.scorers.language_model import LanguageModelProtocol
from speechrnn.decoding.scorers.lexicon import Lexicon, check_words
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.decoding.scorers.word_list import match_case, read_word_list, spell
from speechrnn.nn.language import load_language
from speechrnn.text.tokenizers import UNKNOWN, Tokenizer

LANGUAGE, NGRAM, RESCORING = "language", "ngram", "rescoring"  # names of scorers
SPACES = {" ", "|", "\u2581"}  # spellings of the space in n-gram models of characters
HOT_WORDS, LEXICON, LENGTH = "hot_words", "lexicon", "length"
AUTO: Literal["auto"] = "auto"
SEARCH_KEYS = ("beam_size", "blank_threshold", "symbol_threshold", "beam_threshold")  # width and pruning
DEFAULT_WEIGHT = 0.5  # of a language model, and the bonus of a word, where neither options nor tuning set it


@dataclass(frozen=True)
class DecodingOptions:
    """Options of decoding; conf/decoding explains each key. Weights of None are those that tuning found.

    Width and pruning of the search (see `BeamOptions`) are "auto" where those shall be used with which the weights were
    tuned, or else the defaults.

    >>> DecodingOptions(name="beam", hot_words=("ADA LOVELACE",)).search.beam_size
    20
    """

    name: Literal["greedy", "beam"] = "greedy"
    beam_size: int | Literal["auto"] = field(default=AUTO, metadata={"min": 1})
    blank_threshold: float | Literal["auto"] = field(default=AUTO, metadata={"min": 0.0, "max": 1.0})
    symbol_threshold: float | Literal["auto"] = field(default=AUTO, metadata={"min": 0.0, "max": 1.0})
    beam_threshold: float | Literal["auto"] | None = field(default=AUTO, metadata={"min": 0.0})
    nbest: int = field(default=10, metadata={"min": 1})
    language_weight: float | None = None
    ngram: Path | None = None
    ngram_weight: float | None = None
    length_reward: float | None = None
    unknown_penalty: float | None = field(default=None, metadata={"max": 0.0})
    hot_words: tuple[str, ...] = ()
    hot_word_boost: float = 6.0
    lexicon: Path | None = None
    lexicon_mode: Literal["restrict", "prefer"] = "restrict"
    lexicon_penalty: float = field(default=5.0, metadata={"min": 0.0})
    rescoring_model: Path | None = None
    rescoring_weight: float = 0.5

    def __post_init__(self) -> None:
        _ = self.search  # which checks the values

    @property
    def search(self) -> BeamOptions:
        """Return width, pruning and number of results of the search; the defaults for "auto"."""
        return BeamOptions(**self.chosen_search, nbest=self.nbest)

    @property
    def chosen_search(self) -> dict[str, Any]:
        """Return those values of width and pruning that are not "auto", by key."""
        return {key: value for key in SEARCH_KEYS if (value := getattr(self, key)) != AUTO}

    def with_search(self, tuned: BeamOptions | None) -> DecodingOptions:
        """Return the options with a tuned search, or else the defaults, in place of "auto"."""
        tuned = tuned or BeamOptions()
        return replace(self, **{key: getattr(tuned, key) for key in SEARCH_KEYS} | self.chosen_search)


def with_model_directories(options: DecodingOptions) -> DecodingOptions:
    """Return the options with the directory of each model that is given by name.

    Raises:
        UserError: there is no such model.
    """
    if options.rescoring_model is None:
        return options
    return replace(options, rescoring_model=find_model_directory(options.rescoring_model, "language"))


@dataclass(frozen=True)
class Weights:
    """Weights of the scorers beside the acoustic model; None: not tuned.

    Attributes:
        language_weight: of the language model.
        ngram_weight: of the n-gram model.
        length_reward: added for each word, natural logarithm.
    """

    language_weight: float | None = None
    ngram_weight: float | None = None
    length_reward: float | None = None


def make_scorers(
    options: DecodingOptions,
    language_model: Path | None,
    weights: Weights,
    tokenizer: Tokenizer,
    device: torch.device | str = "cpu",
) -> list[WeightedScorer]:
    """Make all scorers that the options name, in the order in which results list them.

    Args:
        options: of decoding.
        language_model: a language model directory, or None.
        weights: used where the options have none; DEFAULT_WEIGHT where both have none.
        tokenizer: of the acoustic model.
        device: of the scorers' states.

    Raises:
        UserError: a file or a model is missing or damaged, or does not fit to the acoustic model.
    """
    scorers = []
    known: Sequence[str] | None = None  # the vocabulary of a word model, if there is one
    further_words: tuple[LanguageModelProtocol, Sequence[str]] | None = None
    if language_model is not None:
        further = options.ngram if options.unknown_penalty is None else None
        scorer, words = make_language_scorer(
            language_model, tokenizer, options.unknown_penalty, device=device, ngram=further
        )
        known = words or known
        if isinstance(scorer, WordScorer) and words is not None and options.unknown_penalty is None:
            further_words = scorer.model, words
        scorers.append(WeightedScorer(scorer, _first(options.language_weight, weights.language_weight), LANGUAGE))
    if options.ngram is not None:
        scorer, words = make_ngram_scorer(
            options.ngram, tokenizer, options.unknown_penalty, device=device, further=further_words
        )
        known = words or known
        scorers.append(WeightedScorer(scorer, _first(options.ngram_weight, weights.ngram_weight), NGRAM))
    if scorers or options.length_reward is not None:
        reward = _first(options.length_reward, weights.length_reward)
        scorers.append(WeightedScorer(WordInsertionBonus(tokenizer, "word", device), reward, LENGTH))
    if options.hot_words:
        boosts = {spell(phrase, tokenizer) or phrase: 1.0 for phrase in options.hot_words}
        scorers.append(WeightedScorer(HotWords(boosts, tokenizer, device), options.hot_word_boost, HOT_WORDS))
    if options.lexicon is not None:
        listed = read_word_list(options.lexicon, tokenizer)
        if known is not None and options.unknown_penalty is None:
            check_words(listed, known)
        weight = 1.0 if options.lexicon_mode == "restrict" else options.lexicon_penalty
        scorers.append(WeightedScorer(Lexicon(listed, tokenizer, options.lexicon_mode, device=device), weight, LEXICON))
    return scorers


def reweigh(scorers: Sequence[WeightedScorer], weights: Weights) -> list[WeightedScorer]:
    """Return the scorers with other weights; hot words, a lexicon, and those whose new weight is None keep theirs."""
    named = {LANGUAGE: weights.language_weight, NGRAM: weights.ngram_weight, LENGTH: weights.length_reward}
    return [replace(scorer, weight=_first(named.get(scorer.name), scorer.weight)) for scorer in scorers]


def make_rescorer(
    options: DecodingOptions, tokenizer: Tokenizer, device: torch.device | str = "cpu"
) -> WeightedScorer | None:
    """Make the scorer for N-best rescoring, which allows the n-gram model's words too; None where there is none."""
    if options.rescoring_model is None:
        return None
    further = options.ngram if options.unknown_penalty is None else None
    scorer, _ = make_language_scorer(
        options.rescoring_model, tokenizer, options.unknown_penalty, device=device, ngram=further
    )
    return WeightedScorer(scorer, options.rescoring_weight, RESCORING)


def make_language_scorer(
    folder: Path,
    tokenizer: Tokenizer,
    unknown_penalty: float | None,
    device: torch.device | str,
    ngram: Path | None = None,
) -> tuple[Scorer, Sequence[str] | None]:
    """Make the scorer of a language model directory; return it and the model's words, None if its tokens are none.

    With an n-gram model of words beside it, the words of both are allowed; see `ExtendedVocabulary`.

    Raises:
        UserError: no such model, or one whose tokens do not fit to the acoustic model's.
    """
    model, own = load_language(folder)
    if own.kind == "subword" and tokenizer.kind != "subword":
        raise UserError(
            f"The tokens of the language model {folder} are subwords, those of the acoustic model {tokenizer.kind}s: "
            "train one by `speechrnn text_prediction` with tokenizer=char (or word) normalisation=standard on the same "
            "text."
        )
    neural = NeuralModel(model.to(device))
    if own.kind == "word" and tokenizer.kind != "word":
        words = match_case(own.symbols, tokenizer)
        other = read_ngram(ngram, None, device) if ngram is not None else None
        if other is not None and UNKNOWN in words and not _is_of_labels(other.words, tokenizer):
            extended = ExtendedVocabulary(neural, words, other, others=match_case(other.words, tokenizer))
            return WordScorer(extended, extended.words, tokenizer, device=device), extended.words
        return WordScorer(neural, words, tokenizer, unknown_penalty=unknown_penalty, device=device), words
    return LabelScorer(neural, match_symbols(tokenizer.symbols, own.symbols).to(device)), None


def make_ngram_scorer(
    path: Path,
    tokenizer: Tokenizer,
    unknown_penalty: float | None,
    device: torch.device | str,
    further: tuple[LanguageModelProtocol, Sequence[str]] | None = None,
) -> tuple[Scorer, Sequence[str] | None]:
    """Make the scorer of an n-gram file; return it and the model's words, None if its tokens are the labels.

    Words of another model beside it, `further`, are allowed too where the file has `<unk>`; see `ExtendedVocabulary`.

    Raises:
        UserError: see `read_ngram`; a model that does not fit to the acoustic model.
    """
    own = read_ngram(path, None, device)
    if _is_of_labels(own.words, tokenizer):
        same = read_ngram(path, tokenizer, device)
        return LabelScorer(same, torch.arange(len(tokenizer), device=device)), None
    words = match_case(own.words, tokenizer)
    if further is not None and UNKNOWN in words and not set(further[1]) <= set(words):
        extended = ExtendedVocabulary(own, words, *further)
        return WordScorer(extended, extended.words, tokenizer, device=device), extended.words
    return WordScorer(own, words, tokenizer, unknown_penalty=unknown_penalty, device=device), words


def _is_of_labels(words: Sequence[str], tokenizer: Tokenizer) -> bool:
    """Return whether an n-gram model is one of labels; one of words has no space as a word, and lacks some label."""
    return bool(SPACES & set(words)) or set(tokenizer.symbols[1:]) <= set(words)


def _first(*weights: float | None) -> float:
    return next((weight for weight in weights if weight is not None), DEFAULT_WEIGHT)

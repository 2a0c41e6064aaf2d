"""What is asked beside the acoustic model, as a configuration names it: language models, hot words, a lexicon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from speechrnn.core.errors import UserError
from speechrnn.decoding.beam_search import BeamOptions
from speechrnn.decoding.ngram.model import read_ngram
from speechrnn.decoding.scorers.base import LabelScorer, Scorer, WeightedScorer, WordInsertionBonus, match_symbols
from speechrnn.decoding.scorers.hot_words import HotWords
from speechrnn.decoding.scorers.lexicon import Lexicon, check_words
from speechrnn.decoding.scorers.neural import NeuralModel
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.nn.language import load_language
from speechrnn.text.tokenizers import Tokenizer

LANGUAGE, NGRAM, RESCORING = "language", "ngram", "rescoring"  # what the parts of a score are called
SPACES = {" ", "|", "\u2581"}  # ways in which n-gram models of characters write the space
HOT_WORDS, LEXICON, LENGTH = "hot_words", "lexicon", "length"


@dataclass(frozen=True)
class DecodingOptions(BeamOptions):
    """How words are found; conf/decoding explains each key. Weights of None are those that tuning found."""

    name: Literal["greedy", "beam"] = "greedy"
    nbest: int = field(default=10, metadata={"min": 1})
    language_weight: float | None = None
    ngram: Path | None = None
    ngram_weight: float | None = None
    length_reward: float | None = None
    unknown_penalty: float | None = field(default=None, metadata={"max": 0.0})
    hot_words: tuple[str, ...] = ()
    hot_word_boost: float = 3.0
    lexicon: Path | None = None
    lexicon_mode: Literal["restrict", "prefer"] = "restrict"
    lexicon_penalty: float = field(default=5.0, metadata={"min": 0.0})
    rescoring_model: Path | None = None
    rescoring_weight: float = 0.5


@dataclass(frozen=True)
class Weights:
    """How much each opinion counts beside the acoustic model's.

    Attributes:
        length_reward: natural logarithm, for each word.
    """

    language_weight: float = 0.5
    ngram_weight: float = 0.5
    length_reward: float = 0.5


def make_scorers(
    options: DecodingOptions,
    language_model: Path | None,
    weights: Weights,
    tokenizer: Tokenizer,
    device: torch.device | str = "cpu",
) -> list[WeightedScorer]:
    """All that the options name.

    Args:
        language_model: a language model directory, or None.
        weights: where the options have none.
        tokenizer: of the acoustic model.

    Raises:
        UserError: a file or a model is missing or damaged, or does not fit to the acoustic model.
    """
    scorers = []
    known: Sequence[str] | None = None  # all words of a word model, if there is one
    if language_model is not None:
        scorer, words = make_language_scorer(language_model, tokenizer, options.unknown_penalty, device)
        known = words or known
        scorers.append(WeightedScorer(scorer, _first(options.language_weight, weights.language_weight), LANGUAGE))
    if options.ngram is not None:
        scorer, words = make_ngram_scorer(options.ngram, tokenizer, options.unknown_penalty, device)
        known = words or known
        scorers.append(WeightedScorer(scorer, _first(options.ngram_weight, weights.ngram_weight), NGRAM))
    if scorers or options.length_reward is not None:
        reward = _first(options.length_reward, weights.length_reward)
        scorers.append(WeightedScorer(WordInsertionBonus(tokenizer, "word", device), reward, LENGTH))
    if options.hot_words:
        boosts = dict.fromkeys(options.hot_words, 1.0)
        scorers.append(WeightedScorer(HotWords(boosts, tokenizer, device), options.hot_word_boost, HOT_WORDS))
    if options.lexicon is not None:
        listed = _read_words(options.lexicon)
        if known is not None and options.unknown_penalty is None:
            check_words(listed, known)
        weight = 1.0 if options.lexicon_mode == "restrict" else options.lexicon_penalty
        scorers.append(WeightedScorer(Lexicon(listed, tokenizer, options.lexicon_mode, device), weight, LEXICON))
    return scorers


def reweigh(scorers: Sequence[WeightedScorer], weights: Weights) -> list[WeightedScorer]:
    """The same scorers with other weights; hot words and a lexicon keep theirs."""
    given = {LANGUAGE: weights.language_weight, NGRAM: weights.ngram_weight, LENGTH: weights.length_reward}
    return [replace(one, weight=given.get(one.name, one.weight)) for one in scorers]


def make_rescorer(
    options: DecodingOptions, tokenizer: Tokenizer, device: torch.device | str = "cpu"
) -> WeightedScorer | None:
    """The language model that ranks the N-best anew, if there is one."""
    if options.rescoring_model is None:
        return None
    scorer, _ = make_language_scorer(options.rescoring_model, tokenizer, options.unknown_penalty, device)
    return WeightedScorer(scorer, options.rescoring_weight, RESCORING)


def make_language_scorer(
    folder: Path, tokenizer: Tokenizer, unknown_penalty: float | None, device: torch.device | str
) -> tuple[Scorer, Sequence[str] | None]:
    """The model of a language model directory, and its words if its tokens are words."""
    model, own = load_language(folder)
    neural = NeuralModel(model.to(device))
    if own.kind == "word" and tokenizer.kind != "word":
        return WordScorer(neural, own.symbols, tokenizer, unknown_penalty, device), own.symbols
    return LabelScorer(neural, match_symbols(tokenizer.symbols, own.symbols).to(device)), None


def make_ngram_scorer(
    path: Path, tokenizer: Tokenizer, unknown_penalty: float | None, device: torch.device | str
) -> tuple[Scorer, Sequence[str] | None]:
    """The model of an ARPA or KenLM file, of words, or of the acoustic model's labels where those are its tokens."""
    own = read_ngram(path, None, device)
    # A text of words holds no word that is a space, and some that no label is.
    if SPACES & set(own.words) or set(tokenizer.symbols[1:]) <= set(own.words):
        same = read_ngram(path, tokenizer, device)
        return LabelScorer(same, torch.arange(len(tokenizer), device=device)), None
    return WordScorer(own, own.words, tokenizer, unknown_penalty, device), own.words


def _first(chosen: float | None, tuned: float) -> float:
    return tuned if chosen is None else chosen


def _read_words(path: Path) -> list[str]:
    """The words of a lexicon: the first of each line, so that a pronouncing dictionary serves as well."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise UserError(
            f"decoding.lexicon={path} cannot be read: {reason}; give a text file, one word a line."
        ) from error
    return [line.split()[0] for line in lines if line.strip()]

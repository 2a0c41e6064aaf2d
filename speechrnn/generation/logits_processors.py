"""Logits of the next token, and the changes that options make to them before a token is chosen.

Scores are natural log-probabilities up to a constant, (rows, vocabulary), changed in place. Meaning and order of the
changes are those of Hugging Face's transformers: penalty and bans first, then, for a draw, temperature, top-k, top-p,
min-p, typical. Each function treats each row by itself: its result does not depend on the other rows, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.categorical import MASKED, column_chunks, shape_independent
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.sequence import TokenSequence
from speechrnn.nn.language import END_OF_LINE, LanguageModel
from speechrnn.nn.softmax import FullSoftmax


def compute_logits(model: LanguageModel, outputs: Tensor) -> Tensor:
    """Compute scores of all tokens: (rows, dim) of the last layer -> (rows, vocabulary)."""
    scores = outputs.new_empty(len(outputs), model.vocabulary)
    for _ in fill_logits(scores, model, outputs):
        pass
    return scores


def fill_logits(scores: Tensor, model: LanguageModel, outputs: Tensor) -> Iterator[slice]:
    """Write the scores of all tokens chunk by chunk, and yield each chunk's columns while the cache holds them."""
    softmax = model.softmax
    if isinstance(softmax, FullSoftmax):  # without the normalisation, which the draw does anyway
        fitted = softmax.fit(outputs)
        for chunk in column_chunks(scores):
            torch.addmm(softmax.bias[chunk], fitted, softmax.weight[chunk].T, out=scores[:, chunk])
            yield chunk
    else:
        scores.copy_(model.log_probs(outputs))
        yield from column_chunks(scores)


def constrain(scores: Tensor, sequences: Sequence[TokenSequence], unknown: int | None) -> None:
    """Apply penalties and bans.

    Args:
        scores: (rows, vocabulary), changed in place.
        sequences: one a row.
        unknown: a token that is always banned.
    """
    penalties = [sequence.prompt.options.repetition_penalty for sequence in sequences]
    penalise(scores, penalties, [sequence.tokens for sequence in sequences])
    if unknown is not None:
        scores[:, unknown] = MASKED
    for row, sequence in enumerate(sequences):
        options = sequence.prompt.options
        if options.constrained and (tokens := banned_tokens(sequence.tokens, options, sequence.prompt.bad_words)):
            scores[row, tokens] = MASKED
        if sequence.too_short:
            scores[row, END_OF_LINE] = MASKED


def penalise(scores: Tensor, penalties: Sequence[float], histories: Sequence[Sequence[int]]) -> None:
    """Lower the scores of tokens in a row's history: divide what is above 0, multiply what is below."""
    for row, (penalty, history) in enumerate(zip(penalties, histories, strict=True)):
        if penalty != 1 and len(history):
            seen = torch.as_tensor(sorted(set(history)), device=scores.device)
            values = scores[row, seen]
            scores[row, seen] = torch.where(values < 0, values * penalty, values / penalty)


def banned_tokens(history: Sequence[int], options: GenerationOptions, bad_words: Sequence[Sequence[int]]) -> list[int]:
    """Return the tokens that would repeat an n-gram or complete a bad word.

    >>> banned_tokens([1, 2, 1], GenerationOptions(no_repeat_ngram_size=2), [(2, 1, 3)])
    [2, 3]
    """
    tokens = []
    if (size := options.no_repeat_ngram_size) > 0 and len(history) >= size:
        history = tuple(history)
        end = history[len(history) - size + 1 :]
        starts = range(len(history) - size + 1)
        tokens += [history[start + size - 1] for start in starts if history[start : start + size - 1] == end]
    for word in bad_words:
        before = len(word) - 1
        if len(history) >= before and tuple(history[len(history) - before :]) == tuple(word[:-1]):
            tokens.append(word[-1])
    return tokens


def warp(scores: Tensor, options: Sequence[GenerationOptions]) -> None:
    """Apply temperature, top-k, top-p, min-p and typical-p: one row an option."""
    if any(row.effective_temperature != 1 for row in options):
        scores /= _column([row.effective_temperature for row in options], scores)
    if any(row.top_k or row.top_p < 1 for row in options):
        keep_top(scores, [row.top_k for row in options], [row.top_p for row in options])
    if any(row.min_p > 0 for row in options):
        keep_probable(scores, [row.min_p for row in options])
    for number, row in enumerate(options):
        if row.typical_p < 1:
            keep_typical(scores[number], row.typical_p)


def keep_top(scores: Tensor, top_k: Sequence[int], top_p: Sequence[float]) -> None:
    """Mask all but the `top_k` largest (0: all), and of these the largest that together have probability `top_p`.

    Equal scores stay or go together.
    """
    vocabulary = scores.shape[1]
    ks = [k if k < vocabulary else 0 for k in top_k]
    counts = [k or (vocabulary if p < 1 else 1) for k, p in zip(ks, top_p, strict=True)]
    top = _largest(scores, max(counts))
    last = _column(counts, scores).long() - 1
    if any(p < 1 for p in top_p):
        weights = shape_independent(torch.exp, (top - top[:, :1]).double())
        weights.masked_fill_(torch.arange(top.shape[1], device=top.device) > last, 0.0)
        until = weights.cumsum(1)
        wanted = _column(top_p, until) * until[:, -1:]
        reach = (until - weights < wanted).sum(1, keepdim=True) - 1
        last = torch.where(_column([p < 1 for p in top_p], last).bool(), reach.clamp(min=0).minimum(last), last)
    bound = top.gather(1, last)
    free = _column([k == 0 and p >= 1 for k, p in zip(ks, top_p, strict=True)], last).bool()
    bound.masked_fill_(free, MASKED)
    scores.masked_fill_(scores < bound, MASKED)


def keep_probable(scores: Tensor, min_p: Sequence[float]) -> None:
    """Mask tokens with less than the share `min_p` of the largest probability (Nguyen et al. 2024)."""
    bound = scores.amax(1, keepdim=True) + _column([math.log(p) if p > 0 else MASKED for p in min_p], scores)
    scores.masked_fill_(scores < bound, MASKED)


def keep_typical(scores: Tensor, typical_p: float) -> None:
    """Keep the tokens of a row, (vocabulary,), with surprisal nearest to the entropy, up to probability `typical_p`."""
    log_probs = scores.double().log_softmax(0)
    probabilities = log_probs.exp()
    entropy = -(probabilities * log_probs).nansum()
    distance = (-log_probs - entropy).abs()
    order = _argsort(distance)
    last = (probabilities[order].cumsum(0) < typical_p).sum().clamp(max=len(scores) - 1)
    scores.masked_fill_(distance > distance[order[last]], MASKED)


def _largest(scores: Tensor, count: int) -> Tensor:
    """Return the largest scores of each row, falling: (rows, vocabulary) -> (rows, count)."""
    if scores.device.type != "cpu":
        return scores.topk(count).values
    # numpy's sorts are vectorised and many times as fast as torch's on a CPU
    values = scores.numpy()
    if count < values.shape[1]:
        values = np.partition(values, values.shape[1] - count, axis=1)[:, -count:]
    return torch.from_numpy(np.sort(values, axis=1)[:, ::-1].copy())


def _argsort(values: Tensor) -> Tensor:
    """Return the index that sorts (columns,) values upwards; equal values keep their order."""
    if values.device.type != "cpu":
        return values.sort(stable=True).indices
    return torch.from_numpy(np.argsort(values.numpy(), kind="stable"))


def _column(values: Sequence[float], like: Tensor) -> Tensor:
    """Return numbers as a (rows, 1) tensor of the type and device of `like`."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)

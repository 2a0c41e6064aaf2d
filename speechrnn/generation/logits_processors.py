"""The scores of the next token, and what options do to them before one is chosen.

Scores are natural log-probabilities up to a constant, (rows, vocabulary), changed in place. Meaning and order of the
changes are those of Hugging Face's transformers: penalty and bans first, then, for a draw, temperature, top-k, top-p,
min-p, typical. Every function treats each row by itself: its result does not depend on the others, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.categorical import NEVER, chunks
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.sequence import Row
from speechrnn.nn.language import END_OF_LINE, LanguageModel
from speechrnn.nn.softmax import FullSoftmax


def raw_scores(model: LanguageModel, outputs: Tensor) -> Tensor:
    """(rows, dim) of the last layer -> (rows, vocabulary)."""
    scores = outputs.new_empty(len(outputs), model.vocabulary)
    for _ in fill_in(scores, model, outputs):
        pass
    return scores


def fill_in(scores: Tensor, model: LanguageModel, outputs: Tensor) -> Iterator[slice]:
    """Writes the raw scores, some columns at a time, which it tells: while they are in the cache they cost less."""
    softmax = model.softmax
    if isinstance(softmax, FullSoftmax):  # without the normalisation, which the draw does anyway
        fitted = softmax.fit(outputs)
        for part in chunks(scores):
            torch.addmm(softmax.bias[part], fitted, softmax.weight[part].T, out=scores[:, part])
            yield part
    else:
        scores.copy_(model.log_probs(outputs))
        yield from chunks(scores)


def constrain(scores: Tensor, rows: Sequence[Row], unknown: int | None) -> None:
    """Penalties and bans: (rows, vocabulary), changed in place. `unknown`: a token that is always banned."""
    histories = [row.history for row in rows]
    penalise(scores, [row.prompt.options.repetition_penalty for row in rows], histories)
    if unknown is not None:
        scores[:, unknown] = NEVER
    for number, row in enumerate(rows):
        if row.prompt.options.constrained and (tokens := banned(row.history, row.prompt.options, row.bad_words)):
            scores[number, tokens] = NEVER
        if row.unfinished:
            scores[number, END_OF_LINE] = NEVER


def penalise(scores: Tensor, penalties: Sequence[float], histories: Sequence[Sequence[int]]) -> None:
    """Lowers the scores of tokens in a row's history: divides what is above 0, multiplies what is below."""
    for row, (penalty, history) in enumerate(zip(penalties, histories, strict=True)):
        if penalty != 1 and len(history):
            seen = torch.as_tensor(sorted(set(history)), device=scores.device)
            values = scores[row, seen]
            scores[row, seen] = torch.where(values < 0, values * penalty, values / penalty)


def banned(history: Sequence[int], options: GenerationOptions, bad_words: Sequence[Sequence[int]]) -> list[int]:
    """The tokens that may not follow a history: they would repeat an n-gram, or complete a bad word."""
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
    """All that shapes the draw: one row an option."""
    if any(one.temperature != 1 for one in options):
        scores /= column([one.temperature or 1.0 for one in options], scores)
    if any(one.top_k or one.top_p < 1 for one in options):
        keep_top(scores, [one.top_k for one in options], [one.top_p for one in options])
    if any(one.min_p > 0 for one in options):
        keep_probable(scores, [one.min_p for one in options])
    for row, one in enumerate(options):
        if one.typical_p < 1:
            keep_typical(scores[row], one.typical_p)


def keep_top(scores: Tensor, top_k: Sequence[int], top_p: Sequence[float]) -> None:
    """Leaves the `top_k` largest (0: all), and of these the largest that together reach the probability `top_p`.

    Equal scores stay or go together.
    """
    vocabulary = scores.shape[1]
    ks = [k if k < vocabulary else 0 for k in top_k]
    counts = [k or (vocabulary if p < 1 else 1) for k, p in zip(ks, top_p, strict=True)]
    top = largest(scores, max(counts))
    last = column(counts, scores).long() - 1
    if any(p < 1 for p in top_p):
        weights = (top - top[:, :1]).double().exp()
        weights.masked_fill_(torch.arange(top.shape[1], device=top.device) > last, 0.0)
        until = weights.cumsum(1)
        wanted = column(top_p, until) * until[:, -1:]
        reach = (until - weights < wanted).sum(1, keepdim=True) - 1
        last = torch.where(column([p < 1 for p in top_p], last).bool(), reach.clamp(min=0).minimum(last), last)
    bound = top.gather(1, last)
    free = column([k == 0 and p >= 1 for k, p in zip(ks, top_p, strict=True)], last).bool()
    bound.masked_fill_(free, NEVER)
    scores.masked_fill_(scores < bound, NEVER)


def keep_probable(scores: Tensor, min_p: Sequence[float]) -> None:
    """Leaves tokens with at least the share `min_p` of the largest probability (Nguyen et al. 2024)."""
    bound = scores.amax(1, keepdim=True) + column([math.log(p) if p > 0 else NEVER for p in min_p], scores)
    scores.masked_fill_(scores < bound, NEVER)


def keep_typical(scores: Tensor, typical_p: float) -> None:
    """Of one row, (vocabulary,): leaves tokens whose surprise is nearest to the expected one, up to the probability."""
    log_probs = scores.double().log_softmax(0)
    probabilities = log_probs.exp()
    entropy = -(probabilities * log_probs).nansum()
    strange = (-log_probs - entropy).abs()
    order = ascending(strange)
    last = (probabilities[order].cumsum(0) < typical_p).sum().clamp(max=len(scores) - 1)
    scores.masked_fill_(strange > strange[order[last]], NEVER)


def largest(scores: Tensor, count: int) -> Tensor:
    """(rows, vocabulary) -> (rows, count), falling."""
    if scores.device.type != "cpu":
        return scores.topk(count).values
    # numpy's sorts are vectorised and many times as fast as torch's on a CPU
    values = scores.numpy()
    if count < values.shape[1]:
        values = np.partition(values, values.shape[1] - count, axis=1)[:, -count:]
    return torch.from_numpy(np.sort(values, axis=1)[:, ::-1].copy())


def ascending(values: Tensor) -> Tensor:
    """(columns,) -> the index that sorts them; equal values keep their order."""
    if values.device.type != "cpu":
        return values.sort(stable=True).indices
    return torch.from_numpy(np.argsort(values.numpy(), kind="stable"))


def column(values: Sequence[float], like: Tensor) -> Tensor:
    """(rows,) numbers -> (rows, 1)."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)

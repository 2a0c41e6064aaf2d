"""Small language models with random weights that are sure of themselves, and texts written by them the plain way."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from speechrnn.generation.fixed_batches import single_threaded
from speechrnn.generation.options import GenerationOptions
from speechrnn.generation.random_numbers import stream_key, uniforms
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.nn.softmax import FullSoftmax, MixtureOfSoftmaxes
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer

LETTERS = "abcdefgh "
WORDS = [f"{first}{second}" for first in "bdfgklmn" for second in "aeiou"]
PROMPTS = ["a", "abba", "a bad cab", "head", "head of"[:4], "bag", "b", "each", "a bad", "a bad hedge", "  ", "fed a"]


def tokenizer(kind: str) -> Tokenizer:
    """Of characters (9 of them), words (40) or subwords (30)."""
    if kind == "char":
        return CharTokenizer.build([], LETTERS)
    if kind == "word":
        return WordTokenizer(["<blank>", "<unk>", *WORDS])
    return SubwordTokenizer.train(
        ["a bad cab had a bag", "he fed a head each day", "a hedge gab bed fade", "deaf bee heed", "chafe beach"], 24
    )


def make(vocabulary: int, sharpness: float = 30.0, **options: object) -> LanguageModel:
    """A model that finds some tokens much more probable than others; the end of the line is not too rare."""
    torch.manual_seed(0)
    shape = {"layers": 2, "units": 24, "embedding": 16, "softmax": "full", **options}
    model = LanguageModel(vocabulary, LanguageOptions(**shape)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.softmax.parameters():
            parameter.mul_(sharpness)
        model.softmax.bias.normal_(0, 0.3)
        model.softmax.bias[0] = 0.5
    return model


def logits(model: LanguageModel, tokens: Sequence[int]) -> np.ndarray:
    """The scores that a full softmax normalises, or of another softmax its log-probabilities: (vocabulary,) float64."""
    if not isinstance(model.softmax, FullSoftmax):
        return np.log(probabilities(model, tokens))
    with torch.no_grad(), single_threaded():  # small products are slow where threads wait for each other
        outputs, _ = model(torch.tensor([0, *tokens]).unsqueeze(1), model.start(1))
        fitted = model.softmax.fit(outputs[-1, 0]).double()
        return (model.softmax.weight.double() @ fitted + model.softmax.bias.double()).numpy()


def probabilities(model: LanguageModel, tokens: Sequence[int]) -> np.ndarray:
    """Return the probabilities of the next token, (vocabulary,) float64, by the training's code on the whole text."""
    with torch.no_grad(), single_threaded():  # small products are slow where threads wait for each other
        outputs, _ = model(torch.tensor([0, *tokens]).unsqueeze(1), model.start(1))
        return model.log_probs(outputs[-1, 0]).double().exp().numpy()


def plain_log_probs(model: LanguageModel, outputs: Tensor) -> np.ndarray:
    """Compute log-probabilities of a model in numpy by the papers' formulas: (rows, dim) -> (rows, vocabulary)."""
    softmax = model.softmax
    weight, bias = softmax.weight.detach().double().numpy(), softmax.bias.detach().double().numpy()

    def linear(layer: torch.nn.Module, inputs: np.ndarray) -> np.ndarray:
        if isinstance(layer, torch.nn.Identity):
            return inputs
        assert isinstance(layer, torch.nn.Linear)
        result = inputs @ layer.weight.detach().double().numpy().T
        return result if layer.bias is None else result + layer.bias.detach().double().numpy()

    def normalise(logits: np.ndarray) -> np.ndarray:
        top = logits.max(-1, keepdims=True)
        result: np.ndarray = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        return result

    inputs = outputs.double().numpy()
    if isinstance(softmax, MixtureOfSoftmaxes):
        weights = normalise(linear(softmax.prior, inputs))
        latent = np.tanh(linear(softmax.latent, inputs)).reshape(len(inputs), softmax.components, -1)
        each = normalise(latent @ weight.T + bias)
        return np.log(np.exp(weights[..., None] + each).sum(1))
    logits = linear(softmax.fit, inputs) @ weight.T + bias
    if isinstance(softmax, FullSoftmax):
        return normalise(logits)
    clusters = linear(softmax.clusters, linear(softmax.fit, inputs))
    head = normalise(np.concatenate([logits[:, : softmax.frequent], clusters], 1))
    parts = [head[:, : softmax.frequent]]
    for number, (start, end) in enumerate(softmax.ranges, start=softmax.frequent):
        parts.append(head[:, number : number + 1] + normalise(logits[:, start:end]))
    return np.concatenate(parts, 1)


def write(model: LanguageModel, prompt: str, tokens: Sequence[int], options: GenerationOptions) -> list[int]:
    """One text by the book: one prompt, one token at a time, the distribution from `shaped`."""
    history, written = list(tokens), list[int]()
    while len(written) < options.max_new_tokens:
        shape = shaped(logits(model, history).tolist(), history, len(written), options=options)
        if options.greedy:
            token = int(shape.argmax())
        else:
            key = np.array([stream_key(prompt, options.seed, 0)], dtype=np.uint64)
            number = uniforms(key, np.array([len(written)], dtype=np.uint64))[0]
            token = int(np.searchsorted(np.cumsum(shape), number * shape.sum(), side="right"))
        written.append(token)
        history.append(token)
        if token == 0 and not options.ignore_eos:
            break
    return written


def shaped(logits: Sequence[float], history: Sequence[int], written: int, options: GenerationOptions) -> np.ndarray:
    """Probabilities (vocabulary,) after the options, each as transformers' documentation explains it, in plain Python.

    Of greedy options, exp of the scores.
    """
    scores = [float(score) for score in logits]
    for token in set(history):
        scores[token] *= options.repetition_penalty if scores[token] < 0 else 1 / options.repetition_penalty
    size = options.no_repeat_ngram_size
    for start in range(len(history) - size + 1 if size else 0):
        if list(history[start : start + size - 1]) == list(history[len(history) - size + 1 :]):
            scores[history[start + size - 1]] = -math.inf
    if written < options.min_new_tokens:
        scores[0] = -math.inf
    if options.greedy:
        return np.exp(scores)
    highest = max(scores)
    p = normal([math.exp((score - highest) / min(options.temperature, 1e30)) for score in scores])
    order = sorted(range(len(p)), key=lambda token: -p[token])
    if options.top_k:
        top = set(order[: options.top_k])
        p = normal([q if token in top else 0.0 for token, q in enumerate(p)])
    before = 0.0
    kept: list[int] = []
    for token in order:
        if before < options.top_p or not kept:
            kept.append(token)
        before += p[token]
    nucleus = set(kept)
    p = normal([q if token in nucleus else 0.0 for token, q in enumerate(p)])
    p = normal([q if q >= options.min_p * max(p) else 0.0 for q in p])
    if options.typical_p < 1:
        entropy = -sum(q * math.log(q) for q in p if q)
        strange = sorted((token for token in order if p[token]), key=lambda token: abs(-math.log(p[token]) - entropy))
        total, kept = 0.0, []
        for token in strange:
            if total < options.typical_p or not kept:
                kept.append(token)
            total += p[token]
        typical = set(kept)
        p = normal([q if token in typical else 0.0 for token, q in enumerate(p)])
    return np.array(p)


def normal(p: Sequence[float]) -> list[float]:
    """Probabilities that sum up to 1."""
    total = sum(p)
    return [q / total for q in p]


def scores(rows: int, vocabulary: int, seed: int = 0) -> Tensor:
    """(rows, vocabulary) log-probabilities, all different."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, vocabulary, generator=generator) * 3).log_softmax(1)

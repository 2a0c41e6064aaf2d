"""The acoustic features of `speechrnn.audio.features` as ONNX operators.

A spectrum is a convolution of the waveform with windowed cosines and sines. That is more arithmetic than a fast Fourier
transform, but every runtime has it, it is exact, and its cost is small beside the network's.
"""

from __future__ import annotations

import numpy as np
import torch

from speechrnn.audio.feature_normalisation import VARIANCE_FLOOR, Normalise
from speechrnn.audio.features import FLOOR, MFCC, FrontEnd, KaldiFilterBank, LogMel
from speechrnn.audio.level import LevelFollower
from speechrnn.export.graph import Graph

DELTA = (-0.2, -0.1, 0.0, 0.1, 0.2)  # weights of five frames in the slope of the line through them


def add_front_end(graph: Graph, module: FrontEnd, waveforms: str, lengths: str) -> tuple[str, str]:
    """Add the front end: (batch, samples), (batch,) int64 -> (batch, frames, dims) features, (batch,) int64 frames."""
    extract = module.extract
    if isinstance(extract, KaldiFilterBank):
        features, frames = kaldi(graph, extract, waveforms, lengths=lengths)
    elif isinstance(extract, MFCC):
        features, frames = log_mel(graph, extract.log_mel, waveforms, lengths=lengths)
        features = mfcc(graph, extract, features, frames=frames)
    else:
        features, frames = log_mel(graph, extract, waveforms, lengths=lengths)
    return normalise(graph, module.normalise, features, frames=frames), frames


def log_mel(graph: Graph, module: LogMel, waveforms: str, lengths: str) -> tuple[str, str]:
    """Add `LogMel`, whose windows are centred on multiples of the hop."""
    size = module.window_samples
    before = module.fft_size // 2 - (module.fft_size - size) // 2  # samples of a window before its centre
    window = module.window.double().numpy()
    pads = [before, size - before]  # as many windows as hops fit into the waveform, and one
    mel = spectrum(graph, waveforms, window[:, None] * basis(size, module.fft_size), hop=module.hop_samples, pads=pads)
    mel = graph("MatMul", mel, graph.constant(module.filters))
    features = graph("Log", graph("Add", mel, graph.constant(np.float32(FLOOR))))
    hops = graph("Div", lengths, graph.integers(module.hop_samples))
    return features, graph("Add", hops, graph.integers(1))


def kaldi(graph: Graph, module: KaldiFilterBank, waveforms: str, lengths: str) -> tuple[str, str]:
    """Add `KaldiFilterBank`, whose windows begin at multiples of the hop.

    Subtraction of the mean, pre-emphasis and window are one matrix.
    """
    size, hop = module.window_samples, module.hop_samples
    centre = np.eye(size) - 1 / size  # subtracts the mean
    previous = np.eye(size, k=-1)
    previous[0, 0] = 1.0  # the first sample counts as its own predecessor
    prepare = module.window.double().numpy()[:, None] * ((np.eye(size) - 0.97 * previous) @ centre)
    matrix = 32768.0 * prepare.T @ basis(size, module.fft_size)
    # A waveform shorter than one window is filled up with zeros.
    count = graph.size(waveforms, 1)
    missing = graph("Max", graph("Sub", graph.integers(size), count), graph.integers(0))
    pads = graph("Concat", graph.integers(0, 0, 0), missing, axis=0)
    filled = graph("Pad", waveforms, pads)
    mel = graph("MatMul", spectrum(graph, filled, matrix, hop=hop, pads=[0, 0]), graph.constant(module.filters))
    least = graph.constant(np.float32(torch.finfo(torch.float32).eps))
    features = graph("Log", graph("Max", mel, least))
    hops = graph("Div", graph("Sub", lengths, graph.integers(size)), graph.integers(hop))
    return features, graph("Max", graph("Add", hops, graph.integers(1)), graph.integers(1))


def basis(window: int, fft_size: int) -> np.ndarray:
    """Return the cosines, then the sines, of a Fourier transform's frequencies: (window, 2 * (fft_size / 2 + 1))."""
    angles = 2 * np.pi / fft_size * np.outer(np.arange(window), np.arange(fft_size // 2 + 1))
    return np.concatenate([np.cos(angles), np.sin(angles)], 1)


def spectrum(graph: Graph, waveforms: str, matrix: np.ndarray, hop: int, pads: list[int]) -> str:
    """Add a power spectrum: (batch, samples) -> (batch, frames, frequencies).

    Args:
        graph: the graph.
        waveforms: (batch, samples).
        matrix: (window, 2 * frequencies) windowed cosines and sines.
        hop: samples between two windows.
        pads: samples of padding before and after the waveform.
    """
    kernels = graph.constant(matrix.T[:, None].astype(np.float32))  # (2 * frequencies, 1, window)
    row = graph("Unsqueeze", waveforms, graph.integers(1))
    parts = graph("Conv", row, kernels, strides=[hop], pads=pads)  # (batch, 2 * frequencies, frames)
    shape = graph.integers(0, 2, matrix.shape[1] // 2, -1)
    squares = graph("Reshape", graph("Mul", parts, parts), shape)
    power = graph("ReduceSum", squares, graph.integers(1), keepdims=0)  # (batch, frequencies, frames)
    return graph("Transpose", power, perm=[0, 2, 1])


def mfcc(graph: Graph, module: MFCC, features: str, frames: str) -> str:
    """Add `MFCC`: (batch, frames, bins), (batch,) -> (batch, frames, coefficients * (1 + deltas))."""
    order = graph("MatMul", features, graph.constant(module.dct))
    orders = [order]
    if module.deltas:
        # Two more frames at both ends repeat the utterance's first and last.
        count = graph("Add", graph.size(features, 1), graph.integers(len(DELTA) - 1))
        last = graph("Unsqueeze", graph("Sub", frames, graph.integers(1)), graph.integers(1))
        places = graph("Min", graph.positions(count, -(len(DELTA) // 2)), last)
        index = graph("Unsqueeze", graph("Max", places, graph.integers(0)), graph.integers(2))
        delta = np.array(DELTA, np.float32)[:, None]
        weights = np.zeros((module.dct.shape[1], 1, len(DELTA), 1), np.float32) + delta
        kernel = graph.constant(weights[:1])
    for _ in range(module.deltas):
        repeated = graph("GatherND", order, index, batch_dims=1)
        image = graph("Unsqueeze", repeated, graph.integers(1))  # (batch, 1, frames + 4, coefficients)
        order = graph("Squeeze", graph("Conv", image, kernel), graph.integers(1))
        orders.append(order)
    return graph("Concat", *orders, axis=2)


def normalise(graph: Graph, module: Normalise, features: str, frames: str) -> str:
    """Add `Normalise`: (batch, frames, dimensions), (batch,) -> (batch, frames, dimensions)."""
    inside = graph("Unsqueeze", graph.mask(frames, graph.size(features, 1)), graph.integers(2))
    if module.kind in ("training", "level"):
        if module.level is not None:
            features = graph("Sub", features, level(graph, module.level, features))
        centred = graph("Sub", features, graph.constant(module.mean))
        features = graph("Div", centred, graph.constant(module.deviation))
    elif module.kind == "utterance":
        over = graph.integers(1)
        count = graph("Cast", graph("Unsqueeze", frames, graph.integers(1, 2)), to=1)
        mean = graph("Div", graph("ReduceSum", graph("Mul", features, inside), over), count)
        features = graph("Mul", graph("Sub", features, mean), inside)
        variance = graph("Div", graph("ReduceSum", graph("Mul", features, features), over), count)
        deviation = graph("Sqrt", graph("Add", variance, graph.constant(np.float32(VARIANCE_FLOOR))))
        features = graph("Div", features, deviation)
    return graph("Mul", features, inside)


def level(graph: Graph, module: LevelFollower, features: str) -> str:
    """Add `LevelFollower` over whole recordings: (batch, frames, bins) -> (batch, frames, 1).

    The distance of the followed level to the frame's is a recurrent unit: max(0, distance + step - fall), whose step is
    the difference of the levels of the frame before and of the frame.
    """
    lowest = graph.constant(module.lowest)
    levels = graph("Max", graph("ReduceMean", features, graph.integers(2)), lowest)  # (batch, frames, 1)
    levels = graph("Min", levels, graph.constant(module.highest))
    first = graph("Pad", levels, graph.integers(0, 1, 0, 0, -1, 0), lowest)  # of the frame before
    steps = graph("Sub", graph("Sub", first, levels), graph.constant(np.float32(module.fall)))
    ones = graph.constant(np.ones((1, 1, 1), np.float32))
    inputs = graph("Transpose", steps, perm=[1, 0, 2])  # (frames, batch, 1)
    distances = graph("RNN", inputs, ones, ones, hidden_size=1, activations=["Relu"])  # (frames, 1, batch, 1)
    distances = graph("Transpose", graph("Squeeze", distances, graph.integers(1)), perm=[1, 0, 2])
    return graph("Add", levels, distances)

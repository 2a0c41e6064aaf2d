"""Compute and draw log-mel spectrogram, symbol posteriors and forced alignment of an utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from speechrnn.audio.features import FeatureOptions, LogMel
from speechrnn.core.errors import UserError
from speechrnn.decoding.alignment import align_words
from speechrnn.decoding.hypothesis import Word
from speechrnn.nn.acoustic import AcousticModel
from speechrnn.nn.ctc import BLANK, required_frames
from speechrnn.reports.plots import INK, figure_style, style_axes, svg
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALIGNMENT = "#d55e00"  # Okabe and Ito's vermilion, which differs from blue for colour-blind readers, too
ROWS = 40  # most symbols drawn
MIN_PROBABILITY = 0.1  # from which a symbol that is not in the text gets a row
DYNAMIC_RANGE = 70.0  # dB below the loudest bin


@dataclass(frozen=True)
class UtteranceAnalysis:
    """Spectrogram, symbol posteriors and alignment of an utterance.

    Attributes:
        duration: seconds.
        mel: (frames, bins) natural logarithm of mel power, `features.hop` seconds apart.
        probabilities: (model frames, symbols), `seconds_per_frame` apart.
        path: (model frames,) the symbol of each frame in the forced alignment of the text; None where it does not fit.
        words: of the text, with their times.
    """

    duration: float
    features: FeatureOptions
    mel: Tensor
    probabilities: Tensor
    seconds_per_frame: float
    path: Tensor | None
    words: tuple[Word, ...]


@torch.inference_mode()
def analyse(model: AcousticModel, tokenizer: Tokenizer, samples: np.ndarray, text: str) -> UtteranceAnalysis:
    """Run the acoustic model on an utterance and align a text with its posteriors.

    Args:
        samples: (samples,) at the model's sampling rate.
        text: usually the hypothesis.
    """
    from torchaudio.functional import forced_align

    features = model.front_end.options
    waveform, length = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    mel, _ = LogMel(features)(waveform, length)  # the picture shows log-mel features also where the model reads MFCCs
    log_probs = model(waveform, length)[0][0]  # (frames, symbols)
    path: Tensor | None = None
    words: tuple[Word, ...] = ()
    try:
        tokens = tokenizer.encode(text)
    except UserError:  # the text has other letters than the model
        tokens = []
    if tokens and required_frames(tokens) <= len(log_probs):
        path = forced_align(log_probs[None], torch.tensor([tokens], dtype=torch.int32), blank=BLANK)[0][0]
        words = align_words(log_probs, tuple(tokens), tokenizer, seconds_per_frame=model.seconds_per_frame)
        if len(words) == len(text.split()):  # labels that are phones spell words that sound alike as one of them
            words = tuple(replace(word, word=own) for word, own in zip(words, text.split(), strict=True))
    duration = len(samples) / features.sampling_rate
    return UtteranceAnalysis(
        duration=duration,
        features=features,
        mel=mel[0],
        probabilities=log_probs.exp(),
        seconds_per_frame=model.seconds_per_frame,
        path=path,
        words=words,
    )


@figure_style()
def draw(utterance: UtteranceAnalysis, symbols: Sequence[str], name: str) -> Markup:
    """Draw the log-mel spectrogram above the posteriors of the symbols that occur, both with words and alignment.

    Args:
        symbols: of the tokenizer, by index.
        name: unique on the page.
    """
    from matplotlib.figure import Figure

    rows, lanes = rows_shown(utterance), word_lanes(utterance.words, utterance.duration)
    heights = {
        "words": 0.22 * (max(lanes, default=-1) + 1) + 0.05,
        "mel": 1.9,
        "posteriors": max(1.3, 0.17 * len(rows)),
    }
    total = sum(heights.values()) + 0.12 + 0.5  # inches: a gap, and the labels below
    figure = Figure(figsize=(10.5, total))

    def panel(top: float, height: float) -> Axes:
        return figure.add_axes((0.07, 1 - (top + height) / total, 0.85, height / total))

    above = panel(0, heights["words"])
    upper = panel(heights["words"], heights["mel"])
    lower = panel(heights["words"] + heights["mel"] + 0.12, heights["posteriors"])
    _draw_mel(figure, upper, utterance)
    _draw_posteriors(figure, lower, utterance, rows=rows, labels=[_label(symbols, row) for row in rows])
    for word, lane in zip(utterance.words, lanes, strict=True):
        _draw_word(above, word, lane)
        for axes, colour in ((upper, "white"), (lower, "#777777")):
            axes.axvspan(word.start, word.end, fill=False, edgecolor=colour, linewidth=0.7, linestyle=":")
    above.axis("off")
    above.set_ylim(max(lanes, default=0) + 1, 0)
    for axes in (above, upper, lower):
        axes.set_xlim(0, utterance.duration)
    return svg(figure, name, "Log-mel spectrogram above the probabilities of the symbols over time, with word times")


def rows_shown(utterance: UtteranceAnalysis) -> list[int]:
    """Return the symbols that get a row: those of the text and other probable ones, in order, the blank last."""
    peaks = utterance.probabilities.max(dim=0).values
    text = set() if utterance.path is None else set(utterance.path.tolist())
    others = [
        row for row in peaks.argsort(descending=True).tolist() if peaks[row] >= MIN_PROBABILITY and row not in text
    ]
    chosen = [row for row in [*sorted(text), *others] if row != BLANK]
    return [*sorted(chosen[: ROWS - 1]), BLANK]


def word_lanes(words: Sequence[Word], duration: float) -> list[int]:
    """Return a lane for each word, the first that is free, so that the words do not overlap.

    Args:
        duration: of the utterance, seconds.
    """
    letter = duration / 110  # seconds: the width of a letter in the drawing, a little more than needed
    free_from: list[float] = []
    lanes = []
    for word in words:
        middle, half = (word.start + word.end) / 2, (len(word.word) + 1) * letter / 2
        lane = next((lane for lane, free in enumerate(free_from) if free <= middle - half), len(free_from))
        free_from[lane : lane + 1] = [middle + half]
        lanes.append(lane)
    return lanes


def _draw_mel(figure: Figure, axes: Axes, utterance: UtteranceAnalysis) -> None:
    import librosa.display

    options = utterance.features
    decibels = utterance.mel.T.numpy() * (10 / np.log(10))
    mesh = librosa.display.specshow(
        decibels - decibels.max(),
        sr=options.sampling_rate,
        hop_length=round(options.hop * options.sampling_rate),
        x_axis="time",
        y_axis="mel",
        fmin=options.low,
        fmax=options.high or options.sampling_rate / 2,
        htk=True,
        cmap="viridis",
        vmin=-DYNAMIC_RANGE,
        vmax=0,
        ax=axes,
    )
    axes.set(xlabel="", ylabel="Hz")
    axes.tick_params(labelbottom=False)
    style_axes(axes)
    _scale(figure, axes, mesh, ticks=[-60, -40, -20, 0], label="dB")


def _draw_posteriors(
    figure: Figure, axes: Axes, utterance: UtteranceAnalysis, rows: list[int], labels: list[str]
) -> None:
    from matplotlib.patches import Rectangle

    shown = utterance.probabilities[:, rows].T.numpy()
    edges = np.arange(shown.shape[1] + 1) * utterance.seconds_per_frame
    mesh = axes.pcolormesh(edges, np.arange(len(rows) + 1) - 0.5, shown, cmap="Blues", vmin=0, vmax=1, rasterized=True)
    axes.set_yticks(range(len(rows)), labels, parse_math=False, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("seconds")
    style_axes(axes)
    _scale(figure, axes, mesh, ticks=[0, 0.5, 1], label="probability")
    if utterance.path is None:
        return
    symbols, counts = torch.unique_consecutive(utterance.path, return_counts=True)
    for symbol, count, end in zip(symbols.tolist(), counts.tolist(), counts.cumsum(0).tolist(), strict=True):
        if symbol != BLANK and symbol in rows:
            corner = ((end - count) * utterance.seconds_per_frame, rows.index(symbol) - 0.5)
            width = count * utterance.seconds_per_frame
            axes.add_patch(Rectangle(corner, width, 1, fill=False, edgecolor=ALIGNMENT, linewidth=1.3))


def _draw_word(axes: Axes, word: Word, lane: int) -> None:
    middle = (word.start + word.end) / 2
    axes.text(middle, lane + 0.45, word.word, ha="center", va="center", color=INK, fontsize=9, parse_math=False)
    axes.plot([word.start, word.end], [lane + 0.92] * 2, color=ALIGNMENT, linewidth=1.6, solid_capstyle="butt")


def _label(symbols: Sequence[str], row: int) -> str:
    if row == BLANK:
        return "blank"
    return symbols[row] if symbols[row].strip() else "space"


def _scale(figure: Figure, axes: Axes, mesh: Any, ticks: list[float], label: str) -> None:
    """Draw the colour scale of `axes` beside it."""
    box = axes.get_position()
    scale = figure.colorbar(mesh, cax=figure.add_axes((box.x1 + 0.01, box.y0, 0.01, box.height)), ticks=ticks)
    scale.set_label(label, color=INK)
    scale.outline.set_visible(False)
    style_axes(scale.ax)

"""What the acoustic model hears in an utterance, and a picture of it: log-mel, posteriors, alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from speechrnn.audio.features import FeatureOptions, LogMel
from speechrnn.core.errors import UserError
from speechrnn.decoding.alignment import align_words
from speechrnn.decoding.hypothesis import Word
from speechrnn.nn.acoustic import BLANK, AcousticModel, required_frames
from speechrnn.reports.plots import INK, plain, style, svg
from speechrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = "#d55e00"  # the alignment: Okabe and Ito's vermilion, which the colour-blind tell from blue
ROWS = 40  # most symbols drawn
SEEN = 0.1  # probability from which a symbol that is not in the text gets a row
RANGE = 70.0  # dB below the loudest that are told apart


@dataclass(frozen=True)
class Heard:
    """One utterance as the model sees and reads it.

    Attributes:
        duration: seconds.
        mel: (frames, bins) natural logarithm of mel power, `features.hop` seconds apart.
        probabilities: (model frames, symbols), `seconds_per_frame` apart.
        path: (model frames,) the symbol of each frame when the text is forced onto them; None where it does not fit.
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
def hear(model: AcousticModel, tokenizer: Tokenizer, samples: np.ndarray, text: str) -> Heard:
    """Runs a model on (samples,) at its rate and forces `text`, usually the hypothesis, onto what it gives."""
    from torchaudio.functional import forced_align

    features = model.front_end.options
    waveform, length = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
    mel, _ = LogMel(features)(waveform, length)  # whatever the model itself uses: MFCCs tell the eye nothing
    log_probs = model(waveform, length)[0][0]  # (frames, symbols)
    path: Tensor | None = None
    words: tuple[Word, ...] = ()
    try:
        tokens = tokenizer.encode(text)
    except UserError:  # the text is another alphabet's
        tokens = []
    if tokens and required_frames(tokens) <= len(log_probs):
        path = forced_align(log_probs[None], torch.tensor([tokens], dtype=torch.int32), blank=BLANK)[0][0]
        words = align_words(log_probs, tuple(tokens), tokenizer, model.seconds_per_frame)
    duration = len(samples) / features.sampling_rate
    return Heard(duration, features, mel[0], log_probs.exp(), model.seconds_per_frame, path, words)


@style()
def picture(heard: Heard, symbols: Sequence[str], name: str) -> str:
    """An <svg>: log-mel above the posteriors of the symbols that occur, words and alignment on both, time in seconds.

    Args:
        symbols: the tokenizer's.
        name: unique on the page.
    """
    from matplotlib.figure import Figure

    rows, lanes = rows_shown(heard), word_lanes(heard.words, heard.duration)
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
    _draw_mel(figure, upper, heard)
    _draw_posteriors(figure, lower, heard, rows, [_label(symbols, row) for row in rows])
    for word, lane in zip(heard.words, lanes, strict=True):
        _draw_word(above, word, lane)
        for axes, colour in ((upper, "white"), (lower, "#777777")):
            axes.axvspan(word.start, word.end, fill=False, edgecolor=colour, linewidth=0.7, linestyle=":")
    above.axis("off")
    above.set_ylim(max(lanes, default=0) + 1, 0)
    for axes in (above, upper, lower):
        axes.set_xlim(0, heard.duration)
    return svg(figure, name, "Log-mel spectrogram above the probabilities of the symbols over time, with word times")


def rows_shown(heard: Heard) -> list[int]:
    """The symbols that get a row: those of the text, then those that the model thought of; in order, the blank last."""
    peaks = heard.probabilities.max(dim=0).values
    text = set() if heard.path is None else set(heard.path.tolist())
    others = [row for row in peaks.argsort(descending=True).tolist() if peaks[row] >= SEEN and row not in text]
    chosen = [row for row in [*sorted(text), *others] if row != BLANK]
    return [*sorted(chosen[: ROWS - 1]), BLANK]


def word_lanes(words: Sequence[Word], duration: float) -> list[int]:
    """A lane for each word's name, the first with room, so that the names of neighbours do not overlap."""
    letter = duration / 110  # seconds that a letter of the picture is wide, generously
    free_from: list[float] = []
    lanes = []
    for word in words:
        middle, half = (word.start + word.end) / 2, (len(word.word) + 1) * letter / 2
        lane = next((lane for lane, free in enumerate(free_from) if free <= middle - half), len(free_from))
        free_from[lane : lane + 1] = [middle + half]
        lanes.append(lane)
    return lanes


def _draw_mel(figure: Figure, axes: Axes, heard: Heard) -> None:
    import librosa.display

    options = heard.features
    decibels = heard.mel.T.numpy() * (10 / np.log(10))
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
        vmin=-RANGE,
        vmax=0,
        ax=axes,
    )
    axes.set(xlabel="", ylabel="Hz")
    axes.tick_params(labelbottom=False)
    plain(axes)
    _scale(figure, axes, mesh, [-60, -40, -20, 0], "dB")


def _draw_posteriors(figure: Figure, axes: Axes, heard: Heard, rows: list[int], labels: list[str]) -> None:
    from matplotlib.patches import Rectangle

    shown = heard.probabilities[:, rows].T.numpy()
    edges = np.arange(shown.shape[1] + 1) * heard.seconds_per_frame
    mesh = axes.pcolormesh(edges, np.arange(len(rows) + 1) - 0.5, shown, cmap="Blues", vmin=0, vmax=1, rasterized=True)
    axes.set_yticks(range(len(rows)), labels, parse_math=False, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("seconds")
    plain(axes)
    _scale(figure, axes, mesh, [0, 0.5, 1], "probability")
    if heard.path is None:
        return
    symbols, counts = torch.unique_consecutive(heard.path, return_counts=True)
    for symbol, count, end in zip(symbols.tolist(), counts.tolist(), counts.cumsum(0).tolist(), strict=True):
        if symbol != BLANK and symbol in rows:
            corner = ((end - count) * heard.seconds_per_frame, rows.index(symbol) - 0.5)
            width = count * heard.seconds_per_frame
            axes.add_patch(Rectangle(corner, width, 1, fill=False, edgecolor=MARK, linewidth=1.3))


def _draw_word(axes: Axes, word: Word, lane: int) -> None:
    middle = (word.start + word.end) / 2
    axes.text(middle, lane + 0.45, word.word, ha="center", va="center", color=INK, fontsize=9, parse_math=False)
    axes.plot([word.start, word.end], [lane + 0.92] * 2, color=MARK, linewidth=1.6, solid_capstyle="butt")


def _label(symbols: Sequence[str], row: int) -> str:
    if row == BLANK:
        return "blank"
    return symbols[row] if symbols[row].strip() else "space"


def _scale(figure: Figure, axes: Axes, mesh: Any, ticks: list[float], label: str) -> None:
    """What the colours of `axes` mean, beside it."""
    box = axes.get_position()
    scale = figure.colorbar(mesh, cax=figure.add_axes((box.x1 + 0.01, box.y0, 0.01, box.height)), ticks=ticks)
    scale.set_label(label, color=INK)
    scale.outline.set_visible(False)
    plain(scale.ax)

"""Figures for the inside of a page: real text, the page's colours, and nothing left behind."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest

from speechrnn.reports.plots import error_curves, figure_style, loss_curves, perplexity_curves, svg

HISTORY = [
    {"epoch": epoch, "train_loss": 2.0 / epoch, "dev_loss": 2.5 / epoch, "dev_wer": 1.5 / epoch, "dev_cer": 0.5 / epoch}
    for epoch in range(1, 11)
]


def texts(drawing: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


def curve(drawing: str, colour: str) -> np.ndarray:
    """The points (points, 2) of the longest line in a colour of the page."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*fill: none[^>]*stroke: var\(--{colour}\)', drawing)
    longest = max(paths, key=len)
    return np.array([[float(x), float(y)] for x, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", longest)])


def test_loss_is_drawn_on_a_logarithmic_axis() -> None:
    drawing = loss_curves(HISTORY, best_epoch=7)
    assert {"train", "dev", "best: epoch 7", "epoch", "loss, nats per label", "0.5", "1", "2"} <= set(texts(drawing))
    train, dev = curve(drawing, "first"), curve(drawing, "second")
    assert len(train) == len(dev) == 10
    assert np.ptp(train[:, 1] - dev[:, 1]) < 0.01  # a constant factor apart
    assert np.diff(train[:, 0]) == pytest.approx((train[-1, 0] - train[0, 0]) / 9, abs=0.01)


def test_error_rates_are_per_cent() -> None:
    drawing = error_curves(HISTORY, best_epoch=-1)
    assert {"words", "characters", "100 %", "5 %", "0 %"} <= set(texts(drawing))
    assert "200 %" not in texts(drawing) and not any("best" in text for text in texts(drawing))
    words, characters = curve(drawing, "first"), curve(drawing, "second")
    assert np.ptp(words[:, 1] - characters[:, 1]) < 0.01  # all above 1 %, where the axis is logarithmic
    assert (words[:, 1] < characters[:, 1]).all()  # higher up


def test_zero_errors_have_a_place() -> None:
    history = [{"epoch": 1, "train_loss": 1.0, "dev_wer": 0.5, "dev_cer": 0.1}]
    history += [{"epoch": epoch, "train_loss": 0.1, "dev_wer": 0.0, "dev_cer": 0.0} for epoch in range(2, 30)]
    words = curve(error_curves(history, best_epoch=2), "first")
    assert len(words) == 29 and np.isfinite(words).all()
    assert np.ptp(words[1:, 1]) == 0


def test_without_a_dev_part_there_is_train_alone() -> None:
    history = [{"epoch": record["epoch"], "train_loss": record["train_loss"]} for record in HISTORY]
    assert error_curves(history, best_epoch=3) == ""
    drawing = loss_curves(history, best_epoch=3)
    assert "train" in texts(drawing) and "dev" not in texts(drawing) and "var(--second)" not in drawing


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 0.0])
def test_losses_that_have_no_logarithm_are_left_out(loss: float) -> None:
    history = [*HISTORY, {"epoch": 11, "train_loss": loss}]
    assert "nan" not in loss_curves(history, best_epoch=1).lower()


def test_perplexity_of_train_is_that_of_its_loss() -> None:
    losses = [np.log(1000.0), np.log(100.0), np.log(10.0)]
    history = [{"epoch": n, "train_loss": loss, "valid_perplexity": np.exp(loss)} for n, loss in enumerate(losses, 1)]
    drawing = perplexity_curves(history, best_epoch=3)
    assert {"train", "valid", "best: epoch 3", "perplexity", "10", "100", "1,000"} <= set(texts(drawing))
    train = curve(drawing, "first")
    assert np.diff(train[:, 1])[0] == pytest.approx(np.diff(train[:, 1])[1])  # a logarithmic axis
    assert train == pytest.approx(curve(drawing, "second"))
    near = perplexity_curves([{"epoch": n, "train_loss": np.log(5.0 - n)} for n in (1, 2, 3)], best_epoch=-1)
    assert np.diff(curve(near, "first")[:, 1]) == pytest.approx(np.diff(curve(near, "first")[:, 1])[0])  # a linear one
    assert "valid" not in texts(near)


def test_drawings_are_for_the_inside_of_a_page() -> None:
    losses, other = loss_curves(HISTORY, best_epoch=1), error_curves(HISTORY, best_epoch=1)
    for drawing in (losses, other):
        assert drawing.startswith("<svg viewBox=") and drawing.rstrip().endswith("</svg>")
        assert "://" not in drawing and "<style" not in drawing and "<metadata" not in drawing
        assert not re.search(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]", drawing)  # every stand-in has become a colour of the page
        ET.fromstring(str(drawing).replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    identifiers = [set(re.findall(r' id="([^"]*)"', drawing)) for drawing in (losses, other)]
    assert identifiers[0] and identifiers[0].isdisjoint(identifiers[1])


def test_leaves_no_global_state_behind() -> None:
    import matplotlib.pyplot as plt

    before, figures = dict(matplotlib.rcParams), plt.get_fignums()  # of other tests
    loss_curves(HISTORY, best_epoch=1)
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == figures


def test_a_users_style_has_no_say() -> None:
    expected = loss_curves(HISTORY, best_epoch=1)
    with matplotlib.rc_context(
        {"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9, "svg.fonttype": "path"}
    ):
        assert loss_curves(HISTORY, best_epoch=1) == expected


def test_text_is_left_to_the_browser() -> None:
    from matplotlib.figure import Figure

    with figure_style():  # letters that matplotlib's fonts lack are no reason to warn
        figure = Figure()
        figure.text(0.5, 0.5, "שלום 日本 <b>", parse_math=False)
        drawing = svg(figure, "texts", 'said "so"')
    assert texts(drawing) == ["שלום 日本 &lt;b&gt;"]
    assert 'aria-label="said &quot;so&quot;"' in drawing

"""Test spectrogram, posteriors and alignment of an utterance: the right symbols at the right times."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechrnn.audio.features import FeatureOptions
from speechrnn.decoding.hypothesis import Word
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.reports.posteriors import ROWS, UtteranceAnalysis, analyse, draw, rows_shown, word_lanes
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import CharTokenizer

RATE = 8000
TOKENIZER = CharTokenizer.build(["ab c"])  # blank, space, a, b, c


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    torch.manual_seed(0)
    options = AcousticOptions(layers=1, units=16, stride=2)
    features = FeatureOptions(kind="mfcc", sampling_rate=RATE, bins=24)
    return AcousticModel(len(TOKENIZER), features, options).eval()


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def analysis(probabilities: torch.Tensor, path: list[int] | None, words: tuple[Word, ...] = ()) -> UtteranceAnalysis:
    """An utterance with these posteriors (frames, symbols), 0.1 s a frame."""
    duration = len(probabilities) / 10
    path_tensor = None if path is None else torch.tensor(path)
    mel = torch.zeros(round(duration * 100) + 1, 24)
    return UtteranceAnalysis(
        duration,
        FeatureOptions(sampling_rate=RATE, bins=24),
        mel,
        probabilities=probabilities,
        seconds_per_frame=0.1,
        path=path_tensor,
        words=words,
    )


def test_gives_probabilities_and_aligns_the_text(model: AcousticModel) -> None:
    result = analyse(model, TOKENIZER, noise(0.6), text="ab c")
    assert result.duration == 0.6
    assert result.mel.shape == (61, 24)  # log-mel, though the model's own features are cepstra
    assert result.probabilities.shape == (31, len(TOKENIZER))
    assert torch.allclose(result.probabilities.sum(1), torch.ones(31), atol=1e-5)
    assert result.seconds_per_frame == pytest.approx(0.02)
    assert result.path is not None
    joined = torch.unique_consecutive(result.path).tolist()
    assert [symbol for symbol in joined if symbol] == TOKENIZER.encode("ab c")
    assert [word.word for word in result.words] == ["ab", "c"]
    first = (result.path == TOKENIZER.encode("a")[0]).nonzero()[0].item()
    assert result.words[0].start == pytest.approx(first * 0.02)


def test_words_that_sound_alike_are_shown_as_the_text_has_them() -> None:
    phones = PhoneTokenizer(Pronunciations({"two": [("T", "UW")], "to": [("T", "UW")], "tew": [("T", "UW")]}))
    torch.manual_seed(0)
    features = FeatureOptions(sampling_rate=RATE, bins=24)
    model = AcousticModel(len(phones), features, AcousticOptions(layers=1, units=16, stride=2)).eval()
    assert [word.word for word in analyse(model, phones, noise(1.0), text="to two tew").words] == ["to", "two", "tew"]


@pytest.mark.parametrize(("text", "seconds"), [("", 0.5), ("xyz", 0.5), ("a" * 50, 0.5)])
def test_a_text_that_does_not_fit_is_not_aligned(model: AcousticModel, text: str, seconds: float) -> None:
    """Nothing, another alphabet's, more labels than frames."""
    result = analyse(model, TOKENIZER, noise(seconds), text=text)
    assert result.path is None and result.words == ()
    assert draw(result, TOKENIZER.symbols, "name").startswith("<svg ")


def test_rows_are_of_the_text_and_of_other_probable_symbols() -> None:
    probabilities = torch.tensor([[0.9, 0.02, 0.03, 0.05, 0.0], [0.3, 0.0, 0.0, 0.5, 0.2]])
    assert rows_shown(analysis(probabilities, [0, 2])) == [
        2,
        3,
        4,
        0,
    ]  # 2 is in the text, 3 and 4 are likely, 1 is neither
    assert rows_shown(analysis(probabilities, None)) == [3, 4, 0]


def test_rows_are_limited_to_the_likely() -> None:
    probabilities = torch.linspace(0.2, 0.9, 300)[None]
    rows = rows_shown(analysis(probabilities, [7]))
    assert len(rows) == ROWS
    assert rows == [7, *range(300 - (ROWS - 2), 300), 0]


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 1), st.text("abc", min_size=1, max_size=12)), max_size=25),
)
def test_names_in_a_lane_do_not_overlap(items: list[tuple[float, float, str]]) -> None:
    words = [Word(text, start, start + length, confidence=1.0) for start, length, text in sorted(items)]
    lanes = word_lanes(words, duration=6.0)
    letter = 6.0 / 110
    for lane in set(lanes):
        spans = []
        for word, own in zip(words, lanes, strict=True):
            if own == lane:
                middle = (word.start + word.end) / 2
                spans.append((middle - letter * len(word.word) / 2, middle + letter * len(word.word) / 2))
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert set(lanes) == set(range(len(set(lanes))))


def test_draws_the_alignment_where_it_is() -> None:
    probabilities = torch.full((10, 5), 0.01)
    path = [0, 0, 2, 2, 2, 0, 3, 0, 0, 0]  # a from 0.2 to 0.5 s, b from 0.6 to 0.7 s
    for frame, symbol in enumerate(path):
        probabilities[frame, symbol] = 0.96
    svg = draw(analysis(probabilities, path, (Word("ab", 0.2, 0.7, confidence=0.9),)), TOKENIZER.symbols, "drawn")
    boxes = [points(match) for match in re.findall(r'<path d="([^"]*)"[^>]*stroke: #d55e00[^>]*linejoin: miter', svg)]
    left, width = 0.07 * 10.5 * 72, 0.85 * 10.5 * 72  # the panel in points; it is 1 s wide
    assert len(boxes) == 2
    for box, (start, end) in zip(boxes, [(0.2, 0.5), (0.6, 0.7)], strict=True):
        assert min(x for x, _ in box) == pytest.approx(left + start * width, abs=0.01)
        assert max(x for x, _ in box) == pytest.approx(left + end * width, abs=0.01)
    # Rows from above: a, b, blank.
    assert max(y for _, y in boxes[0]) == pytest.approx(min(y for _, y in boxes[1]), abs=0.01)
    name = re.search(r'<text style="[^"]*text-anchor: middle[^"]*" x="([\d.]+)"[^>]*>ab</text>', svg)
    assert name is not None and float(name[1]) == pytest.approx(left + 0.45 * width, abs=0.01)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path)]


def test_digital_silence_and_a_single_frame_are_drawn(model: AcousticModel) -> None:
    assert "<image" in draw(
        analyse(model, TOKENIZER, np.zeros(RATE, dtype=np.float32), text="a"), TOKENIZER.symbols, "silent"
    )
    assert "<image" in draw(analyse(model, TOKENIZER, noise(0.01), text=""), TOKENIZER.symbols, "short")

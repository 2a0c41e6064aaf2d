"""Packets of any kind become samples of the model's rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechrnn.audio.errors import AudioError
from speechrnn.decoding.model_facts import ModelFacts
from speechrnn.transcription.stream_input import LOUDEST, StreamInput
from speechrnn.transcription.stream_warnings import StreamWarnings


def make_input(rate: int = 16000) -> StreamInput:
    return StreamInput(rate, 16000, StreamWarnings(ModelFacts(), 16000))


def test_integers_tensors_and_channels_are_taken() -> None:
    packets = make_input()
    torch.testing.assert_close(packets.accept(np.array([16384, -16384], np.int16), False), torch.tensor([0.5, -0.5]))
    stereo = torch.tensor([[0.5, 0.1, 0.5], [0.5, 0.3, 0.5]])
    torch.testing.assert_close(packets.accept(stereo, False), torch.tensor([0.5, 0.2, 0.5]))


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_cut() -> None:
    found = make_input().accept(np.array([np.nan, np.inf, -np.inf, 1e30, 0.5], np.float32), False)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.0, LOUDEST, 0.5]))


def test_another_rate_is_resampled_and_its_last_samples_come_with_the_end() -> None:
    packets = make_input(8000)
    found = [packets.accept(np.ones(800, np.float32), number == 4) for number in range(5)]
    assert sum(map(len, found)) == 8000


def test_nothing_follows_the_end() -> None:
    packets = make_input()
    packets.accept(np.zeros(0, np.float32), True)
    with pytest.raises(ValueError, match="ended"):
        packets.accept(np.zeros(1, np.float32), False)


@pytest.mark.parametrize("rate", [0, 999, 2_000_000])
def test_a_rate_that_is_none_is_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=str(rate)):
        make_input(rate)

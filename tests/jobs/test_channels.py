"""Channels of recordings as inputs of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechrnn.jobs.channels import assign_channels
from speechrnn.jobs.inputs import Input


@pytest.fixture
def stereo(tmp_path: Path) -> Input:
    soundfile.write(tmp_path / "talk.wav", np.zeros((1600, 2)), 16000)
    return Input("a/talk", str(tmp_path / "talk.wav"))


def test_the_mix_and_a_channel_keep_the_id(stereo: Input) -> None:
    assert assign_channels([stereo], "mix") == [stereo]
    (channel,) = assign_channels([stereo], 1)
    assert (channel.id, channel.channel) == ("a/talk", 1)


def test_each_channel_becomes_an_input(stereo: Input, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mono.wav", np.zeros(1600), 16000)
    found = assign_channels([stereo, Input("mono", str(tmp_path / "mono.wav"))], "split")
    assert [(item.id, item.channel) for item in found] == [
        ("a/talk.channel0", 0),
        ("a/talk.channel1", 1),
        ("mono.channel0", 0),
    ]


def test_what_cannot_be_split_is_a_failure_of_its_own(stereo: Input, tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear Sir")
    bad = [
        Input("x", str(tmp_path / "letter.wav")),
        Input("y", str(tmp_path / "nowhere.wav")),
        Input("z", "s3://calls/z.wav"),
        Input("refused", "/", error="/ is a folder."),
    ]
    *failed, first, second = assign_channels([*bad, stereo], "split")
    assert [item.id for item in failed] == ["x", "y", "z", "refused"] and all(item.error for item in failed)
    assert "letter.wav" in str(failed[0].error) and "channels=split" in str(failed[2].error)
    assert first.error is None and second.error is None

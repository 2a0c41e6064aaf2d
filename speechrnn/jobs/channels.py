"""Channels of recordings: their mix, one of them, or each as an input of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from speechrnn.audio import audio_info
from speechrnn.core.failures import describe_error, raise_if_fatal
from speechrnn.jobs.inputs import Input

Channels = int | Literal["mix", "split"]
"""The mix of the channels, each by itself, or the one with this index."""


def assign_channels(inputs: Iterable[Input], channels: Channels) -> list[Input]:
    """Return the inputs with the channels that are transcribed.

    >>> assign_channels([Input("talk", "talk.wav")], 1)[0].channel
    1

    Args:
        inputs: of a job.
        channels: "split" makes an input of each channel, "talk.channel0" and "talk.channel1" of "talk". How many there
            are stands in the file, so that a recording at an address has to be fetched first.
    """
    if channels == "mix":
        return list(inputs)
    if channels == "split":
        return [channel for item in inputs for channel in _split(item)]
    return [replace(item, channel=channels) for item in inputs]


def _split(item: Input) -> Iterator[Input]:
    """Yield an input for each channel; the input itself, with its error, where they cannot be counted."""
    if item.error is not None:
        yield item
        return
    if item.remote:
        yield replace(item, error=f"{item.source}: channels=split reads files; fetch it, and give its path.")
        return
    try:
        count = audio_info(item.place or item.source, strict=False).channels
    except Exception as error:
        raise_if_fatal(error)
        yield replace(item, error=describe_error(item.source, error))
        return
    for number in range(count):
        yield replace(item, id=f"{item.id}.channel{number}", channel=number)

"""Log-probabilities of a stream are those of the model in blocks over the whole recording."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, in_bfloat16
from speechrnn.nn.recurrent import Blocks
from speechrnn.nn.streaming import StreamingNetwork

RATE = 16000


def make_model(kind: str = "log_mel", normalisation: str = "training", **options: object) -> AcousticModel:
    torch.manual_seed(0)
    features = FeatureOptions(kind=kind, bins=20, normalisation=normalisation)  # type: ignore[arg-type]
    small = {"layers": 3, "units": 12, "channels": 3, **options}
    model = AcousticModel(5, features, AcousticOptions(**small)).eval()  # type: ignore[arg-type]
    model.front_end.normalise.mean += -3.0
    model.front_end.normalise.deviation *= 2.0
    with torch.no_grad():
        model.head.weight.mul_(8)
    return model


def stream_through(network: StreamingNetwork, samples: torch.Tensor, packets: Sequence[int]) -> torch.Tensor:
    """Log-probabilities (frames, symbols) of samples in packets of these lengths, used over and over."""
    stream = network.start()
    found, place, turn = [], 0, 0
    while place < len(samples):
        packet = samples[place : place + packets[turn % len(packets)]]
        place, turn = place + len(packet), turn + 1
        found += network.advance([stream], [packet])
    return torch.cat([*found, *network.advance([stream], [torch.zeros(0)], ended=[True])])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"subsampling": "stack"},
        {"stride": 4},
        {"cell": "gru"},
        {"cell": "rnn_tanh", "residual": False, "layer_norm": False},
        {"bidirectional": False},
        {"kind": "kaldi"},
        {"normalisation": "level"},
        {"normalisation": "none"},
    ],
    ids=str,
)
@settings(max_examples=12)
@given(
    samples=st.integers(400, 30000),
    size=st.integers(1, 12),
    right=st.integers(0, 6),
    packets=st.lists(st.integers(1, 20000), min_size=1, max_size=3),
)
def test_equals_the_model_in_blocks(
    options: dict[str, object], samples: int, size: int, right: int, packets: list[int]
) -> None:
    model, blocks = make_model(**options), Blocks(size, right)  # type: ignore[arg-type]
    if max(packets) < 160:
        packets = [*packets, 400]
    waveform = torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.1
    found = stream_through(StreamingNetwork(model, blocks), waveform, packets)
    with torch.inference_mode():
        expected, frames = model(waveform[None], torch.tensor([samples]), blocks)
    assert len(found) == int(frames)
    torch.testing.assert_close(found, expected[0], atol=2e-4, rtol=0)


@pytest.mark.parametrize("normalisation", ["training", "level"])
def test_the_numbers_do_not_depend_on_packets(normalisation: str) -> None:
    network = StreamingNetwork(make_model(normalisation=normalisation), Blocks(6, 2))
    waveform = torch.randn(40000, generator=torch.Generator().manual_seed(1)) * 0.1
    whole = stream_through(network, waveform, [len(waveform)])
    for packets in ([16], [4000], [7, 16001], [1600, 1]):
        assert torch.equal(stream_through(network, waveform, packets), whole)


def test_a_network_of_bfloat16_does_not_depend_on_packets_and_is_near_float32() -> None:
    model, waveform = make_model(), torch.randn(40000, generator=torch.Generator().manual_seed(1)) * 0.1
    network = StreamingNetwork(in_bfloat16(model), Blocks(6, 2))
    whole = stream_through(network, waveform, [len(waveform)])
    for packets in ([16], [7, 16001]):
        assert torch.equal(stream_through(network, waveform, packets), whole)
    expected = stream_through(StreamingNetwork(model, Blocks(6, 2)), waveform, [len(waveform)])
    assert not torch.equal(whole, expected)
    assert (whole - expected).abs().mean() < 0.1
    assert model.head.weight.dtype == torch.float32


@pytest.mark.parametrize("normalisation", ["training", "level"])
def test_streams_share_a_batch(normalisation: str) -> None:
    network = StreamingNetwork(make_model(normalisation=normalisation), Blocks(6, 2))
    waveforms = [torch.randn(20000 + 3000 * row, generator=torch.Generator().manual_seed(row)) for row in range(4)]
    alone = [stream_through(network, waveform, [2000]) for waveform in waveforms]
    streams, parts = [network.start() for _ in waveforms], [[] for _ in waveforms]  # type: ignore[var-annotated]
    ended = [False] * len(waveforms)
    for place in range(0, 40000, 1500):
        active = [row for row in range(4) if not ended[row]]
        if not active:
            break
        packets = [waveforms[row][place : place + 1500] for row in active]
        ends = [place + 1500 >= len(waveforms[row]) for row in active]
        for row, end, log_probs in zip(
            active, ends, network.advance([streams[row] for row in active], packets, ends), strict=True
        ):
            parts[row].append(log_probs)
            ended[row] = end
    for part, expected in zip(parts, alone, strict=True):
        torch.testing.assert_close(torch.cat(part), expected, atol=2e-4, rtol=0)


def test_a_frame_comes_out_within_the_latency() -> None:
    model = make_model()
    network = StreamingNetwork(model, Blocks(6, 2))
    stream, found = network.start(), 0
    for packet in range(1, 300):
        found += len(network.advance([stream], [torch.zeros(160)])[0])
        assert (found + 1) * model.seconds_per_frame + network.latency >= packet * 0.01 - 0.011
    assert found > 50


def test_blocks_may_grow_amid_a_stream() -> None:
    network = StreamingNetwork(make_model(), Blocks(4, 2))
    stream = network.start()
    packet = torch.randn(16000) * 0.1
    before = network.advance([stream], [packet])[0]
    stream.size = 12
    after = network.advance([stream], [packet])[0]
    rest = network.advance([stream], [torch.zeros(0)], ended=[True])[0]
    assert len(before) + len(after) + len(rest) == int(network.model.frames(torch.tensor([32000])))


def test_what_cannot_stream_says_so_and_what_can() -> None:
    model = AcousticModel(5, FeatureOptions(bins=20), AcousticOptions(layers=1, units=4))
    with pytest.raises(UserError, match=r"utterance.*normalisation=level"):
        StreamingNetwork(model, Blocks(4, 2))
    with pytest.raises(UserError, match=r"mfcc.*log_mel"):
        StreamingNetwork(make_model("mfcc"), Blocks(4, 2))

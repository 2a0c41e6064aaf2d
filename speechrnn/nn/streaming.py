"""The acoustic network over streams: log-probabilities come out while samples come in.

The recurrent layers are latency-controlled (Zhang et al. 2016; `Blocks`): they run over a block and the look-ahead
after it. The state of the forward direction at the end of the block is kept for the next block, the backward direction
starts anew, and the look-ahead is computed again with the next block.

A stream advances in steps of one block, whatever the packets in which its samples come: its numbers do not depend on
them. Streams whose next steps have the same shapes share a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from speechrnn.audio.streaming import StreamingFrontEnd
from speechrnn.nn.acoustic import AcousticModel, ConvolutionalSubsampling, StackFrames, head_log_probs
from speechrnn.nn.recurrent import Blocks


class StreamingStack:
    """Run `StackFrames` on a stream."""

    def __init__(self, subsampling: StackFrames) -> None:
        self._subsampling = subsampling
        self._dimensions = subsampling.dimensions // subsampling.stride

    def features(self, frames: int) -> int:
        """Return how many feature frames the first `frames` network frames need."""
        return frames * self._subsampling.stride

    def start(self, like: Tensor) -> list[Tensor]:
        """Return what stands before the first frame, on the device and of the type of a tensor."""
        return [like.new_zeros(1, 0, self._dimensions)]

    def step(self, tails: list[Tensor], features: Tensor, last: bool) -> tuple[Tensor, list[Tensor]]:
        """Subsample (batch, m, dimensions) feature frames; return (batch, frames, stride * dimensions) and tails."""
        features = torch.cat([tails[0], features], 1)
        stride = self._subsampling.stride
        if last:
            features = F.pad(features, (0, 0, 0, -features.shape[1] % stride))
        count = features.shape[1] // stride
        outputs = features[:, : count * stride].reshape(len(features), count, self._subsampling.dimensions)
        return outputs, [features[:, count * stride :]]


class StreamingConvolution:
    """Run `ConvolutionalSubsampling` on a stream; each convolution keeps the frames that its next windows need."""

    def __init__(self, subsampling: ConvolutionalSubsampling, dimensions: int) -> None:
        self._subsampling = subsampling
        self._dimensions = dimensions
        self._width = subsampling.first.kernel_size[0]

    def features(self, frames: int) -> int:
        """Return how many feature frames the first `frames` network frames need."""
        return frames * self._subsampling.stride + self._width // 2 + 1

    def start(self, like: Tensor) -> list[Tensor]:
        """Return what stands before the first frame: the zeros with which each convolution is padded.

        Args:
            like: a tensor on the device and of the type of the zeros.
        """
        features = like.new_zeros(1, self._width // 2, self._dimensions)
        channels, dimensions = self._subsampling.first.out_channels, (self._dimensions + 1) // 2
        return [features, like.new_zeros(1, channels, 1, dimensions)]

    def step(self, tails: list[Tensor], features: Tensor, last: bool) -> tuple[Tensor, list[Tensor]]:
        """Subsample (batch, m, dimensions) feature frames; return (batch, frames, channels * dims / 4) and tails."""
        first, second, stride = self._subsampling.first, self._subsampling.second, self._subsampling.stride
        features, middle = torch.cat([tails[0], features], 1), tails[1]
        count = (features.shape[1] - self._width) // stride + 1
        if last:
            count = (features.shape[1] - self._width // 2 - 1) // stride + 1
            missing = (count - 1) * stride + self._width - features.shape[1]
            features = F.pad(features, (0, 0, 0, max(0, missing)))
        if count > 0:
            window = features[:, : (count - 1) * stride + self._width].unsqueeze(1)
            new = F.relu(F.conv2d(window, first.weight, first.bias, first.stride, padding=(0, 1)))
            middle = torch.cat([middle, new], 2)  # (batch, channels, frames, dimensions / 2)
            features = features[:, count * stride :]
        if last:
            middle = F.pad(middle, (0, 0, 0, 1))
        if middle.shape[2] < 3:
            return features.new_zeros(len(features), 0, self._subsampling.dimensions), [features, middle]
        outputs = F.relu(F.conv2d(middle, second.weight, second.bias, second.stride, padding=(0, 1)))
        return outputs.transpose(1, 2).flatten(2), [features, middle[:, :, -2:]]


@dataclass
class NetworkState:
    """Hold the state of a stream in the network.

    Attributes:
        size: frames of a block; it may be changed between steps.
        tensors: of each stage, with a batch of 1: front end, subsampling, and recurrent layers: the frames that wait
            for their look-ahead, (1, frames, units), and the state of each layer.
        packets: float32 samples that wait for a step.
        samples: how many these are.
        needed: samples of the next step.
        ended: whether the stream is at its end.
    """

    size: int
    tensors: list[list[Tensor]]
    needed: int
    packets: list[Tensor] = field(default_factory=list)
    samples: int = 0
    ended: bool = False

    def take(self, count: int) -> Tensor:
        """Remove the next `count` samples from the packets: (1, count)."""
        joined = torch.cat(self.packets) if self.packets else torch.zeros(0)
        self.packets = [joined[count:]] if len(joined) > count else []
        self.samples = max(0, self.samples - count)
        return joined[:count].unsqueeze(0)


class StreamingNetwork:
    """Run an acoustic model on any number of streams.

    >>> from speechrnn.audio.features import FeatureOptions
    >>> from speechrnn.nn.acoustic import AcousticOptions
    >>> options = FeatureOptions(bins=20, normalisation="training")
    >>> model = AcousticModel(5, options, AcousticOptions(layers=2, units=8)).eval()
    >>> network = StreamingNetwork(model, Blocks(8, 4))
    >>> stream = network.start()
    >>> network.advance([stream], [torch.zeros(16000)])[0].shape
    torch.Size([24, 5])
    >>> network.advance([stream], [torch.zeros(0)], ended=[True])[0].shape
    torch.Size([10, 5])

    Attributes:
        model: the model, in evaluation mode; of float32, or of bfloat16 (`in_bfloat16`).
        blocks: frames of a block and of the look-ahead.
        latency: seconds between a sound and the last one that its log-probabilities need, at most.

    Raises:
        UserError: the features need the whole recording; see `StreamingFrontEnd`.
    """

    def __init__(self, model: AcousticModel, blocks: Blocks) -> None:
        self.model = model.eval()
        self.model.recurrent.pack()
        self.blocks = blocks
        self._device = model.head.weight.device
        self._front_end = StreamingFrontEnd(model.front_end)
        self._subsampling: StreamingStack | StreamingConvolution
        if isinstance(model.subsampling, StackFrames):
            self._subsampling = StreamingStack(model.subsampling)
        else:
            self._subsampling = StreamingConvolution(model.subsampling, model.front_end.dimensions)
        self._right = blocks.right if model.options.bidirectional else 0
        self._frame = self._front_end.hop * model.options.stride  # samples
        front = self._first_samples(0) / model.front_end.options.sampling_rate
        self.latency = front + (blocks.size + self._right) * model.seconds_per_frame

    def _first_samples(self, frames: int) -> int:
        """Return the samples that the first `frames` frames of the recurrent layers need."""
        return self._front_end.samples(self._subsampling.features(frames))

    @torch.inference_mode()
    def start(self) -> NetworkState:
        """Return the state of a stream that begins."""
        like = self.model.head.weight
        recurrent = [like.new_zeros(1, 0, self.model.options.units), *self.model.recurrent.start(batch=1)]
        tensors = [self._front_end.start(self._device), self._subsampling.start(like), recurrent]
        size = self.blocks.size
        return NetworkState(size, tensors, needed=self._first_samples(size + self._right))

    @torch.inference_mode()
    def advance(
        self, streams: Sequence[NetworkState], packets: Sequence[Tensor], ended: Sequence[bool] | None = None
    ) -> list[Tensor]:
        """Take a packet of each stream, and run the steps that are complete with it.

        Args:
            streams: distinct streams; their states are changed.
            packets: float32 (samples,) each, of any length, at the model's sampling rate.
            ended: whether each stream ends with its packet; None: none does.

        Returns:
            for each stream (frames, symbols) natural log-probabilities of the frames that are new.
        """
        for number, (stream, packet) in enumerate(zip(streams, packets, strict=True)):
            if stream.ended:
                raise ValueError("a stream that has ended takes no more samples")
            if len(packet):
                stream.packets.append(packet)
                stream.samples += len(packet)
            stream.ended = ended is not None and ended[number]
        parts: list[list[Tensor]] = [[] for _ in streams]
        waiting = [(stream, part) for stream, part in zip(streams, parts, strict=True)]
        while waiting:
            groups: dict[tuple, list[tuple[NetworkState, list[Tensor], Tensor, bool]]] = {}
            following = []
            for stream, part in waiting:
                last = stream.ended and stream.samples <= stream.needed
                if stream.samples < stream.needed and not last:
                    continue
                samples = stream.take(stream.needed)
                shapes = tuple(tensor.shape for stage in stream.tensors for tensor in stage)
                key = (samples.shape, shapes, stream.size, last)
                groups.setdefault(key, []).append((stream, part, samples, last))
                stream.needed = stream.size * self._frame
                if not last:
                    following.append((stream, part))
            for group in groups.values():
                self._step_group(group)
            waiting = following
        symbols = self.model.head.out_features
        return [torch.cat(part) if part else torch.zeros(0, symbols, device=self._device) for part in parts]

    def _step_group(self, group: Sequence[tuple[NetworkState, list[Tensor], Tensor, bool]]) -> None:
        """Run a step of streams with equal shapes as one batch."""
        streams = [stream for stream, *_ in group]
        samples = torch.cat([samples for *_, samples, _ in group]).to(self._device)
        states = [stream.tensors for stream in streams]
        tensors = [
            [torch.cat(parts) if len(group) > 1 else parts[0] for parts in zip(*stages, strict=True)]
            for stages in zip(*states, strict=True)
        ]
        log_probs, tensors = self._step(samples, tensors, streams[0].size, last=group[0][3])
        for number, (stream, part, *_) in enumerate(group):
            row = slice(number, number + 1)
            stream.tensors = [[tensor[row] if len(group) > 1 else tensor for tensor in stage] for stage in tensors]
            if log_probs.shape[1]:
                part.append(log_probs[number])

    def _step(
        self, samples: Tensor, tensors: list[list[Tensor]], size: int, last: bool
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """Run all stages over (batch, samples): return (batch, frames, symbols) and new tensors."""
        features, front = self._front_end.step(tensors[0], samples, last)
        outputs, tails = self._subsampling.step(tensors[1], features.to(self.model.head.weight.dtype), last)
        waiting, *states = tensors[2]
        waiting = torch.cat([waiting, self.model.input(outputs)], 1)
        done = []
        while waiting.shape[1] >= size + self._right or (last and waiting.shape[1]):
            window = waiting[:, : size + self._right].transpose(0, 1).unsqueeze(1)  # (width, 1 block, batch, units)
            valid = torch.full(window.shape[1:3], len(window), device=window.device)
            layers, states = self.model.recurrent.run_windows(window, valid, size, states=states)
            done.append(layers[-1][:size, 0])
            waiting = waiting[:, size:]
        new = [front, tails, [waiting, *states]]
        if not done:
            return features.new_zeros(len(samples), 0, self.model.head.out_features), new
        return head_log_probs(self.model.head, torch.cat(done)), new

"""The acoustic network over streams: log-probabilities come out while samples come in.

The recurrent layers are latency-controlled (Zhang et al. 2016; `Blocks`): the forward direction's state is carried on,
the backward direction is begun anew `right` frames after each block. The blocks of a layer end `right` frames before
those of the layer below it, so that each layer works on what the one below has finished and nothing is computed twice.

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
from speechrnn.nn.recurrent import Blocks, RecurrentLayer


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


class StreamingLayer:
    """Run one recurrent layer with its norm and residual connection on a stream.

    Attributes:
        right: frames that the backward direction looks ahead; 0 for a one-directional layer.
        shift: frames by which the layer's blocks end before multiples of their size.
    """

    def __init__(self, layer: RecurrentLayer, norm: torch.nn.Module, residual: bool, right: int, shift: int) -> None:
        self._layer = layer
        self._norm = norm
        self._residual = residual
        self.bidirectional = layer.network.bidirectional
        self.right = right
        self.shift = shift

    def start(self, like: Tensor) -> list[Tensor]:
        """Return (1, 0, input_size) inputs that wait, and (1, state_size) the forward direction's state.

        Args:
            like: a tensor on the device and of the type of both.
        """
        waiting = like.new_zeros(1, 0, self._layer.network.input_size)
        return [waiting, like.new_zeros(1, self._layer.state_size)]

    def step(
        self, tensors: list[Tensor], inputs: Tensor, size: int, begun: bool, last: bool
    ) -> tuple[Tensor, list[Tensor], bool]:
        """Run the blocks that are complete with their look-ahead; of a stream that ends, all.

        Args:
            tensors: see `start`.
            inputs: (batch, m, input_size) that follow those that wait.
            size: frames of a block.
            begun: whether the first block, which may be shorter, is done.
            last: whether the stream ends with the inputs.

        Returns:
            (batch, frames, units) outputs, the new tensors, and whether the first block is done.
        """
        waiting, state = torch.cat([tensors[0], inputs], 1).transpose(0, 1), tensors[1]  # (frames, batch, input_size)
        outputs = []
        start, frames = 0, len(waiting)
        while start < frames:
            end = start + (size if begun else size - self.shift % size)
            if not last and end + self.right > frames:
                break
            block, ahead = waiting[start:end], waiting[start : end + self.right]
            result, state = self._layer.run_kernel(block, state, self._layer.direction_parameters("_l0"))
            if self.bidirectional:
                zeros = torch.zeros_like(state)
                parameters = self._layer.direction_parameters("_l0_reverse")
                backward, _ = self._layer.run_kernel(ahead.flip(0), zeros, parameters)
                result = result + backward.flip(0)[: len(block)]
            result = self._norm(result)
            outputs.append(block + result if self._residual else result)
            start, begun = min(end, frames), True
        units = self._layer.network.hidden_size
        joined = torch.cat(outputs) if outputs else waiting.new_zeros(0, waiting.shape[1], units)
        return joined.transpose(0, 1), [waiting[start:].transpose(0, 1), state], begun


@dataclass
class NetworkState:
    """Hold the state of a stream in the network.

    Attributes:
        size: frames of a block; it may be changed between steps.
        tensors: of each stage (samples, subsampling, each layer), with a batch of 1.
        begun: of each layer, whether its first block is done.
        packets: float32 samples that wait for a step.
        samples: how many these are.
        needed: samples of the next step.
        ended: whether the stream is at its end.
    """

    size: int
    tensors: list[list[Tensor]]
    begun: tuple[bool, ...]
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
    torch.Size([20, 5])
    >>> network.advance([stream], [torch.zeros(0)], ended=[True])[0].shape
    torch.Size([14, 5])

    Attributes:
        model: the model, in evaluation mode; of float32, or of bfloat16 (`in_bfloat16`).
        blocks: frames of a block and of the look-ahead.
        latency: seconds between a sound and the last one that its log-probabilities need, at most.
        first_frames: frames of log-probabilities of the first block; all others have `blocks.size`.

    Raises:
        UserError: the features need the whole recording; see `StreamingFrontEnd`.
    """

    def __init__(self, model: AcousticModel, blocks: Blocks) -> None:
        self.model = model.eval()
        self.blocks = blocks
        self._device = model.head.weight.device
        self._front_end = StreamingFrontEnd(model.front_end)
        self._subsampling: StreamingStack | StreamingConvolution
        if isinstance(model.subsampling, StackFrames):
            self._subsampling = StreamingStack(model.subsampling)
        else:
            self._subsampling = StreamingConvolution(model.subsampling, model.front_end.dimensions)
        right = blocks.right if model.options.bidirectional else 0
        self._layers = [
            StreamingLayer(
                layer,  # type: ignore[arg-type]  # a ModuleList does not know the types of its modules
                norm,
                residual=model.options.residual and number > 0,
                right=right,
                shift=number * right,
            )
            for number, (layer, norm) in enumerate(zip(model.recurrent.layers, model.recurrent.norms, strict=True))
        ]
        self._right = right
        self.first_frames = blocks.size - self._layers[-1].shift % blocks.size
        self._frame = self._front_end.hop * model.options.stride  # samples
        front = self._first_samples(0) / model.front_end.options.sampling_rate
        self.latency = front + (blocks.size + len(self._layers) * right) * model.seconds_per_frame

    def _first_samples(self, frames: int) -> int:
        """Return the samples that the first `frames` frames of the recurrent layers need."""
        return self._front_end.samples(self._subsampling.features(frames))

    @torch.inference_mode()
    def start(self) -> NetworkState:
        """Return the state of a stream that begins."""
        like = self.model.head.weight
        tensors = [self._front_end.start(self._device), self._subsampling.start(like)]
        tensors += [layer.start(like) for layer in self._layers]
        size = self.blocks.size
        return NetworkState(size, tensors, (False,) * len(self._layers), needed=self._first_samples(size + self._right))

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
                key = (samples.shape, shapes, stream.size, stream.begun, last)
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
        first, last = streams[0], group[0][3]
        samples = torch.cat([samples for *_, samples, _ in group]).to(self._device)
        states = [stream.tensors for stream in streams]
        tensors = [
            [torch.cat(parts) if len(group) > 1 else parts[0] for parts in zip(*stages, strict=True)]
            for stages in zip(*states, strict=True)
        ]
        log_probs, tensors, begun = self._step(samples, tensors, first.size, begun=first.begun, last=last)
        for number, (stream, part, *_) in enumerate(group):
            stream.begun = begun
            row = slice(number, number + 1)
            stream.tensors = [[tensor[row] if len(group) > 1 else tensor for tensor in stage] for stage in tensors]
            if log_probs.shape[1]:
                part.append(log_probs[number])

    def _step(
        self, samples: Tensor, tensors: list[list[Tensor]], size: int, begun: tuple[bool, ...], last: bool
    ) -> tuple[Tensor, list[list[Tensor]], tuple[bool, ...]]:
        """Run all stages over (batch, samples): return (batch, frames, symbols), new tensors, and `begun`."""
        features, front = self._front_end.step(tensors[0], samples, last)
        outputs, tails = self._subsampling.step(tensors[1], features.to(self.model.head.weight.dtype), last)
        outputs = self.model.input(outputs)
        new, flags = [front, tails], []
        for layer, stage, flag in zip(self._layers, tensors[2:], begun, strict=True):
            outputs, stage, flag = layer.step(stage, outputs, size, flag, last)
            new.append(stage)
            flags.append(flag)
        return head_log_probs(self.model.head, outputs.transpose(0, 1)), new, tuple(flags)

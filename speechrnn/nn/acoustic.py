"""Acoustic model: waveforms to log-probabilities of symbols in each frame (CTC, Graves et al. 2006)."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speechrnn.audio.augmentation import SpecAugment, SpecAugmentOptions
from speechrnn.audio.features import ChannelOptions, FeatureOptions, FrontEnd
from speechrnn.audio.frame_mask import frame_mask
from speechrnn.core.model_names import find_model_directory
from speechrnn.nn.checkpoint import (
    DESCRIPTION,
    WEIGHTS,
    check_sizes,
    damaged,
    load_model,
    load_options,
    load_tokenizer,
    load_weights,
    save_model,
)
from speechrnn.nn.recurrent import Blocks, RecurrentOptions, RecurrentStack
from speechrnn.text.tokenizers import Tokenizer


@dataclass(frozen=True)
class AcousticOptions(RecurrentOptions):
    """Configure the acoustic model.

    >>> AcousticOptions(layers=1, units=64, subsampling="stack").stride
    3

    Attributes:
        subsampling: method that lowers the frame rate before the recurrent layers: `stack` concatenates neighbouring
            frames, `convolution` learns two 3 x 3 convolutions.
        stride: feature frames for each network frame.
        channels: channels of the convolutions.
        input_dropout: share of the recurrent layers' inputs that are set to zero in training.
        intermediate_layer: layer with a CTC head of its own in training, from 1 (Lee & Watanabe 2021); 0: none.
        streaming: share of the training batches that run in blocks of a random size (`recurrent.Blocks`).
        latency: least and greatest latency of these blocks, seconds; its logarithm is drawn at random.
    """

    subsampling: Literal["stack", "convolution"] = "convolution"
    stride: int = field(default=3, metadata={"min": 1, "max": 8})
    channels: int = field(default=32, metadata={"min": 1})
    input_dropout: float = field(default=0.1, metadata={"min": 0.0, "max": 0.95})
    intermediate_layer: int = field(default=0, metadata={"min": 0})
    streaming: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    latency: tuple[float, float] = field(default=(0.2, 1.5), metadata={"min": 0.01})


class StackFrames(nn.Module):
    """Concatenate each `stride` neighbouring frames into one; the last one is filled up with zeros."""

    def __init__(self, dimensions: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.dimensions = dimensions * stride

    def frames(self, frames: Tensor) -> Tensor:
        """Return the number of frames after subsampling: (batch,) -> (batch,)."""
        return torch.div(frames + self.stride - 1, self.stride, rounding_mode="floor")

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample: (batch, frames, dims), (batch,) -> (batch, frames / stride, dims * stride), (batch,)."""
        features = F.pad(features, (0, 0, 0, -features.shape[1] % self.stride))
        batch, frames, _ = features.shape
        return features.reshape(batch, frames // self.stride, self.dimensions), self.frames(lengths)


class ConvolutionalSubsampling(nn.Module):
    """Two 3 x 3 convolutions over time and frequency; the first strides in time, both halve the frequencies.

    Frames beyond an utterance's length are set to zero before each convolution, so padding does not change it.
    """

    def __init__(self, dimensions: int, stride: int, channels: int) -> None:
        super().__init__()
        self.stride = stride
        width = max(3, stride + (stride + 1) % 2)  # odd, and wide enough to see every frame
        self.first = nn.Conv2d(1, channels, (width, 3), (stride, 2), padding=(width // 2, 1))
        self.second = nn.Conv2d(channels, channels, (3, 3), (1, 2), padding=(1, 1))
        self.dimensions = channels * ((((dimensions + 1) // 2) + 1) // 2)

    def frames(self, frames: Tensor) -> Tensor:
        """Return the number of frames after subsampling: (batch,) -> (batch,)."""
        return torch.div(frames - 1, self.stride, rounding_mode="floor") + 1

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Subsample: (batch, frames, dims), (batch,) -> (batch, frames / stride, channels * dims / 4), (batch,)."""
        outputs = F.relu(self.first(features.unsqueeze(1)))  # (batch, channels, frames, dimensions / 2)
        lengths = self.frames(lengths)
        outputs = outputs * frame_mask(lengths, outputs.shape[2])[:, None, :, None]
        outputs = F.relu(self.second(outputs))  # (batch, channels, frames, dimensions / 4)
        return outputs.transpose(1, 2).flatten(2), lengths


class AcousticModel(nn.Module):
    """Front end, subsampling, bidirectional recurrent layers and a linear CTC head.

    >>> model = AcousticModel(5, FeatureOptions(bins=20), AcousticOptions(layers=1, units=8))
    >>> log_probs, frames = model(torch.zeros(2, 16000), torch.tensor([16000, 8000]))
    >>> log_probs.shape, frames.tolist()
    (torch.Size([2, 34, 5]), [34, 17])

    Attributes:
        seconds_per_frame: seconds between two network frames.
    """

    def __init__(
        self,
        symbols: int,
        features: FeatureOptions,
        options: AcousticOptions,
        masks: SpecAugmentOptions | None = None,
        channel: ChannelOptions | None = None,
        intermediate_symbols: int = 0,
    ) -> None:
        """Build an untrained model.

        Args:
            symbols: size of the alphabet, blank included.
            features: acoustic features.
            options: architecture.
            masks: SpecAugment in training; None: none.
            channel: simulated microphones and telephones in training; None: none.
            intermediate_symbols: size of the alphabet of the intermediate layer's head; 0: there is no such head.
        """
        super().__init__()
        self.options = options
        self.front_end = FrontEnd(features, channel)
        self.masks = SpecAugment(masks, features.hop) if masks else None
        dimensions = self.front_end.dimensions
        self.subsampling: StackFrames | ConvolutionalSubsampling
        if options.subsampling == "stack":
            self.subsampling = StackFrames(dimensions, options.stride)
        else:
            self.subsampling = ConvolutionalSubsampling(dimensions, options.stride, options.channels)
        self.input = nn.Linear(self.subsampling.dimensions, options.units)
        self.input_dropout = nn.Dropout(options.input_dropout)
        self.recurrent = RecurrentStack(options.units, options)
        self.head = nn.Linear(options.units, symbols)
        self.intermediate_head = nn.Linear(options.units, intermediate_symbols) if intermediate_symbols else None
        self.seconds_per_frame = self.front_end.seconds_per_frame * options.stride

    def frames(self, samples: Tensor) -> Tensor:
        """Return the number of network frames of utterances: (batch,) samples -> (batch,) frames."""
        return self.subsampling.frames(self.front_end.frames(samples))

    def forward(self, waveforms: Tensor, lengths: Tensor, blocks: Blocks | None = None) -> tuple[Tensor, Tensor]:
        """Compute log-probabilities of symbols.

        Args:
            waveforms: (batch, samples), padded with zeros.
            lengths: (batch,) valid samples.
            blocks: run as a live recogniser does, with a limited look-ahead; None: over whole utterances.

        Returns:
            (batch, frames, symbols) natural log-probabilities, (batch,) valid frames.
        """
        outputs, lengths = self.encode(waveforms, lengths, blocks)
        return head_log_probs(self.head, outputs[-1]), lengths

    def encode(
        self, waveforms: Tensor, lengths: Tensor, blocks: Blocks | None = None, views: int = 1
    ) -> tuple[list[Tensor], Tensor]:
        """Compute the outputs of each recurrent layer.

        Args:
            waveforms, lengths, blocks: see `forward`; lengths on the CPU need not be read from a GPU.
            views: copies of the batch, one after the other, each with masks of its own in training.

        Returns:
            of each layer (frames, views * batch, units); (views * batch,) valid frames.
        """
        host_lengths = self.frames(lengths).repeat(views) if lengths.device.type == "cpu" else None
        features, lengths = self.front_end(waveforms, lengths.to(waveforms.device, non_blocking=True))
        features, lengths = features.repeat(views, 1, 1), lengths.repeat(views)
        if self.masks is not None:
            features = self.masks(features, lengths)
        outputs, lengths = self.subsampling(features, lengths)
        outputs = self.input_dropout(self.input(outputs))
        return self.recurrent.run_layers(outputs.transpose(0, 1), lengths, blocks, host_lengths=host_lengths), lengths

    def training_outputs(self, waveforms: Tensor, lengths: Tensor, views: int) -> tuple[Tensor, Tensor | None, Tensor]:
        """Compute log-probabilities of a training batch, whole or in random blocks.

        Args:
            waveforms, lengths: see `forward`.
            views: see `encode`.

        Returns:
            (views * batch, frames, symbols); (views * batch, frames, intermediate symbols), or None;
            (views * batch,) valid frames.
        """
        outputs, lengths = self.encode(waveforms, lengths, self.draw_blocks(), views=views)
        middle = None
        if self.intermediate_head is not None:
            middle = head_log_probs(self.intermediate_head, outputs[self.options.intermediate_layer - 1])
        return head_log_probs(self.head, outputs[-1]), middle, lengths

    def draw_blocks(self) -> Blocks | None:
        """Draw the blocks of a training batch from torch's random numbers, or None for whole utterances."""
        options = self.options
        share, latency, ahead = torch.rand(3).tolist()
        if share >= options.streaming:
            return None
        least, most = (max(round(seconds / self.seconds_per_frame), 1) for seconds in options.latency)
        frames = int(least * ((most + 1) / least) ** latency)  # as many short latencies as long ones
        right = int(ahead * (7 * frames // 10 + 1))  # as in live blocks; larger ones cost time, each computes its own
        return Blocks(frames - right, right)


def in_bfloat16(model: AcousticModel) -> AcousticModel:
    """Return a copy of a model whose layers compute in bfloat16; its features stay float32.

    oneDNN's (or cuDNN's) fused recurrent layers take bfloat16 and add up in float32; layer norm does its sums in
    float32 as well. Autocast would convert the weights at every call.
    """
    model = copy.deepcopy(model)
    for part in (model.subsampling, model.input, model.recurrent, model.head):
        part.to(torch.bfloat16)
    return model


def head_log_probs(head: nn.Linear, outputs: Tensor) -> Tensor:
    """Return the log-probabilities of a head: (frames, batch, units) -> (batch, frames, symbols)."""
    return cast(Tensor, head(outputs).transpose(0, 1).float().log_softmax(2))


def save_acoustic(folder: str | Path, model: AcousticModel, tokenizer: Tokenizer, training: dict[str, Any]) -> None:
    """Write an acoustic model directory.

    >>> save_acoustic("models/mine", model, tokenizer, {"epochs": 3})  # doctest: +SKIP

    Args:
        folder: the directory; it is made.
        model: the model.
        tokenizer: its alphabet, and the normalisation of its transcripts.
        training: summary of the training, in JSON values.

    Raises:
        UserError: the directory cannot be written.
    """
    description = {
        "features": asdict(model.front_end.options),
        "acoustic": asdict(model.options),
        "tokenizer": tokenizer.to_json(),
        "intermediate_symbols": model.intermediate_head.out_features if model.intermediate_head else 0,
        "training": training,
    }
    if tokenizer.normalisation is not None:
        description["normalisation"] = asdict(tokenizer.normalisation)
    save_model(folder, "acoustic", description, weights=model.state_dict())


def load_acoustic(folder: str | Path) -> tuple[AcousticModel, Tokenizer]:
    """Read an acoustic model directory.

    >>> model, tokenizer = load_acoustic("outputs/demo/acoustic")  # doctest: +SKIP

    Returns:
        the model, in evaluation mode, and its tokenizer.

    Raises:
        UserError: see `checkpoint.load_model`; or the files do not belong together.
    """
    folder = find_model_directory(folder, "acoustic")
    description, weights = load_model(folder, "acoustic")
    tokenizer = load_tokenizer(description, folder)
    features = load_options(FeatureOptions, description, "features", folder=folder)
    options = load_options(AcousticOptions, description, "acoustic", folder=folder)
    dimensions = features.coefficients * (1 + features.deltas) if features.kind == "mfcc" else features.bins
    intermediate = description.get("intermediate_symbols", 0)  # models made before have no such head
    if not isinstance(intermediate, int) or isinstance(intermediate, bool) or intermediate < 0:
        raise damaged(Path(folder) / DESCRIPTION, "intermediate_symbols is not a number of symbols")
    sizes = {
        "the alphabet": (len(tokenizer), "head.weight", 0),
        "the features": (dimensions, "front_end.normalise.mean", 0),
        "acoustic.units": (options.units, "input.weight", 0),
    }
    if intermediate:
        sizes["intermediate_symbols"] = (intermediate, "intermediate_head.weight", 0)
    if options.subsampling == "convolution":
        sizes["acoustic.channels"] = (options.channels, "subsampling.first.weight", 0)
    check_sizes(weights, sizes, (options.layers, "recurrent.layers.{}.network.weight_hh_l0"), folder=folder)
    try:
        model = AcousticModel(len(tokenizer), features, options, intermediate_symbols=intermediate)
    except Exception as error:  # torchaudio raises many kinds for values that no front end has
        raise damaged(Path(folder) / DESCRIPTION, str(error).rstrip(".")) from error
    load_weights(model, weights, folder)
    if bool((model.front_end.normalise.deviation <= 0).any()):
        raise damaged(Path(folder) / WEIGHTS, "front_end.normalise.deviation is not positive")
    return model.eval(), tokenizer

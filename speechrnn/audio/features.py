"""Acoustic features as modules: batched waveforms in, frames out, on whatever device the model is on.

Each front end maps (batch, samples) with true lengths to (batch, frames, dimensions) with true frame counts. The
features of an utterance do not depend on the padding of its batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.compliance import kaldi
from torchaudio.functional import compute_deltas, create_dct, melscale_fbanks

from speechrnn.audio.feature_normalisation import Normalise
from speechrnn.core.errors import UserError

FLOOR = 1e-6  # added under the logarithm; about -120 dB of a full-scale tone
WARP_KNEE = 0.85  # of the highest frequency; above it a warped scale leads back to its end
FILTER_BANDS = 5  # points of a random filter, equally far apart on the mel scale


@dataclass(frozen=True)
class FeatureOptions:
    """Options of `FrontEnd`, stored with the model.

    >>> FeatureOptions(kind="mfcc", sampling_rate=8000).coefficients
    13

    Attributes:
        kind: log_mel, mfcc or kaldi (Kaldi's `compute-fbank-feats`, snip-edges).
        sampling_rate: Hz; audio at other rates is resampled to it.
        window: length of the analysis window, seconds.
        hop: seconds between frames.
        bins: mel bands.
        low: lower edge of the mel bank in Hz.
        high: upper edge in Hz; None: half the sampling rate.
        coefficients: number of cepstral coefficients of mfcc.
        deltas: 0, 1 or 2 orders of time differences appended to mfcc.
        normalisation: per bin to mean 0 and variance 1: over the `utterance`, with `training` statistics kept in the
            model, with such statistics after the `level` was subtracted (`LevelFollower`), or `none`.
    """

    kind: Literal["log_mel", "mfcc", "kaldi"] = "log_mel"
    sampling_rate: int = field(default=16000, metadata={"min": 1000, "max": 1_000_000})
    window: float = field(default=0.025, metadata={"min": 0.001, "max": 1.0})
    hop: float = field(default=0.010, metadata={"min": 0.001, "max": 1.0})
    bins: int = field(default=80, metadata={"min": 1})
    low: float = field(default=20.0, metadata={"min": 0.0})
    high: float | None = None
    coefficients: int = field(default=13, metadata={"min": 1})
    deltas: int = field(default=2, metadata={"min": 0, "max": 2})
    normalisation: Literal["utterance", "training", "level", "none"] = "utterance"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Return samples a window, samples a hop, and the size of the Fourier transform: the next power of 2."""
        window = round(self.window * self.sampling_rate)
        return window, round(self.hop * self.sampling_rate), 1 << (window - 1).bit_length()


class LogMel(nn.Module):
    """Compute the natural logarithm of a mel power spectrogram.

    Windows are centred on multiples of the hop and see zeros beyond both ends, as
    `librosa.feature.melspectrogram(center=True, pad_mode="constant", htk=True, norm=None)` does; unlike
    reflection this makes the last frames independent of the batch's padding.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, options: FeatureOptions) -> None:
        super().__init__()
        rate = options.sampling_rate
        self.window_samples, self.hop_samples, self.fft_size = options.sizes
        self.dimensions = options.bins
        filters = melscale_fbanks(
            self.fft_size // 2 + 1, options.low, options.high or rate / 2, options.bins, rate, norm=None
        )
        self.register_buffer("window", torch.hann_window(self.window_samples), persistent=False)
        self.register_buffer("filters", filters, persistent=False)  # (fft_size // 2 + 1, bins)

    def frames(self, samples: Tensor) -> Tensor:
        """Return the number of frames of an utterance of so many samples."""
        return torch.div(samples, self.hop_samples, rounding_mode="floor") + 1

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map waveforms (batch, samples), (batch,) to features (batch, frames, bins) and lengths (batch,)."""
        spectrum = torch.stft(
            waveforms,
            self.fft_size,
            self.hop_samples,
            self.window_samples,
            self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()  # (batch, fft_size // 2 + 1, frames)
        return torch.log(power.transpose(1, 2) @ self.filters + FLOOR), self.frames(lengths)


class MFCC(nn.Module):
    """Compute cepstra of the log-mel spectrum (orthonormal DCT-II), with their time differences appended.

    Differences are regressions over five frames, as in HTK and `torchaudio.functional.compute_deltas`;
    edges repeat the utterance's own last frame, not the batch's padding.
    """

    dct: Tensor

    def __init__(self, options: FeatureOptions) -> None:
        super().__init__()
        self.log_mel = LogMel(options)
        self.deltas = options.deltas
        self.dimensions = options.coefficients * (1 + options.deltas)
        self.register_buffer("dct", create_dct(options.coefficients, options.bins, norm="ortho"), persistent=False)

    def frames(self, samples: Tensor) -> Tensor:
        """Return the number of frames of an utterance of so many samples."""
        return self.log_mel.frames(samples)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map waveforms (batch, samples), (batch,) to cepstra (batch, frames, dimensions) and lengths (batch,)."""
        mel, frames = self.log_mel(waveforms, lengths)
        order = mel @ self.dct
        orders = [order]
        for _ in range(self.deltas):
            order = repeat_last_frame(order, frames)
            order = compute_deltas(order.transpose(1, 2)).transpose(1, 2)
            orders.append(order)
        return torch.cat(orders, dim=2), frames


class KaldiFilterBank(nn.Module):
    """Compute Kaldi's log-mel filter bank, as `torchaudio.compliance.kaldi.fbank` without dither does, batched.

    Windows start at multiples of the hop and never cross the end (Kaldi's snip-edges); the mean of
    each window is removed, then pre-emphasis 0.97 and a Povey window are applied. Samples are scaled to the range of
    16-bit integers, as Kaldi's are.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, options: FeatureOptions) -> None:
        super().__init__()
        rate = options.sampling_rate
        self.window_samples, self.hop_samples, self.fft_size = options.sizes
        self.dimensions = options.bins
        filters, _ = kaldi.get_mel_banks(
            options.bins, self.fft_size, float(rate), options.low, options.high or 0.0, 100.0, -500.0, 1.0
        )
        filters = F.pad(filters, (0, 1)).T.contiguous()  # Kaldi leaves out the Nyquist bin
        window = torch.hann_window(self.window_samples, periodic=False).pow(0.85)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)  # (fft_size // 2 + 1, bins)

    def frames(self, samples: Tensor) -> Tensor:
        """Return the number of frames for a number of samples; an utterance shorter than a window has one frame."""
        return (1 + torch.div(samples - self.window_samples, self.hop_samples, rounding_mode="floor")).clamp_min(1)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map waveforms (batch, samples), (batch,) to features (batch, frames, bins) and lengths (batch,)."""
        missing = max(self.window_samples - waveforms.shape[1], 0)
        windows = F.pad(waveforms * 32768.0, (0, missing)).unfold(1, self.window_samples, self.hop_samples)
        windows = windows - windows.mean(dim=2, keepdim=True)
        previous = torch.cat([windows[..., :1], windows[..., :-1]], dim=2)
        windows = (windows - 0.97 * previous) * self.window
        power = torch.fft.rfft(windows, self.fft_size).abs().square()
        return torch.log((power @ self.filters).clamp_min(torch.finfo(torch.float32).eps)), self.frames(lengths)


@dataclass(frozen=True)
class ChannelOptions:
    """Options of `ChannelAugment`.

    Attributes:
        gain: greatest gain or loss of a band in dB (FilterAugment, Nam et al. 2022); 0: none.
        narrow_share: share of the utterances that lose all above a frequency, as on a telephone.
        narrow: least and greatest such frequency, Hz.
        warp: least and greatest factor of all frequencies, as of a shorter vocal tract; (1.0, 1.0): none.
    """

    gain: float = field(default=0.0, metadata={"min": 0.0, "max": 60.0})
    narrow_share: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    narrow: tuple[float, float] = field(default=(3300.0, 4000.0), metadata={"min": 1.0})
    warp: tuple[float, float] = field(default=(1.0, 1.0), metadata={"min": 0.5, "max": 2.0})

    @property
    def changes(self) -> bool:
        """Return whether the options change anything."""
        return self.gain > 0 or self.narrow_share > 0 or self.warp != (1.0, 1.0)


class ChannelAugment(nn.Module):
    """Simulate speakers, microphones and telephones on log-mel features before their normalisation, in training.

    Each utterance gets a vocal tract length of its own, gains that are random at some bands and linear between them;
    and a share of the utterances loses all bands above a random frequency.

    >>> channel = ChannelAugment(ChannelOptions(gain=6.0), FeatureOptions(bins=20))
    >>> channel(torch.zeros(2, 5, 20)).shape
    torch.Size([2, 5, 20])
    """

    centres: Tensor
    mel: Tensor

    def __init__(self, options: ChannelOptions, features: FeatureOptions) -> None:
        """Take the options, and those of the features, whose kind is log_mel or kaldi."""
        super().__init__()
        self.options = options
        edges = torch.tensor([features.low, features.high or features.sampling_rate / 2])
        low, high = mel_of(edges)
        mel = torch.linspace(float(low), float(high), features.bins + 2)[1:-1]
        self.highest = float(edges[1])
        self.register_buffer("mel", mel, persistent=False)  # (bins,), equally far apart
        self.register_buffer("centres", 700.0 * (10.0 ** (mel / 2595.0) - 1.0), persistent=False)  # (bins,) Hz

    def forward(self, features: Tensor) -> Tensor:
        """Change log-mel features (batch, frames, bins), natural logarithms of power."""
        options, (batch, _, bins) = self.options, features.shape
        if not self.training:
            return features
        if options.warp != (1.0, 1.0):
            low, high = options.warp
            factors = low + (high - low) * torch.rand(batch, device=features.device)
            features = warp_bins(features, self.warped_positions(factors))
        if options.gain > 0:
            gains = (2.0 * torch.rand(batch, 1, FILTER_BANDS, device=features.device) - 1.0) * options.gain
            curve = F.interpolate(gains, bins, mode="linear", align_corners=True)  # (batch, 1, bins)
            features = features + curve * (math.log(10.0) / 10.0)
        if options.narrow_share > 0:
            narrow = torch.rand(batch, device=features.device) < options.narrow_share
            low, high = options.narrow
            cut = low + (high - low) * torch.rand(batch, device=features.device)
            lost = narrow[:, None] & (self.centres > cut[:, None])
            features = features.masked_fill(lost[:, None], math.log(FLOOR))
        return features

    def warped_positions(self, factors: Tensor) -> Tensor:
        """Return the place, in bins, from which each bin of a warped spectrum is taken: (batch,) -> (batch, bins).

        Frequencies are multiplied by the factor up to a knee; from there a line leads to the highest frequency, which
        stays in place (Lee & Rose 1998, "A frequency warping approach to speaker normalization").
        """
        factors = factors[:, None]
        knee = WARP_KNEE * self.highest / factors.clamp_min(1.0)
        slope = (self.highest - factors * knee) / (self.highest - knee)
        above = factors * knee + slope * (self.centres - knee)
        frequencies = torch.where(self.centres <= knee, factors * self.centres, above)
        if len(self.mel) == 1:
            return torch.zeros_like(frequencies)
        return (mel_of(frequencies) - self.mel[0]) / (self.mel[1] - self.mel[0])


def mel_of(frequencies: Tensor) -> Tensor:
    """Return frequencies in Hz on HTK's mel scale.

    >>> round(mel_of(torch.tensor(1000.0)).item())
    1000
    """
    return 2595.0 * torch.log10(1.0 + frequencies / 700.0)


def warp_bins(features: Tensor, positions: Tensor) -> Tensor:
    """Read features (batch, frames, bins) at other places, in bins (batch, bins), linear between two bins.

    >>> warp_bins(torch.tensor([[[0.0, 1.0, 4.0]]]), torch.tensor([[0.5, 1.0, 1.5]])).tolist()
    [[[0.5, 1.0, 2.5]]]
    """
    _, frames, bins = features.shape
    positions = positions.clamp(0.0, bins - 1.0)
    lower = positions.floor().long().clamp_max(max(bins - 2, 0))  # (batch, bins)
    share = (positions - lower).unsqueeze(1)  # (batch, 1, bins)
    index = lower.unsqueeze(1).expand(-1, frames, -1)
    upper = (index + 1).clamp_max(bins - 1)
    return features.gather(2, index) * (1.0 - share) + features.gather(2, upper) * share


class FrontEnd(nn.Module):
    """Compute normalised features of waveforms, as one part of the model.

    >>> features, lengths = FrontEnd(FeatureOptions())(torch.zeros(1, 16000), torch.tensor([16000]))
    >>> features.shape, lengths.tolist()
    (torch.Size([1, 101, 80]), [101])
    """

    def __init__(self, options: FeatureOptions, channel: ChannelOptions | None = None) -> None:
        """Take the options of the features, and those of simulated channels in training.

        Raises:
            UserError: the edges of the mel bank are not below half the sampling rate; or channels with mfcc.
        """
        super().__init__()
        high = options.high or options.sampling_rate / 2
        if not options.low < high <= options.sampling_rate / 2:
            raise UserError(
                f"features.low={options.low:g} and features.high={high:g} must be an interval of Hz below half of "
                f"features.sampling_rate={options.sampling_rate}."
            )
        self.options = options
        kinds: dict[str, type[LogMel | MFCC | KaldiFilterBank]]
        kinds = {"log_mel": LogMel, "mfcc": MFCC, "kaldi": KaldiFilterBank}
        self.extract = kinds[options.kind](options)
        self.dimensions: int = self.extract.dimensions
        self.seconds_per_frame = round(options.hop * options.sampling_rate) / options.sampling_rate
        if options.kind == "mfcc" and options.normalisation == "level":
            raise UserError("features.normalisation=level needs mel bands: choose features=log_mel or features=kaldi.")
        self.normalise = Normalise(options.normalisation, self.dimensions, self.seconds_per_frame)
        self.channel = None
        if channel is not None and channel.changes:
            if options.kind == "mfcc":
                raise UserError(
                    "augmentation.channel changes mel bands: choose features=log_mel, or gain=0, narrow_share=0 and "
                    "warp=[1.0,1.0]."
                )
            self.channel = ChannelAugment(channel, options)

    def frames(self, samples: Tensor) -> Tensor:
        """Return the number of frames of utterances of so many samples."""
        return self.extract.frames(samples)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map waveforms (batch, samples), (batch,) to features (batch, frames, dimensions) and lengths (batch,)."""
        with torch.autocast(waveforms.device.type, enabled=False):  # a spectrum needs float32
            features, frames = self.extract(waveforms.float(), lengths)
            if self.channel is not None:
                features = self.channel(features)
            return self.normalise(features, frames), frames


def repeat_last_frame(features: Tensor, lengths: Tensor) -> Tensor:
    """Fill the padding of (batch, frames, dimensions) with each utterance's own last frame."""
    index = torch.arange(features.shape[1], device=lengths.device).minimum(lengths[:, None] - 1)
    return features.gather(1, index.unsqueeze(2).expand_as(features))

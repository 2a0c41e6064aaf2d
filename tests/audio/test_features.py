"""The front ends against librosa and torchaudio, and their independence of padding."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.audio.features import (
    MFCC,
    ChannelAugment,
    ChannelOptions,
    FeatureOptions,
    FrontEnd,
    KaldiFilterBank,
    LogMel,
)
from speechrnn.core.errors import UserError

RATES = [8000, 16000, 22050]


def speechlike(samples: int, rate: int) -> np.ndarray:
    """A sweep with a falling envelope and a little noise."""
    time = np.arange(samples) / rate
    noise = np.random.default_rng(0).standard_normal(samples)
    return (0.3 * np.sin(2 * np.pi * (200 + 800 * time) * time) * np.exp(-time) + 0.01 * noise).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_log_mel_is_librosas(rate: int) -> None:
    """Within 1e-3 nats where there is energy above the floor."""
    wave = speechlike(rate, rate)
    front = LogMel(FeatureOptions(sampling_rate=rate, bins=40))
    ours, _ = front(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    theirs = librosa.feature.melspectrogram(
        y=wave, sr=rate, n_fft=front.fft_size, hop_length=front.hop_samples, win_length=front.window_samples,
        window="hann", center=True, pad_mode="constant", power=2.0, n_mels=40, fmin=20.0, fmax=rate / 2, htk=True,
        norm=None,
    )  # fmt: skip
    np.testing.assert_allclose(ours[0].numpy(), np.log(theirs.T + 1e-6), atol=1e-3)


@pytest.mark.parametrize("rate", RATES)
def test_kaldi_filter_bank_is_torchaudios(rate: int) -> None:
    """Within 1e-3 nats."""
    wave = torch.from_numpy(speechlike(rate, rate))
    ours, frames = KaldiFilterBank(FeatureOptions(sampling_rate=rate, bins=40))(wave[None], torch.tensor([len(wave)]))
    theirs = torchaudio.compliance.kaldi.fbank(
        wave[None] * 32768, num_mel_bins=40, sample_frequency=float(rate), dither=0.0, energy_floor=0.0
    )
    assert int(frames) == len(theirs)
    torch.testing.assert_close(ours[0], theirs, atol=1e-3, rtol=0)


def test_mfcc_is_torchaudios() -> None:
    """Cepstra and both orders of differences within 1e-3."""
    rate = 16000
    wave = torch.from_numpy(speechlike(rate, rate))
    front = MFCC(FeatureOptions(bins=40, coefficients=13, deltas=2))
    ours, _ = front(wave[None], torch.tensor([rate]))
    mel, _ = front.log_mel(wave[None], torch.tensor([rate]))
    cepstra = (mel @ torchaudio.functional.create_dct(13, 40, "ortho")).transpose(1, 2)
    first = torchaudio.functional.compute_deltas(cepstra)
    theirs = torch.cat([cepstra, first, torchaudio.functional.compute_deltas(first)], dim=1).transpose(1, 2)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_mfcc_cepstra_are_librosas() -> None:
    """librosa takes the same DCT of the same log spectrum: within 1e-3."""
    rate = 16000
    wave = speechlike(rate, rate)
    front = MFCC(FeatureOptions(bins=40, coefficients=13, deltas=0))
    ours, _ = front(torch.from_numpy(wave)[None], torch.tensor([rate]))
    mel, _ = front.log_mel(torch.from_numpy(wave)[None], torch.tensor([rate]))
    theirs = librosa.feature.mfcc(S=mel[0].T.numpy(), n_mfcc=13, dct_type=2, norm="ortho")
    np.testing.assert_allclose(ours[0].numpy(), theirs.T, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "normalisation"),
    [(kind, norm) for kind in ("log_mel", "mfcc", "kaldi") for norm in ("utterance", "training", "none")]
    + [("log_mel", "level"), ("kaldi", "level")],
)
@settings(max_examples=10)
@given(lengths=st.lists(st.integers(1, 6000), min_size=1, max_size=4), padding=st.integers(0, 3000))
def test_padding_changes_nothing(kind: str, normalisation: str, lengths: list[int], padding: int) -> None:
    """Frame counts agree with the true length, and a row of a batch equals the utterance alone."""
    front = FrontEnd(FeatureOptions(kind=kind, bins=20, normalisation=normalisation))  # type: ignore[arg-type]
    waves = [torch.from_numpy(speechlike(length, 16000)) for length in lengths]
    batch = torch.zeros(len(lengths), max(lengths) + padding)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave
    together, frames = front(batch, torch.tensor(lengths))
    assert int(frames.max()) <= together.shape[1]
    for wave, row, count in zip(waves, together, frames.tolist(), strict=True):
        alone, alone_frames = front(wave[None], torch.tensor([len(wave)]))
        assert alone.shape[1] == int(alone_frames) == count
        torch.testing.assert_close(row[:count], alone[0], atol=2e-4, rtol=1e-4)


def test_digital_silence_is_finite() -> None:
    for kind in ("log_mel", "mfcc", "kaldi"):
        features, _ = FrontEnd(FeatureOptions(kind=kind))(torch.zeros(1, 8000), torch.tensor([8000]))
        assert torch.isfinite(features).all()


def test_a_tone_lights_the_band_that_holds_it() -> None:
    rate, hertz = 16000, 1000
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(rate) / rate)
    features, _ = LogMel(FeatureOptions(bins=40))(tone[None], torch.tensor([rate]))
    centres = librosa.mel_frequencies(n_mels=42, fmin=20.0, fmax=rate / 2, htk=True)[1:-1]
    loudest = int(features[0].mean(0).argmax())
    assert abs(loudest - int(np.abs(centres - hertz).argmin())) <= 1


def test_a_channel_changes_bands_by_no_more_than_its_gain() -> None:
    torch.manual_seed(0)
    channel = ChannelAugment(ChannelOptions(gain=6.0), FeatureOptions(bins=20))
    features = torch.randn(50, 7, 20)
    change = (channel(features) - features) * 10 / math.log(10)  # dB
    assert 4.0 < change.abs().max() <= 6.0 + 1e-4
    torch.testing.assert_close(change, change[:, :1].expand_as(change), atol=1e-4, rtol=0)  # the same in all frames
    assert len(change[:, 0, 0].unique()) == 50  # a filter of its own for each utterance
    torch.testing.assert_close(channel.eval()(features), features)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_a_warped_spectrum_has_its_peaks_elsewhere(factor: float) -> None:
    """A tone of 1000 Hz is found where the spectrum of a tone of 1000 / factor Hz would have its peak."""
    options = FeatureOptions(bins=80)
    channel = ChannelAugment(ChannelOptions(warp=(factor, factor)), options)
    extract = FrontEnd(options).extract
    time = torch.arange(16000) / 16000
    tones = torch.stack([torch.sin(2 * math.pi * frequency * time) for frequency in (1000.0, 1000.0 / factor)])
    features, _ = extract(0.3 * tones, torch.tensor([16000, 16000]))
    peaks = channel(features)[:, 50].argmax(1)[0], features[1, 50].argmax()
    assert abs(int(peaks[0]) - int(peaks[1])) <= 1
    torch.testing.assert_close(channel.eval()(features), features)


@given(st.floats(0.5, 2.0), st.sampled_from([1, 2, 20, 80]), st.sampled_from([8000, 16000]))
def test_a_warped_scale_rises_and_ends_where_it_did(factor: float, bins: int, rate: int) -> None:
    channel = ChannelAugment(ChannelOptions(warp=(factor, factor)), FeatureOptions(bins=bins, sampling_rate=rate))
    positions = channel.warped_positions(torch.tensor([factor]))
    assert positions.shape == (1, bins)
    assert torch.isfinite(positions).all()
    assert (positions.diff(dim=1) >= 0).all()
    features = torch.randn(1, 3, bins)
    warped = channel(features)
    assert warped.min() >= features.min() - 1e-4 and warped.max() <= features.max() + 1e-4


def test_a_warp_of_one_changes_nothing() -> None:
    channel = ChannelAugment(ChannelOptions(warp=(1.0, 1.0)), FeatureOptions(bins=20))
    features = torch.randn(2, 5, 20)
    assert torch.equal(channel(features), features)
    positions = channel.warped_positions(torch.ones(1))
    torch.testing.assert_close(positions, torch.arange(20.0)[None], atol=1e-3, rtol=0.0)


def test_a_narrow_channel_has_nothing_above_its_edge() -> None:
    """As the same speech at 8 kHz, resampled to 16 kHz, has."""
    torch.manual_seed(0)
    options = FeatureOptions(bins=40, normalisation="none")
    wave = torch.randn(1, 16000) * 0.1
    narrow = torchaudio.functional.resample(torchaudio.functional.resample(wave, 16000, 8000), 8000, 16000)
    front_end = FrontEnd(options, ChannelOptions(narrow_share=1.0, narrow=(4000.0, 4000.0)))
    expected = front_end.eval()(narrow, torch.tensor([16000]))[0]
    features = front_end.train()(wave, torch.tensor([16000]))[0]
    assert front_end.channel is not None
    high, low = front_end.channel.centres > 4000.0, front_end.channel.centres < 2000.0
    assert features[..., high].max() == pytest.approx(math.log(1e-6))
    wide = front_end.eval()(wave, torch.tensor([16000]))[0]
    assert expected[..., high].mean() < (math.log(1e-6) + wide[..., high].mean()) / 2  # nearer to the floor
    torch.testing.assert_close(features[:, 5:-5, low], expected[:, 5:-5, low], atol=0.2, rtol=0)


def test_channels_need_mel_bands() -> None:
    with pytest.raises(UserError, match="features=log_mel"):
        FrontEnd(FeatureOptions(kind="mfcc"), ChannelOptions(gain=3.0))

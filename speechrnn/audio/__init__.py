"""Audio files, features, augmentation, voice activity detection and segmentation.

>>> from speechrnn.audio import load_audio
>>> samples, sampling_rate = load_audio("talk.mp3", 16000)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from speechrnn.core.lazy import lazy_names

if TYPE_CHECKING:
    from speechrnn.audio.augmentation import SpecAugment, SpecAugmentOptions, WaveformAugment, WaveformOptions
    from speechrnn.audio.errors import AudioError, TruncatedAudioError
    from speechrnn.audio.features import FeatureOptions, FrontEnd
    from speechrnn.audio.io import (
        MIN_SECONDS,
        AudioInfo,
        audio_blocks,
        audio_info,
        load_audio,
        save_audio,
    )
    from speechrnn.audio.paths import AUDIO_SUFFIXES, find_audio
    from speechrnn.audio.samples import is_silent
    from speechrnn.audio.segmentation import SegmentationOptions, Window, cut_windows, detect_speech
    from speechrnn.audio.vad import SpeechDetector, build_detector
else:
    # Reading a file must not load torch.
    _MODULES = {
        "augmentation": ("SpecAugment", "SpecAugmentOptions", "WaveformAugment", "WaveformOptions"),
        "errors": ("AudioError", "TruncatedAudioError"),
        "features": ("FeatureOptions", "FrontEnd"),
        "io": (
            "MIN_SECONDS",
            "AudioInfo",
            "audio_blocks",
            "audio_info",
            "load_audio",
            "save_audio",
        ),
        "paths": ("AUDIO_SUFFIXES", "find_audio"),
        "samples": ("is_silent",),
        "segmentation": ("SegmentationOptions", "Window", "cut_windows", "detect_speech"),
        "vad": ("SpeechDetector", "build_detector"),
    }

    __getattr__ = lazy_names(__name__, _MODULES)

__all__ = [
    "AUDIO_SUFFIXES",
    "MIN_SECONDS",
    "AudioError",
    "AudioInfo",
    "FeatureOptions",
    "FrontEnd",
    "SegmentationOptions",
    "SpecAugment",
    "SpecAugmentOptions",
    "SpeechDetector",
    "TruncatedAudioError",
    "WaveformAugment",
    "WaveformOptions",
    "Window",
    "audio_blocks",
    "audio_info",
    "build_detector",
    "cut_windows",
    "detect_speech",
    "find_audio",
    "is_silent",
    "load_audio",
    "save_audio",
]

"""Tests of loading a recogniser: the network on its device, and the decoder with the tuned weights."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.acoustic_models import save_listener, streaming_model
from helpers.language_models import toy_model

from speechrnn.core.errors import UserError
from speechrnn.decoding.beam_search import BeamOptions
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.tuned_weights import TunedDecoding, write_tuned
from speechrnn.nn.acoustic import save_acoustic
from speechrnn.nn.language import save_language
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.transcription.recognizer import load_recognizer, warn_uncalibrated
from speechrnn.transcription.streamer import StreamingRecognizer
from speechrnn.transcription.transcriber import Transcriber


@pytest.fixture(scope="module")
def acoustic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_listener(tmp_path_factory.mktemp("acoustic"))


def test_the_parts_belong_together(acoustic: Path) -> None:
    loaded = load_recognizer(acoustic, DecodingOptions(), None, device="cpu")
    assert loaded.device.type == "cpu" and not loaded.network.training
    assert loaded.network.head.out_features == len(loaded.tokenizer)


def test_what_is_missing_is_named(acoustic: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        load_recognizer(tmp_path / "nowhere", DecodingOptions(), None, device="cpu")
    with pytest.raises(UserError, match="abacus"):
        load_recognizer(acoustic, DecodingOptions(), None, device="abacus")


def test_confidences_that_were_calibrated_otherwise_have_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "acoustic"
    save_acoustic(folder, *streaming_model(), training={})
    beam = DecodingOptions(name="beam")
    write_tuned(folder, {"bare_beam": TunedDecoding(calibration=Calibration(), search=BeamOptions())})
    with caplog.at_level(logging.WARNING, "speechrnn"):
        warn_uncalibrated(folder, beam, None)
        warn_uncalibrated(folder, DecodingOptions(), None)
        load_recognizer(folder, replace(beam, beam_size=3), None, device="cpu")  # as each worker of a job does
        assert not caplog.text
        for load in (Transcriber.load, StreamingRecognizer.load):
            caplog.clear()
            load(folder, decoding=replace(beam, beam_size=3, hot_words=("A",)), device="cpu")
            assert re.search(r"less exact.*decoding\.beam_size, decoding\.hot_words.*tune", caplog.text)


def test_a_language_model_of_other_characters_is_refused(acoustic: Path, tmp_path: Path) -> None:
    tokenizer = CharTokenizer.build([], "XYZ ")
    save_language(tmp_path / "language", toy_model(len(tokenizer)), tokenizer, training={})
    with pytest.raises(UserError, match="language"):
        load_recognizer(acoustic, DecodingOptions(name="beam"), tmp_path / "language", device="cpu")

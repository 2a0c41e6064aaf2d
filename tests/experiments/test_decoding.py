"""The words behind a run's error rates are those that `transcribe` writes for the same files."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhotse import CutSet

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.decoding.decoder import make_decoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.experiments.decoding import compute_part_emissions, decode_cuts
from speechrnn.transcription.transcriber import Transcriber


@pytest.mark.parametrize(
    "decoding", [DecodingOptions(), DecodingOptions(name="beam", beam_size=4, blank_threshold=1.0)]
)
def test_decoding_a_part_gives_the_words_of_the_transcriber(model: Path, cuts: Path, decoding: DecodingOptions) -> None:
    # The utterances of a corpus are speech by definition; noise, as here, is none for the detector.
    speech = SegmentationOptions(vad="none")
    transcriber = Transcriber.load(
        model, "cpu", decoding=decoding, engine="torch", precision="float32", segmentation=speech
    )
    decoder = make_decoder(
        decoding,
        None,
        transcriber.tokenizer,
        seconds_per_frame=transcriber.model.seconds_per_frame,
        tuned={},
        device=transcriber.device,
    )
    rows, elapsed = decode_cuts(transcriber, {"one": decoder}, cuts, batch_seconds=1.0)
    decoded = {row["audio"]: row["hypothesis"] for row in rows["one"]}
    transcribed = {path: transcriber(path).text for path in decoded}
    assert decoded == transcribed and len(decoded) == 8
    assert any(decoded.values()) and elapsed["one"] > 0


def test_the_emissions_of_a_part_are_those_of_its_utterances(model: Path, cuts: Path) -> None:
    transcriber = Transcriber.load(model, "cpu", engine="torch", precision="float32")
    emissions = compute_part_emissions(transcriber, cuts, batch_seconds=1.0)
    assert [emission.reference for emission in emissions] == ["AB C"] * 8
    seconds = sorted(cut.duration for cut in CutSet.from_file(cuts))
    frames = sorted(len(emission.log_probs) for emission in emissions)
    assert all(
        abs(count * transcriber.model.seconds_per_frame - length) < 0.1
        for count, length in zip(frames, seconds, strict=True)
    )

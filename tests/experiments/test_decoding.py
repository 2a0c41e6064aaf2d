"""The words behind a run's error rates are those that `transcribe` writes for the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.acoustic_models import RATE, save_listener
from lhotse import CutSet, Recording, SupervisionSegment

from speechrnn.audio import save_audio
from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.errors import UserError
from speechrnn.decoding.decoder import make_decoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.tuning import TuningOptions
from speechrnn.experiments.decoding import compute_part_emissions, decode_cuts, tune_run
from speechrnn.transcription.transcriber import Transcriber


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_listener(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared part of eight recordings of 0.2 to 0.6 s."""
    folder = tmp_path_factory.mktemp("cuts")
    generator = np.random.default_rng(0)
    prepared = []
    for number in range(8):
        path = folder / f"{number}.wav"
        samples = generator.standard_normal(round(generator.uniform(0.2, 0.6) * RATE)) * 0.1
        save_audio(path, samples.astype(np.float32), RATE)
        cut = Recording.from_file(path).to_cut()
        cut.supervisions = [SupervisionSegment(f"{number}", cut.recording_id, 0.0, cut.duration, text="AB C")]
        prepared.append(cut.with_id(f"{number}"))
    CutSet.from_cuts(prepared).to_file(folder / "cuts.jsonl.gz")
    return folder / "cuts.jsonl.gz"


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
        decoding, None, transcriber.tokenizer, transcriber.model.seconds_per_frame, {}, transcriber.device
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


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing", "does not exist"), ("run.txt", "is a file, not a folder"), (".", "holds no trained acoustic model")],
)
def test_what_is_no_run_is_said_before_anything_is_loaded(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "run.txt").touch()
    with pytest.raises(UserError, match=problem) as error:
        tune_run(
            tmp_path / name,
            DecodingOptions(name="beam"),
            language_model=None,
            tuning=TuningOptions(),
            device="cpu",
            batch_seconds=10,
        )
    assert str(tmp_path / name) in str(error.value)

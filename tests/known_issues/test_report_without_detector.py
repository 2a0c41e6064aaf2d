"""Known: the error rates of a run are those of whole utterances, without the detector of speech that `transcribe` uses.

Where the detector finds no speech in an utterance, `transcribe` writes no words and the report counts some. Corpora
hold speech, so error rates hardly differ; noise, as here, shows it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.acoustic_models import RATE, save_listener
from lhotse import CutSet, Recording, SupervisionSegment

from speechrnn.audio import save_audio
from speechrnn.decoding.decoder import GreedyDecoder
from speechrnn.experiments.decoding import decode_cuts
from speechrnn.transcription.transcriber import Transcriber


@pytest.mark.xfail(strict=True, reason="decode_cuts decodes whole utterances, without the detector")
def test_a_run_decodes_an_utterance_as_transcribe_does(tmp_path: Path) -> None:
    pytest.importorskip("silero_vad", reason="the extra [vad] is not installed")
    transcriber = Transcriber.load(save_listener(tmp_path / "model"), "cpu", engine="torch", precision="float32")
    path = tmp_path / "noise.wav"
    save_audio(path, (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32), RATE)
    cut = Recording.from_file(path).to_cut()
    cut.supervisions = [SupervisionSegment("noise", cut.recording_id, 0.0, cut.duration, text="AB")]
    CutSet.from_cuts([cut.with_id("noise")]).to_file(tmp_path / "cuts.jsonl.gz")
    decoder = GreedyDecoder(transcriber.tokenizer, transcriber.model.seconds_per_frame)
    rows, _ = decode_cuts(transcriber, {"greedy": decoder}, tmp_path / "cuts.jsonl.gz", batch_seconds=10.0)
    assert rows["greedy"][0]["hypothesis"] == transcriber(path).text

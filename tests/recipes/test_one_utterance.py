"""The smallest corpus, with which people check that a network can learn at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import soundfile
from helpers.corpora import RATE, SMALL, say

from speechrnn.cli import main as cli

pytestmark = pytest.mark.integration


def test_a_corpus_of_one_utterance_trains_and_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    for part in ("train", "test"):
        (tmp_path / "corpus" / part).mkdir(parents=True)
        soundfile.write(tmp_path / "corpus" / part / "a.wav", say("ABCD"), RATE)
        (tmp_path / "corpus" / part / "a.txt").write_text("ABCD\n")
    command = ["speech_to_text", "corpus=folder", f"corpus.root={tmp_path}/corpus", f"output={tmp_path}/run", *SMALL]
    with pytest.raises(SystemExit) as end:
        cli.main([*command, "stages=[prepare,train,decode]"])
    assert not end.value.code
    assert (tmp_path / "run" / "acoustic" / "model.safetensors").exists()
    rows = (tmp_path / "run" / "hypotheses.jsonl").read_text().splitlines()
    assert len(rows) == 1 and json.loads(rows[0])["reference"] == "ABCD"

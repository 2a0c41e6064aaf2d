"""The process that reads a binary file of KenLM may crash, hang or be killed; this one goes on, with a sentence."""

from __future__ import annotations

import gc
import os
import random
import signal
from pathlib import Path

import pytest
import torch
from helpers.kenlm import BINARY, binary

from speechrnn.core.errors import UserError
from speechrnn.core.failures import MachineError
from speechrnn.decoding.ngram import kenlm_process
from speechrnn.decoding.ngram.kenlm import KenlmModel
from speechrnn.decoding.ngram.kenlm_process import KenlmProcess
from speechrnn.text.tokenizers import CharTokenizer

pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="no wheel of flashlight-text here")
pytestmark = pytest.mark.integration

WORDS = ["</s>", "<unk>", "a", "b"]


@pytest.fixture
def process(tmp_path: Path) -> KenlmProcess:
    return KenlmProcess(binary(tmp_path, "probing"), WORDS)


def test_scores_are_those_of_the_file(process: KenlmProcess) -> None:
    scores = process.score([(True, ()), (False, ()), (True, (2, 3))])
    assert scores.shape == (3, 4) and scores.dtype == torch.float32
    assert scores[0, 2].item() == pytest.approx(-0.1) and scores[1, 2].item() == pytest.approx(-0.5)
    assert scores[2, 0].item() == pytest.approx(-0.15)
    assert process.score([]).shape == (0, 4)
    many = process.score([(True, (2, 3))] * 20_000)  # more than a pipe holds
    assert many.shape == (20_000, 4) and bool((many == scores[2]).all())


def test_a_process_that_ends_is_a_fault_of_the_machine_and_the_next_call_starts_another(process: KenlmProcess) -> None:
    expected = process.score([(True, ())])
    os.kill(process._process.pid, signal.SIGKILL)
    with pytest.raises(MachineError, match=r"probing\.bin is damaged.*ARPA"):
        process.score([(True, ())])
    assert torch.equal(process.score([(True, ())]), expected)


def test_a_process_that_hangs_is_ended(process: KenlmProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kenlm_process, "WAIT_SECONDS", 0)
    child = process._process
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(MachineError, match=r"probing\.bin is damaged"):
        process.score([(True, ())])
    assert child.returncode == -signal.SIGKILL


def test_an_interrupted_call_leaves_no_reply_for_the_next(
    process: KenlmProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(size: int, seconds: float) -> bytearray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(process, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            process.score([(False, (3,))])
    assert process.score([(True, ())])[0, 2].item() == pytest.approx(-0.1)


def test_signals_of_a_terminal_do_not_end_it(process: KenlmProcess) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process._process.pid, number)
    assert process.score([(True, ())]).shape == (1, 4)


def test_no_process_outlives_its_model(tmp_path: Path) -> None:
    process = KenlmProcess(binary(tmp_path, "trie"), WORDS)
    child = process._process
    del process
    gc.collect()
    assert child.returncode is not None


@pytest.mark.parametrize("kind", list(BINARY))
def test_damage_anywhere_is_a_score_or_a_sentence(tmp_path: Path, kind: str) -> None:
    path = binary(tmp_path, kind)
    whole, draw = path.read_bytes(), random.Random(kind)
    for _ in range(12):
        damaged = bytearray(whole)
        at = draw.randrange(88, len(whole))
        damaged[at : at + 8] = draw.choice((b"\xff" * 8, bytes(8), draw.randbytes(8)))
        path.write_bytes(damaged)
        try:
            model = KenlmModel(path, CharTokenizer.build([], "ba "))
            states = torch.tensor([model.begin()])
            for _ in range(3):
                scores = model.log_probs(states)
                assert not scores.isnan().any() and not (scores == torch.inf).any()
                tokens = torch.arange(model.vocabulary).repeat(len(states))
                states = model.extend(states.repeat_interleave(model.vocabulary), tokens)
        except UserError as error:
            assert str(path) in str(error)

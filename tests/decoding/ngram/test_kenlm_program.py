from __future__ import annotations

import io
import signal
import subprocess
import sys
from array import array

import pytest

from speechrnn.decoding.ngram import kenlm_program
from speechrnn.decoding.ngram.kenlm_program import SIZE, serve


class Model:
    """A model whose score of a word is the number that the history spells, and the word behind it."""

    def start(self, anywhere: bool) -> int:
        return 0 if anywhere else 9

    def score(self, state: int, word: int) -> tuple[int, float]:
        return 10 * state + word, float(10 * state + word)


@pytest.fixture(autouse=True)
def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the limits of the process of the tests alone."""
    monkeypatch.setattr(kenlm_program, "resource", None)


def request(*histories: tuple[int, ...]) -> bytes:
    """Return the bytes of a request; the first number of a history tells whether it begins a line."""
    numbers = array("i", [number for begins, *words in histories for number in (len(words), begins, *words)])
    return len(numbers).to_bytes(SIZE, sys.byteorder) + numbers.tobytes()


def test_each_history_has_a_score_of_every_word() -> None:
    replies = io.BytesIO()
    serve(Model(), 3, io.BytesIO(request((1,), (0, 4, 2)) + request((0,))), replies=replies)
    assert array("f", replies.getvalue()).tolist() == [90.0, 91.0, 92.0, 420.0, 421.0, 422.0, 0.0, 1.0, 2.0]


def test_a_request_that_breaks_off_ends_it() -> None:
    replies = io.BytesIO()
    serve(Model(), 3, io.BytesIO(request((1,))[: SIZE - 1]), replies=replies)
    assert not replies.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of this kind")
@pytest.mark.integration
def test_a_process_that_computes_without_end_is_ended() -> None:
    name = "speechrnn.decoding.ngram.kenlm_program"
    code = f"from {name} import limit_time\nlimit_time(100.0)\nlimit_time(0.5)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGXCPU

"""Ctrl-C and SIGTERM while a job runs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from speechrnn.jobs import interruption as module
from speechrnn.jobs.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(number)
    requests: list[str] = []
    with pytest.raises(KeyboardInterrupt), Interruption(lambda: requests.append("stop")) as interruption:
        assert interruption.requested is None and not interruption.expired
        os.kill(os.getpid(), number)
        assert requests == ["stop"] and interruption.requested is not None and not interruption.expired
        monkeypatch.setattr(module, "GRACE_SECONDS", -1.0)
        assert interruption.expired
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with Interruption() as interruption:
            seen.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]

"""Signals while torch computes."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

TRAINING = """
    import os, signal, subprocess, sys
    import torch
    from speechrnn.core.signals import use_signal_stack

    def train() -> list[float]:
        torch.manual_seed(0)
        lstm, head = torch.nn.LSTM(48, 192), torch.nn.Linear(192, 70)
        optimiser = torch.optim.Adam([*lstm.parameters(), *head.parameters()], 0.004)
        losses = []
        for _ in range(20):
            loss = head(lstm(torch.randn(50, 32, 48))[0]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses

    torch.set_num_threads(1)
    undisturbed = train()
    use_signal_stack()
    received = []
    signal.signal(signal.SIGUSR1, lambda *_: received.append(1))
    kill = f"os.kill({os.getpid()}, {int(signal.SIGUSR1)}); time.sleep(0.0005)"
    sender = f"import os, time\\nfor _ in range(100_000): {kill}"
    process = subprocess.Popen([sys.executable, "-c", sender], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    disturbed = [train() for _ in range(4)]
    process.kill()
    print(len(received) > 10, all(losses == undisturbed for losses in disturbed))
"""


@pytest.mark.integration
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_signals_do_not_disturb_a_training() -> None:
    # Without a stack of their own, they end it in "corrupted size vs. prev_size" where oneDNN's kernels are at work.
    result = subprocess.run(
        [sys.executable, "-c", dedent(TRAINING)], capture_output=True, text=True, timeout=300, check=False
    )
    assert (result.returncode, result.stdout) == (0, "True True\n"), result.stderr


@pytest.mark.parametrize("closed", ["sys.stderr = None", "sys.stderr.close()", "os.close(2)"])
def test_a_closed_standard_error_is_no_obstacle(closed: str) -> None:
    script = f"import os, sys, faulthandler\nfrom speechrnn.core.signals import use_signal_stack\n{closed}\n"
    script += "use_signal_stack(); use_signal_stack(); print(faulthandler.is_enabled())"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "True\n"), result.stderr

"""Work on a cluster of one's own, and what is said where there is none."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from pathlib import Path

import pytest
from helpers.workers import Settings, Squares

from speechrnn.core.errors import UserError
from speechrnn.jobs.executors import ExecutorOptions, Lost, make_executor
from speechrnn.jobs.interruption import Interruption

pytestmark = pytest.mark.integration

pytest.importorskip("ray", reason="Ray is not installed: pip install 'speechrnn[cluster]'")


def test_a_cluster_of_ones_own(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """In one session, since Ray takes its time to start."""
    import ray

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=150_000_000)
    capfd.readouterr()
    try:
        executor = make_executor(ExecutorOptions("ray", workers=2, chunk=16))
        found = list(executor.run(Squares(0.002, deadly=(77,)), range(150), ordered=True))
        lost = found.pop(77)
        assert isinstance(lost, Lost) and lost.item == 77 and "died, 3 times" in lost.reason
        assert [result[0] for result in found] == [number for number in range(150) if number != 77]
        endless = executor.run(Squares(reverse=True), itertools.count())
        assert len({result[0] for result in itertools.islice(endless, 500)}) == 500
        endless.close()  # type: ignore[attr-defined]
        with pytest.raises(UserError, match=rf"^There is no model\. \(This is what node {socket.gethostname()} "):
            next(executor.run(Squares(refuse="There is no model."), range(9)))
        (settings,) = make_executor(ExecutorOptions("ray", cpus_per_worker=2)).run(Settings(), ["x"])
        assert settings["OMP_NUM_THREADS"] == "2" and settings["CUDA_VISIBLE_DEVICES"] == ""
        assert settings["PWD"]
    finally:
        ray.shutdown()


def test_sigterm_still_ends_a_job_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray replaces the handler, by one that ends the process at once."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    executor = make_executor(ExecutorOptions("ray", workers=1))
    before = signal.getsignal(signal.SIGTERM)
    with Interruption(executor.stop) as interruption:
        found = 0
        for _ in executor.run(Squares(0.002), itertools.count()):
            if not found:
                os.kill(os.getpid(), signal.SIGTERM)
            found += 1
    assert interruption.requested is not None and found > 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_node_that_does_not_start_in_time_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def late(*arguments: object, **options: object) -> None:
        raise Exception("The current node timed out during startup. This could happen\nbecause of many things.")

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(UserError, match=r"^Ray cannot be started here: The current node timed out .* happen\.$"):
        next(make_executor(ExecutorOptions("ray", workers=1)).run(Squares(), range(9)))


@pytest.mark.parametrize("known", [True, False])
def test_where_there_is_no_cluster_is_said_how_to_start_one(
    known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    if known:  # one that was there once
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(address)
    for given in ("auto", address) if known else (address,):
        with pytest.raises(UserError, match=f"^No Ray cluster answers at executor.address={given}: start one with"):
            next(make_executor(ExecutorOptions("ray", address=given)).run(Squares(), range(9)))

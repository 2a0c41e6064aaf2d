"""Work in several processes, some of which are killed."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from helpers.workers import Settings, Squares, broken

from speechrnn.core.errors import UserError
from speechrnn.jobs.executors import ExecutorOptions, Lost, make_executor
from speechrnn.jobs.executors.processes import ProcessExecutor

pytestmark = pytest.mark.integration

TWO = ExecutorOptions("processes", workers=2, chunk=16)


@pytest.mark.parametrize("ordered", [True, False])
def test_each_item_has_its_result_from_one_of_the_workers(ordered: bool) -> None:
    found = list(make_executor(TWO, "cpu").run(Squares(0.002, reverse=not ordered), range(300), ordered))
    numbers = [number for number, _, _ in found]
    assert (numbers if ordered else sorted(numbers)) == [*range(300)]
    assert all(square == number**2 for number, square, _ in found)
    assert len({process for _, _, process in found} - {os.getpid()}) == 2


def test_a_killed_worker_is_replaced_and_only_what_kills_each_time_is_lost(tmp_path: Path) -> None:
    once = Squares(0.002, deadly=(20, 140), folder=tmp_path)
    assert [result[0] for result in make_executor(TWO, "cpu").run(once, range(200), ordered=True)] == [*range(200)]
    found = list(make_executor(TWO, "cpu").run(Squares(0.002, deadly=(77,)), range(150), ordered=True))
    lost = found.pop(77)
    assert lost == Lost(
        77, "Its worker was ended by SIGKILL, most likely because memory ran out, 3 times; it was given up."
    )
    assert [result[0] for result in found] == [number for number in range(150) if number != 77]


def test_what_a_worker_refuses_comes_home_as_it_was_said() -> None:
    executor = make_executor(TWO, "cpu")
    with pytest.raises(UserError, match=r"^There is no model\.$"):
        next(executor.run(Squares(refuse="There is no model."), range(9)))
    with pytest.raises(UserError, match=r"ended by SIGKILL.* while it loaded the model, 3 times"):
        next(executor.run(Squares(kill_loading=True), range(9)))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        next(executor.run(broken, range(9)))


def test_items_may_be_without_end_and_a_run_may_be_left(tmp_path: Path) -> None:
    results = make_executor(TWO, "cpu").run(Squares(), itertools.count(), ordered=True)
    assert isinstance(results, Iterator)
    seen = [*itertools.islice(results, 2000)]
    assert [result[0] for result in seen] == [*range(2000)]
    results.close()  # type: ignore[attr-defined]
    for process in {process for _, _, process in seen}:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_stop_lets_what_is_at_work_come() -> None:
    executor = make_executor(TWO, "cpu")
    found = []
    for result in executor.run(Squares(0.001), itertools.count(), ordered=True):
        found.append(result[0])
        if len(found) == 50:
            executor.stop()
    assert found == [*range(len(found))] and 50 <= len(found) < 500


def test_each_worker_has_its_own_threads_and_gpu() -> None:
    executor = ProcessExecutor(3, threads=2, chunk=1)
    executor.gpus = ["4", "7"]
    environments = [executor.environment(number) for number in range(3)]
    assert [result["CUDA_VISIBLE_DEVICES"] for result in environments] == ["4", "7", "4"]
    assert {result["OMP_NUM_THREADS"] for result in environments} == {"2"}
    before = dict(os.environ)
    (found,) = make_executor(ExecutorOptions("processes", workers=1, threads=3), "cpu").run(Settings(), ["x"])
    assert found["OMP_NUM_THREADS"] == "3" and dict(os.environ) == before


SCRIPT = """
    import itertools, sys
    sys.path.insert(0, sys.argv[1])
    from helpers.workers import Squares
    from speechrnn.jobs.executors import ExecutorOptions, make_executor

    if __name__ == "__main__":
        executor = make_executor(ExecutorOptions("processes", workers=2, chunk=4), "cpu")
        try:
            for number, _, process in executor.run(Squares(0.02), itertools.count(), ordered=True):
                print(number, process, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_driver_and_without_tracebacks(tmp_path: Path, ending: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(dedent(SCRIPT))
    with subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parents[2])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as driver:
        assert driver.stdout is not None
        seen = [driver.stdout.readline().split() for _ in range(30)]
        if ending == signal.SIGINT:
            os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
        else:
            driver.kill()
        lines = driver.stdout.read().splitlines()
        assert driver.stderr is not None and driver.stderr.read() == ""
    if ending == signal.SIGINT:
        assert driver.returncode == 0 and lines.pop() == "interrupted"
        seen += [line.split() for line in lines]
        assert [int(number) for number, _ in seen] == [*range(len(seen))]
    for process in {int(process) for _, process in seen}:
        assert gone(process)


def gone(process: int) -> bool:
    """Return whether a process ends within a while."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False

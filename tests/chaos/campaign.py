"""Campaigns of jobs that are disturbed, given again until they are done, and compared with an undisturbed run.

python -m chaos --count 1000                 so many kills; a new seed, which is printed
python -m chaos --seed 7 --number 123        one case again
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos.attempt import Attempt, import_everything
from chaos.disturbance import LONGEST, apply, draw_plan, kinds_for
from chaos.jobs import OUTPUT, UNFINISHED, Job, make_jobs
from chaos.ray_cluster import Cluster, is_installed
from speechrnn.core.temporary import PREFIX

FAILURES = Path("build") / "chaos" / "failures.jsonl"
ROUNDS = (1, 2, 3, 4, 6)  # disturbances of one case, before it is let alone
ENDINGS = frozenset([0, 130, 143, -2, -9, -15])  # exit statuses of a command that was disturbed
GIVEN_AGAIN = 3  # times that a command may be interrupted although nobody disturbs it


class Campaign:
    """The jobs, their undisturbed results, and a folder for the cases."""

    def __init__(self, folder: Path, seed: int, names: Sequence[str] = ()) -> None:
        """
        Args:
            folder: for everything.
            seed: of the campaign.
            names: of the jobs; none: all.
        """
        self.folder = folder
        self.seed = seed
        self.jobs = [job for job in make_jobs(folder / "inputs", is_installed()) if not names or job.name in names]
        self.cluster = Cluster(folder)
        self.expected: dict[str, dict[str, Any]] = {}
        self.seconds: dict[str, float] = {}

    def prepare(self, job: Job) -> None:
        """Run a job undisturbed, twice: what differs between the two is no promise."""
        for again in range(2):
            case = self.folder / f"{job.name}{again}"
            (case / OUTPUT).mkdir(parents=True)
            began = time.monotonic()
            attempt = self._start(job, case)
            attempt.wait(LONGEST)
            self.seconds[job.name] = time.monotonic() - began
            if attempt.poll() != 0:
                raise RuntimeError(f"{job.name} ends with {attempt.status}: {(case / 'err').read_text()[-2000:]}")
            result = job.result(case / OUTPUT)
            if again and (different := differences(result, self.expected[job.name])):
                raise RuntimeError(f"two undisturbed runs of {job.name} differ: {different}")
            self.expected[job.name] = result

    def _start(
        self,
        job: Job,
        case: Path,
        *,
        kill_at: int | None = None,
        full_at: int | None = None,
        protect_at: int | None = None,
        again: Sequence[str] = (),
    ) -> Attempt:
        """Start a command in the folder of a case."""
        command, find_workers = [*job.command, *again], None
        if job.ray:
            command = [*command, f"executor.address={self.cluster.start()}"]
            find_workers = self.cluster.workers
        return Attempt(
            command,
            case,
            kill_at=kill_at,
            full_at=full_at,
            protect_at=None if protect_at is None else (protect_at, case / OUTPUT),
            feed=job.feed,
            find_workers=find_workers,
        )

    def run_case(self, number: int) -> tuple[Job, Counter[str], list[str]]:
        """Disturb a job, finish it, and return it with the disturbances and what is wrong."""
        draw = random.Random(f"{self.seed}/{number}")
        job = draw.choices(self.jobs, [job.share for job in self.jobs])[0]
        if job.name not in self.expected:
            self.prepare(job)
        case = self.folder / f"case{number}"
        (case / OUTPUT).mkdir(parents=True)
        counts: Counter[str] = Counter()
        try:
            wrong = self._disturb(job, case, draw, counts=counts) or self._finish(job, case, counts["inputs"] > 0)
        except Exception as error:  # a file that is not whole, as the readers say it
            wrong = [f"{type(error).__name__}: {error}"]
        if not wrong:
            shutil.rmtree(case)
        return job, counts, wrong

    def _disturb(self, job: Job, case: Path, draw: random.Random, counts: Counter[str]) -> list[str]:
        started: list[Attempt] = []

        def start(kill_at: int | None, full_at: int | None = None, protect_at: int | None = None) -> Attempt:
            again = job.retry if counts["inputs"] else ()
            started.append(self._start(job, case, kill_at=kill_at, full_at=full_at, protect_at=protect_at, again=again))
            return started[-1]

        for _ in range(draw.choice(ROUNDS)):
            started.clear()
            plan = draw_plan(draw, kinds_for(job.workers, job.resumes, job.ray, inputs=bool(job.inputs)))
            count, wrong = apply(
                plan,
                start(plan.kill_at, plan.full_at, plan.protect_at),
                self.seconds[job.name],
                start=start,
                output=case / OUTPUT,
                inputs=job.inputs,
            )
            counts[plan.kind] += count
            for attempt in started:
                wrong += attempt.close()
                # The other one has the lock; nothing can be written or read.
                refused = plan.kind in ("both", "full", "read-only", "inputs") and attempt.status == 2
                # A recording that could not be written or read.
                refused |= plan.kind in ("full", "read-only", "inputs") and attempt.status == 1
                if attempt.poll() not in ENDINGS and not refused:
                    wrong.append(f"{plan.kind} ends with {attempt.status}")
            wrong += complaints(case)
            if plan.kind != "power":
                wrong += job.check(case / OUTPUT, self.expected[job.name])
            done = plan.kind != "inputs" and any(attempt.status == 0 for attempt in started)
            if wrong or done:
                return [f"after {plan}: {what}" for what in wrong]
        return []

    def _finish(self, job: Job, case: Path, missed: bool) -> list[str]:
        """Give the command again until it is done; return what is wrong with the result.

        Args:
            job: the job.
            case: its folder.
            missed: whether it may have missed inputs, which are back now.
        """
        attempt = self._start(job, case, again=job.retry if missed else ())
        attempt.wait(LONGEST)
        wrong = attempt.close() + (self.cluster.check_idle() if job.ray else [])
        if attempt.poll() != 0:
            wrong.append(f"the command given again ends with {attempt.status}: {(case / 'err').read_text()[-500:]}")
        wrong += complaints(case) + differences(job.result(case / OUTPUT), self.expected[job.name])
        wrong += job.check(case / OUTPUT, self.expected[job.name])
        left = [path for path in case.rglob("*") if path.name.endswith(UNFINISHED) or path.parent == case / "tmp"]
        return wrong + [f"{path.relative_to(case)} is left" for path in left if not passing(path)]


def passing(path: Path) -> bool:
    """Return whether a temporary file is none of the program's that stays.

    An empty folder, whose process was killed before it could lock it, is removed by the first job a minute later.
    Python's tempfile tries a folder with a file of eight letters.
    """
    empty = path.is_dir() and path.name.startswith(PREFIX) and not any(path.iterdir())
    return empty or re.fullmatch(r"[a-z0-9_]{8}", path.name) is not None


def complaints(case: Path) -> list[str]:
    """Return what a command printed that no user should see."""
    text = (case / "err").read_text(errors="replace")
    return [f"a traceback: {text[-1500:]}"] if "Traceback" in text or "Fatal Python" in text else []


def differences(result: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of what is missing, too much, or different."""
    missing = [f"{name} is missing" for name in expected if name not in result]
    more = [f"{name} is there" for name in result if name not in expected]
    return (
        missing + more + [f"{name} differs" for name in expected if name in result and result[name] != expected[name]]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign, or one case."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=200, help="kills and other disturbances")
    parser.add_argument("--seed", type=int, default=None, help="of the campaign; printed")
    parser.add_argument("--job", action="append", default=[], help="only these; all by default")
    parser.add_argument("--number", type=int, help="this one case again")
    parser.add_argument("--log", type=Path, default=FAILURES, help="failed cases are added to it, as JSON lines")
    given = parser.parse_args(arguments)
    seed = time.time_ns() % 10**9 if given.seed is None else given.seed
    print(f"seed {seed}: python -m chaos --seed {seed} --number NUMBER runs one case again", flush=True)
    import_everything()
    if not is_installed():
        print("Ray is not installed, so that no job is on a cluster.")
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    campaign = Campaign(folder, seed, given.job)
    try:
        return _run(campaign, given)
    finally:
        campaign.cluster.close()


def _run(campaign: Campaign, given: argparse.Namespace) -> int:
    """Run one case, or cases until there were enough disturbances; print a table."""
    folder, seed = campaign.folder, campaign.seed
    if given.number is not None:
        job, counts, wrong = campaign.run_case(given.number)
        print(f"{job.name} {dict(counts)}: {wrong or 'equal'}; {folder}")
        return int(bool(wrong))
    cases: Counter[str] = Counter()
    kills: dict[str, Counter[str]] = {job.name: Counter() for job in campaign.jobs}
    failed: Counter[str] = Counter()
    number = 0
    while sum(map(Counter.total, kills.values())) < given.count:
        job, counts, wrong = campaign.run_case(number)
        cases[job.name] += 1
        kills[job.name] += counts
        if wrong:
            failed[job.name] += 1
            print(f"seed {seed} number {number}: {job.name} {dict(counts)}: {wrong}", flush=True)
            given.log.parent.mkdir(parents=True, exist_ok=True)
            with given.log.open("a") as file:
                row = {
                    "seed": seed,
                    "number": number,
                    "job": job.name,
                    "kept": f"{folder}/case{number}",
                    "wrong": wrong,
                }
                file.write(json.dumps(row) + "\n")
        number += 1
    total = sum(kills.values(), Counter())
    print(f"{'job':16} {'cases':>6} {'disturbed':>9} {'failed':>6}")
    for name, counts in kills.items():
        print(f"{name:16} {cases[name]:6,} {counts.total():9,} {failed[name]:6,}")
    print(", ".join(f"{kind} {times:,}" for kind, times in total.most_common()))
    print(f"chaos: {total.total():,} disturbances in {number:,} cases, {failed.total():,} failed (seed {seed})")
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

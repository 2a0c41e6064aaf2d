"""Run the stages of an experiment that a command chooses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from speechrnn.experiments.run import is_first_process

# Stages that train: every process of a distributed training takes part in them.
DISTRIBUTED = ("train", "language")


def run_stages(chosen: Collection[str], stages: Mapping[str, Callable[[], object]]) -> None:
    """Run the chosen stages in the order of `stages`, whatever the order in which they were chosen.

    Processes of a distributed training other than the first run the stages that train, and leave the rest to the first.

    Args:
        chosen: names of stages.
        stages: all stages of an experiment by name, in their order.

    >>> run_stages(["report", "train"], {"train": lambda: print("training"), "report": lambda: print("reporting")})
    training
    reporting
    """
    for name, run in stages.items():
        if name in chosen and (name in DISTRIBUTED or is_first_process()):
            run()

"""A small recipe in a folder of its own, and what a command printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

PAGES = {
    "conf/toy.yaml": """
        # The toy's keys.
        defaults:
          - corpus: an4
          - acoustic: blstm
          - experiment: null
          - _self_

        # Where results go.
        output: null
        inputs: []
        seed: 0  # of everything
        twice: ${seed}
        """,
    "conf/corpus/an4.yaml": """
        # AN4: spelled words
        # (130 for the test).
        kind: an4

        # The folder.
        root: ???
        """,
    "conf/corpus/yesno.yaml": """
        # yesno: Hebrew. More of it
        # in another line.

        kind: yesno
        # The folder.
        root: ???
        # kaldi: the first thirty for training
        split: kaldi
        """,
    "conf/acoustic/blstm.yaml": """
        # Bidirectional.
        defaults:
          - /features: logmel
          - _self_
        layers: 3
        size: 256
        """,
    "conf/features/logmel.yaml": "# Log-mel.\nbins: 80\n",
    "conf/features/mfcc.yaml": "# MFCC.\ncoefficients: 13\n",
    "conf/experiment/best.yaml": """
        # @package _global_
        # What did best.
        acoustic:
          layers: 4
        """,
    "recipes/_shared.py": "raise RuntimeError('no recipe')",
    "recipes/toy.py": '''
        """Play with the configuration.

        In more than one line.
        """

        import errno
        import json
        import os
        import sys
        from pathlib import Path

        from omegaconf import OmegaConf

        from speechrnn.cli.main import recipe
        from speechrnn.core.errors import UserError


        @recipe("toy", root=Path(__file__).parents[1])
        def main(config):
            print(json.dumps({"config": OmegaConf.to_container(config), "cwd": os.getcwd(), "argv": sys.argv}))
            match config.seed:
                case 1:
                    return 1
                case 2:
                    raise UserError("seed=2 is bad: take another.")
                case 3:
                    raise ZeroDivisionError("a bug")
                case 9:
                    while True:
                        print("more", flush=True)
                case 11:
                    raise RuntimeError("can't allocate memory: you tried to allocate 256000000000 bytes. Error code 12")
                case 12:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/file")
                case 13:
                    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
                case 10:  # of a worker, not of standard output
                    raise BrokenPipeError("a worker is gone")
                case 4:
                    raise KeyboardInterrupt
                case 5:  # as lightning does
                    try:
                        raise KeyboardInterrupt
                    except KeyboardInterrupt:
                        sys.exit(1)
                case 6:
                    print("ready", flush=True)
                    import time
                    time.sleep(60)


        if __name__ == "__main__":
            main()
        ''',
    "recipes/another.py": '"""Do something else."""\n',
    "recipes/lessons/first.py": '"""Learn."""\n',
}


class Result:
    """Output and exit status of a command."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Return the configurations that the recipe got, one a job."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def config(self) -> dict[str, Any]:
        """Return the configuration of the only job."""
        (run,) = self.runs
        config: dict[str, Any] = run["config"]
        return config

    @property
    def complaint(self) -> str:
        """The one sentence on stderr."""
        assert self.status == 2, (self.status, self.out, self.err)
        (line,) = self.err.splitlines()
        assert line.startswith("speechrnn: ")
        return line.removeprefix("speechrnn: ")


Command = Callable[..., Result]

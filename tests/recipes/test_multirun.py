"""Sweeps whose jobs run in processes of their own: by joblib, and by submitit, here without Slurm."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

RECIPE = '''
    """A job."""

    from pathlib import Path

    from speechrnn.cli.main import recipe
    from speechrnn.core.errors import UserError


    @recipe("toy", root=Path(__file__).parents[1])
    def main(config):
        if config.seed == 2:
            raise UserError("seed=2 is bad: take another.")
        Path(f"seed_{config.seed}_{config.name}.txt").touch()


    if __name__ == "__main__":
        main()
    '''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    for name, text in {
        "conf/toy.yaml": "seed: 0\nname: n${seed}\n",
        "recipes/toy.py": dedent(RECIPE),
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path / "recipes" / "toy.py"


@pytest.mark.parametrize(
    ("launcher", "keys"),
    [("joblib", ["hydra.launcher.n_jobs=2"]), ("submitit_local", ["hydra.launcher.timeout_min=5"])],
)
def test_jobs_run_where_the_launcher_says_and_their_status_comes_home(
    script: Path, tmp_path: Path, launcher: str, keys: list[str]
) -> None:
    package = f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher"
    if importlib.util.find_spec("hydra_plugins") is None or importlib.util.find_spec(package) is None:
        pytest.skip("the launchers are not installed: pip install 'speechrnn[sweep]'")
    start = [sys.executable, str(script), "-m", f"hydra/launcher={launcher}", *keys]
    done = subprocess.run([*start, "seed=1,3"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    failed = subprocess.run([*start, "seed=4,2"], capture_output=True, text=True, cwd=tmp_path)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == [f"seed_{n}_n{n}.txt" for n in (1, 3, 4)]

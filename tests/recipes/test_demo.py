"""Test the last lines of the demo: how few words its model knows, and the command to try next."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from lhotse import CutSet, MonoCut, SupervisionSegment

from speechrnn.experiments.run import Run


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    path = Path(__file__).parents[2] / "recipes" / "demo.py"
    spec = importlib.util.spec_from_file_location("demo_recipe", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_last_lines_count_the_words_of_the_data(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run("demo", "test", tmp_path)
    demo.show_next_step(run)
    assert capsys.readouterr().out == ""  # without training data there is nothing to count
    cuts = []
    for number, text in enumerate(["SHARKS FEED ON TUNA", "TUNA FEED", ""]):
        spoken = SupervisionSegment(f"s{number}", f"r{number}", 0.0, 1.0, text=text)
        cuts.append(MonoCut(f"c{number}", 0.0, 1.0, channel=0, supervisions=[spoken]))
    run.prepared.mkdir(parents=True)
    CutSet.from_cuts(cuts).to_file(run.prepared / "cuts_train.jsonl.gz")
    demo.show_next_step(run)
    out = capsys.readouterr().out
    assert "only the 4 words" in out
    assert out.splitlines()[-1].strip() == "speechrnn speech_to_text corpus=folder corpus.root=DIR"

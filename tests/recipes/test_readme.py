"""The README's commands, as printed and in their order, in one folder: what one makes, the next ones use."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from helpers.corpora import RATE, say, write_corpus
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from speechrnn.cli import help
from speechrnn.cli import main as cli

ROOT = Path(__file__).parents[2]

# Keys that make a command short, by recipe. Nothing else is added to what the README prints.
NETWORK = ["features.bins=16", "acoustic.layers=1", "acoustic.units=16", "acoustic.channels=4"]
SPEECH = [*NETWORK, "trainer.epochs=1", "trainer.min_steps=0", "trainer.accelerator=cpu"]
TEXT = [
    "language.units=8",
    "language.embedding=8",
    "trainer.epochs=1",
    "trainer.min_steps=0",
    "sample.max_new_tokens=9",
]
SHORT = {
    "speech_to_text": SPEECH,
    "text_prediction": [*TEXT, "trainer.accelerator=cpu", "sample.max_new_tokens=9"],
    "tune": ["tuning.weights=[0.5]", "tuning.rewards=[0.0]"],
}
# `make demo`, with a small corpus and small networks.
DEMO = [
    *SPEECH,
    "corpus.train_utterances=24",
    "corpus.dev_utterances=8",
    "corpus.test_utterances=8",
    "tuning.weights=[0.5]",
    "tuning.rewards=[0.0]",
    "prediction.trainer.epochs=1",
    "prediction.trainer.accelerator=cpu",
]


def commands() -> list[str]:
    """Return the README's lines that begin with `speechrnn`, but for the tutorials and the cluster.

    tests/recipes/test_tutorials.py and test_transcribe_on_executors.py run those.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^speechrnn .+$", text, re.MULTILINE)
    tutorials = {path.stem for path in (ROOT / "recipes" / "tutorials").glob("*.py")}
    return [line for line in lines if line.split()[1] not in tutorials and "executor=ray" not in line]


def run(name: str, *arguments: str) -> int:
    """Return the exit status of a command."""
    try:
        return cli.main([name, *arguments])
    except SystemExit as ended:  # a recipe that was started ends its process
        return int(str(ended.code))


def write_data(folder: Path) -> None:
    """Write small corpora and texts where the README's commands look for them."""
    write_corpus(folder / "recordings", 24)
    an4 = folder / "data" / "an4"
    (an4 / "etc").mkdir(parents=True)
    for part, speakers, count in (("train", "abcdef", 4), ("test", "xy", 2)):
        ids, lines = [], []
        for speaker in speakers:
            for number in range(count):
                name, text = f"an{number}-{speaker}-b", "ABCD"[: number + 1]
                path = an4 / "wav" / speaker / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, say(text, RATE, seed=number), RATE)
                ids.append(f"{speaker}/{name}")
                lines.append(f"<s> {text} </s> ({name})")
        (an4 / "etc" / f"an4_{part}.fileids").write_text("\n".join(ids) + "\n")
        (an4 / "etc" / f"an4_{part}.transcription").write_text("\n".join(lines) + "\n")
    line = "sharks feed on tuna fishes and tuna fishes feed on small fishes that feed on sea plants\n"
    (folder / "books").mkdir()
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("ABCDEFGHIKLMNOPRSTU"), 5)) for _ in range(2000)]  # enough for 500 subwords
    lines = [" ".join(words[start : start + 8]) for start in range(0, len(words), 8)]
    (folder / "books" / "one.txt").write_text("\n".join([*lines, *[line.strip()] * 20]).lower() + "\n")
    wikitext = folder / "data" / "wikitext-2"
    wikitext.mkdir()
    for part in ("train", "valid", "test"):
        (wikitext / f"wiki.{part}.tokens").write_text(f" \n = Sharks = \n \n {line.strip()} \n" * 30)
    shakespeare = folder / "data" / "tinyshakespeare"
    shakespeare.mkdir()
    (shakespeare / "input.txt").write_text(("ROMEO:\n" + line) * 60)
    (folder / "prompts.txt").write_text("SHARKS FEED\nTODAY WE STUDY\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with data, and with what `make demo` leaves there."""
    folder = tmp_path_factory.mktemp("readme")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run("demo", *DEMO) == 0
    return folder


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_runs(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    _, recipe, *arguments = shlex.split(command)
    short = [key for key in SHORT.get(recipe, []) if key not in NETWORK or "experiment=from_english" not in arguments]
    given = arguments + short
    assert run(recipe, *given) == 0


def test_the_notebook_runs(folder: Path) -> None:
    """On the folder that the demo has left; its models here are too small for its words."""
    notebook = nbformat.read(ROOT / "docs" / "notebooks" / "tour.ipynb", as_version=4)
    # In this process's environment: the kernel that is installed for the user may be of another Python.
    manager = KernelManager(kernel_cmd=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    printed = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert len(printed) >= 9 and not [output for output in printed if output.output_type == "error"]


def test_every_recipe_stands_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in help.recipes(ROOT):
        assert re.search(rf"^(speechrnn {name}\b|make {name}$)", text, re.MULTILINE) or f"`{name}`" in text, name

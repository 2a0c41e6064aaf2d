"""Claim: a training step of the AN4 experiment spends its time in the network, and never waits for its data.

Steps of `conf/experiment/speech_to_text/an4.yaml` on the AN4 corpus, taken by the training loop itself, with the clock
read where one part hands over to the next: features (with SpecAugment), subsampling, LSTM, head, CTC loss (with the
softmax), each forward and backward, then optimiser, clipping and average. The time to load a batch is measured apart:
`cold` reads and resamples the files, `warm` takes them from memory as all epochs but the first few do.

`data` is the warm share of an epoch for which steps wait for the loader (ours: that wait, peer: the whole epoch).
`training_step` compares whole steps with the same model on packed sequences (`RecurrentLayer.forward_packed`).
CPU only.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from an4 import ROOT, packed, settings
from timing import in_turn, machine, parser, result, share, stop
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.data.dataset import Batch
from speechrnn.nn.acoustic import AcousticModel
from speechrnn.training.acoustic import AcousticTask
from speechrnn.training.fabric import make_fabric
from speechrnn.training.loop import Loop


class Parts:
    """Seconds by part: what lies between two marks belongs to the part that the second one names."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.last = time.perf_counter()

    def start(self) -> None:
        """Start the clock of the parts; time before it belongs to none."""
        self.last = time.perf_counter()

    def mark(self, part: str) -> None:
        """The named part has just ended."""
        now = time.perf_counter()
        self.seconds[part] += now - self.last
        self.last = now

    def after(self, module: nn.Module, part: str, behind: str | None, before: str | None = None) -> None:
        """Mark the end of a module's forward pass; in the backward pass, `behind` when its gradient comes in.

        `before` is marked when the gradient of its input is done.
        """

        def forward(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            self.mark(part)
            first = output[0] if isinstance(output, tuple) else output
            for tensor, name in ((first, behind), (inputs[0], before)):
                if name is not None and tensor.requires_grad:
                    tensor.register_hook(lambda gradient, name=name: self.mark(name))

        module.register_forward_hook(forward)

    def finish(self, owner: Any, name: str, part: str) -> None:
        """Mark the end of each call of `owner.name`."""
        function = getattr(owner, name)

        def marked(*given: Any) -> Any:
            value = function(*given)
            self.mark(part)
            return value

        setattr(owner, name, marked)

    def watch(self, loop: Loop[Batch, AcousticModel], task: AcousticTask) -> None:
        """Place the marks of a training step."""
        model = task.model
        self.after(model.masks or model.front_end, "features", None)
        self.after(model.input_dropout, "subsampling forward", None)
        self.after(model.recurrent, "LSTM forward", "head backward", before="LSTM backward")
        self.after(model.head, "head forward", None)
        self.after(model, "CTC loss forward", "CTC loss backward")
        self.finish(task, "loss", "CTC loss forward")
        self.finish(loop.fabric, "backward", "subsampling backward")


def corpus(root: Path, folder: Path) -> tuple[Any, Any]:
    """The experiment's training part and its tokenizer."""
    from lhotse import CutSet

    from speechrnn.data.corpora import corpus_options
    from speechrnn.data.corpora.prepare import prepare
    from speechrnn.text.tokenizers import TokenizerOptions, build_tokenizer

    prepared = prepare(corpus_options({"name": "an4", "root": str(root), "dev_fraction": 0.05}), folder)
    if prepared.train is None:
        stop(f"{root} has no training part.")
    cuts = CutSet.from_file(prepared.train).to_eager()
    return cuts, build_tokenizer(TokenizerOptions(), (cut.supervisions[0].text for cut in cuts))


def load(task: AcousticTask, count: int) -> tuple[float, list[Batch]]:
    """Load `count` batches of the first epoch; returns the seconds that loading all of it so would take, and them."""
    began = time.perf_counter()
    size, _ = task.epoch(0, 0)
    requests = task.batches.plan(0)  # which the loader's sampler makes once more
    planned = time.perf_counter()
    chosen = requests[:: max(1, size // count)][:count]
    batches = [task.utterances[0, request] for request in chosen]
    return planned - began + (time.perf_counter() - planned) * size / len(chosen), batches


def measure(root: Path, folder: Path, count: int, repeats: int) -> list[str]:
    """Print the table of parts; returns the result lines. `count` batches, spread over an epoch, stand for all."""
    chosen = settings(root)
    chosen = replace(chosen, trainer=replace(chosen.trainer, accelerator="cpu"))
    cuts, tokenizer = corpus(root, folder / "prepared")
    fabric = make_fabric(chosen.trainer, folder)
    task = AcousticTask(fabric, chosen, tokenizer, train=cuts, dev=None)
    loop: Loop[Batch, AcousticModel] = Loop(fabric, task, chosen.trainer, folder=folder / "checkpoints", fingerprint={})
    task.model.train()
    size, _ = task.epoch(0, 0)
    cold, batches = load(task, count)
    warm = sorted(load(task, count)[0] for _ in range(repeats))[repeats // 2]

    def steps() -> None:
        for batch in batches:
            loop.step(batch, 0.5)

    def packed_steps() -> None:
        with packed(task.model):
            steps()

    seconds = in_turn({"ours": steps, "peer": packed_steps}, repeats)
    parts = Parts()
    parts.watch(loop, task)
    for _ in range(repeats):
        for batch in batches:
            parts.start()
            loop.step(batch, 0.5)
            parts.mark("optimiser, clipping, average")
    table(parts.seconds, repeats * len(batches) / size, warm, cold=cold)
    step = seconds["ours"] / len(batches)
    return [
        share("data", warm, warm + step * size, unit="s"),
        share("data_first_epoch", cold, cold + step * size, unit="s"),
        result("training_step", step, seconds["peer"] / len(batches), unit="s"),
    ]


def table(parts: dict[str, float], epochs: float, warm: float, cold: float) -> None:
    """Print seconds an epoch and shares; `epochs` is how many of them the parts' times are from."""
    rows = {name: value / epochs for name, value in parts.items()} | {"data, warm": warm}
    whole = sum(rows.values())
    print(f"{'part':<30} {'s an epoch':>10} {'share':>7}")
    for name, value in rows.items():
        print(f"{name:<30} {value:>10.3f} {value / whole:>7.1%}")
    print(f"{'all':<30} {whole:>10.3f} {1:>7.1%}   (data, cold: {cold:.3f} s)")


def main() -> None:
    """Print where a step's time goes."""
    options = parser(__doc__, repeats=7)
    options.add_argument("--root", type=Path, default=ROOT, help="the AN4 corpus")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    count, repeats = (2, 2) if given.quick else (12, given.repeats)
    with tempfile.TemporaryDirectory() as folder:
        try:
            lines = measure(given.root, Path(folder), count, repeats=repeats)
        except UserError as error:
            stop(f"{error} The key here is --root.")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

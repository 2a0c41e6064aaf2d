"""Claim: on a CPU neither a mixture of softmaxes nor a Mogrifier gate pays early on: plain LSTMs learn more a second.

Three word language models of about 1.32 million parameters read the beginning of WikiText-2, the 5,000 most frequent
words of it, from the same seed, in the same batches, with the same AdamW: our plain LSTM (`plain`), our mixture of four
softmaxes (`mixture`; Yang et al. 2018), and, as the peer of both, an LSTM with five rounds of the Mogrifier gate (Melis
et al. 2020), a loop over nn.LSTMCell. No token is read twice, so nothing is regularised.

`step` is a training step, taken in turns; `equal_steps` the perplexity of held-out text after the same number of steps,
and `equal_time` that after as many steps as fit the time that the slowest took for these. All are of small models
within the first epoch: they do not say which has the lower perplexity once all have converged. CPU only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain, count, islice
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from timing import in_turn, machine, parser, result, stop
from torch import Tensor, nn

from speechrnn.core.errors import UserError
from speechrnn.data.texts import text_options, text_parts
from speechrnn.data.texts.reader import Line
from speechrnn.data.tokens import BpttBatches, TokenBatch, TokenFile
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.nn.recurrent import RecurrentLayer
from speechrnn.text.tokenizers import WordTokenizer

ROOT = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "wikitext-2"
VOCABULARY, TRAIN, VALID = 5000, 1_000_000, 35_000  # words, and tokens of either part
BATCH, BPTT = 20, 35  # word_language_model's defaults
EMBEDDING, COMPONENTS, ROUNDS, RANK = 160, 4, 5, 40
UNITS = {"plain": 200, "mixture": 160, "mogrifier": 152}  # so that all have about the same number of parameters
NONE: dict[str, Any] = {
    "embedding_dropout": 0.0,
    "input_dropout": 0.0,
    "dropout": 0.0,
    "output_dropout": 0.0,
    "weight_drop": 0.0,
}
RATE, CLIP = 0.005, 1.0
LARGER = 5  # first token vectors than ours: with those all would spend most of so few steps on the words' frequencies
STEPS = 200

Scores = dict[str, float]


class Mogrifier(nn.Module):
    """An LSTM layer whose input and state gate each other in turn before each step (Melis et al. 2020).

    With matrices of low rank, as the paper prefers; what stands here of the interface is what `LanguageModel` calls.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(inputs, units)
        first = RecurrentLayer(inputs, units, bidirectional=False).network  # so that all begin with weights of one kind
        self.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in first.state_dict().items()})
        sizes = [(units, inputs) if number % 2 == 0 else (inputs, units) for number in range(ROUNDS)]
        self.gates = nn.ModuleList(
            nn.Sequential(nn.Linear(before, RANK, bias=False), nn.Linear(RANK, after, bias=False))
            for before, after in sizes
        )
        self.state_size = 2 * units

    def forward_from(self, inputs: Tensor, states: Tensor, weight_drop: float) -> tuple[Tensor, Tensor]:
        """As `RecurrentLayer.forward_from`; without DropConnect."""
        hidden, cell = states.chunk(2, 1)
        outputs = []
        for seen in inputs:
            for number, gate in enumerate(self.gates):
                if number % 2 == 0:
                    seen = 2 * torch.sigmoid(gate(hidden)) * seen
                else:
                    hidden = 2 * torch.sigmoid(gate(seen)) * hidden
            hidden, cell = self.cell(seen, (hidden, cell))
            outputs.append(hidden)
        return torch.stack(outputs), torch.cat([hidden, cell], 1)


class Training:
    """A model and its place in the text."""

    def __init__(self, kind: str, seed: int, train: TokenFile) -> None:
        torch.manual_seed(seed)
        softmax: Literal["mixture", "full"] = "mixture" if kind == "mixture" else "full"
        options = LanguageOptions(
            units=UNITS[kind], embedding=EMBEDDING, softmax=softmax, components=COMPONENTS, **NONE
        )
        self.model = LanguageModel(VOCABULARY, options)
        self.model.softmax.weight.data.mul_(LARGER)
        if kind == "mogrifier":
            sizes = [(layer.network.input_size, layer.network.hidden_size) for layer in self.model.recurrent]
            self.model.layers = nn.ModuleList(Mogrifier(*size) for size in sizes)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), RATE)
        text = BpttBatches(train, BATCH, BPTT)
        self.batches = chain.from_iterable(text.batches(epoch) for epoch in count())
        self.states = self.model.start(BATCH)

    def nats(self, batch: TokenBatch) -> Tensor:
        """(length, batch) negative log-probabilities of the targets; the state goes on."""
        outputs, states = self.model(batch.inputs, self.states.masked_fill(batch.fresh.unsqueeze(1), 0.0))
        self.states = states.detach()
        return -self.model.target_log_probs(outputs, batch.targets)

    def step(self) -> None:
        """One window more."""
        self.optimiser.zero_grad()
        nats = self.nats(next(self.batches))
        nats.mean().backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimiser.step()

    @torch.no_grad()
    def evaluate(self, valid: TokenFile) -> float:
        """Nats a token of the held-out text; the training can go on afterwards."""
        before = self.states
        self.states = self.model.start(BATCH)
        total = sum(float(self.nats(batch).sum()) for batch in BpttBatches(valid, BATCH, BPTT).batches(0))
        self.states = before
        return total / len(valid)


def read(root: Path) -> tuple[TokenFile, TokenFile]:
    """The beginnings of WikiText-2's training and validation part, with the most frequent words of the former."""
    parts = text_parts(text_options({"name": "wikitext2", "root": str(root)}))
    tokenizer = WordTokenizer.build((line.text for line in parts["train"].lines()), VOCABULARY)

    def encode(lines: Iterable[Line], length: int) -> TokenFile:
        ids = chain.from_iterable([*tokenizer.encode(line.text), 0] for line in lines)
        tokens = np.fromiter(islice(ids, length), np.uint16)
        return TokenFile(tokens, np.zeros(1, np.int64), 0)

    return encode(parts["train"].lines(), TRAIN), encode(parts["valid"].lines(), VALID)


def compare(seed: int, steps: int, train: TokenFile, valid: TokenFile) -> tuple[Scores, Scores, Scores]:
    """Train all kinds from one seed: seconds a step, nats after equal steps, nats after the slowest one's time."""
    sides = {kind: Training(kind, seed, train) for kind in UNITS}
    seconds = in_turn({kind: side.step for kind, side in sides.items()}, steps - 1)  # warming up is a step too
    equal_steps = {kind: side.evaluate(valid) for kind, side in sides.items()}
    equal_time = {}
    for kind, side in sides.items():
        more = round(steps * (max(seconds.values()) / seconds[kind] - 1))
        for _ in range(more):
            side.step()
        equal_time[kind] = side.evaluate(valid)
        size = sum(parameter.numel() for parameter in side.model.parameters())
        print(
            f"seed {seed}, {kind:<9} {size:,} parameters, {seconds[kind]:.3f} s a step, "
            f"perplexity {math.exp(equal_steps[kind]):.1f} after {steps} steps, "
            f"{math.exp(equal_time[kind]):.1f} after {steps + more}",
            flush=True,
        )
    return seconds, equal_steps, equal_time


def main() -> None:
    """Print the comparison; each repeat is another seed, and the results are over all seeds."""
    options = parser(__doc__, repeats=2)
    options.add_argument("--root", type=Path, default=ROOT, help="the folder of WikiText-2")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    try:
        train, valid = read(given.root)
    except UserError as error:
        stop(f"{error} The key here is --root.")
    steps, seeds = (8, 1) if given.quick else (STEPS, given.repeats)
    runs = [compare(seed, steps, train, valid=valid) for seed in range(seeds)]
    seconds, equal_steps, equal_time = (
        {kind: fmean(run[part][kind] for run in runs) for kind in UNITS} for part in range(3)
    )
    for kind in ("plain", "mixture"):
        print(result(f"step_{kind}", seconds[kind], seconds["mogrifier"], unit="s"))
        for name, nats in (("equal_time", equal_time), ("equal_steps", equal_steps)):
            print(result(f"{name}_{kind}", math.exp(nats[kind]), math.exp(nats["mogrifier"]), unit="perplexity"))


if __name__ == "__main__":
    main()

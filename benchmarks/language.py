"""Claim: our language model trains as fast as plain nn.LSTM, and with all of AWD-LSTM's regularisers at 0.8 of it.

Ours is a whole step of the training loop: loss, backward pass, clipping, optimiser, average, checks. The peer is the
arrangement of pytorch/examples' word_language_model: nn.Embedding, nn.LSTM, a tied nn.Linear, log_softmax and
nll_loss, the gradient clipped, and each weight moved by hand. Sizes, batch and BPTT are the same on both sides, and so
are the weights: the losses must agree before anything is timed.

`plain` has no regulariser, `awd` has all: DropConnect on the recurrent weights, embedding dropout, locked dropout at
input, between layers and output, activation and temporal activation regularisation. `adaptive` is `plain` with the
softmax that conf/language/lstm.yaml takes for such a vocabulary. `share_of_peak` is the part of the float32
matrix-product peak, measured in the same turns. CPU only.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from timing import in_turn, machine, parser, result, share, stop
from torch import Tensor, nn

from speechrnn.data.tokens import TokenBatch, TokenFile
from speechrnn.nn.language import LanguageModel, LanguageOptions
from speechrnn.training.fabric import make_fabric
from speechrnn.training.language import LanguageTask, LanguageTrainerOptions
from speechrnn.training.loop import Loop

VOCABULARY, BATCH, BPTT, LAYERS = 33_278, 20, 35, 2  # WikiText-2's words; word_language_model's defaults
NONE = {"embedding_dropout": 0.0, "input_dropout": 0.0, "dropout": 0.0, "output_dropout": 0.0, "weight_drop": 0.0}
AWD = {"embedding_dropout": 0.1, "input_dropout": 0.65, "dropout": 0.2, "output_dropout": 0.4, "weight_drop": 0.5}
PEAK_SIZE = 2048  # rows and columns of the product that finds the machine's peak


class Peer(nn.Module):
    """word_language_model's RNNModel with --tied and no dropout."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.encoder = nn.Embedding(VOCABULARY, units)
        self.rnn = nn.LSTM(units, units, LAYERS)
        self.decoder = nn.Linear(units, VOCABULARY)
        self.decoder.weight = self.encoder.weight
        self.hidden = (torch.zeros(LAYERS, BATCH, units), torch.zeros(LAYERS, BATCH, units))

    def copy(self, model: LanguageModel) -> None:
        """Copy the weights of ours."""
        self.encoder.weight.data.copy_(model.softmax.weight.data)
        self.decoder.bias.data.copy_(model.softmax.bias.data)
        for number, layer in enumerate(model.recurrent):
            for name, value in layer.network.named_parameters():
                getattr(self.rnn, name.replace("_l0", f"_l{number}")).data.copy_(value.data)

    def loss(self, batch: TokenBatch) -> Tensor:
        """Its forward pass, with the state of the last batch."""
        hidden = (self.hidden[0].detach(), self.hidden[1].detach())
        outputs, self.hidden = self.rnn(self.encoder(batch.inputs), hidden)
        decoded = self.decoder(outputs).view(-1, VOCABULARY)
        return F.nll_loss(F.log_softmax(decoded, dim=1), batch.targets.flatten())

    def step(self, batch: TokenBatch) -> None:
        """Its training step."""
        self.zero_grad()
        self.loss(batch).backward()
        nn.utils.clip_grad_norm_(self.parameters(), 0.25)
        with torch.no_grad():
            for weight in self.parameters():
                weight.add_(weight.grad, alpha=-1.0)  # type: ignore[arg-type]


def make_loop(folder: Path, units: int, penalty: float, **options: Any) -> Loop[TokenBatch, LanguageModel]:
    """Our training loop with SGD."""
    language = LanguageOptions(layers=LAYERS, units=units, embedding=units, **options)
    trainer = LanguageTrainerOptions(
        optimiser="nt_asgd",
        learning_rate=1.0,
        weight_decay=0.0,
        gradient_clip=0.25,
        batch_size=BATCH,
        bptt=BPTT,
        random_bptt=False,
        activation=2 * penalty,
        temporal_activation=penalty,
        accelerator="cpu",
    )
    fabric = make_fabric(trainer, folder)
    tokens = np.random.default_rng(0).integers(VOCABULARY, size=BATCH * BPTT * 2).astype(np.uint16)
    text = TokenFile(tokens, np.zeros(1, np.int64), len(tokens))
    task = LanguageTask(fabric, language, trainer, vocabulary=VOCABULARY, train=text, valid=None, documents=False)
    return Loop(fabric, task, trainer, folder=folder, fingerprint={})


def compare(units: int, repeats: int) -> list[str]:
    """All sides at one size; returns the result lines."""
    with tempfile.TemporaryDirectory() as folder:
        loops = {
            "plain": make_loop(Path(folder), units, 0.0, softmax="full", **NONE),
            "awd": make_loop(Path(folder), units, 1.0, softmax="full", **AWD),
            "adaptive": make_loop(Path(folder), units, 0.0, softmax="adaptive", **NONE),
        }
        plain = loops["plain"]
        peer = Peer(units)
        peer.copy(plain.task.model)
        batch = next(iter(plain.task.epoch(0, 0)[1]))
        ours, theirs = plain.task.loss(plain.model, batch).item(), peer.loss(batch).item()
        if not math.isclose(ours, theirs, rel_tol=1e-5):
            stop(f"the losses differ ({ours:.6f} and {theirs:.6f}), so their times cannot be compared.")
        matrices = torch.randn(2, PEAK_SIZE, PEAK_SIZE)
        sides: dict[str, Callable[[], object]] = {
            "peer": lambda: peer.step(batch),
            "plain": lambda: loops["plain"].step(batch, 0.5),
            "awd": lambda: loops["awd"].step(batch, 0.5),
            "adaptive": lambda: loops["adaptive"].step(batch, 0.5),
            "product": lambda: torch.mm(matrices[0], matrices[1]),
        }
        for loop in loops.values():
            loop.model.train()
        seconds = in_turn(sides, repeats)
    peak = 2 * PEAK_SIZE**3 / seconds["product"] / 1e9
    # four gates that see input and state, and the softmax; the backward pass takes twice the forward's products
    work = 3 * 2 * BATCH * BPTT * (LAYERS * 4 * units * 2 * units + units * VOCABULARY) / 1e9
    speed = {name: BATCH * BPTT / seconds[name] for name in loops} | {"peer": BATCH * BPTT / seconds["peer"]}
    name = f"{LAYERS}x{units}"
    return [
        share(f"share_of_peak_ours_{name}", work / seconds["plain"], peak, unit="GFLOP/s"),
        share(f"share_of_peak_peer_{name}", work / seconds["peer"], peak, unit="GFLOP/s"),
        *(result(f"{kind}_{name}", speed[kind], speed["peer"], unit="tokens/s", more_is_better=True) for kind in loops),
    ]


def main() -> None:
    """Print the comparison at 200 and 650 units, word_language_model's small and medium size."""
    given = parser(__doc__, repeats=7).parse_args()
    torch.set_num_threads(given.threads)
    print(f"{machine(given.threads)}, torch {torch.__version__}")
    torch.manual_seed(0)
    lines = []
    for units in (200,) if given.quick else (200, 650):
        lines += compare(units, 2 if given.quick else given.repeats)
    print("\n".join(lines))


if __name__ == "__main__":
    main()

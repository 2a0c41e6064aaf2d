"""The AN4 experiment, for benchmarks that need its model, its batches or its test files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from timing import stop

if TYPE_CHECKING:
    from torch import Tensor

    from speechrnn.nn.acoustic import AcousticModel
    from speechrnn.nn.recurrent import RecurrentLayer
    from speechrnn.training.acoustic_options import AcousticSettings

ROOT = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "an4"
ALPHABET = " '.ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def settings(root: Path) -> AcousticSettings:
    """Return the settings that conf/experiment/speech_to_text/an4.yaml trains with."""
    from speechrnn.cli import help
    from speechrnn.cli.overrides import compose
    from speechrnn.core.config import build
    from speechrnn.training.acoustic_options import AcousticSettings

    config = compose(["experiment=an4", f"corpus.root={root}"], "speech_to_text", help.root() / "conf")
    groups = {"features": config.features, "acoustic": config.acoustic, "trainer": config.trainer}
    return build(AcousticSettings, {**groups, **config.augmentation}, "")


def save_untrained(folder: Path) -> None:
    """Write a model directory of the experiment's shape that has learnt nothing.

    It finds about six letters a second in any sound, so that decoding and alignment have their work to do.
    """
    import torch

    from speechrnn.nn.acoustic import AcousticModel, save_acoustic
    from speechrnn.text.tokenizers import CharTokenizer

    torch.manual_seed(0)
    chosen = settings(ROOT)
    tokenizer = CharTokenizer.build([], ALPHABET)
    save_acoustic(folder, AcousticModel(len(tokenizer), chosen.features, chosen.acoustic), tokenizer, training={})


def test_files(root: Path) -> list[Path]:
    """The 130 recordings of the published test part; ends the script where they are not."""
    from speechrnn.core.errors import UserError
    from speechrnn.data.corpora.an4 import utterances

    try:
        return [utterance.audio for utterance in utterances(root)["test"]]
    except UserError as error:
        stop(f"{error} The key here is --root.")


def run_packed(layer: RecurrentLayer, inputs: Tensor, lengths: Tensor, *_: object) -> Tensor:
    """Run a layer on packed nn.LSTM; what else `RecurrentLayer.forward` takes is of blocks and GPUs, and not used."""
    return layer.forward_packed(inputs, lengths)


@contextmanager
def packed(model: AcousticModel) -> Iterator[None]:
    """The model with its recurrent layers on packed nn.LSTM, for as long as the context lasts."""
    from speechrnn.nn.recurrent import RecurrentLayer

    layers = [module for module in model.modules() if isinstance(module, RecurrentLayer)]
    for layer in layers:
        layer.forward = partial(run_packed, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward

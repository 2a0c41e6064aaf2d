"""Each option of a training: a small model still learns with it, as well as it does without."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.corpora import RATE, write_corpus
from lhotse import CutSet

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformOptions
from speechrnn.audio.features import FeatureOptions
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.tokens import Block, write_tokens
from speechrnn.nn.acoustic import AcousticOptions
from speechrnn.nn.ctc import consistency_loss
from speechrnn.nn.language import LanguageOptions
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.training import acoustic
from speechrnn.training.acoustic import train_acoustic
from speechrnn.training.acoustic_options import AcousticSettings, AcousticTrainerOptions
from speechrnn.training.fabric import make_fabric
from speechrnn.training.language import LanguageTrainerOptions, train_language

TEXT = CharTokenizer.build(["abcdefgh"])
LINES = ["abc", "cab", "bb"]  # in turn, so that a line tells which one comes next
TONES = CharTokenizer.build(["ABCD"])

SMALL = LanguageOptions(
    layers=1, units=24, embedding=12, tied=False, input_dropout=0.0, dropout=0.0, output_dropout=0.0, weight_drop=0.0
)
QUICK = LanguageTrainerOptions(
    epochs=15, batch_size=4, bptt=10, random_bptt=False, learning_rate=0.03, average=0.9, gradient_clip=1.0,
    warmup=0.1, accelerator="cpu",
)  # fmt: skip

# Weight decay as AdamW's, 0.01, would shrink the weights by a twentieth in each step of this rate.
SGD = {"optimiser": "nt_asgd", "learning_rate": 5.0, "weight_decay": 0.0, "gradient_clip": 0.5, "epochs": 25}
# Options of the language model and of its training, each alone; those that learn more slowly have more epochs.
LANGUAGE: list[dict[str, Any]] = [
    {"cell": "gru", "epochs": 30},
    {"cell": "rnn_tanh"},
    {"layers": 2, "epochs": 50},
    {"units": 48},
    {"embedding": 24},
    {"tied": True, "units": 12, "epochs": 25},
    {"softmax": "full"},
    {"softmax": "adaptive", "cutoffs": (3, 6)},
    {"softmax": "mixture", "epochs": 50},
    {"softmax": "mixture", "components": 2, "epochs": 50},
    {"embedding_dropout": 0.05},
    {"input_dropout": 0.1},
    {"dropout": 0.1},
    {"output_dropout": 0.1},
    {"weight_drop": 0.1},
    {"random_bptt": True},
    {"state_reset": 0.05},
    {"bptt": 20, "epochs": 30},
    {"batch_size": 8, "epochs": 25},
    {"activation": 0.01},
    {"temporal_activation": 0.01},
    SGD,
    {**SGD, "nonmonotone": 2},
    {"learning_rate": 0.02, "epochs": 25},
    {"betas": (0.0, 0.99)},
    {"weight_decay": 0.1},
    {"gradient_clip": 0.0},
    {"average": 0.0},
    {"warmup": 0.5},
    {"warmup": 0.0},
    {"keep": "last"},
    {"patience": 4},
    {"min_steps": 200, "epochs": 1},
    {"seed": 12345},
    {"precision": "bf16"},
    {"precision": "32"},
]


def split(options: dict[str, Any], *records: Any) -> list[Any]:
    """Put each option into the record that has it; every option must be in one."""
    changed = []
    for record in records:
        names = {field.name for field in fields(record)}
        changed.append(replace(record, **{key: value for key, value in options.items() if key in names}))
    known = {field.name for record in records for field in fields(record)}
    assert options.keys() <= known
    return changed


def train_text(options: dict[str, Any], folder: Path) -> list[float]:
    """Train the small language model with options; return the perplexity after each epoch."""
    language, trainer = split(options, SMALL, QUICK)
    ids = [[*TEXT.encode(LINES[number % 3]), 0] for number in range(120)]
    train, valid = (
        write_tokens(folder / name, [Block(line, len(line)) for line in ids[:lines]], len(TEXT))
        for name, lines in (("train", 120), ("valid", 12))
    )
    _, summary = train_language(
        make_fabric(trainer, folder),
        language,
        trainer,
        tokenizer=TEXT,
        train=train,
        valid=valid,
        documents=False,
        folder=folder / "ckpt",
    )
    return [record["valid_perplexity"] for record in summary["history"]]


@pytest.fixture(scope="module")
def perplexity_without(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The perplexity that the training without any option reaches; that of single characters' frequencies is 4.2."""
    perplexities = train_text({}, tmp_path_factory.mktemp("text"))
    assert perplexities[0] > 3.5
    return min(perplexities)


def test_a_language_model_learns_without_options(perplexity_without: float) -> None:
    assert perplexity_without < 1.5


@pytest.mark.integration
@pytest.mark.parametrize("options", LANGUAGE, ids=str)
def test_a_language_model_learns_with_each_option(
    options: dict[str, Any], tmp_path: Path, perplexity_without: float
) -> None:
    """Within a third of a nat a token of the training without the option."""
    perplexities = train_text(options, tmp_path)
    limit = perplexity_without * math.exp(1 / 3)
    assert min(perplexities) < limit < perplexities[0]
    assert all(math.isfinite(value) for value in perplexities)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> tuple[CutSet, CutSet]:
    root = write_corpus(tmp_path_factory.mktemp("corpus"), 48)
    options = corpus_options({"name": "folder", "root": str(root), "dev_fraction": 0.25})  # 37 characters
    corpus = prepare(options, root / "prepared")
    assert corpus.train and corpus.dev
    return CutSet.from_file(corpus.train).to_eager(), CutSet.from_file(corpus.dev).to_eager()


NETWORK = AcousticOptions(layers=1, units=24, channels=4, stride=2, dropout=0.0, input_dropout=0.0)
STEPS = AcousticTrainerOptions(
    epochs=40, min_steps=0, batch_seconds=4.0, learning_rate=0.02, average=0.9, accelerator="cpu"
)
LONGER: dict[str, Any] = {"learning_rate": 0.005, "epochs": 80}  # for what learns more slowly
VIEWS = {"time_masks": 1, "time_width": 0.04, "time_share": 0.1, "frequency_masks": 1, "frequency_width": 2}
# Options of the acoustic model and of its training, each alone.
ACOUSTIC: list[dict[str, Any]] = [
    {"cell": "gru"},
    {"cell": "rnn_tanh"},
    {"layers": 2},
    {"bidirectional": False},
    {"layer_norm": False, **LONGER},
    {"layers": 2, "residual": False, "learning_rate": 0.01, "epochs": 80},
    {"dropout": 0.1},
    {"input_dropout": 0.1},
    {"subsampling": "stack"},
    {"stride": 3},
    {"channels": 8},
    {"batch_seconds": 2.5},
    {"cache_gigabytes": 0.0},
    {"layers": 2, "intermediate_layer": 1},
    {"layers": 2, "intermediate_layer": 1, "intermediate_weight": 0.6, "pronunciations": "A B C D"},
    {"consistency_weight": 0.2, **VIEWS},
    {"label_priors": 0.3},
    {"streaming": 1.0},
    {"streaming": 0.5, "latency": (0.1, 0.4)},
    {"units": 48},
    {"betas": (0.0, 0.99)},
    {"weight_decay": 0.1, "epochs": 50},
    {"gradient_clip": 0.0, **LONGER},
    {"average": 0.0},
    {"optimiser": "nt_asgd", "nonmonotone": 2, "learning_rate": 0.3, "epochs": 60},
    {"warmup": 0.5},
    {"keep": "last"},
    {"patience": 20},
    {"min_steps": 400, "epochs": 1},
    {"seed": 5},
    {"precision": "bf16"},
]
CLOSE = 0.2  # of the characters: 7 of 37
# The same, of what writes these few training utterances well and held-out ones less so: untrained models have 0.8 to 1.
SLOW = {"layers": 0.75, "stride": 0.75, "gradient_clip": 0.75, "batch_seconds": 0.6}


def train_small(options: dict[str, Any], cuts: tuple[CutSet, CutSet], folder: Path) -> list[dict[str, float]]:
    """Train the small acoustic model with options; return the figures of each epoch."""
    network, trainer, masks = split(options, NETWORK, STEPS, SpecAugmentOptions(time_masks=0, frequency_masks=0))
    settings = AcousticSettings(
        FeatureOptions(sampling_rate=RATE, bins=16),
        network,
        masks,
        waveform=WaveformOptions(speeds=(1.0,), padding=0.0),
        trainer=trainer,
    )
    _, summary = train_acoustic(make_fabric(trainer, folder), settings, TONES, *cuts, folder / "ckpt")
    history: list[dict[str, float]] = summary["history"]
    return history


def lowest(history: list[dict[str, float]], figure: str) -> float:
    """Return the lowest value of a figure over all epochs."""
    return min(record[figure] for record in history)


@pytest.fixture(scope="module")
def without(cuts: tuple[CutSet, CutSet], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The figures of the training without any option."""
    return train_small({}, cuts, tmp_path_factory.mktemp("plain"))


def test_an_acoustic_model_learns_without_options(without: list[dict[str, float]]) -> None:
    assert without[0]["train_loss"] > math.log(4) and lowest(without, "train_loss") < 0.1
    assert without[0]["dev_cer"] > 0.8 and lowest(without, "dev_cer") < 0.15


@pytest.mark.integration
@pytest.mark.parametrize("options", ACOUSTIC, ids=str)
def test_an_acoustic_model_learns_with_each_option(
    options: dict[str, Any], cuts: tuple[CutSet, CutSet], tmp_path: Path, without: list[dict[str, float]]
) -> None:
    """It writes held-out speech nearly as well: a loss can become small although nothing is learnt (label_priors)."""
    if "pronunciations" in options:  # each letter is a phone
        dictionary = tmp_path / "phones.dict"
        words = {cut.supervisions[0].text for part in cuts for cut in part}
        dictionary.write_text("\n".join(f"{word} {' '.join(word)}" for text in words for word in text.split()))
        options = {**options, "pronunciations": dictionary}
    history = train_small(options, cuts, tmp_path)
    print(f"{options}: {lowest(history, 'dev_cer'):.3f}, {lowest(without, 'dev_cer'):.3f} without")
    limit = next((SLOW[key] for key in options if key in SLOW), lowest(without, "dev_cer") + CLOSE)
    assert lowest(history, "dev_cer") <= limit
    # Below the entropy of the labels, of which there are four kinds.
    assert lowest(history, "train_loss") < math.log(4) < history[0]["train_loss"]


def test_two_equal_views_are_consistent_and_change_nothing(
    cuts: tuple[CutSet, CutSet],
    tmp_path: Path,
    without: list[dict[str, float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without masks and dropout, both views of a batch are the same: the training is that with one view."""
    divergences = []

    def measure(*values: Any) -> torch.Tensor:
        loss = consistency_loss(*values)
        divergences.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(acoustic, "consistency_loss", measure)
    history = train_small({"consistency_weight": 0.2, "epochs": 40, "patience": 1}, cuts, tmp_path)
    assert divergences and max(map(abs, divergences)) < 1e-5
    for with_views, plain in zip(history, without, strict=False):
        assert with_views["train_loss"] == pytest.approx(plain["train_loss"], rel=0.02)


def test_every_option_of_a_training_is_tried() -> None:
    """Options of devices and of processes, and those that other tests are about, are named here."""
    elsewhere = {
        "accelerator",
        "devices",
        "num_nodes",
        "strategy",
        "workers",
        "checkpoint_steps",
        "minutes",
        "frozen_layers",
        "frozen_steps",
        "nonfinite_patience",
    }
    language, acoustic = ({key for options in cases for key in options} | elsewhere for cases in (LANGUAGE, ACOUSTIC))
    masks = {entry.name for entry in fields(SpecAugmentOptions)}
    assert names_of(LanguageOptions) | names_of(LanguageTrainerOptions) <= language
    assert names_of(AcousticOptions) | names_of(AcousticTrainerOptions) <= acoustic - masks


def names_of(record: Any) -> set[str]:
    return {entry.name for entry in fields(record)}

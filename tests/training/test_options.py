"""Each option of a training: a small model still learns with it, as well as it does without."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.corpora import RATE, write_corpus
from lhotse import CutSet

from speechrnn.audio.augmentation import SpecAugmentOptions, WaveformOptions
from speechrnn.audio.features import FeatureOptions
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.data.tokens import Block, write_tokens
from speechrnn.nn.acoustic import AcousticOptions
from speechrnn.nn.language import LanguageOptions
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.training.acoustic import train_acoustic
from speechrnn.training.acoustic_options import AcousticSettings, AcousticTrainerOptions
from speechrnn.training.fabric import TrainerOptions, make_fabric
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

SGD = {"optimiser": "nt_asgd", "learning_rate": 3.0, "epochs": 30, "nonmonotone": 2}
# Options of the language model and of its training, each alone.
LANGUAGE: list[dict[str, Any]] = [
    {},
    {"cell": "gru"},
    {"cell": "rnn_tanh"},
    {"layers": 2},
    {"units": 48},
    {"embedding": 24},
    {"tied": True, "units": 12},
    {"softmax": "full"},
    {"softmax": "adaptive", "cutoffs": (3, 6)},
    {"softmax": "mixture"},
    {"softmax": "mixture", "components": 2},
    {"embedding_dropout": 0.05},
    {"input_dropout": 0.1},
    {"dropout": 0.1},
    {"output_dropout": 0.1},
    {"weight_drop": 0.1},
    {"random_bptt": True},
    {"state_reset": 0.05},
    {"bptt": 20},
    {"batch_size": 8, "epochs": 25},
    {"activation": 0.01},
    {"temporal_activation": 0.01},
    SGD,
    {**SGD, "gradient_clip": 0.25, "learning_rate": 6.0},
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


def quick_without(cases: list[dict[str, Any]]) -> list[Any]:
    """The training without any option in the quick tests, all others with the slower ones."""
    return [pytest.param(case, marks=[pytest.mark.integration] if case else []) for case in cases]


def split(options: dict[str, Any], *records: Any) -> list[Any]:
    """Put each option into the record that has it; every option must be in one."""
    changed = []
    for record in records:
        names = {field.name for field in fields(record)}
        changed.append(replace(record, **{key: value for key, value in options.items() if key in names}))
    known = {field.name for record in records for field in fields(record)}
    assert options.keys() <= known
    return changed


@pytest.mark.parametrize("options", quick_without(LANGUAGE), ids=str)
def test_a_language_model_learns_with_each_option(options: dict[str, Any], tmp_path: Path) -> None:
    """Better than the frequencies of single characters, which a model without a memory learns."""
    language, trainer = split(options, SMALL, QUICK)
    ids = [[*TEXT.encode(LINES[number % 3]), 0] for number in range(120)]
    train, valid = (
        write_tokens(tmp_path / name, [Block(line, len(line)) for line in ids[:lines]], len(TEXT))
        for name, lines in (("train", 120), ("valid", 12))
    )
    _, summary = train_language(
        make_fabric(trainer, tmp_path),
        language,
        trainer,
        tokenizer=TEXT,
        train=train,
        valid=valid,
        documents=False,
        folder=tmp_path / "ckpt",
    )
    perplexities = [record["valid_perplexity"] for record in summary["history"]]
    # In so few steps a deep model, a mixture and plain SGD get a little below the frequencies of single characters.
    hard = options.get("layers") == 2 or options.get("softmax") == "mixture" or "optimiser" in options
    assert min(perplexities) < (4.2 if hard else 3.0) < perplexities[0]
    assert all(math.isfinite(value) for value in perplexities)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> tuple[CutSet, CutSet]:
    root = write_corpus(tmp_path_factory.mktemp("corpus"), 40)
    corpus = prepare(corpus_options({"name": "folder", "root": str(root)}), root / "prepared")
    assert corpus.train and corpus.dev
    return CutSet.from_file(corpus.train).to_eager(), CutSet.from_file(corpus.dev).to_eager()


NETWORK = AcousticOptions(layers=1, units=24, channels=4, stride=2, dropout=0.0, input_dropout=0.0)
STEPS = AcousticTrainerOptions(
    epochs=40, min_steps=0, batch_seconds=4.0, learning_rate=0.02, average=0.9, accelerator="cpu"
)
# Options of the acoustic model and of its training, each alone.
ACOUSTIC: list[dict[str, Any]] = [
    {"cell": "gru"},
    {"cell": "rnn_tanh"},
    {"layers": 2},
    {"bidirectional": False},
    {"layer_norm": False},
    {"layers": 2, "residual": False},
    {"dropout": 0.1},
    {"input_dropout": 0.1},
    {"subsampling": "stack"},
    {"stride": 3},
    {"channels": 8},
    {"batch_seconds": 8.0},
    {"cache_gigabytes": 0.0},
    {"layers": 2, "intermediate_layer": 1},
    {"layers": 2, "intermediate_layer": 1, "intermediate_weight": 0.6, "pronunciations": "A B C D"},
    {"consistency_weight": 0.2},
    {"label_priors": 0.3},
    {"streaming": 1.0},
    {"streaming": 0.5, "latency": (0.1, 0.4)},
    {"units": 48},
    {"betas": (0.0, 0.99)},
    {"weight_decay": 0.1},
    {"gradient_clip": 0.0},
    {"average": 0.0},
]
CLOSE = math.log(4) / 2  # nats a label: half the entropy of the labels, of which there are four kinds
# What takes longer in so few steps, or has half of them, only has to be better than that entropy.
HARD = {"layer_norm": 2.5, "batch_seconds": math.log(4), "gradient_clip": math.log(4)}


def train_small(options: dict[str, Any], cuts: tuple[CutSet, CutSet], folder: Path) -> list[float]:
    """Train the small acoustic model with options; return the loss of each epoch in nats a label."""
    network, trainer = split(options, NETWORK, STEPS)
    settings = AcousticSettings(
        FeatureOptions(sampling_rate=RATE, bins=16),
        network,
        SpecAugmentOptions(time_masks=0, frequency_masks=0),
        waveform=WaveformOptions(speeds=(1.0,), padding=0.0),
        trainer=trainer,
    )
    _, summary = train_acoustic(make_fabric(trainer, folder), settings, TONES, *cuts, folder / "ckpt")
    return [record["train_loss"] for record in summary["history"]]


@pytest.fixture(scope="module")
def loss_without(cuts: tuple[CutSet, CutSet], tmp_path_factory: pytest.TempPathFactory) -> float:
    """The loss that the training without any option reaches."""
    losses = train_small({}, cuts, tmp_path_factory.mktemp("plain"))
    assert losses[0] > math.log(4)
    return min(losses)


def test_an_acoustic_model_learns_without_options(loss_without: float) -> None:
    assert loss_without < 0.1


@pytest.mark.integration
@pytest.mark.parametrize("options", ACOUSTIC, ids=str)
def test_an_acoustic_model_learns_with_each_option(
    options: dict[str, Any], cuts: tuple[CutSet, CutSet], tmp_path: Path, loss_without: float
) -> None:
    """Close to the loss without the option."""
    if "pronunciations" in options:  # each letter is a phone
        dictionary = tmp_path / "phones.dict"
        words = {cut.supervisions[0].text for part in cuts for cut in part}
        dictionary.write_text("\n".join(f"{word} {' '.join(word)}" for text in words for word in text.split()))
        options = {**options, "pronunciations": dictionary}
    losses = train_small(options, cuts, tmp_path)
    limit = next((HARD[key] for key in options if key in HARD), loss_without + CLOSE)
    assert min(losses) < limit < losses[0]


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
        "nonmonotone",
    }
    language, acoustic = ({key for options in cases for key in options} | elsewhere for cases in (LANGUAGE, ACOUSTIC))
    shared = names_of(TrainerOptions)
    assert names_of(LanguageOptions) | names_of(LanguageTrainerOptions) - shared <= language
    assert names_of(AcousticOptions) | names_of(AcousticTrainerOptions) - shared <= acoustic
    assert shared <= language | acoustic


def names_of(record: Any) -> set[str]:
    return {entry.name for entry in fields(record)}

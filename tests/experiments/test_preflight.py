"""Errors that would end a stage after hours are reported before the first one, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.corpora import SMALL, write_corpus

from speechrnn.audio.features import FeatureOptions
from speechrnn.cli import main as cli
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import CharTokenizer

pytestmark = pytest.mark.integration

MISSING = "no/such/file"


def run(recipe: str, *arguments: str) -> int:
    """Return the exit status of a command."""
    try:
        return cli.main([recipe, *arguments])
    except SystemExit as ended:
        return int(str(ended.code))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a text, and an acoustic and a language model."""
    folder = tmp_path_factory.mktemp("preflight")
    write_corpus(folder / "corpus", 3)
    (folder / "text.txt").write_text("one two\nthree\n")
    (folder / "utf16.dict").write_bytes("one W AH1 N".encode("utf-16"))
    tokenizer = CharTokenizer.build(["AB"])
    torch.manual_seed(0)
    features, acoustic = FeatureOptions(bins=12, sampling_rate=8000), AcousticOptions(layers=1, units=4, channels=2)
    save_acoustic(
        folder / "run" / "acoustic", AcousticModel(len(tokenizer), features, acoustic), tokenizer, training={}
    )
    language = LanguageModel(len(tokenizer), LanguageOptions(layers=2, units=4, embedding=4))
    save_language(folder / "words" / "language", language, tokenizer, training={})
    return folder


SPEECH = (
    (["tokenizer=phone"], "tokenizer=phone needs tokenizer.pronunciations"),
    (["tokenizer=phone", f"tokenizer.pronunciations={MISSING}"], f"tokenizer.pronunciations={MISSING} cannot be read"),
    (["tokenizer=phone", "tokenizer.pronunciations={}/utf16.dict"], "utf16.dict seems to be a text in UTF-16"),
    ([f"trainer.pronunciations={MISSING}"], f"trainer.pronunciations={MISSING} cannot be read"),
    (["acoustic.intermediate_layer=9"], "acoustic.intermediate_layer=9 is beyond the last"),
    (["trainer.frozen_layers=1", "trainer.frozen_steps=3"], "add init_from=MODEL"),
    (["features.low=5000", "features.high=4000"], "features.low=5000 and features.high=4000"),
    (
        ["features=mfcc", "augmentation.channel.gain=3.0"],
        "augmentation.channel changes mel bands: choose features=log_mel",
    ),
    (["features=mfcc", "features.normalisation=level"], "features.normalisation=level needs mel bands"),
    ([f"augmentation.waveform.noise=[{MISSING}]"], f"augmentation.waveform.noise: {MISSING} does not exist"),
    ([f"augmentation.waveform.rooms=[{MISSING}]"], f"augmentation.waveform.rooms: {MISSING} does not exist"),
    (["init_from=nobody"], "There is no model directory nobody"),
    (["init_from={}/words"], "needs a model of kind 'acoustic'"),
    (["init_from={}/run", "features.bins=40"], "features.bins is 40, but the model"),
    (["init_from={}/run", "features.sampling_rate=22050"], "features.sampling_rate is 22050, but the model"),
    (["init_from={}/run", "acoustic.units=7"], "acoustic.units is 7, but the model"),
    # Values that are the defaults are refused as well, where they are given.
    (["init_from={}/run", "features.sampling_rate=16000"], "features.sampling_rate is 16000, but the model"),
    (["init_from={}/run", "features.bins=80"], "features.bins is 80, but the model"),
    (["init_from={}/run", "acoustic.units=256"], "acoustic.units is 256, but the model"),
    (
        ["init_from={}/run", "trainer.frozen_layers=5", "trainer.frozen_steps=1"],
        "frozen_layers=5 is more than the model",
    ),
    (["init_from={}/run", "trainer.frozen_layers=1"], "set both, or neither"),
)
BEAM = (
    ([f"extra_text=[{MISSING}]"], f"extra_text={MISSING} does not exist"),
    (["prediction.language.layers=1", "prediction.language.units=3"], "prediction.language.units=3 has no effect"),
    (["prediction.tokenizer=phone"], "needs prediction.tokenizer.pronunciations"),
    (
        ["prediction.language.softmax=adaptive", "prediction.language.cutoffs=[9,3]"],
        "prediction.language.cutoffs=[9, 3]",
    ),
    (["prediction.trainer.frozen_layers=1"], "prediction.trainer.frozen_layers keeps layers"),
    (["language_model={}/run"], "{}/run is no model directory, for it has no model.json; it holds acoustic/ alone"),
    ([f"decoding.ngram={MISSING}"], f"decoding.ngram={MISSING} is no file"),
    ([f"decoding.lexicon={MISSING}"], f"decoding.lexicon={MISSING} is no file"),
)
TEXT = (
    (["language.layers=1", "language.units=3"], "language.units=3 has no effect"),
    (["trainer.frozen_layers=1"], "trainer.frozen_layers keeps layers of a trained model"),
    (["init_from={}/words", "language.units=7"], "language.units is 7, but the model"),
    (["init_from={}/words", "language.units=512"], "language.units is 512, but the model"),
    (["init_from={}/run"], "needs a model of kind 'language'"),
)


def check(folder: Path, capsys: pytest.CaptureFixture[str], output: Path, command: list[str], sentence: str) -> None:
    given = [part.replace("{}", str(folder)) for part in command]
    status = run(*given, f"output={output}")
    printed = capsys.readouterr()
    assert status == 2 and printed.err.count("\n") == 1, printed.err
    assert sentence.replace("{}", str(folder)) in printed.err
    assert not output.exists()


@pytest.mark.parametrize(("overrides", "sentence"), SPEECH)
def test_options_of_an_acoustic_training(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], sentence: str
) -> None:
    command = ["speech_to_text", "corpus=folder", "corpus.root={}/corpus", *overrides]
    check(folder, capsys, tmp_path / "out", command=command, sentence=sentence)


@pytest.mark.parametrize(("overrides", "sentence"), BEAM)
def test_options_of_the_stages_after_an_acoustic_training(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], sentence: str
) -> None:
    command = ["speech_to_text", "corpus=folder", "corpus.root={}/corpus", "decoding=beam", *overrides]
    check(folder, capsys, tmp_path / "out", command=command, sentence=sentence)


@pytest.mark.parametrize(("overrides", "sentence"), TEXT)
def test_options_of_text_prediction(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], sentence: str
) -> None:
    command = ["text_prediction", "text=file", "text.train=[{}/text.txt]", *overrides]
    check(folder, capsys, tmp_path / "out", command=command, sentence=sentence)


def test_what_a_command_does_not_use_is_not_checked(folder: Path, tmp_path: Path) -> None:
    command = ["speech_to_text", "corpus=folder", f"corpus.root={folder / 'corpus'}", f"output={tmp_path / 'out'}"]
    command += [f"trainer.pronunciations={MISSING}", f"extra_text=[{MISSING}]", "stages=[prepare]"]
    assert run(*command + SMALL) == 0

"""Every page of conf/ composes into checked options, and every command in the documents is one that would start."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest
from helpers.corpora import RATE, say
from omegaconf import DictConfig

from speechrnn.audio import save_audio
from speechrnn.audio.features import FeatureOptions
from speechrnn.cli import help, overrides
from speechrnn.core.config import options_from
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CORPORA, corpus_options
from speechrnn.data.texts import TEXTS, text_options
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.normalisation import NormalisationOptions
from speechrnn.text.tokenizers import CharTokenizer

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
RECIPES = help.recipes(ROOT)
# A value for each key that has none.
NEEDED = {
    "speech_to_text": ["corpus=an4", "corpus.root=x"],
    "text_prediction": ["text=ptb", "text.root=x"],
    "transcribe": ["model=x", "inputs=x"],
    "listen": ["model=x"],
    "generate": ["model=x"],
    "tune": ["run=x"],
    "export": ["model=x"],
    "pronounce": ["words=x", "dictionary=x", "output=x"],
}
# The options records of each recipe, by name as its script imports or defines them.
RECORDS = {
    "speech_to_text": ["RecipeOptions"],
    "text_prediction": ["RecipeOptions"],
    "demo": ["DemoOptions"],
    "evaluate": ["EvaluateOptions"],
    "transcribe": ["TranscriptionJobOptions", "TranscriptionOptions"],
    "listen": ["ListenOptions", "StreamingOptions"],
    "generate": ["PromptOptions", "GenerationJobOptions", "GenerationOptions"],
    "tune": ["TuneOptions"],
    "export": ["ExportOptions"],
    "pronounce": ["PronounceOptions"],
    "food_chain": ["FoodChainOptions"],
    "gates": ["GatesOptions"],
    "gradients": ["GradientsOptions"],
    "spelling": ["SpellingOptions"],
    "study_timetable": ["TimetableOptions"],
}


def compose(recipe: str, given: list[str]) -> DictConfig:
    conf = RECIPES[recipe].config.parent
    given = overrides.spell_out(given, recipe, conf)
    overrides.check(given, recipe, conf, multirun=False)
    config = overrides.compose(given, recipe, conf)
    overrides.resolve(config, recipe)
    return config


@functools.cache
def script(recipe: str) -> ModuleType:
    """The recipe's script as a module."""
    spec = importlib.util.spec_from_file_location(f"recipe_{recipe}", RECIPES[recipe].script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the types of their fields
    spec.loader.exec_module(module)
    return module


def check_options(recipe: str, config: DictConfig) -> None:
    """Build every options record of the recipe."""
    for name in RECORDS[recipe]:
        options_from(config, getattr(script(recipe), name))
    for key, build in (("corpus", corpus_options), ("text", text_options)):
        if key in config and recipe != "evaluate":
            build(config[key])


def offered() -> list[tuple[str, str, str]]:
    """Each recipe, key and value of a group that `--help` offers."""
    return [
        (recipe, group.key, option)
        for recipe in RECIPES
        for group in help.groups(RECIPES[recipe].config)
        for option in group.options
    ]


@pytest.mark.integration  # some hundred configurations are composed
@pytest.mark.parametrize(("recipe", "key", "option"), offered())
def test_every_value_that_the_help_offers_is_accepted(recipe: str, key: str, option: str) -> None:
    assert f"    {option}" in help.page(RECIPES[recipe])
    page = CONF / key / recipe / f"{option}.yaml"
    chosen = page.read_text(encoding="utf-8") if key == "experiment" else ""  # an experiment may choose its corpus
    needed = [
        text
        for text in NEEDED.get(recipe, [])
        if text.partition("=")[0] != key and f"override /{text.partition('=')[0]}:" not in chosen
    ]
    check_options(recipe, compose(recipe, [*needed, f"{key}={option}"]))


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_the_defaults_of_every_recipe_are_accepted(recipe: str) -> None:
    check_options(recipe, compose(recipe, NEEDED.get(recipe, [])))


@pytest.mark.parametrize("given", ["trainer=language", "experiment=wikitext2"])
def test_a_value_of_another_recipe_is_none_of_the_options(given: str) -> None:
    with pytest.raises(UserError, match=f"{given} is (none of the options|no option of)"):
        compose("speech_to_text", [*NEEDED["speech_to_text"], given])


def test_every_corpus_and_every_text_has_a_page() -> None:
    """Named as the page is."""
    for name in CORPORA:
        config = compose("speech_to_text", [f"corpus={name}", "corpus.root=somewhere"])
        assert corpus_options(config.corpus).name == name
    for name in TEXTS:
        assert text_options(compose("text_prediction", [f"text={name}", "text.root=somewhere"]).text).name == name


def test_a_text_takes_the_experiment_of_its_name() -> None:
    config = compose("text_prediction", ["text=wikitext2", "text.root=x"])
    assert config.trainer == compose("text_prediction", ["experiment=wikitext2", "text=file"]).trainer
    assert config.trainer != compose("text_prediction", ["text=file"]).trainer


def test_every_recipe_has_a_config_and_a_help_page() -> None:
    pages = {path.relative_to(CONF).with_suffix("") for path in [*CONF.glob("*.yaml"), *CONF.glob("tutorials/*.yaml")]}
    assert {recipe.config.relative_to(CONF).with_suffix("") for recipe in RECIPES.values()} == pages
    assert set(RECORDS) == set(RECIPES)
    for recipe in RECIPES.values():
        assert len(help.page(recipe).splitlines()) > 10


def documented_commands() -> list[str]:
    commands = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        commands += re.findall(r"^speechrnn .+$", text, re.MULTILINE) + re.findall(r"`(speechrnn [a-z_]+ [^`]+)`", text)
    return sorted(set(commands))


@pytest.mark.integration  # some hundred configurations are composed
@pytest.mark.parametrize("command", documented_commands())
def test_documented_commands_are_right(command: str) -> None:
    _, recipe, *given = shlex.split(command)
    if "--multirun" in given:  # its first job; the launcher is Hydra's to know
        given = [argument for argument in given if not argument.startswith(("--multirun", "hydra"))]
        given = [re.sub(r"=([^\[{',]+),.*", r"=\1", argument) for argument in given]
    if given != ["--help"]:
        compose(recipe, given)
    assert recipe in RECIPES


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL))
def test_the_readmes_python_runs(code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letters = CharTokenizer.build(["ABCD"])
    model = AcousticModel(len(letters), FeatureOptions(bins=16), AcousticOptions(layers=1, units=8, channels=2))
    save_acoustic(tmp_path / "acoustic", model, letters, training={})
    save_audio(tmp_path / "talk.wav", say("ABC"), RATE)
    alphabet = CharTokenizer.build([" ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
    save_language(
        tmp_path / "language",
        LanguageModel(len(alphabet), LanguageOptions(units=8, embedding=8)),
        alphabet,
        training={"normalisation": asdict(NormalisationOptions())},
    )
    code = code.replace("outputs/demo", str(tmp_path)).replace("talk.wav", f"{tmp_path}/talk.wav")
    exec(code, {})
    assert capsys.readouterr().out.strip()

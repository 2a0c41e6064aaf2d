"""Checks of options and of the files they name, before a run's first stage.

A mistake that would end a stage after hours of training is reported before the first stage. A mistake that only the
prepared corpus shows, such as words that a dictionary lacks, is reported by the stage.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from speechrnn.audio import find_audio
from speechrnn.audio.features import FeatureOptions, FrontEnd
from speechrnn.core.errors import UserError, keys_below
from speechrnn.core.model_names import find_model_directory
from speechrnn.data.texts.reader import find
from speechrnn.experiments.run import given_overrides
from speechrnn.experiments.speech_to_text import PREDICTION, SpeechOptions
from speechrnn.experiments.text_prediction import LanguageModelOptions, TextPredictionOptions
from speechrnn.nn.acoustic import AcousticOptions
from speechrnn.nn.checkpoint import load_model, load_options
from speechrnn.nn.language import LanguageOptions
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import TokenizerOptions
from speechrnn.training.defaults import AUTO
from speechrnn.training.fabric import TrainerOptions
from speechrnn.training.initial_language import FREE as FREE_LANGUAGE
from speechrnn.training.initialisation import adopt_architecture, adopt_options
from speechrnn.training.language import check_units

OptionsT = TypeVar("OptionsT", FeatureOptions, AcousticOptions)


def check_speech(options: SpeechOptions, stages: Collection[str]) -> None:
    """Check the options of speech to text that its stages will use, and that the files they name are there.

    >>> check_speech(options, ["prepare", "train"])  # options: of conf/speech_to_text.yaml  # doctest: +SKIP

    Raises:
        UserError: options contradict each other or the model of init_from=, or a file or model is missing or damaged.
    """
    beam = options.decoding.name == "beam"
    if "train" in stages:
        _check_acoustic(options)
    if "language" in stages and beam:
        find([str(path) for path in options.extra_text], None, "extra_text")
        if options.language_model is None:
            with keys_below("prediction", PREDICTION):
                check_language(options.prediction)
    if beam and {"tune", "decode"} & set(stages):
        if options.language_model is not None:
            load_model(options.language_model, "language")
        for key in ("ngram", "lexicon"):
            path = getattr(options.decoding, key)
            if path is not None and not path.is_file():
                raise UserError(f"decoding.{key}={path} is no file; check the name.")


def check_prediction(options: TextPredictionOptions, stages: Collection[str]) -> None:
    """Check the options of text prediction that its stages will use.

    >>> check_prediction(options, ["prepare", "train"])  # options: of conf/text_prediction.yaml  # doctest: +SKIP

    Raises:
        UserError: options contradict each other or the model of init_from=, or a file or model is missing or damaged.
    """
    if "train" not in stages:
        return
    trained = None
    if options.init_from is not None:
        folder = find_model_directory(options.init_from, "language")
        trained = load_options(LanguageOptions, load_model(folder, "language")[0], "language", folder=folder)
    check_language(options, options.init_from, trained)


def check_language(
    options: LanguageModelOptions, name: str | None = None, trained: LanguageOptions | None = None
) -> None:
    """Check the options of a language model and of its training.

    Args:
        options: of conf/text_prediction.yaml, or below `prediction` in conf/speech_to_text.yaml.
        name: of the model whose weights the training begins with; None: there is none.
        trained: the architecture of that model.

    Raises:
        UserError: see `check_prediction`.
    """
    language = options.language
    if trained is not None:
        language = adopt_options(
            str(name),
            "language",
            trained,
            wanted=language,
            default=LanguageOptions(),
            free=FREE_LANGUAGE,
            given=_given("language"),
        )
    else:
        check_units(language)
        if language.softmax == "adaptive" and sorted(set(language.cutoffs)) != list(language.cutoffs):
            raise UserError(f"language.cutoffs={list(language.cutoffs)} must rise, as in language.cutoffs=[1000,4000].")
    _check_frozen(options.trainer, language.layers, trained is not None)
    _check_tokenizer(options.tokenizer, known=trained is not None)


def _check_acoustic(options: SpeechOptions) -> None:
    """Check the options of the acoustic model and of its training."""
    trainer, name = options.trainer, options.init_from
    rate: Any = options.features.sampling_rate
    if rate == AUTO:  # of the corpus; then the edges of the mel bank are checked when it is known
        rate = round(2 * max(options.features.high or 0, 24000))
    features = _chosen(options.features, FeatureOptions(sampling_rate=rate))
    acoustic = _chosen(options.acoustic, AcousticOptions())
    has_phones = False
    if name is not None:
        folder = find_model_directory(name, "acoustic")
        description, _ = load_model(folder, "acoustic")
        trained = load_options(FeatureOptions, description, "features", folder=folder)
        features = adopt_options(
            name,
            "features",
            trained,
            wanted=_chosen(options.features, trained),
            default=FeatureOptions(),
            free=frozenset(),
            given=_given("features"),
        )
        has_phones = description.get("tokenizer", {}).get("kind") == "phone"
        network = load_options(AcousticOptions, description, "acoustic", folder=folder)
        acoustic = adopt_architecture(
            name, network, wanted=_chosen(options.acoustic, network), given=_given("acoustic")
        )
    if acoustic.intermediate_layer > acoustic.layers:
        raise UserError(
            f"acoustic.intermediate_layer={acoustic.intermediate_layer} is beyond the last of "
            f"acoustic.layers={acoustic.layers}."
        )
    FrontEnd(features, options.augmentation.channel)
    _check_frozen(trainer, acoustic.layers, name is not None)
    _check_tokenizer(options.tokenizer, known=has_phones)
    if trainer.pronunciations is not None:
        Pronunciations.read(trainer.pronunciations, "trainer.pronunciations")
    for key in ("noise", "rooms"):
        _check_recordings(getattr(options.augmentation.waveform, key), f"augmentation.waveform.{key}")


def _given(group: str) -> frozenset[str]:
    """Return the keys of a group that the command line sets; a file of an experiment may set them for all models."""
    keys = [override.lstrip("+").partition("=")[0] for override in given_overrides()]
    return frozenset(key.removeprefix(f"{group}.") for key in keys if key.startswith(f"{group}."))


def _check_frozen(trainer: TrainerOptions, layers: int, initial: bool) -> None:
    """Check how many layers a fine-tuning leaves as they are."""
    if trainer.frozen_layers and not initial:
        raise UserError("trainer.frozen_layers keeps layers of a trained model: add init_from=MODEL, or leave it out.")
    if bool(trainer.frozen_layers) != bool(trainer.frozen_steps):
        raise UserError(
            f"trainer.frozen_layers={trainer.frozen_layers} and trainer.frozen_steps={trainer.frozen_steps} have an "
            "effect together only: set both, or neither."
        )
    if trainer.frozen_layers > layers:
        raise UserError(f"trainer.frozen_layers={trainer.frozen_layers} is more than the model has: {layers}.")


def _check_tokenizer(options: TokenizerOptions, known: bool) -> None:
    """Check that a tokenizer of phones has its dictionary; a trained model may bring its own."""
    if options.kind != "phone":
        return
    if options.pronunciations is not None:
        Pronunciations.read(options.pronunciations)
    elif not known:
        raise UserError("tokenizer=phone needs tokenizer.pronunciations, a dictionary such as cmudict.dict.")


def _check_recordings(places: Sequence[str], key: str) -> None:
    """Check that there are recordings at some places."""
    if places:
        try:
            find_audio(list(places))
        except UserError as error:
            raise UserError(f"{key}: {error}") from error


def _chosen(options: OptionsT, found: OptionsT) -> OptionsT:
    """Return options with the values of others for those that are `auto`."""
    names = [field.name for field in fields(found)]
    return type(found)(**{name: getattr(found if getattr(options, name) == AUTO else options, name) for name in names})

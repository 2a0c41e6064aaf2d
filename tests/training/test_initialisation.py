"""Fine-tuning: a training that begins with the weights of a trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions, save_acoustic
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import CharTokenizer, TokenizerOptions
from speechrnn.training.fabric import TrainerOptions
from speechrnn.training.initialisation import InitialModel, adopt_architecture, frozen_parameters

FEATURES = FeatureOptions(bins=20, normalisation="training")
OPTIONS = AcousticOptions(layers=1, units=8, channels=4)
TOKENIZER = CharTokenizer.build(["ABCD"])


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> InitialModel:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("model")
    model = AcousticModel(len(TOKENIZER), FEATURES, OPTIONS)
    torch.nn.init.normal_(model.front_end.normalise.mean)
    save_acoustic(folder, model, TOKENIZER, training={})
    return InitialModel.load(folder)


def untrained(initial: InitialModel, tokenizer: CharTokenizer) -> AcousticModel:
    torch.manual_seed(2)
    return AcousticModel(len(tokenizer), initial.features(FeatureOptions()), initial.architecture(AcousticOptions()))


def test_all_weights_and_the_normalisation_are_copied(initial: InitialModel) -> None:
    model = untrained(initial, TOKENIZER)
    initial.copy_into(model, TOKENIZER)
    for name, tensor in initial.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_the_head_of_another_alphabet_keeps_the_rows_of_shared_symbols(initial: InitialModel) -> None:
    tokenizer = CharTokenizer.build(["XDBA"])
    model = untrained(initial, tokenizer)
    before = model.head.weight.clone()
    initial.copy_into(model, tokenizer)
    old = initial.model.head.weight
    for place, symbol in enumerate(tokenizer.symbols):
        shared = symbol in TOKENIZER.symbols
        expected = old[TOKENIZER.symbols.index(symbol)] if shared else before[place]
        assert torch.equal(model.head.weight[place], expected), symbol
    assert torch.equal(model.input.weight, initial.model.input.weight)


def test_a_letter_in_another_case_begins_with_the_row_of_the_letter(initial: InitialModel) -> None:
    tokenizer = CharTokenizer.build(["xdba"])
    model = untrained(initial, tokenizer)
    initial.copy_into(model, tokenizer)
    for letter in "abd":
        expected = initial.model.head.weight[TOKENIZER.symbols.index(letter.upper())]
        assert torch.equal(model.head.weight[tokenizer.symbols.index(letter)], expected), letter


def test_the_alphabet_is_the_models_if_it_writes_all_texts(initial: InitialModel) -> None:
    assert initial.choose_tokenizer(TokenizerOptions(), ["AB", "DA"]) is initial.tokenizer
    assert initial.choose_tokenizer(TokenizerOptions(), ["AB", "AX"]).symbols == ["<blank>", "A", "B", "X"]
    assert initial.choose_tokenizer(TokenizerOptions("word"), ["AB", "DA"]).kind == "word"


def test_phones_stay_where_a_dictionary_has_half_of_the_texts_and_take_their_case(
    caplog: pytest.LogCaptureFixture,
) -> None:
    phones = PhoneTokenizer(Pronunciations({"cat": [("K", "AE", "T")], "a": [("AH",)]}))
    model = AcousticModel(len(phones), FEATURES, OPTIONS)
    initial = InitialModel("phones", model, phones)
    chosen = initial.choose_tokenizer(TokenizerOptions(), ["A CAT", "A DOG"])
    assert chosen.symbols == phones.symbols
    assert chosen.decode(chosen.encode("A CAT")) == "A CAT"
    copy = AcousticModel(len(chosen), FEATURES, OPTIONS)
    initial.copy_into(copy, chosen)
    assert torch.equal(copy.head.weight, model.head.weight)
    few = ["A CAT", "A DOG", "A FOX"]
    assert initial.choose_tokenizer(TokenizerOptions("phone"), few).symbols == phones.symbols
    caplog.set_level("WARNING", logger="speechrnn")
    characters = initial.choose_tokenizer(TokenizerOptions(), few)
    assert characters.kind == "char"
    assert "2 of 3 transcripts have words without a pronunciation" in caplog.text and "DOG, FOX" in caplog.text
    copy = AcousticModel(len(characters), FEATURES, OPTIONS)
    before = copy.head.weight.clone()
    initial.copy_into(copy, characters)
    # The blank and the space are known; the letter T is not the phone T.
    new = [place for place, symbol in enumerate(characters.symbols) if symbol not in ("<blank>", " ")]
    assert torch.equal(copy.head.weight[new], before[new])
    assert torch.equal(copy.head.weight[0], model.head.weight[0])


def test_an_alphabet_that_is_written_out_replaces_the_models_phones() -> None:
    """Otherwise nothing could ask a model of phones for characters, since they are the default."""
    phones = PhoneTokenizer(Pronunciations({"cat": [("K", "AE", "T")]}))
    initial = InitialModel("phones", AcousticModel(len(phones), FEATURES, OPTIONS), phones)
    assert initial.choose_tokenizer(TokenizerOptions(), ["cat"]).kind == "phone"
    chosen = initial.choose_tokenizer(TokenizerOptions(alphabet=" act"), ["cat"])
    assert (chosen.kind, chosen.symbols) == ("char", ["<blank>", " ", "a", "c", "t"])


def test_a_dictionary_of_the_user_replaces_the_models_own(tmp_path: Path) -> None:
    """So that words which the model's lacks are trained."""
    phones = PhoneTokenizer(Pronunciations({"cat": [("K", "AE", "T")], "a": [("AH",)]}))
    initial = InitialModel("phones", AcousticModel(len(phones), FEATURES, OPTIONS), phones)
    (tmp_path / "my.dict").write_text("cat K AE1 T\na AH0\ntack T AE1 K\n")
    chosen = initial.choose_tokenizer(TokenizerOptions("phone", pronunciations=tmp_path / "my.dict"), ["a cat", "tack"])
    assert chosen.symbols == phones.symbols and not chosen.count_unknown("tack")
    copy = AcousticModel(len(chosen), FEATURES, OPTIONS)
    initial.copy_into(copy, chosen)
    assert torch.equal(copy.head.weight, initial.model.head.weight)


def test_features_and_architecture_are_the_models_but_for_keys_of_the_training(initial: InitialModel) -> None:
    assert initial.features(FeatureOptions()) == FEATURES
    wanted = initial.architecture(AcousticOptions(dropout=0.7, streaming=0.5))
    assert wanted == replace(OPTIONS, dropout=0.7, streaming=0.5)


@pytest.mark.parametrize("changed", [{"sampling_rate": 8000}, {"bins": 40}, {"kind": "mfcc"}, {"high": 3000.0}])
def test_other_features_are_refused_by_key(initial: InitialModel, changed: dict[str, object]) -> None:
    (key,) = changed
    with pytest.raises(UserError, match=rf"features\.{key} is .*leave features\.{key} out"):
        initial.features(FeatureOptions(**changed))  # type: ignore[arg-type]


def test_another_architecture_is_refused_by_key(initial: InitialModel) -> None:
    with pytest.raises(UserError, match=r"acoustic\.layers is 5, .* has 1"):
        initial.architecture(AcousticOptions(layers=5))


def test_a_one_directional_model_begins_with_the_forward_direction(
    initial: InitialModel, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(2)
    wanted = initial.architecture(AcousticOptions(bidirectional=False))
    assert wanted == replace(OPTIONS, bidirectional=False)
    model = AcousticModel(len(TOKENIZER), FEATURES, wanted)
    with caplog.at_level("INFO", "speechrnn"):
        initial.copy_into(model, TOKENIZER)
    assert "only the forward direction is kept" in caplog.text
    trained = initial.model.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, trained[name]), name
    assert {name for name in trained if name not in model.state_dict()} == {
        name for name in trained if name.endswith("_reverse")
    }


def test_a_model_of_one_direction_stays_so_and_takes_no_other_units(initial: InitialModel) -> None:
    forward = replace(OPTIONS, bidirectional=False)
    assert adopt_architecture("M", forward, wanted=AcousticOptions()) == forward
    with pytest.raises(UserError, match=r"acoustic\.bidirectional is True, but the model M .* has False"):
        adopt_architecture("M", forward, wanted=AcousticOptions(), given=["bidirectional"])
    with pytest.raises(UserError, match=r"acoustic\.units is 16, .* has 8"):
        initial.architecture(AcousticOptions(bidirectional=False, units=16))


def test_frozen_are_the_lower_layers_and_what_is_below_them() -> None:
    model = AcousticModel(5, FEATURES, replace(OPTIONS, layers=3))
    options = TrainerOptions(frozen_layers=2, frozen_steps=10)
    frozen = frozen_parameters(options, [model.subsampling, model.input], list(model.recurrent.layers))
    names = {name for name, parameter in model.named_parameters() if any(parameter is other for other in frozen)}
    assert {name.split(".")[0] for name in names} == {"subsampling", "input", "recurrent"}
    assert "recurrent.layers.1.network.weight_hh_l0" in names and "recurrent.layers.2.network.weight_hh_l0" not in names
    assert frozen_parameters(TrainerOptions(), [model.input], list(model.recurrent.layers)) == []


@pytest.mark.parametrize(
    ("layers", "steps", "part"),
    [(3, 10, "frozen_layers=3 is more than the model has: 2 layers"), (1, 0, "set both"), (0, 10, "set both")],
)
def test_frozen_layers_that_make_no_sense_are_refused(layers: int, steps: int, part: str) -> None:
    modules = [torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)]
    with pytest.raises(UserError, match=part):
        frozen_parameters(TrainerOptions(frozen_layers=layers, frozen_steps=steps), [], modules)


def test_a_model_of_another_kind_and_a_damaged_one_are_refused(tmp_path: Path, initial: InitialModel) -> None:
    language = LanguageModel(len(TOKENIZER), LanguageOptions(units=8, embedding=8))
    save_language(tmp_path / "language", language, TOKENIZER, training={})
    with pytest.raises(UserError, match="language"):
        InitialModel.load(tmp_path / "language")
    save_acoustic(tmp_path / "damaged", initial.model, TOKENIZER, training={})
    weights = tmp_path / "damaged" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(UserError, match=r"model\.safetensors"):
        InitialModel.load(tmp_path / "damaged")
    with pytest.raises(UserError, match="nowhere"):
        InitialModel.load(tmp_path / "nowhere")

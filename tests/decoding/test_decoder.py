"""From log-probabilities to words, greedily and with a language model, an n-gram model, hot words, a lexicon."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.emissions import TOKENIZER, emission
from helpers.language_models import toy_model

from speechrnn.core.errors import UserError
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.decoder import make_decoder, system_name
from speechrnn.decoding.fusion import DecodingOptions, Weights
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.tuned_weights import TunedDecoding, read_tuned, write_tuned
from speechrnn.nn.language import save_language
from speechrnn.text.tokenizers import CharTokenizer, WordTokenizer

# An A heard as an E: the acoustic model alone would write "THE CET".
DOUBTFUL = emission("THE CAT", {5: ("E", 0.6)})
TEXTS = ["THE CAT", "THE CAT", "A CAT", "THE BAT", "A BED"]


def decode(options: DecodingOptions, language_model: Path | None = None, **tuned: TunedDecoding) -> DecodingResult:
    decoder = make_decoder(options, language_model, TOKENIZER, 0.03, tuned)
    (found,) = decoder(DOUBTFUL[None], torch.tensor([len(DOUBTFUL)]))
    return found


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ngram") / "letters.arpa"
    write_arpa(path, kneser_ney(map(TOKENIZER.encode, TEXTS), TOKENIZER.symbols, 4))
    return path


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ngram") / "words.arpa"
    tokenizer = WordTokenizer.build(TEXTS)
    write_arpa(path, kneser_ney(map(tokenizer.encode, TEXTS), tokenizer.symbols, 2))
    return path


def beam(**options: object) -> DecodingOptions:
    return DecodingOptions(name="beam", **options)  # type: ignore[arg-type]


def test_greedy_and_a_beam_alone_believe_the_network() -> None:
    greedy = decode(DecodingOptions())
    assert greedy.texts == ("THE CET",) and greedy.frames == len(DOUBTFUL)
    alone = decode(beam(nbest=3))
    assert alone.texts[0] == "THE CET" and alone.texts[1] == "THE CAT"
    assert len(alone.hypotheses) == 3 and alone.hypotheses[0].parts == {}
    assert [word.word for word in alone.words] == ["THE", "CET"]
    assert [(word.start, word.end) for word in alone.words] == [(word.start, word.end) for word in greedy.words]


def test_an_ngram_model_of_letters_or_words_knows_better(letters: Path, words: Path) -> None:
    for path in (letters, words):
        found = decode(beam(ngram=path, ngram_weight=1.0, length_reward=1.0))
        assert found.texts[0] == "THE CAT", path
        best = found.hypotheses[0]
        assert best.parts.keys() == {"ngram", "length"} and best.parts["length"] == 2
        assert best.score == pytest.approx(best.acoustic + best.parts["ngram"] + best.parts["length"], abs=1e-4)
        assert found.words[0].end <= found.words[1].start


@torch.no_grad()
def test_a_language_model_is_asked(tmp_path: Path) -> None:
    model = toy_model(len(TOKENIZER), embedding=6, units=10).eval()
    save_language(tmp_path, model, TOKENIZER, {})
    found = decode(beam(language_weight=0.7, length_reward=0.0), tmp_path)
    states = model.start(1)
    log_probs, states = model.score(states, torch.tensor([0]))
    total = 0.0
    for token in (*found.hypotheses[0].tokens, 0):
        total += float(log_probs[0, token])
        log_probs, states = model.score(states, torch.tensor([token]))
    assert found.hypotheses[0].parts["language"] == pytest.approx(total, abs=1e-3)
    again = decode(beam(rescoring_model=tmp_path, rescoring_weight=0.0))
    assert again.texts[0] == "THE CET" and "rescoring" in again.hypotheses[0].parts


def test_hot_words_and_a_lexicon(tmp_path: Path) -> None:
    assert decode(beam(hot_words=("CAT",), hot_word_boost=2.0)).texts[0] == "THE CAT"
    assert decode(beam(hot_words=("BED",), hot_word_boost=2.0)).texts[0] == "THE CET"
    listed = tmp_path / "words.txt"
    listed.write_text("THE DH AH\nCAT K AE T\n\nBED B EH D\n", encoding="utf-8")  # pronunciations do no harm
    assert decode(beam(lexicon=listed)).texts[0] == "THE CAT"
    assert decode(beam(lexicon=listed, lexicon_mode="prefer", lexicon_penalty=0.1)).texts[0] == "THE CET"
    assert decode(beam(lexicon=listed, lexicon_mode="prefer", lexicon_penalty=3.0)).texts[0] == "THE CAT"


def test_what_was_tuned_is_used_where_the_options_say_nothing(letters: Path, tmp_path: Path) -> None:
    write_tuned(tmp_path, {"ngram": TunedDecoding(Weights(0.0, 0.0, 0.0), Calibration(0.0, 0.0, 0.0), {"wer": 0.5})})
    tuned = read_tuned(tmp_path)
    assert tuned["ngram"].figures == {"wer": 0.5}
    found = decode(beam(ngram=letters), **tuned)
    assert found.texts[0] == "THE CET"  # the weight is 0
    assert [word.confidence for word in found.words] == [0.5, 0.5]
    assert decode(beam(ngram=letters, ngram_weight=1.0), **tuned).texts[0] == "THE CAT"
    assert read_tuned(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"ngram": 3}', '{"ngram": {"weights": {"langage_weight": 1}}}'])
def test_a_damaged_file_of_weights(tmp_path: Path, text: str) -> None:
    (tmp_path / "decoding.json").write_text(text)
    with pytest.raises(UserError, match=r"decoding.json is damaged .* run `speechrnn tune` again"):
        read_tuned(tmp_path)


def test_the_names_of_systems(tmp_path: Path) -> None:
    assert system_name(DecodingOptions(), None) == "greedy"
    assert system_name(beam(), None) == "bare_beam"
    assert system_name(beam(ngram=tmp_path), None) == "ngram"
    assert system_name(beam(ngram=tmp_path), tmp_path) == "beam"


def test_what_does_not_fit_is_one_sentence(tmp_path: Path, letters: Path, words: Path) -> None:
    other = CharTokenizer.build([], "ABC ")
    save_language(tmp_path / "abc", toy_model(len(other), embedding=6, units=10), other, {})
    with pytest.raises(UserError, match=r"lacks 'D' .*'E' .*'H' .*'T' .*Train the language model with the acoustic"):
        decode(beam(), tmp_path / "abc")
    with pytest.raises(UserError, match=r"is not asked by decoding=greedy; add decoding=beam"):
        decode(DecodingOptions(), tmp_path / "abc")
    listed = tmp_path / "words.txt"
    listed.write_text("THE\nDEAD\n")
    with pytest.raises(UserError, match="lacks 1 of the lexicon's 2 words \\('DEAD'\\)"):
        decode(beam(ngram=words, lexicon=listed))
    with pytest.raises(UserError, match=r"decoding.lexicon=.*nowhere.txt cannot be read: No such file"):
        decode(beam(lexicon=tmp_path / "nowhere.txt"))
    with pytest.raises(UserError, match="weight of language is nan"):
        save_language(tmp_path / "all", toy_model(len(TOKENIZER), embedding=6, units=10), TOKENIZER, {})
        decode(beam(language_weight=float("nan")), tmp_path / "all")
    with pytest.raises(UserError, match=r"hot words .* need 'X'"):
        decode(beam(hot_words=("AXE",)))
    cut = tmp_path / "cut.arpa"
    cut.write_bytes(letters.read_bytes()[:200])
    with pytest.raises(UserError, match=r"cut.arpa.*line"):
        decode(beam(ngram=cut))


@pytest.mark.parametrize("frames", [0, 1])
def test_hardly_any_frames(frames: int, letters: Path) -> None:
    for options in (DecodingOptions(), beam(ngram=letters)):
        decoder = make_decoder(options, None, TOKENIZER, 0.03, {})
        (found,) = decoder(DOUBTFUL[None, :frames], torch.tensor([frames]))
        assert found.words == () and found.texts[0] == ""

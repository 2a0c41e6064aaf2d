"""From log-probabilities to words, greedily and with a language model, an n-gram model, hot words, a lexicon."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.emissions import TOKENIZER, emission
from helpers.language_models import toy_model
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.beam_search import BeamOptions, beam_search
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.decoder import BeamDecoder, make_decoder
from speechrnn.decoding.fusion import DecodingOptions, Weights
from speechrnn.decoding.hypothesis import DecodingResult, Hypothesis
from speechrnn.decoding.ngram.arpa import write_arpa
from speechrnn.decoding.ngram.kneser_ney import kneser_ney
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.decoding.tuned_weights import TunedDecoding, read_tuned, system_key, write_tuned
from speechrnn.nn.language import save_language
from speechrnn.text.tokenizers import CharTokenizer, SubwordTokenizer, WordTokenizer

# An A heard as an E: the acoustic model alone would write "THE CET".
DOUBTFUL = emission("THE CAT", {5: ("E", 0.6)})
TEXTS = ["THE CAT", "THE CAT", "A CAT", "THE BAT", "A BED"]


def decode(
    options: DecodingOptions, language_model: Path | None = None, tuned: dict[str, TunedDecoding] | None = None
) -> DecodingResult:
    decoder = make_decoder(options, language_model, TOKENIZER, seconds_per_frame=0.03, tuned=tuned or {})
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
    save_language(tmp_path, model, TOKENIZER, training={})
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


@pytest.mark.parametrize(("contexts", "sizes"), [(1000, [5]), (40, [2, 2, 1]), (1, [1, 1, 1, 1, 1])])
def test_as_many_utterances_are_searched_at_once_as_there_is_memory_for(
    words: Path, letters: Path, monkeypatch: pytest.MonkeyPatch, contexts: int, sizes: list[int]
) -> None:
    utterances = [emission(text) for text in ("THE CAT", "A CAT", "A BED", "A BAT")] + [DOUBTFUL]
    frames = torch.tensor([len(utterance) for utterance in utterances])
    log_probs = torch.nn.utils.rnn.pad_sequence(utterances, batch_first=True)
    searched: list[int] = []

    def search(rows: Tensor, *arguments: Any, **options: Any) -> list[list[Hypothesis]]:
        searched.append(len(rows))
        return beam_search(rows, *arguments, **options)

    for path, expected in ((words, sizes), (letters, [5])):  # a model of letters needs no such memory
        options = beam(beam_size=20, ngram=path, ngram_weight=1.0, length_reward=1.0)
        decoder = make_decoder(options, None, TOKENIZER, seconds_per_frame=0.03, tuned={})
        whole = decoder(log_probs, frames)
        searched.clear()
        with monkeypatch.context() as patch:
            patch.setattr("speechrnn.decoding.decoder.beam_search", search)
            patch.setattr(WordScorer, "capacity", contexts)
            assert decoder(log_probs, frames) == whole
        assert searched == expected


def test_hot_words_and_a_lexicon(tmp_path: Path) -> None:
    assert decode(beam(hot_words=("CAT",), hot_word_boost=2.0)).texts[0] == "THE CAT"
    assert decode(beam(hot_words=("BED",), hot_word_boost=2.0)).texts[0] == "THE CET"
    listed = tmp_path / "words.txt"
    listed.write_text("THE DH AH\nCAT K AE T\n\nBED B EH D\n", encoding="utf-8")  # pronunciations do no harm
    assert decode(beam(lexicon=listed)).texts[0] == "THE CAT"
    assert decode(beam(lexicon=listed, lexicon_mode="prefer", lexicon_penalty=0.1)).texts[0] == "THE CET"
    assert decode(beam(lexicon=listed, lexicon_mode="prefer", lexicon_penalty=3.0)).texts[0] == "THE CAT"


def test_what_was_tuned_is_used_where_the_options_say_nothing(letters: Path, tmp_path: Path) -> None:
    entry = TunedDecoding(Weights(None, 0.0, 0.0), Calibration(0.0, 0.0, 0.0), {"wer": 0.5})
    write_tuned(tmp_path, {system_key(beam(ngram=letters), None): entry})
    tuned = read_tuned(tmp_path)
    found = decode(beam(ngram=letters), tuned=tuned)
    assert found.texts[0] == "THE CET"  # the weight is 0
    assert [word.confidence for word in found.words] == [0.5, 0.5]
    assert decode(beam(ngram=letters, ngram_weight=1.0), tuned=tuned).texts[0] == "THE CAT"


def test_the_search_is_as_wide_as_it_was_tuned_unless_a_width_is_chosen(letters: Path) -> None:
    """Also where the width that is chosen is the default."""
    options = DecodingOptions(name="beam", ngram=letters)
    tuned = {system_key(options, None): TunedDecoding(search=BeamOptions(beam_size=77, beam_threshold=None))}

    def search(**changes: Any) -> BeamOptions:
        decoder = make_decoder(replace(options, **changes), None, TOKENIZER, seconds_per_frame=0.02, tuned=tuned)
        assert isinstance(decoder, BeamDecoder)
        return decoder.options.search

    assert search() == BeamOptions(beam_size=77, beam_threshold=None, nbest=10)
    assert search(hot_words=("ABBA",)).beam_size == 77
    assert search(beam_size=5, nbest=3) == BeamOptions(beam_size=5, beam_threshold=None, nbest=3)
    assert search(beam_size=20, beam_threshold=10.0) == BeamOptions(nbest=10)
    untuned = make_decoder(options, None, TOKENIZER, seconds_per_frame=0.02, tuned={})
    assert isinstance(untuned, BeamDecoder) and untuned.options.search == BeamOptions(nbest=10)


def test_an_ngram_model_beside_a_tuned_language_model_is_used(letters: Path, tmp_path: Path) -> None:
    save_language(tmp_path, toy_model(len(TOKENIZER), embedding=6, units=10), TOKENIZER, training={})
    tuned = {system_key(beam(), tmp_path): TunedDecoding(Weights(0.1, None, 0.25))}
    found = make_decoder(beam(ngram=letters), tmp_path, TOKENIZER, seconds_per_frame=0.03, tuned=tuned)
    assert isinstance(found, BeamDecoder)
    assert {scorer.name: scorer.weight for scorer in found.scorers} == {"language": 0.1, "ngram": 0.5, "length": 0.25}


@pytest.mark.parametrize("nbest", [1, 3, 50])
def test_confidences_do_not_depend_on_nbest(nbest: int, letters: Path) -> None:
    usual = decode(beam(ngram=letters, beam_size=30))
    found = decode(beam(ngram=letters, beam_size=30, nbest=nbest))
    assert found.words == usual.words and found.features == usual.features
    assert found.texts[: min(nbest, 10)] == usual.texts[:nbest]
    assert len(found.texts) == len(found.hypotheses) <= nbest


def test_no_text_stands_twice_among_the_alternatives() -> None:
    uncertain = emission("THE CAT", {3: ("A", 0.4), 5: ("E", 0.4)}, sure=0.9)
    uncertain = torch.cat([uncertain, emission(" ", {0: ("T", 0.3)}, sure=0.6)[1:]])  # perhaps a space at the end
    decoder = make_decoder(beam(beam_size=60, nbest=60), None, TOKENIZER, seconds_per_frame=0.03, tuned={})
    (found,) = decoder(uncertain[None], torch.tensor([len(uncertain)]))
    assert len(found.texts) > 10 and len(set(found.texts)) == len(found.texts)
    assert all(text == text.strip() for text in found.texts)


def test_a_recording_that_ends_within_a_word_keeps_the_words_before(words: Path, tmp_path: Path) -> None:
    listed = tmp_path / "words.txt"
    listed.write_text("THE\nCATTEDBEDDED\nTHEBES\nA\n")
    cut = emission("THE CATTE")
    for options in (beam(lexicon=listed), beam(ngram=words)):
        decoder = make_decoder(options, None, TOKENIZER, seconds_per_frame=0.03, tuned={})
        log_probs = cut if options.ngram is None else emission("THE B")  # BED is a word of the model
        (found,) = decoder(log_probs[None], torch.tensor([len(log_probs)]))
        assert found.texts[0] == "THE", options
        assert [word.word for word in found.words] == ["THE"]
        assert found.words[0].end < 0.03 * 8  # the audio of the open word is not its
        best = found.hypotheses[0]
        if options.lexicon is not None:
            assert TOKENIZER.decode(best.open_word).strip() == "CATTE"
        numbers = [best.score, best.acoustic, *best.parts.values(), found.words[0].confidence]
        assert all(map(math.isfinite, numbers))
        weights = {scorer.name: scorer.weight for scorer in decoder.scorers}  # type: ignore[attr-defined]
        expected = best.acoustic + sum(weights[name] * part for name, part in best.parts.items())
        assert best.score == pytest.approx(expected, abs=1e-4)


@settings(max_examples=30)
@given(st.text("ABCDEHT ", max_size=8), st.integers(0, 10**6))
def test_nothing_that_leaves_a_decoder_is_infinite(text: str, seed: int) -> None:
    torch.manual_seed(seed)
    log_probs = (emission(text) + 2 * torch.randn(len(emission(text)), len(TOKENIZER))).log_softmax(1)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "words.txt"
        listed.write_text("TEACHED\nBEACHED\nTHE\n")
        for mode in ("restrict", "prefer"):
            decoder = make_decoder(
                beam(lexicon=listed, lexicon_mode=mode), None, TOKENIZER, seconds_per_frame=0.03, tuned={}
            )
            (found,) = decoder(log_probs[None], torch.tensor([len(log_probs)]))
            for hypothesis in found.hypotheses:
                numbers = [hypothesis.score, hypothesis.acoustic, *hypothesis.parts.values()]
                assert all(map(math.isfinite, numbers)), hypothesis
            assert all(0 <= word.confidence <= 1 for word in found.words)
            if mode == "restrict":
                assert all(set(text.split()) <= {"TEACHED", "BEACHED", "THE"} for text in found.texts)
            assert [word.word for word in found.words] == found.texts[0].split()


@pytest.mark.parametrize("key", ["ngram", "lexicon", "hot_words", "rescoring_model"])
def test_what_greedy_decoding_cannot_use_is_refused(key: str, tmp_path: Path) -> None:
    """From Python; a command has no such keys with decoding=greedy. They were ignored."""
    options = DecodingOptions(**{key: ("BAD",) if key == "hot_words" else tmp_path})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"{key} cannot be used by decoding=greedy.*beam"):
        make_decoder(options, None, TOKENIZER, seconds_per_frame=0.03, tuned={})


def test_tuned_greedy_confidences() -> None:
    tuned = {"greedy": TunedDecoding(calibration=Calibration(0.0, 0.0, 0.0))}
    assert [word.confidence for word in decode(DecodingOptions(), tuned=tuned).words] == [0.5, 0.5]
    untuned = decode(DecodingOptions())
    assert [word.confidence for word in untuned.words] == [features.alignment for features in untuned.features]


def test_subwords_under_letters_say_what_to_train(tmp_path: Path) -> None:
    texts = ["THE CAT", "A CAT", "A BED", "THE BAT"] * 3
    subwords = SubwordTokenizer.train(texts, 12)
    save_language(tmp_path, toy_model(len(subwords), embedding=6, units=10), subwords, training={})
    with pytest.raises(UserError, match=r"are subwords, .* tokenizer=char"):
        decode(beam(), tmp_path)


def test_what_does_not_fit_is_one_sentence(tmp_path: Path, letters: Path, words: Path) -> None:
    other = CharTokenizer.build([], "ABC ")
    save_language(tmp_path / "abc", toy_model(len(other), embedding=6, units=10), other, training={})
    with pytest.raises(UserError, match=r"lacks 'D' .*'E' .*'H' .*'T' .*Train the language model with the acoustic"):
        decode(beam(), tmp_path / "abc")
    with pytest.raises(UserError, match=r"language_model=.*decoding=greedy; add decoding=beam"):
        decode(DecodingOptions(), tmp_path / "abc")
    listed = tmp_path / "words.txt"
    listed.write_text("THE\nDEAD\n")
    with pytest.raises(UserError, match="lacks 1 of the lexicon's 2 words \\('DEAD'\\)"):
        decode(beam(ngram=words, lexicon=listed))
    with pytest.raises(UserError, match=r"decoding.lexicon=.*nowhere.txt cannot be read: No such file"):
        decode(beam(lexicon=tmp_path / "nowhere.txt"))
    with pytest.raises(UserError, match="weight of language is nan"):
        save_language(tmp_path / "all", toy_model(len(TOKENIZER), embedding=6, units=10), TOKENIZER, training={})
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
        decoder = make_decoder(options, None, TOKENIZER, seconds_per_frame=0.03, tuned={})
        (found,) = decoder(DOUBTFUL[None, :frames], torch.tensor([frames]))
        assert found.words == () and found.texts[0] == ""

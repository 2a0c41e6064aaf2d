"""Decoders of streams find the words of decoders of recordings, and what they call stable stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.emissions import TOKENIZER, emission
from helpers.scorers import Bigram
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speechrnn.core.errors import UserError
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.decoder import BeamDecoder, Decoder, GreedyDecoder
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.hypothesis import DecodingResult
from speechrnn.decoding.scorers.base import WeightedScorer
from speechrnn.decoding.scorers.word import WordScorer
from speechrnn.decoding.streaming import closed_words, make_streaming_decoder
from speechrnn.text.phone_tokenizer import PhoneTokenizer
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import WordTokenizer

CPU = torch.device("cpu")
TEXTS = st.text("ABCDEHT ", min_size=1, max_size=25)


def make_decoder(name: str) -> Decoder:
    if name == "greedy":
        return GreedyDecoder(TOKENIZER, 0.03)
    return BeamDecoder(TOKENIZER, 0.03, DecodingOptions(name="beam", beam_size=10))


def decode_in_blocks(recordings: Decoder, log_probs: Tensor, block: int) -> DecodingResult:
    """Decode (frames, symbols) log-probabilities block by block; what is stable once must stay."""
    decoder = make_streaming_decoder(recordings, CPU)
    state = decoder.start()
    stable: list[str] = []
    for place in range(0, len(log_probs), block):
        decoder.advance([state], [log_probs[place : place + block]])
        words, count = decoder.partial(state)
        assert count >= len(stable)
        assert [word.word for word in words[: len(stable)]] == stable
        stable = [word.word for word in words[:count]]
    result = decoder.finish(state)
    assert [word.word for word in result.words[: len(stable)]] == stable
    return result


@pytest.mark.parametrize("name", ["greedy", "beam"])
@settings(max_examples=25)
@given(text=TEXTS, doubt=st.integers(0, 24), block=st.integers(1, 9))
def test_blocks_give_the_result_of_the_whole_and_stable_words_stay(
    name: str, text: str, doubt: int, block: int
) -> None:
    log_probs = emission(text, {doubt: ("A" if text[doubt : doubt + 1] != "A" else "B", 0.45)})
    result = decode_in_blocks(make_decoder(name), log_probs, block)
    (expected,) = make_decoder(name)(log_probs[None], torch.tensor([len(log_probs)]))
    assert result.words == expected.words
    assert result.texts == expected.texts


@settings(max_examples=25)
@given(
    words=st.lists(st.sampled_from(["to", "two", "tea", "the"]), min_size=1, max_size=7),
    seed=st.integers(0, 10**6),
    block=st.integers(1, 9),
)
def test_words_that_sound_alike_are_those_of_the_whole_and_stable_words_stay(
    words: list[str], seed: int, block: int
) -> None:
    sounds = {"to": ("T", "UW"), "two": ("T", "UW"), "too": ("T", "UW"), "tea": ("T", "IY"), "the": ("DH", "AH")}
    tokenizer = PhoneTokenizer(Pronunciations({word: [phones] for word, phones in sounds.items()}))
    scorer = WordScorer(Bigram(len(sounds) + 1, seed), ["<blank>", *sounds], tokenizer)
    options = DecodingOptions(name="beam", beam_size=8)
    recordings = BeamDecoder(tokenizer, 0.03, options, scorers=[WeightedScorer(scorer, 0.5, "language")])
    labels = [*tokenizer.encode(" ".join(words)), tokenizer.symbols.index(" ")]
    noise = torch.randn(2 * len(labels), len(tokenizer), generator=torch.Generator().manual_seed(seed))
    for place, label in enumerate(labels):
        noise[2 * place, label] += 8.0
        noise[2 * place + 1, 0] += 8.0
    log_probs = noise.log_softmax(1)
    (expected,) = recordings(log_probs[None], torch.tensor([len(log_probs)]))
    assert decode_in_blocks(recordings, log_probs, block).texts == expected.texts


def test_a_sure_word_is_stable_when_it_has_ended() -> None:
    for name in ("greedy", "beam"):
        decoder = make_streaming_decoder(make_decoder(name), CPU)
        state = decoder.start()
        decoder.advance([state], [emission("BAD ", sure=1 - 1e-6)])
        words, stable = decoder.partial(state)
        assert ([word.word for word in words], stable) == (["BAD"], 1)


@pytest.mark.parametrize("calibration", [Calibration(1.0, 0.0), Calibration(0.7, 0.6, -0.5)])
def test_a_stable_word_has_the_confidence_that_it_has_in_the_recording(calibration: Calibration) -> None:
    """Finals of streams keep the stable words of their partial events, with these confidences."""
    recordings = replace(make_decoder("beam"), calibration=calibration)  # type: ignore[type-var]
    log_probs = emission("BAD HEAD ACE", {9: ("B", 0.45)}, sure=0.98)
    decoder = make_streaming_decoder(recordings, CPU)
    state = decoder.start()
    decoder.advance([state], [log_probs])
    words, stable = decoder.partial(state)
    (expected,) = recordings(log_probs[None], torch.tensor([len(log_probs)]))
    assert 1 <= stable < len(words) == len(expected.words)
    assert words[:stable] == expected.words[:stable]
    assert words[-1].confidence < expected.words[-1].confidence


def test_a_doubtful_word_is_not_stable_yet() -> None:
    decoder = make_streaming_decoder(make_decoder("beam"), CPU)
    state = decoder.start()
    decoder.advance([state], [emission("BAD ", {2: ("C", 0.45)})])
    words, stable = decoder.partial(state)
    assert ([word.word for word in words], stable) == (["BAD"], 0)


def test_closed_words_of_a_word_tokenizer_are_all() -> None:
    tokenizer = WordTokenizer.build(["ADA BELL"])
    assert closed_words(tokenizer, tokenizer.encode("ADA BELL")) == 2


def test_greedy_decoding_takes_no_hot_words() -> None:
    with pytest.raises(UserError, match=r"hot_words.*beam"):
        make_streaming_decoder(make_decoder("greedy"), CPU).start(["ADA"])


@pytest.mark.parametrize("name", ["greedy", "beam"])
@pytest.mark.parametrize(
    ("phones", "words"),
    [
        (["R"], ()),
        (["R", "EH"], ()),
        (["R", "EH", "D"], ("red",)),
        (["R", "EH", "D", " "], ("red",)),
        (["R", "EH", "D", " ", "K"], ("red",)),
        (["R", " ", "R", "EH", "D"], ("r", "red")),  # what has ended stays, whatever it is
    ],
)
def test_a_partial_leaves_out_a_part_of_a_word_in_phones(name: str, phones: list[str], words: tuple[str, ...]) -> None:
    tokenizer = PhoneTokenizer(Pronunciations({"red": [("R", "EH", "D")], "cat": [("K", "AE", "T")]}))
    log_probs = torch.full((2 * len(phones), len(tokenizer)), 1e-4).log()
    for number, phone in enumerate(phones):
        log_probs[2 * number, tokenizer.symbols.index(phone)] = 0.0
        log_probs[2 * number + 1, 0] = 0.0
    whole: Decoder
    if name == "greedy":
        whole = GreedyDecoder(tokenizer, seconds_per_frame=0.03)
    else:
        whole = BeamDecoder(tokenizer, 0.03, DecodingOptions(name="beam", beam_size=4))
    decoder = make_streaming_decoder(whole, CPU)
    state = decoder.start()
    previewed, _ = decoder.preview(state, log_probs)
    decoder.advance([state], [log_probs])
    shown, stable = decoder.partial(state)
    assert tuple(word.word for word in shown) == tuple(word.word for word in previewed) == words
    assert stable <= len(shown)

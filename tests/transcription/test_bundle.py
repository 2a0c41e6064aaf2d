"""Bundles: which models a name stands for, and how they are decoded by default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.bundles import save_bundle

from speechrnn.decoding.beam_search import BeamOptions
from speechrnn.decoding.fusion import DecodingOptions
from speechrnn.decoding.tuned_weights import TunedDecoding, system_key, write_tuned
from speechrnn.transcription.bundle import Bundle, find_bundle, model_name, resolve_models
from speechrnn.transcription.options import TranscriptionOptions


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEECHRNN_MODELS", str(tmp_path))
    return save_bundle(tmp_path / "tiny")


def test_a_name_has_all_parts_and_a_plain_directory_only_itself(bundle: Path) -> None:
    assert find_bundle("tiny") == Bundle(bundle / "acoustic", bundle / "language", bundle / "ngram.arpa")
    assert find_bundle(bundle / "acoustic") == Bundle(bundle / "acoustic")
    assert model_name(bundle / "acoustic") == "tiny"


def test_the_models_that_were_tuned_together_are_taken(bundle: Path) -> None:
    options, beam = TranscriptionOptions(), DecodingOptions(name="beam")
    language, ngram = bundle / "language", bundle / "ngram.arpa"

    def chosen() -> tuple[str, Path | str | None, Path | None]:
        folder, resolved = resolve_models("tiny", options)
        assert folder == bundle / "acoustic"
        assert resolve_models(folder, resolved) == (folder, resolved)  # as a worker does again
        return resolved.search.name, resolved.language_model, resolved.search.ngram

    assert chosen() == ("beam", language, None)  # nothing was tuned
    write_tuned(bundle / "acoustic", {system_key(replace(beam, ngram=ngram), None): TunedDecoding()})
    assert chosen() == ("beam", None, ngram)
    write_tuned(bundle / "acoustic", {system_key(replace(beam, ngram=ngram), language): TunedDecoding()})
    assert chosen() == ("beam", language, ngram)


def test_the_search_is_as_wide_as_it_was_tuned_unless_a_width_is_chosen(bundle: Path) -> None:
    ngram = bundle / "ngram.arpa"
    tuned = TunedDecoding(search=BeamOptions(beam_size=77, beam_threshold=None))
    write_tuned(bundle / "acoustic", {system_key(DecodingOptions(name="beam", ngram=ngram), None): tuned})
    search = resolve_models("tiny", TranscriptionOptions())[1].search
    assert (search.beam_size, search.beam_threshold, search.ngram) == (77, None, ngram)
    assert search.nbest == DecodingOptions().nbest
    hot = DecodingOptions(name="beam", hot_words=("ADA",))
    assert resolve_models("tiny", TranscriptionOptions(decoding=hot))[1].search.beam_size == 77
    rescored = DecodingOptions(name="beam", rescoring_model=bundle / "language")
    assert resolve_models("tiny", TranscriptionOptions(decoding=rescored))[1].search.beam_size == 77
    narrow = DecodingOptions(name="beam", beam_size=5, nbest=3)
    search = resolve_models("tiny", TranscriptionOptions(decoding=narrow))[1].search
    assert (search.beam_size, search.beam_threshold, search.nbest, search.ngram) == (5, None, 3, ngram)
    usual = DecodingOptions(name="beam", beam_size=20)
    assert resolve_models("tiny", TranscriptionOptions(decoding=usual))[1].search.beam_size == 20  # which was chosen
    greedy = resolve_models("tiny", TranscriptionOptions(decoding="greedy"))[1].search
    assert (greedy.beam_size, greedy.beam_threshold) == (20, 10.0)


def test_another_ngram_file_than_the_tuned_one_is_not_passed_over(bundle: Path) -> None:
    ngram = bundle / "ngram.arpa"
    write_tuned(bundle / "acoustic", {system_key(DecodingOptions(name="beam", ngram=ngram), None): TunedDecoding()})
    ngram.write_text("damaged")
    assert resolve_models("tiny", TranscriptionOptions())[1].search.ngram == ngram  # whose reader refuses it


def test_what_the_options_name_takes_the_place_of_the_bundles(bundle: Path) -> None:
    greedy = resolve_models("tiny", TranscriptionOptions(decoding="greedy"))[1]
    assert (greedy.search.name, greedy.language_model) == ("greedy", None)
    bare = resolve_models("tiny", TranscriptionOptions(decoding="beam", language_model=None))[1]
    assert (bare.language_model, bare.search.ngram) == (None, None)
    named = resolve_models(bundle / "acoustic", TranscriptionOptions(decoding="beam", language_model="tiny"))[1]
    assert named.language_model == bundle / "language"
    plain = resolve_models(bundle / "acoustic", TranscriptionOptions())[1]
    assert (plain.search.name, plain.language_model) == ("greedy", None)

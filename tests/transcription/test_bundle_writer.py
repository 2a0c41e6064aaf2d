"""Bundles: the models of two runs become one small folder that is decoded as the models were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bundles import save_bundle

from speechrnn.audio.segmentation import SegmentationOptions
from speechrnn.core.errors import UserError
from speechrnn.core.files import folder_size
from speechrnn.decoding.fusion import DecodingOptions, Weights
from speechrnn.decoding.tuned_weights import TunedDecoding, read_tuned, system_key, write_tuned
from speechrnn.nn.language import LanguageModel, LanguageOptions, save_language
from speechrnn.text.tokenizers import SubwordTokenizer
from speechrnn.transcription.bundle import Bundle, find_bundle, find_ngram, resolve_models
from speechrnn.transcription.bundle_writer import write_bundle
from speechrnn.transcription.options import TranscriptionOptions
from speechrnn.transcription.transcriber import Transcriber

BEAM = DecodingOptions(name="beam")


@pytest.fixture
def models(tmp_path: Path) -> Bundle:
    """An acoustic model in the folder of one run, its language models in that of another."""
    made = save_bundle(tmp_path / "made")
    for folder, parts in (("speech", ["acoustic"]), ("text", ["language", "ngram.arpa"])):
        (tmp_path / folder).mkdir()
        for part in parts:
            (made / part).rename(tmp_path / folder / part)
    return Bundle(tmp_path / "speech" / "acoustic", tmp_path / "text" / "language", tmp_path / "text" / "ngram.arpa")


def test_models_of_two_runs_become_one_small_folder(models: Bundle, tmp_path: Path) -> None:
    written = write_bundle(models, tmp_path / "models" / "mine", "int8")
    folder = tmp_path / "models" / "mine"
    assert written == find_bundle(folder) == Bundle(folder / "acoustic", folder / "language", folder / "ngram.q8")
    assert sorted(path.name for path in folder.iterdir()) == ["acoustic", "language", "ngram.q8"]
    assert models.language is not None and written.language is not None
    for before, after in ((models.acoustic, written.acoustic), (models.language, written.language)):
        assert folder_size(after) < folder_size(before)


def test_a_bundle_of_the_parts_that_there_are(models: Bundle, tmp_path: Path) -> None:
    assert write_bundle(Bundle(models.acoustic), tmp_path / "a", "float16") == Bundle(tmp_path / "a" / "acoustic")
    written = write_bundle(replace(models, ngram=None), tmp_path / "b", "float32")
    assert written == Bundle(tmp_path / "b" / "acoustic", tmp_path / "b" / "language")
    assert write_bundle(find_bundle(tmp_path / "b"), tmp_path / "c", "int8").language == tmp_path / "c" / "language"


def test_what_was_tuned_holds_for_the_small_models(models: Bundle, tmp_path: Path) -> None:
    both = TunedDecoding(Weights(0.7, 0.2, 1.5))
    alone = TunedDecoding(Weights(language_weight=0.9))
    systems = {"greedy": TunedDecoding(), "beam": TunedDecoding(Weights(0.1))}
    keys = [system_key(replace(BEAM, ngram=ngram), models.language) for ngram in (models.ngram, None)]
    write_tuned(models.acoustic, {**systems, keys[0]: both, keys[1]: alone})
    written = write_bundle(models, tmp_path / "mine", "int8")
    new = [system_key(replace(BEAM, ngram=ngram), written.language) for ngram in (written.ngram, None)]
    assert set(new).isdisjoint(keys)
    assert read_tuned(written.acoustic) == {**systems, new[0]: both, new[1]: alone}
    _, options = resolve_models(tmp_path / "mine", TranscriptionOptions())
    assert options.language_model == written.language and options.search.ngram == written.ngram
    again = write_bundle(written, tmp_path / "again", "int8")
    assert read_tuned(again.acoustic)[system_key(replace(BEAM, ngram=again.ngram), again.language)] == both


def test_a_bundle_is_transcribed_with(models: Bundle, tmp_path: Path) -> None:
    write_bundle(models, tmp_path / "mine", "int8")
    samples = (np.random.default_rng(0).standard_normal(8000) * 0.1).astype(np.float32)
    plain = SegmentationOptions(vad="none")
    transcriber = Transcriber.load(tmp_path / "mine", device="cpu", engine="torch", segmentation=plain)
    transcript = transcriber(samples, sampling_rate=16000)
    assert transcript.decoding == "beam" and transcript.text


def test_a_model_card_stays_and_models_are_not_overwritten(models: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").write_text("a card")
    write_bundle(models, folder, "int8")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert folder / "README.md" in before
    with pytest.raises(UserError, match=r"mine/acoustic is there already: remove it, or choose another output"):
        write_bundle(models, folder, "float16")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_does_not_fit_or_is_damaged_leaves_nothing(models: Bundle, tmp_path: Path) -> None:
    tokenizer = SubwordTokenizer.train(["a bad cab had a bag", "he fed a head each day", "a hedge gab bed fade"], 18)
    save_language(
        tmp_path / "subwords",
        LanguageModel(len(tokenizer), LanguageOptions(units=8, embedding=6)),
        tokenizer,
        training={},
    )
    (tmp_path / "ngram.q8").write_bytes(b"speechrnn n-grams 1\nnothing")
    wrong = {
        "are subwords": replace(models, language=tmp_path / "subwords"),
        "ngram.q8 is damaged": replace(models, ngram=tmp_path / "ngram.q8"),
        "no model directory": replace(models, acoustic=tmp_path / "none"),
    }
    for message, parts in wrong.items():
        with pytest.raises(UserError, match=message):
            write_bundle(parts, tmp_path / "new", "int8")
        assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot write .*file/new"):
        write_bundle(models, tmp_path / "file" / "new", "int8")


def test_the_n_gram_file_of_a_folder_and_of_none(models: Bundle, tmp_path: Path) -> None:
    assert models.ngram is not None
    assert find_ngram(models.ngram) == find_ngram(models.ngram.parent) == models.ngram
    assert find_ngram(models.acoustic) is None and find_ngram(tmp_path / "nowhere") is None
    (tmp_path / "ngram.q8").mkdir()
    with pytest.raises(UserError, match=r"ngram\.q8 is a folder"):
        find_ngram(tmp_path)

"""decoding.json: entries by the models' fingerprints, and files of earlier versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from speechrnn.core.errors import UserError
from speechrnn.decoding.beam_search import BeamOptions
from speechrnn.decoding.confidence import Calibration
from speechrnn.decoding.fusion import DecodingOptions, Weights
from speechrnn.decoding.tuned_weights import (
    TunedDecoding,
    conditions,
    find_tuned,
    find_uncalibrated,
    read_tuned,
    system_key,
    system_name,
    write_tuned,
)

BEAM = DecodingOptions(name="beam")


def model(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "model.safetensors").write_text(content)
    return folder


def test_entries_are_written_and_read(tmp_path: Path) -> None:
    tuned = {
        "ngram:1": TunedDecoding(Weights(None, 0.5, 0.0), Calibration(0.1, 0.2, 0.3), {"wer": 0.5}, system="ngram")
    }
    write_tuned(tmp_path, tuned | {"greedy": TunedDecoding()})
    assert read_tuned(tmp_path) == tuned | {"greedy": TunedDecoding()}
    assert read_tuned(tmp_path / "nowhere") == {}


def test_keys_at_which_confidences_were_not_calibrated_are_named(tmp_path: Path) -> None:
    """A calibration was used for hot words, a lexicon, weights and a search that it was not fitted for, silently."""
    language, file = model(tmp_path / "one", "1"), tmp_path / "file"
    file.write_text("1")
    entry = TunedDecoding(Weights(0.4, None, 1.0), Calibration(), system="beam", search=BeamOptions(beam_size=50))
    tuned = {system_key(BEAM, language): entry}
    same = replace(BEAM, beam_size=50, nbest=3)
    assert find_uncalibrated(tuned, same, language) == []
    assert find_uncalibrated(tuned, replace(same, language_weight=0.4), language) == []
    assert find_uncalibrated(tuned, BEAM, language) == []  # which takes the tuned search
    assert find_uncalibrated(tuned, replace(BEAM, beam_size=20), language) == ["beam_size"]
    changes: dict[str, dict[str, Any]] = {
        "hot_words": {"hot_words": ("ADA",)},
        "lexicon": {"lexicon": file},
        "language_weight": {"language_weight": 0.5},
        "length_reward": {"length_reward": 0.0},
        "unknown_penalty": {"unknown_penalty": -3.0},
        "ngram": {"ngram": file},
        "beam_threshold": {"beam_threshold": None},
    }
    for key, change in changes.items():
        changed = replace(same, **change)
        assert find_uncalibrated(tuned, changed, language) == [key]
        if conditions(changed):  # tuned so, it is the plain search whose confidences are less exact
            fitted = {system_key(changed, language): replace(entry, conditions=conditions(changed))}
            assert find_uncalibrated(fitted, changed, language) == []
            assert find_uncalibrated(fitted, same, language) == [key]
    rescored = find_uncalibrated(tuned, replace(same, rescoring_model=language), language)
    assert rescored == ["rescoring_model", "rescoring_weight"]
    assert find_uncalibrated({}, replace(same, hot_words=("ADA",)), language) == []
    assert find_uncalibrated({"greedy": entry}, DecodingOptions(), None) == []


def test_each_language_model_has_its_entry(tmp_path: Path) -> None:
    first, other = model(tmp_path / "one", "1"), model(tmp_path / "other", "2")
    (tmp_path / "letters.arpa").write_text("3")
    with_ngram = DecodingOptions(name="beam", ngram=tmp_path / "letters.arpa")
    keys = [
        system_key(BEAM, first),
        system_key(BEAM, other),
        system_key(with_ngram, None),
        system_key(with_ngram, first),
    ]
    assert len(set(keys)) == 4
    tuned = {key: TunedDecoding(Weights(number)) for number, key in enumerate(keys)}
    assert [find_tuned(tuned, *system).weights.language_weight for system in ((BEAM, first), (BEAM, other))] == [0, 1]
    assert find_tuned(tuned, with_ngram, first).weights.language_weight == 3
    # Its place does not matter, its content does.
    moved = model(tmp_path / "moved", "1")
    assert find_tuned(tuned, BEAM, moved).weights.language_weight == 0
    (moved / "model.safetensors").write_text("changed")
    assert find_tuned(tuned, BEAM, moved) == TunedDecoding()


def test_a_combination_that_was_not_tuned_has_the_language_models_weights(tmp_path: Path) -> None:
    language = model(tmp_path / "one", "1")
    (tmp_path / "letters.arpa").write_text("3")
    tuned = {system_key(BEAM, language): TunedDecoding(Weights(0.25, None, 1.0))}
    found = find_tuned(tuned, DecodingOptions(name="beam", ngram=tmp_path / "letters.arpa"), language)
    assert found.weights == Weights(0.25, None, 1.0)


def test_a_file_of_an_earlier_version(tmp_path: Path) -> None:
    entry = {
        "weights": {"language_weight": 0.25, "ngram_weight": 0.0, "length_reward": 1.0},
        "calibration": {"posterior": 0.1, "alignment": 0.2, "offset": 0.3},
        "figures": {"wer": 0.5},
    }
    (tmp_path / "decoding.json").write_text(json.dumps({"beam": entry}))
    found = find_tuned(read_tuned(tmp_path), BEAM, model(tmp_path / "one", "1"))
    assert found.weights == Weights(0.25, None, 1.0)  # the n-gram model was absent: its weight was not tuned
    assert found.calibration == Calibration(0.1, 0.2, 0.3)
    assert find_tuned(read_tuned(tmp_path), BEAM, None) == TunedDecoding()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[1, 2]",
        "null",
        "3",
        '"text"',
        '{"ngram": 3}',
        '{"ngram": null, "ngram": []}',
        '{"ngram": {"weights": {"langage_weight": 1}}}',
        '{"ngram": {"calibration": {"offset": Infinity}}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_of_weights(tmp_path: Path, text: str) -> None:
    (tmp_path / "decoding.json").write_text(text)
    with pytest.raises(UserError, match=r"decoding.json is damaged .* run `speechrnn tune` again"):
        read_tuned(tmp_path)


@pytest.mark.parametrize("text", ["[1, 2]", "3", "null"])
def test_a_file_that_holds_something_else_is_named_without_words_of_python(tmp_path: Path, text: str) -> None:
    (tmp_path / "decoding.json").write_text(text)
    with pytest.raises(UserError, match="holds no group of decoding systems") as error:
        read_tuned(tmp_path)
    assert "object" not in str(error.value) and "attribute" not in str(error.value)


def test_the_names_of_systems(tmp_path: Path) -> None:
    assert system_name(DecodingOptions(), None) == system_key(DecodingOptions(), None) == "greedy"
    assert system_name(BEAM, None) == system_key(BEAM, None) == "bare_beam"
    assert system_name(DecodingOptions(name="beam", ngram=tmp_path), None) == "ngram"
    assert system_name(DecodingOptions(name="beam", ngram=tmp_path), tmp_path) == "beam"

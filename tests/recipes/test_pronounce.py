"""`speechrnn pronounce` as a user types it."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from speechrnn.cli import main as cli
from speechrnn.decoding.ngram import kneser_ney, write_arpa, write_quantised
from speechrnn.text.pronunciations import Pronunciations

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("key=value", ...)`, in this process -> (exit status, stdout, stderr)."""
    (tmp_path / "cmu.dict").write_text(";;; comment\ncat K AE1 T\ncat(2) K AE0 T\nthe DH AH0")

    def call(*overrides: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", sys.argv)
        try:
            status = cli.main(["pronounce", f"dictionary={tmp_path / 'cmu.dict'}", *overrides])
        except SystemExit as end:
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return call


def test_missing_words_come_after_the_dictionarys_own_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The cats, the “dowson’s” — and: 27 dowson's dog!\n")
    status, out, err = run(f"words={tmp_path / 'a.txt'}", f"output={tmp_path / 'new.dict'}")
    assert (status, err) == (0, "")
    assert out.startswith("5 words, 3 of them not in ") and out.splitlines()[-1] == str(tmp_path / "new.dict")
    lines = (tmp_path / "new.dict").read_text().splitlines()
    assert lines[:4] == (tmp_path / "cmu.dict").read_text().splitlines()
    assert sorted(lines[4:]) == ["and AE N D", "dog D AA G", "dowson's D AW S AH N Z"]  # cats: by the dictionary's rule
    assert Pronunciations.read(tmp_path / "new.dict").words["cat"] == (("K", "AE", "T"),)


def test_words_are_read_from_texts_manifests_and_n_grams(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"red"))
    (tmp_path / "b.jsonl").write_text(json.dumps({"audio_filepath": "none.wav", "duration": 1, "text": "Blue"}))
    (tmp_path / "c.csv").write_text("audio_filepath,text,duration\nnone.wav,green,1\n")
    ngrams = kneser_ney([[1, 2]], ["<blank>", "<unk>", "brown"], 1)
    write_quantised(tmp_path / "d.q8", ngrams)
    write_arpa(tmp_path / "e.arpa.gz", kneser_ney([[1]], ["<blank>", "white"], 1))
    files = ",".join(str(tmp_path / name) for name in ("a.txt.gz", "b.jsonl", "c.csv", "d.q8", "e.arpa.gz"))
    status, _, err = run(f"words=[{files}]", f"output={tmp_path / 'new.dict'}")
    assert (status, err) == (0, "")
    assert {"red", "blue", "green", "brown", "white"} <= set(Pronunciations.read(tmp_path / "new.dict").words)


def test_a_packed_dictionary_is_unpacked_before_words_are_added(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("dog")
    packed = tmp_path / "packed.dict"
    packed.write_bytes(gzip.compress((tmp_path / "cmu.dict").read_bytes()))
    for name in ("new.dict", "new.dict.gz", "new.dict.xz"):
        status, _, err = run(f"words={tmp_path / 'a.txt'}", f"dictionary={packed}", f"output={tmp_path / name}")
        assert (status, err) == (0, "")
        assert set(Pronunciations.read(tmp_path / name).words) == {"cat", "the", "dog"}


def test_keys_of_a_manifest_and_signs_of_models_are_no_words(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"audio_filepath": "none.wav", "duration": 1, "text": "blue"}))
    (tmp_path / "b.txt").write_text("a <unk> dog\n")
    write_arpa(tmp_path / "c.arpa", kneser_ney([[1, 2]], ["<blank>", "<unk>", "brown"], 1))
    files = ",".join(str(tmp_path / name) for name in ("a.json", "b.txt", "c.arpa"))
    status, _, _ = run(f"words=[{files}]", f"output={tmp_path / 'new.dict'}")
    assert status == 0
    assert set(Pronunciations.read(tmp_path / "new.dict").words) == {"cat", "the", "a", "dog", "blue", "brown"}


def test_phones_are_not_added_to_a_dictionary_of_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("dog")
    (tmp_path / "ipa.dict").write_text("cat k æ t\nthe ð ə\nbird b ɝ d\n")
    status, _, err = run(
        f"words={tmp_path / 'a.txt'}", f"dictionary={tmp_path / 'ipa.dict'}", f"output={tmp_path / 'new.dict'}"
    )
    assert status == 2 and "ipa.dict has other phones" in err and not (tmp_path / "new.dict").exists()


def test_the_most_frequent_words_alone_are_looked_up(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("dog the dog the the bird")
    status, out, _ = run(f"words={tmp_path / 'a.txt'}", f"output={tmp_path / 'new.dict'}", "vocabulary_size=2")
    assert status == 0 and out.startswith("2 words, 1 of them")
    assert set(Pronunciations.read(tmp_path / "new.dict").words) == {"cat", "the", "dog"}


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["words=nowhere.txt"], "words=nowhere.txt does not exist"),
        (["words=nowhere.jsonl"], "words=nowhere.jsonl does not exist"),
        (["words=."], "words=. is a folder"),
        (["words=empty.txt"], "no word"),
        (["words=empty.txt", "vocabulary_size=0"], "vocabulary_size"),
        (["words=words.txt", "voice=en-xx"], "en-xx"),
        (["words=words.txt", "dictionary=nowhere.dict"], "nowhere.dict"),
    ],
)
def test_bad_input_is_refused_in_a_sentence_and_nothing_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("27 -- !\n")
    (tmp_path / "words.txt").write_text("dog\n")
    status, out, err = run(*overrides, "output=new.dict")
    assert status == 2 and out == "" and part in err and "Traceback" not in err
    assert not (tmp_path / "new.dict").exists()


def test_the_words_are_not_overwritten(run: Run, tmp_path: Path) -> None:
    words = tmp_path / "a.txt"
    words.write_text("red")
    status, _, err = run(f"words=[{words}]", f"output={words}")
    assert status == 2 and "would be overwritten" in err and words.read_text() == "red"

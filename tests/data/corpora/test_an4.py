from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpora import Speak, Write

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions
from speechrnn.data.corpora.an4 import LAYOUT, missing_archives, utterances
from speechrnn.data.corpora.prepare import prepare


@pytest.fixture
def tiny(tmp_path: Path, speak: Speak, write: Write) -> Path:
    write(tmp_path / "etc/an4_train.fileids", "an4_clstk/fash/an251-fash-b\nan4_clstk/mjan/cen1-mjan-b\n")
    write(tmp_path / "etc/an4_train.transcription", "<s> YES </s> (an251-fash-b)\n<s> GO ON </s> (cen1-mjan-b)\n")
    write(tmp_path / "etc/an4_test.fileids", "an4test_clstk/fcaw/an406-fcaw-b\n")
    write(tmp_path / "etc/an4_test.transcription", "RUBOUT G M (an406-fcaw-b)\n")
    # the official archive has SPHERE files; any other suffix will do as well
    speak(tmp_path / "wav/an4_clstk/fash/an251-fash-b.sph", format="NIST")
    speak(tmp_path / "wav/an4_clstk/mjan/cen1-mjan-b.wav")
    speak(tmp_path / "wav/an4test_clstk/fcaw/an406-fcaw-b.flac")
    return tmp_path


def test_the_official_layout_with_any_suffix(tiny: Path) -> None:
    splits = utterances(tiny)
    assert [(u.id, u.text, u.speaker, u.audio.name) for u in splits["train"]] == [
        ("an251-fash-b", "YES", "fash", "an251-fash-b.sph"),
        ("cen1-mjan-b", "GO ON", "mjan", "cen1-mjan-b.wav"),
    ]
    assert [(u.id, u.text, u.speaker) for u in splits["test"]] == [("an406-fcaw-b", "RUBOUT G M", "fcaw")]
    assert "dev" not in splits


def test_the_folder_above_will_do(tiny: Path, tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    (above / "an4").symlink_to(tiny)
    assert len(utterances(above)["train"]) == 2
    assert missing_archives(above) == []
    assert [archive.creates for archive in missing_archives(tmp_path / "elsewhere")] == ["an4"]


def test_transcripts_without_audio_and_audio_without_transcripts_are_named(
    tiny: Path, tmp_path: Path, speak: Speak
) -> None:
    (tiny / "wav/an4_clstk/fash/an251-fash-b.sph").unlink()
    speak(tiny / "wav/an4test_clstk/fcaw/an999-fcaw-b.wav")
    with (tiny / "etc/an4_train.transcription").open("a") as file:
        file.write("<s> STOP </s> (an777-none-b)\n")
    prepared = prepare(CorpusOptions("an4", tiny, dev_fraction=0), tmp_path / "prepared")
    train, test = (prepared.summary["splits"][split]["rejected"] for split in ("train", "test"))
    assert train["reasons"] == {"missing audio": 2}
    assert [item["id"] for item in train["utterances"]] == ["an251-fash-b", "an777-none-b"]
    assert test["reasons"] == {"audio without transcript": 1}
    assert test["utterances"][0]["audio"].endswith("an4test_clstk/fcaw/an999-fcaw-b.wav")
    assert "train: 1 utterance, 0.00 h, 1 speaker, 2 words; 2 rejected (missing audio 2)" in prepared.describe()


def test_a_wrong_root_says_what_was_looked_for(tmp_path: Path, write: Write) -> None:
    with pytest.raises(UserError) as error:
        utterances(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "etc/an4_train.fileids" in str(error.value)
    assert LAYOUT in str(error.value)
    with pytest.raises(
        UserError,
        match=r"nowhere does not hold the corpus an4: it does not exist; .* fetch it with corpus.download=true",
    ):
        utterances(tmp_path / "nowhere")
    with pytest.raises(UserError, match="it is a file, not a folder"):
        utterances(write(tmp_path / "an4.tar.gz", ""))
    with pytest.raises(UserError, match=r"needs corpus\.root"):
        utterances(None)


def test_headerless_raw_audio_is_told_apart(tiny: Path, write: Write) -> None:
    for path in tiny.glob("wav/*/*/*"):
        path.unlink()
    write(tiny / "wav/an4_clstk/fash/an251-fash-b.raw", "\0\0")
    with pytest.raises(UserError, match=r"headerless \.raw files; take .* an4_sphere\.tar\.gz"):
        utterances(tiny)


def test_a_damaged_transcript_line_has_its_number(tiny: Path, write: Write) -> None:
    path = write(tiny / "etc/an4_test.transcription", "\nRUBOUT G M an406-fcaw-b\n")
    with pytest.raises(UserError, match=r"an4_test\.transcription, line 2: expected"):
        utterances(tiny)
    path.write_bytes(b"GO \xff (an406-fcaw-b)\n")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        utterances(tiny)


def test_the_real_an4(shared: Path, tmp_path: Path) -> None:
    prepared = prepare(CorpusOptions("an4", shared / "an4", dev_fraction=0), tmp_path)
    train, test = (prepared.summary["splits"][split] for split in ("train", "test"))
    assert (train["utterances"], train["speakers"], train["rejected"]["count"]) == (948, 74, 0)
    assert (test["utterances"], test["speakers"], test["words"], test["rejected"]["count"]) == (130, 10, 773, 0)
    assert train["hours"] * 60 == pytest.approx(42.4, abs=0.05)
    assert test["hours"] * 60 == pytest.approx(5.95, abs=0.005)
    assert prepared.dev is None
    with_dev = prepare(CorpusOptions("an4", shared / "an4", dev_fraction=0.1), tmp_path)
    dev = with_dev.summary["splits"]["dev"]
    assert with_dev.summary["dev_held_out_by"] == "speaker"
    assert 85 <= dev["utterances"] <= 105
    assert dev["speakers"] + with_dev.summary["splits"]["train"]["speakers"] == 74
    assert dev["utterances"] + with_dev.summary["splits"]["train"]["utterances"] == 948

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpora import ReadCuts, Speak, Write

from speechrnn.core.errors import UserError
from speechrnn.data.corpora import CorpusOptions
from speechrnn.data.corpora.common_voice import utterances
from speechrnn.data.corpora.prepare import prepare

HEADER = "client_id\tpath\tsentence\tup_votes\n"


@pytest.fixture
def tiny(tmp_path: Path, speak: Speak, write: Write) -> Path:
    folder = tmp_path / "cv-corpus-13.0-2023-03-09" / "cy"
    for index, split in enumerate(("train", "dev", "test")):
        name = f"common_voice_cy_{index}.mp3"
        # an unbalanced quotation mark is part of the sentence
        write(folder / f"{split}.tsv", HEADER + f'speaker{index}\t{name}\t"Bore da, ffrind.\t2\n')
        speak(folder / "clips" / name, rate=32000, format="MP3")
    return tmp_path


def test_the_official_layout(tiny: Path, tmp_path: Path, read_cuts: ReadCuts) -> None:
    splits = utterances(tiny)
    assert [(u.id, u.text, u.speaker) for u in splits["train"]] == [
        ("common_voice_cy_0", '"Bore da, ffrind.', "speaker0")
    ]
    assert list(splits) == ["train", "dev", "test"]
    assert utterances(tiny / "cv-corpus-13.0-2023-03-09") == splits
    assert utterances(tiny / "cv-corpus-13.0-2023-03-09" / "cy") == splits
    prepared = prepare(CorpusOptions("common_voice", tiny), tmp_path / "prepared")
    assert read_cuts(prepared.test)[0]["supervisions"][0]["text"] == "BORE DA FFRIND"


def test_of_several_languages_one_is_chosen(tiny: Path, write: Write) -> None:
    release = tiny / "cv-corpus-13.0-2023-03-09"
    write(release / "br" / "train.tsv", HEADER + "a\tb.mp3\tDemat\t1\n")
    with pytest.raises(UserError, match=r"several places \(.*br, .*cy\): choose one with corpus\.language"):
        utterances(tiny)
    assert [u.text for u in utterances(tiny, language="br")["train"]] == ["Demat"]
    with pytest.raises(
        UserError, match=r"does not hold the corpus common_voice: nothing for corpus\.language=ga is there"
    ):
        utterances(tiny, language="ga")


def test_bad_tables(tiny: Path, write: Write) -> None:
    table = tiny / "cv-corpus-13.0-2023-03-09" / "cy" / "dev.tsv"
    write(table, "client_id\tpath\n")
    with pytest.raises(UserError, match=r"dev\.tsv has no column sentence: its columns are client_id, path"):
        utterances(tiny)
    write(table, HEADER + "a\tb.mp3\tone\t1\na\n")
    with pytest.raises(UserError, match=r"dev\.tsv, line 3: no clip or no sentence"):
        utterances(tiny)


def test_it_cannot_be_downloaded_and_says_how_to_get_it(tmp_path: Path) -> None:
    options = CorpusOptions("common_voice", tmp_path, download=True)
    with pytest.raises(UserError, match=r"download the language from https://commonvoice\.mozilla\.org/datasets"):
        prepare(options, tmp_path / "prepared")

"""Utterances that are left out of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.corpora import RATE, write_corpus
from lhotse import CutSet

from speechrnn.audio.features import FeatureOptions
from speechrnn.core.errors import UserError
from speechrnn.data.corpora import corpus_options
from speechrnn.data.corpora.prepare import prepare
from speechrnn.nn.acoustic import AcousticModel, AcousticOptions
from speechrnn.text.pronunciations import Pronunciations
from speechrnn.text.tokenizers import CharTokenizer
from speechrnn.training.selection import check_pronunciations, select_encodable, select_long_enough

TOKENIZER = CharTokenizer.build(["ABCD"])


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> CutSet:
    root = write_corpus(tmp_path_factory.mktemp("corpus"), 40)
    corpus = prepare(corpus_options({"name": "folder", "root": str(root)}), root / "prepared")
    assert corpus.train
    return CutSet.from_file(corpus.train).to_eager()


def test_utterances_with_too_few_frames_are_listed_and_left_out(cuts: CutSet) -> None:
    torch.manual_seed(0)
    options = AcousticOptions(layers=1, units=8, channels=4, stride=2)
    model = AcousticModel(len(TOKENIZER), FeatureOptions(sampling_rate=RATE, bins=16), options)
    assert select_long_enough(cuts, model, TOKENIZER, fastest=1.05)[1] == []
    first = next(iter(cuts))
    crammed = first.truncate(duration=0.2)
    crammed.supervisions[0].text = "AABBCCDDAABBCCDD"
    kept, left_out = select_long_enough(
        CutSet.from_cuts([first, crammed.with_id("crammed")]), model, TOKENIZER, fastest=1.05
    )
    assert [cut.id for cut in kept] == [first.id]
    assert [(short.id, short.needed) for short in left_out] == [("crammed", 24)]
    assert left_out[0].frames < 24


def test_unknown_characters_are_reported_and_left_out(cuts: CutSet, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = CharTokenizer.build([], "ABC")
    kept = select_encodable(cuts, tokenizer)
    lost = [cut for cut in cuts if "D" in cut.supervisions[0].text]
    assert len(kept) == len(cuts) - len(lost) < len(cuts)
    count = sum(cut.supervisions[0].text.count("D") for cut in lost)
    assert f"'D' (U+0044 LATIN CAPITAL LETTER D) {count}×" in caplog.text
    assert lost[0].id in caplog.text


def test_missing_pronunciations_are_counted(cuts: CutSet, caplog: pytest.LogCaptureFixture) -> None:
    texts = [cut.supervisions[0].text for cut in cuts]
    words = {word.lower(): [("AH",)] for text in texts[1:] for word in text.split()}
    missing = sum(any(word.lower() not in words for word in text.split()) for text in texts)
    caplog.set_level("INFO", logger="speechrnn")
    check_pronunciations(Pronunciations(words), cuts, Path("words.dict"))
    assert (f"{missing} of {len(texts)} utterances" in caplog.text) == (missing > 0)
    with pytest.raises(UserError, match=r"words\.dict"):
        check_pronunciations(Pronunciations({"zebra": [("Z",)]}), cuts, Path("words.dict"))

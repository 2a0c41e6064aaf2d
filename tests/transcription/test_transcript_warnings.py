"""Warnings: one sentence for a job, whatever the number of its files."""

from __future__ import annotations

from speechrnn.transcription.transcript_warnings import CHANNELS_CANCEL, channels_cancel, summarise_warnings


def test_the_sentence_counts_files_by_kind_and_says_where_to_look() -> None:
    warned = [[CHANNELS_CANCEL], [CHANNELS_CANCEL, CHANNELS_CANCEL], ["later_version"]]
    sentence = summarise_warnings(warned, total=1200, where="see out/hypotheses.jsonl")
    assert sentence == (
        "Warnings about 3 of 1,200 files: channels that cancel each other out (2), later_version (1); "
        "see out/hypotheses.jsonl."
    )


def test_the_message_names_the_channel() -> None:
    assert "channel 1 " in channels_cancel(1).message

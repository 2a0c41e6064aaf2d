"""Captions: nothing lost, nothing too long, and broken where a reader would break them."""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.decoding.hypothesis import Word
from speechrnn.transcription.transcript import Segment, Transcript
from speechrnn.transcription.writers.subtitles import Caption, SubtitleOptions, captions

USUAL = SubtitleOptions(line_length=10, lines=2, longest=7.0, shortest=0.0, pause=1.0)


def transcript(*segments: list[tuple[str, float, float]], duration: float | None = None) -> Transcript:
    """Of segments that are (word, start, end) each."""
    made = []
    for words in segments:
        spoken = tuple(Word(text, start, end, confidence=0.5) for text, start, end in words)
        made.append(
            Segment(words[0][1], words[-1][2], " ".join(word.word for word in spoken), confidence=0.5, words=spoken)
        )
    seconds = duration or (made[-1].end if made else 1.0)
    return Transcript(
        "a.wav",
        seconds,
        " ".join(caption.text for caption in made),
        confidence=0.5,
        segments=tuple(made),
        alternatives=(),
        model="model",
        decoding="greedy",
    )


def spoken(text: str, start: float = 0.0, each: float = 0.2) -> list[tuple[str, float, float]]:
    """Its words one after the other, `each` seconds long."""
    return [
        (word, round(start + each * number, 3), round(start + each * (number + 1), 3))
        for number, word in enumerate(text.split())
    ]


def seen(text: str) -> str:
    """Return the visible characters in their order: no blanks, no control characters."""
    return "".join(
        caption for caption in text if not caption.isspace() and unicodedata.category(caption) not in ("Cc", "Cs")
    )


def test_lines_are_as_few_as_possible_and_alike() -> None:
    assert list(captions(transcript(spoken("aaa bbb ccc ddd")), USUAL)) == [Caption(0, 800, ("aaa bbb", "ccc ddd"))]
    assert list(captions(transcript(spoken("aaa bbb")), USUAL)) == [Caption(0, 400, ("aaa bbb",))]
    three = replace(USUAL, lines=3)
    (only,) = captions(transcript(spoken("aaaa bbbb cccc dddd eeee")), three)
    assert only.lines == ("aaaa", "bbbb cccc", "dddd eeee")


def test_captions_are_alike_too() -> None:
    shown = list(captions(transcript(spoken("aaaa bbbb cccc dddd eeee ffff")), USUAL))
    assert [caption.lines for caption in shown] == [
        ("aaaa", "bbbb cccc"),
        ("dddd", "eeee ffff"),
    ]  # not four words and two


def test_a_caption_ends_with_its_segment_and_at_a_pause() -> None:
    first, second, third = spoken("a b", 0.0), spoken("c", 0.5), spoken("d", 1.7)
    shown = list(captions(transcript(first, second + third), USUAL))
    assert shown == [Caption(0, 400, ("a b",)), Caption(500, 700, ("c",)), Caption(1700, 1900, ("d",))]
    assert len(list(captions(transcript(first + second + third), replace(USUAL, pause=2.0)))) == 1


@pytest.mark.parametrize("text", ["aaaa bbbb. cccc dddd eeee", "aaaa bbbb | cccc dddd eeee"])
def test_what_does_not_fit_is_cut_after_a_sentence_or_a_short_pause(text: str) -> None:
    before, bar, after = text.partition("|")
    words = spoken(before) + spoken(after, 1.0) if bar else spoken(text)
    shown = list(captions(transcript(words), USUAL))
    assert [" ".join(caption.lines).rstrip(".").split()[-1].rstrip(".") for caption in shown] == ["bbbb", "eeee"]


def test_an_overlong_word_stands_alone_and_whole() -> None:
    long = "x" * 25
    shown = list(captions(transcript(spoken(f"a {long} b c")), USUAL))
    lines = [line for caption in shown for line in caption.lines]
    assert lines == ["a", long, "b c"]


def test_no_caption_is_shown_longer_than_the_longest() -> None:
    options = replace(USUAL, longest=1.0)
    assert [caption.lines for caption in captions(transcript(spoken("a b c d", each=0.5)), options)] == [
        ("a b",),
        ("c d",),
    ]
    assert list(captions(transcript([("hmmm", 0.0, 9.0)]), options)) == [Caption(0, 1000, ("hmmm",))]


def test_a_short_caption_stays_where_there_is_room() -> None:
    options = replace(USUAL, shortest=1.0)
    said = transcript([("a", 0.0, 0.1)], [("b", 0.6, 0.7)], [("c", 3.0, 3.1)], duration=3.5)
    assert [(caption.start, caption.end) for caption in captions(said, options)] == [
        (0, 600),
        (600, 1600),
        (3000, 3500),
    ]


def test_words_that_are_not_to_be_seen_make_no_caption() -> None:
    assert list(captions(transcript([("\0", 0.0, 0.5), ("\u2028", 0.5, 1.0), ("", 1.0, 1.5)]), USUAL)) == []


def test_times_that_rounding_lets_vanish_or_overlap_are_moved() -> None:
    said = transcript([("a", 0.1, 0.1001)], [("b", 0.1002, 0.1003)], [("c", 0.05, 0.09)])
    assert [(caption.start, caption.end) for caption in captions(said, USUAL)] == [(100, 101), (101, 102), (102, 103)]


def test_options_that_contradict_each_other_are_one_sentence() -> None:
    with pytest.raises(UserError, match=r"^subtitles: shortest=3 must not be above longest=2 \(seconds\)\.$"):
        build(SubtitleOptions, {"shortest": 3, "longest": 2}, "subtitles")
    with pytest.raises(UserError, match=r"^subtitles\.lines=0 is wrong: it must be at least 1"):
        build(SubtitleOptions, {"lines": 0}, "subtitles")
    endless = build(SubtitleOptions, {"longest": 1e9, "pause": 1e9}, "subtitles")
    assert [caption.end for caption in captions(transcript(spoken("a b", 0.0, 60.0)), endless)] == [120_000]


texts = st.one_of(st.text(max_size=12), st.sampled_from(["-->", "e\u0301", "שלום", "👩‍👩‍👧", "\ud800", "a\nb", "word"]))
milliseconds = st.integers(0, 1500).map(lambda value: value / 1000)
recordings = st.lists(
    st.lists(st.tuples(texts, milliseconds, milliseconds), min_size=1, max_size=25), min_size=0, max_size=4
)


@settings(max_examples=100)
@given(
    recordings,
    st.integers(1, 50),
    st.integers(1, 4),
    st.floats(0.1, 8.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0),
)
def test_captions_keep_every_word_and_every_limit(
    segments: list[list[tuple[str, float, float]]], length: int, lines: int, longest: float, short: float, pause: float
) -> None:
    reached, timed = 0.0, []
    for segment in segments:
        words = []
        for text, gap, lasts in segment:
            start = reached + gap
            reached = start + lasts
            words.append((text, start, reached))
        timed.append(words)
    said = transcript(*timed, duration=reached + 0.3)
    options = SubtitleOptions(length, lines, longest, shortest=short * longest, pause=pause)
    shown = list(captions(said, options))

    assert seen("".join(line for caption in shown for line in caption.lines)) == seen(
        "".join(word.word.replace("\ud800", "\ufffd") for word in said.words)
    )
    allowed = {seen(word.word.replace("\ud800", "\ufffd")) for word in said.words}
    for caption in shown:
        assert 0 <= caption.start < caption.end
        assert caption.end - caption.start <= 1000 * longest + 1e-5
        assert 1 <= len(caption.lines) <= lines
        for line in caption.lines:
            assert line.strip() and len(line.splitlines()) == 1
            assert len(line) <= length or seen(line) in allowed
    assert all(caption.end <= following.start for caption, following in itertools.pairwise(shown))


def test_a_caption_never_holds_words_of_two_segments() -> None:
    shown = list(captions(transcript(spoken("a b"), spoken("c d", 0.4), spoken("e", 0.8)), USUAL))
    assert [caption.lines for caption in shown] == [("a b",), ("c d",), ("e",)]


def test_limits_that_allow_anything_do_not_make_it_slow() -> None:
    words = spoken("a " * 10_000, each=0.01)  # a quadratic layout would look at 50 million stretches
    huge = SubtitleOptions(line_length=10**6, lines=10**6, longest=1e9, shortest=0.0, pause=1e9)
    shown = list(captions(transcript(words), huge))
    assert sum(len(line.split()) for caption in shown for line in caption.lines) == 10_000

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from speechrnn.data.corpora.holdout import FEWEST_WORDS, hold_out

SPEAKERS = st.lists(st.sampled_from(["anna", "ben", "cleo", "dan", "eve", None]), min_size=1, max_size=60)


@given(SPEAKERS, st.floats(0.01, 0.9))
def test_speakers_are_never_in_both_parts_and_neither_part_is_empty(
    speakers: list[str | None], fraction: float
) -> None:
    chosen = hold_out([f"u{i}" for i in range(len(speakers))], speakers, fraction)
    inside = {speakers[i] for i in chosen.indices} - {None}
    outside = {speaker for i, speaker in enumerate(speakers) if i not in chosen.indices} - {None}
    if chosen.by == "speaker":
        assert not inside & outside
    if len(speakers) > 1:
        assert 0 < len(chosen.indices) < len(speakers)


@given(SPEAKERS, st.floats(0, 0.9), st.randoms(use_true_random=False))
def test_the_order_of_the_utterances_does_not_matter(
    speakers: list[str | None], fraction: float, random: Random
) -> None:
    items = [(f"u{i}", speaker) for i, speaker in enumerate(speakers)]
    shuffled = items.copy()
    random.shuffle(shuffled)

    def names(listed: list[tuple[str, str | None]]) -> set[str]:
        ids, voices = [name for name, _ in listed], [voice for _, voice in listed]
        return {ids[i] for i in hold_out(ids, voices, fraction).indices}

    assert names(items) == names(shuffled)


def test_the_size_is_close_to_the_wanted_fraction() -> None:
    speakers: list[str | None] = [f"speaker{i % 50}" for i in range(1000)]
    chosen = hold_out([str(i) for i in range(1000)], speakers, 0.1)
    assert len(chosen.indices) == 100
    assert chosen.by == "speaker"


def test_a_zero_fraction_holds_out_nothing() -> None:
    assert not hold_out(["a", "b"], ["x", "y"], 0).indices


def test_one_speaker_is_split_by_utterance() -> None:
    chosen = hold_out([str(i) for i in range(20)], ["only"] * 20, 0.1)
    assert (len(chosen.indices), chosen.by) == (2, "utterance")


def test_the_smallest_speaker_where_all_are_too_big() -> None:
    speakers: list[str | None] = [*["big"] * 6, *["small"] * 4]
    assert hold_out([str(i) for i in range(10)], speakers, 0.1).indices == {6, 7, 8, 9}


@given(st.lists(st.integers(0, 40), min_size=60, max_size=120), st.floats(0.05, 0.5))
def test_equal_texts_without_speakers_are_in_the_same_part(prompts: list[int], fraction: float) -> None:
    texts = [f"prompt number {prompt}" for prompt in [*range(40), *prompts]]
    chosen = hold_out([f"u{i}" for i in range(len(texts))], [None] * len(texts), fraction, texts=texts)
    dev = {texts[i] for i in chosen.indices}
    assert dev
    assert chosen.by == "text"
    assert not dev & {text for i, text in enumerate(texts) if i not in chosen.indices}


def test_a_closed_set_of_commands_is_not_held_out_by_text() -> None:
    texts = [f"word{i % 35}" for i in range(350)]
    chosen = hold_out([str(i) for i in range(350)], [None] * 350, 0.1, texts=texts)
    assert chosen.by == "utterance"
    assert {text for i, text in enumerate(texts) if i not in chosen.indices} == set(texts)


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 30)), min_size=30, max_size=120), st.floats(0.05, 0.5))
def test_segments_of_a_recording_without_a_speaker_are_in_the_same_part(
    said: list[tuple[int, int]], fraction: float
) -> None:
    said = [*((number, 30) for number in range(12)), *said]
    texts = [f"sentence number {text}" for _, text in said]
    recordings = [f"{recording}.wav" for recording, _ in said]
    chosen = hold_out(
        [f"u{i}" for i in range(len(said))], [None] * len(said), fraction, texts=texts, recordings=recordings
    )
    dev = {recordings[i] for i in chosen.indices}
    assert dev
    assert chosen.by == "recording"
    assert not dev & {name for i, name in enumerate(recordings) if i not in chosen.indices}


def test_segments_of_a_single_recording_are_held_out_by_text() -> None:
    texts = [f"sentence number {i % 25}" for i in range(50)]
    chosen = hold_out([f"u{i}" for i in range(50)], [None] * 50, 0.2, texts=texts, recordings=["talk.wav"] * 50)
    assert (len(chosen.indices), chosen.by) == (10, "text")


def test_known_speakers_are_held_out_whatever_the_recordings() -> None:
    speakers: list[str | None] = [f"speaker{i % 10}" for i in range(100)]
    recordings = [f"{i // 10}.wav" for i in range(100)]
    ids = [f"u{i}" for i in range(100)]
    assert hold_out(ids, speakers, 0.1, recordings=recordings) == hold_out(ids, speakers, 0.1)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40), st.floats(0.05, 0.5))
def test_copies_of_a_recording_and_equal_texts_are_in_the_same_part(
    items: list[tuple[int, int]], fraction: float
) -> None:
    ids = [f"u{number}" for number in range(len(items))]
    words = [f"{chr(97 + number)}{letter}" for number in range(10) for letter in "xyz"]
    texts = [" ".join(words[3 * text : 3 * text + 3]) for text, _ in items]
    contents = [content for _, content in items]
    chosen = hold_out(ids, [None] * len(ids), fraction, texts=texts, contents=contents)
    held_out = [index in chosen.indices for index in range(len(ids))]
    assert any(held_out) and not all(held_out)
    if chosen.by == "text":  # not where all are in one group, which is divided since a dev part is needed
        assert len({*zip(contents, held_out, strict=True)}) == len({*contents})
        if len({word for text in texts for word in text.split()}) >= FEWEST_WORDS:
            assert len({*zip(texts, held_out, strict=True)}) == len({*texts})


def test_copies_of_a_spoken_digit_are_in_the_same_part() -> None:
    """Digits are not grouped by text, but a copy that was trained on measures nothing."""
    ids = [f"u{number}" for number in range(60)]
    contents = [number // 3 for number in range(60)]
    texts = [str(number % 10) for number in contents]
    chosen = hold_out(ids, [None] * 60, 0.2, texts=texts, contents=contents)
    assert len(chosen.indices) == 12
    assert {contents[index] for index in chosen.indices}.isdisjoint(
        contents[index] for index in range(60) if index not in chosen.indices
    )

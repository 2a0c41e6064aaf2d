"""Tests of the inputs of a job, in all forms in which people give them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechrnn.audio import save_audio
from speechrnn.core.errors import UserError
from speechrnn.jobs.inputs import Input, find_inputs


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for name in ("wav/f/one.wav", "wav/m/one.flac", "wav/two.wav", "else/three.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        save_audio(tmp_path / name, np.zeros(1600, np.float32), 16000)
    return tmp_path


def ids(*inputs: object) -> list[str]:
    return [recording.id for recording in find_inputs([str(name) for name in inputs])]


def test_ids_are_paths_from_the_folder_the_wildcard_or_the_file(recordings: Path) -> None:
    def below(*inputs: str) -> list[str]:
        paths = [recordings / name for name in inputs]
        return ids(*paths)

    assert below("wav") == ["f/one", "m/one", "two"]
    assert below("wav/") == below("wav/../wav") == below("wav", "wav/f/one.wav") == below("wav", "wav/*/one.*")
    assert below("wav/f") == below("wav/f/one.wav") == ["one"]
    assert below("wav/*/*.*") == ["f/one", "m/one"]
    assert below("*/**/*.wav") == ["else/three", "wav/f/one", "wav/two"]
    assert below("wav", "else/three.wav") == ["f/one", "m/one", "two", "three"]
    assert below("else/three.wav", "wav") == ["three", "f/one", "m/one", "two"]


def test_ids_from_the_working_folder(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recordings / "wav")
    assert find_inputs("*.wav") == find_inputs("two.wav") == [Input("two", "two.wav")]
    assert find_inputs(".") == [
        Input("f/one", "f/one.wav"),
        Input("m/one", "m/one.flac"),
        Input("two", "two.wav"),
    ]


def test_two_recordings_with_one_id_are_an_error_that_names_both(recordings: Path) -> None:
    save_audio(recordings / "else" / "one.wav", np.zeros(1600, np.float32), 16000)
    with pytest.raises(UserError, match=r"f/one\.wav and .*else/one\.wav would both be written as 'one'"):
        ids(recordings / "wav" / "f", recordings / "else")


def test_recordings_that_only_the_suffix_tells_apart_keep_it(recordings: Path) -> None:
    folder = recordings / "wav"
    assert ids(folder / "f", folder / "m") == ["one.wav", "one.flac"]
    save_audio(folder / "two.flac", np.zeros(1600, np.float32), 16000)
    assert ids(folder) == ["f/one", "m/one", "two.flac", "two.wav"]
    assert ids(folder / "two.wav") == ["two"]
    save_audio(folder / "two.flac.wav", np.zeros(1600, np.float32), 16000)  # whose id another one has taken
    assert ids(folder) == ["f/one", "m/one", "two.flac", "two.flac.wav", "two.wav"]
    (recordings / "a.lst").write_text(f"{folder}/two.wav\n{folder}/two.flac\nhttps://a.org/two.mp3\n")
    assert len(set(ids(recordings / "a.lst"))) == 3


BAD_LINES = {
    "/": "is a folder",
    "~nosuchuser/a.wav": "names no recording: there is no user ~nosuchuser",
    "a\0b.wav": "holds a NUL character",
    "zip://::a.zip": "is a folder",
    "http://[bad/a.wav": "names no recording",
}


@pytest.mark.parametrize("form", ["@{}/a.txt", "{}/a.lst", "-"])
@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_of_a_list_is_the_failure_of_that_line(
    recordings: Path, line: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings / "wav")
    lines = f"two.wav\n{line}\nf/one.wav\n"
    for name in ("a.txt", "a.lst"):
        (recordings / name).write_text(lines)
    if form == "-" and "\0" in line:
        return  # standard input with a NUL is a recording
    first, bad, last = find_inputs(form.format(recordings), recordings, io.BytesIO(lines.encode()))
    assert (first.id, last.id) == ("two", "f/one")  # as without the bad line
    assert BAD_LINES[line] in str(bad.error) and str(bad.error).endswith(".") and "\0" not in str(bad.error)


@pytest.mark.parametrize(
    "name", ["a" * 300 + ".wav", "a\0b.wav", "~nosuchuser/a.wav", "@" + "a" * 300, "/" + "a/" * 3000]
)
def test_an_impossible_name_is_one_sentence(name: str) -> None:
    with pytest.raises(UserError) as caught:
        find_inputs(name)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_file_state_tells_a_changed_file(recordings: Path) -> None:
    (recording,) = find_inputs(recordings / "wav" / "two.wav")
    before = recording.file_state()
    assert before == recording.file_state() and before is not None and before[0] == 44 + 2 * 1600
    save_audio(recording.source, np.zeros(3200, np.float32), 16000)
    assert recording.file_state() != before
    Path(recording.source).unlink()
    assert recording.file_state() is None


@pytest.mark.parametrize("form", ["@{}/names.txt", "{}/names.lst", "{}/names.LIST", "{}/names.m3u"])
def test_a_list_names_recordings_from_the_folder_that_they_share(
    recordings: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings / "wav")
    name = form.format(recordings).lstrip("@")
    lines = ["\ufeff#EXTM3U", "m/one.flac", "", f"  {recordings}/else/three.wav  ", "gone/four.wav", "m/one.flac"]
    Path(name).write_text("\r\n".join(lines))
    assert find_inputs(form.format(recordings)) == [
        Input("wav/m/one", "m/one.flac"),
        Input("else/three", f"{recordings}/else/three.wav"),
        Input("wav/gone/four", "gone/four.wav"),
    ]
    Path(name).write_text("f/one.wav\n")
    assert find_inputs(form.format(recordings)) == [Input("one", "f/one.wav")]


def test_a_list_may_name_addresses(tmp_path: Path) -> None:
    (tmp_path / "a.lst").write_text("https://one.org/talks/a%20b.mp3?key=1/2\nhttps://one.org/more/c.wav#t=3\n")
    assert ids(tmp_path / "a.lst") == ["talks/a b", "more/c"]
    (tmp_path / "b.lst").write_text("s3://one/a.wav\ns3://two/a.wav\n")
    assert ids(tmp_path / "b.lst") == ["one/a", "two/a"]


def test_an_address_on_the_web_is_one_recording() -> None:
    (recording,) = find_inputs("https://one.org/talks/a%20b.mp3?key=1/2")
    assert (
        recording == Input("a b", "https://one.org/talks/a%20b.mp3?key=1/2")
        and recording.remote
        and recording.file_state() is None
    )


def test_standard_input_brings_names(recordings: Path) -> None:
    text = f"{recordings}/wav/f/one.wav\n{recordings}/wav/two.wav\n".encode()
    assert [recording.id for recording in find_inputs("-", stdin=io.BytesIO(text))] == ["f/one", "two"]
    for shift in range(4):  # so that a character lies across the border of what is looked at first
        many = "x" * shift + "".join(f"\n{recordings}/wav/f/one.wav\n/nowhere/üüüü/{n}.wav" for n in range(500))
        assert len(find_inputs("-", stdin=io.BytesIO(many.encode()))) == 501 + (shift > 0)


def test_standard_input_brings_a_recording(recordings: Path) -> None:
    sphere = recordings / "four.sph"
    soundfile.write(sphere, np.zeros(16000, np.int16), 16000, format="NIST")
    for path in (recordings / "wav" / "two.wav", recordings / "wav" / "m" / "one.flac", sphere):
        (recording,) = find_inputs("-", recordings, io.BytesIO(path.read_bytes()))
        assert (recording.id, recording.source, recording.remote) == ("stdin", "-", False)
        assert recording.place is not None and Path(recording.place).read_bytes() == path.read_bytes()


def test_a_recording_that_begins_like_a_text_is_a_recording(tmp_path: Path) -> None:
    content = b"ID3" + b"x" * 5000 + b"\xff\xfb\x90"
    (recording,) = find_inputs("-", tmp_path, io.BytesIO(content))
    assert recording.place is not None and Path(recording.place).read_bytes() == content


def test_a_line_that_is_no_utf8_is_a_name_as_others_are(tmp_path: Path) -> None:
    """Names of files on Linux are bytes; the line is not the fault of the others, whatever it is."""
    (tmp_path / "good.wav").touch()
    name = os.fsdecode(b"caf\xe9.wav")
    list_ = tmp_path / "talks.lst"
    list_.write_bytes(os.fsencode(f"{tmp_path}/good.wav\n{tmp_path}/{name}\n"))
    assert [item.source for item in find_inputs([str(list_)])] == [f"{tmp_path}/good.wav", f"{tmp_path}/{name}"]


@pytest.mark.parametrize(
    ("inputs", "stdin", "sentence"),
    [
        (["{}/nothing.wav"], b"", "nothing.wav does not exist"),
        (["{}/*.mp3"], b"", "Nothing matches"),
        (["{}/silent"], b"", "silent holds no audio"),
        (["@{}/no.txt"], b"", "There is no list .*no.txt; a list holds"),
        (["{}/no.lst"], b"", "There is no list"),
        (["{}/silent/a.txt"], b"", "a.txt is a text; if it lists recordings, give it as @.*silent/a.txt"),
        (["{}/empty.lst"], b"", "empty.lst names nothing"),
        (["{}/utf16.lst"], b"", "utf16.lst seems to be a text in UTF-16"),
        (["{}/wave.lst"], b"", "wave.lst seems to be a recording"),
        (["{}/latin.lst"], b"", r"Nothing that .*latin.lst lists exists, such as 'caf\\udce9.wav'"),
        (["{}/gone.lst"], b"", "Nothing that .*gone.lst lists exists, such as a.wav"),
        (["-"], b"", "standard input is empty"),
        (["-"], b"no.wav\n", "Nothing that standard input lists exists, such as no.wav"),
        (["nosuch://place/a.wav"], b"", "nosuch://place/a.wav cannot be read: .*nosuch"),
        ([], b"", "names nothing"),
        ([""], b"", "inputs has an empty name"),  # not the working folder
        ([" ", "{}"], b"", "inputs has an empty name"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, inputs: list[str], stdin: bytes, sentence: str) -> None:
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "a.txt").touch()
    (tmp_path / "empty.lst").write_text("# nothing yet\n\n")
    (tmp_path / "latin.lst").write_bytes(b"caf\xe9.wav\n")
    (tmp_path / "utf16.lst").write_text("a.wav\nb.wav\n", encoding="utf-16")
    (tmp_path / "wave.lst").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    (tmp_path / "gone.lst").write_text("a.wav\nb.wav\n")
    with pytest.raises(UserError, match=sentence) as error:
        find_inputs([name.format(tmp_path) for name in inputs], tmp_path, io.BytesIO(stdin))
    assert str(error.value).count("\n") == 0 and str(error.value).endswith(".")

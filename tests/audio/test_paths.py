"""The search for audio files."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechrnn.audio import load_audio
from speechrnn.audio.paths import AUDIO_SUFFIXES, find_audio
from speechrnn.core.errors import UserError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.wav", "a.FLAC", "notes.txt", "._b.wav", ".git/c.wav", "deep/er/c.m4a", "deep/d[1].ogg", "odd.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_find_searches_folders_files_and_globs(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [tree / name for name in ("a.FLAC", "b.wav", "deep/d[1].ogg", "deep/er/c.m4a")]
    assert find_audio([tree]) == find_audio(tree) == find_audio([f"{tree}/**/*", tree, tree / "b.wav"]) == everything
    assert find_audio(f"{tree}/*") == everything
    assert find_audio(f"{tree}/*.*") == everything[:2]
    assert find_audio([tree / "odd.bin", f"{tree}/deep/d[1].ogg"]) == [tree / "deep/d[1].ogg", tree / "odd.bin"]
    monkeypatch.chdir(tree)
    assert find_audio(["b.wav", "./b.wav", "deep/../b.wav", tree / "b.wav"]) == [Path("b.wav")]
    monkeypatch.setenv("HOME", str(tree))
    assert find_audio("~/b.wav") == [tree / "b.wav"]


def test_find_follows_links_but_not_in_circles(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "e.wav").touch()
    (tree / "deep" / "linked").symlink_to(elsewhere)
    (tree / "deep" / "up").symlink_to(tree)
    assert [path.name for path in find_audio(tree)] == ["a.FLAC", "b.wav", "d[1].ogg", "c.m4a", "e.wav"]


def test_find_says_what_holds_no_audio(tree: Path) -> None:
    (tree / "none").mkdir()
    for name, sentence in [
        ("gone.wav", "does not exist"),
        ("none", "holds no audio"),
        ("*.doc", "Nothing matches"),
        ("*.txt", "holds no audio"),
    ]:
        with pytest.raises(UserError, match=sentence) as caught:
            find_audio([tree, f"{tree}/{name}"])
        assert f"{tree}/{name}" in str(caught.value)


def test_a_misspelt_file_is_named_with_the_nearest_one_of_its_folder(tree: Path) -> None:
    with pytest.raises(UserError, match=f"did you mean {tree}/a.FLAC"):
        find_audio(tree / "aa.FLAC")
    for name in ("quite_different.wav", "no_folder/a.FLAC"):
        with pytest.raises(UserError) as caught:
            find_audio(tree / name)
        assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wv", "wavpack"),
        ("a.tta", "tta"),
        ("a.vob", "mp2"),
        ("a.mpga", "mp2"),
        ("a.m2ts", "ac3"),
        ("a.3g2", "aac"),
        ("a.voc", ""),
    ],
)
def test_recordings_of_seldom_formats_are_found_in_a_folder_and_read(tmp_path: Path, name: str, codec: str) -> None:
    rate = 48000
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)).astype(np.float32)
    if codec:
        formats = {"a.mpga": "mp2", "a.m2ts": "mpegts"}
        with av.open(str(tmp_path / name), "w", format=formats.get(name)) as container:
            stream = container.add_stream(codec, rate=rate, layout="mono")
            assert isinstance(stream, av.AudioStream)
            size = stream.codec_context.frame_size or 1024
            resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
            for begin in range(0, len(tone) - size, size):
                frame = av.AudioFrame.from_ndarray(tone[None, begin : begin + size], format="fltp", layout="mono")
                frame.sample_rate, frame.pts = rate, begin
                for part in resampler.resample(frame):
                    container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    else:
        soundfile.write(tmp_path / name, tone, rate, format="VOC", subtype="PCM_16")
    assert find_audio(tmp_path) == [tmp_path / name]
    samples, rate = load_audio(tmp_path / name)
    assert len(samples) / rate == pytest.approx(2.0, abs=0.1) and 0.2 < float(np.sqrt((samples**2).mean())) < 0.22


def test_the_guide_lists_all_suffixes() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "transcribe.md").read_text(encoding="utf-8")
    [listed] = [part for part in guide.split("\n\n") if part.startswith("Recordings in folders and globs are known by")]
    assert set(re.findall(r"`(\.\w+)`", listed)) == AUDIO_SUFFIXES

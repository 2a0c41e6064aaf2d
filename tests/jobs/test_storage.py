"""Addresses: a small server of files on the loopback, and one that speaks S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import servers

from speechrnn.audio import AudioError, save_audio
from speechrnn.core.errors import UserError
from speechrnn.core.failures import MachineError
from speechrnn.jobs import storage
from speechrnn.jobs.inputs import find_inputs
from speechrnn.jobs.storage import RemoteOptions, fetch, fetch_groups, is_remote, list_remote, local_copy

pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings") / "here"
    generator = np.random.default_rng(0)
    for name in ("a/one.wav", "a/b/two.flac", "three.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_audio(folder / name, generator.uniform(-0.5, 0.5, 8000).astype(np.float32), 16000)
    (folder / "a" / "notes.txt").write_text("no audio")
    (folder / "half.wav").write_bytes((folder / "three.wav").read_bytes() * 20)
    return folder


@pytest.fixture(scope="module")
def web(recordings: Path) -> Iterator[str]:
    with servers.website(recordings) as address:
        yield address


@pytest.fixture(scope="module")
def bucket(recordings: Path) -> Iterator[str]:
    with servers.bucket(recordings) as address:
        yield address


def test_what_an_address_is() -> None:
    assert is_remote("s3://a/b.wav") and is_remote("https://a/b.wav") and is_remote("zip://b.wav::s3://a/all.zip")
    assert not is_remote("a/b.wav") and not is_remote("C:\\a.wav") and not is_remote("://a") and not is_remote("-")


def test_a_path_is_its_own_copy(tmp_path: Path) -> None:
    with local_copy(tmp_path / "a.wav") as path:
        assert path == tmp_path / "a.wav"


@pytest.mark.integration
def test_a_recording_on_the_web_is_fetched_and_removed(web: str, recordings: Path) -> None:
    with local_copy(f"{web}/a/one.wav?from=0") as path:
        assert path.read_bytes() == (recordings / "a" / "one.wav").read_bytes()
    assert not path.exists()


@pytest.mark.integration
def test_what_breaks_off_or_is_not_there_is_one_sentence(web: str) -> None:
    for name, sentence in [
        ("half.wav", r"half\.wav (could not be fetched|broke off) after [\d,]+ "),
        ("gone.wav", r"gone\.wav could not be fetched: it does not exist; check the address\.$"),
    ]:
        with pytest.raises(AudioError, match=sentence) as error, local_copy(f"{web}/{name}"):
            pass
        assert "\n" not in str(error.value)
    with (
        pytest.raises(AudioError, match=r"a\.wav could not be fetched: Cannot connect"),
        local_copy("http://127.0.0.1:9/a.wav"),
    ):
        pass


@pytest.mark.integration
def test_recordings_come_in_groups_that_are_removed(web: str, recordings: Path, tmp_path: Path) -> None:
    names = ["a/one.wav", "half.wav", "three.wav", "gone.wav", *["three.wav"] * 50]
    folder = tmp_path / "copies"
    folder.mkdir()
    seen, most = [], 0
    for group in fetch_groups(((n, f"{web}/{name}") for n, name in enumerate(names)), folder, group=5):
        assert len(group) <= 5
        for number, result in group:
            seen.append(number)
            if isinstance(result, Path):
                assert result.read_bytes() == (recordings / names[number]).read_bytes()
            else:
                assert names[number] in str(result) and number in (1, 3)
        most = max(most, len(list(folder.iterdir())))
    assert seen == list(range(len(names))) and list(folder.iterdir()) == []
    assert 1 < most <= 5 + 16  # a group, and what is fetch_groups meanwhile


@pytest.mark.integration
def test_a_group_has_so_many_bytes(web: str, tmp_path: Path) -> None:
    groups = fetch_groups(((n, f"{web}/three.wav") for n in range(5)), tmp_path, group_bytes=17_000)  # each has 16,044
    assert [len(group) for group in groups] == [2, 2, 1]


@pytest.mark.integration
def test_folders_globs_and_files_of_a_bucket(bucket: str, recordings: Path) -> None:
    assert list_remote(f"{bucket}/here/a", {".wav", ".flac"}) == (
        "s3://talks/here/a",
        ["s3://talks/here/a/b/two.flac", "s3://talks/here/a/one.wav"],
    )
    for address, ids in {
        "/here": ["a/b/two", "a/one", "half", "three"],
        "/here/": ["a/b/two", "a/one", "half", "three"],
        "": ["here/a/b/two", "here/a/one", "here/half", "here/three"],
        "/here/a/*": ["one"],
        "/h*/**/*.wav": ["here/a/one", "here/half", "here/three"],
        "/here/a/one.wav": ["one"],
    }.items():
        assert [recording.id for recording in find_inputs(f"{bucket}{address}")] == ids, address
    (recording,) = find_inputs(f"{bucket}/here/a/one.wav")
    assert recording.remote and recording.source == f"{bucket}/here/a/one.wav"
    with local_copy(recording.source) as path:
        assert path.read_bytes() == (recordings / "a" / "one.wav").read_bytes()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("s3://talks/nothing", "There is nothing at s3://talks/nothing"),
        ("s3://talks/here/*.mp3", "There is nothing at"),
        ("s3://talks/here/a/*.txt", "holds no audio"),
        ("s3://nowhere/here", "nowhere/here"),
    ],
)
def test_what_a_bucket_does_not_hold_is_one_sentence(bucket: str, address: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        find_inputs(address)


class Broken:
    """A storage whose `get_file` does what a test wants."""

    def __init__(self, get_file: Callable[[str], None]) -> None:
        self.act = get_file

    def size(self, path: str) -> int | None:
        return None

    def get_file(self, path: str, target: str) -> None:
        self.act(target)


def raising(error: Exception) -> Callable[[str], None]:
    """Write some bytes, then raise."""

    def act(target: str) -> None:
        Path(target).write_bytes(b"some")
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (raising(ValueError("odd")), "after 4 bytes: odd"),
        (lambda target: None, "it does not exist"),
        (lambda target: Path(target).mkdir(), "is a folder"),
        (raising(RecursionError()), "RecursionError"),
    ],
)
def test_whatever_a_storage_does_is_the_failure_of_that_address(
    act: Callable[[str], None], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def good(target: str) -> None:
        Path(target).write_bytes(b"whole")

    monkeypatch.setattr(storage, "_open", lambda address, remote: (Broken(good if "good" in address else act), address))
    addresses = [("one", "s3://good/1"), ("two", "s3://bad/2"), ("three", "s3://good/3")]
    ((recording, two, three),) = fetch_groups(addresses, tmp_path)
    assert isinstance(recording[1], Path) and isinstance(three[1], Path)
    assert isinstance(two[1], AudioError) and words in str(two[1])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_the_fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Broken(raising(OSError(28, "No space left on device")))
    monkeypatch.setattr(storage, "_open", lambda address, remote: (full, address))
    with pytest.raises(MachineError, match="No space left"):
        list(fetch_groups([("one", "s3://a/1")], tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("allow", "allowed", "refused"),
    [
        (None, ["https://a.org/b.wav", "file:///etc/passwd", "zip://a.wav::s3://b/c.zip"], []),
        ((), [], ["https://a.org/b.wav", "s3://a/b.wav"]),
        (
            ("https", "s3", "zip"),
            ["https://a.org/b.wav", "zip://a.wav::s3://b/c.zip"],
            [
                "http://a.org/b.wav",
                "file:///etc/passwd",
                "zip://a.wav::file:///c.zip",
                "zip://a.wav::/c.zip",
                "zip://a.wav::http://a.org/c.zip",
                "local:///etc/passwd",
                "simplecache::s3://a/b.wav",
            ],
        ),
        (
            ("https://a.org", "s3://calls/"),
            ["https://a.org/b.wav", "https://A.org:8443/b.wav?c=d", "s3://calls/a.wav"],
            [
                "https://b.org/b.wav",
                "https://a.org.b.org/b.wav",
                "https://a.org@b.org/b.wav",
                "https://b.org\\@a.org/b.wav",
                "https://[a.org/b.wav",
                "http://a.org/b.wav",
                "s3://other/a.wav",
            ],
        ),
    ],
)
def test_which_addresses_may_be_read(allow: tuple[str, ...] | None, allowed: list[str], refused: list[str]) -> None:
    remote = RemoteOptions(allow)
    assert [address for address in [*allowed, *refused] if remote.allows(address)] == allowed


def test_an_address_that_may_not_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"secret")
    address, remote = f"file://{tmp_path}/a.wav", RemoteOptions(("https",))
    sentence = r"a\.wav may not be read: remote\.allow=\[https\]"
    with pytest.raises(UserError, match=sentence):
        find_inputs(address, remote=remote)
    (tmp_path / "a.lst").write_text(address)  # of a list it is the failure of its line
    ((item, error),) = next(fetch_groups([(0, find_inputs(tmp_path / "a.lst")[0].source)], tmp_path, remote=remote))
    assert isinstance(error, AudioError) and "may not be read" in str(error) and item == 0


@pytest.mark.integration
def test_a_redirect_to_an_address_that_may_not_be_read_is_not_followed(web: str, tmp_path: Path) -> None:
    elsewhere = web.replace("127.0.0.1", "localhost")
    here = RemoteOptions(("http://127.0.0.1",))
    whole = fetch(f"{web}/three.wav", tmp_path / "a", here).read_bytes()
    assert fetch(f"{web}/to/{web}/three.wav", tmp_path / "a", here).read_bytes() == whole
    assert fetch(f"{web}/to/{elsewhere}/three.wav", tmp_path / "a").read_bytes() == whole
    (tmp_path / "a").unlink()
    for address in (f"{web}/to/{elsewhere}/three.wav", f"{web}/to/{web}/to/{elsewhere}/three.wav"):
        with pytest.raises(AudioError, match=r"http://localhost.*may not be read: remote\.allow"):
            fetch(address, tmp_path / "a", here)
    assert list(tmp_path.iterdir()) == []

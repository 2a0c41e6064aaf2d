from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from speechrnn.core import model_names
from speechrnn.core.errors import UserError
from speechrnn.core.model_names import bundle_of, find_model, find_model_directory


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Package, variable and home of a test's own; the test works in an empty folder."""
    monkeypatch.setattr(model_names, "PRETRAINED", tmp_path / "package")
    monkeypatch.setenv("SPEECHRNN_MODELS", os.pathsep.join([str(tmp_path / "first"), "", str(tmp_path / "second")]))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def bundle(folder: Path, *kinds: str) -> Path:
    for kind in kinds or ("acoustic", "language"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "model.json").write_text("{}")
    return folder


def test_names_are_looked_up_in_the_package_then_the_variable_then_home(tmp_path: Path) -> None:
    home = bundle(tmp_path / "home" / ".local" / "share" / "speechrnn" / "models" / "english")
    assert find_model("english") == home
    second = bundle(tmp_path / "second" / "english")
    assert find_model("english") == second
    first = bundle(tmp_path / "first" / "english")
    assert find_model("english") == first
    package = bundle(tmp_path / "package" / "english")
    assert find_model("english") == package
    assert find_model_directory("english", "language") == package / "language"


def test_a_directory_with_a_model_wins_over_a_name_and_one_without_loses(tmp_path: Path) -> None:
    package = bundle(tmp_path / "package" / "english")
    Path("english").mkdir()  # recordings, say
    assert find_model("english") == package
    assert find_model("./english") == Path("english")
    bundle(Path("english"), "acoustic")
    assert find_model("english") == Path("english")
    assert find_model_directory("english", "acoustic") == Path("english/acoustic")
    assert find_model_directory("english/acoustic", "acoustic") == Path("english/acoustic")
    assert find_model_directory("english", "language") == Path("english")  # loading it says what is missing


def test_a_path_may_begin_at_home(tmp_path: Path) -> None:
    mine = bundle(tmp_path / "home" / "mine")
    assert find_model("~/mine") == mine
    assert find_model(mine) == mine


@pytest.mark.parametrize("name", ["klingon", "../first/english", "/nowhere/english", "a\0b", "x" * 5000])
def test_an_unknown_name_says_which_there_are(tmp_path: Path, name: str) -> None:
    bundle(tmp_path / "package" / "english")
    bundle(tmp_path / "second" / "digits", "acoustic")
    (tmp_path / "second" / "notes").mkdir()
    with pytest.raises(UserError, match=r"no model directory .*no model of that name.* digits, english\.$"):
        find_model(name)


def test_a_file_is_no_model_and_the_message_says_what_is(tmp_path: Path) -> None:
    bundle(tmp_path / "package" / "english")
    Path("talk.mp3").write_bytes(b"sound")
    with pytest.raises(UserError, match=r"^talk\.mp3 is a file and no model: .*model\.json.* english\.$"):
        find_model("talk.mp3")
    mine = bundle(Path("mine"), "acoustic") / "acoustic"
    with pytest.raises(UserError, match=r"is a file of a model: give its folder, mine/acoustic\.$"):
        find_model(mine / "model.json")


@pytest.mark.parametrize("name", ["", None, 3, b"english"])
def test_what_can_be_no_name_is_refused(name: Any) -> None:
    with pytest.raises(UserError, match=r"A model has a name such as english"):
        find_model(name)


def test_a_user_without_a_home_folder_has_the_models_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = bundle(tmp_path / "package" / "english")
    monkeypatch.setenv("SPEECHRNN_MODELS", "~nosuchuser/models")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as in a container, where the user has no name
    assert find_model("english") == package and bundle_of(package / "acoustic") == package
    with pytest.raises(UserError, match="klingon"):
        find_model("klingon")


def test_without_any_named_model_the_message_says_so() -> None:
    with pytest.raises(UserError, match=r"There is no model directory klingon .*there is none in the package"):
        find_model("klingon")


def test_a_package_without_its_model_files_says_so_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "package" / "english").mkdir(parents=True)  # its weights were left out
    with pytest.raises(
        UserError, match=r"english is not part of this installation .*package/english.* install"
    ) as info:
        find_model("english")
    assert "\n" not in str(info.value)


def test_the_bundle_of_a_named_model_is_known_and_others_have_none(tmp_path: Path) -> None:
    named = bundle(tmp_path / "second" / "digits")
    assert bundle_of(find_model_directory("digits", "acoustic")) == named
    assert bundle_of(bundle(tmp_path / "run") / "acoustic") is None

"""The wheel carries configuration, recipes and models, and what is written about versions and licences agrees."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from helpers.bundles import save_bundle

from speechrnn.audio import save_audio
from speechrnn.cli import help

PROJECT = Path(__file__).parents[1]
PRETRAINED = Path("speechrnn", "pretrained")
LARGEST = 32_000_000  # bytes of all models in the package


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, without its dependencies (they are those of this environment)."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the wheel, is not installed: pip install -e '.[dev]'")
    return install(PROJECT, tmp_path_factory.mktemp("wheel"))


def install(project: Path, folder: Path) -> Path:
    """Build the wheel of a project and install it into `folder`/site."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # Not isolated, so that nothing is fetched.
    subprocess.run(
        [*pip, "wheel", str(project), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)], check=True
    )
    (wheel,) = folder.glob("speechrnn-*.whl")
    subprocess.run([*pip, "install", str(wheel), "--no-deps", "--target", str(folder / "site")], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def project_with_model(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a wheel is made of, in which a small untrained bundle is the model `english`."""
    copy = tmp_path_factory.mktemp("project")
    without = shutil.ignore_patterns("__pycache__", "pretrained")
    for name in ("speechrnn", "conf", "recipes"):
        shutil.copytree(PROJECT / name, copy / name, ignore=without)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(PROJECT / name, copy)
    save_bundle(copy / "speechrnn" / "pretrained" / "english")
    (copy / "speechrnn" / "pretrained" / "english" / "README.md").write_text("a model card")
    return copy


@pytest.fixture
def site_with_model(project_with_model: Path, tmp_path: Path) -> Path:
    """A folder into which the wheel of that copy was installed."""
    return install(project_with_model, tmp_path / "wheel")


def command(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`speechrnn ...` of the installed wheel, typed in `cwd`."""
    # First on the path, so that the checkout this environment may know of is not what runs.
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [str(site / "bin" / "speechrnn"), *arguments], capture_output=True, text=True, cwd=cwd, env=environment
    )


@pytest.mark.integration
def test_the_wheel_carries_conf_and_recipes(site: Path) -> None:
    for folder in ("conf", "recipes"):
        source = {path.relative_to(PROJECT / folder) for path in files(PROJECT / folder)}
        assert source
        assert {path.relative_to(site / "speechrnn" / folder) for path in files(site / "speechrnn" / folder)} == source
    assert not (site / "tests").exists()
    assert (site / "speechrnn" / "py.typed").is_file()


@pytest.mark.integration
def test_the_models_of_the_package_are_in_the_wheel_and_found_by_name(
    project_with_model: Path, site_with_model: Path, tmp_path: Path
) -> None:
    source = {path.relative_to(project_with_model): path for path in files(project_with_model / PRETRAINED)}
    assert len(source) == 6
    for path, original in source.items():
        assert (site_with_model / path).read_bytes() == original.read_bytes()
    result = command(site_with_model, tmp_path, "generate", "prompt='A CAB'", "max_new_tokens=4", "device=cpu")
    assert result.returncode == 0 and result.stdout.startswith("A CAB"), result.stderr
    save_audio(tmp_path / "talk.wav", np.zeros(8000, np.float32), 16000)
    result = command(site_with_model, tmp_path, "transcribe", "talk.wav", "device=cpu", "segmentation.vad=none")
    assert result.returncode == 0, result.stderr
    # Without their weights, or without all of their files, the package says so in one sentence.
    (site_with_model / PRETRAINED / "english" / "language" / "model.safetensors").unlink()
    result = command(site_with_model, tmp_path, "generate", "prompt='A CAB'")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(
        r"speechrnn: .*model\.safetensors is missing, .* incomplete: install it again\.\n", result.stderr
    )
    shutil.rmtree(site_with_model / PRETRAINED)
    for arguments in (["generate", "prompt='A CAB'"], ["transcribe", "talk.wav"]):
        result = command(site_with_model, tmp_path, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert re.fullmatch(r"speechrnn: The model english is not part of this installation .*\n", result.stderr)


@pytest.mark.integration
def test_the_models_of_the_package_are_in_the_source_distribution(project_with_model: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(build, check=True, cwd=project_with_model, capture_output=True)
    (path,) = tmp_path.glob("speechrnn-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {path.relative_to(project_with_model).as_posix() for path in files(project_with_model / PRETRAINED)}
    assert len(expected) == 6 and expected <= names


def test_the_models_of_the_package_are_small() -> None:
    """A wheel that is too large is not taken by package indexes, and nobody waits for it."""
    assert sum(path.stat().st_size for path in files(PROJECT / PRETRAINED)) <= LARGEST


@pytest.mark.integration
def test_the_wheel_carries_the_templates_of_the_pages(site: Path) -> None:
    suffixes = (".html", ".css", ".svg")
    templates = [path for path in files(PROJECT / "speechrnn") if path.suffix in suffixes]
    assert len(templates) >= 11
    for path in templates:
        assert (site / path.relative_to(PROJECT)).read_bytes() == path.read_bytes()


@pytest.mark.integration
def test_the_installed_command_lists_and_explains_its_recipes_from_any_directory(site: Path, tmp_path: Path) -> None:
    listing = command(site, tmp_path, "--help")
    assert listing.returncode == 0, listing.stderr
    recipes = help.recipes(PROJECT)
    assert {"recipes", "tutorials"} == {recipe.heading for recipe in recipes.values()}
    for name, recipe in recipes.items():
        assert f"  {name} " in listing.stdout
        page = command(site, tmp_path, name, "--help")
        assert (page.returncode, page.stdout) == (0, help.page(recipe) + "\n")


@pytest.mark.integration
def test_the_installed_command_runs_a_recipe_from_any_directory(site: Path, tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("one SHARKS FEED\ntwo ON FISH\n")
    (tmp_path / "heard.txt").write_text("one SHARKS FED\ntwo ON FISH\n")
    result = command(site, tmp_path, "evaluate", "references=said.txt", "hypotheses=heard.txt")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^WER +25\.00%", result.stdout, re.MULTILINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heard.txt", "said.txt"]


@pytest.mark.integration
def test_the_installed_command_knows_its_keys(site: Path, tmp_path: Path) -> None:
    for name in help.recipes(PROJECT):
        result = command(site, tmp_path, name, "namme=1")
        assert result.returncode == 2
        assert re.fullmatch(r"speechrnn: .+\n", result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_every_direct_dependency_is_pinned() -> None:
    pinned = {
        normal(re.split("[=;]", line)[0])
        for line in (PROJECT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    named = re.findall(r'"([A-Za-z][\w.-]*)[<>=]=[^"]*"', (PROJECT / "pyproject.toml").read_text())
    assert {"torch", "torchaudio", "hydra-core", "hatchling"} <= set(named)
    assert [name for name in named if normal(name) not in pinned] == []


@pytest.mark.integration
def test_an_editable_installation_copies_nothing(tmp_path: Path, site: Path) -> None:
    """Copies of conf/ and recipes/ would grow old beside the checkout that is really in use."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(tmp_path)]
    subprocess.run([*pip, "install", "--editable", str(PROJECT), *options], check=True)
    assert not (tmp_path / "speechrnn").exists()
    (path,) = tmp_path.glob("*.pth")
    assert path.read_text().strip() == str(PROJECT)


def test_the_constraints_name_versions_and_no_addresses() -> None:
    for line in (PROJECT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r'#.*|[\w.-]+==[\w.]+(; python_version (<|>=) "3\.\d+")?', line), line


def test_torch_and_torchaudio_move_together() -> None:
    text = (PROJECT / "pyproject.toml").read_text() + (PROJECT / "constraints.txt").read_text()
    versions = dict(re.findall(r"^(torch|torchaudio)==([\d.]+)$", text, re.MULTILINE))
    assert versions["torch"] == versions["torchaudio"]
    assert '"torch==2.11.*"' in text
    assert '"torchaudio==2.11.*"' in text


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

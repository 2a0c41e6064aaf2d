"""The wheel carries configuration and recipes, and what is written about versions and licences agrees."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from speechrnn.cli import help

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, without its dependencies (they are those of this environment)."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the wheel, is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # Not isolated, so that nothing is fetched.
    subprocess.run(
        [*pip, "wheel", str(PROJECT), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)], check=True
    )
    (wheel,) = folder.glob("speechrnn-*.whl")
    subprocess.run([*pip, "install", str(wheel), "--no-deps", "--target", str(folder / "site")], check=True)
    return folder / "site"


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

"""The examples in docstrings run, public names are documented, and docstrings say what a thing does."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "speechrnn"
CODE = ("speechrnn", "recipes", "benchmarks", "tests")  # folders
FILES = sorted(PACKAGE.rglob("*.py"))
# All of the repository.
PYTHON = [
    path for name in ("speechrnn", "recipes", "benchmarks", "tests") for path in sorted((ROOT / name).rglob("*.py"))
]
QUESTION = re.compile(r"(What|How|Where|Whether|Which|Who|Why|When)\b")


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize(
    "name", [dotted(path) for path in FILES if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)]
)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize(
    "name", [dotted(path) for path in FILES if re.search(r"^__all__", path.read_text(encoding="utf-8"), re.MULTILINE)]
)
def test_every_public_name_has_a_docstring(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    public = {key: getattr(module, key) for key in module.__all__}
    assert [
        key
        for key, value in public.items()
        if inspect.isroutine(value) or inspect.isclass(value)
        if not getattr(value, "__doc__", None)
    ] == []


@pytest.mark.parametrize(
    "name", [dotted(path) for path in FILES if re.search(r"^__all__", path.read_text(encoding="utf-8"), re.MULTILINE)]
)
def test_every_public_class_and_function_has_an_example(name: str) -> None:
    """The example of a class may stand in one of its methods."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    lacking = []
    for key in module.__all__:
        value = getattr(module, key)
        if inspect.isroutine(value) or inspect.isclass(value):
            methods = list(vars(value).values()) if inspect.isclass(value) else []
            if not any(">>> " in (getattr(documented, "__doc__", None) or "") for documented in (value, *methods)):
                lacking.append(key)
    assert lacking == []


def test_no_docstring_begins_with_a_question_word() -> None:
    """Modules, functions and classes say what they do or are, with a verb or a noun first."""
    found = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                text = ast.get_docstring(node) or ""
                if QUESTION.match(text):
                    found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {text.splitlines()[0]}")
    assert found == []


def test_docstrings_of_functions_are_in_the_imperative() -> None:
    """'Write a file.' and not 'Writes a file.'"""
    third_person = re.compile(r"(?!Pass |Process |Guess |Discuss )[A-Z][a-z]+s ")
    found = []
    for path in [*FILES, *sorted((ROOT / "recipes").rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                if third_person.match(text):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {text.splitlines()[0]}")
    assert found == []

"""The API pages name every public folder and show the examples of the docstrings as code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
INITS = sorted(ROOT.glob("speechrnn/*/__init__.py"))
PUBLIC = [init.parent.name for init in INITS if "\n__all__ = " in init.read_text()]


def read_pages() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "docs" / "api").glob("*.md")))


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    pytest.importorskip("griffe", reason="the pages are built with the extra docs")
    spec = importlib.util.spec_from_file_location("examples", ROOT / "docs" / "examples.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_public_folders_are_found() -> None:
    assert {"core", "audio", "transcription", "generation"} <= set(PUBLIC)


@pytest.mark.parametrize("folder", PUBLIC)
def test_every_public_folder_has_a_page(folder: str) -> None:
    assert re.search(rf"^::: speechrnn\.{folder}$", read_pages(), re.MULTILINE)


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f": {page}\n" not in menu + "\n"] == []


def test_an_example_stands_in_a_fence(extension: ModuleType) -> None:
    docstring = "Add.\n\n    >>> add(1,\n    ...     1)  # doctest: +SKIP\n    2\n\nArgs:\n    a: number."
    assert extension.fence_examples(docstring) == (
        "Add.\n\n    ```pycon\n    >>> add(1,\n    ...     1)\n    2\n    ```\n\nArgs:\n    a: number."
    )


def test_text_without_examples_stays(extension: ModuleType) -> None:
    docstring = "Add.\n\nThe prompt >>> is Python's.\n\n\nLast."
    assert extension.fence_examples(docstring) == docstring


def test_no_page_quotes_an_example(extension: ModuleType) -> None:
    """Griffe reads every public docstring through the extension; none keeps an example outside a fence."""
    import griffe

    package = griffe.load("speechrnn", search_paths=[ROOT], extensions=griffe.load_extensions(extension.Examples))
    seen = 0
    for folder in PUBLIC:
        for name in package[folder].exports:
            docstring = package[f"{folder}.{name}"].docstring
            if docstring and ">>>" in docstring.value:
                seen += 1
                assert ">>>" not in re.sub(r"```pycon\n.*?```", "", docstring.value, flags=re.DOTALL), name
    assert seen > 50

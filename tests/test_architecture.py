"""The folders of speechrnn/ import only what stands before them in the order of docs/architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers.imports import imports, module_of

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "speechrnn"
CODE = ("speechrnn", "recipes", "benchmarks", "tests")  # folders

# Folders on one level do not import each other. The command line uses core only.
LEVELS = (
    ("core",),
    ("text", "cli"),
    ("audio",),
    ("nn", "data"),
    ("export", "evaluation"),
    ("decoding",),
    ("training", "generation"),
    ("transcription",),
    ("jobs", "reports"),
    ("experiments",),
    ("tutorials",),
    ("serving",),
    ("recipes",),
)
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}


def folder_of(module: str) -> str | None:
    """The folder below speechrnn/ of a module; None for the package itself and its version."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else None


def files() -> list[Path]:
    """All of the library."""
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """The module of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_folder_has_a_level() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders <= LEVEL.keys()
    assert {path.stem for path in PACKAGE.glob("*.py")} <= {"__init__", "version"}


@pytest.mark.parametrize("folder", [name for name in LEVEL if (PACKAGE / name).is_dir()])
def test_a_folder_imports_only_folders_below_it(folder: str) -> None:
    upward = []
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        for line, name in imports(path):
            other = folder_of(module_of(name))
            if other is None:
                allowed = module_of(name) == "speechrnn.version"
            else:
                allowed = other == folder or LEVEL[other] < LEVEL[folder]
            if not allowed:
                upward.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not upward, "\n".join(upward)


def test_every_folder_names_what_is_public() -> None:
    """By `__all__`, which may be empty."""
    inits = sorted(PACKAGE.rglob("__init__.py"))
    assert [str(path) for path in inits if "\n__all__" not in path.read_text(encoding="utf-8")] == []


def test_the_command_line_uses_core_only() -> None:
    others = {folder_of(module_of(name)) for path in (PACKAGE / "cli").rglob("*.py") for _, name in imports(path)}
    assert others <= {"cli", "core", None}


def test_modules_import_each_other_in_no_circle() -> None:
    graph = {dotted(path): {module_of(name) for _, name in imports(path)} - {dotted(path)} for path in files()}
    # A package's public face imports its modules; who imports one of these does not need the face.
    faces = {dotted(path) for path in files() if path.name == "__init__.py"}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module in done:
            return
        path = (*above, module)
        for other in sorted(graph.get(module, set()) - faces):
            visit(other, path)
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_import_reader_sees_lazy_and_type_only_imports(tmp_path: Path) -> None:
    source = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from speechrnn.jobs.journal import Journal\n"
        "def late() -> None:\n    import speechrnn.nn.softmax\n    from speechrnn.audio import io\n"
    )
    path = tmp_path / "module.py"
    path.write_text(source)
    assert [module_of(name) for _, name in imports(path)] == [
        "speechrnn.jobs.journal",
        "speechrnn.nn.softmax",
        "speechrnn.audio.io",
    ]


def test_the_tests_of_a_module_are_found_under_its_name() -> None:
    """The tests of speechrnn/FOLDER/MODULE.py are in tests/FOLDER/test_MODULE.py."""
    modules = [path.relative_to(PACKAGE) for path in files() if path.name != "__init__.py"]
    without = {
        module.as_posix()
        for module in modules
        if not (ROOT / "tests" / module.parent / f"test_{module.name}").is_file()
    }
    assert without == NEED_NO_TESTS


# One line each, with nothing to test.
NEED_NO_TESTS = {"version.py"}


def python_files() -> list[Path]:
    """All Python files of the repository."""
    return [
        path for name in ("speechrnn", "recipes", "benchmarks", "tests") for path in sorted((ROOT / name).rglob("*.py"))
    ]


def test_no_module_is_longer_than_400_lines() -> None:
    """Of the program and of its tests."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > LONGEST} == {}


LONGEST = 400  # lines


def test_no_variable_is_called_one_and_no_tuple_is_spread() -> None:
    """A variable has the name of the thing; arguments and items stand in their place, one after the other."""
    found = []
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == "one":
                found.append(f"{place}: a variable is called one")
            elif isinstance(node, ast.arg) and node.arg == "one":
                found.append(f"{place}: an argument is called one")
            elif isinstance(node, ast.Starred) and isinstance(node.value, (ast.Tuple, ast.List)):
                found.append(f"{place}: a tuple is spread where its items could stand")
            elif isinstance(node, ast.Dict):
                spread = [value for key, value in zip(node.keys, node.values, strict=True) if key is None]
                if any(isinstance(value, ast.IfExp) for value in spread):
                    found.append(f"{place}: a condition is spread in a dictionary")
            elif isinstance(node, ast.Call):
                listed = [part.value for part in node.args if isinstance(part, ast.Starred)]
                if any(isinstance(part, (ast.GeneratorExp, ast.ListComp)) for part in listed):
                    found.append(f"{place}: a loop is spread in a call; give its list a name")
                named = [part.value for part in node.keywords if part.arg is None]
                if any(isinstance(part, ast.IfExp) for part in named):
                    found.append(f"{place}: a condition is spread in a call")
                if any(isinstance(part, ast.Call) and ast.unparse(part.func) == "dict" for part in named):
                    found.append(f"{place}: dict(...) is spread in a call")
    assert found == []

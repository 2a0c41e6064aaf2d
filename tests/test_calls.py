"""Calls of our own functions name each argument beyond the third."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("speechrnn", "recipes", "benchmarks", "tests")
POSITIONAL = 3  # arguments without a name


def takes_any_number(definition: ast.stmt) -> bool:
    """Return whether a function, or the constructor of a class, takes `*arguments`, which cannot be named."""
    if isinstance(definition, ast.ClassDef):
        return any(takes_any_number(method) for method in definition.body if getattr(method, "name", "") == "__init__")
    return isinstance(definition, ast.FunctionDef) and definition.args.vararg is not None


def own_names(tree: ast.Module) -> set[str]:
    """Return the names of functions and classes that a file defines, or imports from the repository."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("speechrnn", "helpers"):
            names |= {alias.asname or alias.name for alias in node.names}
    own = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return (names | {node.name for node in own}) - {node.name for node in own if takes_any_number(node)}


def calls(node: ast.AST, hidden: frozenset[str] = frozenset()) -> Iterator[tuple[ast.Call, frozenset[str]]]:
    """Yield each call with the names that are parameters there, which hide functions of the same name."""
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        hidden |= {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
    if isinstance(node, ast.Call):
        yield node, hidden
    for child in ast.iter_child_nodes(node):
        yield from calls(child, hidden)


def unnamed_arguments(source: str, variadic: frozenset[str] = frozenset()) -> list[int]:
    """Return the lines of a source in which one of our functions gets more positional arguments than three."""
    tree = ast.parse(source)
    names = own_names(tree) - variadic
    methods = {
        definition.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for definition in node.body
        if isinstance(definition, ast.FunctionDef) and not takes_any_number(definition)
    }
    found = []
    for call, hidden in calls(tree):
        own = isinstance(call.func, ast.Name) and call.func.id in names - hidden
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            own = call.func.value.id == "self" and call.func.attr in methods
        spread = any(isinstance(argument, ast.Starred) for argument in call.args)
        if own and not spread and len(call.args) > POSITIONAL:
            found.append(call.lineno)
    return found


def test_arguments_beyond_the_third_are_named() -> None:
    sources = {path: path.read_text("utf-8") for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}
    variadic = frozenset(
        node.name
        for source in sources.values()
        for node in ast.parse(source).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and takes_any_number(node)
    )
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, source in sources.items()
        for line in unnamed_arguments(source, variadic)
    ]
    assert found == []


def test_the_reader_of_calls_sees_functions_classes_and_methods() -> None:
    source = (
        "from speechrnn.audio.io import load\n"
        "def make(a, b, c, d): ...\n"
        "class Thing:\n"
        "    def method(self, a, b, c, d): self.method(1, 2, 3, 4)\n"
        "def many(*numbers): ...\n"
        "make(1, 2, 3, 4)\n"
        "load(1, 2, 3, 4)\n"
        "make(1, 2, 3, d=4)\n"
        "many(1, 2, 3, 4)\n"
        "def user(make): make(1, 2, 3, 4)\n"
        "print(1, 2, 3, 4)\n"
    )
    assert sorted(unnamed_arguments(source)) == [4, 6, 7]

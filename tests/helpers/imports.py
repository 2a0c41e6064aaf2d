"""The imports of the package: read from its files, and counted.

`python tests/helpers/imports.py` prints the counts of docs/architecture.md.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of each import of speechrnn in a file: at the top, lazy, and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            # `from speechrnn.audio import io` names a module, `from speechrnn.audio.io import load` a function in one.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "speechrnn":
                yield node.lineno, name


def module_of(name: str, root: Path = ROOT) -> str:
    """Return the module that a dotted name is in: speechrnn.audio.io.load -> speechrnn.audio.io."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        place = root.joinpath(*parts[:end])
        if place.with_suffix(".py").is_file() or (place / "__init__.py").is_file():
            return ".".join(parts[:end])
    return name


def room_of(module: str) -> str:
    """Return the room of a module: the file or folder directly below speechrnn/."""
    return [*module.split("."), "__init__"][1]


def arrows_between_rooms(root: Path = ROOT) -> dict[str, set[str]]:
    """Return, for each room of speechrnn/ and for recipes/, the other rooms that it imports."""
    arrows: dict[str, set[str]] = {}
    for path in sorted((root / "speechrnn").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        room = room_of(".".join(parts))
        targets = {room_of(module_of(name, root)) for _, name in imports(path)}
        arrows.setdefault(room, set()).update(targets - {room})
    for path in (root / "recipes").rglob("*.py"):
        arrows.setdefault("recipes", set()).update(room_of(module_of(name, root)) for _, name in imports(path))
    return arrows


def floors(arrows: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the floor of each room: one above the highest that it imports. Arrows that close a circle are left out."""
    found: dict[str, int] = {}

    def visit(room: str, above: tuple[str, ...]) -> int:
        if room not in found:
            path = (*above, room)
            below = [visit(other, path) for other in arrows.get(room, ()) if other not in path]
            found[room] = 1 + max(below, default=-1)
        return found[room]

    for room in sorted(arrows):
        visit(room, ())
    return found


def circles(arrows: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """Return the pairs of rooms that import each other."""
    return sorted((a, b) for a in arrows for b in arrows[a] if a < b and a in arrows.get(b, ()))


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    graph = arrows_between_rooms(root)
    print(f"rooms {len(graph)}")
    print(f"floors {max(floors(graph).values()) + 1}")
    print(f"arrows {sum(map(len, graph.values()))}")
    print(f"circles {len(circles(graph))} {circles(graph) or ''}")
    modules = sorted(
        len(path.read_text(encoding="utf-8").splitlines())
        for path in (root / "speechrnn").rglob("*.py")
        if path.name != "__init__.py"
    )
    print(f"modules {len(modules)}, median {modules[len(modules) // 2]} lines, longest {modules[-1]}")

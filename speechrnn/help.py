"""What `speechrnn` and `speechrnn RECIPE --help` print, read from the scripts and YAML pages themselves.

Nothing here imports Hydra or a recipe: help has to come at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speechrnn import __version__

USAGE = """usage: speechrnn RECIPE [key=value ...]
       speechrnn RECIPE --help   explains every key of a recipe
       speechrnn --version"""


@dataclass(frozen=True)
class Group:
    """A folder of config pages of which a recipe uses one.

    Attributes:
        name: the folder below conf/, which is also what one overrides: `corpus` in `corpus=an4`.
        prefix: what stands before its keys: `corpus` in `corpus.root`; "" where they stand at the top.
        chosen: the page the recipe takes by itself, None for none.
        options: all pages, by name.
    """

    name: str
    prefix: str
    chosen: str | None
    options: dict[str, Path]


def root() -> Path:
    """The folder that holds `conf/` and `recipes/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parent


def recipes(root: Path) -> dict[str, Path]:
    """The recipe scripts below `root`, by name, sorted."""
    return {path.stem: path for path in sorted((root / "recipes").glob("*.py")) if not path.stem.startswith("_")}


def listing(root: Path) -> str:
    """The page of `speechrnn` alone: each recipe with the first line of its docstring."""
    scripts = recipes(root)
    width = max((len(name) for name in scripts), default=0)
    lines = [f"  {name:<{width}}  {(docstring(path).splitlines() or [''])[0]}" for name, path in scripts.items()]
    return "\n".join(
        [f"speechrnn {__version__}: speech to text and text prediction with recurrent networks", "", USAGE, ""]
        + ["recipes:", *lines]
    )


def docstring(path: Path) -> str:
    """The docstring of a script, without running it."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def page(name: str, root: Path) -> str:
    """The page of `speechrnn RECIPE --help`: what the recipe does, then every key with its comment and default."""
    primary = root / "conf" / f"{name}.yaml"
    text = primary.read_text(encoding="utf-8")
    parts = [f"speechrnn {name} [key=value ...]", docstring(root / "recipes" / f"{name}.py")]
    parts.append(_heading("keys") + "\n\n" + _indent(_body(text)))
    parts += [_group_page(group) for group in groups(primary)]
    return "\n\n".join(part for part in parts if part)


def groups(primary: Path) -> list[Group]:
    """The config groups that a primary config uses, in its order, those of its pages' own defaults included."""
    conf = primary.parent
    found: dict[str, Group] = {}
    waiting = [(primary, "", "")]  # a page, the folder of its group, what stands before its keys
    while waiting:
        path, parent, prefix = waiting.pop(0)
        for target, package, chosen in _defaults(path):
            # Hydra's rules: a group is below that of the page unless "/" comes first, its keys always are.
            folder = target.lstrip("/") if target.startswith("/") or not parent else f"{parent}/{target}"
            own = package or target.lstrip("/").replace("/", ".")
            at = "" if own == "_global_" else f"{prefix}.{own}".lstrip(".")
            name = folder if at == folder.replace("/", ".") else f"{folder}@{at or own}"
            options = {option.stem: option for option in sorted((conf / folder).glob("*.yaml"))}
            if not options or name in found:
                continue
            found[name] = Group(name, at, chosen, options)
            if chosen in options:
                waiting.append((options[chosen], folder, at))
    return list(found.values())


def _defaults(path: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """(group, package or None, chosen page or None) of each entry in a page's defaults list that offers a choice."""
    import yaml

    for entry in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", []):
        if not isinstance(entry, dict):
            continue  # _self_, or a page without a choice
        ((key, chosen),) = entry.items()
        *words, target = str(key).split()
        if "override" not in words and not target.lstrip("/").startswith("hydra/"):
            group, _, package = target.partition("@")
            yield group, package or None, None if chosen is None else str(chosen)


def _group_page(group: Group) -> str:
    """The options of a group, the keys of the chosen one, and the keys that only other options have."""
    width = max(len(option) for option in group.options)
    texts = {option: path.read_text(encoding="utf-8") for option, path in group.options.items()}
    lines = [_heading(f"{group.name}={group.chosen or 'null'}"), "", "  one of:"]
    lines += [f"    {option:<{width}}  {_summary(text)}".rstrip() for option, text in texts.items()]
    explained: set[str] = set()
    # The chosen page first: what it explains need not be read again.
    for option in sorted(texts, key=lambda option: option != group.chosen):
        if re.search(r"^# *@package +_global_", texts[option], re.MULTILINE):
            continue  # it only sets keys that other pages explain
        body = _body(texts[option]).removeprefix(f"# {_summary(texts[option])}").strip("\n")
        blocks = {key: block for key, block in _blocks(body).items() if key not in explained}
        explained.update(blocks)
        if blocks:
            only = "" if option == group.chosen else f" (with {group.name}={option})"
            key = f"{group.prefix}.KEY".lstrip(".")
            lines += ["", f"  {key}=VALUE{only}:", "", _indent("\n".join(blocks.values()), 4)]
    return "\n".join(lines)


def _summary(text: str) -> str:
    """The first line of a page's opening comment."""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if "@package" not in line and line.strip("# "):
            return line.strip("# ")
    return ""


def _body(text: str) -> str:
    """A YAML page without its package line and its defaults list."""
    kept = []
    inside = False
    for line in text.splitlines():
        inside = line.startswith("defaults:") or (inside and (not line.strip() or line[0] in " -"))
        if not inside and not re.match(r"# *@package", line):
            kept.append(line)
    return "\n".join(kept).strip("\n")


def _blocks(body: str) -> dict[str, str]:
    """The top-level keys of a page, each with the comment above it and the lines below it."""
    blocks: dict[str, str] = {}
    waiting: list[str] = []
    key = ""
    for line in body.splitlines():
        match = re.match(r"([A-Za-z_][\w-]*) *:", line)
        if match:
            key = match[1]
            blocks[key] = "\n".join([*waiting, line])
            waiting = []
        elif line.startswith((" ", "-")) and key and not waiting:
            blocks[key] += f"\n{line}"
        else:
            waiting.append(line)
    return {key: block.strip("\n") for key, block in blocks.items()}


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}"


def _indent(text: str, by: int = 2) -> str:
    return "\n".join(" " * by + line if line else line for line in text.splitlines())

"""What `speechrnn` and `speechrnn RECIPE --help` print, read from the scripts and YAML pages themselves.

Nothing here imports Hydra or a recipe: help has to come at once.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speechrnn.version import __version__

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
    package = Path(__file__).resolve().parents[1]
    return package if (package / "conf").is_dir() else package.parent


def recipes(root: Path) -> dict[str, Path]:
    """The recipe scripts below `root`, by name, sorted."""
    return {path.stem: path for path in sorted((root / "recipes").glob("*.py")) if not path.stem.startswith("_")}


def listing(root: Path) -> str:
    """The page of `speechrnn` alone: each recipe with the first line of its docstring."""
    scripts = recipes(root)
    width = max((len(name) for name in scripts), default=0)
    lines = [f"  {name:<{width}}  {(docstring(path).splitlines() or [''])[0]}" for name, path in scripts.items()]
    title = f"speechrnn {__version__}: speech to text and text prediction with recurrent networks"
    return "\n".join([title, "", USAGE, "", "recipes:", *lines])


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
    """The options of a group and their keys, leaving out what an earlier option explains in the same words."""
    width = max(len(option) for option in group.options)
    texts = {option: path.read_text(encoding="utf-8") for option, path in group.options.items()}
    chosen = "OPTION, which has to be chosen" if group.chosen == "???" else group.chosen or "null"
    lines = [_heading(f"{group.name}={chosen}"), "", "  one of:"]
    lines += [f"    {option:<{width}}  {_summary(text)[0]}".rstrip() for option, text in texts.items()]
    explained: set[str] = set()
    for option in sorted(texts, key=lambda option: option != group.chosen):  # the recipe's own choice comes first
        if re.search(r"^# *@package +_global_", texts[option], re.MULTILINE):
            continue  # it only sets keys that other pages explain
        blocks = _blocks(_body(texts[option]))
        fresh = [block for block in blocks if block.strip() not in explained]
        explained.update(block.strip() for block in fresh)
        if fresh:
            key = f"{group.prefix}.KEY".lstrip(".")
            rest = "" if len(fresh) == len(blocks) else ", and the rest as above"
            lines += ["", f"  {key}=VALUE with {group.name}={option}{rest}:", ""]
            lines.append(_indent("\n".join(fresh).strip("\n"), 4))
    return "\n".join(lines)


def _summary(text: str) -> tuple[str, int]:
    """The first sentence of a page's opening comment, and the comment's lines if that is all it says (else 0)."""
    opening = list(itertools.takewhile(lambda line: re.match(r"# *\S", line), _lines(text)))
    whole = " ".join(line.strip("# ") for line in opening)
    sentence = re.split(r"(?<=\.) (?=[A-Z])", whole, maxsplit=1)[0]
    return sentence, len(opening) if sentence == whole else 0


def _lines(text: str) -> list[str]:
    """A page's lines but for the one that only Hydra reads."""
    return [line for line in text.splitlines() if not re.match(r"# *@package", line)]


def _body(text: str) -> str:
    """A YAML page without its defaults list, and without an opening comment that `_summary` tells in full."""
    kept = []
    inside = False
    for line in _lines(text)[_summary(text)[1] :]:
        inside = line.startswith("defaults:") or (inside and line[:1] in (" ", "-"))
        if not inside:
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def _blocks(body: str) -> list[str]:
    """The top-level keys of a page, each with what stands above it and the lines below it."""
    blocks: list[str] = []
    above: list[str] = []
    for line in body.splitlines():
        if re.match(r"[A-Za-z_][\w-]* *:", line):
            blocks.append("\n".join([*above, line]))
            above = []
        elif blocks and not above and line[:1] in (" ", "-"):
            blocks[-1] += f"\n{line}"
        else:
            above.append(line)
    return blocks


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}"


def _indent(text: str, by: int = 2) -> str:
    return "\n".join(" " * by + line if line else line for line in text.splitlines())

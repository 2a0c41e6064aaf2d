"""The pages that `speechrnn` and `speechrnn RECIPE --help` print, read from the recipes' scripts and config pages.

Nothing here imports Hydra or a recipe, so that a help page comes at once.
"""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechrnn.version import __version__

USAGE = """usage: speechrnn RECIPE [key=value ...]
       speechrnn RECIPE --help   explains every key of a recipe
       speechrnn -sc install=bash   prints what completes recipes and keys at Tab: eval "$(speechrnn -sc install=bash)"
       speechrnn --version"""


@dataclass(frozen=True)
class Recipe:
    """A recipe: a script of recipes/, and the primary config of the same place and name in conf/.

    Attributes:
        heading: under which the recipe is listed: the name of its folder.
    """

    name: str
    heading: str
    script: Path
    config: Path


@dataclass(frozen=True)
class Group:
    """A folder of config pages of which a recipe uses one.

    Attributes:
        name: Hydra's name: the folder below conf/, and the place of its keys where that is another one, as in
            `tokenizer@prediction.tokenizer`.
        prefix: the place of its keys: `corpus` for `corpus.root`; "" where they stand at the top.
        chosen: the page that the recipe takes by default, None for none.
        options: all pages, by name.
    """

    name: str
    prefix: str
    chosen: str | None
    options: dict[str, Path]

    @property
    def key(self) -> str:
        """The key by which a user chooses a page: the place, or at the top the first folder (`experiment`)."""
        return self.prefix or self.name.partition("@")[0].partition("/")[0]


def root() -> Path:
    """Return the folder that holds `conf/` and `recipes/`: the package in a wheel, its parent in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return package if (package / "conf").is_dir() else package.parent


def recipes(root: Path) -> dict[str, Recipe]:
    """Return the recipes below `root` by name: those of recipes/ itself first, then those of each folder in it."""
    folder = root / "recipes"
    scripts = [*sorted(folder.glob("*.py")), *sorted(folder.glob("*/*.py"))]
    found = {}
    for script in scripts:
        if not script.stem.startswith("_"):
            config = root / "conf" / script.relative_to(folder).with_suffix(".yaml")
            found[script.stem] = Recipe(script.stem, script.parent.name, script, config=config)
    return found


def listing(root: Path) -> str:
    """Return the page of `speechrnn` alone: the recipes by heading, each with the first line of its docstring."""
    found = recipes(root)
    width = max((len(name) for name in found), default=0)
    lines = [f"speechrnn {__version__}: speech to text and text prediction with recurrent networks", "", USAGE]
    for heading in dict.fromkeys(recipe.heading for recipe in found.values()):
        lines += ["", f"{heading}:"]
        for name, recipe in found.items():
            if recipe.heading == heading:
                lines.append(f"  {name:<{width}}  {(docstring(recipe.script).splitlines() or [''])[0]}")
    return "\n".join(lines)


def docstring(path: Path) -> str:
    """Return the docstring of a script, without running it."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def page(recipe: Recipe) -> str:
    """Return the page of `speechrnn RECIPE --help`: the recipe's docstring, then every key with comment and default."""
    text = recipe.config.read_text(encoding="utf-8")
    kind = re.search(r"^(inputs|input|prompt):", text, re.MULTILINE)
    inputs = "" if kind is None else {"inputs": " [INPUT ...]", "input": " [INPUT]", "prompt": " [PROMPT]"}[kind[1]]
    parts = [f"speechrnn {recipe.name}{inputs} [key=value ...]", docstring(recipe.script)]
    parts.append(_heading("keys") + "\n\n" + _indent(_body(text)))
    parts += [_group_page(group) for group in groups(recipe.config)]
    return "\n\n".join(part for part in parts if part)


def groups(primary: Path) -> list[Group]:
    """Return the config groups of a primary config in its order, those of its pages' own defaults included."""
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
            found[name] = Group(name, at, chosen, options=options)
            if chosen in options:
                waiting.append((options[chosen], folder, at))
    return list(found.values())


def pages(primary: Path) -> list[tuple[Path, str]]:
    """Return every config page that a recipe may read, with the place of its keys ("" at the top).

    These are the primary config, the configs that it includes, and all options of their groups.
    """
    import yaml

    found = [(primary, "")]
    for entry in (yaml.safe_load(primary.read_text(encoding="utf-8")) or {}).get("defaults", []):
        if isinstance(entry, str) and entry != "_self_":
            found += pages(primary.parent / f"{entry}.yaml")
    for group in groups(primary):
        found += [(option, group.prefix) for option in group.options.values()]
    return found


def key_values(page: Path, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of a config page with their values; a group of keys has those of its keys.

    Args:
        prefix: the place of the page's keys; "" at the top.
    """
    import yaml

    def walk(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if isinstance(value, Mapping) and value:
                yield from walk(value, f"{before}{name}.")
            elif name != "defaults":
                yield f"{before}{name}", value

    yield from walk(yaml.safe_load(page.read_text(encoding="utf-8")) or {}, f"{prefix}." if prefix else "")


def _defaults(path: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (group, package or None, chosen page or None) of each choice in a page's defaults list."""
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
    """Return the options of a group and their keys, without what an earlier option explains in the same words."""
    width = max(len(option) for option in group.options)
    texts = {option: path.read_text(encoding="utf-8") for option, path in group.options.items()}
    chosen = "OPTION, which has to be chosen" if group.chosen == "???" else group.chosen or "null"
    lines = [_heading(f"{group.key}={chosen}"), "", "  one of:" if len(group.options) > 1 else "  the only option:"]
    lines += [_row(option, _summary(text)[0], width) for option, text in texts.items()]
    explained: set[str] = set()
    for option in sorted(texts, key=lambda option: option != group.chosen):  # the recipe's own choice comes first
        if not group.prefix or re.search(r"^# *@package +_global_", texts[option], re.MULTILINE):
            continue  # it only sets keys that other pages explain
        blocks = _blocks(_body(texts[option]))
        fresh = [block for block in blocks if block.strip() not in explained]
        explained.update(block.strip() for block in fresh)
        if fresh:
            rest = "" if len(fresh) == len(blocks) else ", and the rest as above"
            lines += ["", f"  {group.prefix}.KEY=VALUE with {group.key}={option}{rest}:", ""]
            lines.append(_indent("\n".join(fresh).strip("\n"), 4))
    return "\n".join(lines)


def _row(option: str, summary: str, width: int) -> str:
    """Return the row of an option, whose summary goes on below itself."""
    name = f"    {option:<{width}}  "
    return textwrap.fill(summary, 120, initial_indent=name, subsequent_indent=" " * len(name)) or name.rstrip()


def _summary(text: str) -> tuple[str, int]:
    """Return the first sentence of a page's opening comment, and its number of lines if that is all of it (else 0)."""
    opening = list(itertools.takewhile(lambda line: re.match(r"# *\S", line), _lines(text)))
    whole = " ".join(line.strip("# ") for line in opening)
    sentence = re.split(r"(?<=\.) (?=[A-Z])", whole, maxsplit=1)[0]
    return sentence, len(opening) if sentence == whole else 0


def _lines(text: str) -> list[str]:
    """Return a page's lines but for the one that only Hydra reads."""
    return [line for line in text.splitlines() if not re.match(r"# *@package", line)]


def _body(text: str) -> str:
    """Return a YAML page without its defaults list, and without an opening comment that `_summary` gives in full."""
    kept = []
    inside = False
    for line in _lines(text)[_summary(text)[1] :]:
        inside = line.startswith("defaults:") or (inside and line[:1] in (" ", "-"))
        if not inside:
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def _blocks(body: str) -> list[str]:
    """Return the top-level keys of a page, each with the comment above it and the lines below it."""
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

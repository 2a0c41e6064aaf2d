"""The identity of a run: the values of its keys, which name its folder and decide whether a run can be resumed.

A key is part of the identity unless its config page says otherwise, by a comment on the key's own line. `UNNAMED`:
where data lies, how the work is spread over devices, or what is done with a finished model. `CHANGEABLE`: the key names
the folder, but its value may change on a run that exists (which `name=` or `output=` gives), since what was trained
then goes on or is trained anew. On a group of keys or an entry of the defaults list, the comment counts for all in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechrnn.cli import help

UNNAMED = "not part of the run's identity"
CHANGEABLE = "may change on a run that exists"
RUN_KEYS = frozenset({"name", "output", "restart"})  # what Run itself reads
NUMBER = r"[+]?(-?)(?=[.]?\d)(\d*[.]?\d*)(?:([eE])[+]?(-?\d+))?(?![\w.])"
LONGEST = 120  # bytes of a folder's name; file systems stop at 255, and a few suffixes shall fit


def excluded_keys(recipe: str, root: Path | None = None) -> frozenset[str]:
    """Return the keys of a recipe that are not part of a run's identity; a group of keys stands for all in it.

    Args:
        root: the folder with conf/ and recipes/; None for the one that came with this package.

    >>> sorted(key for key in excluded_keys("food_chain"))
    ['name', 'output', 'restart']
    """
    return RUN_KEYS | _marked(recipe, UNNAMED, root)


def changeable_keys(recipe: str, root: Path | None = None) -> frozenset[str]:
    """Return the keys of a recipe that may change on a run that exists; a group of keys stands for all in it.

    Args:
        root: the folder with conf/ and recipes/; None for the one that came with this package.

    >>> "trainer.epochs" in changeable_keys("speech_to_text")
    True
    """
    return _marked(recipe, CHANGEABLE, root)


def default_values(recipe: str, root: Path | None = None) -> dict[str, list[Any]]:
    """Return the values that the config pages of a recipe give to each key, those of experiments left out.

    Args:
        root: the folder with conf/ and recipes/; None for the one that came with this package.

    >>> default_values("speech_to_text")["trainer.intermediate_weight"]
    [0.3]
    """
    found: dict[str, list[Any]] = {}
    known = help.recipes(root or help.root()).get(recipe)
    for path, place in help.pages(known.config) if known is not None else []:
        if "@package _global_" not in path.read_text(encoding="utf-8"):
            for key, value in help.key_values(path, place):
                found.setdefault(key, []).append(value)
    return found


def _marked(recipe: str, mark: str, root: Path | None) -> frozenset[str]:
    """Return the keys of a recipe that its pages mark."""
    found: set[str] = set()
    known = help.recipes(root or help.root()).get(recipe)
    for path, place in help.pages(known.config) if known is not None else []:
        text = path.read_text(encoding="utf-8")
        if mark in text:
            found.update(f"{place}.{key}".lstrip(".") for key in marked_keys(text, mark))
    return frozenset(found)


def marked_keys(text: str, mark: str = UNNAMED) -> list[str]:
    """Return the keys of a YAML page whose line ends with a comment, by their dotted names.

    >>> marked_keys("a: 1\\nb:  # not part of the run's identity\\n  c: 2\\n")
    ['b']
    """
    import yaml

    lines = text.splitlines()
    marked = [number for number, line in enumerate(lines) if mark in line.partition("#")[2]]

    def keys(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = str(key.value)
                if prefix == "" and name == "defaults":
                    for entry in value.value:
                        yield from keys(entry, "")
                    continue
                # In the defaults list: the place of a group's keys, as in `tokenizer@prediction.tokenizer`.
                yield prefix + name.rpartition("@")[2], key.start_mark.line
                yield from keys(value, f"{prefix}{name}.")

    return [key for key, line in keys(yaml.compose(text), "") if line in marked]


def run_name(overrides: Sequence[str], excluded: Collection[str] = RUN_KEYS) -> str:
    """Return the name of a run's folder: the overrides of its identity, sorted by key; "default" without any.

    It has no character with a special meaning in a file system, a shell or an override (`model=outputs/...`), and is
    shortened with a hash of the whole where it would be too long.

    >>> run_name(["seed=2", "output=/data", "acoustic.layers=4"])
    'acoustic.layers-4+seed-2'
    """
    parts = {}
    for override in overrides:
        key, given, value = override.lstrip("+").partition("=")
        group, at, place = key.partition("@")
        if not is_part(place if at and place != "_global_" else group.lstrip("~"), excluded):
            continue
        if place == "_global_":  # chosen by the name of its folder: experiment/speech_to_text@_global_=an4
            key = group.partition("/")[0]
        key = f"no-{key[1:]}" if key.startswith("~") else key
        parts[key] = f"{_plain(key)}-{_plain_value(value)}" if given else _plain(key)
    name = "+".join(parts[key] for key in sorted(parts))
    if len(name.encode()) <= LONGEST:
        return name or "default"
    return f"{name.encode()[: LONGEST - 11].decode(errors='ignore')}-{_digest(name)}"


def differences(
    earlier: Mapping[str, Any],
    now: Mapping[str, Any],
    excluded: Collection[str],
    defaults: Mapping[str, Sequence[Any]] | None = None,
) -> list[str]:
    """Return what differs between two configurations in keys of the identity, a phrase for each key.

    Args:
        excluded: keys that may differ.
        defaults: values of keys that did not exist yet when the earlier configuration was written.

    >>> differences({"units": 8, "name": "a"}, {"units": 9, "name": "b"}, {"name"})
    ['units was 8 and is now 9']
    """
    unset = object()
    before, after = flat(earlier), flat(now)
    return [
        f"{key} was {_shown(before, key)} and is now {_shown(after, key)}"
        for key in dict.fromkeys([*after, *before])
        if before.get(key, unset) != after.get(key, unset)
        and is_part(key, excluded)
        and not (key not in before and _is_default(after[key], (defaults or {}).get(key, ())))
    ]


def is_part(key: str, excluded: Collection[str]) -> bool:
    """Return whether a key is part of the identity: neither it nor a group around it is excluded."""
    parts = key.split(".")
    return not any(".".join(parts[:end]) in excluded for end in range(1, len(parts) + 1))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys.

    >>> flat({"acoustic": {"layers": 3}})
    {'acoustic.layers': 3}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def _is_default(value: Any, defaults: Sequence[Any]) -> bool:
    """Return whether a value is among the defaults of its key; a reference to another key may have any value."""
    return any(value == default or (isinstance(default, str) and "${" in default) for default in defaults)


def _plain_value(value: str) -> str:
    """Return a value as a part of a folder's name; what the name cannot show is told apart by a hash."""
    written = re.sub(rf"(?<![\w.+-]){NUMBER}", _number, value)
    written = re.sub(r"(?i)(?<![^\[,])(true|false|null)(?![^\],])", lambda match: match[0].lower(), written)
    name = _plain(written)
    return name if _is_shown(written) else f"{name}-{_digest(value)[:6]}".lstrip("-")


def _is_shown(value: str) -> bool:
    """Return whether a name shows a value: a plain word, or a list of numbers and of words without a hyphen."""
    listed = re.fullmatch(r"\[([^\[\]]*)\]", value)
    items = listed[1].split(",") if listed else [value]
    if any(not item or item != _plain(item) for item in items):  # quotation marks, spaces, where a path starts, /
        return False
    return not (listed and any("-" in item and not re.fullmatch(NUMBER, item) for item in items))


def _number(match: re.Match[str]) -> str:
    """Write a number without a plus sign and with a digit before the point: .1 is 0.1, 1e+3 is 1e3."""
    sign, digits, exponent, power = match.groups()
    return f"{sign}{'0' if digits.startswith('.') else ''}{digits.rstrip('.')}{f'e{power}' if exponent else ''}"


def _plain(text: str) -> str:
    text = re.sub(r"[\[\]{}()'\"]", "", text)
    text = re.sub(r"^(?:(?:~|\.{1,2})?/)+", "", text)  # where a path starts
    return re.sub(r"[^\w.-]+", "-", text).strip(".").rstrip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "unset"
    value = values[key]
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

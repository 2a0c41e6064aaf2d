"""Tab completion in bash: recipes, keys, the options of groups, and paths.

`eval "$(speechrnn -sc install=bash)"` in a shell, or in ~/.bashrc, switches it on. Nothing here imports Hydra, so that
the answer comes at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from speechrnn.cli import help
from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user

# Bash takes "=" for the end of a word, which would hide the key of a value.
SCRIPT = r"""_speechrnn_completion() {
    local IFS=$'\n'
    COMPREPLY=($(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -F _speechrnn_completion speechrnn"""


def complete(line: str, root: Path) -> list[str]:
    """Return the words that may stand in place of the last one of a command line.

    Args:
        line: the command line up to the cursor, "speechrnn" included.
        root: the folder with conf/ and recipes/.

    >>> complete("speechrnn text_pre", help.root())
    ['text_prediction ']
    >>> complete("speechrnn transcribe decoding=b", help.root())
    ['decoding=beam ']
    """
    found: Iterable[str]
    words = line.split()
    current = "" if not words or line[-1:].isspace() else words.pop()
    recipes = help.recipes(root)
    if len(words) <= 1:
        found = (f"{name} " for name in recipes)
    elif words[1] not in recipes:
        found = ()
    else:
        key, equals, value = current.partition("=")
        given = dict(word.partition("=")[::2] for word in words[2:])
        found = _values(recipes[words[1]], key, value) if equals else _keys(recipes[words[1]], given)
    return sorted({word for word in found if word.startswith(current)})


def _keys(recipe: help.Recipe, given: Mapping[str, str]) -> Iterator[str]:
    """Yield the keys of a recipe, each with "=": of its primary config, its groups and the chosen pages."""
    yield from (f"{key}=" for key, _ in help.key_values(recipe.config, ""))
    for group in help.groups(recipe.config):
        yield f"{group.key}="
        chosen = given.get(group.key, group.chosen)
        pages = [group.options[chosen]] if chosen in group.options else group.options.values()
        if group.prefix:
            yield from (f"{key}=" for page in pages for key, _ in help.key_values(page, group.prefix))


def _values(recipe: help.Recipe, key: str, value: str) -> Iterator[str]:
    """Yield KEY=VALUE for each value that a key may have: options of a group, true and false, or paths."""
    group = next((group for group in help.groups(recipe.config) if group.key == key), None)
    if group is not None:
        yield from (f"{key}={option} " for option in group.options)
        return
    defaults = dict(help.key_values(recipe.config, ""))
    if isinstance(defaults.get(key), bool):
        yield from (f"{key}={choice} " for choice in ("true", "false"))
        return
    before, opening, start = value.rpartition("[") if value.startswith("[") else ("", "", value)
    list_before, comma, start = start.rpartition(",") if opening else ("", "", start)
    folder = Path(start) if start.endswith("/") else Path(start).parent
    shown = start.rpartition("/")[0] + "/" if "/" in start else ""
    try:
        entries = sorted(expand_user(folder).iterdir())
    except (OSError, UserError):
        return
    for entry in entries:
        if not entry.name.startswith(".") or start.rpartition("/")[2].startswith("."):
            yield f"{key}={before}{opening}{list_before}{comma}{shown}{entry.name}{'/' if entry.is_dir() else ''}"

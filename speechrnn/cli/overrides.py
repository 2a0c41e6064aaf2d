"""Command-line overrides: quoted for Hydra's grammar, and their mistakes described in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechrnn.cli.help import Group, groups, key_values
from speechrnn.core.config import nearest, one_of, unknown_key
from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

SINGLE_INPUTS = ("input", "prompt")  # keys of recipes that take one input: listen and generate
KEY = re.compile(r"(\+\+|\+|~)?[A-Za-z_][\w./@$-]*", re.ASCII)  # what Hydra takes before the "="


def repair(arguments: Sequence[str]) -> list[str]:
    """Return the same overrides, quoted where Hydra's grammar needs it, `~/` expanded.

    Paths may hold any characters: `inputs=[take (1).wav,a=b.wav]` and `corpus.root=/data/мова` are taken literally.
    What Hydra can read is left as it is.

    Raises:
        UserError: no KEY=VALUE, or a value that could mean several things (with advice on how to quote it).

    >>> repair(["seed=1", "inputs=[take (1).wav,b.wav]"])
    ['seed=1', "inputs=['take (1).wav',b.wav]"]
    """
    repaired = []
    for argument in arguments:
        try:
            repaired.append(_repair_one(argument))
        except RecursionError:
            key = argument.partition("=")[0]
            raise UserError(f"The value of {key} has too many brackets within brackets.") from None
    return repaired


def name_inputs(arguments: Sequence[str], recipe: str, conf: Path) -> list[str]:
    """Return the arguments with those that are no KEY=VALUE gathered in `inputs=[...]`, for a recipe with that key.

    The single input of another recipe becomes `input=...` or `prompt=...`. A path with a "=" in it is an input where
    what stands before is no key: `./a=b.wav`, `https://host/talk.mp3?take=2`.

    Raises:
        UserError: inputs are given in both ways, or several to a recipe that takes one.

    >>> from speechrnn.cli.help import root
    >>> name_inputs(["talk 1.mp3", "device=cpu", "calls/"], "transcribe", root() / "conf")
    ['device=cpu', "inputs=['talk 1.mp3','calls/']"]
    """
    import yaml

    keys = yaml.safe_load((conf / f"{recipe}.yaml").read_text(encoding="utf-8")) or {}
    name = next((name for name in ("inputs", *SINGLE_INPUTS) if name in keys), None)
    inputs = [argument for argument in arguments if name is not None and _is_input(argument, keys)]
    if not inputs:
        return list(arguments)
    rest = [argument for argument in arguments if not _is_input(argument, keys)]
    given = next((argument for argument in rest if argument.startswith(f"{name}=")), None)
    if given is not None and given.startswith("inputs=[") and not given.endswith("]"):
        return list(arguments)  # a list with a space in it: `repair` reports it
    if given is not None:
        raise UserError(f"Inputs are given twice, as {inputs[0]} and by {name}=: name them all in one way.")
    if name in SINGLE_INPUTS and len(inputs) > 1:
        raise UserError(
            f"{recipe} takes one {name}, but {' and '.join(map(repr, inputs[:2]))} are given: quote a text with "
            "spaces as a whole, and write everything else as KEY=VALUE."
        )
    from hydra.core.override_parser.types import Quote, QuotedString

    items = (QuotedString(text=item, quote=Quote.single).with_quotes() for item in inputs)
    return [*rest, f"{name}={next(items)}" if name in SINGLE_INPUTS else f"inputs=[{','.join(items)}]"]


def _is_input(argument: str, keys: Mapping[str, Any]) -> bool:
    """Return whether an argument names an input of a recipe with these top-level keys."""
    key, equals, _ = argument.partition("=")
    name = key.strip().lstrip("+~").partition(".")[0]
    if not equals:
        return not (key.startswith("~") and name in keys)
    return name not in keys and (not KEY.fullmatch(key) or ("/" in key and Path(argument).exists()))


def spell_out(overrides: Sequence[str], recipe: str, conf: Path) -> list[str]:
    """Return the same overrides with Hydra's full names of keys.

    A page is chosen by the place of its keys: `prediction.tokenizer=word` becomes
    `tokenizer@prediction.tokenizer=word`, and `experiment=an4` `experiment/speech_to_text@_global_=an4`. And where a
    key of the recipe is a group with a key `files`, as `text` of `evaluate`, KEY=FILE is short for KEY.files=FILE.
    """
    import yaml

    primary = conf / f"{recipe}.yaml"
    names = {group.key: group.name for group in groups(primary)}
    keys = yaml.safe_load(primary.read_text(encoding="utf-8")) or {}

    def full(key: str, rest: str) -> str:
        if rest and isinstance(keys.get(key), dict) and "files" in keys[key]:
            return f"{key}.files{rest}"
        return f"{names.get(key, key)}{rest}"

    return [full(key, equals + value) for key, equals, value in (override.partition("=") for override in overrides)]


def check(overrides: Sequence[str], recipe: str, conf: Path, multirun: bool) -> None:
    """Check overrides without composing: for unknown options of groups, and for commas without brackets.

    Hydra itself ignores the first where a group is optional.

    Raises:
        UserError: names the override and the nearest valid option.
    """
    named = {group.name: group for group in groups(conf / f"{recipe}.yaml")}
    for override in _parse(overrides):
        text = str(override.input_line)
        if override.is_sweep_override() and not multirun:
            key, _, several = text.partition("=")
            raise UserError(
                f"{text} names several values: write a list as {key}=[{several}], text with a comma as "
                f"\"{key}='{several}'\", or add --multirun to try one value after the other."
            )
        if override.is_delete() and not override.is_hydra_override():
            raise UserError(f"{text} would remove a key that the recipe reads: give it another value.")
        group = named.get(_full_key(override))
        if group is None:
            continue
        for value in override.sweep_string_iterator() if override.is_sweep_override() else [override.value()]:
            option = "null" if value is None else str(value)
            if option not in group.options:
                near = nearest(option, group.options)
                several = f"none of the options of {group.key} ({', '.join(group.options)})"
                only = f"no option of {group.key}, which has only {next(iter(group.options))}"
                raise UserError(
                    f"{group.key}={option} is {several if len(group.options) > 1 else only}"
                    + (f"; did you mean {near[0]}?" if near else ".")
                )


def compose(overrides: Sequence[str], recipe: str, conf: Path) -> DictConfig:
    """Return the configuration that the recipe would get, resolved.

    Raises:
        UserError: see `explain` and `resolve`.
    """
    import hydra
    from hydra.errors import HydraException

    overrides = spell_out(overrides, recipe, conf)
    try:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(conf)):
            config = hydra.compose(recipe, overrides=list(overrides))
    except HydraException as error:
        raise UserError(explain(error, overrides, recipe, conf=conf)) from error
    resolve(config, recipe)
    return config


def explain(error: Exception, overrides: Sequence[str], recipe: str, conf: Path) -> str:
    """Return Hydra's reason for not composing a configuration, as one sentence with the nearest valid key."""
    named = {group.name: group for group in groups(conf / f"{recipe}.yaml")}
    unchosen = re.match(r"You must specify '([^']+)'", str(error))
    if unchosen and unchosen[1] in named:
        key, options = named[unchosen[1]].key, list(named[unchosen[1]].options)
        return f"{key} is not chosen: add {key}=OPTION, {one_of(options)}."
    valid = [*(group.key for group in named.values()), *named, *_all_keys(overrides, recipe, conf)]
    for override in _parse(overrides):
        key = _full_key(override)
        if override.is_hydra_override():
            continue
        if override.is_add() and key in valid:
            return f"{key} exists already: write {str(override.input_line).lstrip('+')}, without the plus sign."
        if not override.is_add() and not override.is_force_add() and key not in valid:
            chosen = dict(override.partition("=")[::2] for override in overrides)
            return _of_another_option(key, valid, named.values(), chosen=chosen) or unknown_key(key, valid)
    reasons = [
        line.strip() for cause in (error, error.__cause__) if cause is not None for line in str(cause).splitlines()
    ]
    return f"The configuration of {recipe} cannot be composed: {'; '.join(line for line in reasons if line)}."


def resolve(config: DictConfig, recipe: str) -> None:
    """Resolve what refers to other keys, in place.

    Raises:
        UserError: a mandatory key without a value, or a reference to nothing.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        if missing := sorted(OmegaConf.missing_keys(config)):
            say = " ".join(f"{key}=VALUE" for key in missing)
            if missing == ["inputs"]:  # the key that `name_inputs` makes of arguments without a "="
                raise UserError(
                    f"No inputs are given: name files or folders, as in speechrnn {recipe} talk.mp3 calls "
                    f"(speechrnn {recipe} --help explains each key)."
                )
            raise UserError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: add {say} "
                f"(speechrnn {recipe} --help explains each key)."
            )
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{error.full_key} cannot be resolved: {reason}.") from error


def _of_another_option(
    key: str, valid: Sequence[str], groups: Iterable[Group], chosen: Mapping[str, str]
) -> str | None:
    """Return a sentence for a key that only other options of its group have, or one with a name like it.

    Args:
        valid: the keys with the options that are chosen.
        chosen: values of overrides by key.
    """
    places: dict[str, tuple[Group, list[str]]] = {}
    for group in groups:
        for option, page in group.options.items() if group.prefix else ():
            for name, _ in key_values(page, group.prefix):
                places.setdefault(name, (group, []))[1].append(option)
    near = [] if key in places or nearest(key, valid) else nearest(key, places)
    if key not in places and not near:
        return None
    group, options = places[near[0] if near else key]
    needed = f"{group.key}={options[0]}"
    if near:
        return f"No key {key}; did you mean {near[0]}, a key of {needed}?"
    several = " or ".join(f"{group.key}={option}" for option in options)
    now = chosen.get(group.name, group.chosen)
    return f"{key} is a key of {several}, and {group.key} is {now or 'null'}: add {needed}."


def _repair_one(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if not KEY.fullmatch(key):
        raise UserError(
            f"{argument!r} is not KEY=VALUE: keys are plain words with dots between, without spaces around the '='."
            if equals
            else f"{argument!r} is not KEY=VALUE; an argument with spaces in it must be quoted as a whole."
        )
    if _readable(argument):
        return argument
    if not equals:
        raise UserError(f"{argument} stands alone, but every argument is KEY=VALUE; --help explains the keys.")
    repaired = f"{key}={_repair_value(value, argument)}"
    if not _readable(repaired):
        raise UserError(f"{argument} cannot be read: keys are plain words with dots between, as in a.key=VALUE.")
    return repaired


def _repair_value(value: str, argument: str) -> str:
    if _readable(f"key={value}"):
        return value
    if value[:1] == "[":
        if value[-1] != "]":
            raise UserError(
                f"The list in {argument} is not closed: quote it as a whole, as in 'inputs=[a b.wav,c.wav]'."
            )
        return f"[{','.join(_repair_value(item.strip(), argument) for item in _items(value[1:-1]))}]"
    if value[:1] in ("{", "'", '"'):
        raise UserError(f"The value in {argument} cannot be read: a bracket or quotation mark is not closed.")
    if value.startswith("~/"):
        value = str(expand_user(value))
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text=value, quote=Quote.single).with_quotes()


def _items(text: str) -> list[str]:
    """Split a list's text at the commas that are not within quotes or brackets of their own."""
    items = [""]
    quote = ""
    depth = 0
    for index, letter in enumerate(text):
        # A quotation mark opens a quoted item only at its start: in it's.wav it is a letter.
        if letter in "'\"" and (letter == quote or (not quote and not items[-1].strip())):
            quote = "" if quote and text[index - 1] != "\\" else letter
        depth += 0 if quote else (letter in "[{(") - (letter in "]})")
        if letter == "," and not quote and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return [item for item in items if item.strip()]


def _full_key(override: Override) -> str:
    return str(override.key_or_group) + (f"@{override.package}" if override.package else "")


def _readable(argument: str) -> bool:
    from hydra.errors import HydraException

    try:
        _parse([argument])
    except (HydraException, ValueError):  # Python refuses to read whole numbers of thousands of digits
        return False
    return True


def _parse(overrides: Sequence[str]) -> list[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_overrides(list(overrides))


def _all_keys(overrides: Sequence[str], recipe: str, conf: Path) -> list[str]:
    """Return the keys that the recipe has with the group options that these overrides choose."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    named = groups(conf / f"{recipe}.yaml")
    chosen = {
        _full_key(override): str(override.input_line)
        for override in _parse(overrides)
        if not override.is_sweep_override() and _full_key(override) in {group.name for group in named}
    }
    # Where a choice is still to be made, one option's keys are as good as another's.
    first = {group.name: f"{group.name}={next(iter(group.options))}" for group in named if group.chosen == "???"}
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(conf)):
        for choice in ({**first, **chosen}, first):  # the second where options do not go together
            try:
                config = OmegaConf.to_container(hydra.compose(recipe, overrides=list(choice.values())))
                return _keys(config) if isinstance(config, dict) else []
            except HydraException:
                continue
    return []


def _keys(values: Mapping[Any, Any], prefix: str = "") -> list[str]:
    """Return all keys of a configuration, inner ones too: acoustic, acoustic.layers, ..."""
    keys = []
    for name, value in values.items():
        keys.append(f"{prefix}{name}")
        if isinstance(value, Mapping):
            keys += _keys(value, f"{prefix}{name}.")
    return keys

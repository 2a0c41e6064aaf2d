"""Build the frozen dataclasses that the library works with from config mappings, every key and value checked."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from speechrnn.core.errors import UserError
from speechrnn.core.files import expand_user

T = TypeVar("T")


SHOWN = 200  # most characters of a value in a message


class _WrongValueError(Exception):
    """A value that does not fit; `needed` completes the sentence "KEY=VALUE is wrong: it must be ..."."""

    def __init__(self, needed: str, meant: str | None = None) -> None:
        super().__init__(needed)
        self.meant = meant


def build(cls: type[T], mapping: Mapping[str, Any] | None, key: str) -> T:
    """Make the dataclass `cls` from a part of the configuration.

    Whole numbers are taken for floats (and 1e3 for a whole number), numbers for text (a run may be called 7),
    lists become tuples where the field is a tuple, and mappings become nested dataclasses. A field may carry
    `metadata={"min": ..., "max": ...}` (both inclusive; for a tuple, of each item). Nothing else is guessed:
    "yes" is not true, "3" is not 3. Numbers are finite, and whole ones fit into 64 bits.

    Args:
        cls: a dataclass whose fields are int, float, bool, str, Path, None, Literal, other dataclasses, or
            optionals, unions, tuples, lists and string-keyed mappings of these.
        mapping: a dict or an OmegaConf node; None stands for "all defaults".
        key: where the mapping stands in the configuration ("acoustic"), for messages; "" at the top.

    Raises:
        UserError: an unknown key (names the nearest valid one), a missing key, a value of a wrong type, outside
            its choices or outside its range.

    >>> from dataclasses import dataclass, field
    >>> @dataclass(frozen=True)
    ... class Layers:
    ...     count: int = field(default=3, metadata={"min": 1})
    >>> build(Layers, {"count": 2}, "layers")
    Layers(count=2)
    >>> build(Layers, {"count": 0}, "layers")
    Traceback (most recent call last):
    ...
    speechrnn.core.errors.UserError: layers.count=0 is wrong: it must be at least 1, such as layers.count=3.
    """
    if hasattr(mapping, "_metadata"):  # an OmegaConf node; omegaconf itself is not imported
        from omegaconf import OmegaConf

        mapping = OmegaConf.to_container(mapping, resolve=True)  # type: ignore[assignment]
    if mapping is None:
        mapping = {}
    if not isinstance(mapping, Mapping):
        raise UserError(f"{_shown(key, mapping)} is wrong: {key or 'the configuration'} must be a group of keys.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in mapping:
        if name not in fields:
            raise UserError(unknown_key(_join(key, name), [_join(key, field) for field in fields]))
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        path = _join(key, name)
        default = _default(field)
        if name not in mapping:
            if default is dataclasses.MISSING:
                raise UserError(f"{path} is not set: give {path}=VALUE ({_describe(hints[name])}).")
            continue
        try:
            value = _convert(hints[name], mapping[name], path)
            _check_range(value, field.metadata, path)
        except _WrongValueError as wrong:
            no_example = default in (dataclasses.MISSING, None, "") or dataclasses.is_dataclass(default)
            end = "." if no_example else f", such as {_shown(path, default)}."
            if wrong.meant is not None:
                end = f"; did you mean {path}={wrong.meant}?"
            raise UserError(f"{_shown(path, mapping[name])} is wrong: it must be {wrong}{end}") from None
        values[name] = value
    try:
        return cls(**values)
    except ValueError as error:  # a dataclass may check combinations of its fields
        raise UserError(f"{key or cls.__name__}: {error}") from error


def options_from(config: Mapping[str, Any], cls: type[T]) -> T:
    """Build the options record `cls` from the keys of a recipe's configuration that are its fields.

    Other keys belong to other records.

    Raises:
        UserError: see `build`.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Export:
    ...     format: str
    >>> options_from({"format": "onnx", "name": "a run"}, Export)
    Export(format='onnx')
    """
    if hasattr(config, "_metadata"):  # an OmegaConf node
        from omegaconf import OmegaConf

        config = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    names = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
    return build(cls, {name: config[name] for name in names if name in config}, "")


def check_choice(key: str, value: object, *choices: str) -> None:
    """Raise UserError unless `value` is one of the choices; `key` names it in the message.

    >>> check_choice("cell", "lstm", "lstm", "gru")
    """
    if value not in choices:
        raise UserError(f"{key} is {value!r}; choose {one_of(choices)}.")


def nearest(word: str, choices: Iterable[str]) -> list[str]:
    """Return the choices that are nearest to `word`, best first; none when nothing is near.

    A key counts as near when its last part is right.

    >>> nearest("layers", ["acoustic.layers", "corpus.root"])
    ['acoustic.layers']
    """
    leaf = word.rsplit(".", 1)[-1].lower()
    scored = []
    for choice in dict.fromkeys(choices):
        ratio = difflib.SequenceMatcher(None, word.lower(), choice.lower()).ratio()
        last = difflib.SequenceMatcher(None, leaf, choice.rsplit(".", 1)[-1].lower()).ratio()
        # A long correct prefix does not compensate for a last part that is a different word.
        if last >= 0.8 or (ratio >= 0.6 and last >= 0.5):
            scored.append((round(max(ratio, 0.9 * last), 3), choice))
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    if not scored:
        return []
    best = scored[0][0]
    return [choice for score, choice in scored[:3] if score >= best - 0.02]


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return the end of a sentence: "; did you mean X?", or "." when nothing is near.

    >>> did_you_mean("gru2", ["lstm", "gru"])
    '; did you mean gru?'
    """
    near = nearest(word, choices)
    return f"; did you mean {' or '.join(near)}?" if near else "."


def unknown_key(key: str, valid: Sequence[str]) -> str:
    """Return the sentence for a key that does not exist, with the nearest valid one, or all when they are few.

    >>> unknown_key("layerz", ["layers", "units"])
    'No key layerz; did you mean layers?'
    """
    if nearest(key, valid) or not valid:
        return f"No key {key}{did_you_mean(key, valid)}"
    if len(valid) > 12:
        return f"No key {key}, nor one with a name like it; --help lists every key."
    return f"No key {key}; the keys there are {', '.join(valid)}."


def one_of(choices: Sequence[str]) -> str:
    """Return the choices as a part of a sentence.

    >>> one_of(["lstm", "gru"]), one_of(["onnx"])
    ('one of lstm, gru', 'onnx')
    """
    return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"


def _convert(hint: Any, value: Any, key: str) -> Any:
    """Return `value` as the type `hint`; raise _WrongValueError, or UserError from a nested group."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, key)
    if origin is Literal:
        for choice in arguments:
            # The type is compared too, because True == 1. A user types precision=32 for the choice "32".
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if (type(value) is type(choice) and value == choice) or (is_number and _text(value) == choice):
                return choice
        names = [_text(choice) for choice in arguments]
        near = nearest(_text(value), names)
        raise _WrongValueError(one_of(names), near[0] if near else None)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast(type, hint)):
            return value  # a record that was made in Python
        return build(typing.cast(type, hint), value if isinstance(value, Mapping) else _refuse(hint), key)
    if origin in (tuple, list, Sequence):
        return _convert_items(hint, origin, arguments, value=value, key=key)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            _refuse(hint)
        return {str(name): _convert(arguments[1], item, _join(key, str(name))) for name, item in value.items()}
    return _convert_scalar(hint, value)


def _convert_scalar(hint: Any, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint in (None, type(None)) and value is None:
        return None
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and is_number and -(2**63) <= value < 2**63 and value == int(value):
        return int(value)
    if hint is float and is_number and -sys.float_info.max <= value <= sys.float_info.max:
        return float(value)
    if hint is str and (isinstance(value, str) or (is_number and not _is_huge(value))):
        return str(value)
    if hint is Path and isinstance(value, (str, Path)) and str(value) and "\0" not in str(value):
        try:
            return expand_user(value)
        except UserError:
            raise _WrongValueError("a path, with ~ only before a user of this machine") from None
    return _refuse(hint)


def _convert_union(members: tuple[Any, ...], value: Any, key: str) -> Any:
    if value is None and type(None) in members:
        return None
    # The member of the value's own type first, so that 3 stays 3 under `str | int`.
    needs, meant = [], None
    for member in sorted(members, key=lambda member: type(value) is not member):
        try:
            return _convert(member, value, key)
        except _WrongValueError as wrong:
            needs.append(str(wrong))
            meant = meant or wrong.meant
    raise _WrongValueError(" or ".join(sorted(needs, key=lambda need: need == "null")), meant)


def _convert_items(hint: Any, origin: Any, arguments: tuple[Any, ...], value: Any, key: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise _WrongValueError(_describe(hint), _as_list(hint, origin, arguments, value=value, key=key))
    if origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            _refuse(hint)
        items = [_convert(member, item, key) for member, item in zip(arguments, value, strict=True)]
    else:
        try:
            items = [_convert(arguments[0], item, key) for item in value]
        except _WrongValueError as wrong:
            raise _WrongValueError(f"a list [...], each item {wrong}") from None
    return items if origin is list else tuple(items)


def _as_list(hint: Any, origin: Any, arguments: tuple[Any, ...], value: Any, key: str) -> str | None:
    """Return the list with a value as its only item, as a user types it, where that list is valid; else None."""
    try:
        _convert_items(hint, origin, arguments, value=[value], key=key)
    except (_WrongValueError, UserError):
        return None
    text = _text([value])
    return text if text.isprintable() and len(text) <= SHOWN else None


def _check_range(value: Any, limits: Mapping[str, Any], key: str) -> None:
    low, high = limits.get("min"), limits.get("max")
    for item in value if isinstance(value, (tuple, list)) else [value]:
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            continue
        if (low is not None and item < low) or (high is not None and item > high):
            bounds = [f"at least {low}"] if low is not None else []
            bounds += [f"at most {high}"] if high is not None else []
            each = "a list [...], each item " if isinstance(value, (tuple, list)) else ""
            raise _WrongValueError(each + " and ".join(bounds))


def _refuse(hint: Any) -> Any:
    raise _WrongValueError(_describe(hint))


def _describe(hint: Any) -> str:
    """Return a phrase for the values of the type `hint`."""
    names: dict[Any, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        Path: "a path",
        type(None): "null",
    }
    if hint in names:
        return names[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(member) for member in arguments)
    if origin is Literal:
        return one_of([_text(choice) for choice in arguments])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)}: [{', '.join(_describe(member) for member in arguments)}]"
    if origin in (tuple, list, Sequence):
        return f"a list [...], each item {_describe(arguments[0])}"
    return "a group of keys"


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else str(name)


def _shown(key: str, value: Any) -> str:
    """Return KEY=VALUE as a user types it, on one line and short enough for a message."""
    text = _text(value)
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return f"{key or 'configuration'}={text}"


def _is_huge(value: Any) -> bool:
    """Return whether Python refuses to write a number in digits."""
    return isinstance(value, int) and abs(value) >= 10**4000


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_text(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text(item)}" for name, item in value.items()) + "}"
    if _is_huge(value):
        return "a number of thousands of digits"
    return str(value)

"""Model directories: `model.safetensors` holds the weights, `model.json` all else that is needed to use them.

Loading never executes code from a file: tensors are read by safetensors, the rest is plain JSON, and the kind of
model is a name that this package knows. Both files may be damaged or made by somebody else: each field is checked, and
the sizes in the description are compared with the tensors before a model of these sizes is built. The description has
digests of the weights and of itself, since a flipped bit usually leaves finite numbers, but changes the words that are
recognised.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
from torch import Tensor

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.core.model_names import DESCRIPTION, WEIGHTS, find_model_directory, is_shipped
from speechrnn.nn.quantisation import WeightFormat, pack_weights, unpack_weights
from speechrnn.text.normalisation import model_normalisation, stores_normalisation
from speechrnn.text.tokenizers import Tokenizer, tokenizer_from_json
from speechrnn.version import __version__

FORMAT = "weights"  # key of the description: the format of the weights, where it is not float32
DIGESTS = "digests"  # key of the description: SHA-256 of each file; those of older versions have none
LARGEST = 1e10  # of a weight; the outputs of a network with larger ones overflow
NO_DIGEST = b"0" * 64
OptionsT = TypeVar("OptionsT")


def save_model(
    folder: str | Path,
    kind: str,
    description: dict[str, Any],
    weights: dict[str, Tensor],
    weight_format: WeightFormat = "float32",
) -> None:
    """Write a model directory; the description is written last, so that a directory with a description is whole.

    Both files are replaced only when both are on the disk, and the old description is removed before.

    >>> save_model("models/mine", "acoustic", {"training": {}}, model.state_dict())  # doctest: +SKIP

    Args:
        folder: the directory; it is made.
        kind: "acoustic" or "language".
        description: JSON values: architecture, front end, alphabet, training summary. Numbers that are not finite are
            written as null, since JSON has none.
        weights: the model's `state_dict()`.
        weight_format: in which the matrices are stored; `load_model` reads each as float32.

    Raises:
        UserError: the directory cannot be written, or a weight is too large for the format.
    """
    from safetensors.torch import save

    folder = Path(folder)
    versions = {"speechrnn": __version__, "torch": torch.__version__}
    own = {key: value for key, value in description.items() if key not in (FORMAT, DIGESTS)}
    stored = {} if weight_format == "float32" else {FORMAT: weight_format}
    contents = _without_nonfinite({"kind": kind, **own, **stored, "versions": versions})
    try:
        packed = save(pack_weights(weights, weight_format))
    except ValueError as error:
        raise UserError(f"Cannot write {folder / WEIGHTS}: {error}; choose weights=float32.") from error
    # Of the description, the digest is that of its file with zeros in the place of the digest.
    contents[DIGESTS] = {WEIGHTS: hashlib.sha256(packed).hexdigest(), DESCRIPTION: NO_DIGEST.decode()}
    text = json.dumps(contents, indent=2, ensure_ascii=False, allow_nan=False).encode()
    before, _, after = text.rpartition(NO_DIGEST)
    with atomic_write(folder / DESCRIPTION, "wb") as file:
        file.write(before + hashlib.sha256(text).hexdigest().encode() + after)
        file.flush()
        os.fsync(file.fileno())
        with atomic_write(folder / WEIGHTS, "wb") as weights_file:
            weights_file.write(packed)
            weights_file.flush()
            os.fsync(weights_file.fileno())
            (folder / DESCRIPTION).unlink(missing_ok=True)


def load_model(folder: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a model directory.

    >>> description, weights = load_model("outputs/demo/acoustic", "acoustic")  # doctest: +SKIP

    Args:
        folder: the directory, or the name of a model; see `find_model`.
        kind: the kind of model that is needed.

    Returns:
        the description (`model.json`) and the weights by name, float32 whatever format they are stored in.

    Raises:
        UserError: the directory or one of its files is missing or damaged, the model is of another kind, a weight is
            not a finite number or huge, or a digest in the description is not that of its file.
    """
    folder = find_model_directory(folder, kind)
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            found = [path.parent for path in sorted(folder.glob(f"*/{DESCRIPTION}"))]
            inside = [str(path) for path in found if read_kind(path) == kind]
            if is_shipped(folder):
                raise UserError(f"{folder / name} is missing, so this installation is incomplete: install it again.")
            hint = "give the folder that a training wrote."
            if found:
                hint = f"it holds {found[0].name}/ alone, and this needs a model of kind {kind!r}."
            if inside:
                hint = f"did you mean {' or '.join(inside)}?"
            raise UserError(f"{folder} is no model directory, for it has no {name}; {hint}")
    description = _read_description(folder / DESCRIPTION)
    if description["kind"] != kind:
        raise UserError(
            f"{folder} holds a model of kind {str(description['kind'])[:40]!r}, but this needs one of kind {kind!r}."
        )
    weight_format = description.get(FORMAT, "float32")
    if weight_format not in get_args(WeightFormat):
        raise damaged(folder / DESCRIPTION, f"{FORMAT} is none of {', '.join(get_args(WeightFormat))}")
    digest = description.get(DIGESTS, {}).get(WEIGHTS)
    return description, _read_weights(folder / WEIGHTS, weight_format, digest)


def read_kind(folder: str | Path) -> str:
    """Return the kind in a directory's description; without one "acoustic", whose loading then says what is wrong."""
    try:
        description = json.loads((Path(folder) / DESCRIPTION).read_text(encoding="utf-8"))
        return "language" if description["kind"] == "language" else "acoustic"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "acoustic"


def load_options(cls: type[OptionsT], description: dict[str, Any], key: str, folder: str | Path) -> OptionsT:
    """Build a group of options from a model's description, checked as options from a configuration are.

    Args:
        cls: the dataclass of the options.
        description: from `load_model`.
        key: where the group is in the description.
        folder: the model directory, for messages.

    Raises:
        UserError: the group is missing, or a field is unknown, of a wrong type, or out of its range.
    """
    if not isinstance(description.get(key), dict):
        raise damaged(Path(folder) / DESCRIPTION, f"it has no group {key!r}")
    try:
        return build(cls, description[key], key)
    except UserError as error:
        raise damaged(Path(folder) / DESCRIPTION, str(error).rstrip(".")) from error


def load_tokenizer(description: dict[str, Any], folder: str | Path) -> Tokenizer:
    """Build the tokenizer of a model from its description, with the normalisation of its texts where that is stored.

    Raises:
        UserError: it is missing or damaged.
    """
    fields = description.get("tokenizer")
    symbols = fields.get("symbols", []) if isinstance(fields, dict) else None
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise damaged(Path(folder) / DESCRIPTION, "its tokenizer is no tokenizer's description")
    try:
        tokenizer = tokenizer_from_json(fields or {})
        if stores_normalisation(description):
            tokenizer.normalisation = model_normalisation(description)
        return tokenizer
    except (UserError, AttributeError) as error:
        raise damaged(Path(folder) / DESCRIPTION, str(error).rstrip(".")) from error


def check_sizes(
    weights: dict[str, Tensor], sizes: dict[str, tuple[int, str, int]], layers: tuple[int, str], folder: str | Path
) -> None:
    """Compare the sizes in a model's description with its tensors, before a model of these sizes is built.

    Args:
        weights: from `load_model`.
        sizes: for each key of the description its size, the name of a tensor, and the tensor's axis of that size.
        layers: the number of layers in the description, and the name of a tensor of each, with `{}` for its number.
        folder: the model directory, for messages.

    Raises:
        UserError: a size differs.
    """
    for key, (size, name, axis) in sizes.items():
        tensor = weights.get(name)
        found = tensor.shape[axis] if tensor is not None and tensor.ndim > axis else None
        if found != size:
            raise _not_fitting(folder, f"{key} is {size}, but {name} has {found}")
    number, pattern = layers
    found = next(count for count in range(len(weights) + 1) if pattern.format(count) not in weights)
    if found != number:
        raise _not_fitting(folder, f"there are {number} layers, but weights of {found}")


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], folder: str | Path) -> None:
    """Copy loaded weights into a module that was built from the same directory's description.

    Raises:
        UserError: names, shapes or types differ, so the two files do not belong together.
    """
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in module.state_dict().items()}
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights.items()}
    if expected != found:
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise _not_fitting(folder, f"{different[0]} differs")
    module.load_state_dict(weights)


def damaged(path: Path, reason: str) -> UserError:
    """Return the error of a damaged file of a model directory."""
    return UserError(f"{path} is damaged ({reason[:300]}); copy or train the model again.")


def _not_fitting(folder: str | Path, reason: str) -> UserError:
    """Return the error of two files that do not belong together."""
    return UserError(
        f"{Path(folder) / WEIGHTS} does not fit its {DESCRIPTION} ({reason}); "
        "they come from two models, so copy or train the model again."
    )


def _read_description(path: Path) -> dict[str, Any]:
    """Read `model.json`: an object with a kind, without duplicate keys, and with finite numbers but in its summary."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError("a key stands twice in it")
        return values

    nonfinite = []

    def number(text: str) -> float:
        if not math.isfinite(value := float(text)):
            nonfinite.append(text)
        return value

    try:
        data = path.read_bytes()
        description = json.loads(
            data.decode("utf-8"), object_pairs_hook=unique, parse_float=number, parse_constant=number
        )
        if not isinstance(description, dict):
            raise ValueError("it holds no JSON object")
        if "kind" not in description:
            raise ValueError("it has no kind")
        # Summaries of older versions may hold NaN; nothing depends on them.
        description["training"] = _without_nonfinite(description.get("training"))
        if nonfinite:  # most descriptions have none, and some are large
            json.dumps({key: value for key, value in description.items() if key != "training"}, allow_nan=False)
        _check_digests(description.get(DIGESTS, {}), data)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    return description


def _check_digests(digests: Any, data: bytes) -> None:
    """Raise ValueError where the digest of a description, or its form, is wrong.

    Args:
        digests: of the description.
        data: the content of its file.
    """
    if not isinstance(digests, dict) or not all(isinstance(digest, str) for digest in digests.values()):
        raise ValueError(f"its {DIGESTS} are no texts by name")
    own = digests.get(DESCRIPTION)
    if own is None:
        return
    before, _, after = data.replace(b"\r\n", b"\n").rpartition(own.encode())
    if hashlib.sha256(before + NO_DIGEST + after).hexdigest() != own:
        raise ValueError(f"it has changed since it was written; where that was meant, remove its key {DIGESTS}")


def _read_weights(path: Path, weight_format: WeightFormat, digest: str | None) -> dict[str, Tensor]:
    """Read `model.safetensors`: tensors of finite numbers, in a file of this digest where it is known."""
    from safetensors.torch import load

    try:
        data = path.read_bytes()
        weights = unpack_weights(load(data), weight_format)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # safetensors and torch raise many kinds for a damaged header
        raise damaged(path, str(error)) from error
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise damaged(path, f"{name} holds numbers that are not finite")
        if tensor.is_floating_point() and bool((tensor.abs() > LARGEST).any()):
            raise damaged(path, f"{name} holds numbers above {LARGEST:g}, which no network has")
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise damaged(path, f"its bytes are not those that {DESCRIPTION} was written for")
    return weights


def _without_nonfinite(value: Any) -> Any:
    """Return JSON values with null in the place of numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _without_nonfinite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Facts about an acoustic model, beside its weights: its training data, and its uncertainty on its dev part."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from speechrnn.core.config import build
from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write
from speechrnn.core.jsonio import parse_json
from speechrnn.data.training_facts import TrainingFacts
from speechrnn.decoding.uncertainty import DevStatistics

FILE = "facts.json"


@dataclass(frozen=True)
class ModelFacts:
    """Describe an acoustic model.

    >>> ModelFacts().training is None
    True

    Attributes:
        training: what it was trained on; None: not known.
        dev: the distribution of its uncertainty on the dev part; None: not known.
    """

    training: TrainingFacts | None = None
    dev: DevStatistics | None = None


def read_facts(folder: str | Path) -> ModelFacts:
    """Read the facts.json of an acoustic model's directory; without the file, all facts are None.

    >>> read_facts("models/old").dev is None
    True

    Raises:
        UserError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return ModelFacts()
    try:
        values = parse_json(path.read_bytes())
        if not values:
            raise ValueError("it holds no facts")
        return build(ModelFacts, values, "")
    except (OSError, ValueError, UserError) as error:
        raise UserError(
            f"{path} is damaged ({str(error).rstrip('.')}); remove it, or run `speechrnn tune` again."
        ) from error


def update_facts(folder: str | Path, training: TrainingFacts | None = None, dev: DevStatistics | None = None) -> None:
    """Write those facts that are given into the facts.json of a model directory; the others stay.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        facts = read_facts(folder)
    except UserError:
        facts = ModelFacts()
    _write(folder, replace(facts, training=training or facts.training, dev=dev or facts.dev))


def forget_dev(folder: str | Path) -> None:
    """Remove a model's uncertainty on its dev part from its facts.json, as when its weights have changed.

    Raises:
        UserError: the file is damaged or cannot be written.
    """
    if (facts := read_facts(folder)).dev is not None:
        _write(folder, replace(facts, dev=None))


def _write(folder: str | Path, facts: ModelFacts) -> None:
    with atomic_write(Path(folder) / FILE) as file:
        json.dump(asdict(facts), file, indent=2, allow_nan=False)
        file.write("\n")

"""The folder of a run: its configuration, the files in it, resumption, and its figures."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from speechrnn.core.errors import UserError
from speechrnn.core.files import atomic_write, expand_user
from speechrnn.core.jsonio import finite, parse_json, write_json
from speechrnn.core.plural import count
from speechrnn.experiments.folder_lock import FolderLock, lock_folder
from speechrnn.experiments.identity import (
    changeable_keys,
    default_values,
    differences,
    excluded_keys,
    flat,
    is_part,
    run_name,
)
from speechrnn.experiments.log import start_logging

if TYPE_CHECKING:
    from omegaconf import DictConfig

RESULTS = (
    "acoustic",
    "language",
    "checkpoints",
    "metrics.json",
    "hypotheses.jsonl",
    "samples.jsonl",
    "report.html",
    "ngram.arpa",
    "ngram.arpa.gz",
    "ngram.q8",
)
OURS = (*RESULTS, "prepared", "events", "run.log")
HEADER = "# speechrnn: the configuration of this run. "  # tells a run's config.yaml from anyone else's

logger = logging.getLogger("speechrnn")


@dataclass(frozen=True)
class Run:
    """One run of a recipe and its folder, outputs/RECIPE/NAME or what `output=` names.

    Recipes and the library put models, checkpoints and reports where its properties say. The same command leads to the
    same folder, so that what is there already need not be done again.

    >>> run = Run("speech_to_text", "first", Path("outputs/speech_to_text/first"))
    >>> run.acoustic.relative_to(run.folder).as_posix()
    'acoustic'

    Attributes:
        recipe: name of the recipe.
        name: of the run.
        folder: with all its files.
        locks: keep other processes out while the run lives; in all but the first process there are none.
    """

    recipe: str
    name: str
    folder: Path
    locks: list[FolderLock] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def open(cls, recipe: str, config: DictConfig, overrides: Sequence[str] | None = None) -> Run:
        """Make or find the run's folder, and write its resolved config.yaml.

        Reads the keys `output`, `name` and `restart` of the configuration; a relative folder is relative to where the
        command was typed. Processes of a distributed training other than the first leave the folder as it is.

        Args:
            overrides: what the user gave ("acoustic.layers=4"), which names the run; None for the command line's.

        Raises:
            UserError: the folder cannot be written, is not a run's, holds a checkpoint, model or result of another
                configuration, or another process is at work in it.
        """
        from omegaconf import OmegaConf

        values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        run = cls._of(recipe, values, overrides)
        if is_first_process():
            free = excluded_keys(recipe) | changeable_keys(recipe)
            run._prepare(OmegaConf.to_yaml(OmegaConf.create(values)), bool(values.get("restart", False)), free)
        return run

    @classmethod
    def _of(cls, recipe: str, values: Mapping[str, Any], overrides: Sequence[str] | None) -> Run:
        """Return the run of a configuration, with the folder as it is."""
        overrides = given_overrides() if overrides is None else overrides
        given, output = values.get("name"), values.get("output")
        name = run_name(overrides, excluded_keys(recipe)) if given is None else _checked_name(str(given))
        folder = Path("outputs", recipe, name) if output is None else expand_user(str(output))
        return cls(recipe, name, folder.absolute())

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.folder / "config.yaml"

    @property
    def acoustic(self) -> Path:
        """The acoustic model's directory."""
        return self.folder / "acoustic"

    @property
    def language(self) -> Path:
        """The language model's directory."""
        return self.folder / "language"

    @property
    def ngram(self) -> Path:
        """The n-gram model of the transcripts."""
        return self.folder / "ngram.arpa"

    @property
    def ngram_packed(self) -> Path:
        """The n-gram model of a text."""
        return self.folder / "ngram.arpa.gz"

    @property
    def ngram_quantised(self) -> Path:
        """The n-gram model of a text, with probabilities of 8 bits."""
        return self.folder / "ngram.q8"

    @property
    def prepared(self) -> Path:
        """The corpus as cut manifests."""
        return self.folder / "prepared"

    @property
    def prepared_text(self) -> Path:
        """The language model's text as token files."""
        return self.prepared / "text"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints of each training, in a folder of its model's name."""
        return self.folder / "checkpoints"

    @property
    def events(self) -> Path:
        """For TensorBoard, each model in a folder of its name."""
        return self.folder / "events"

    @property
    def metrics(self) -> Path:
        """The numbers, by section."""
        return self.folder / "metrics.json"

    @property
    def hypotheses(self) -> Path:
        """The hypotheses of the decoded part, one utterance a line."""
        return self.folder / "hypotheses.jsonl"

    @property
    def samples(self) -> Path:
        """The language model's samples, one text a line."""
        return self.folder / "samples.jsonl"

    @property
    def report(self) -> Path:
        """The one-file report."""
        return self.folder / "report.html"

    @property
    def log_file(self) -> Path:
        """The log, with times; later runs of the same command append to it."""
        return self.folder / "run.log"

    def start_logging(self, first_lines: Sequence[str] = ()) -> None:
        """Send the lines of the logger "speechrnn" to run.log and to the terminal (stderr).

        They no longer go to the log of a run that was at work before in this process. Of a distributed training, only
        the first process writes lines.

        Args:
            first_lines: what to write first, known before there was a log.

        Raises:
            UserError: run.log cannot be written.
        """
        start_logging(self.log_file, is_first_process())
        for line in first_lines:
            self.log(line)

    def log(self, message: str) -> None:
        """Write a line to run.log and to the terminal."""
        logger.info("%s", message)

    def read_metrics(self) -> dict[str, Any]:
        """Return the sections of metrics.json; {} before anything was measured.

        Raises:
            UserError: the file is damaged.
        """
        if not self.metrics.exists():
            return {}
        try:
            values = parse_json(self.metrics.read_bytes())
        except (ValueError, OSError) as error:
            raise UserError(f"{self.metrics} cannot be read as JSON: remove it, or use restart=true.") from error
        if not isinstance(values, dict):
            raise UserError(f"{self.metrics} holds no sections: remove it, or use restart=true.")
        return values

    def update_metrics(self, section: str, values: Mapping[str, Any]) -> None:
        """Put `values` into a section of metrics.json; its other keys and the other sections stay.

        A number that is not finite becomes null, since JSON cannot express it.
        """
        metrics = self.read_metrics()
        metrics[section] = {**metrics.get(section, {}), **finite(values)}
        write_json(self.metrics, metrics)

    def forget_metrics(self, *sections: str) -> None:
        """Remove sections of metrics.json: figures of weights that have been replaced."""
        metrics = self.read_metrics()
        if any(section in metrics for section in sections):
            write_json(self.metrics, {name: values for name, values in metrics.items() if name not in sections})

    def _prepare(self, config: str, restart: bool, free: frozenset[str]) -> None:
        """Make the folder, or check that the run in it can be resumed.

        Args:
            config: the configuration as YAML.
            restart: remove what is in the folder.
            free: keys that may differ.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.locks.append(lock_folder(self.folder))
            there = self.config.read_text(encoding="utf-8") if self.config.exists() else None
            foreign = [name for name in OURS if there is None and os.path.lexists(self.folder / name)]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"Cannot use {self.folder} for this run: {reason}; choose another output=DIR.") from error
        if foreign or (there is not None and not there.startswith(HEADER)):
            path = self.folder / foreign[0] if foreign else self.config
            raise UserError(f"{path} was not written by a run, so it is left alone: choose another output=DIR.")
        if there is not None and restart:
            self._clear()
        elif there is not None and self._has_results():
            self._compare(there, config, free)
        with atomic_write(self.config) as file:
            file.write(f"{HEADER}Recipe: {self.recipe}\n{config}")

    def _has_results(self) -> bool:
        """Return whether there is a checkpoint, a model or a result.

        A command that failed before it had results, as with a misspelt corpus.root, does not block the corrected
        command.
        """
        return any(
            any(path.is_file() for path in (self.folder / name).rglob("*")) or (self.folder / name).is_file()
            for name in RESULTS
        )

    def _compare(self, there: str, config: str, free: frozenset[str]) -> None:
        """Raise UserError where the configuration in the folder differs in a key that must not change."""
        import yaml

        again = "use another name=..., or restart=true to do it anew"
        recipe = there.splitlines()[0].rpartition(" ")[2]
        if recipe != self.recipe:
            raise UserError(f"{self.folder} holds a run of {recipe}, not of {self.recipe}: choose another output=DIR.")
        try:
            earlier, now = yaml.safe_load(there) or {}, yaml.safe_load(config) or {}
            differing = differences(earlier, now, free, defaults=default_values(self.recipe))
        except (yaml.YAMLError, AttributeError) as error:
            raise UserError(f"{self.config} is damaged: {again}.") from error
        if differing:
            more = f" and {count(len(differing) - 5, 'more key')}" if len(differing) > 5 else ""
            raise UserError(
                f"{self.folder} holds a run of another configuration ({', '.join(differing[:5])}{more}): {again}."
            )

    def _clear(self) -> None:
        """Remove what a run writes, and nothing else; config.yaml last, because it shows that the rest is a run's."""
        try:
            for name in (*OURS, self.config.name):
                path = self.folder / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"Cannot remove {error.filename} for restart=true: {error.strerror}.") from error


def keep_earlier_values(recipe: str, config: DictConfig, overrides: Sequence[str] | None = None) -> list[str]:
    """Replace each `auto` of a configuration by the value that the run in its folder began with.

    A run that was made when the default was a number goes on with that number, and a run that was made with a value of
    the user goes on with it where the command leaves it out. Nothing is replaced that the command gives, in a run that
    begins afresh, or in keys that are not part of a run's identity. A configuration that cannot be read is left to
    `Run.open`.

    Args:
        recipe: name of the recipe.
        config: the configuration, which is changed.
        overrides: what the user gave; None for the command line's.

    Returns:
        Sentences for the log: the values that were kept.

    >>> from omegaconf import OmegaConf
    >>> keep_earlier_values("demo", OmegaConf.create({"output": "nowhere", "corpus": {"dev_fraction": "auto"}}), [])
    []
    """
    import yaml
    from omegaconf import OmegaConf

    overrides = given_overrides() if overrides is None else overrides
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    run = Run._of(recipe, values, overrides)
    try:
        if values.get("restart") or not run._has_results():
            return []
        text = run.config.read_text(encoding="utf-8")
        earlier = flat(yaml.safe_load(text)) if text.startswith(HEADER) else {}
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return []
    typed = {override.lstrip("+").partition("=")[0] for override in overrides}
    excluded = excluded_keys(recipe)
    kept = {
        key: earlier[key]
        for key, value in flat(values).items()
        if value == "auto" and earlier.get(key, "auto") != "auto" and key not in typed and is_part(key, excluded)
    }
    for key, value in kept.items():
        OmegaConf.update(config, key, value)
    listed = ", ".join(f"{key}={'null' if value is None else value}" for key, value in kept.items())
    return [f"The run in {run.folder} goes on with the values that it began with: {listed}."] if kept else []


def given_overrides() -> list[str]:
    """Return the overrides of the command line; none outside of a command."""
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def is_first_process() -> bool:
    """Return whether this process writes: all but the first of a distributed training only compute."""
    return all(os.environ.get(rank, "0") in ("", "0") for rank in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def _checked_name(name: str) -> str:
    parts = PurePath(name).parts
    if not parts or PurePath(name).is_absolute() or ".." in parts or name.strip() in ("", "."):
        raise UserError(f"name={name} is no name for a folder below outputs/: use output=DIR for a place elsewhere.")
    return name

"""Learning curves for TensorBoard.

TensorBoard's own writer has a thread, where a full disk ends in a traceback. Here an error is a sentence.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers import Logger
from lightning.fabric.utilities.rank_zero import rank_zero_only
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from speechrnn.core.errors import UserError

VERSION = "brain.Event:2"  # of the format, which the first record of a file tells


class EventLogger(Logger):
    """A file of figures for TensorBoard, made with the first of them.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> EventLogger(folder).log_metrics({"train/loss": 1.5}, step=20)
    >>> [path.name[:19] for path in folder.iterdir()]
    ['events.out.tfevents']
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path: Path | None = None
        self._writer: RecordWriter | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def root_dir(self) -> str:
        return str(self.folder)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append figures to the file.

        Args:
            metrics: numbers by name; those of one prefix (`train/loss`) are shown together.
            step: of the training.

        Raises:
            UserError: the file cannot be written.
        """
        values = [Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
        try:
            if self._writer is None:
                self._writer = self._open()
            self._append(self._writer, Event(wall_time=time.time(), step=step or 0, summary=Summary(value=values)))
        except OSError as error:
            raise UserError(
                f"Cannot write {self._path or self.folder}: {error.strerror or error}; free some space, and give the "
                "same command again."
            ) from error

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration of a run lies beside the events."""

    def _open(self) -> RecordWriter:
        """Open a new file, whose name TensorBoard looks for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        writer = RecordWriter(self._path.open("ab", buffering=0))
        self._append(writer, Event(wall_time=time.time(), file_version=VERSION))
        return writer

    def _append(self, writer: RecordWriter, event: Event) -> None:
        writer.write(event.SerializeToString())

"""A process of its own in which the flashlight-text package reads a binary file of KenLM.

The library trusts all sizes and offsets in a file, so that a damaged file can crash the process that reads it, make it
hang, or take all memory. Here each of these becomes an error of one sentence.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import weakref
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from speechrnn.core.failures import MachineError
from speechrnn.decoding.ngram import kenlm_program

WAIT_SECONDS = 60  # for a reply
READ_SPEED = 20e6  # bytes a second, of a slow disk
SCORE_SPEED = 10_000  # words a second, on a busy machine


class KenlmProcess:
    """Scores of a binary file of KenLM, made in a child process, which ends with this one.

    A copy in a forked process starts a child of its own.
    """

    def __init__(self, path: str | Path, words: Sequence[str]) -> None:
        """Start the process and load the file.

        Args:
            path: of the file.
            words: in the order of their scores.

        Raises:
            MachineError: the file is damaged, so that the process failed, crashed or hung.
        """
        self.path = Path(path)
        self.words = list(words)
        self._lock = threading.Lock()
        self._start()

    def score(self, histories: Sequence[tuple[bool, Sequence[int]]]) -> Tensor:
        """Score every word after histories.

        Args:
            histories: n; of each whether it begins a line, and the numbers of its words.

        Returns:
            (n, words) float32 base-10 log-probabilities.

        Raises:
            MachineError: the file is damaged, so that the process crashed or hung, or a score is no number.
        """
        if not histories:
            return torch.empty(0, len(self.words))
        numbers = array("i")
        for begins, history in histories:
            numbers.extend([len(history), begins])
            numbers.extend(history)
        count = len(histories) * len(self.words)
        with self._lock:
            if self._pid != os.getpid() or not self._finalizer.alive:
                self._start()
            try:
                self._send(len(numbers), numbers.tobytes())
                reply = self._receive(4 * count, WAIT_SECONDS + count / SCORE_SPEED)
            except BaseException:  # such as Ctrl-C, after which the reply would be taken for that of the next request
                self._finalizer()
                raise
        scores = torch.frombuffer(reply, dtype=torch.float32)
        if bool(scores.isnan().any()) or bool((scores > 0).logical_and(scores.isinf()).any()):
            raise self._damaged()
        return scores.view(len(histories), len(self.words))

    def _start(self) -> None:
        self._pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, kenlm_program.__file__, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._finalizer = weakref.finalize(self, _end, self._process, self._pid)
        words = json.dumps(self.words).encode()
        self._send(len(words), words)
        seconds = WAIT_SECONDS + self.path.stat().st_size / READ_SPEED
        if self._receive(len(kenlm_program.READY), seconds) != kenlm_program.READY:
            raise self._damaged()

    def _send(self, count: int, data: bytes) -> None:
        try:
            _pipe(self._process.stdin).write(count.to_bytes(kenlm_program.SIZE, sys.byteorder))
            view = memoryview(data)
            while view:
                view = view[_pipe(self._process.stdin).write(view) :]
        except OSError as error:  # it has ended
            raise self._damaged() from error

    def _receive(self, size: int, seconds: float) -> bytearray:
        """Read so many bytes.

        Args:
            size: in bytes.
            seconds: to wait at most; a machine that was suspended meanwhile counts for a second.
        """
        pipe, data, waited = _pipe(self._process.stdout), bytearray(), 0
        while len(data) < size:
            if os.name == "posix" and not select.select([pipe], [], [], 1.0)[0]:
                waited += 1
                if waited > seconds:
                    raise self._damaged()
                continue
            block = pipe.read(min(size - len(data), 1 << 20))
            if not block:
                raise self._damaged()
            data += block
        return data

    def _damaged(self) -> MachineError:
        """End the process and return the error."""
        self._finalizer()
        return MachineError(
            f"The KenLM file {self.path} is damaged or of another version; copy or make it again, or give the ARPA "
            "file."
        )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _end(process: subprocess.Popen[bytes], pid: int) -> None:
    """End a process, which holds nothing that could be lost; one that another process started stays."""
    for stream in (process.stdin, process.stdout):
        _pipe(stream).close()
    if pid == os.getpid():
        process.kill()
        process.wait()

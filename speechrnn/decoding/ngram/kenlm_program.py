"""Program that scores words with a binary file of KenLM, in a process of its own: see `kenlm_process`.

It is run by its path, and needs nothing but the flashlight-text package. Standard input brings the words and then
requests, standard output takes replies:

    words       number of bytes (uint64), then a JSON list of the words; the reply is READY
    request     how many int32 follow (uint64), then for each history: its length, whether it begins a line, its words
    reply       for each history, a base-10 log-probability (float32) of every word
"""

from __future__ import annotations

import math
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

resource: ModuleType | None
try:
    import resource
except ImportError:  # on Windows
    resource = None

READY = b"ready\n"
SIZE = 8  # bytes of a number of items, in the order of this machine
MEMORY = 2 << 30  # bytes of address space that may be taken beside three times the file
# Seconds of processor time for a file or a request, beside those for what it holds; a damaged file may never end.
TIME = 5.0
LOADED = 50e6  # bytes a second
SCORED = 50e3  # words a second


def serve(model: Any, vocabulary: int, requests: BinaryIO, replies: BinaryIO) -> None:
    """Reply to requests until there are no more.

    Args:
        model: flashlight-text's `KenLM`.
        vocabulary: how many words there are.
        requests, replies: see the module.
    """
    while request := _read_block(requests, 4):
        numbers = array("i")
        numbers.frombytes(request)
        reply = array("f")
        limit_time(TIME + len(numbers) * vocabulary / SCORED)
        for begins, history in _histories(numbers):
            # A state of KenLM's binding holds every state that was ever made from it, so that none is stored here.
            state = model.start(not begins)
            for token in history:
                state, _ = model.score(state, token)
            reply.extend(model.score(state, token)[1] for token in range(vocabulary))
        replies.write(reply.tobytes())
        replies.flush()


def _histories(numbers: array[int]) -> Iterator[tuple[bool, array[int]]]:
    """Yield whether a history begins a line, and its words."""
    at = 0
    while at < len(numbers):
        length, begins = numbers[at : at + 2]
        yield bool(begins), numbers[at + 2 : at + 2 + length]
        at += 2 + length


def _read_block(file: BinaryIO, width: int) -> bytes:
    """Read a number of items and the items, of `width` bytes; return nothing at the end."""
    size = file.read(SIZE)
    return file.read(width * int.from_bytes(size, sys.byteorder)) if len(size) == SIZE else b""


def limit_time(seconds: float) -> None:
    """End this process when it has taken so much more processor time; Windows has no such limits."""
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        soft = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (soft if most < 0 else min(soft, most), most))


def limit_memory(size: int) -> None:
    """Let this process take no more memory than a whole file of so many bytes needs, and leave no core file."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY + 3 * size, MEMORY + 3 * size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(path: str) -> None:
    """Load the file, and serve standard input."""
    import json
    import signal

    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    for number in (signal.SIGINT, signal.SIGTERM):  # the process that asks ends in its own time, and this one with it
        signal.signal(number, signal.SIG_IGN)
    dictionary = Dictionary()
    words = json.loads(_read_block(sys.stdin.buffer, 1))
    for word in words:
        dictionary.add_entry(word)
    size = Path(path).stat().st_size
    limit_memory(size)
    limit_time(TIME + size / LOADED + len(words) / SCORED)
    model = KenLM(path, dictionary)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    serve(model, len(words), sys.stdin.buffer, replies=sys.stdout.buffer)


if __name__ == "__main__":
    del sys.path[0]  # the modules beside this file are none that it imports
    main(sys.argv[1])

"""Tests of exceptions: some are the fault of one item, others end a whole job."""

from __future__ import annotations

import errno
import os

import pytest

from speechrnn.core import failures
from speechrnn.core.errors import UserError
from speechrnn.core.failures import (
    MachineError,
    ends_job,
    machine_error,
    memory_message,
    raise_if_fatal,
    system_message,
)


class AcceleratorError(RuntimeError):
    """Stand for torch's."""


class LibraryError(OSError):
    """Stand for those of FFmpeg, which use the system's numbers for faults of a file."""


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "some/file")


@pytest.mark.parametrize(
    ("error", "size"),
    [
        (MemoryError(), ""),
        (MemoryError("Unable to allocate 3.0 TiB for an array"), ""),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5000000000 bytes."), "(5 GB"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB."), ""),
        (RuntimeError("Storage size calculation overflowed with sizes=[1, 2]"), ""),
    ],
)
def test_what_does_not_fit_into_the_memory_is_a_sentence(error: Exception, size: str) -> None:
    message = memory_message(error)
    assert message is not None and "more memory than there is" in message and size in message


@pytest.mark.parametrize("error", [RuntimeError("unsupported memory format"), ValueError("out of memory")])
def test_other_exceptions_are_not_about_memory(error: Exception) -> None:
    assert memory_message(error) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (system_error(errno.ENOSPC), ["No space left", "some/file", "free some space"]),
        (system_error(errno.EDQUOT), ["quota", "free some space"]),
        (system_error(errno.EMFILE), ["Too many open files", "ulimit -n"]),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']"),
            ["'/tmp', '/var/tmp'", "TMPDIR"],
        ),
        (ImportError("No module named 'soxr'"), ["soxr", "install"]),
        (AcceleratorError("CUDA error: unspecified launch failure CUDA kernel errors might be"), ["GPU", "launch"]),
        (RuntimeError("CUDA error: an illegal memory access"), ["GPU", "illegal"]),
        (MachineError("The disk is gone."), ["The disk is gone."]),
    ],
)
def test_a_fault_of_the_machine_ends_the_job_in_one_sentence(error: Exception, words: list[str]) -> None:
    assert ends_job(error)
    with pytest.raises(MachineError) as caught:
        raise_if_fatal(error)
    sentence = str(caught.value)
    assert all(word in sentence for word in words) and "\n" not in sentence and sentence.endswith(".")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_an_order_to_end_stays_what_it_is(error: BaseException) -> None:
    assert ends_job(error) and machine_error(error) is None
    with pytest.raises(type(error)):
        raise_if_fatal(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("odd"),
        UserError("a.wav is empty; record it again."),
        system_error(errno.ENOENT),
        system_error(errno.EIO),
        LibraryError(errno.ENOSPC, "no space in a buffer"),
        MemoryError("7.2 TiB for a header that lies"),
        RecursionError(),
    ],
)
def test_other_exceptions_are_the_fault_of_one_item(error: Exception) -> None:
    assert not ends_job(error)
    raise_if_fatal(error)


def test_memory_that_is_exhausted_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FREE_BYTES", 2**62)
    assert "Memory ran out" in str(machine_error(MemoryError()))


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP])
def test_a_path_that_the_system_refuses_is_a_sentence(number: int) -> None:
    sentence = system_message(system_error(number))
    assert sentence is not None and sentence.startswith("some/file: ") and sentence.endswith("check the path.")
    assert system_message(system_error(errno.EIO)) is None

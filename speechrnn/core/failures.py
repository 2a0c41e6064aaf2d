"""Exceptions that libraries raise over one item of a job, as opposed to faults of the machine, which end the job."""

from __future__ import annotations

import errno
import re
import traceback

from speechrnn.core.errors import UserError

# Errors of the system that the next item would meet as well: no space, no quota, too many open files.
MACHINE_ERRNOS = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE])
_NO_MEMORY = re.compile(
    "out of memory|allocate memory|not enough memory|Storage size calculation overflowed|multiplication overflow", re.I
)
_NO_TEMPORARY = "No usable temporary directory"  # as `tempfile` says where it can write into none, on a full disk too
FREE_BYTES = 2**26  # memory; a machine that has less left cannot go on


class MachineError(UserError):
    """A fault of the machine that ends a whole job, described in one sentence."""


def machine_error(error: BaseException) -> MachineError | None:
    """Return the sentence about a fault of the machine; None where only one item is at fault.

    A file may ask for more memory than there is, which is a fault of that file unless nothing is left at all.

    >>> print(machine_error(ModuleNotFoundError("No module named 'soxr'")))
    No module named 'soxr': install the package that is missing, and give the same command again.
    """
    if isinstance(error, MachineError):
        return error
    again = "and give the same command again."
    # Errors of libraries that derive from OSError use its numbers for faults of a file.
    if isinstance(error, OSError) and type(error).__module__ == "builtins" and error.errno in MACHINE_ERRNOS:
        name = f": {error.filename}" if error.filename else ""
        remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "raise `ulimit -n`"
        return MachineError(f"{error.strerror}{name}; {remedy}, {again}")
    if isinstance(error, FileNotFoundError) and str(error.strerror).startswith(_NO_TEMPORARY):
        return MachineError(f"{error.strerror}; free some space, or name a folder by TMPDIR, {again}")
    if isinstance(error, ImportError):
        return MachineError(f"{_one_line(error)}: install the package that is missing, {again}")
    if isinstance(error, MemoryError) and _memory_is_exhausted():
        return MachineError(f"Memory ran out; free some, {again}")
    if type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error):
        # After such an error, each further call of CUDA fails as well.
        first = _one_line(error).partition(" CUDA kernel errors")[0]
        return MachineError(f"The GPU does not answer any more ({first}); give the same command again, or device=cpu.")
    return None


def memory_message(error: BaseException) -> str | None:
    """Return the sentence about an exception that says that memory does not suffice; None for other exceptions.

    >>> memory_message(RuntimeError("can't allocate memory: you tried to allocate 256000000000 bytes."))
    'This needs more memory than there is (256 GB at once): choose a smaller model, or smaller batches.'
    >>> memory_message(RuntimeError("unsupported memory format")) is None
    True
    """
    text = str(error)
    # torch raises RuntimeError, on a CPU nothing narrower
    if not isinstance(error, MemoryError) and not (isinstance(error, RuntimeError) and _NO_MEMORY.search(text)):
        return None
    size = re.search(r"allocate (\d{1,30}) bytes", text)
    at_once = f" ({int(size[1]) / 1e9:,.0f} GB at once)" if size is not None and int(size[1]) >= 1e9 else ""
    return f"This needs more memory than there is{at_once}: choose a smaller model, or smaller batches."


def system_message(error: BaseException) -> str | None:
    """Return the sentence about an exception of the system or for want of memory; None for other exceptions.

    A path that no file system takes is one of the system: it reaches the command line from wherever a key names it.

    >>> system_message(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device; free some space, and give the same command again.'
    >>> system_message(ValueError("odd header")) is None
    True
    """
    if isinstance(error, OSError):
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP) and error.filename:
            return f"{error.filename}: {error.strerror}; check the path."
        if (fault := machine_error(error)) is not None:
            return str(fault)
    return memory_message(error)


def ends_job(error: BaseException) -> bool:
    """Return whether an exception stops a whole job: Ctrl-C, an exit, or a fault of the machine.

    >>> ends_job(ValueError("odd header")), ends_job(KeyboardInterrupt())
    (False, True)
    """
    return not isinstance(error, Exception) or machine_error(error) is not None


def raise_if_fatal(error: BaseException) -> None:
    """Raise an exception again if it ends the whole job: a fault of the machine as a `MachineError`.

    >>> raise_if_fatal(ValueError("odd header"))
    """
    if not isinstance(error, Exception) or isinstance(error, MachineError):
        raise error
    fault = machine_error(error)
    if fault is not None:
        raise fault from error


def describe_error(name: str, error: BaseException) -> str:
    """Return one sentence about the failure of one item.

    >>> describe_error("a.wav", ValueError("odd header"))
    'a.wav: ValueError: odd header.'

    Args:
        name: of the item.
        error: the exception; the message of a UserError is returned unchanged.
    """
    if isinstance(error, UserError):
        return str(error)
    message = _one_line(error)
    return f"{name}: {type(error).__name__}{f': {message}' if message else ''}."


def traceback_of(error: BaseException) -> str | None:
    """Return the traceback for a log file; None for a UserError, whose message is enough."""
    if isinstance(error, UserError):
        return None
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _memory_is_exhausted() -> bool:
    try:
        bytearray(FREE_BYTES)
    except MemoryError:
        return True
    return False

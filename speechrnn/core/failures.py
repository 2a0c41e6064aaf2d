"""Exceptions that libraries raise over one item of a job, as opposed to failures of the whole program."""

from __future__ import annotations

import traceback

from speechrnn.core.errors import UserError


def ends_job(error: BaseException) -> bool:
    """Return whether an exception stops a whole job: Ctrl-C, an exit, or a GPU that does not answer any more.

    >>> ends_job(ValueError("odd header")), ends_job(KeyboardInterrupt())
    (False, True)
    """
    # After such an error, each further call of CUDA fails as well.
    lost_gpu = type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
    return lost_gpu or not isinstance(error, Exception)


def describe_error(name: str, error: BaseException) -> str:
    """Return one sentence about the failure of one item.

    >>> describe_error("a.wav", ValueError("odd header"))
    'a.wav: ValueError: odd header.'

    Args:
        name: of the item.
        error: what was raised over it; the message of a UserError stands by itself.
    """
    if isinstance(error, UserError):
        return str(error)
    message = " ".join(str(error).split()).rstrip(".")
    return f"{name}: {type(error).__name__}{f': {message}' if message else ''}."


def traceback_of(error: BaseException) -> str | None:
    """Return the traceback for a log file; None for a UserError, which says everything itself."""
    if isinstance(error, UserError):
        return None
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))

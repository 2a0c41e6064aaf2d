"""The command line, `speechrnn RECIPE key=value ...`, and the decorator that makes a function such a recipe."""

from __future__ import annotations

import functools
import os
import runpy
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from speechrnn.cli import help
from speechrnn.cli.interrupt import catch_interrupts, interrupted
from speechrnn.core.config import nearest
from speechrnn.core.errors import UserError
from speechrnn.core.failures import system_message
from speechrnn.version import __version__

if TYPE_CHECKING:
    from omegaconf import DictConfig

OK, FAILED, BAD_INPUT = 0, 1, 2  # exit statuses; 1 is also what a traceback ends with, and 130 what Ctrl-C does

MULTIRUN = ("-m", "--multirun")

Job = Callable[["DictConfig"], "int | None"]


class _EndedError(Exception):
    """Carry the exit status of a failed job of a sweep: a launcher's process can return only an exception."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> int:
    """Run the console script: list the recipes, explain one, or run one.

    Args:
        arguments: what follows `speechrnn` on the command line; None for this process's own.
        root: the folder with `conf/` and `recipes/`; None for the ones that came with this package.

    Returns:
        The exit status. A recipe that runs ends the process itself.
    """
    catch_interrupts()
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    root = root or help.root()
    found = help.recipes(root)
    if name in ("--help", "-h"):
        return _show(help.listing(root))
    if name == "-sc":
        return _complete(rest, root)
    if name == "--version":
        return _show(f"speechrnn {__version__}")
    if name not in found:
        if name.startswith("-") and (option := nearest(name, ["--help", "--version"])):
            return _complain(f"No option {name}; did you mean {option[0]}?")
        if "=" in name or name.startswith("-"):
            return _complain("The recipe comes first, as in `speechrnn RECIPE key=value`; `speechrnn` lists them.")
        near = nearest(name, found)
        hint = f"did you mean {near[0]}?" if near else f"the recipes are {', '.join(found)}."
        if not near and Path(name).exists():
            hint = f"to transcribe a file, type `speechrnn transcribe {name}`."
        return _complain(f"No recipe {name}; {hint}")
    if "--help" in rest or "-h" in rest:
        return _show(help.page(found[name]))
    try:
        _read(name, rest, found[name].config.parent, early=True)
        # As the main program: the same as `python recipes/NAME.py`, which is how a training starts its processes.
        script = str(found[name].script)
        sys.argv = [script, *rest]
        runpy.run_path(script, run_name="__main__")
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return interrupted()
    return OK


def recipe(name: str, root: Path | None = None) -> Callable[[Job], Callable[[], NoReturn]]:
    """Make a function of a configuration into the recipe `name`, a script of recipes/ with its primary config in conf/.

    The result takes its overrides from the command line, as `hydra.main` would, and ends the process: 0 when all
    went well, the function's own return value if it gives one, 2 after one sentence for bad input (unknown keys
    and options included) or about a full disk, 130 after Ctrl-C. Any other exception keeps its traceback. Hydra's
    flags work (`--multirun`, `--cfg job`, `--config-dir DIR`), but it makes no folders and prints no log of its own,
    and the process stays in the folder where the command was typed.

    The configuration that the function gets is resolved and has no missing value.

        @recipe("transcribe")
        def main(config: DictConfig) -> int | None: ...

        if __name__ == "__main__":
            main()
    """

    def decorate(function: Job) -> Callable[[], NoReturn]:
        @functools.wraps(function)
        def start() -> NoReturn:
            sys.exit(_start(name, function, sys.argv[1:], root=root or help.root()))

        return start

    return decorate


def _start(name: str, function: Job, arguments: list[str], root: Path) -> int:
    """Run the recipe in this process and return its exit status."""
    catch_interrupts()
    found = help.recipes(root)[name]
    if "--help" in arguments or "-h" in arguments:
        return _show(help.page(found))
    try:
        status = _run(name, function, arguments, conf=found.config.parent)
        _is_unread()  # the reader of standard output has gone: the rest is dropped
        return status
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return interrupted()
    except SystemExit as error:
        # Lightning ends the process with status 1 when it sees a Ctrl-C.
        if isinstance(error.__context__, KeyboardInterrupt):
            return interrupted()
        raise


def _run(name: str, function: Job, arguments: list[str], conf: Path) -> int:
    """Check the overrides and hand over to hydra.main."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException

    from speechrnn.cli import overrides

    flags, given = _read(name, arguments, conf)
    quiet = _quiet(name, given)
    once = [flag for flag in flags if flag not in MULTIRUN]
    multirun = once != flags
    statuses: list[int] = []
    bugs: list[Exception] = []  # raised again outside of Hydra, whose frames would hide the traceback

    @functools.wraps(function)
    def job(config: DictConfig) -> int | None:
        if multirun:
            task = list(HydraConfig.get().overrides.task)
            print(f"speechrnn: {name} {' '.join(task)}", file=sys.stderr)
            sys.argv = [argv[0], *quiet, *task, *once]  # the processes of this job's training shall run this job
        try:
            overrides.resolve(config, name)
            status = function(config)
        except UserError as error:
            # Printed here, because Hydra would put a line of its own before it; a sweep goes on with the next job.
            status = _complain(str(error))
        except Exception as error:
            if isinstance(error, BrokenPipeError) and _is_unread():
                return OK
            sentence = system_message(error)
            if sentence is None:
                if multirun:
                    raise  # Hydra tries the other jobs before it goes on with this
                bugs.append(error)
                return FAILED
            status = _complain(sentence)
        statuses.append(status or OK)
        if multirun and status:
            raise _EndedError(status)  # Hydra tries the other jobs before it goes on with this
        return status

    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    # Hydra prints shortened tracebacks and exits; this makes it raise.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [argv[0], *quiet, *given, *flags]
    try:
        hydra.main(version_base="1.3", config_path=str(conf), config_name=name)(job)()
    except _EndedError as error:
        statuses.append(error.status)
    except HydraException as error:
        raise UserError(overrides.explain(error, given, name, conf=conf)) from error
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
    if bugs:
        raise bugs[0]
    return max(statuses, default=OK)


def _read(name: str, arguments: list[str], conf: Path, early: bool = False) -> tuple[list[str], list[str]]:
    """Return Hydra's flags and the overrides, checked and in Hydra's grammar.

    With `early` the configuration is composed at once, which Hydra does only after the recipe's script has imported
    torch and the like.
    """
    from speechrnn.cli import overrides

    flags, given = _split(arguments, name)
    given = overrides.repair(overrides.name_inputs(given, name, conf))
    given = overrides.spell_out(given, name, conf)
    # A page in a folder of the user's own is for Hydra to find.
    if not any(word.startswith(("--config-dir", "-cd", "hydra.searchpath")) for word in [*flags, *given]):
        overrides.check(given, name, conf, multirun=not {*MULTIRUN}.isdisjoint(flags))
    if early and not flags:
        overrides.compose(given, name, conf)
    return flags, given


def _split(arguments: list[str], name: str) -> tuple[list[str], list[str]]:
    """Return Hydra's flags with their values, and the overrides; they may stand in any order.

    Raises:
        UserError: a flag that Hydra does not know; keys are given without dashes.
    """
    from hydra._internal.utils import get_args_parser  # the only private name of Hydra that is used

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}; `speechrnn {name} --help` explains what can be given.")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    known, rest = parser.parse_known_args(arguments)
    for argument in rest:
        if argument.startswith("-") and argument != "-":  # a dash alone is standard input
            key, _, value = argument.lstrip("-").partition("=")
            key = key.replace("-", "_")
            if not value and nearest(key, ["help"]):
                raise UserError(f"No option {argument}; did you mean --help?")
            raise UserError(f"No option {argument}: keys have no dashes before them, as in {key}={value or 'VALUE'}.")
    given = [*known.overrides, *rest]
    flags = list(arguments)
    for argument in given:
        flags.remove(argument)
    return flags, given


def _quiet(name: str, given: list[str]) -> list[str]:
    """Return overrides that keep Hydra from making folders and log lines of its own, unless the user sets them."""
    settings = {
        "hydra.run.dir": ".",
        "hydra.output_subdir": "null",
        "hydra.job.chdir": "false",
        "hydra.sweep.dir": f"outputs/{name}",
        "hydra.sweep.subdir": ".",
        "hydra/job_logging": "none",
        "hydra/hydra_logging": "none",
    }
    keys = {override.partition("=")[0] for override in given}
    return [f"{key}={value}" for key, value in settings.items() if key not in keys]


def _complete(arguments: Sequence[str], root: Path) -> int:
    """Print the script that switches on Tab completion, or the completions of a command line."""
    from speechrnn.cli import completion

    if arguments == ["install=bash"]:
        return _show(completion.SCRIPT)
    if arguments == ["query=bash"]:
        line = os.environ.get("COMP_LINE", "")
        end = int(os.environ.get("COMP_POINT") or len(line))
        return _show("\n".join(completion.complete(line[:end], root)))
    return _complain('There is Tab completion for bash only: eval "$(speechrnn -sc install=bash)" in bash.')


def _show(page: str) -> int:
    try:
        print(page, flush=True)
    except BrokenPipeError:
        _is_unread()
    return OK


def _is_unread() -> bool:
    """Return whether the reader of standard output has gone, as in `speechrnn RECIPE | head`; the rest is dropped."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # it is no file
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)  # else the interpreter complains at exit
    return True


def _complain(sentence: str) -> int:
    print(f"speechrnn: {sentence}", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())

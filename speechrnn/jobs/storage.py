"""List and fetch recordings at addresses that fsspec knows (S3, Google Cloud, Azure, SFTP, the web)."""

from __future__ import annotations

import contextlib
import shutil
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from speechrnn.audio import AudioError
from speechrnn.audio.paths import NO_AUDIO
from speechrnn.core.errors import UserError
from speechrnn.core.failures import raise_if_fatal
from speechrnn.core.files import expand_user
from speechrnn.core.temporary import temporary_folder

if TYPE_CHECKING:
    import fsspec

T = TypeVar("T")

THREADS = 8  # threads that fetch at the same time; they mostly wait
AHEAD = 16  # recordings that are fetched while others are transcribed
GROUP = 256  # recordings, and ...
GROUP_BYTES = 2**29  # ... bytes of them, that lie on the disk while they are transcribed

WEB = ("http://", "https://")


@dataclass(frozen=True)
class RemoteOptions:
    """Say which addresses may be read; conf/transcribe.yaml explains the key.

    >>> RemoteOptions(allow=("https://talks.org",)).allows("https://talks.org/a.wav")
    True
    >>> RemoteOptions(allow=("https", "s3")).allows("zip://a.wav::file:///all.zip")
    False

    Attributes:
        allow: protocols ("https"), or protocols with a host or bucket ("https://talks.org", "s3://calls"); None: all.
    """

    allow: tuple[str, ...] | None = None

    def allows(self, address: str) -> bool:
        """Return whether all parts of an address, such as an archive and where that lies, may be read."""
        return self.allow is None or all(self._allows_part(part) for part in address.split("::"))

    def _allows_part(self, part: str) -> bool:
        protocol, separator, _ = part.lower().partition("://")
        if not separator:  # a protocol alone, as in simplecache::https://..., or a path
            protocol = protocol if protocol.isalpha() else "file"
        try:
            host = urlsplit(part).hostname or ""
        except ValueError:
            return False
        allowed = [entry.lower().rstrip("/") for entry in self.allow or ()]
        return "\\" not in part and (protocol in allowed or f"{protocol}://{host}" in allowed)

    def check(self, address: str) -> None:
        """Raise RefusedAddressError unless an address may be read."""
        if not self.allows(address):
            raise RefusedAddressError(
                f"{address} may not be read: remote.allow=[{','.join(self.allow or ())}] does not name all of its "
                "protocols or hosts; add them, or leave the address out."
            )


class RefusedAddressError(AudioError):
    """An address, or one that it redirects to, that `RemoteOptions` do not allow."""


EVERYWHERE = RemoteOptions()


def is_remote(source: str) -> bool:
    """Return whether a name is an address, PROTOCOL://..., and no path."""
    protocol, separator, _ = source.partition("://")
    return bool(separator) and protocol.replace("+", "").replace(":", "").replace(".", "").isalnum()


def on_the_web(address: str) -> bool:
    """Return whether an address is on a web server: it has no folders, and "?" begins a query."""
    return address.startswith(WEB)


def list_remote(
    address: str, suffixes: Collection[str], remote: RemoteOptions = EVERYWHERE
) -> tuple[str | None, list[str]]:
    """Return the files at an address: itself, those of a folder at any depth, or what a glob finds.

    Args:
        suffixes: of the files that count in folders and globs, with dots, in lower case.
        remote: which addresses may be read.

    Returns:
        The address of the folder from which on the files' names tell them apart (None for a single file), and their
        addresses, sorted.

    Raises:
        UserError: the address cannot be listed, may not be read, does not exist, or holds no such file.
    """
    system, path = _open(address, remote)
    chain = "".join(f"::{rest}" for rest in address.split("::")[1:])  # zip://*.wav::s3://bucket/all.zip
    base: str | None
    try:
        if any(sign in path for sign in "*?["):
            steps = path.split("/")
            base = "/".join(steps[: next(at for at, step in enumerate(steps) if any(sign in step for sign in "*?["))])
            found = [name for name in system.glob(path) if not system.isdir(name)]
        elif system.isfile(path):
            return None, [address]
        else:
            base, found = path.rstrip("/"), system.find(path)
    except Exception as error:  # each kind of storage has errors of its own
        raise UserError(f"{address} cannot be listed: {_reason(error)}; check the address and your access.") from error
    if not found:
        raise UserError(f"There is nothing at {address}; check the address.")
    names = sorted(
        name for name in found if PurePosixPath(name).suffix.lower() in suffixes and PurePosixPath(name).name[0] != "."
    )
    if not names:
        raise UserError(NO_AUDIO.format(name=address, suffixes=" ".join(sorted(suffixes))))
    return f"{system.unstrip_protocol(base)}{chain}", [f"{system.unstrip_protocol(name)}{chain}" for name in names]


@contextlib.contextmanager
def local_copy(source: str | Path) -> Iterator[Path]:
    """Yield a local file: the path itself, or the fetched content of the address, removed at the end.

    Raises:
        AudioError: it cannot be fetched, or breaks off on the way.
    """
    if not is_remote(str(source)):
        yield expand_user(source)
        return
    with temporary_folder() as folder:
        name = PurePosixPath(str(source).partition("?")[0]).name  # its suffix may tell what it is
        yield fetch(str(source), folder / name)


def fetch(address: str, path: Path, remote: RemoteOptions = EVERYWHERE) -> Path:
    """Copy the content of an address to a path, whole or not at all; see `local_copy`.

    Raises:
        AudioError: it cannot be fetched, may not be read, or breaks off on the way.
        MachineError: the disk is full.
    """
    size = None
    try:
        system, place = _open(address, remote)
        size = system.size(place)  # None where the server does not tell
        system.get_file(place, str(path))
        got = path.stat().st_size
    except Exception as error:  # each kind of storage has errors of its own
        got = _remove_fetched(path)
        raise_if_fatal(error)
        if (refused := _refusal(error)) is not None:
            raise refused from error
        if isinstance(error, UserError):
            raise AudioError(str(error)) from error
        after = f" after {got:,} bytes" if got else ""
        raise AudioError(f"{address} could not be fetched{after}: {_reason(error)}; check the address.") from error
    if not path.is_file():
        _remove_fetched(path)
        raise AudioError(f"{address} is a folder; give it as one of the inputs, or its files in the list.")
    if size is not None and got != size:
        path.unlink()
        raise AudioError(f"{address} broke off after {got:,} of {size:,} bytes; try it again.")
    return path


def _remove_fetched(path: Path) -> int:
    """Remove what was fetched of an address; return its size in bytes."""
    got = path.stat().st_size if path.is_file() else 0
    if path.is_dir():  # what fsspec makes of an address that is a folder
        shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    return got


def fetch_groups(
    addresses: Iterable[tuple[T, str]],
    folder: Path,
    group: int = GROUP,
    group_bytes: int = GROUP_BYTES,
    remote: RemoteOptions = EVERYWHERE,
) -> Iterator[list[tuple[T, Path | Exception]]]:
    """Yield recordings in groups, each fetched into `folder` or the reason why not, in order.

    While a group is processed, recordings of the next groups are fetched. The files of a group are removed when the
    next is asked for, so that the disk use does not grow with the number of recordings.

    Args:
        addresses: pairs of the caller's key for a recording, and its address.
        folder: an empty folder.
        group: most recordings in a group.
        group_bytes: a group is full when it has so many bytes.
        remote: which addresses may be read.
    """
    numbered = enumerate(addresses)
    waiting: deque[tuple[T, Future[Path]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fetch") as pool:
        try:
            while True:
                ready: list[tuple[T, Path | Exception]] = []
                size = 0
                while len(ready) < group and size < group_bytes:
                    while len(waiting) < AHEAD and (following := next(numbered, None)) is not None:
                        number, (name, address) = following
                        waiting.append((name, pool.submit(fetch, address, folder / str(number), remote)))
                    if not waiting:
                        break
                    name, future = waiting.popleft()
                    try:
                        path = future.result()
                        size += path.stat().st_size
                        ready.append((name, path))
                    except Exception as error:
                        raise_if_fatal(error)
                        ready.append((name, error))
                if not ready:
                    return
                yield ready
                for _, result in ready:
                    if isinstance(result, Path):
                        result.unlink(missing_ok=True)
        finally:
            for _, future in waiting:
                future.cancel()


def _open(address: str, remote: RemoteOptions = EVERYWHERE) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the storage of an address and the path in it. Keys and endpoints come from fsspec's configuration."""
    remote.check(address)
    try:
        import fsspec

        web = {part.partition("://")[0] for part in address.split("::")} & {"http", "https"}
        options = {} if remote.allow is None else {protocol: _redirects_checked(remote) for protocol in web}
        system, path = fsspec.core.url_to_fs(address, **options)
    except ImportError as error:
        raise UserError(
            f"{address} needs a package that is not installed ({error}): pip install 'speechrnn[remote]'."
        ) from error
    except ValueError as error:  # a protocol that fsspec does not know
        raise UserError(f"{address} cannot be read: {_reason(error)}; check the address.") from error
    return system, path


@lru_cache  # so that fsspec knows the options again, and with them the connection
def _redirects_checked(remote: RemoteOptions) -> dict[str, Any]:
    """Return the options of a web storage that follows no redirect to an address that may not be read."""
    from aiohttp import TraceConfig

    async def check(session: Any, context: Any, params: Any) -> None:
        target = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
        remote.check(urljoin(str(params.url), target))

    trace = TraceConfig()
    trace.on_request_redirect.append(check)
    return {"client_kwargs": {"trace_configs": [trace]}}


def _refusal(error: BaseException | None) -> RefusedAddressError | None:
    """Return the refusal among the causes of an error of fsspec, which hides them behind "not found"."""
    while error is not None and not isinstance(error, RefusedAddressError):
        error = error.__cause__ or error.__context__
    return error


def _reason(error: Exception) -> Any:
    """Return the message of a library's error in one line; its type where it has none."""
    if isinstance(error, FileNotFoundError):
        # fsspec says so of a server that does not answer, too, or that refuses.
        cause = error.__cause__
        if cause is None or isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) in (404, 410):
            return "it does not exist"
        error = cause  # type: ignore[assignment]
    text = " ".join(str(error).split()).rstrip(".")
    return text or type(error).__name__

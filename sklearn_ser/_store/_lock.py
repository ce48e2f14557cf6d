"""The lock of a record, for processes of one machine and of several."""

from __future__ import annotations

import errno
import functools
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sklearn_ser._store._files import warn_once
from sklearn_ser._utils import file_state

__all__ = ["RecordLock", "renewing"]

RENEWAL = 30.0  # seconds between a holder's signs of life
# Seconds without one until a lock is taken over. Clients of NFS may see a file as it was a minute
# ago.
LEASE = 180.0
# The same for a file that names no holder: it is written at once, or left by an earlier version.
GRACE = 2.0


class RecordLock:
    """Keeps other processes, here and on other machines, from computing the same record meanwhile.

    It is a file that only one of them can create, which file systems have; the locks of operating
    systems hold on one machine alone, or wait for ever, on some that are shared. The file names its
    holder, who touches it now and then (see `renewing`). It is taken over once its holder does not
    run any more, if that was on this machine (see `_machine`), or it has not been touched for
    `LEASE` seconds on the clock of the process that waits. Should a holder live on, or two
    processes take it over at once, a record is computed twice, and written whole each time.

    Parameters
    ----------
    path : str or None
        The record's file; None, where nothing is stored, is a lock that can always be had.
    """

    def __init__(self, path: str | None) -> None:
        self._file = "" if path is None else f"{path}.lock"
        self._is_held = False
        # The state in which the file of another holder was seen first, and when that was.
        self._seen: tuple[tuple[int, ...], float] = (), 0.0

    def acquire(self) -> bool:
        """Acquire the lock, or return False: two processes that waited might do so for ever."""
        if not self._file:
            return True
        folder = os.path.dirname(self._file)
        try:
            os.makedirs(folder, exist_ok=True)
            self._is_held = self._create()
            if not self._is_held and self._is_abandoned():
                with suppress(FileNotFoundError):
                    os.unlink(self._file)
                self._is_held = self._create()
        except OSError as error:
            if os.access(folder, os.W_OK):  # else `Records.write` says that nothing can be stored
                store = os.path.dirname(os.path.dirname(folder))
                message = f"no locks in {store} ({error}); processes may repeat each other's work"
                warn_once(message, store, "locks")
            return True
        return self._is_held

    def _create(self) -> bool:
        try:
            file = os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            try:
                os.write(file, f"{_machine()} {os.getpid()}".encode(errors="replace"))
            finally:
                os.close(file)
        except OSError:  # the disk is full: a lock that nobody holds would stay
            with suppress(OSError):
                os.unlink(self._file)
            raise
        return True

    def _is_abandoned(self) -> bool:
        try:
            with open(self._file, "rb") as file:
                state, content = file_state(os.fstat(file.fileno())), file.read(512)
        except OSError as error:
            if error.errno in (
                errno.ENOENT,
                errno.ESTALE,
            ):  # removed, before or after it was opened
                return True
            raise
        holder = content.decode(errors="replace")
        host, _, pid = holder.rpartition(" ")
        if host == _machine() and pid.isdecimal() and not _runs(int(pid)):
            return True
        now = time.monotonic()  # machines' clocks differ, and so do their file servers'
        if state != self._seen[0]:
            self._seen = state, now
        return now - self._seen[1] > (LEASE if host else GRACE)

    def renew(self) -> None:
        """Show that its holder is alive, if it is held."""
        if self._is_held:
            with suppress(OSError):
                os.utime(self._file)

    def release(self) -> None:
        """Release the lock, if it is held, by removing its file."""
        if self._is_held:
            self._is_held = False
            with suppress(OSError):
                os.unlink(self._file)


@functools.cache
def _machine() -> str:
    """Return the name of this machine, or this container: where a process is told by its id.

    Several of them may share a host name, and cloned machines do.
    """
    names = [socket.gethostname()]
    with suppress(OSError):  # Linux has these
        names.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        names.append(os.readlink("/proc/self/ns/pid"))
    return "/".join(names)


def _runs(pid: int) -> bool:
    """Return whether a process of this machine may be running."""
    if os.name != "posix":  # where os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


@contextmanager
def renewing(locks: Sequence[RecordLock]) -> Iterator[None]:
    """Return a context in which those of the locks that are held are renewed.

    At its end they are released: this process may go on, and nobody would know that it left them.
    """
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEWAL):
            for lock in locks:
                lock.renew()

    thread = threading.Thread(target=renew, name="renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for lock in locks:
            lock.release()

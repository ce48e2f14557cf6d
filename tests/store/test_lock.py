"""A record's lock: a file that one process creates, and others take over once it is abandoned."""

import errno
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from sklearn_ser._store import RecordLock, _lock, renewing
from sklearn_ser.exceptions import StoreWarning


@pytest.fixture
def record(tmp_path):
    return str(tmp_path / "ab" / "cd.npy")


def lock_of(record):
    return Path(f"{record}.lock")


def test_one_at_a_time_has_it(record):
    first, second = RecordLock(record), RecordLock(record)
    assert first.acquire()
    assert not second.acquire()
    second.release()  # which it does not hold
    assert not second.acquire()
    first.release()
    assert not lock_of(record).exists()
    assert second.acquire()
    second.release()


def _acquire_all(records, start, results):
    start.wait()
    results.put([record for record in records if RecordLock(record).acquire()])
    start.wait()  # what a process that has ended held is another's


def test_of_processes_that_start_at_once_one_has_it(tmp_path):
    records = [str(tmp_path / f"{i}.npy") for i in range(200)]
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(3), context.Queue()
    held = [context.Process(target=_acquire_all, args=(records, start, results)) for _ in range(2)]
    for process in held:
        process.start()
    start.wait(60)
    start.wait(60)
    found = [results.get(timeout=60) for _ in held]
    for process in held:
        process.join()
    assert sorted(found[0] + found[1]) == sorted(records)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere it waits for the lease to end")
def test_what_a_process_that_was_killed_held_is_taken_over_at_once(record):
    code = f"import os; from sklearn_ser._store import RecordLock; RecordLock({record!r}).acquire()"
    code += "; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    assert lock_of(record).exists()
    lock = RecordLock(record)
    assert lock.acquire()
    assert lock_of(record).read_text().split()[1] == str(os.getpid())
    lock.release()


@pytest.mark.parametrize("holder", ["another-host 1", "another-host 999999999", ""])
@pytest.mark.parametrize("clock", [-1e6, 0, 1e6], ids=["behind", "right", "ahead"])
def test_another_machine_has_it_for_as_long_as_it_shows_that_it_is_alive(
    holder, clock, record, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lease = _lock.LEASE if holder else _lock.GRACE
    lock_of(record).parent.mkdir()
    lock_of(record).write_text(holder)
    lock = RecordLock(record)
    for i in range(5):  # its machine, or the file server, may have another time
        os.utime(lock_of(record), (time.time() + clock + i, time.time() + clock + i))
        assert not lock.acquire()
        now[0] += 0.9 * lease
        assert not lock.acquire()
    now[0] += 0.2 * lease
    assert lock.acquire()
    lock.release()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\xfd", b"\xff 1", b"\0" * 600, b"host", b"host 1 \xc3"]
)
def test_a_damaged_file_is_another_holder_until_it_is_old(content, record, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lock_of(record).parent.mkdir()
    lock_of(record).write_bytes(content)
    lock = RecordLock(record)
    assert not lock.acquire()
    now[0] += 1.1 * _lock.LEASE
    assert lock.acquire()
    lock.release()


def test_ids_of_processes_say_nothing_about_another_machine_of_the_same_name(record):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock_of(record).parent.mkdir()
    lock_of(record).write_text(f"{_lock._machine()} {ended.pid}")
    ours = RecordLock(record)
    assert ours.acquire()
    ours.release()
    lock_of(record).write_text(f"{socket.gethostname()}/another-boot/pid:[1] {ended.pid}")
    assert not RecordLock(record).acquire()


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="of Linux")
def test_containers_and_cloned_machines_have_names_of_their_own():
    name = _lock._machine()
    assert " " not in name
    assert os.readlink("/proc/self/ns/pid") in name
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() in name


def test_a_file_that_its_holder_could_not_write_is_removed(record, monkeypatch):
    def full(*given):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "write", full)
    with pytest.warns(StoreWarning, match="no space left"):
        assert RecordLock(record).acquire()
    assert not lock_of(record).exists()


def test_a_file_that_is_removed_while_it_is_read_can_be_had(record, monkeypatch):
    """NFS says then that the handle is stale."""
    lock_of(record).parent.mkdir()
    lock_of(record).write_text("another-host 1")

    def stale(*given):
        raise OSError(errno.ESTALE, "stale file handle")

    lock = RecordLock(record)
    with monkeypatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("error")
        patched.setattr(_lock, "file_state", stale)
        assert lock.acquire()
    assert lock_of(record).read_text().split()[1] == str(os.getpid())
    lock.release()


def test_locks_are_released_once_they_are_not_renewed_any_more(record):
    lock = RecordLock(record)
    with renewing([lock]):
        assert lock.acquire()
    assert not lock_of(record).exists()


def test_locks_are_renewed_while_they_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr(_lock, "RENEWAL", 0.02)
    locks = [RecordLock(str(tmp_path / f"{i}.npy")) for i in range(2)]
    assert all(lock.acquire() for lock in locks)
    before = threading.active_count()
    with renewing(locks):
        for i in range(2):
            os.utime(tmp_path / f"{i}.npy.lock", (1, 1))
        locks[1].release()
        until = time.monotonic() + 20
        while (tmp_path / "0.npy.lock").stat().st_mtime < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert (tmp_path / "0.npy.lock").stat().st_mtime > 2
        assert not (tmp_path / "1.npy.lock").exists()
    assert threading.active_count() == before


def test_locks_of_the_operating_system_are_not_asked_for(record, monkeypatch):
    """On a shared file system they may hold on one machine only, or wait for ever."""
    fcntl = pytest.importorskip("fcntl", reason="of POSIX")
    for name in ("flock", "lockf", "fcntl"):
        monkeypatch.setattr(fcntl, name, lambda *given: pytest.fail("it asks for one"))
    lock = RecordLock(record)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lock.acquire()
    lock.release()

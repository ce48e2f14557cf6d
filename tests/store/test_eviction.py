"""Names in the store, what is dropped and evicted, what killed writers leave, and warnings."""

import os
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._store import RecordLock, Records, Store, _files, _packs
from sklearn_ser._store._store import _as_bytes
from sklearn_ser.cli import main
from sklearn_ser.exceptions import StoreWarning

DAY = 86_400
RATE = 16000


def record(i, n_rows=4, n_columns=5):
    return np.random.default_rng(i).standard_normal((n_rows, n_columns), dtype=np.float32)


def write(store, name, n, pack=True):
    records = store.records(name, {"name": name})
    for i in range(n):
        records.write(f"{i:032x}", record(i))
    if pack:
        records.pack()
    return records


def age(folder, days):
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (time.time() - days * DAY,) * 2)


def sizes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def stored(tmp_path, speech):
    """Return a store with records of two feature sets, one of them with two settings."""
    clips = [(speech(seed), RATE) for seed in range(2)]
    for embedder in (MFCCEmbedder(), MFCCEmbedder(n_mels=64), SSLEmbedder("nano")):
        embedder.set_params(cache=tmp_path).fit_transform(clips)
    return Store(tmp_path)


def test_records_are_named_as_their_users_name_them(stored, capsys):
    assert sorted(records.features for records in stored.list()) == ["mfcc", "mfcc", "nano"]
    assert main(["cache", "--cache", str(stored.folder)]) == 0
    shown = capsys.readouterr().out
    assert "nano" in shown
    assert "n_mels=64" in shown
    for records in stored.list():
        assert records.folder.name[-16:] not in shown
        assert str(records.settings.get("weights")) not in shown


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (["nano"], ["mfcc 128", "mfcc 64"]),
        (["mfcc", "n_mels=64"], ["mfcc 128", "nano None"]),
        (["mfcc", "n_mels=64", "rate=16000"], ["mfcc 128", "nano None"]),
        (["mfcc"], ["nano None"]),
    ],
)
@pytest.mark.parametrize("by", ["method", "command"])
def test_one_model_is_dropped(by, given, left, stored, capsys):
    if by == "command":
        assert main(["cache", "--cache", str(stored.folder), "--drop", *given]) == 0
        assert f"Deleted: {2 * (3 - len(left))} records" in capsys.readouterr().out
    else:
        settings = dict(word.split("=") for word in given[1:])
        assert stored.drop(given[0], **settings)[0] == 2 * (3 - len(left))
    found = [f"{records.features} {records.settings.get('n_mels')}" for records in stored.list()]
    assert sorted(found) == left


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["wavlm"], "no records of 'wavlm'.* it holds mfcc, nano"),
        (["mfcc", "n_mels=40"], "no records of 'mfcc n_mels=40'"),
        (["mfcc", "64"], "SETTING=VALUE"),
    ],
)
def test_what_is_not_there_cannot_be_dropped(given, message, stored, capsys):
    assert main(["cache", "--cache", str(stored.folder), "--drop", *given]) == 2
    assert stored.size()[0] == 6
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("given", ["--drop mfcc", "--max-size 0"])
def test_a_command_deletes_by_one_rule(given, stored, capsys):
    with pytest.raises(SystemExit):
        main(["cache", "--cache", str(stored.folder), *given.split(), "--clear"])
    assert "not allowed with argument" in capsys.readouterr().err
    assert stored.size()[0] == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [(0, 0), (123, 123), ("10GB", 10**10), ("1.5 mb", 1_500_000), ("2KiB", 2048), ("7", 7)],
)
def test_sizes_are_read(text, expected):
    assert _as_bytes(text, "x") == expected


@pytest.mark.parametrize("text", ["", "ten", "-1", -1, "1PB", "GB", "1e3", None, True])
def test_what_is_no_size_is_refused(text, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="bytes_limit must be"):
        Store(tmp_path).reduce_size(text)
    if text:
        monkeypatch.setenv("SKLEARN_SER_CACHE_MAX_SIZE", str(text))
        with pytest.raises(ValueError, match="SKLEARN_SER_CACHE_MAX_SIZE must be"):
            MFCCEmbedder(cache=tmp_path).records()


@pytest.mark.parametrize("n", [3, 100])  # loose records, and a pack
@pytest.mark.parametrize("read", [Records.read_all, lambda self, keys: self.read(keys[0])])
def test_the_least_recently_used_are_evicted(n, read, tmp_path):
    store = Store(tmp_path)
    old, used = write(store, "old", n), write(store, "used", n)
    age(old.folder, 3)
    age(used.folder, 5)
    keys = [f"{i:032x}" for i in range(n)] if n > 64 else [f"{0:032x}"] * n
    assert read(used, keys) is not None
    n_bytes = used.size()[1] if n > 64 else used.size()[1] // n
    store.reduce_size(n_bytes)
    assert old.size() == (0, 0)
    assert used.read(keys[0]) is not None
    assert store.size()[1] <= n_bytes


def test_models_used_within_an_hour_are_evicted_in_the_order_of_their_last_use(tmp_path):
    store = Store(tmp_path)
    first, second, third = (write(store, name, 70) for name in ("first", "second", "third"))
    time.sleep(0.02)
    for records in (third, first, second):
        assert records.read_all([f"{0:032x}"], [0])[0] is not None
        time.sleep(0.02)
    for left in (2, 1, 0):
        store.reduce_size(store.size()[1] - 1)
        kept = [records for records in (third, first, second) if records.size()[0]]
        assert kept == [third, first, second][3 - left :]


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 1])
def test_a_limit_counts_every_file_of_records(share, tmp_path):
    store = Store(tmp_path)
    for i, (n, pack) in enumerate([(300, True), (70, True), (10, False)]):
        age(write(store, f"set{i}", n, pack).folder, i)
    counted = sizes(tmp_path) - sum(path.stat().st_size for path in tmp_path.rglob("*.json"))
    assert store.size()[1] == counted
    n_before, limit = store.size()[0], int(share * counted)
    n_records, n_bytes = store.reduce_size(limit)
    n_after, n_left = store.size()
    assert (n_before - n_records, counted - n_bytes) == (n_after, n_left)
    assert n_left <= limit
    assert (n_records == 0) == (share == 1)


def test_reading_notes_the_use_once_an_hour(tmp_path):
    """By modification times, which file systems keep that are mounted noatime."""
    records = write(Store(tmp_path), "test", 100)
    loose = "f" * 32
    records.write(loose, record(0))
    paths = [Path(records.path(loose)), *records.folder.glob("packs/*.npy")]
    for hours, noted in ((0.5, False), (2, True)):
        for path in paths:
            os.utime(path, (time.time() - hours * 3600,) * 2)
        before = [path.stat().st_mtime for path in paths]
        _files.recent.clear()
        assert all(found is not None for found in records.read_all([loose, f"{5:032x}"], [1]))
        for path, then in zip(paths, before, strict=True):
            assert (path.stat().st_mtime > then) == noted


@pytest.mark.slow
def test_the_environment_limits_the_store(tmp_path, speech, monkeypatch):
    clips = [(speech(seed), RATE) for seed in range(6)]
    monkeypatch.setenv("SKLEARN_SER_CACHE_MAX_SIZE", "60 kB")
    for embedder in (MFCCEmbedder(), MFCCEmbedder(n_mels=64), EGeMAPSEmbedder()):
        for start in (0, 2, 4):
            given = clips[start : start + 2]
            found = embedder.set_params(cache=tmp_path).fit_transform(given)
            expected = embedder.set_params(cache=None).fit_transform(given)
            np.testing.assert_array_equal(found, expected)
            assert 0 < Store(tmp_path).size()[1] <= 60_000
    assert Store(tmp_path).list()[0].size()[0] == 6  # eGeMAPS, the last


def test_what_cannot_be_evicted_is_said(tmp_path, monkeypatch):
    write(Store(tmp_path), "test", 3)

    def refuse(self, missing_ok=False):
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.warns(StoreWarning, match="not yours"):
        assert Store(tmp_path).reduce_size(1) == (0, 0)


def test_a_reader_recomputes_what_was_evicted(speech, tmp_path, monkeypatch, counting_mfcc):
    """Even between its look at the store and its reading."""
    clips = [(speech(seed, 0.2), RATE) for seed in range(70)]
    embedder = counting_mfcc(cache=tmp_path)
    expected = embedder.fit_transform(clips)
    look = _packs.Packs._look

    def evict_after(self):
        index = look(self)
        for path in tmp_path.rglob("packs/*.npy"):
            path.unlink()
        return index

    with monkeypatch.context() as patch:
        patch.setattr(_packs.Packs, "_look", evict_after)
        _files.recent.clear()
        np.testing.assert_array_equal(embedder.transform(clips), expected)
    assert counting_mfcc.n_extractions == 140


def test_what_killed_writers_left_is_removed_once_it_is_old(tmp_path, speech):
    embedder = MFCCEmbedder(cache=tmp_path)
    embedder.fit_transform([(speech(0), RATE)])
    records = embedder.records()
    (records.folder / "packs").mkdir()
    lock = RecordLock(records.path(f"ab{'2' * 30}"))
    held = records.folder / "ab" / f"{'2' * 30}.npy.lock"
    names = [f"ab/{'0' * 30}.npy.{'1' * 32}.tmp", f"ab/{'0' * 30}.npy.lock", "settings.json.1.tmp"]
    names += [f"packs/{'0' * 32}.npy.{'1' * 32}.tmp", f"packs/{'0' * 32}.keys.{'1' * 32}.tmp"]
    names += [f"packs/{'0' * 32}.keys"]
    others = [records.folder / name for name in ("notes.txt", "ab/notes.tmp", "ab/my.lock")]
    for old in (False, True):
        left = [records.folder / name for name in names]
        for path in [*left, *others]:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        assert lock.acquire()
        if old:
            age(records.folder, 1 / 12)
            lock.renew()
        embedder.transform([(speech(1 + old), RATE)])
        assert {path.exists() for path in left} == {not old}
        assert all(path.exists() for path in [*others, held])
        lock.release()
    assert records.size()[0] == 3


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_what_is_held_is_left_whatever_this_machine_says_the_time_is(ahead, tmp_path, monkeypatch):
    """Files' times are a file server's."""
    records = write(Store(tmp_path), "test", 1, pack=False)
    lock = RecordLock(records.path("ab" + "2" * 30))
    assert lock.acquire()
    old = records.folder / "ab" / f"{'0' * 30}.npy.lock"
    old.touch()
    os.utime(old, (time.time() - 2 * 3600,) * 2)
    at = time.time() + ahead
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: at)
        records.tidy(pack=False)
    assert not old.exists()
    assert (records.folder / "ab" / f"{'2' * 30}.npy.lock").exists()
    lock.release()


@pytest.mark.parametrize("fault", ["writing", "locks", "reading", "packs"])
def test_a_store_that_cannot_be_used_is_said_once(fault, tmp_path, speech, monkeypatch):
    """Not once or twice for each clip, nor again by each call."""
    clips = [(speech(seed, 0.2), RATE) for seed in range(70)]
    embedder = MFCCEmbedder(cache=tmp_path)
    expected = embedder.fit_transform(clips) if fault in ("reading", "packs") else None
    if fault == "reading":
        for path in tmp_path.rglob("packs/*"):
            path.unlink()
        embedder.fit_transform(clips[:60])

    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    if fault == "writing":
        monkeypatch.setattr("sklearn_ser._store._records.write_atomically", refuse)
        monkeypatch.setattr("sklearn_ser._store._lock.RecordLock._create", refuse)
        monkeypatch.setattr("sklearn_ser._store._lock.os.access", lambda *_: False)
    elif fault == "locks":
        monkeypatch.setattr("sklearn_ser._store._lock.RecordLock._create", refuse)
    else:
        monkeypatch.setattr("sklearn_ser._store._records.read_rows", refuse)
        monkeypatch.setattr("sklearn_ser._store._packs.read_rows", refuse)
        _files.recent.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            found = embedder.fit_transform(clips)
    assert len(caught) == 1, [str(w.message) for w in caught]
    assert issubclass(caught[0].category, StoreWarning)
    assert str(tmp_path) in str(caught[0].message)
    expected = MFCCEmbedder(cache=None).fit_transform(clips) if expected is None else expected
    np.testing.assert_array_equal(found, expected)


KILLED = """
import multiprocessing, os, random, shutil, signal, sys, time, warnings
from pathlib import Path
import numpy as np
from sklearn_ser.embedders import BaseEmbedder, FrameLayout
from sklearn_ser._store import Store, _packs, _records

folder, n_processes, n_rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
_packs.FEWEST, _packs.CLIPS = 16, 32
LIMIT = 150_000

class Level(BaseEmbedder):
    short_name, rate = "level", 16000
    def __init__(self, pooling="mean", *, frame=320, waveform_rate=None, n_jobs=None,
                 cache="auto", on_error="raise", verbose=False):
        self.pooling, self.frame, self.n_jobs = pooling, frame, n_jobs
        self.waveform_rate, self.cache = waveform_rate, cache
        self.on_error, self.verbose = on_error, verbose
    def compute_settings(self):
        return {"frame": self.frame}
    def layout(self):
        return FrameLayout([(0, "level")], [str(i) for i in range(40)], self.pooling)
    def compute(self, waveform):
        time.sleep(0.0005)
        frames = waveform[: len(waveform) // self.frame * self.frame].reshape(1, -1, self.frame)
        return frames[:, :, :40] ** 2

rng = np.random.default_rng(0)
X = [(rng.random(3200).astype("f4") - 0.5, 16000) for _ in range(300)]
POOLINGS = ["mean", "std", "max"]
EXPECTED = {(frame, pooling): Level(pooling, frame=frame, cache=None).fit_transform(X)
            for frame in (320, 640) for pooling in POOLINGS}

def work(seed, log):
    rng = random.Random(seed)
    warnings.simplefilter("error")
    while True:
        frame, pooling = rng.choice([320, 640]), rng.choice(POOLINGS)
        rows = rng.sample(range(len(X)), 80)
        try:
            found = Level(pooling, frame=frame, cache=folder).fit_transform([X[i] for i in rows])
            wrong = int((found != EXPECTED[frame, pooling][rows]).any(axis=1).sum())
            n_evicted = Store(folder).reduce_size(LIMIT)[0]
            os.write(log, f"{len(rows)} {wrong} {n_evicted} 0\\n".encode())
        except Exception as error:
            os.write(log, f"0 0 0 1 {error!r}\\n".encode())

context = multiprocessing.get_context("fork")
log = os.open(sys.argv[4], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
waits = random.Random(0)
for round in range(n_rounds):
    seeds = range(100 * round, 100 * round + n_processes)
    processes = [context.Process(target=work, args=(seed, log)) for seed in seeds]
    for process in processes:
        process.start()
    time.sleep(waits.uniform(1.0, 2.0))
    for process in processes:
        time.sleep(waits.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
    for process in processes:
        process.join()
        assert process.exitcode == -signal.SIGKILL
left = sum(1 for pattern in ("*.tmp", "*.npy.lock") for _ in folder.rglob(pattern))
n_stored, wrong = 0, 0
warnings.simplefilter("error")
for (frame, pooling), expected in EXPECTED.items():
    records = Level(pooling, frame=frame, cache=folder).records()
    n_stored += records.size()[0]
    wrong += (Level(pooling, frame=frame, cache=folder).fit_transform(X) != expected).sum()
_records.HOUR = -1.0  # all of this is old
for records in Store(folder).list():
    records.tidy(pack=True)
still = sum(1 for pattern in ("*.tmp", "*.npy.lock") for _ in folder.rglob(pattern))
print(left, n_stored // len(POOLINGS), wrong, still)
"""


def check_kills(tmp_path, n_processes, n_rounds):
    log = tmp_path / "log"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "store"), str(n_processes)]
    done = subprocess.run(
        [*command, str(n_rounds), str(log)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.split()[3] != "0"] == []
    served, wrong, evicted = np.array([line.split()[:3] for line in lines], int).sum(axis=0)
    left, n_stored, n_wrong_after, still = map(int, done.stdout.split())
    print(f"{served} rows served, {wrong} wrong, {evicted} records evicted, {n_stored} stored, ")
    print(f"{n_wrong_after} wrong afterwards, {left} files left by the killed, {still} once tidied")
    assert served > 80 * n_rounds
    assert evicted > 0
    assert wrong == n_wrong_after == still == 0


@pytest.mark.skipif(os.name != "posix", reason="forks processes and sends SIGKILL")
@pytest.mark.parametrize(
    ("n_processes", "n_rounds"), [(4, 2), pytest.param(8, 20, marks=pytest.mark.slow)]
)
def test_processes_that_are_killed_and_evict_serve_no_wrong_value(n_processes, n_rounds, tmp_path):
    check_kills(tmp_path, n_processes, n_rounds)

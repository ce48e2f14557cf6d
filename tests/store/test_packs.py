"""Packs: many records in one file."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip
from sklearn_ser._store import Store, _files, _packs
from sklearn_ser.exceptions import StoreWarning

N = 300  # one full pack of 256, and the rest loose


def key(i):
    return f"{i:032x}"


def record(i, n_rows=4, n_columns=5):
    return np.random.default_rng(i).standard_normal((n_rows, n_columns), dtype=np.float32)


@pytest.fixture
def records(tmp_path):
    records = Store(tmp_path).records("test", {"n": 1})
    for i in range(N):
        records.write(key(i), record(i))
    records.pack()
    return records


def files(records, pattern):
    return sorted(
        path.relative_to(records.folder).as_posix() for path in records.folder.glob(pattern)
    )


def anew(records):
    """Return the records as another process sees them."""
    _packs.packs_in.cache_clear()
    _files.recent.clear()
    return Store(records.folder.parent).records("test", {"n": 1})


def test_many_records_become_packs_and_few_stay_loose(records):
    assert len(files(records, "packs/*.npy")) == len(files(records, "packs/*.keys")) == 1
    assert len(files(records, "??/*.npy")) == N - 256
    assert records.size()[0] == anew(records).size()[0] == N
    records.pack()
    assert len(files(records, "packs/*.npy")) == 1


@pytest.mark.parametrize("rows", [None, [0], [3, 1], [2, 2]])
def test_they_are_read_as_they_were_written(records, rows):
    indices = np.random.default_rng(0).permutation(N)
    wanted = [key(i) for i in indices] + [key(0), "f" * 32]
    for seen in (records, anew(records)):
        for _ in range(2):  # from the disk, and from memory
            *found, again, absent = seen.read_all(wanted, rows)
            for i, values in zip(indices, found, strict=True):
                expected = record(i) if rows is None else record(i)[rows]
                np.testing.assert_array_equal(values, expected)
            np.testing.assert_array_equal(again, record(0) if rows is None else record(0)[rows])
            assert absent is None
        expected = record(7) if rows is None else record(7)[rows]
        np.testing.assert_array_equal(seen.read(key(7), rows), expected)


def test_records_of_other_shapes_are_packed_apart(tmp_path):
    records = Store(tmp_path).records("test", {"n": 1})
    for i in range(140):
        records.write(key(i), record(i, n_rows=4 if i % 2 else 3))
    records.write(key(140), record(140, n_columns=9))
    records.pack()
    assert len(files(records, "packs/*.npy")) == 2
    assert len(files(records, "??/*.npy")) == 1
    for i in range(140):
        np.testing.assert_array_equal(
            anew(records).read(key(i)), record(i, n_rows=4 if i % 2 else 3)
        )


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 16
    path.write_bytes(content)


def test_damage_costs_the_clips_that_it_hit_and_no_other(records):
    [name] = files(records, "packs/*.npy")
    path = records.folder / name
    flip(path, path.stat().st_size - 6)  # a value of the last clip, in the last row
    seen = anew(records)
    for i in (0, 255):  # the first row is sound
        np.testing.assert_array_equal(seen.read(key(i), [0]), record(i)[[0]])
    with pytest.warns(StoreWarning, match="damaged"):
        found = seen.read_all([key(i) for i in range(256)], [3])
    assert [i for i, values in enumerate(found) if values is None] == [255]
    found = seen.read_all([key(i) for i in range(N)])
    assert [i for i, values in enumerate(found) if values is None] == [255]
    for i in set(range(N)) - {255}:
        np.testing.assert_array_equal(found[i], record(i))
    assert files(records, "packs/*.npy") == files(records, "packs/*.keys") == []


@pytest.mark.parametrize("part", ["npy", "keys"])
def test_every_kind_of_damage_is_noticed(part, tmp_path, monkeypatch):
    monkeypatch.setattr(_packs, "FEWEST", 2)
    records = Store(tmp_path).records("test", {"n": 1})
    for i in range(3):
        records.write(key(i), record(i, 2, 2))
    records.pack()
    [npy] = files(records, "packs/*.npy")
    [keys] = files(records, "packs/*.keys")
    paths = {name: records.folder / name for name in (npy, keys)}
    sound = {path: path.read_bytes() for path in paths.values()}
    target = paths[npy if part == "npy" else keys]
    for position in range(len(sound[target])):
        for path, content in sound.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        for loose in records.folder.glob("??/*.npy"):
            loose.unlink()
        flip(target, position)
        seen = anew(records)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = seen.read_all([key(i) for i in range(3)])
        for i, values in enumerate(found):  # right or absent, never wrong
            if values is not None:
                np.testing.assert_array_equal(values, record(i, 2, 2))
        if part == "npy":
            assert {w.category for w in caught} == {StoreWarning}


def test_a_truncated_pack_is_noticed(records):
    [name] = files(records, "packs/*.npy")
    path = records.folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(StoreWarning, match="bytes long"):
        assert anew(records).read(key(3)) is None


def test_an_interrupted_packing_loses_nothing(tmp_path, monkeypatch):
    records = Store(tmp_path).records("test", {"n": 1})
    for i in range(80):
        records.write(key(i), record(i))
    before = {path: path.read_bytes() for path in records.folder.glob("??/*.npy")}

    class Killed(BaseException):
        pass

    replace = os.replace
    for stopped_at in (1, 2, 3):
        calls = []

        def stopping(source, target, calls=calls, stopped_at=stopped_at):
            calls.append(target)
            if len(calls) == stopped_at:
                raise Killed
            replace(source, target)

        monkeypatch.setattr(_packs.os, "replace", stopping)
        if stopped_at < 3:
            with pytest.raises(Killed):
                records.pack()
        monkeypatch.setattr(_packs.os, "replace", replace)
        for i in range(80):
            np.testing.assert_array_equal(anew(records).read(key(i)), record(i))
    records.pack()
    assert files(records, "??/*.npy") == []
    for path, content in before.items():  # packed, but killed before the loose ones were removed
        path.write_bytes(content)
    anew(records).pack()
    assert files(records, "??/*.npy") == []
    assert len(files(records, "packs/*.npy")) == 1
    assert records.size()[0] == 80


def test_clear_removes_packs(records):
    assert Store(records.folder.parent).size()[0] == N
    Store(records.folder.parent).clear()
    assert not records.folder.exists()
    assert records.read(key(0)) is None
    assert records.size() == (0, 0)


def test_what_another_process_has_packed_is_found(tmp_path):
    """A reader who knows of no packs finds a record that was loose a moment ago."""
    records = Store(tmp_path).records("test", {"n": 1})
    for i in range(100):
        records.write(key(i), record(i))
    assert records.read(key(0)) is not None
    script = (
        "import sys; from sklearn_ser._store import Store; "
        "Store(sys.argv[1]).records('test', {'n': 1}).pack()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=120)
    assert files(records, "??/*.npy") == []
    for i in range(100):
        np.testing.assert_array_equal(records.read(key(i)), record(i))


def test_an_embedder_packs_what_it_computed(speech, cache_folder, counting_mfcc):
    X = [(speech(seed, 0.2), 16000) for seed in range(70)]
    expected = counting_mfcc().transform(X)
    assert len(list(cache_folder.rglob("packs/*.npy"))) == 1
    np.testing.assert_array_equal(counting_mfcc().transform(X[::-1])[::-1], expected)
    assert counting_mfcc.n_extractions == 70
    [path] = cache_folder.rglob("packs/*.npy")
    flip(Path(path), -6)
    _files.recent.clear()
    with pytest.warns(StoreWarning, match="damaged"):
        again = counting_mfcc(pooling="median", deltas=2, n_mfcc=128).transform(X)
    np.testing.assert_array_equal(
        again, MFCCEmbedder(pooling="median", deltas=2, n_mfcc=128, cache=None).transform(X)
    )


def test_frames_are_not_packed(speech, cache_folder):
    X = [(speech(seed, 0.2), 16000) for seed in range(70)]
    MFCCEmbedder(pooling=None).transform(X)
    assert not list(cache_folder.rglob("packs"))
    assert Store().list()[0].read(as_clip(X[0], 0).digest()) is not None


def test_rows_in_memory_are_bounded():
    recent = _files.Recent(5000)
    for i in range(50):
        recent.keep(i, np.zeros(250, np.float32))
    assert 2000 <= sum(row.nbytes for row in recent._rows.values()) <= 4000
    assert recent.get(49) is not None
    assert recent.get(0) is None


def test_packs_that_cannot_be_read_do_not_cost_what_was_computed_again(records, monkeypatch):
    def refuse(self, pack, rows):
        raise PermissionError("no")

    monkeypatch.setattr(_packs.Packs, "_rows_of", refuse)
    with pytest.warns(StoreWarning, match="cannot be read"):
        assert records.read_all([key(0)]) == [None]
    for i in range(_packs.FEWEST):
        records.write(key(i), record(i))
    records.pack()
    assert records._read_loose(key(0), None) is not None


def test_packs_written_at_one_moment_are_all_seen(tmp_path, monkeypatch):
    """A folder's date may not tell of a second change within the same tick."""
    moment = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: moment)
    ours, theirs = (Store(tmp_path).records("test", {"n": 1}) for _ in range(2))
    theirs._packs = _packs.Packs(ours._packs.folder)  # of another process
    for start in (0, 100):
        for i in range(start, start + 100):
            theirs.write(key(i), record(i))
        theirs.pack()
        os.utime(ours._packs.folder, ns=(moment, moment))
        assert ours.read_all([key(start)])[0] is not None

import os
import signal
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import soundfile

from sklearn_ser import MFCCEmbedder, _audio
from sklearn_ser._store import Records, Store
from sklearn_ser._utils import _files as disk
from sklearn_ser.exceptions import StoreWarning

RATE = 16000
KEY = "0123456789abcdef" * 2
only_posix = pytest.mark.skipif(os.name != "posix", reason="forks processes or sends SIGKILL")


@pytest.fixture
def records(tmp_path):
    return Store(tmp_path / "store").records("test", {"rate": 16000, "n": 3})


def random_record(n_rows=5, n_columns=7):
    return np.random.default_rng(0).standard_normal((n_rows, n_columns)).astype(np.float32)


def files(folder, pattern="*"):
    return sorted(path for path in Path(folder).rglob(pattern) if path.is_file())


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (1, 6373), (65, 768), (3, 0), (0, 3)])
def test_a_record_comes_back_as_it_was_written(shape, records):
    record = random_record(*shape)
    assert records.read(KEY) is None
    records.write(KEY, record)
    read = records.read(KEY)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, record)


@pytest.mark.parametrize("n_columns", [7, 768])  # a small record is read whole, a large one by row
@pytest.mark.parametrize("rows", [[0], [4], [3, 1], [2, 2], [0, 1, 2, 3, 4], []])
def test_rows_of_a_record(rows, n_columns, records):
    record = random_record(5, n_columns)
    records.write(KEY, record)
    np.testing.assert_array_equal(records.read(KEY, rows), record[rows])


def test_large_records_are_read_apart_from_each_other(records):
    rng = np.random.default_rng(0)
    lengths = [1, 40, 41, 300, 50, 1100, 1, 299]  # below, at and above what shares a block
    written = {f"{i:064x}": rng.random((n, 8001), np.float32) for i, n in enumerate(lengths)}
    for key, record in written.items():
        records.write(key, record)
    found = records.read_all(list(written))
    for i, (one, record) in enumerate(zip(found, written.values(), strict=True)):
        np.testing.assert_array_equal(one, record)
        assert not any(np.shares_memory(one, other) for other in found[:i])
    found[1][:] = 0
    for one, record in zip(found[2:], list(written.values())[2:], strict=True):
        np.testing.assert_array_equal(one, record)


def test_a_large_record_is_checked_once_while_its_file_stays_as_it_was(records, monkeypatch):
    monkeypatch.setattr("sklearn_ser._utils._files.SETTLED_NS", -(10**18))  # no file is too young
    checks = []
    crc32 = zlib.crc32

    def counted(*arguments):
        checks.append(arguments)
        return crc32(*arguments)

    key, record = "ab" * 32, np.random.default_rng(0).random((50, 200), np.float32)
    records.write(key, record)
    monkeypatch.setattr("sklearn_ser._store._files.zlib.crc32", counted)
    for expected in (1 + 50, 1):  # of the header; of the rows
        np.testing.assert_array_equal(records.read(key), record)
        assert len(checks) == expected
        checks.clear()
    content = bytearray(Path(records.path(key)).read_bytes())
    content[-1000] ^= 1
    Path(records.path(key)).write_bytes(content)
    with pytest.warns(StoreWarning, match="checksum does not match"):
        assert records.read(key) is None


def test_frames_may_be_changed_without_changing_others(speech):
    clip = (speech(0), 16000)
    embedder = MFCCEmbedder(pooling=None)
    for _ in ("computed", "read"):
        one, other = embedder.fit_transform([clip, clip])
        np.testing.assert_array_equal(one, other)
        desired = other.copy()
        one[:] = 0
        np.testing.assert_array_equal(other, desired)
    np.testing.assert_array_equal(embedder.transform([clip])[0], desired)


def test_special_values_keep_their_bits(records):
    record = np.array([[0.0, -0.0, 1e-45, np.finfo(np.float32).max]], np.float32)
    records.write(KEY, record)
    np.testing.assert_array_equal(records.read(KEY).view(np.uint32), record.view(np.uint32))


@pytest.mark.parametrize("rows", [None, [1]])
def test_every_flipped_bit_is_noticed_or_harmless(rows, records):
    record = random_record(2, 3)
    records.write(KEY, record)
    path = Path(records.path(KEY))
    sound = path.read_bytes()
    expected = record if rows is None else record[rows]
    n_harmless = 0
    for i in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[i // 8] ^= 1 << i % 8
        path.write_bytes(damaged)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            read = records.read(KEY, rows)
        if read is None:
            assert [w.category for w in caught] == [StoreWarning]
            assert "damaged" in str(caught[0].message)
            assert not path.exists()
        else:
            assert not caught
            np.testing.assert_array_equal(read, expected)
            n_harmless += 1
    # Only a row that is not read may be damaged unnoticed: 3 values and their checksum.
    assert n_harmless == (0 if rows is None else 8 * 4 * (3 + 1))


@pytest.mark.parametrize("n_columns", [3, 200])
@pytest.mark.parametrize("rows", [None, [0]])
def test_a_record_of_another_length_is_noticed(rows, n_columns, records):
    records.write(KEY, random_record(2, n_columns))
    path = Path(records.path(KEY))
    sound = path.read_bytes()
    for content in [*(sound[:length] for length in range(len(sound))), sound + b"\0", 2 * sound]:
        path.write_bytes(content)
        with pytest.warns(StoreWarning, match="damaged"):
            assert records.read(KEY, rows) is None


def test_a_record_under_another_key_is_noticed(records):
    records.write(KEY, random_record())
    other = KEY[::-1]
    path = Path(records.path(other))
    path.parent.mkdir(parents=True)
    os.rename(records.path(KEY), path)
    with pytest.warns(StoreWarning, match="checksum"):
        assert records.read(other) is None


def test_a_damaged_record_is_computed_again(speech, cache_folder, counting_mfcc):
    X = [(speech(), RATE)]
    expected = counting_mfcc().transform(X)
    [path] = files(cache_folder, "*.npy")
    content = bytearray(path.read_bytes())
    content[len(content) // 10 :] = bytes(len(content) - len(content) // 10)
    path.write_bytes(content)
    with pytest.warns(StoreWarning, match="computed again"):
        again = counting_mfcc(pooling=["median"]).transform(X)
    assert counting_mfcc.n_extractions == 2
    np.testing.assert_array_equal(counting_mfcc().transform(X), expected)
    assert counting_mfcc.n_extractions == 2
    assert again.shape == (1, 40)


def test_size_and_clear(tmp_path):
    store = Store(tmp_path)
    foreign = [tmp_path / "notes.txt", tmp_path / "model" / "weights.npy"]
    foreign[1].parent.mkdir()
    for path in foreign:
        path.write_bytes(b"mine")
    for name, n_records in [("mfcc", 3), ("egemaps", 2)]:
        records = store.records(name, {"name": name})
        for i in range(n_records):
            records.write(f"{i:032x}", random_record())
        written = files(records.folder, "*.npy")
        assert records.size() == (n_records, sum(len(path.read_bytes()) for path in written))
    written = [path for path in files(tmp_path, "*.npy") if path not in foreign]
    assert store.size() == (5, sum(len(path.read_bytes()) for path in written))
    assert [records.settings["name"] for records in store.list()] == ["egemaps", "mfcc"]
    store.clear()
    assert store.size() == (0, 0)
    assert sorted(foreign) == files(tmp_path)


def test_other_settings_are_other_records(tmp_path):
    store = Store(tmp_path)
    store.records("test", {"rate": 8000}).write(KEY, random_record())
    assert store.records("test", {"rate": 16000}).read(KEY) is None
    assert store.records("other", {"rate": 8000}).read(KEY) is None
    assert store.records("test", {"rate": 8000}).read(KEY) is not None


@pytest.mark.parametrize("given_by", ["parameter", "environment", "platform"])
def test_location(given_by, speech, tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "wanted", tmp_path / "elsewhere"
    if given_by == "parameter":
        monkeypatch.setenv("SKLEARN_SER_CACHE", str(elsewhere))
        embedder = MFCCEmbedder(cache=folder)
    else:
        embedder = MFCCEmbedder()
        if given_by == "environment":
            monkeypatch.setenv("SKLEARN_SER_CACHE", str(folder))
        else:
            monkeypatch.delenv("SKLEARN_SER_CACHE")
            monkeypatch.setattr(platformdirs, "user_cache_path", lambda app: folder / app)
            folder = folder / "sklearn-ser"
    embedder.transform([(speech(), RATE)])
    assert len(files(folder, "*.npy")) == 1
    assert not elsewhere.exists()


def test_location_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Store("~/store").folder == tmp_path / "store"


def test_no_cache_writes_nothing(speech, tmp_path, cache_folder, counting_mfcc, monkeypatch):
    monkeypatch.chdir(tmp_path)
    embedder = counting_mfcc(cache=None)
    embedder.transform([(speech(), RATE)])
    embedder.transform([(speech(), RATE)])
    assert counting_mfcc.n_extractions == 2
    assert files(tmp_path) == files(cache_folder) == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_nothing_but_records_is_left(n_jobs, speech, cache_folder):
    MFCCEmbedder(n_jobs=n_jobs).transform([(speech(seed), RATE) for seed in range(4)])
    assert len(files(cache_folder, "*.npy")) == 4
    assert {path.name for path in files(cache_folder)} - {
        path.name for path in files(cache_folder, "*.npy")
    } == {"settings.json"}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("obstacle", ["a file in its place", "read-only folder"])
def test_unwritable_store_only_costs_time(obstacle, n_jobs, speech, tmp_path):
    if obstacle == "a file in its place":
        location = tmp_path / "file" / "store"
        location.parent.write_bytes(b"in the way")
    else:
        if os.name != "posix" or os.geteuid() == 0:
            pytest.skip("root may write into every folder")
        location = tmp_path
        location.chmod(0o500)
    X = [(speech(seed), RATE) for seed in range(3)]
    with pytest.warns(StoreWarning) as caught:
        embedded = MFCCEmbedder(cache=location, n_jobs=n_jobs).transform(X)
    assert any("cannot be stored" in str(w.message) for w in caught)
    assert not any("computed again" in str(w.message) for w in caught)
    np.testing.assert_array_equal(embedded, MFCCEmbedder(cache=None).transform(X))


def changed_sample(path):
    waveform, rate = soundfile.read(path, dtype="int16")
    waveform[1234] ^= 1
    soundfile.write(path, waveform, rate)


def test_one_changed_sample_is_noticed(speech, tmp_path, counting_mfcc):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech(), RATE)
    before = counting_mfcc().transform([path])
    changed_sample(path)
    after = counting_mfcc().transform([path])
    assert counting_mfcc.n_extractions == 2
    assert (before != after).any()
    np.testing.assert_array_equal(after, MFCCEmbedder(cache=None).transform([path]))


def test_a_touched_file_is_not_computed_again(speech, tmp_path, counting_mfcc):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech(), RATE)
    before = counting_mfcc().transform([path])
    os.utime(path, (1, 1))
    np.testing.assert_array_equal(counting_mfcc().transform([path]), before)
    assert counting_mfcc.n_extractions == 1


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("rewrite", ["in place", "replaced"])
def test_a_rewritten_file_is_noticed_by_more_than_its_time(
    rewrite, settled, speech, tmp_path, counting_mfcc, monkeypatch
):
    monkeypatch.setattr("sklearn_ser._utils._files.SETTLED_NS", -(10**18) if settled else 10**18)
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech(), RATE)
    os.utime(path, (10**9, 10**9))
    before = os.stat(path)
    embedded = counting_mfcc().transform([path])
    time.sleep(0.05)  # more than a tick of the file system's clock
    if rewrite == "in place":
        changed_sample(path)
    else:
        other = tmp_path / "other.wav"
        other.write_bytes(path.read_bytes())
        changed_sample(other)
        os.replace(other, path)
    os.utime(path, (10**9, 10**9))
    after = os.stat(path)
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    again = counting_mfcc().transform([path])
    assert counting_mfcc.n_extractions == 2
    assert (embedded != again).any()


@pytest.mark.parametrize(("settled", "n_reads"), [(True, 1), (False, 3)])
def test_an_unchanged_file_is_not_read_again_once_it_has_settled(
    settled, n_reads, speech, tmp_path, monkeypatch
):
    monkeypatch.setattr(disk, "SETTLED_NS", -(10**18) if settled else 10**18)
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech(), RATE)
    clip, reads, opened = _audio.as_clip(path, 0), [], disk.open_regular
    monkeypatch.setattr(disk, "open_regular", lambda *given: reads.append(path) or opened(*given))
    assert len({clip.digest() for _ in range(3)}) == 1
    assert len(reads) == n_reads


def test_a_file_that_changes_before_it_is_read_is_kept_under_its_new_content(
    speech, tmp_path, monkeypatch
):
    path, copy = tmp_path / "clip.wav", tmp_path / "copy.wav"
    soundfile.write(path, speech(0), RATE)
    soundfile.write(copy, speech(1), RATE)
    first = MFCCEmbedder(cache=None).transform([path])
    second = MFCCEmbedder(cache=None).transform([copy])
    read_all = Records.read_all

    def look_up_while_the_file_changes(self, keys, rows=None):
        os.replace(copy, path)
        return read_all(self, keys, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Records, "read_all", look_up_while_the_file_changes)
        np.testing.assert_array_equal(MFCCEmbedder().transform([path]), second)
    np.testing.assert_array_equal(MFCCEmbedder().transform([path]), second)
    soundfile.write(path, speech(0), RATE)
    np.testing.assert_array_equal(MFCCEmbedder().transform([path]), first)


def test_equal_content_is_computed_once(speech, tmp_path, counting_mfcc):
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        soundfile.write(path, speech(), RATE)
    X = [*paths, paths[0].read_bytes(), {"bytes": paths[1].read_bytes(), "path": "c.wav"}]
    embedded = counting_mfcc().transform(X)
    assert counting_mfcc.n_extractions == 1
    assert (embedded == embedded[0]).all()
    counting_mfcc().transform(paths[::-1])
    assert counting_mfcc.n_extractions == 1


def test_rate_and_dtype_of_a_waveform_are_part_of_its_key(speech, counting_mfcc):
    waveform = speech()
    X = [
        (waveform, 16000),
        (waveform, 8000),
        (waveform.astype(np.float64), 16000),
        (waveform.view(np.int32), 16000),
    ]
    embedded = counting_mfcc().transform(X)
    assert counting_mfcc.n_extractions == 4
    np.testing.assert_array_equal(embedded[2], embedded[0])
    assert (embedded[[1, 3]] != embedded[0]).any(axis=1).all()
    np.testing.assert_array_equal(counting_mfcc().transform(X), embedded)
    assert counting_mfcc.n_extractions == 4


RACE = """
import os, sys, warnings
import multiprocessing
import numpy as np
from sklearn_ser._store import Store

warnings.simplefilter("error")
folder, n_processes = sys.argv[1], int(sys.argv[2])
keys = [f"{i:032x}" for i in range(4)]

values = {key: np.random.default_rng(i).random((50, 100), "f4") for i, key in enumerate(keys)}

def work(start, failures):
    records = Store(folder).records("race", {})
    start.wait()
    for _ in range(30):
        for key in keys:
            records.write(key, values[key])
            for rows in (None, [3, 40]):
                read = records.read(key, rows)
                expected = values[key] if rows is None else values[key][rows]
                if read is None or not np.array_equal(read, expected):
                    failures.value += 1

context = multiprocessing.get_context("fork")
start, failures = context.Barrier(n_processes), context.Value("i", 0)
processes = [context.Process(target=work, args=(start, failures)) for _ in range(n_processes)]
for process in processes:
    process.start()
for process in processes:
    process.join()
print(failures.value, *[process.exitcode for process in processes])
"""


@pytest.mark.slow
@only_posix
def test_many_processes_write_and_read_the_same_records(tmp_path):
    command = [sys.executable, "-c", RACE, str(tmp_path), "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["0"] * 9, done.stderr
    assert len(files(tmp_path)) == 4 + 1  # the records and settings.json


SLOW_EMBEDDER = """
import multiprocessing, os, sys, time
import numpy as np
from sklearn_ser import MFCCEmbedder

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

class SlowMFCC(MFCCEmbedder):
    def compute(self, waveform):
        os.write(log, b".")
        time.sleep(0.03)
        return super().compute(waveform)

X = [(row, 16000) for row in np.load(sys.argv[2])]
"""
EIGHT_AT_ONCE = """
def work(start, results):
    start.wait()
    results.put(SlowMFCC().transform(X).tobytes())

MFCCEmbedder(cache=None).transform(X[:1])
context = multiprocessing.get_context("fork")
start, results = context.Barrier(8), context.Queue()
processes = [context.Process(target=work, args=(start, results)) for _ in range(8)]
for process in processes:
    process.start()
embedded = {results.get() for _ in processes}
for process in processes:
    process.join()
sys.stdout.write(embedded.pop().hex() if len(embedded) == 1 else "they differ")
"""


@only_posix
def test_eight_processes_share_the_work(speech, tmp_path):
    log, clips = tmp_path / "log", tmp_path / "clips.npy"
    waveforms = np.stack([speech(seed) for seed in range(20)])
    np.save(clips, waveforms)
    command = [sys.executable, "-c", SLOW_EMBEDDER + EIGHT_AT_ONCE, str(log), str(clips)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert log.stat().st_size == 20, done.stderr
    expected = MFCCEmbedder(cache=None).transform([(waveform, RATE) for waveform in waveforms])
    assert done.stdout == expected.tobytes().hex()


@only_posix
def test_a_killed_extraction_goes_on_where_it_was(speech, tmp_path, cache_folder):
    log, clips, n_clips, n_jobs = tmp_path / "log", tmp_path / "clips.npy", 60, 2
    waveforms = np.stack([speech(seed) for seed in range(n_clips)])
    np.save(clips, waveforms)
    transform = f"SlowMFCC(n_jobs={n_jobs}).transform(X)"
    script = f"{SLOW_EMBEDDER}\nsys.stdout.buffer.write({transform}.tobytes())"
    command = [sys.executable, "-c", script, str(log), str(clips)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(files(cache_folder, "*.npy")) < 10:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL

    kept = files(cache_folder, "*.npy")
    assert 10 <= len(kept) < n_clips
    n_computed = log.stat().st_size
    in_flight = n_computed - len(kept)
    assert 0 <= in_flight <= n_jobs
    assert len(files(cache_folder, "*.lock")) <= n_jobs

    X = [(waveform, RATE) for waveform in waveforms]
    [records] = Store().list()
    for clip, leftover in [(-1, b"\x93NUMPY\1\0"), (-2, kept[0].read_bytes())]:
        path = Path(records.path(_audio.as_clip(X[clip], 0).digest()))
        path.parent.mkdir(exist_ok=True)
        Path(f"{path}.{'0' * 32}.tmp").write_bytes(leftover)
        Path(f"{path}.lock").touch()
    again = subprocess.run(command, capture_output=True, check=True, timeout=120)
    assert log.stat().st_size - n_computed == n_clips - len(kept)
    assert again.stdout == MFCCEmbedder(cache=None).transform(X).tobytes()
    assert Store().size()[0] == n_clips


def test_clear_leaves_other_peoples_files_alone(tmp_path, speech):
    """A folder with a settings.json that is not ours, and a file of others among records."""
    other = tmp_path / ".vscode" / "settings.json"
    other.parent.mkdir()
    other.write_text("{}")
    MFCCEmbedder(cache=tmp_path).fit_transform([(speech(), 16000)])
    (folder,) = tmp_path.glob("mfcc-*")
    (folder / "notes.txt").write_text("mine")
    assert Store(tmp_path).size()[0] == 1
    Store(tmp_path).clear()
    assert Store(tmp_path).size() == (0, 0)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "notes.txt",
        "settings.json",
    ]


def test_numbers_of_a_grid_share_records_with_plain_ones(tmp_path, speech):
    clips = [(speech(), 16000)]
    for hop_length in (256, np.int64(256)):
        MFCCEmbedder(hop_length=hop_length, cache=tmp_path).fit_transform(clips)
    assert len(Store(tmp_path).list()) == 1

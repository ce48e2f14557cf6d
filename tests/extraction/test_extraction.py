"""One loop from clips to records, with an extractor that only counts."""

import _thread
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from sklearn_ser._audio import as_clips
from sklearn_ser._extraction import Extraction, Extractor, Prepared
from sklearn_ser._extraction import _extract as extract_module
from sklearn_ser._store import RecordLock, Records, Store
from sklearn_ser.exceptions import ClipError, ClipWarning

RATE = 16000


def waveform(i, n_samples=1600):
    return np.float32(0.001 * (i + 1)) * np.resize(np.float32([1, -1]), n_samples)


def clips_of(numbers, n_samples=1600):
    return as_clips([(waveform(i, n_samples), RATE) for i in numbers], None)


class Counting(Extractor):
    """Gives a clip's first sample and length, and notes all that is asked of it."""

    def __init__(self, *, may_batch=True, **options):
        super().__init__(**options)
        self.may_batch = may_batch
        self.prepared, self.batches, self.threads = [], [], []
        self.n_held = self.max_held = 0
        self._lock = threading.Lock()

    def prepare(self, clip, content):
        samples = clip.waveform(content, RATE, 2)
        with self._lock:
            self.prepared.append(clip.position)
            self.n_held += 1
            self.max_held = max(self.max_held, self.n_held)
        return Prepared((clip, samples), len(samples) / RATE, self.may_batch)

    def compute(self, items):
        with self._lock:
            self.batches.append([clip.position for clip, _ in items])
            self.threads.append(threading.current_thread())
            self.n_held -= len(items)
        return [self.record(clip, samples) for clip, samples in items]

    @property
    def computed(self):
        """Positions of the clips of all batches."""
        return [position for batch in self.batches for position in batch]

    def record(self, clip, samples):
        return np.float32([[samples[0], len(samples)], [0, 1]])


KINDS = {
    "in the calling thread": {"n_concurrent": 0},
    "in one thread": {"n_concurrent": 1},
    "in three threads": {"n_concurrent": 3},
    "in batches": {"n_concurrent": 2, "batch_seconds": 0.5, "n_ahead": 2},
}
kinds = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)


@pytest.fixture
def records(tmp_path) -> Records:
    return Store(tmp_path).records("counting", {"version": 1})


def extract(clips, extractor, records=None, rows=None, on_error="raise"):
    extraction = Extraction(clips, records, rows, on_error)
    extraction.compute(extractor)
    return extraction.result()


def threads():
    """Return the threads that run, but for tqdm's, which it starts once and keeps."""
    return {thread for thread in threading.enumerate() if thread.name != "tqdm_monitor"}


def assert_no_locks(records):
    assert not list(records.folder.rglob("*.lock"))


@kinds
@pytest.mark.parametrize("keeps", [True, False])
def test_each_content_is_computed_once_and_rows_are_in_order(options, keeps, records):
    numbers = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]
    extractor = Counting(**options)
    found = extract(clips_of(numbers), extractor, records if keeps else None, [0])
    assert [row[0, 0] for row in found] == [np.float32(0.001 * (i + 1)) for i in numbers]
    assert sorted(extractor.computed) == [0, 1, 2, 4, 5, 6, 7]  # the first of each content
    again = Extraction(clips_of(numbers), records if keeps else None, [1])
    assert bool(again.missing) == (not keeps)
    if keeps:
        assert [row.tolist() for row in again.result()] == [[[0, 1]]] * len(numbers)
        assert_no_locks(records)


@kinds
def test_clips_that_cannot_be_used_are_named_each(options, records):
    clips = as_clips([(waveform(0), RATE), *[(np.zeros(1600, np.float32), RATE)] * 2], None)
    extractor = Counting(**options)
    with pytest.warns(ClipWarning) as caught:
        found = extract(clips, extractor, records, None, "warn")
    assert [row is None for row in found] == [False, True, True]
    messages = [str(warning.message) for warning in caught]
    assert [f"clip {i} " in message for i, message in enumerate(messages, 1)] == [True, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert extract(clips, Counting(**options), records, None, "nan")[1] is None
    with pytest.raises(ClipError, match=r"clip 1 .*silent"):
        extract(clips, Counting(**options), records)
    assert records.size()[0] == 1
    assert_no_locks(records)


@kinds
def test_what_compute_says_of_a_clip_is_its_error_alone(options, records):
    class Picky(Counting):
        def record(self, clip, samples):
            if clip.position == 2:
                return clip.error("too odd", "Leave it out.")
            if clip.position == 3:
                return np.float32([[np.nan, 1], [0, 1]])
            return super().record(clip, samples)

    clips = clips_of(range(8))
    found = extract(clips, Picky(**options), records, None, "nan")
    assert [row is None for row in found] == [i in (2, 3) for i in range(8)]
    with pytest.raises(ClipError, match=r"clip (2 .*too odd|3 .*NaN or infinite)"):
        extract(clips, Picky(**options), records)
    assert records.size()[0] == 6


@kinds
@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("where", ["prepare", "compute", "every compute"])
def test_finished_batches_are_stored_and_locks_given_back_whatever_stops_it(
    where, stop, options, records
):
    class Stopping(Counting):
        def prepare(self, clip, content):
            if where == "prepare" and clip.position == 30:
                raise stop("enough")
            return super().prepare(clip, content)

        def record(self, clip, samples):
            if "compute" in where and (
                clip.position == 10 or (where[0] == "e" and self.batches[5:])
            ):
                raise stop("enough")
            finished.append(clip.position)
            return super().record(clip, samples)

    finished = []
    before = threads()
    extractor = Stopping(**options)
    with pytest.raises(stop):
        extract(clips_of(range(60)), extractor, records)
    n_stored = records.size()[0]
    # All but those of batches in which one raised.
    assert len(finished) - 5 * 3 <= n_stored <= len(finished)
    assert 1 <= n_stored < 60
    assert threads() <= before
    assert_no_locks(records)
    rest = Counting(**options)
    extract(clips_of(range(60)), rest, records)
    assert len(rest.computed) == 60 - n_stored


@kinds
def test_a_progress_bar_that_raises_loses_nothing_that_is_computed(options, records, monkeypatch):
    def stop(self, clip):
        raise RuntimeError("enough")

    monkeypatch.setattr(extract_module.Progress, "update", stop)
    extractor = Counting(**options)
    with pytest.raises(RuntimeError, match="enough"):
        extract(clips_of(range(30)), extractor, records)
    assert records.size()[0] == len(extractor.computed)
    assert_no_locks(records)


@pytest.mark.parametrize("place", ["lock", "prepare", "compute"])
def test_ctrl_c_in_the_calling_thread_leaves_no_lock(place, records, monkeypatch):
    """It comes while that thread waits for another one, which goes on for a moment."""

    def interrupt():
        time.sleep(0.2)
        _thread.interrupt_main()
        time.sleep(0.2)

    class Interrupted(Counting):
        def prepare(self, clip, content):
            if place == "prepare" and clip.position == 3:
                interrupt()
            return super().prepare(clip, content)

        def compute(self, items):
            if place == "compute" and len(self.batches) == 3:
                interrupt()
            return super().compute(items)

    acquire, acquired = RecordLock.acquire, []

    def slow_acquire(self):
        acquired.append(self)
        if place == "lock" and len(acquired) == 4:
            interrupt()
        return acquire(self)

    monkeypatch.setattr(RecordLock, "acquire", slow_acquire)
    extractor = Interrupted(n_readers=1, n_concurrent=2)
    with pytest.raises(KeyboardInterrupt):
        extract(clips_of(range(40)), extractor, records)
    assert_no_locks(records)
    assert records.size()[0] == len(extractor.computed) < 40


def test_a_second_ctrl_c_leaves_no_lock(records, monkeypatch):
    """The process may go on, as that of a notebook does, and others would wait for it."""

    def interrupted(*given, **options):
        raise KeyboardInterrupt

    class Fails(Counting):
        def compute(self, items):
            raise KeyboardInterrupt

    monkeypatch.setattr(extract_module, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(clips_of(range(6)), Fails(n_readers=2, n_concurrent=0), records)
    assert_no_locks(records)


@kinds
def test_few_clips_are_held_at_once(options, records, monkeypatch):
    """Those that are read, prepared or computed: other processes have to find some to compute."""
    monkeypatch.setattr(extract_module, "MAX_READY", 12)
    monkeypatch.setattr(extract_module, "MAX_HELD", 15)
    # A listing of the folder is no count: files come and go while it is read.
    held, n_held = set(), []
    acquire, release = RecordLock.acquire, RecordLock.release

    def counted_acquire(self):
        acquired = acquire(self)
        held.add(self)
        return acquired

    def counted_release(self):
        held.discard(self)
        release(self)

    monkeypatch.setattr(RecordLock, "acquire", counted_acquire)
    monkeypatch.setattr(RecordLock, "release", counted_release)

    class Slow(Counting):
        def compute(self, items):
            time.sleep(0.005)
            n_held.append(len(held))
            return super().compute(items)

    extractor = Slow(n_readers=5, **{**options, "n_ahead": 100})
    extract(clips_of(range(150)), extractor, records)
    assert sorted(extractor.computed) == list(range(150))
    assert not held
    assert 5 < max(n_held) <= 15


def test_a_slow_batch_does_not_keep_others_from_being_computed(records):
    """Nor from being stored."""
    done = threading.Event()

    class Slow(Counting):
        def record(self, clip, samples):
            if clip.position == 0:
                assert done.wait(20)
            if clip.position == 19:
                done.set()
            return super().record(clip, samples)

    extractor = Slow(n_readers=2, n_concurrent=2)
    extract(clips_of(range(20)), extractor, records)
    assert sorted(extractor.computed) == list(range(20))


def test_batches_do_not_depend_on_who_is_done_first():
    class Odd(Counting):
        def prepare(self, clip, content):
            time.sleep(0.003 * self.rng.random())
            return super().prepare(clip, content)

        def compute(self, items):
            time.sleep(0.01 * self.rng.random())
            return super().compute(items)

    lengths = np.random.default_rng(0).integers(800, 8000, 60)
    batches = []
    for seed in range(3):
        extractor = Odd(n_readers=3, n_concurrent=2, batch_seconds=1.0, n_ahead=3)
        extractor.rng = np.random.default_rng(seed)
        X = [(waveform(i, n), RATE) for i, n in enumerate(lengths)]
        extract(as_clips(X, None), extractor)
        batches.append(sorted(map(sorted, extractor.batches)))
    assert batches[0] == batches[1] == batches[2]


def test_a_batch_is_within_its_budget_and_of_like_lengths():
    extractor = Counting(n_concurrent=0, batch_seconds=1.0, n_ahead=4)
    clips = as_clips([(waveform(i, 1600 + 6400 * (i % 2)), RATE) for i in range(40)], None)
    extract(clips, extractor)
    lengths = [[0.1 + 0.4 * (i % 2) for i in batch] for batch in extractor.batches]
    assert all(len(batch) * max(batch) <= 1.0 for batch in lengths)
    assert max(map(len, lengths)) == 10
    assert sum(len(set(batch)) > 1 for batch in lengths) <= 2


def test_clips_that_may_not_share_a_batch_are_computed_one_by_one():
    extractor = Counting(may_batch=False, batch_seconds=10.0)
    extract(clips_of(range(12)), extractor)
    assert [len(batch) for batch in extractor.batches] == [1] * 12


def test_a_warning_of_a_reader_that_is_an_error_comes_through(records):
    class Warning_(Counting):
        def prepare(self, clip, content):
            if clip.position == 5:
                warnings.warn(clip.note("is odd"), ClipWarning, stacklevel=2)
            return super().prepare(clip, content)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ClipWarning, match=r"clip 5 .*is odd"):
            extract(clips_of(range(12)), Warning_(n_readers=3), records)
    assert_no_locks(records)
    with pytest.warns(ClipWarning, match="is odd"):
        extract(clips_of(range(12)), Warning_(n_readers=3), records)
    assert records.size()[0] == 12


def test_what_others_compute_is_waited_for_last_and_read(records):
    clips = clips_of(range(6))
    key = clips[2].digest()
    lock = RecordLock(records.path(key))
    assert lock.acquire()
    record = np.float32([[7, 7], [7, 7]])

    def finish():
        until = time.monotonic() + 20
        while records.size()[0] < 5 and time.monotonic() < until:  # all others are done before
            time.sleep(0.01)
        records.write(key, record)
        lock.release()

    other = threading.Thread(target=finish)
    other.start()
    extractor = Counting()
    found = extract(clips, extractor, records)
    other.join()
    assert sorted(extractor.computed) == [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(found[2], record)


def test_what_is_stored_is_read_though_its_lock_is_still_there(records, monkeypatch):
    """As of a machine that is gone, or where a file cannot be removed while another reads it."""
    clips = clips_of(range(3))
    extraction = Extraction(clips, records, None)
    key = clips[1].digest()
    records.write(key, np.float32([[7, 7], [7, 7]]))
    Path(f"{records.path(key)}.lock").write_text("another-host 1")
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits"))
    extractor = Counting()
    extraction.compute(extractor)
    assert sorted(extractor.computed) == [0, 2]
    np.testing.assert_array_equal(extraction.result()[1], [[7, 7], [7, 7]])


def test_what_another_process_has_given_up_is_computed_here(records):
    clips = clips_of(range(4))
    lock = RecordLock(records.path(clips[1].digest()))
    assert lock.acquire()
    threading.Timer(0.3, lock.release).start()
    extractor = Counting()
    assert len(extract(clips, extractor, records)) == 4
    assert sorted(extractor.computed) == [0, 1, 2, 3]
    assert extractor.batches[-1] == [1]


def test_a_file_that_changes_is_stored_under_what_was_read(records, tmp_path):
    import soundfile

    path = tmp_path / "clip.wav"
    soundfile.write(path, waveform(0), RATE)
    clips = as_clips([path], None)
    extraction = Extraction(clips, records, None)
    soundfile.write(path, waveform(5), RATE)
    extraction.compute(Counting())
    (found,) = extraction.result()
    fresh = as_clips([path], None)
    np.testing.assert_array_equal(Extraction(fresh, records, None).result()[0], found)
    soundfile.write(path, waveform(0), RATE)
    assert Extraction(as_clips([path], None), records, None).missing

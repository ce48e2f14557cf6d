"""The workers of a cluster compute what one process does, each clip once."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._utils import on_cluster as is_on_cluster
from sklearn_ser._utils import thread_count
from sklearn_ser.datasets import load_emodb, make_emotional_speech
from sklearn_ser.embedders._cluster import _Caught, deal_out
from sklearn_ser.exceptions import ClipError, ClipWarning

# Restarts of a worker, and of what it was computing, are Ray's to make if it is told to.
RAY_ARGUMENTS = {"max_restarts": -1, "max_task_retries": -1}


class Dask:
    """A cluster of two processes."""

    name, options = "dask", {"backend": "dask"}

    def __init__(self):
        distributed = pytest.importorskip("distributed", reason="the extra cluster is missing")
        self.cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self.client = distributed.Client(self.cluster)

    @property
    def address(self):
        return self.cluster.scheduler_address

    def stop(self):
        self.client.close()
        self.cluster.close()


class Ray:
    """The same, of Ray."""

    name = "ray"
    options = {"backend": "ray", "n_jobs": -1, "ray_remote_args": RAY_ARGUMENTS}

    def __init__(self):
        self.ray = pytest.importorskip("ray", reason="the extra cluster is missing")
        from ray.util.joblib import register_ray

        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # or it warns
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self.ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        register_ray()

    @property
    def address(self):
        return self.ray.get_runtime_context().gcs_address

    def stop(self):
        self.ray.shutdown()


@pytest.fixture(scope="module", params=[Dask, pytest.param(Ray, marks=pytest.mark.slow)])
def cluster(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = request.param()
    yield started
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started.stop()


@pytest.fixture
def on_cluster(cluster):
    with joblib.parallel_config(**cluster.options):
        yield cluster


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return files, their emotions and speakers."""
    made = make_emotional_speech(n_speakers=4, n_sentences=3, random_state=0)
    folder = tmp_path_factory.mktemp("corpus")
    paths = []
    for i, (waveform, rate) in enumerate(made.X):
        paths.append(str(folder / f"{i}.wav"))
        soundfile.write(paths[-1], waveform, rate, subtype="FLOAT")
    return paths, made.y, made.groups


@pytest.fixture(scope="module")
def larger_corpus(corpus):
    """Return the same of EmoDB, where it is."""
    folder = Path(__file__).parents[2] / "shared" / "corpora" / "emodb"
    if not folder.is_dir():
        return corpus
    found = load_emodb(folder)
    return list(map(str, found.X)), found.y, found.groups


@pytest.fixture
def log(tmp_path):
    """Return a file to which the classes below write the process of each clip they compute."""
    path = tmp_path / "log"
    path.touch()
    return path


def counting(log, kind, seconds=0.0):
    """Return a subclass, of which all processes note in a file what they compute.

    It is made here, so that it is sent to workers, which cannot import this file.
    """
    log = str(log)

    class Counting(kind):
        def make_extractor(self):
            extractor = super().make_extractor()
            # MFCCs are computed where clips are prepared.
            name = "prepare" if kind is MFCCEmbedder else "compute"
            compute = getattr(extractor, name)

            def note(*given):
                n_clips = 1 if name == "prepare" else len(given[0])
                time.sleep(seconds)
                with open(log, "a") as file:
                    file.write(f"{os.getpid()}\n" * n_clips)
                return compute(*given)

            setattr(extractor, name, note)
            return extractor

    return Counting


def processes(log):
    return [int(line) for line in Path(log).read_text().split()]


def test_shares_cost_the_same_and_lack_nothing():
    costs = np.random.default_rng(0).gamma(1.0, 5.0, 500)
    shares = deal_out(costs.tolist(), 16)
    assert sorted(i for share in shares for i in share) == list(range(500))
    sums = [costs[share].sum() for share in shares]
    assert max(sums) - min(sums) < 0.01 * np.mean(sums)
    assert [len(share) for share in deal_out([0.0] * 12, 4)] == [3, 3, 3, 3]  # of unknown length
    assert deal_out([1.0, 2.0], 8) == [[1], [0]]


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("kind", [MFCCEmbedder, pytest.param(SSLEmbedder, marks=pytest.mark.slow)])
def test_embeddings_are_those_of_one_process(kind, keeps, cluster, corpus, log, cache_folder):
    paths, _, _ = corpus
    parameters = {"model": "nano", "layer": "all"} if kind is SSLEmbedder else {}
    expected = kind(cache=None, **parameters).fit_transform(paths)
    embedder = counting(log, kind)(cache="auto" if keeps else None, **parameters)
    with joblib.parallel_config(**cluster.options):
        found = embedder.fit_transform([*paths, *paths[:5]])
    assert len(processes(log)) == len(paths)
    assert os.getpid() not in processes(log)
    assert len(set(processes(log))) == 2
    # Of a speech model, the last bits depend on the number of threads, which may differ here.
    tolerance = 1e-5 if kind is SSLEmbedder else 1e-6
    expected = np.concatenate([expected, expected[:5]])
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert not list(cache_folder.rglob("*.lock"))
    embedder.fit_transform(paths)  # here, from the store that the workers filled
    assert len(processes(log)) == len(paths) * (1 if keeps else 2)


def test_frames_waveforms_and_relative_folders_are_sent(on_cluster, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # workers are elsewhere
    waveforms = [soundfile.read(path, dtype="float32") for path in corpus[0][:3]]
    soundfile.write("relative.wav", *waveforms[2])
    X = [*waveforms[:2], "relative.wav"]
    embedder = MFCCEmbedder(pooling=None, cache="store")
    found = embedder.fit_transform(X)
    with joblib.parallel_config("threading", n_jobs=1):
        expected = MFCCEmbedder(pooling=None, cache=None).fit_transform(X)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert list((tmp_path / "store").rglob("*.npy"))


@pytest.mark.parametrize("n_jobs", [None, 1, 3])
def test_threads_of_this_process_are_not_counted_by_the_cluster(n_jobs, on_cluster, monkeypatch):
    assert is_on_cluster()
    monkeypatch.setattr(type(joblib.parallel.get_active_backend()[0]), "effective_n_jobs", 1000)
    assert thread_count(n_jobs) == (n_jobs or 1)
    for backend in ("loky", "threading", "multiprocessing", "sequential"):
        with joblib.parallel_config(backend, n_jobs=2):
            assert not is_on_cluster()
            assert thread_count(None) == (1 if backend == "sequential" else 2)


@pytest.mark.slow
def test_warnings_of_shares_that_overlap_are_all_caught_once():
    caught, outside, found = _Caught(), warnings.showwarning, {}
    both_run, one_has_ended = threading.Barrier(2), threading.Event()

    def share(name):
        with caught.recorded() as take:
            both_run.wait(20)
            warnings.warn(f"{name} begins", ClipWarning, stacklevel=1)
            if name == "second":
                one_has_ended.wait(20)
                warnings.warn("second ends", ClipWarning, stacklevel=1)
            found[name] = take()
        one_has_ended.set()

    threads = [threading.Thread(target=share, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = sorted(message for taken in found.values() for message, _ in taken)
    assert messages == ["first begins", "second begins", "second ends"]
    assert warnings.showwarning is outside


@pytest.mark.slow
def test_warnings_for_the_developers_of_libraries_do_not_come_back():
    with _Caught().recorded() as take:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn("unclosed", ResourceWarning, stacklevel=1)
        warnings.warn("changed", FutureWarning, stacklevel=1)
        for _ in range(2):
            warnings.warn("of a clip", ClipWarning, stacklevel=1)
        found = take()
    assert found == [("changed", FutureWarning)] + 2 * [("of a clip", ClipWarning)]


def test_errors_and_warnings_come_back(on_cluster, corpus, tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16000, np.float32), 16000)
    loud = tmp_path / "loud.wav"
    samples, rate = soundfile.read(corpus[0][0], dtype="float32")
    samples[100] = 1.5
    soundfile.write(loud, samples, rate, subtype="FLOAT")
    samples[200] = 1.5
    soundfile.write(tmp_path / "louder.wav", samples, rate, subtype="FLOAT")
    X = [*corpus[0][:4], silent, loud, tmp_path / "louder.wav"]
    with pytest.raises(ClipError, match=r"clip 4 \(silent.wav\): silent"):
        MFCCEmbedder().fit_transform(X)
    with pytest.warns(ClipWarning) as caught:
        found = EGeMAPSEmbedder(on_error="warn").fit_transform(X)
    messages = sorted(str(warning.message) for warning in caught)
    assert len(messages) == 2
    assert "clip 4 (silent.wav): silent" in messages[0]
    assert f"in 2 clips, at most 2 of {len(samples)} " in messages[1]  # each by another worker
    assert "in clip 6 (louder.wav)" in messages[1]
    assert np.isnan(found).all(axis=1).tolist() == [False] * 4 + [True, False, False]


def search_over(embedder, grid, corpus, n_jobs=None):
    paths, y, groups = corpus
    pipeline = make_pipeline(embedder, StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    folds = GroupKFold(4)
    return GridSearchCV(pipeline, grid, cv=folds, n_jobs=n_jobs).fit(paths, y, groups=groups)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MFCCEmbedder, SSLEmbedder])
def test_a_grouped_search_is_that_of_one_process(kind, cluster, larger_corpus, log, tmp_path):
    if kind is SSLEmbedder:
        embedder = counting(log, kind)("nano")
        grid = {"countingssl__layer": [0, 1, 2, "all"]}
    else:
        embedder, grid = counting(log, kind)(), {"countingmfcc__n_mfcc": [2, 13, 40]}
    embedder.__class__.__name__ = "Counting" + kind.__name__.removesuffix("Embedder")
    with joblib.parallel_config(**cluster.options):
        found = search_over(embedder.set_params(cache=tmp_path / "a"), grid, larger_corpus)
    n_passes = len(processes(log))
    assert n_passes <= 1.05 * len(larger_corpus[0])
    expected = search_over(embedder.set_params(cache=tmp_path / "b"), grid, larger_corpus)
    assert found.best_params_ == expected.best_params_
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"],
        expected.cv_results_["mean_test_score"],
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="it sends SIGKILL")
@pytest.mark.parametrize("keeps", [True, False])
def test_a_killed_worker_changes_nothing(keeps, cluster, corpus, log, cache_folder):
    paths, _, _ = corpus
    expected = MFCCEmbedder(cache=None).fit_transform(paths)
    killed = []

    def kill():
        while len(processes(log)) < len(paths) / 4:
            time.sleep(0.01)
        killed.append(processes(log)[-1])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with joblib.parallel_config(**cluster.options):
        embedder = counting(log, MFCCEmbedder, 0.1)(cache="auto" if keeps else None)
        found = embedder.fit_transform(paths)
    killer.join()
    assert len(set(processes(log))) == 3  # the one that came in its place
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    # What it was computing, and, where nothing is stored, what it had not given back.
    assert len(paths) <= len(processes(log)) <= len(paths) + (2 if keeps else len(paths) / 8 + 1)
    assert not list(cache_folder.rglob("*.lock"))


@pytest.mark.slow
def test_the_command_line_connects_to_a_cluster(cluster, corpus, tmp_path):
    folder, command = str(Path(corpus[0][0]).parent), "from sklearn_ser.cli import main; main()"

    def run(*arguments, **more):
        done = [sys.executable, "-c", command, *arguments]
        return subprocess.run(done, capture_output=True, text=True, cwd=tmp_path, **more)

    there = ("--backend", cluster.name, "--scheduler", cluster.address)
    embed = ("embed", folder, "--features", "mfcc", "--cache")
    run(*embed, "none", "--out", "here.npz", check=True)
    run(*embed, "store", "--out", "there.npz", *there, check=True)
    here, elsewhere = (np.load(tmp_path / name)["X"] for name in ("here.npz", "there.npz"))
    np.testing.assert_allclose(here, elsewhere, rtol=0, atol=1e-6)
    assert list((tmp_path / "store").rglob("*.npy"))
    compare = ("compare", "--features", "mfcc", "--no-audio-audit", "--cache", "store")
    assert "Written to comparison" in run(*compare, *there, check=True).stdout
    again = run("compare", "--from", "comparison")  # here
    assert "are the same." in " ".join(again.stdout.split()), again.stdout + again.stderr

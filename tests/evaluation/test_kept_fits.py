"""A comparison that is killed, or extended, fits only what is missing; nobody gets a wrong row."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch

from sklearn_ser import EGeMAPSEmbedder
from sklearn_ser.classifiers import MLPHead
from sklearn_ser.classifiers._callbacks import Net
from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import _fits as fits
from sklearn_ser.evaluation import _recipes, compare, compare_across
from sklearn_ser.evaluation._recipes import why_not_repeatable

N_SPEAKERS = 5


def columns(*positions):
    return FunctionTransformer(lambda X: np.asarray(X)[:, list(positions)])


def made(seed=0):
    rng = np.random.default_rng(seed)
    y = np.tile(np.repeat(["anger", "fear"], 6), N_SPEAKERS)
    X = rng.normal(size=(len(y), 3))
    X[:, :2] += np.outer(y == "fear", [1.5, 0.7])
    return Bunch(name="made", X=X, y=y, groups=np.repeat(np.arange(N_SPEAKERS), 12))


@pytest.fixture
def corpus():
    return made()


@pytest.fixture
def counted(monkeypatch):
    """Return the classifiers of all fits, on training folds and inside of them."""
    found, fit = [], fits.fit_classifier

    def counting(classifier, *given, **named):
        found.append(classifier)
        return fit(classifier, *given, **named)

    monkeypatch.setattr(fits, "fit_classifier", counting)
    return found


def run(corpus, memory, features=("a",), **given):
    features = {name: {"a": columns(0), "b": columns(1)}[name] for name in features}
    return compare(corpus, features, memory=memory, audit=False, **{"classifier": "lda", **given})


@pytest.mark.one_in(5)
@pytest.mark.parametrize("inside", [None, "pipeline", "search"])
@pytest.mark.parametrize("network", [MLPClassifier, MLPHead], ids=lambda kind: kind.__name__)
def test_ctrl_c_in_a_network_keeps_no_fit(corpus, tmp_path, monkeypatch, network, inside):
    """Both libraries take it for the end of training, and what has hardly learned is fitted."""
    classifier = network(random_state=0)
    options = {"max_iter": 5} if network is MLPClassifier else {"max_epochs": 5}
    classifier.set_params(**options)
    if inside == "pipeline":
        classifier = make_pipeline(StandardScaler(), classifier)
    elif inside == "search":
        classifier = GridSearchCV(classifier, {"random_state": [0, 1]}, cv=GroupKFold(2))
    owner, name = (MLPClassifier, "_backprop") if network is MLPClassifier else (Net, "infer")
    before, calls = getattr(owner, name), []

    def interrupt(*given, **named):
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return before(*given, **named)

    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        patch.setattr(owner, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(corpus, tmp_path, classifier=classifier)
    assert len(calls) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again = run(corpus, tmp_path, classifier=classifier)
        same(again, run(corpus, None, classifier=classifier))


def same(found, expected):
    assert found.predictions.equals(expected.predictions)
    assert [row.uar for row in found.rows] == [row.uar for row in expected.rows]
    assert [each.rows for each in found.nested] == [each.rows for each in expected.nested]


@pytest.mark.slow
def test_an_extended_comparison_fits_only_what_is_missing(corpus, tmp_path, counted):
    first = run(corpus, tmp_path / "fits")
    assert len(counted) == N_SPEAKERS
    counted.clear()
    same(run(corpus, tmp_path / "fits"), first)
    assert counted == []
    found = run(corpus, tmp_path / "fits", ["a", "b"], classifier=["lda", "logistic"])
    # 5 folds of three new rows; and 4 inner folds of each fold of LDA, whose C nobody chooses.
    n_lda, n_logistic = N_SPEAKERS + 2 * N_SPEAKERS * 4, 2 * N_SPEAKERS
    assert [counted.count(name) for name in ("lda", "logistic")] == [n_lda, n_logistic]
    same(found, run(corpus, None, ["a", "b"], classifier=["lda", "logistic"]))
    counted.clear()
    same(run(corpus, tmp_path / "fits", ["a", "b"], classifier=["lda", "logistic"]), found)
    assert counted == []


CHANGES = {
    "features": lambda c: {"features": ["b"]},
    "labels": lambda c: c.y.__setitem__(slice(2), ["fear", "fear"]) or {},
    "speakers": lambda c: c.groups.__setitem__(slice(2), 1) or {},
    "a value": lambda c: c.X.__setitem__((3, 0), 9.0) or {},
    "folds": lambda c: {"cv": GroupKFold(5)},
    "classifier": lambda c: {"classifier": GaussianNB()},
    "scaling": lambda c: {"speaker_scaling": "global"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_predictions_is_fitted_again(corpus, tmp_path, counted, name):
    run(corpus, tmp_path)
    changed = made()
    given = CHANGES[name](changed)
    counted.clear()
    found = run(changed, tmp_path, **given)
    assert len(counted) == (0 if name == "folds" else N_SPEAKERS)  # which are the same, in order
    same(found, run(changed, None, **given))


def test_a_parameter_a_version_and_the_training_side_of_a_fold_are_in_the_key(
    corpus, tmp_path, counted, monkeypatch
):
    for C in (1, 2):
        run(corpus, tmp_path, classifier=make_pipeline(StandardScaler(), SVC(C=C, random_state=0)))
    assert len(counted) == 2 * N_SPEAKERS
    clips = np.arange(len(corpus.y))
    for n_train in (24, 36):
        run(corpus, tmp_path, cv=[(clips[12 : 12 + n_train], clips[:12])])
    assert len(counted) == 2 * N_SPEAKERS + 2
    versions = {"scikit-learn": "another"}
    monkeypatch.setattr("sklearn_ser.evaluation._kept_fits.installed_versions", lambda: versions)
    run(corpus, tmp_path)
    assert len(counted) == 3 * N_SPEAKERS + 2


def test_across_corpora_too(tmp_path, counted):
    corpora = {"a": made(0), "b": made(1)}
    given = {"features": {"a": columns(0)}, "scheme": None, "classifier": "lda", "audit": False}
    compare_across(corpora, alignment=None, memory=tmp_path, **given)
    n_fits = 2 * N_SPEAKERS + 2
    assert len(counted) == n_fits
    found = compare_across(corpora, alignment=[None, "coral"], memory=tmp_path, **given)
    assert len(counted) == n_fits + 2
    assert found.matrix(alignment="coral").equals(
        compare_across(corpora, alignment="coral", **given).matrix()
    )


@pytest.mark.slow
def test_classifiers_of_clips_are_kept_by_their_clips(tmp_path, counted):
    forest = make_pipeline(EGeMAPSEmbedder(), RandomForestClassifier(3, random_state=0))
    found = []
    for seed, n_fits in ((0, 3), (0, 3), (1, 6)):
        corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
        found.append(compare(corpus, {"forest": forest}, memory=tmp_path, audit=False))
        assert len(counted) == n_fits
    same(found[1], found[0])


def here(X):
    return X


class Own(ClassifierMixin, BaseEstimator):
    """Has code of its own, and a parameter."""

    def __init__(self, it=None):
        self.it = it

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


class Silent:
    def __repr__(self):
        return "always the same"


class Counter(Own):
    def __sklearn_clone__(self):
        return self


with sklearn.config_context(enable_metadata_routing=True):
    REQUESTING = MLPHead(random_state=0).set_fit_request(groups=False)
FITTED = LogisticRegression().fit([[0.0], [1.0]], ["a", "b"])
UNKNOWN = {
    "no seed": RandomForestClassifier(),
    "no seed of a network": MLPHead(),
    "a generator": RandomForestClassifier(random_state=np.random.RandomState(0)),
    "no seed within": CalibratedClassifierCV(RandomForestClassifier(), cv=2),
    "no seed of a splitter": GridSearchCV(SVC(random_state=0), {}, cv=KFold(2, shuffle=True)),
    "a lambda": make_pipeline(FunctionTransformer(lambda X: X), GaussianNB()),
    "a partial": make_pipeline(FunctionTransformer(partial(here)), GaussianNB()),
    "a method": make_pipeline(FunctionTransformer(Own().predict), GaussianNB()),
    "an object": Own(Silent()),
    "an object in a list": Own([Silent()]),
    "an array of objects": Own(np.array([Silent()])),
    "a fitted part": make_pipeline(FrozenEstimator(FITTED)),
    "a clone of its own": Counter(),
    "a request": REQUESTING,
}
KNOWN = {
    "naive": GaussianNB(),
    "forest": RandomForestClassifier(random_state=0),
    "search": GridSearchCV(SVC(random_state=0), {"C": [1, 2]}, cv=StratifiedKFold(2)),
    "function": make_pipeline(FunctionTransformer(here), GaussianNB()),
    "ufunc": make_pipeline(FunctionTransformer(np.tanh), GaussianNB()),
    "values": Own({"a": [1, None, np.float32(2)], "b": np.arange(3)}),
    "network": make_pipeline(StandardScaler(), MLPHead(random_state=0)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_a_recipe_does_not_tell_is_not_kept(corpus, tmp_path, name):
    assert why_not_repeatable(UNKNOWN[name])
    assert why_not_repeatable(make_pipeline(StandardScaler(), UNKNOWN[name]))
    if name in ("no seed", "an object", "a lambda"):
        with pytest.warns(UserWarning, match="fits of .* are not kept in memory: "):
            run(corpus, tmp_path, classifier={"x": UNKNOWN[name]})
        assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_recipe_tells_is_kept(name):
    assert why_not_repeatable(KNOWN[name]) is None
    assert why_not_repeatable(clone(KNOWN[name])) is None


OWN = """
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
import own_kept_helper

class OwnBayes(GaussianNB):
    def predict(self, X):
        return own_kept_helper.turned(super().predict(X))
"""
HELPER = "def turned(labels):\n    return labels[::{}]\n"


@pytest.mark.slow
def test_code_of_ones_own_and_what_it_imports_are_in_the_key(corpus, tmp_path):
    script = """
    import sys, numpy as np, pytest
    sys.path[:0] = [{place!r}, {tests!r}]
    from test_kept_fits import fits, made, run
    from own_kept_bayes import OwnBayes
    n, fit = [0], fits.fit_classifier
    def counting(*given, **named):
        n[0] += 1
        return fit(*given, **named)
    fits.fit_classifier = counting
    found = run(made(), {memory!r}, classifier=OwnBayes(), n_jobs=1)
    print(n[0], found.rows[0].uar)
    """
    (tmp_path / "own_kept_bayes.py").write_text(OWN)
    told = []
    for step in (1, 1, -1):
        (tmp_path / "own_kept_helper.py").write_text(HELPER.format(step))
        text = script.format(
            place=str(tmp_path), tests=os.path.dirname(__file__), memory=str(tmp_path / "fits")
        )
        told.append(python(text).stdout.split())
    assert [n for n, _ in told] == ["5", "0", "5"]
    assert told[0][1] == told[1][1] != told[2][1]


def python(script, **given):
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, check=True, **given)


SLOW = """
import sys, time
sys.path.insert(0, {tests!r})
from test_kept_fits import fits, made, run
fit = fits.fit_classifier
def slow(*given, **named):
    print("fit", flush=True)
    time.sleep({seconds})
    return fit(*given, **named)
fits.fit_classifier = slow
found = run(made(), {memory!r}, ["a", "b"], n_jobs=1, nested=False)
print("uar", [row.uar for row in found.rows])
"""


def slow(tmp_path, seconds):
    given = {"tests": os.path.dirname(__file__), "memory": str(tmp_path), "seconds": seconds}
    return subprocess.Popen(
        [sys.executable, "-c", SLOW.format(**given)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_killed_run_loses_what_is_in_flight_only(tmp_path):
    process = slow(tmp_path, 0.3)
    for _ in range(4):
        assert process.stdout.readline() == "fit\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len([*tmp_path.glob("*.json")]) == 3
    process.stdout.close()
    told = slow(tmp_path, 0).communicate()[0].splitlines()
    assert told.count("fit") == 2 * N_SPEAKERS - 3
    expected = run(made(), None, ["a", "b"], nested=False)
    assert told[-1] == f"uar {[row.uar for row in expected.rows]}"


@pytest.mark.slow
def test_eight_processes_may_share_a_folder(tmp_path):
    told = {process.communicate()[0].splitlines()[-1]
            for process in [slow(tmp_path, 0.01) for _ in range(8)]}  # fmt: skip
    expected = run(made(), None, ["a", "b"], nested=False)
    assert told == {f"uar {[row.uar for row in expected.rows]}"}
    assert len([*tmp_path.iterdir()]) == 2 * N_SPEAKERS


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"predicted": []}', "null"])
def test_a_damaged_file_is_fitted_again(corpus, tmp_path, counted, damage):
    first = run(corpus, tmp_path)
    damaged = sorted(tmp_path.iterdir())[0]
    damaged.write_text(damage)
    counted.clear()
    same(run(corpus, tmp_path), first)
    assert len(counted) == 1
    assert json.loads(damaged.read_text())["predicted"]


def unlucky(X):
    warnings.warn("about this fit", ConvergenceWarning, stacklevel=1)
    return X


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_warnings_of_fits_are_given_whoever_fits_and_again_when_kept(corpus, tmp_path, n_jobs):
    warner = make_pipeline(FunctionTransformer(unlucky), GaussianNB())
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(corpus, tmp_path, classifier=warner, n_jobs=n_jobs)
        told = [w for w in caught if w.category is ConvergenceWarning]
        assert [str(w.message) for w in told] == ["about this fit"] * (2 * N_SPEAKERS)
    with pytest.raises(ConvergenceWarning, match="about this fit"):
        run(corpus, None, classifier=warner, n_jobs=n_jobs)


class Process(Own):
    def predict(self, X):
        return np.repeat(str(os.getpid()), len(X))


def processes(corpus, **given):
    found = run(corpus, None, classifier=Process(), **given)
    return set(found.predictions["predicted"]) - {str(os.getpid())}


def test_folds_are_fitted_on_all_cores_unless_joblib_is_told_otherwise(corpus, monkeypatch):
    n_jobs = []
    parallel = fits.Parallel
    monkeypatch.setattr(fits, "SMALL", 0)
    monkeypatch.setattr(
        fits, "Parallel", lambda n, **given: n_jobs.append(n) or parallel(1, **given)
    )
    with joblib.parallel_config(n_jobs=None):
        run(corpus, None)
        joblib.Parallel(2, prefer="threads")(joblib.delayed(run)(corpus, None) for _ in range(1))
    run(corpus, None)  # as conftest.py has it
    with joblib.parallel_config(n_jobs=3):
        run(corpus, None)
        run(corpus, None, n_jobs=2)
    assert n_jobs == [-1, None, 1, 3, 2]
    monkeypatch.undo()
    with joblib.parallel_config(n_jobs=2):
        assert processes(corpus)
    assert not processes(corpus)


@pytest.mark.parametrize(
    ("limit", "n_here"), [({}, None), ({"WORTH_PROCESSES": 0}, 1), ({"SMALL": 0}, 0)]
)
def test_processes_are_started_only_where_they_pay(limit, n_here, corpus, monkeypatch):
    """And what is found does not depend on where it was fitted."""
    expected, handed_over = run(corpus, None, n_jobs=1), []
    parallel = fits.Parallel

    class Counted(parallel):
        def __call__(self, calls):
            handed_over.append(len(calls := list(calls)))
            return super().__call__(calls)

    monkeypatch.setattr(fits, "Parallel", lambda n_jobs, **given: Counted(1, **given))
    for name, value in limit.items():
        monkeypatch.setattr(fits, name, value)
    found = run(corpus, None, n_jobs=2)
    assert handed_over == ([] if n_here is None else [N_SPEAKERS - n_here])
    pd.testing.assert_frame_equal(
        found.predictions.drop(columns="seconds", errors="ignore"),
        expected.predictions.drop(columns="seconds", errors="ignore"),
    )


@pytest.mark.slow
def test_the_command_line_keeps_fits_beside_its_results(tmp_path, monkeypatch, counted, capsys):
    corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    monkeypatch.setattr(
        "sklearn_ser.datasets.make_emotional_speech", lambda **_: Bunch(**{**corpus})
    )
    given = ["--features", "mfcc", "--no-audio-audit", "--quiet", "--out", str(tmp_path / "out")]
    for classifiers, n_fits in ((["lda"], 4), (["lda", "svm"], 4 + 4 * 3)):
        counted.clear()
        assert main(["compare", *given, "--classifier", *classifiers]) == 0
        assert len(counted) == n_fits
    assert len([*(tmp_path / "out" / "fits").iterdir()]) == 8


def test_workers_that_were_started_elsewhere_keep_fits_in_the_folder(tmp_path, monkeypatch):
    corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    settings = {"classifier": "lda", "audit": False, "n_jobs": 2, "memory": "fits"}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        compare(corpus, ["mfcc"], **settings)
    counts = [len(list((tmp_path / name / "fits").iterdir())) for name in ("first", "second")]
    assert counts == [3, 3]


@pytest.mark.parametrize("package", ["skorch", "torch", "scikit-learn"])
def test_the_version_of_what_trains_is_in_the_key(package, monkeypatch):
    def key():
        labels = fits.ClipLabels(np.array(["a", "b"] * 2), np.array(list("ppqq")))
        task = fits.Task(0, 0, np.zeros((4, 2)), np.arange(2), np.arange(2, 4), "lda")
        return fits.Keys(labels, None).of(task)

    before, known = key(), _recipes.version
    monkeypatch.setattr(_recipes, "version", lambda name: "99" if name == package else known(name))
    assert key() != before

import copy
import functools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from sklearn_ser import MFCCEmbedder
from sklearn_ser.audit import audit_pipeline
from sklearn_ser.audit._fitted_state import find_differences, fitted_state
from sklearn_ser.classifiers import LayerWeightedClassifier, MLPHead
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation._classifiers import fit_classifier

CHANGED, FITTED = "changed with the test fold", "fitted before the split"
CV = KFold(3, shuffle=True, random_state=0)


def draw(seed=0):
    """Noisy features of 72 clips by 6 speakers; the first three emotions differ a little."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat([0, 1, 2], [36, 20, 16]))
    X = rng.normal(size=(72, 12))
    X[:, :3] += 0.8 * np.eye(3)[codes]
    return X, np.array(["anger", "fear", "joy"])[codes], np.tile(np.arange(6), 12)


def oversample(y, seed=0):
    """Return rows in which each emotion is as frequent as the most frequent one."""
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(y == emotion) for emotion in np.unique(y)]
    most = max(map(len, rows))
    return np.concatenate(
        [np.arange(len(y)), *(rng.choice(part, most - len(part)) for part in rows)]
    )


def scaled_before_split(X, y, train, test):
    X = StandardScaler().fit_transform(X)
    return SVC().fit(X[train], y[train])


def selected_before_split(X, y, train, test):
    selector = SelectKBest(k=4).fit(X, y)
    return {"selector": selector, "lda": fit_lda(selector.transform(X)[train], y[train])}


def fit_lda(X, y):
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(X, y)


def oversampled_before_split(X, y, train, test):
    rows = oversample(y)
    kept = rows[~np.isin(np.arange(len(rows)), test)]
    return fit_lda(X[kept], y[kept])


def oversampled_in_training_fold(X, y, train, test):
    rows = train[oversample(y[train])]
    return fit_lda(X[rows], y[rows])


def best_epoch(network, X, y, train, valid):
    epochs = []
    for _ in range(10):
        network.partial_fit(X[train], y[train], classes=["anger", "fear", "joy"])
        epochs.append((network.score(X[valid], y[valid]), copy.deepcopy(network)))
    return max(epochs, key=lambda epoch: epoch[0])[1]


def sgd_stopped_on_test_fold(X, y, train, test):
    return best_epoch(SGDClassifier(random_state=0), X, y, train, test)


def mlp_stopped_on_test_fold(X, y, train, test):
    return best_epoch(MLPClassifier(8, learning_rate_init=0.02, random_state=0), X, y, train, test)


def mlp_stopped_in_training_fold(X, y, train, test):
    return best_epoch(
        MLPClassifier(8, learning_rate_init=0.02, random_state=0), X, y, train[::2], train[1::2]
    )


def compare_logistic(groups):
    def experiment(X, y, train, test):
        with threadpool_limits(1):  # as compare does
            return fit_classifier("logistic", X[train], y[train], groups[train])

    return experiment


LEAKS = {
    "scaler": (scaled_before_split, "svc.support_"),
    "selection": (selected_before_split, "selector.scores_"),
    "oversampling": (oversampled_before_split, "lineardiscriminantanalysis.coef_"),
    "early stopping of SGD": (sgd_stopped_on_test_fold, "sgdclassifier.coef_"),
    "early stopping of MLP": (mlp_stopped_on_test_fold, "mlpclassifier.coefs_.0"),
}
CORRECT = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "selection": make_pipeline(
        StandardScaler(), SelectKBest(k=4), LinearDiscriminantAnalysis(solver="svd")
    ),
    "search": GridSearchCV(
        make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1.0]}, cv=GroupKFold(3)
    ),
    "forest": RandomForestClassifier(5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=3, random_state=0),
    "early stopping": MLPClassifier(
        8, early_stopping=True, n_iter_no_change=2, max_iter=500, random_state=0
    ),
    "oversampling in the fold": oversampled_in_training_fold,
    "early stopping in the fold": mlp_stopped_in_training_fold,
}


class BatchCentring(TransformerMixin, BaseEstimator):
    """Subtracts the mean of whatever batch it is given."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X - X.mean(axis=0)


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)


@pytest.mark.parametrize(("experiment", "parameter"), LEAKS.values(), ids=LEAKS)
def test_what_is_fitted_on_the_test_fold_is_found(experiment, parameter):
    X, y, _ = draw()
    audit = audit_pipeline(experiment, X, y, cv=CV)
    assert audit.leaks
    assert set(audit.findings["kind"]) == {CHANGED}
    assert parameter in set(audit.findings["parameter"])
    assert "fitted on training folds only" in audit.verdict
    assert str(audit) == audit.verdict


@pytest.mark.parametrize("pipeline", CORRECT.values(), ids=CORRECT)
def test_what_is_fitted_on_training_folds_passes(pipeline):
    X, y, groups = draw()
    audit = audit_pipeline(pipeline, X, y, cv=GroupKFold(3), groups=groups)
    assert not audit.leaks, audit.findings
    assert audit.transductive is False
    assert audit.n_folds == 2


def test_classifier_of_compare_passes():
    X, y, groups = draw()
    audit = audit_pipeline(compare_logistic(groups), X, y, cv=CV, max_folds=1, n_perturbations=2)
    assert not audit.leaks, audit.findings
    assert str(audit) == "No fitted state changed with the test fold, in 1 fold."


def test_pipeline_on_clips_passes(corpus):
    pipeline = make_pipeline(MFCCEmbedder(), StandardScaler(), LogisticRegression())
    audit = audit_pipeline(pipeline, corpus.X, corpus.y, cv=2, max_folds=1)
    assert not audit.leaks, audit.findings
    assert audit.transductive is False


def test_scaler_fitted_on_all_clips_is_found_in_a_list_of_clips(corpus):
    embedder = MFCCEmbedder()

    def experiment(clips, y, train, test):
        X = embedder.fit_transform(clips)
        scaler = StandardScaler().fit(X)
        return scaler, LogisticRegression().fit(scaler.transform(X)[train], y[train])

    audit = audit_pipeline(experiment, corpus.X, corpus.y, cv=2, max_folds=1)
    assert {"standardscaler.mean_", "logisticregression.coef_"} <= set(audit.findings["parameter"])
    assert audit.transductive is None  # its model does not take clips


def test_clips_shared_by_both_folds_are_found():
    X, y, _ = draw()
    rows = oversample(y)
    cv = [(rows[train], rows[test]) for train, test in CV.split(rows)]
    audit = audit_pipeline(make_pipeline(StandardScaler(), SVC()), X, y, cv=cv)
    assert "pipeline.standardscaler.mean_" in set(audit.findings["parameter"])


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (lambda X: FrozenEstimator(StandardScaler().fit(X)), "frozenestimator.estimator"),
        (
            lambda X: FrozenEstimator(make_pipeline(StandardScaler()).fit(X)),
            "frozenestimator.estimator.standardscaler",
        ),
        (lambda X: FunctionTransformer(StandardScaler().fit(X).transform), "functiontransformer"),
    ],
)
def test_what_stays_fitted_when_cloned_is_found(step, name):
    X, y, _ = draw()
    audit = audit_pipeline(
        make_pipeline(step(X), LogisticRegression()), X, y, cv=CV, n_perturbations=1
    )
    assert audit.leaks
    assert set(audit.findings["kind"]) == {FITTED}
    assert audit.findings["fold"].tolist() == [0, 1]
    assert audit.findings["parameter"].iloc[0].startswith(f"pipeline.{name}")


def test_frozen_embedder_passes_as_it_needs_no_fitting(speech):
    clips = [(speech(seed), 16000) for seed in range(8)]
    pipeline = make_pipeline(FrozenEstimator(MFCCEmbedder().fit(clips)), LogisticRegression())
    assert not audit_pipeline(pipeline, clips, ["joy", "fear"] * 4, cv=4, max_folds=1).leaks


def test_frozen_within_a_training_fold_passes():
    def experiment(X, y, train, test):
        scaler = FrozenEstimator(StandardScaler().fit(X[train]))
        return make_pipeline(scaler, LogisticRegression()).fit(X[train], y[train])

    X, y, _ = draw()
    assert not audit_pipeline(experiment, X, y, cv=CV).leaks


def test_prediction_that_depends_on_its_batch_is_transductive():
    X, y, _ = draw()
    audit = audit_pipeline(make_pipeline(BatchCentring(), LogisticRegression()), X, y, cv=CV)
    assert audit.transductive is True
    assert not audit.leaks
    assert "which test clips are predicted together" in str(audit)


def test_arrays_alone_may_be_returned():
    def experiment(X, y, train, test):
        return X[train].mean(axis=0), X.mean(axis=0)

    X, y, _ = draw()
    audit = audit_pipeline(experiment, X, y, cv=CV)
    assert audit.findings["parameter"].unique().tolist() == ["ndarray-2"]
    assert audit.transductive is None


def test_array_that_every_run_overwrites_is_found():
    mean = np.zeros(12)

    def experiment(X, y, train, test):
        return X.mean(axis=0, out=mean)

    X, y, _ = draw()
    assert audit_pipeline(experiment, X, y, cv=CV).leaks


def running_classifier():
    classifier = SGDClassifier(random_state=0)

    def experiment(X, y, train, test):
        return classifier.partial_fit(X[train], y[train], classes=np.unique(y))

    return experiment


@pytest.mark.parametrize("pipeline", [RandomForestClassifier(5), running_classifier()])
def test_pipeline_that_does_not_repeat_is_refused(pipeline):
    X, y, _ = draw()
    with pytest.raises(ValueError, match=r"fold 0: two runs .*classifier\..* Set random_state"):
        audit_pipeline(pipeline, X, y, cv=CV)


@pytest.mark.parametrize("kind", ["array", "whole numbers", "list", "frame", "text"])
def test_perturbations_change_test_clips_only(kind):
    values, y, _ = draw()
    index = pd.Index([f"clip{i}" for i in range(len(y))])
    X, y = {
        "array": (values, y),
        "whole numbers": ((10 * values).astype(int), y.tolist()),
        "list": (list(values), y.tolist()),
        "frame": (pd.DataFrame(values, index=index), pd.Series(y, index=index)),
        "text": (pd.Series(values.astype(str)[:, 0], index=index), pd.Series(y, index=index)),
    }[kind]
    seen = []

    def experiment(X, y, train, test):
        assert (type(X), type(y)) == types
        seen.append((np.asarray(X)[train], np.asarray(X)[test], np.asarray(y)))
        if kind in ("frame", "text"):
            assert X.index.equals(index)
            assert y.index.equals(index)
        return len(train)

    types = type(X), type(y)
    assert not audit_pipeline(experiment, X, y, cv=CV, max_folds=1, n_perturbations=4).leaks
    (train, test, labels), repeated, *perturbed = seen
    assert len(perturbed) == 4
    np.testing.assert_array_equal(test, repeated[1])
    for training_clips, test_clips, perturbed_labels in perturbed:
        np.testing.assert_array_equal(training_clips, train)
        assert set(perturbed_labels) <= set(labels)
        assert not np.array_equal(test_clips, test)
        assert not np.array_equal(perturbed_labels, labels)


def test_audited_data_stay_as_they_are():
    def experiment(X, y, train, test):
        X *= 0
        return X[train]

    X, y, _ = draw()
    audit_pipeline(experiment, X, y, cv=CV)
    np.testing.assert_array_equal(X, draw()[0])


def test_failure_on_a_perturbed_fold_is_explained():
    def experiment(X, y, train, test):
        if len(np.unique(y[test])) == 1:
            raise RuntimeError("one emotion only.")

    X, y, _ = draw()
    with pytest.raises(ValueError, match="perturbed: one emotion only"):
        audit_pipeline(experiment, X, y, cv=CV)


@pytest.mark.parametrize(
    ("pipeline", "y", "error", "message"),
    [
        ("svm", ["joy", "fear"], TypeError, "neither an estimator nor a callable"),
        (SVC(), ["joy", "joy"], ValueError, "single class"),
    ],
)
def test_what_cannot_be_audited_is_refused(pipeline, y, error, message):
    with pytest.raises(error, match=message):
        audit_pipeline(pipeline, np.eye(2), y, cv=2)


def test_fitted_state_is_named_and_its_differences_measured():
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
    before = fitted_state({"layer": layer, "classes": ["a", "b"], "n": 2, "note": None})
    assert list(before) == ["layer.weight", "layer.bias", "classes", "n", "note"]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0]]))
    sizes = find_differences(
        before, fitted_state({"layer": layer, "classes": ["a"], "n": 4, "note": None})
    )
    assert sizes == pytest.approx({"layer.weight": 0.8, "classes": np.nan, "n": 0.5}, nan_ok=True)


def test_measured_times_are_no_fitted_state():
    X, y, groups = draw()
    names = set(fitted_state(CORRECT["search"].fit(X, y, groups=groups)))
    assert "gridsearchcv.best_estimator_.standardscaler.mean_" in names
    assert not any("_time" in name for name in names)


def shifted(Z, mean):
    return Z - mean


def network_with(mean, how):
    torch = pytest.importorskip("torch")
    inner = torch.nn.Linear(2, 2)
    torch.nn.init.zeros_(inner.weight), torch.nn.init.zeros_(inner.bias)
    if how == "attribute":
        inner.mean = torch.tensor(mean)
    else:
        inner.register_buffer("mean", torch.tensor(mean), persistent=False)
    return torch.nn.Sequential(inner)


HOLDERS = {  # of a mean, outside of what pickles or `state_dict` hold
    "closure": lambda mean: lambda Z: Z - mean,
    "default": lambda mean: lambda Z, mean=mean: Z - mean,
    "keyword default": lambda mean: lambda Z, *, mean=mean: Z - mean,
    "partial of a lambda": lambda mean: functools.partial(lambda Z, mean: Z - mean, mean=mean),
    "partial": lambda mean: functools.partial(shifted, mean=mean),
    "transformer of a function": lambda mean: FunctionTransformer(lambda Z: Z - mean),
    "attribute of a network": lambda mean: network_with(mean, "attribute"),
    "buffer of a network": lambda mean: network_with(mean, "buffer"),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_functions_and_networks_hold_is_compared(holder):
    X = np.random.default_rng(0).normal(size=(24, 3))
    y = np.array(["joy", "fear"] * 12)

    def experiment(X, y, train, test, of_all):
        return {"held": HOLDERS[holder](X.mean(axis=0) if of_all else X[train].mean(axis=0))}

    for of_all in (True, False):
        audit = audit_pipeline(
            functools.partial(experiment, of_all=of_all), X, y, cv=KFold(4), max_folds=1
        )
        assert audit.leaks == of_all, audit.verdict
    if holder == "transformer of a function":
        scaler = StandardScaler().fit(X)  # before the split
        pipeline = make_pipeline(
            FunctionTransformer(lambda Z: scaler.transform(Z)), LogisticRegression()
        )
        (kind,) = audit_pipeline(pipeline, X, y, cv=KFold(4)).findings["kind"].unique()
        assert kind == "fitted before the split"


@pytest.mark.parametrize(
    "network", [MLPHead(max_epochs=3), LayerWeightedClassifier(3, max_epochs=3)]
)
def test_our_networks_are_audited_though_their_epochs_take_different_times(network):
    X, y, groups = draw()
    network = clone(network).set_params(random_state=0)

    def experiment(X, y, train, test):
        return clone(network).fit(X[train], y[train], groups=groups[train])

    audit = audit_pipeline(
        experiment, X, y, cv=GroupKFold(3), groups=groups, max_folds=1, n_perturbations=1
    )
    assert not audit.leaks, audit.verdict

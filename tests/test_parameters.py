"""Parameters are numbers where they are called so, and name nothing twice."""

import importlib
import inspect
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.svm import SVC
from sklearn.utils._param_validation import Interval

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder, TextEmbedder
from sklearn_ser._audio import as_clip
from sklearn_ser._utils import Number
from sklearn_ser.audit import audit_pipeline, audit_split, find_duplicates
from sklearn_ser.classifiers import FineTunedClassifier, LayerWeightedClassifier, MLPHead
from sklearn_ser.datasets import load_emobox, make_emotional_speech
from sklearn_ser.evaluation import compare, speaker_interval
from sklearn_ser.exceptions import ClipError
from sklearn_ser.recognition import EmotionRecognizer, OutOfDomainDetector

ROOMS = ["embedders", "classifiers", "preprocessing", "recognition"]
ESTIMATORS = {
    name: cls
    for room in ROOMS
    for name, cls in vars(importlib.import_module(f"sklearn_ser.{room}")).items()
    if inspect.isclass(cls) and issubclass(cls, BaseEstimator) and not inspect.isabstract(cls)
}
# Where True and False are what is asked for, or which scikit-learn looks at.
TAKE_BOOLEANS = ("boolean", "verbose", "random_state")
PARAMETERS = [
    (estimator, name)
    for estimator, cls in ESTIMATORS.items()
    for name, constraints in getattr(cls, "_parameter_constraints", {}).items()
    if constraints != "no_validation" and not set(map(str, constraints)) & set(TAKE_BOOLEANS)
    if name in inspect.signature(cls).parameters
]


def test_all_estimators_are_looked_at():
    assert {"SSLEmbedder", "MLPHead", "AudioAugmenter", "EmotionRecognizer"} <= set(ESTIMATORS)
    numeric = [
        (estimator, name, constraint)
        for estimator, name in PARAMETERS
        for constraint in ESTIMATORS[estimator]._parameter_constraints[name]
        if isinstance(constraint, Interval)
    ]
    assert len(numeric) > 60
    assert [each for each in numeric if not isinstance(each[2], Number)] == []


@pytest.mark.parametrize("value", [True, False, np.True_])
@pytest.mark.parametrize(("estimator", "name"), PARAMETERS)
def test_true_is_no_number(estimator, name, value):
    required = {"transformer_list": []} if estimator == "FrameUnion" else {}
    made = ESTIMATORS[estimator](**required).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {estimator} must be"):
        BaseEstimator._validate_params(made)


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)


@pytest.fixture(scope="module")
def recognizer(corpus, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_SER_CACHE", str(tmp_path_factory.mktemp("records")))
        detector = OutOfDomainDetector([MFCCEmbedder(5)])
        recognizer = EmotionRecognizer(MFCCEmbedder(5), "lda", detector=detector)
        return recognizer.fit(corpus.X, corpus.y, corpus.groups)


FOUR = list("aabb"), list("abab"), list("stuv")
TWO = [[0.0], [1.0]], ["a", "b"]
CALLS = {
    "n_speakers": lambda value, _: make_emotional_speech(n_speakers=value),
    "n_sentences": lambda value, _: make_emotional_speech(n_sentences=value),
    "n_repetitions": lambda value, _: make_emotional_speech(n_repetitions=value),
    "rate": lambda value, _: make_emotional_speech(rate=value),
    "fold": lambda value, _: load_emobox("folder", "emodb", value),
    "waveform_rate": lambda value, _: find_duplicates([], waveform_rate=value),
    "n_jobs": lambda value, _: find_duplicates([], n_jobs=value if value != -1 else 1.0),
    "max_folds": lambda value, _: audit_pipeline(SVC(), *TWO, cv=2, max_folds=value),
    "n_perturbations": lambda value, _: audit_pipeline(SVC(), *TWO, cv=2, n_perturbations=value),
    "confidence_level": lambda value, _: speaker_interval(*FOUR, confidence_level=value),
    "window": lambda value, recognizer: recognizer.recognize([], window=value),
    "hop": lambda value, recognizer: recognizer.recognize([], window=1.0, hop=value),
    "abstain": lambda value, recognizer: recognizer.recognize([], abstain=value),
}


@pytest.mark.parametrize("value", [True, np.True_, math.nan, math.inf, "1", -1])
@pytest.mark.parametrize("name", CALLS)
def test_functions_take_no_other_numbers(name, value, recognizer):
    with pytest.raises(ValueError, match=name):
        CALLS[name](value, recognizer)


@pytest.mark.parametrize("name", ["waveform_rate", "n_jobs"])
def test_comparisons_and_audits_take_no_other_numbers(name, corpus):
    with pytest.raises(ValueError, match=name):
        compare(corpus, ["mfcc"], **{name: True})
    with pytest.raises(ValueError, match=name):
        audit_split(corpus, **{name: True})


@pytest.mark.parametrize(
    ("estimator", "name", "values"),
    [
        (SSLEmbedder, "window", [1e-9, 0.19, 0, -1.0, math.inf, math.nan]),
        (FineTunedClassifier, "max_seconds", [1e-9, 0.19, 0, math.inf, math.nan]),
        (MFCCEmbedder, "rate", [1e-9, 1, 999, 1e7, math.nan]),
        (EGeMAPSEmbedder, "rate", [1e-9, 1, 999, 1e7, math.nan]),
        (MFCCEmbedder, "waveform_rate", [1e-9, 19, 1e7, math.nan]),
        (FineTunedClassifier, "waveform_rate", [1e-9, 19, 1e7, math.nan]),
    ],
)
def test_seconds_and_rates_that_no_speech_has_are_refused(estimator, name, values, speech):
    for value in values:
        made = estimator(**{name: value})
        with pytest.raises(ValueError, match=f"'{name}' parameter .* range .*Got {value!r}"):
            made.fit([(speech(), 16000)] * 2, ["a", "b"])


@pytest.mark.parametrize("field", ["start", "end", "channel", "sampling_rate"])
@pytest.mark.parametrize("value", [True, False, np.True_])
def test_true_is_no_number_in_a_clip(field, value, speech):
    clip = {"array": speech(), "sampling_rate": 16000, field: value}
    with pytest.raises(ClipError, match=rf"its {field.replace('_', ' ')} is (np\.)?{bool(value)}"):
        as_clip(clip, 0).read()


@pytest.mark.parametrize("hidden", [(True,), (8, True), (0,), (8.0,), (-1,), ("8",)])
def test_hidden_layers_have_numbers_of_units(hidden):
    X, y = np.random.default_rng(0).normal(size=(8, 3)), list("ab") * 4
    with pytest.raises(ValueError, match=r"hidden=.*; each must be an int"):
        MLPHead(hidden, max_epochs=1).fit(X, y, groups=list("aabbccdd"))


POOLS = [MFCCEmbedder(5), EGeMAPSEmbedder(level="lld"), SSLEmbedder("nano"), TextEmbedder("none")]


@pytest.mark.parametrize("pooling", [["mean", "mean"], ("std", "mean", "std")])
@pytest.mark.parametrize("embedder", POOLS, ids=lambda embedder: type(embedder).__name__)
def test_a_statistic_named_twice_is_refused(embedder, pooling, speech, monkeypatch):
    monkeypatch.setattr(TextEmbedder, "_layers", lambda self: [(0, "layer0")])
    monkeypatch.setattr(TextEmbedder, "_config", lambda self: SimpleNamespace(hidden_size=2))
    embedder = clone(embedder).set_params(pooling=pooling, cache=None)
    for method in (embedder.fit, embedder.transform, embedder.fit_transform):
        with pytest.raises(ValueError, match=f"names '{pooling[0]}' more than once"):
            method(["text"] if isinstance(embedder, TextEmbedder) else [(speech(), 16000)])


@pytest.mark.parametrize("pooling", ["mean mean", "mean,std"])
def test_several_statistics_are_a_list(pooling, speech):
    with pytest.raises(ValueError, match="'pooling' parameter of MFCCEmbedder must be"):
        MFCCEmbedder(pooling=pooling).fit([(speech(), 16000)])


@pytest.mark.parametrize("pooling", ["mean", None])
@pytest.mark.parametrize("layer", [[1, 1], [1, -4], (0, 2, -5), np.array([3, 3]), [-1, 4]])
def test_a_layer_named_twice_is_refused(layer, pooling, speech):
    embedder = SSLEmbedder("nano", layer, pooling)
    for method in (embedder.fit, embedder.transform, embedder.fit_transform):
        with pytest.raises(ValueError, match=r"names layer [0134] of nano more than once"):
            method([(speech(), 16000)])


@pytest.mark.parametrize("layer", [[True], [1, True], [np.True_], [[1]], [1.0], [], ["1"], 1.0])
def test_layers_are_whole_numbers(layer, speech):
    with pytest.raises(ValueError, match="layer"):
        SSLEmbedder("nano", layer).fit([(speech(), 16000)])


def test_layers_may_be_an_array(speech):
    clips = [(speech(), 16000)]
    expected = SSLEmbedder("nano", [1, 3]).fit_transform(clips)
    for layers in (np.array([1, 3]), (1, -2), np.array([1, 3], dtype=np.uint8)):
        np.testing.assert_array_equal(SSLEmbedder("nano", layers).fit_transform(clips), expected)


@pytest.mark.parametrize(
    "names",
    [
        ["layer1_a", "layer1_a", "layer2_a", "layer2_a"],  # twice
        ["layer1_a", "layer2_a", "layer1_b", "layer2_b"],  # by dimension
        ["layer1_a", "layer2_a", "layer2_b", "layer2_c"],  # of several sizes
        ["layer1_a", "layer1_b", "layer2_b", "layer2_a"],  # in another order
        ["layer1_a", "layer1_b", "layer2_a", "layer2_b", "pitch", "level"],  # beside others
    ],
)
def test_layers_that_do_not_lie_side_by_side_are_not_weighed(names):
    values = np.random.default_rng(0).normal(size=(8, len(names)))
    X = pd.DataFrame(values, columns=names)
    with pytest.raises(ValueError, match="layer"):
        LayerWeightedClassifier(max_epochs=1).fit(X, list("ab") * 4, groups=list("aabbccdd"))

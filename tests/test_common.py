"""scikit-learn's own checks, on every public estimator."""

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pytest
import transformers
from sklearn.base import BaseEstimator, clone
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

import sklearn_ser
from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._extraction import WaveformExtractor
from sklearn_ser.classifiers import (
    FineTunedClassifier,
    LayerWeightedClassifier,
    MLPHead,
    PretrainedEmotionClassifier,
    PretrainedEmotionRegressor,
    SequenceClassifier,
)
from sklearn_ser.embedders import TextEmbedder
from sklearn_ser.embedders._egemaps import SmileExtractor
from sklearn_ser.preprocessing import AudioAugmenter, FrameUnion, SpeakerScaler
from sklearn_ser.recognition import EmotionRecognizer, OutOfDomainDetector

# scikit-learn's checks pass rows of 2 to 30 numbers. At 30 samples a second these are real clips
# of 0.07 to 1 s, which are resampled like any other.
RATE = 30
MFCC = MFCCEmbedder(
    n_mfcc=5, deltas=1, n_fft=512, hop_length=256, n_mels=20, waveform_rate=RATE, cache=None
)


class OfRows(SequenceClassifier):
    """SequenceClassifier of rows, each a sequence of one frame, as the checks have no sequences."""

    _predicts_in = "float64"  # the checks want sums to the last digit

    def _parse_input(self, X, groups, reset):
        rows = validate_data(self, X, reset=reset, dtype=np.float32)
        return super()._parse_input([row[None] for row in rows], groups, reset)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class OfMeans(FrameUnion):
    """FrameUnion that averages its frames, as the checks compare matrices."""

    def _hstack(self, Xs):
        return np.array([frames.mean(axis=0) for frames in super()._hstack(Xs)])


TRAINING = {"max_epochs": 10, "learning_rate": 1e-2, "random_state": 0}
EMBEDDERS = [
    clone(MFCC).set_params(cache="auto"),
    EGeMAPSEmbedder(waveform_rate=RATE),
    SSLEmbedder("tiny", waveform_rate=RATE, layer=[0, -1], pooling=["mean", "std"]),
]
OF_ROWS = [
    *EMBEDDERS,
    MLPHead(**TRAINING),
    LayerWeightedClassifier(1, **TRAINING),
    OfRows(**TRAINING),
    PretrainedEmotionClassifier("classifier", {"neu": 0, "hap": 1, "ang": 2}, waveform_rate=RATE),
    PretrainedEmotionRegressor("regressor", waveform_rate=RATE),
    OfMeans([("a", clone(MFCC).set_params(pooling=None))]),
    AudioAugmenter("gain", waveform_rate=RATE, cache=None),
    # The checks' last column is another "speaker" for each clip, so none has clips of its own.
    SpeakerScaler(unseen="global"),
]
DESCRIPTORS = EGeMAPSEmbedder(level="lld", waveform_rate=RATE)
FINE_TUNED = FineTunedClassifier(
    "tiny",
    unfreeze=1,
    batch_size=1,  # the checks want sums of float32 to the last digit
    max_epochs=1,
    validation_fraction=0.5,
    waveform_rate=RATE,
    random_state=0,
)
# A matrix of numbers is neither texts, nor sequences, nor clips of which the rate is known.
OF_NO_ROWS = [
    SequenceClassifier(),
    TextEmbedder("tiny"),
    EmotionRecognizer(),
    OutOfDomainDetector(),
]
ESTIMATORS = [*OF_ROWS, FINE_TUNED, *OF_NO_ROWS]

SILENT = "one of its rows is constant, and a silent clip is an error"
NOT_LEARNT = "it expects what is learnt from y: other classes, or other numbers of outputs"
LISTS = "a list is a collection of clips of any length, not a matrix"
AS_FEATURE_UNION = "scikit-learn's FeatureUnion puts fitted transformers into transformer_list"
EXPECTED_FAILURES = {
    "MFCCEmbedder": {"check_estimators_dtypes": SILENT},
    "EGeMAPSEmbedder": {"check_estimators_dtypes": SILENT},
    "SSLEmbedder": {"check_estimators_dtypes": SILENT},
    "OfMeans": {
        "check_estimators_dtypes": SILENT,
        "check_estimators_overwrite_params": AS_FEATURE_UNION,
        "check_dont_overwrite_parameters": AS_FEATURE_UNION,
    },
    "PretrainedEmotionClassifier": {
        "check_estimators_dtypes": SILENT,
        "check_classifier_data_not_an_array": SILENT,
        "check_classifiers_classes": NOT_LEARNT,
        "check_classifiers_one_label": NOT_LEARNT,
        "check_classifiers_train": NOT_LEARNT,
    },
    "PretrainedEmotionRegressor": {
        "check_estimators_dtypes": SILENT,
        "check_regressors_train": NOT_LEARNT,
        "check_regressor_multioutput": NOT_LEARNT,
    },
    "FineTunedClassifier": {
        "check_classifier_data_not_an_array": SILENT,
        "check_estimators_dtypes": SILENT,
        "check_fit_check_is_fitted": SILENT,
        "check_classifiers_train": LISTS,
    },
}
FURTHER_CHECKS = [
    checks.check_param_validation,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_set_output_transform_polars,
    checks.check_global_output_transform_pandas,
    checks.check_global_set_output_transform_polars,
]
# Those that `parametrize_with_checks` leaves out where rows are not taken, though they need none.
CHECKS_WITHOUT_ROWS = [
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_estimators_unfitted,
    checks.check_get_params_invariance,
    checks.check_no_attributes_set_in_init,
    checks.check_param_validation,
    checks.check_parameters_default_constructible,
    checks.check_set_params,
    checks.check_valid_tag_types,
]


@pytest.fixture(autouse=True, scope="module")
def _tiny_models_here(tmp_path_factory):
    """Give names folders, so that the parametrised estimators need no path."""
    folder = tmp_path_factory.mktemp("models")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 32, "conv_dim": (16,) * 7, "vocab_size": 8}
    sizes |= {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    config = transformers.Wav2Vec2Config(**sizes)
    models = {"tiny": transformers.Wav2Vec2Model(config)}
    for name, labels in {"classifier": ["neu", "hap", "ang"], "regressor": ["valence"]}.items():
        config = transformers.Wav2Vec2Config(**sizes, id2label=dict(enumerate(labels)))
        config.problem_type = "regression" if len(labels) == 1 else "single_label_classification"
        models[name] = transformers.Wav2Vec2ForSequenceClassification(config)
    models["classifier"].classifier.bias.data[0] = 5  # so that no check passes by luck
    for name, model in models.items():
        model.save_pretrained(folder / name)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.fixture(autouse=True, scope="module")
def _arrays_at_full_scale():
    """Divide what openSMILE gets by its peak: the arrays of the checks have any scale."""

    def at_full_scale(self, clip, content):
        waveform = WaveformExtractor.waveform(self, clip, content)
        return waveform / max(1, np.abs(waveform).max())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SmileExtractor, "waveform", at_full_scale)
        yield


def public_estimators():
    """Return the estimators that the package's public modules name, as all_estimators does."""
    found = set()
    for module in pkgutil.walk_packages(sklearn_ser.__path__, "sklearn_ser."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            here = importlib.import_module(module.name)
            public = [getattr(here, name) for name in getattr(here, "__all__", ())]
            found |= {one for one in public if inspect.isclass(one)}
    return {cls for cls in found if issubclass(cls, BaseEstimator) and not inspect.isabstract(cls)}


def test_every_public_estimator_is_checked():
    checked = {cls for estimator in ESTIMATORS for cls in type(estimator).__mro__}
    assert {cls.__name__ for cls in public_estimators() - checked} == set()
    assert len(public_estimators()) >= 15


def test_expected_failures_are_of_checks_that_there_are():
    names = {type(estimator).__name__ for estimator in ESTIMATORS}
    assert set(EXPECTED_FAILURES) <= names
    for failures in EXPECTED_FAILURES.values():
        assert all(hasattr(checks, name) and reason for name, reason in failures.items())


def expected_failures(estimator):
    return EXPECTED_FAILURES.get(type(estimator).__name__, {})


@pytest.mark.filterwarnings("ignore:there are no speaker labels:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*of the speakers:UserWarning")
@parametrize_with_checks(OF_ROWS, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow  # a fit reads a model, or runs openSMILE anew for each clip
@pytest.mark.filterwarnings("ignore:there are no speaker labels:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks([FINE_TUNED, DESCRIPTORS], expected_failed_checks=expected_failures)
def test_scikit_learn_checks_of_what_takes_long(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", CHECKS_WITHOUT_ROWS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", [FINE_TUNED, *OF_NO_ROWS], ids=lambda e: type(e).__name__)
def test_scikit_learn_checks_without_rows(estimator, check):
    check(type(estimator).__name__, clone(estimator))


TRANSFORMERS = [e for e in OF_ROWS if hasattr(e, "transform") and hasattr(e, "set_output")]


# Some of them fit a frame and transform an array, or the reverse, on purpose.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.filterwarnings("ignore:.*of the speakers:UserWarning")
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda estimator: type(estimator).__name__)
def test_further_scikit_learn_checks(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize(
    "estimator", [SequenceClassifier(), EmotionRecognizer(), OutOfDomainDetector()], ids=repr
)
def test_what_takes_no_two_d_array_does_not_say_so(estimator):
    """It takes frames, or clips whose sampling rate a row of samples does not tell."""
    assert not get_tags(estimator).input_tags.two_d_array
    with pytest.raises((ValueError, TypeError)):
        estimator.fit(np.random.default_rng(0).normal(size=(8, 600)), ["a", "b"] * 4, [*"aabbccdd"])


OF_CLIPS = [e for e in ESTIMATORS if not isinstance(e, (MLPHead, LayerWeightedClassifier))]
OF_CLIPS = [e for e in OF_CLIPS if not isinstance(e, (OfRows, SpeakerScaler, OutOfDomainDetector))]


@pytest.mark.parametrize("empty", [[], (), np.array([], dtype=object)], ids=repr)
@pytest.mark.parametrize("estimator", OF_CLIPS, ids=lambda estimator: type(estimator).__name__)
def test_that_there_are_no_clips_is_said(estimator, empty):
    estimator = clone(estimator)
    fit = getattr(estimator, "fit_resample", estimator.fit)
    given = {"groups": []} if isinstance(estimator, EmotionRecognizer) else {}
    with pytest.raises(ValueError, match="X holds no clips, and one or more are needed"):
        fit(empty, [], **given)


@pytest.mark.parametrize("estimator", EMBEDDERS, ids=lambda estimator: type(estimator).__name__)
class TestContract:
    def test_two_d_arrays_are_declared(self, estimator):
        tags = estimator.__sklearn_tags__()
        assert tags.input_tags.two_d_array
        assert not tags.requires_fit

    def test_parameters_are_constrained_and_documented(self, estimator):
        parameters = set(inspect.signature(type(estimator)).parameters)
        assert parameters == set(estimator._parameter_constraints)
        documented = type(estimator).__doc__.partition("Returns")[0]
        assert all(f"{name}" in documented for name in parameters)

    def test_pickle_is_small_after_use(self, estimator):
        X = np.random.default_rng(0).normal(size=(2, 20))
        embedded = estimator.fit_transform(X)
        pickled = pickle.dumps(estimator)
        assert len(pickled) < 10_000
        np.testing.assert_array_equal(pickle.loads(pickled).transform(X), embedded)

    def test_html_links_to_the_documentation(self, estimator):
        assert f"sklearn_ser.embedders.{type(estimator).__name__}.html" in estimator._repr_html_()

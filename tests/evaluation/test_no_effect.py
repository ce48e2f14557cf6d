"""What has no effect on what was asked is refused, before anything is extracted."""

import inspect

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from transformers import WhisperConfig, WhisperFeatureExtractor

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser.audit import audit_split
from sklearn_ser.classifiers import LayerWeightedClassifier, MLPHead
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare, compare_across, fold_average, speaker_interval
from sklearn_ser.evaluation._features import as_embedders, feature_name
from sklearn_ser.preprocessing import AudioAugmenter
from sklearn_ser.recognition import (
    EmotionRecognizer,
    OutOfDomainDetector,
    load_recognizer,
    save_recognizer,
)


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)


@pytest.fixture
def never(monkeypatch):
    """Make it a failure to extract anything."""
    for embedder in (MFCCEmbedder, EGeMAPSEmbedder, SSLEmbedder):
        monkeypatch.setattr(embedder, "fit_transform", lambda *_: pytest.fail("extracted"))


CALLS = {
    "compare": lambda corpus, features, **given: compare(corpus, features, **given),
    "compare(train, test)": lambda corpus, features, **given: compare(
        None, features, train=corpus, test=corpus, **given
    ),
    "compare_across": lambda corpus, features, **given: compare_across(
        {"one": corpus, "two": corpus}, features, **given
    ),
    "as_embedders": lambda _, features, **given: as_embedders(features, **given),
}
READY_MADE = {"mine": MFCCEmbedder(13)}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("features", "given", "message"),
    [
        (["mfcc"], {"poolin": "max"}, r"'poolin' \(did you mean 'pooling'\?\) would have no"),
        (
            ["mfcc"],
            {"n_mfc": 13},
            r"'n_mfc' \(did you mean 'n_mfcc'\?\).*mfcc takes .*n_mfcc, on_error",
        ),
        (["egemaps", "mfcc"], {"poolin": 1, "n_mfc": 1}, "'poolin' .*, 'n_mfc' .*egemaps takes"),
        (["egemaps"], {"n_mfcc": 13}, "'n_mfcc' would have no effect"),
        (["egemaps"], {"pooling": "max"}, "'pooling' would have no effect"),  # functionals
        (["mfcc", "egemaps"], {"model": "nano"}, "'model'"),
        (["nano"], {"model": "facebook/hubert-base-ls960"}, "'model'"),
        (["nano"], {"revision": "main"}, "'revision'"),
        (["mfcc"], {"layer": 3}, "'layer' would have no effect"),
        (["mfcc"], {"layer": "middle"}, "'layer' would have no effect"),
        (["mfcc"], {"layer": "all"}, "'layer' would have no effect"),
        (READY_MADE, {"n_mfcc": 20}, "'n_mfcc' would have no effect.*used as they are"),
        (READY_MADE, {"pooling": "max"}, "'pooling'"),
        (READY_MADE, {"cache": None}, "'cache'"),
        (READY_MADE, {"on_error": "nan"}, "'on_error'"),
        (READY_MADE, {"layer": "all"}, "'layer'"),
        ({"mine": SSLEmbedder("nano")}, {"layer": 3}, "'layer'"),
        ([MFCCEmbedder()], {"n_mfcc": 20}, "'n_mfcc'"),
        (MFCCEmbedder(), {"n_mfcc": 20}, "'n_mfcc'"),
    ],
)
def test_parameters_that_no_feature_set_takes(corpus, never, call, features, given, message):
    with pytest.raises(TypeError, match=message):
        call(corpus, features, **given)


@pytest.mark.parametrize(
    ("given", "near"),
    [({"clasifier": "lda"}, "classifier"), ({"speaker_scalin": "own"}, "speaker_scaling")],
)
def test_own_parameters_misspelled(corpus, never, given, near):
    with pytest.raises(TypeError, match=f"did you mean '{near}'"):
        compare(corpus, ["mfcc"], **given)


OWN_FEATURES = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

class Bare(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[np.std(clip[0]), np.max(clip[0])] for clip in X])

class Plain:
    pass

class NoParameters:
    fit_transform = lambda self, X, y=None: 1 / 0

class NoDefault(Bare):
    def __init__(self, size):
        self.size = size

class OnlyFitsAndTransforms(BaseEstimator):
    fit_transform = lambda self, X, y=None: 1 / 0

NUMBER = 3
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return the path of a file of classes that take none of the parameters of our embedders."""
    path = tmp_path_factory.mktemp("own") / "own_bare_features.py"
    path.write_text(OWN_FEATURES)
    return path


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "given",
    [
        {"cache": None},
        {"cache": "records"},
        {"on_error": "nan"},
        {"on_error": "raise"},
        {"waveform_rate": 8000},
        {"pooling": "max"},
        {"layer": 3},
        {"device": "cpu"},
    ],
    ids=str,
)
def test_parameters_that_features_of_your_own_do_not_take(corpus, own, call, given):
    with pytest.raises(TypeError, match=f"'{next(iter(given))}' would have no.*Bare takes none"):
        call(corpus, [f"{own}:Bare"], **given)


def test_a_parameter_may_be_of_one_feature_set_beside_features_of_your_own(own):
    made = as_embedders([f"{own}:Bare", "mfcc"], on_error="nan", waveform_rate=8000)
    assert (made["mfcc"].on_error, made["mfcc"].waveform_rate) == ("nan", 8000)
    assert made["Bare"].get_params() == {}


def test_parameters_that_one_feature_set_takes_are_set_on_it():
    made = as_embedders(["mfcc", "egemaps", "nano"], n_mfcc=7, layer=[1, 2], pooling="max")
    assert made["mfcc"].n_mfcc == 7
    assert [made[name].pooling for name in ("mfcc", "nano")] == ["max", "max"]
    assert made["egemaps"].get_params() == EGeMAPSEmbedder().get_params()
    frames = as_embedders(["mfcc", "egemaps"], level="lld", pooling="max")
    assert [frames[name].pooling for name in frames] == ["max", "max"]
    bundled = as_embedders(["nano", "ssl"], model="other", revision="main")
    assert [made.model for made in bundled.values()] == ["nano", "other"]
    assert [made.revision for made in bundled.values()] == [None, "main"]
    assert made["nano"].layer == [1, 2]
    mixed = as_embedders([MFCCEmbedder(5), "egemaps"], feature_set="GeMAPSv01a")
    assert (mixed["mfcc"].n_mfcc, mixed["gemapsv01a"].feature_set) == (5, "GeMAPSv01a")
    named = as_embedders({"short": "mfcc", "own": MFCCEmbedder(5)}, n_mfcc=7)
    assert [named[name].n_mfcc for name in ("short", "own")] == [7, 5]


def test_statistics_are_compared_beside_functionals(corpus):
    found = compare(corpus, ["mfcc", "egemaps", "nano"], classifier="lda", pooling="max", layer=2)
    pooling = {row["features"]: row["pooling"] for row in found.results["rows"]}
    assert pooling == {"mfcc": "max", "nano": "max", "egemaps": None}


@pytest.mark.parametrize("call", ["compare", "compare(train, test)", "compare_across"])
def test_a_window_that_only_whisper_has_is_refused_beside_other_models(corpus, never, call):
    with pytest.raises(ValueError, match=r"window='clip' is for Whisper.* nano is of the family"):
        CALLS[call](corpus, ["mfcc", "nano"], window="clip")


def test_a_window_that_only_whisper_has_is_set_on_whisper_alone_where_it_is_among_the_models(
    tmp_path,
):
    WhisperConfig().save_pretrained(tmp_path)
    WhisperFeatureExtractor().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()  # which is not read
    whisper = f"ssl:{tmp_path}"
    made = as_embedders(["mfcc", "nano", whisper, f"nano+{whisper}"], window="clip", layer=1)
    joined = dict(made[f"nano+{whisper}"].transformer_list)
    windows = [each.window for each in (made["nano"], made[whisper], *joined.values())]
    assert windows == ["auto", "clip", "auto", "clip"]
    assert [made[name].layer for name in ("nano", whisper)] == [1, 1]


@pytest.mark.parametrize("feature", ["mfcc", "egemaps", "nano", "ssl"])
def test_how_features_are_computed_is_set_on_all(feature):
    how = {"cache": None, "on_error": "nan", "waveform_rate": 8000, "n_jobs": 2, "verbose": True}
    (embedder,) = as_embedders([feature], **how).values()
    assert {name: embedder.get_params()[name] for name in how} == how


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"classifier": "forest"}, ValueError, "classifier='forest'; it must be one of"),
        ({"classifier": FunctionTransformer()}, TypeError, "not a scikit-learn classifier"),
        ({"classifier": FunctionTransformer}, TypeError, "not a scikit-learn classifier"),
        ({"cv": "group6"}, ValueError, "cv='group6'"),
        ({"cv": "session"}, ValueError, "splits by session"),
        ({"cv": [([0], [99])]}, ValueError, "fold 0: test must hold positions"),
        ({"pooling": "most"}, ValueError, "pooling"),
        ({"n_mfcc": -1}, ValueError, "n_mfcc"),
        ({"pooling": None}, ValueError, "mfcc gives frames"),
        ({"alignment": "pca"}, ValueError, "alignment"),
    ],
)
@pytest.mark.parametrize("across", [False, True])
def test_what_is_wrong_is_said_before_anything_is_extracted(
    corpus, never, given, error, message, across
):
    corpus = Bunch(X=corpus.X, y=corpus.y, groups=corpus.groups)
    call = CALLS["compare_across" if across else "compare"]
    with pytest.raises(error, match=message):
        call(corpus, ["egemaps", "mfcc"], **given)


def test_layers_that_a_model_lacks_are_refused_before_others_are_extracted(corpus, never):
    with pytest.raises(ValueError, match="nano has layers 0 to 4"):
        compare(corpus, ["mfcc", "nano"], layer=9)


def test_folds_by_position_count_clips_that_are_left_out(corpus):
    """Fold 1 tests the clips that it says, though an earlier clip cannot be used."""
    broken = Bunch(X=["missing.wav", *corpus.X[1:]], y=corpus.y, groups=corpus.groups)
    speakers = [corpus.groups == name for name in ("s01", "s02")]
    folds = [(np.flatnonzero(~mine), np.flatnonzero(mine)) for mine in speakers]
    found = compare(broken, ["mfcc"], cv=folds, classifier="lda", on_error="nan")
    tested = found.predictions.groupby("fold")["clip"].agg(list).tolist()
    assert tested == [[1, 2, 3], [4, 5, 6, 7]]
    assert found.predictions["speaker"].tolist() == ["s01"] * 3 + ["s02"] * 4


def test_folds_may_be_an_iterator(corpus):
    folds = ((np.arange(4, 16), np.arange(4)) for _ in range(1))
    assert compare(corpus, ["mfcc"], cv=folds, classifier="lda").results["n_folds"] == 1


@pytest.mark.parametrize("function", [fold_average, speaker_interval])
def test_lengths_must_match(function):
    arguments = [["a", "b"], ["a"], ["s", "t"]]
    arguments = [np.mean, *arguments] if function is fold_average else arguments
    with pytest.raises(ValueError, match=r"inconsistent numbers|y_true has 2, y_pred has 1"):
        function(*arguments)


@pytest.fixture(scope="module")
def recognizer(corpus, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_SER_CACHE", str(tmp_path_factory.mktemp("records")))
        detector = OutOfDomainDetector([MFCCEmbedder(5)])
        recognizer = EmotionRecognizer(MFCCEmbedder(5), "lda", detector=detector)
        return recognizer.fit(corpus.X, corpus.y, corpus.groups)


@pytest.mark.parametrize(
    "given",
    [{"model": "nano"}, {"on_eror": "nan"}, {"batch_seconds": 9}, {"layer": 1}, {"device": "cpu"}],
    ids=str,
)
def test_a_recognizer_is_not_loaded_with_what_has_no_effect(recognizer, tmp_path, given):
    path = tmp_path / "r.skops"
    save_recognizer(recognizer, path)
    with pytest.raises(TypeError, match=f"'{next(iter(given))}'.* would have no effect"):
        load_recognizer(path, **given)
    loaded = load_recognizer(path, cache=None, n_jobs=2, verbose=False)
    assert loaded.embedder_.n_jobs == loaded.detector_.views_[0].n_jobs == 2


def test_a_recognizer_of_functionals_is_not_loaded_with_statistics(corpus, tmp_path):
    functionals = EGeMAPSEmbedder()
    detector = OutOfDomainDetector([functionals])
    recognizer = EmotionRecognizer(functionals, "lda", detector=detector)
    save_recognizer(recognizer.fit(corpus.X, corpus.y, corpus.groups), tmp_path / "r.skops")
    with pytest.raises(TypeError, match="'pooling' would have no effect"):
        load_recognizer(tmp_path / "r.skops", pooling="max")


@pytest.mark.parametrize("given", [{"pooling": ["mean", "max"]}, {"n_mfcc": 4}], ids=str)
def test_a_recognizer_is_not_loaded_with_other_features(recognizer, tmp_path, given):
    """Those that are as many would give other emotions without a word."""
    save_recognizer(recognizer, tmp_path / "r.skops")
    with pytest.raises(ValueError, match=f"other mfcc features than {next(iter(given))} would"):
        load_recognizer(tmp_path / "r.skops", **given)


def test_a_hop_needs_windows(recognizer, corpus):
    with pytest.raises(ValueError, match=r"hop=0\.5 has no effect"):
        recognizer.recognize(corpus.X[:1], window=None, hop=0.5)


def test_a_recognizer_refuses_an_unknown_classifier_first(corpus, never):
    with pytest.raises(ValueError, match="classifier='forest'"):
        EmotionRecognizer(classifier="forest").fit(corpus.X, corpus.y, corpus.groups)


@pytest.mark.parametrize(
    "given", [{"waveform_rate": 16000}, {"on_error": "warn"}, {"cache": None}], ids=str
)
def test_an_audit_without_audio_reads_nothing(corpus, given):
    with pytest.raises(ValueError, match="no effect with audio=False"):
        audit_split(corpus, audio=False, **given)
    bare = Bunch(X=[clip for clip, _ in corpus.X], y=corpus.y, groups=corpus.groups)
    compare(bare, ["mfcc"], classifier="lda", audit=False, waveform_rate=16000)


def test_a_column_needs_a_frame(corpus):
    with pytest.raises(ValueError, match="column='clip' has no effect: X is no frame, but a list"):
        AudioAugmenter(column="clip", cache=None).fit_resample(corpus.X, corpus.y)


@pytest.mark.parametrize(
    "features",
    [
        MFCCEmbedder,
        [np.mean],
        np.zeros((3, 2)),
        np.array([["mfcc"]]),
        b"mfcc",
        [None],
        3,
        [["mfcc"]],
        [("a", "mfcc")],
    ],
)
def test_what_is_no_embedder_is_named(features, corpus):
    with pytest.raises(TypeError, match="is no embedder"):
        compare(corpus, features)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Plain", "it lacks fit_transform, get_params, set_params"),
        ("NoParameters", "it lacks get_params, set_params"),
        ("NoDefault", r"cannot be made without arguments \(.*'size'"),
        ("NUMBER", "cannot be made without arguments"),
    ],
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_class_of_your_own_that_lacks_something_is_refused_before_others_are_extracted(
    corpus, own, never, call, name, message
):
    with pytest.raises(TypeError, match=message):
        call(corpus, ["mfcc", f"{own}:{name}"])


def test_an_object_of_your_own_that_lacks_something_is_refused_before_others_are_extracted(
    corpus, never
):
    class Plain:
        def fit_transform(self, X, y=None):
            return np.zeros((len(X), 2))

    with pytest.raises(TypeError, match="it lacks get_params, set_params"):
        compare(corpus, {"mfcc": "mfcc", "own": Plain()})


@pytest.mark.parametrize("shape", [(15, 2), (17, 2), (16,), (16, 2, 2)])
def test_features_are_a_row_a_clip(corpus, shape):
    """A row more would give each clip after it the features of another."""
    features = {"own": FunctionTransformer(lambda X: np.zeros(shape))}
    with pytest.raises(ValueError, match=r"own gives an array of shape \(1.* for 16 clips"):
        compare(corpus, features, classifier="lda", audit=False)


NAMES = ["mfcc", "egemaps"]


@pytest.mark.parametrize(
    "features",
    [
        (name for name in NAMES),
        map(str, NAMES),
        tuple(NAMES),
        np.array(NAMES),
        np.array([MFCCEmbedder(), EGeMAPSEmbedder()], dtype=object),
        pd.Series(NAMES),
        dict.fromkeys(NAMES).keys(),
        {"a": "mfcc", "b": "egemaps"}.values(),
    ],
    ids=lambda features: type(features).__name__,
)
def test_features_in_any_sequence_keep_their_order(features):
    assert [feature_name(each) for each in as_embedders(features).values()] == NAMES


@pytest.mark.parametrize("features", ["mfcc", np.array("mfcc"), np.str_("mfcc"), MFCCEmbedder()])
def test_features_may_be_a_single_set(features):
    assert list(as_embedders(features)) == ["mfcc"]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"mfcc", "egemaps"}, "is a set, and not a sequence"),  # in another order each time
        (frozenset(["mfcc"]), "is a frozenset"),
        (pd.DataFrame({"mfcc": [0.1]}), "is a DataFrame"),  # features that are computed already
        ({1: "mfcc"}, "1 is no name"),
        ({"": "mfcc"}, "'' is no name"),
    ],
)
def test_features_without_order_or_names_are_refused(features, message):
    with pytest.raises(TypeError, match=message):
        as_embedders(features)


@pytest.mark.parametrize("corpora", [None, [1, 2], {1: 2, 3: 4}], ids=str)
def test_corpora_without_names_are_refused(corpora):
    with pytest.raises(TypeError, match=r"must be a mapping of names|is no name of"):
        compare_across(corpora)


def some_numbers(X):
    return np.array([[np.std(w), w[99], w[999], len(w) % 97] for w, _ in X])


WITH_NUMBERS = {
    "compare": lambda a, b, **given: compare(a, **given),
    "compare(train, test)": lambda a, b, **given: compare(train=a, test=b, **given),
    "compare_across": lambda a, b, **given: compare_across({"a": a, "b": b}, **given),
}
OTHERS = {  # a value of each parameter that is not its default
    "layer": 1,
    "cv": GroupKFold(2),
    "classifier": "svm",
    "speaker_scaling": "own",
    "scheme": "valence",
    "alignment": "coral",
    "same_scale": True,
    "audit": False,
    "features": {"other": FunctionTransformer(lambda X: some_numbers(X)[:, :2])},
}
NOT_ABOUT_RESULTS = {"nested", "n_jobs", "memory", "verbose", "parameters"}
CORPORA = {"corpus", "corpora", "train", "test"}
REFUSED = {  # the features of this test have no layers, and y holds no ratings
    "compare": {"layer", "alignment", "same_scale"},
    "compare(train, test)": {"layer", "cv", "same_scale"},
    "compare_across": {"layer", "same_scale"},
}


def found_of(comparison):
    """Return what was found, without what says how it was asked for, and how long it took."""
    results = comparison.results
    scores = [(row["uar"], row["uar_ci"]) for row in results["rows"]]
    return comparison.predictions.to_dict("list"), scores, results["audit"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("form", WITH_NUMBERS)
@pytest.mark.filterwarnings("ignore:.*speakers .* have fewer than min_clips")
def test_each_parameter_changes_what_is_found_or_is_refused(form):
    a, b = (make_emotional_speech(5, 2, random_state=k) for k in (0, 1))
    function = compare_across if form == "compare_across" else compare
    given = {"features": {"numbers": FunctionTransformer(some_numbers)}, "classifier": "lda"}
    first = found_of(WITH_NUMBERS[form](a, b, **given))
    for name in inspect.signature(function).parameters.keys() - NOT_ABOUT_RESULTS - CORPORA:
        other = {**given, name: OTHERS[name]}
        if name in REFUSED[form]:
            with pytest.raises((TypeError, ValueError), match=r"effect|is for two corpora"):
                WITH_NUMBERS[form](a, b, **other)
        else:
            assert found_of(WITH_NUMBERS[form](a, b, **other)) != first, name


@pytest.mark.parametrize("cv", ["loso", "group5", GroupKFold(2), [([0], [1])]], ids=str)
def test_folds_have_no_effect_between_two_corpora(corpus, never, cv):
    with pytest.raises(ValueError, match="has no effect: cv is for folds within a corpus"):
        compare(None, ["mfcc"], train=corpus, test=corpus, cv=cv)


def test_alignment_that_speaker_scaling_undoes_is_refused(corpus, never):
    with pytest.raises(ValueError, match='"standardize" has no effect with speaker_scaling="own"'):
        compare(train=corpus, test=corpus, alignment="standardize", speaker_scaling="own")


HEADS = {
    "itself": MLPHead(speaker=0),
    "layers": LayerWeightedClassifier(2, speaker=-1),
    "in a pipeline": make_pipeline(StandardScaler(), MLPHead(speaker="speaker")),
    "in a search": GridSearchCV(MLPHead(speaker=0), {"dropout": [0.1]}),
    "in a vote": VotingClassifier([("a", MLPHead(speaker=0)), ("b", LogisticRegression())]),
}
USES = {
    **{name: CALLS[name] for name in ("compare", "compare(train, test)", "compare_across")},
    "recognizer": lambda corpus, _, classifier: EmotionRecognizer(classifier=classifier).fit(
        corpus.X, corpus.y, corpus.groups
    ),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_heads_speaker_column_is_refused_where_it_is_given_groups(corpus, never, use, head):
    """It would be one of the features, and dropped."""
    with pytest.raises(ValueError, match=r"speaker=.* would have no effect but to drop a feature"):
        use(corpus, ["mfcc"], classifier=head)


def test_no_features_are_an_error(corpus):
    with pytest.raises(ValueError, match="features is empty"):
        compare(corpus, [])


def test_files_of_one_name_are_not_taken_for_each_other(corpus, tmp_path):
    for folder, n_mfcc in (("one", 3), ("two", 4)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my_features.py").write_text(
            "from sklearn_ser import MFCCEmbedder\n"
            "class Mine(MFCCEmbedder):\n"
            "    def compute_settings(self):\n"
            f"        return {{**super().compute_settings(), 'n': {n_mfcc}}}\n"
        )
    features = {folder: f"{tmp_path}/{folder}/my_features.py:Mine" for folder in ("one", "two")}
    with pytest.raises(ImportError, match="another module is called 'my_features'"):
        compare(corpus, features, classifier="lda")

"""From results.json alone, every row's estimators can be made again, and give its score."""

import hashlib
import importlib
import json
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, StratifiedKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch

import sklearn_ser
from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._models import find_model, model_digest
from sklearn_ser.classifiers import MLPHead
from sklearn_ser.cli._tables import print_cross, print_table
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import Row, compare, compare_across, uar_score
from sklearn_ser.evaluation._classifiers import fit_classifier
from sklearn_ser.evaluation._features import as_embedders, feature_name
from sklearn_ser.evaluation._recipes import recipe_of
from sklearn_ser.plotting import ComparisonDisplay


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)


def made_again(recipe):
    """Return what a recipe is of: all that a reader of results.json has to write."""
    if isinstance(recipe, list):
        return [made_again(each) for each in recipe]
    if not isinstance(recipe, dict):
        return recipe
    if "float" in recipe:
        return float(recipe["float"])
    place = recipe.get("class", recipe.get("object"))
    if place is None:
        return {key: made_again(value) for key, value in recipe.items()}
    module, _, name = place.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    return found(**made_again(recipe["parameters"])) if "class" in recipe else found


def saved(comparison, folder):
    comparison.save(folder)
    return json.loads((folder / "results.json").read_text())


def loop(embedder, classifier, corpus, folds):
    X = np.asarray(embedder.fit_transform(corpus.X), dtype=float)
    scores = []
    for train, test in folds:
        fitted = fit_classifier(classifier, X[train], corpus.y[train], corpus.groups[train])
        scores.append(uar_score(corpus.y[test], fitted.predict(X[test])))
    return np.mean(scores)


FEATURES = {
    "mfcc": MFCCEmbedder(13, deltas=1, pooling=["mean", "max"], rate=8000),
    "gemaps": EGeMAPSEmbedder("GeMAPSv01b"),
    "lld": EGeMAPSEmbedder("GeMAPSv01b", "lld", pooling="median"),
    "layers": SSLEmbedder("nano", layer=[1, -1], pooling=["std"], window=30.0),
    "mean": SSLEmbedder("nano", layer="mean"),
    "union": FeatureUnion([("a", MFCCEmbedder(5)), ("b", EGeMAPSEmbedder())]),
    "pipeline": make_pipeline(MFCCEmbedder(20), StandardScaler(), PCA(4, random_state=0)),
}
CLASSIFIERS = {
    "pipeline": make_pipeline(SimpleImputer(), StandardScaler(), SVC(C=3, gamma=0.01)),
    "search": GridSearchCV(
        SVC(gamma=1e-4),
        {"C": [0.1, 10]},
        scoring="balanced_accuracy",
        cv=GroupKFold(2),
    ),
    "head": make_pipeline(StandardScaler(), MLPHead((8, 4), max_epochs=2, random_state=3)),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow)
        if name in ("head", "pipeline", "search")
        else name
        for name in CLASSIFIERS
    ],
)
def test_every_row_can_be_made_again(corpus, tmp_path, name):
    found = compare(corpus, FEATURES, classifier=CLASSIFIERS[name], audit=False)
    results = saved(found, tmp_path)
    assert [row["features"] for row in results["rows"]].count("layers") == 2
    classifier = made_again(results["classifier_parameters"])
    folds = [*LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups)]
    for row in results["rows"]:
        embedder = made_again(row["embedder"])
        assert loop(embedder, classifier, corpus, folds) == pytest.approx(row["uar"]), row


@pytest.mark.one_in(3)
@pytest.mark.parametrize("classifier", ["logistic", "lda", "svm"])
def test_named_classifiers_can_be_made_again(corpus, tmp_path, classifier):
    found = compare(corpus, ["mfcc", "nano"], layer=[2], classifier=classifier, audit=False)
    results = saved(found, tmp_path)
    recipe = results["classifier_parameters"]
    assert recipe["name"] == classifier
    own = make_pipeline(StandardScaler(), made_again(recipe))
    if "C" in recipe:
        own = GridSearchCV(
            own,
            {f"{own.steps[-1][0]}__C": recipe["C"]},
            scoring="balanced_accuracy",
            cv=GroupKFold(min(recipe["inner_folds"], 3)),
        )
    folds = [*LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups)]
    for row in results["rows"]:
        assert loop(made_again(row["embedder"]), own, corpus, folds) == pytest.approx(row["uar"])


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "cv",
    ["group5", StratifiedKFold(3, shuffle=True), GroupKFold(2), [([*range(20, 32)], [*range(9)])]],
)
@pytest.mark.filterwarnings("ignore::sklearn_ser.evaluation.LeakageWarning")
def test_folds_can_be_made_again(tmp_path, cv):
    corpus = make_emotional_speech(n_speakers=5, n_sentences=2, random_state=0)
    found = compare(corpus, ["mfcc"], cv=cv, classifier="lda", audit=False)
    results = saved(found, tmp_path)
    if isinstance(cv, str):
        assert results["cv_folds"] is results["cv_parameters"] is None
        again = compare(corpus, ["mfcc"], cv=results["cv"], classifier="lda", audit=False)
        assert again.predictions.equals(found.predictions)
        return
    everything = np.arange(len(corpus.y))
    folds = [
        (np.setdiff1d(everything, each["test"]) if each["train"] is None else each["train"],
         each["test"])
        for each in results["cv_folds"]
    ]  # fmt: skip
    score = loop(MFCCEmbedder(), "lda", corpus, folds)
    assert results["rows"][0]["uar"] == pytest.approx(score)
    assert results["cv"] == ("1 given folds" if isinstance(cv, list) else repr(cv))
    if not isinstance(cv, list):
        assert repr(made_again(results["cv_parameters"])) == repr(cv)


def test_across_corpora_rows_and_folds_can_be_made_again(tmp_path):
    corpora = {name: make_emotional_speech(3, 1, random_state=k) for k, name in enumerate("ab")}
    cv = LeaveOneGroupOut()
    given = {"features": FEATURES["mfcc"], "classifier": "lda", "cv": cv, "audit": False}
    found = compare_across(corpora, **given)
    results = saved(found, tmp_path)
    for name, corpus in corpora.items():
        tests = [fold["test"] for fold in results["cv_folds"][name]]
        expected = [test.tolist() for _, test in cv.split(corpus.X, corpus.y, corpus.groups)]
        assert tests == expected
    for row in results["rows"]:
        if row["train"] == row["test"]:
            corpus = corpora[row["train"]]
            folds = cv.split(corpus.X, corpus.y, corpus.groups)
            score = loop(made_again(row["embedder"]), "lda", corpus, folds)
            assert row["uar"] == pytest.approx(score)


def test_what_features_are_computed_by_is_kept(corpus):
    features = [
        EGeMAPSEmbedder("GeMAPSv01b"),
        MFCCEmbedder(rate=8000),
        SSLEmbedder("nano", [1], window=30.0),
    ]
    gemaps, mfcc, nano = (
        row["embedder"]
        for row in compare(corpus, features, classifier="lda", audit=False).results["rows"]
    )
    assert gemaps["computed"]["feature_set"] == "GeMAPSv01b"
    assert gemaps["computed"]["rate"] == gemaps["parameters"]["rate"] == 16000
    assert mfcc["computed"]["rate"] == 8000
    assert mfcc["computed"]["librosa"] == importlib.metadata.version("librosa")
    assert nano["computed"]["weights"] == model_digest(find_model("nano"))
    assert "30.0 s" in nano["computed"]["window"]
    assert nano["parameters"].keys() == SSLEmbedder().get_params().keys()


BASE = """
from sklearn_ser import MFCCEmbedder

class Base(MFCCEmbedder):
    pass
"""
OWN = """
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut
from own_recipes_base import Base

class Own(Base):
    pass

class OwnClassifier(LogisticRegression):
    pass

class OwnSplitter(LeaveOneGroupOut):
    pass

def scaled(X):
    return X / 100
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a module of a user's own that imports another."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in (("own_recipes_base", BASE), ("own_recipes", OWN)):
        (tmp_path / f"{name}.py").write_text(text)
    yield importlib.import_module("own_recipes")
    for name in ("own_recipes_base", "own_recipes"):
        del sys.modules[name]


def files_in(value):
    """Return the files named anywhere in results, with the class or function beside them."""
    if isinstance(value, list):
        return [found for each in value for found in files_in(each)]
    if not isinstance(value, dict):
        return []
    here = [(value.get("class", value.get("object")), value["files"])] if "files" in value else []
    return here + [found for each in value.values() for found in files_in(each)]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("make", "bases"),
    [
        (lambda own: {"features": [f"{own.__file__}:Own"]}, ["own_recipes", "own_recipes_base"]),
        (lambda own: {"features": [own.Own()]}, ["own_recipes", "own_recipes_base"]),
        (
            lambda own: {"features": {"x": make_pipeline(own.Own(), StandardScaler())}},
            ["own_recipes", "own_recipes_base"],
        ),
        (
            lambda own: {
                "features": {"x": make_pipeline(MFCCEmbedder(), FunctionTransformer(own.scaled))}
            },
            ["own_recipes"],
        ),
        (
            lambda own: {"classifier": make_pipeline(StandardScaler(), own.OwnClassifier())},
            ["own_recipes"],
        ),
        (lambda own: {"cv": own.OwnSplitter()}, ["own_recipes"]),
        (lambda own: {}, None),
    ],
    ids=["named", "object", "in a pipeline", "function", "classifier", "splitter", "none"],
)
@pytest.mark.parametrize("across", [False, True])
def test_code_of_ones_own_is_recorded_by_its_file(corpus, own, tmp_path, make, bases, across):
    given = {"features": ["mfcc"], "classifier": "lda", "audit": False, **make(own)}
    if across:
        found = compare_across({"a": corpus, "b": corpus}, **given)
    else:
        found = compare(corpus, **given)
    files = files_in(saved(found, tmp_path / "out"))
    if bases is None:
        assert files == []
        return
    for place, named in files:
        assert place.startswith("own_recipes.")
        assert sorted(named) == bases
        for name, file in named.items():
            path = tmp_path / f"{name}.py"
            assert file == {
                "path": str(path.resolve()),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
    assert files


def test_sets_of_features_have_names_of_their_own():
    sets = ("GeMAPSv01a", "GeMAPSv01b", "eGeMAPSv01a", "eGeMAPSv01b", "eGeMAPSv02", "ComParE_2016")
    names = [feature_name(EGeMAPSEmbedder(name)) for name in sets]
    assert names == [
        "gemapsv01a", "gemapsv01b", "egemapsv01a", "egemapsv01b", "egemaps", "compare2016"
    ]  # fmt: skip
    assert {EGeMAPSEmbedder(name).short_name for name in sets} == {"egemaps"}  # of their records
    assert list(as_embedders(["egemaps"], feature_set="ComParE_2016")) == ["compare2016"]
    assert list(as_embedders([EGeMAPSEmbedder(name) for name in sets])) == names


@pytest.mark.parametrize(
    "features",
    [
        [MFCCEmbedder(13), MFCCEmbedder(20)],
        ["mfcc", MFCCEmbedder(20)],
        [SSLEmbedder("nano"), SSLEmbedder("nano", 1)],
        [EGeMAPSEmbedder(), EGeMAPSEmbedder(level="lld")],
        [make_pipeline(MFCCEmbedder()), make_pipeline(EGeMAPSEmbedder())],
    ],
)
def test_rows_of_one_name_are_refused(features):
    with pytest.raises(ValueError, match="two feature sets are called"):
        as_embedders(features)


def test_recipes_are_plain_json_and_honest_about_what_they_cannot_hold():
    def here(X):
        return X

    estimator = make_column_transformer(
        (SimpleImputer(missing_values=np.nan, fill_value=np.float32(0.5)), ["a"]),
        (FunctionTransformer(np.log1p, kw_args={"where": True}), [1]),
        (FunctionTransformer(here), slice(2)),
    )
    text = json.dumps(recipe_of(estimator), allow_nan=False)
    recipe = json.loads(text)
    (_, imputer, _), (_, logarithm, _), (_, own, columns) = recipe["parameters"]["transformers"]
    assert imputer["class"] == "sklearn.impute.SimpleImputer"
    assert imputer["parameters"]["missing_values"] == {"float": "nan"}
    assert imputer["parameters"]["fill_value"] == 0.5
    assert np.isnan(made_again(imputer).missing_values)
    assert logarithm["parameters"]["kw_args"] == {"where": True}
    assert own["parameters"]["func"]["object"].endswith("<locals>.here")
    assert columns == {"repr": "slice(None, 2, None)"}
    assert recipe_of(Path("a/b")) == "a/b"
    assert recipe_of({1: range(2)}) == {"1": [0, 1]}
    random = recipe_of(LogisticRegression(random_state=np.random.RandomState(0)))
    assert "RandomState" in random["parameters"]["random_state"]["repr"]


THIRD = np.longdouble(1) / 3  # which no float is
SCALARS = {
    "bool_": (np.True_, True),
    "int8": (np.int8(-3), -3),
    "uint64": (np.uint64(2**64 - 1), 2**64 - 1),
    "float16": (np.float16(0.1), 0.0999755859375),
    "float32": (np.float32(0.1), 0.10000000149011612),
    "float64": (np.float64(0.1), 0.1),
    "longdouble": (np.longdouble(1) / 4, 0.25),
    "longdouble, more exact": (THIRD, {"repr": repr(THIRD)}),
    "NaN": (np.longdouble("nan"), {"float": "nan"}),
    "infinite": (np.longdouble("-inf"), {"float": "-inf"}),
    "half NaN": (np.float16("nan"), {"float": "nan"}),
    "complex64": (np.complex64(1 + 2j), {"repr": "np.complex64(1+2j)"}),
    "clongdouble": (np.clongdouble(1), {"repr": "np.clongdouble('1+0j')"}),
    "datetime64": (np.datetime64("2020-01-02"), {"repr": "np.datetime64('2020-01-02')"}),
    "datetime64[ns]": (np.datetime64(1, "ns"), {"repr": repr(np.datetime64(1, "ns"))}),
    "timedelta64": (np.timedelta64(3, "D"), {"repr": "np.timedelta64(3,'D')"}),
    "timedelta64[ns]": (np.timedelta64(3, "ns"), {"repr": "np.timedelta64(3,'ns')"}),
    "str_": (np.str_("Ärger"), "Ärger"),
    "bytes_": (np.bytes_(b"a"), {"repr": "np.bytes_(b'a')"}),
    "void": (np.void(b"ab"), {"repr": r"np.void(b'\x61\x62')"}),
    "record": (
        np.array((1, 2.5), dtype=[("a", "i4"), ("b", "f4")])[()],
        {"repr": "np.void((1, 2.5), dtype=[('a', '<i4'), ('b', '<f4')])"},
    ),
}


@pytest.mark.parametrize("name", SCALARS)
def test_every_kind_of_numpys_scalars_has_a_recipe(name):
    value, expected = SCALARS[name]
    found = recipe_of({"it": value, "array": np.array([value, value]), "single": np.array(value)})
    assert found == {"it": expected, "array": [expected, expected], "single": expected}
    assert type(found["array"]) is list
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_arrays_have_recipes_of_their_elements():
    assert recipe_of(np.arange(6).reshape(2, 3)) == [[0, 1, 2], [3, 4, 5]]
    assert recipe_of(np.array([1, "a", None], dtype=object)) == [1, "a", None]
    assert recipe_of(np.array([])) == []


def test_a_corpus_is_told_from_another(corpus):
    def digests(**change):
        other = Bunch(**{**corpus, "frame": None, **change})
        given = {"classifier": LinearDiscriminantAnalysis(), "audit": False}
        return compare(other, {"mfcc": MFCCEmbedder(5)}, **given).results["digests"]

    own = digests()
    assert own == digests(name="another name")
    louder = [(samples * 2, rate) for samples, rate in corpus.X]
    changes = {
        "audio": {"X": louder},
        "labels": {"y": np.roll(corpus.y, 1)},
        "speakers": {"groups": np.char.add("x", corpus.groups)},
    }
    for what, change in changes.items():
        found = digests(**change)
        assert (found["audio"] == own["audio"]) is (what != "audio")
        assert (found["labels"] == own["labels"]) is (what == "audio")
    both = compare_across({"a": corpus, "b": corpus}, ["mfcc"], classifier="lda", audit=False)
    a, b = both.results["digests"].values()
    assert a["audio"] == b["audio"] == own["audio"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("across", [False, True])
def test_clips_left_out_are_named_with_reasons(corpus, tmp_path, capsys, across):
    broken = Bunch(X=list(corpus.X), y=corpus.y, groups=corpus.groups, name="broken")
    broken.X[2] = str(tmp_path / "missing.wav")
    broken.X[5] = (np.zeros(16000), 16000)
    broken.X[7] = (corpus.X[7][0][:1500], 16000)  # long enough for eGeMAPS, not for MFCC
    given = {"features": ["egemaps", "mfcc"], "classifier": "lda", "on_error": "nan"}
    if across:
        found = compare_across({"whole": corpus, "broken": broken}, audit=False, **given)
        print_cross(found)
    else:
        found = compare(broken, audit=False, **given)
        print_table(found)
    results = saved(found, tmp_path)
    assert results["n_clips_left_out"] == 3
    missing, silent, short = results["clips_left_out"]
    assert [each["clip"] for each in (missing, silent, short)] == [2, 5, 7]
    assert missing["name"] == str(tmp_path / "missing.wav")
    assert missing["reasons"].keys() == silent["reasons"].keys() == {"egemaps", "mfcc"}
    assert "no such file" in missing["reasons"]["mfcc"]
    assert "silen" in silent["reasons"]["mfcc"]
    assert short["reasons"].keys() == {"mfcc"}
    assert "shorter than the extractor can take" in short["reasons"]["mfcc"]
    if across:
        assert {each["corpus"] for each in (missing, silent, short)} == {"broken"}
    printed = " ".join(capsys.readouterr().out.split())
    assert "3 clips could not be used" in printed
    assert "no such file" in printed


def test_a_corpus_without_a_usable_clip(corpus):
    silent = Bunch(X=[(np.zeros(16000), 16000)] * 16, y=corpus.y, groups=corpus.groups)
    with pytest.raises(ValueError, match="no clip could be embedded by all feature sets"):
        compare(silent, ["mfcc"], on_error="nan")


def test_results_say_what_made_them(corpus, tmp_path):
    results = saved(compare(corpus, ["mfcc"], classifier="lda"), tmp_path)
    assert results["versions"]["sklearn-ser"] == importlib.metadata.version("sklearn-ser")
    assert sklearn_ser.__name__ == "sklearn_ser"
    assert results["corpus"] == "synthetic"


ROW = [field.name for field in fields(Row)]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (None, "ssl"),
        ("ssl", "ssl"),
        ("nano", "ssl (nano)"),
        ("microsoft/wavlm-base-plus", "ssl (microsoft/wavlm-base-plus)"),
        ("/data/models/whisper-base", "ssl (whisper-base)"),
        ("./whisper-base", "ssl (whisper-base)"),
        ("models/whisper/base", "ssl (base)"),
        ("~/whisper-base", "ssl (whisper-base)"),
    ],
)
def test_models_are_named_by_their_id_or_folder(model, name):
    assert Row(**{**dict.fromkeys(ROW), "features": "ssl", "model": model}).name == name


@pytest.mark.parametrize(("model", "name"), [("a/b", "a/b"), ("/data/models/base", "base")])
@pytest.mark.parametrize("kind", ["ssl", "pretrained"])
def test_models_that_features_name_are_named_once(kind, model, name):
    features = {**dict.fromkeys(ROW), "features": f"{kind}:{model}", "model": model}
    assert Row(**features).name == f"{kind}:{name}"


@pytest.mark.slow
def test_table_and_figures_name_the_model(corpus, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # names are folded where seconds are many
    named = {"first": SSLEmbedder("nano", [1, 2]), "mfcc": MFCCEmbedder()}
    found = compare(corpus, named, classifier="lda", audit=False)
    print_table(found)
    printed = capsys.readouterr().out
    assert printed.count("first (nano)") == 4  # two layers, and the nested score in two places
    (legend,) = ComparisonDisplay.from_comparison(found).figure_.legends
    labels = [text.get_text() for text in legend.texts]
    assert labels == ["first (nano), by layer", "mfcc", "chance"]
    across = compare_across({"a": corpus, "b": corpus}, named, classifier="lda", audit=False)
    print_cross(across)
    best = across.frame[across.frame["train"] != across.frame["test"]]
    best = best[best["features"] == "first"].groupby("layer")["uar"].mean().idxmax()
    assert f"first (nano), layer {best:.0f}: a 16" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("features", ["mfcc", "egemaps+mfcc", "my, own"])
def test_features_without_a_model_are_named_once(features):
    assert Row(**{**dict.fromkeys(ROW), "features": features}).name == features

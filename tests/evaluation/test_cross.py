"""Across corpora, the numbers are those of a plain scikit-learn loop."""

import json

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser.cli import main
from sklearn_ser.cli._tables import print_cross
from sklearn_ser.datasets import load_emodb, make_emotional_speech, pool_corpora
from sklearn_ser.evaluation import compare, compare_across, uar_score
from sklearn_ser.evaluation._alignment import ALIGNMENTS
from sklearn_ser.exceptions import ClipError, LeakageWarning
from sklearn_ser.model_selection import LeaveOneCorpusOut

EMOTIONS = ["anger", "happiness", "neutral", "sadness"]


@pytest.fixture(scope="module")
def corpora():
    """Three corpora with different emotions; three have anger, happiness and neutral."""
    return {
        "one": make_emotional_speech(3, 2, EMOTIONS, random_state=1),
        "two": make_emotional_speech(4, 2, [*EMOTIONS, "boredom"], rate=22050, random_state=2),
        "three": make_emotional_speech(3, 1, [*EMOTIONS[:3], "fear"], random_state=3),
    }


@pytest.fixture(scope="module")
def kept(corpora):
    """MFCC, emotions and speakers of the clips with an emotion that all corpora have."""
    found = {}
    for name, corpus in corpora.items():
        wanted = np.isin(corpus.y, EMOTIONS[:3])
        X = MFCCEmbedder(cache=None).fit_transform(corpus.X).astype(float)
        speakers = np.char.add(f"{name}/", corpus.groups)
        found[name] = X[wanted], corpus.y[wanted], speakers[wanted]
    return found


def lda():
    return make_pipeline(
        StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    )


def test_matrix_equals_a_loop_of_scikit_learn(corpora, kept):
    found = compare_across(corpora, ["mfcc"], classifier="lda")
    assert found.results["emotions"] == EMOTIONS[:3]
    assert found.results["corpora"] == {"one": 18, "two": 24, "three": 9}
    matrix = found.matrix()
    for train, (X, y, speakers) in kept.items():
        for test, (X_test, y_test, _) in kept.items():
            if train != test:
                expected = balanced_accuracy_score(y_test, lda().fit(X, y).predict(X_test))
            else:
                expected = np.mean(
                    [
                        balanced_accuracy_score(y[b], lda().fit(X[a], y[a]).predict(X[b]))
                        for a, b in LeaveOneGroupOut().split(X, y, speakers)
                    ]
                )
            assert matrix.loc[train, test] == pytest.approx(expected)
    for test, (X_test, y_test, _) in kept.items():
        X, y = (np.concatenate([kept[n][i] for n in kept if n != test]) for i in (0, 1))
        expected = balanced_accuracy_score(y_test, lda().fit(X, y).predict(X_test))
        assert matrix.loc["all others", test] == pytest.approx(expected)
    assert found.frame["chance"].unique().tolist() == [1 / 3]
    assert not found.frame["transductive"].any()


def test_rows_count_clips_and_speakers(corpora, kept):
    given = {"cv": GroupKFold(2), "classifier": KNeighborsClassifier(1), "audit": False}
    found = compare_across(corpora, ["mfcc"], **given)
    sizes = {name: len(y) for name, (_, y, _) in kept.items()}
    assert found.results["n_speakers"] == {"one": 3, "two": 4, "three": 3}
    for row in found.results["rows"]:
        train, test = row["train"], row["test"]
        expected = sum(sizes.values()) - sizes[test] if train == "all others" else sizes[train]
        if train == test:
            speakers = kept[test][2]
            expected -= 2 * max(np.unique(speakers, return_counts=True)[1])  # of three, or four
        assert row["n_train"] == expected
        assert row["n_test"] == sizes[test]
    pooled = pool_corpora(corpora)
    clips = found.predictions["clip"].to_numpy()
    assert (pooled.y[clips] == found.predictions["emotion"]).all()
    assert (pooled.groups[clips] == found.predictions["speaker"]).all()
    # Three speakers make no interval, four do.
    assert {row["test"] for row in found.results["rows"] if row["uar_ci"]} == {"two"}


def test_all_others_equals_compare_with_leave_one_corpus_out(corpora):
    across = compare_across(corpora, ["mfcc"], classifier="lda").matrix()
    pooled = pool_corpora(corpora)
    wanted = np.isin(pooled.y, EMOTIONS[:3])
    pooled.X = [x for x, keep in zip(pooled.X, wanted, strict=True) if keep]
    pooled.y, pooled.groups = pooled.y[wanted], pooled.groups[wanted]
    pooled.frame = pooled.frame[wanted]
    plain = compare(pooled, ["mfcc"], cv=LeaveOneCorpusOut(), classifier="lda")
    by_corpus = dict(zip(sorted(corpora), plain.results["rows"][0]["fold_uar"], strict=True))
    assert by_corpus == pytest.approx(across.loc["all others"].to_dict())


def test_compare_trains_on_one_corpus_and_tests_on_another(corpora):
    one, three = corpora["one"], corpora["three"]
    wanted = three.y != "fear"
    three = type(three)(
        name="three",
        X=[x for x, keep in zip(three.X, wanted, strict=True) if keep],
        y=three.y[wanted],
        groups=three.groups[wanted],
    )
    found = compare(None, ["mfcc"], train=one, test=three, classifier="lda")
    X, X_test = (MFCCEmbedder().fit_transform(c.X).astype(float) for c in (one, three))
    predicted = lda().fit(X, one.y).predict(X_test)
    expected = np.mean([np.mean(predicted[three.y == label] == label) for label in set(three.y)])
    assert found.results["rows"][0]["uar"] == pytest.approx(expected)
    assert found.results["corpus"] == "synthetic → three"
    aligned = compare(None, ["mfcc"], train=one, test=three, classifier="lda", alignment="coral")
    X, X_test = ALIGNMENTS["coral"](X, X_test, np.zeros(len(X)))
    predicted = lda().fit(X, one.y).predict(X_test)
    expected = np.mean([np.mean(predicted[three.y == label] == label) for label in set(three.y)])
    assert aligned.results["rows"][0]["uar"] == pytest.approx(expected)
    assert aligned.results["rows"][0]["transductive"] is True
    assert "aligned by coral (transductive)" in aligned.title
    assert found.results["n_folds"] == 1
    assert found.results["audit"]["speaker_independent"] is True


def test_coral_gives_training_clips_the_covariance_of_the_test_clips():
    rng = np.random.default_rng(0)
    X_train = rng.normal(size=(40000, 5)) @ rng.normal(size=(5, 5)) + 3
    X_test = rng.normal(size=(40000, 5)) @ rng.normal(size=(5, 5)) - 1
    aligned, test = ALIGNMENTS["coral"](X_train, X_test, np.zeros(40000))
    np.testing.assert_allclose(np.cov(aligned.T), np.cov(test.T), rtol=0.02, atol=0.02)
    np.testing.assert_allclose(aligned.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(test.mean(axis=0), 0, atol=1e-9)


def test_coral_whitens_by_training_clips_and_colours_by_test_clips():
    """By another way: Cholesky factors whiten and colour up to a rotation that is undone."""
    rng = np.random.default_rng(1)
    X_train, X_test = rng.normal(size=(40, 6)), 2 * rng.normal(size=(30, 6))
    scale = X_train.std(axis=0)
    A, B = (X_train - X_train.mean(axis=0)) / scale, (X_test - X_test.mean(axis=0)) / scale
    roots = []
    for Z in (A, B):
        u, s, vt = np.linalg.svd(LedoitWolf(assume_centered=True).fit(Z).covariance_)
        roots.append((u * np.sqrt(s)) @ vt)
    expected = np.linalg.solve(roots[0].T, A.T).T @ roots[1]
    aligned, test = ALIGNMENTS["coral"](X_train, X_test, np.zeros(40))
    np.testing.assert_allclose(aligned, expected, atol=1e-9)
    np.testing.assert_allclose(test, B, atol=1e-12)


def test_standardize_looks_at_each_corpus_alone():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) * 5 + 2
    X[:20] += 100
    corpora = np.array(["a"] * 20 + ["b"] * 40)
    aligned, test = ALIGNMENTS["standardize"](X, X[:7], corpora)
    np.testing.assert_allclose(aligned[:20], StandardScaler().fit_transform(X[:20]))
    np.testing.assert_allclose(aligned[20:], StandardScaler().fit_transform(X[20:]))
    np.testing.assert_allclose(test, StandardScaler().fit_transform(X[:7]))


@pytest.mark.parametrize("how", ["standardize", "coral"])
def test_aligned_rows_are_marked_and_equal_a_loop(corpora, kept, how):
    two = {name: corpora[name] for name in ("one", "three")}
    found = compare_across(two, ["mfcc"], alignment=[None, how], classifier="lda")
    frame = found.frame
    assert frame["transductive"].tolist() == (frame["alignment"] == how).tolist()
    # Within a corpus nothing is aligned, and with two corpora nothing is left for all others.
    rows = found.results["rows"]
    assert [(row["train"], row["test"], row["alignment"]) for row in rows] == [
        ("one", "one", None),
        ("one", "three", None),
        ("one", "three", how),
        ("three", "one", None),
        ("three", "one", how),
        ("three", "three", None),
    ]
    (X, y, _), (X_test, y_test, _) = kept["one"], kept["three"]
    aligned, test = ALIGNMENTS[how](X, X_test, np.zeros(len(X)))
    expected = balanced_accuracy_score(y_test, lda().fit(aligned, y).predict(test))
    assert found.matrix(alignment=how).loc["one", "three"] == pytest.approx(expected)


def test_c_is_chosen_by_speakers_inside_the_training_corpus(corpora):
    two = {name: corpora[name] for name in ("one", "two")}
    found = compare_across(two, ["mfcc"], scheme="four", n_jobs=2)
    choices = {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]}
    wanted = {name: np.isin(corpus.y, EMOTIONS) for name, corpus in two.items()}
    X, y, groups = {}, {}, {}
    for name, corpus in two.items():
        X[name] = MFCCEmbedder().fit_transform(corpus.X).astype(float)[wanted[name]]
        y[name], groups[name] = corpus.y[wanted[name]], corpus.groups[wanted[name]]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
        choices,
        scoring="balanced_accuracy",
        cv=GroupKFold(4),
    )
    search.fit(X["two"], y["two"], groups=groups["two"])
    expected = balanced_accuracy_score(y["one"], search.predict(X["one"]))
    assert found.matrix().loc["two", "one"] == pytest.approx(expected)


def test_layers_have_rows_of_their_own(corpora):
    two = {name: corpora[name] for name in ("one", "three")}
    found = compare_across(two, ["mfcc", "nano"], layer=[1, 3], classifier="lda")
    assert found.frame.groupby(["features", "layer"], dropna=False).size().tolist() == [4, 4, 4]
    X = {n: SSLEmbedder("nano", layer=3).fit_transform(c.X).astype(float) for n, c in two.items()}
    y = {n: c.y for n, c in two.items()}
    wanted = {n: np.isin(y[n], EMOTIONS[:3]) for n in two}
    fitted = lda().fit(X["one"][wanted["one"]], y["one"][wanted["one"]])
    expected = balanced_accuracy_score(
        y["three"][wanted["three"]], fitted.predict(X["three"][wanted["three"]])
    )
    assert found.matrix("nano", 3).loc["one", "three"] == pytest.approx(expected)


def test_unusable_arguments(corpora):
    with pytest.raises(ValueError, match="two corpora or more"):
        compare_across({"one": corpora["one"]})
    for alignment in ("pca", [], ["coral", "coral"]):
        with pytest.raises(ValueError, match=r"alignment=.* it must be None, one of"):
            compare_across(corpora, alignment=alignment)
    other = make_emotional_speech(2, 1, ["fear", "anger"], random_state=0)
    with pytest.raises(ValueError, match=r"1 emotions in common .*other: anger, fear"):
        compare_across({"one": corpora["one"], "other": other}, scheme=None)
    with pytest.raises(ValueError, match="either a corpus, or both train and test"):
        compare(corpora["one"], train=corpora["one"], test=corpora["two"])
    with pytest.raises(ValueError, match="either a corpus, or both train and test"):
        compare(train=corpora["one"])
    with pytest.raises(ValueError, match="either a corpus, or both train and test"):
        compare(corpora["one"], train=corpora["two"])
    with pytest.raises(ValueError, match="alignment is for two corpora"):
        compare(corpora["one"], alignment="coral")
    with pytest.raises(ValueError, match="cv is for folds within a corpus"):
        compare(train=corpora["one"], test=corpora["one"], cv="group5")
    with pytest.raises(ValueError, match="emotions that the training corpus lacks: boredom"):
        compare(train=corpora["one"], test=corpora["two"])


def test_matrix_of_aligned_rows_only(corpora):
    two = {name: corpora[name] for name in ("one", "three")}
    found = compare_across(two, ["mfcc"], alignment="coral", classifier="lda")
    assert found.matrix().equals(found.matrix(alignment="coral"))
    with pytest.raises(ValueError, match=r"alignment='pca'; there are features \['mfcc'\]"):
        found.matrix(alignment="pca")


def test_folds_that_share_speakers_or_audio_are_marked(corpora, capsys):
    one, two = corpora["one"], corpora["three"]
    planted = Bunch(
        X=[*two.X, one.X[0], one.X[4]],
        y=[*two.y, one.y[0], one.y[4]],
        groups=[*two.groups, "s08", "s09"],
    )
    with pytest.warns(LeakageWarning, match="one → planted: .*LEAK: the audio of 2 test clips"):
        found = compare_across({"one": one, "planted": planted}, ["mfcc"], classifier="lda")
    shared = {(row["train"], row["test"]): row["shares_audio"] for row in found.results["rows"]}
    assert shared == {
        ("one", "one"): False,
        ("one", "planted"): True,
        ("planted", "one"): True,
        ("planted", "planted"): False,
    }
    with pytest.warns(LeakageWarning, match="one → one: NOT speaker-independent"):
        mixed = compare_across(
            {"one": one, "two": corpora["two"]},
            ["mfcc"],
            cv=KFold(3, shuffle=True, random_state=0),
            classifier="lda",
        )
    independent = [row["speaker_independent"] for row in mixed.results["rows"]]
    assert independent == [False, True, True, False]
    print_cross(mixed)
    printed = capsys.readouterr().out
    assert printed.count("*") == 3  # two cells, and what the mark means
    assert "Audit: one → one: NOT speaker-independent" in " ".join(printed.split())


def test_bad_clips_are_named_by_corpus_and_position_there(corpora):
    two = corpora["two"]
    position = next(i for i, y in enumerate(two.y) if y == "sadness")
    broken = Bunch(X=list(two.X), y=two.y, groups=two.groups)
    broken.X[position] = "missing.wav"
    with pytest.raises(ClipError, match=rf"clip {position} \(missing.wav of two\): no such file"):
        compare_across({"one": corpora["one"], "two": broken}, ["mfcc"])


@pytest.mark.slow
def test_command_between_emodb_and_synthetic_speech(emodb, tmp_path, capsys):
    arguments = ["cross", "synthetic", f"emodb={emodb}", "--features", "mfcc", "--align", "none"]
    arguments += ["coral", "--classifier", "lda", "--quiet", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "(transductive)" in capsys.readouterr().out
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    uar = {(row["train"], row["test"], row["alignment"]): row["uar"] for row in rows}
    assert len(uar) == 6
    data = {}
    for name, corpus in (
        ("EmoDB", load_emodb(emodb)),
        ("synthetic speech", make_emotional_speech(random_state=0)),
    ):
        X = MFCCEmbedder().fit_transform(corpus.X).astype(float)
        data[name] = X, corpus.y, corpus.groups
    for (train, test, alignment), found in uar.items():
        X, y, groups = data[train]
        X_test, y_test, _ = data[test]
        if train == test:
            folds = LeaveOneGroupOut().split(X, y, groups)
            expected = np.mean(
                [uar_score(y[b], lda().fit(X[a], y[a]).predict(X[b])) for a, b in folds]
            )
        else:
            if alignment == "coral":
                X, X_test = ALIGNMENTS["coral"](X, X_test, np.zeros(len(X)))
            expected = balanced_accuracy_score(y_test, lda().fit(X, y).predict(X_test))
        assert found == pytest.approx(expected), (train, test, alignment)

"""Where folds lack emotions, each emotion has one recall, pooled over folds, and chance is 1/n."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from sklearn_ser.cli._tables import print_card, print_cross, print_table
from sklearn_ser.evaluation import compare, compare_across, speaker_interval, uar_score
from sklearn_ser.evaluation._classifiers import fit_classifier
from sklearn_ser.evaluation._named import CLASSIFIERS
from sklearn_ser.evaluation._published import published_beside
from sklearn_ser.model_selection import LeaveOneSpeakerOut
from sklearn_ser.plotting import ComparisonDisplay
from sklearn_ser.recognition import EmotionRecognizer, OutOfDomainDetector

GUESS = DummyClassifier(strategy="most_frequent")
NUMBERS = {"numbers": FunctionTransformer()}

# The emotions of each speaker, and how many clips of each; anger is the most frequent one.
CORPORA = {
    "two of four emotions a speaker": [{"anger": 3, other: 2} for other in "fjs" for _ in range(8)],
    "one label a speaker": [{"depressed": 4}] * 5 + [{"healthy": 4}] * 10,
    "one speaker lacks one emotion": [{"anger": 3, "fear": 2}] * 5 + [{"anger": 3}],
}


def corpus_of(speakers, seed=0, informative=1.0):
    rows = [
        (f"s{k:02d}", emotion)
        for k, counts in enumerate(speakers)
        for emotion, count in counts.items()
        for _ in range(count)
    ]
    groups, y = (np.array(column) for column in zip(*rows, strict=True))
    X = np.random.default_rng(seed).normal(size=(len(y), 5))
    X[:, 0] += informative * np.unique(y, return_inverse=True)[1]
    return Bunch(name="made", X=X, y=y, groups=groups)


def run(corpus, classifier, **arguments):
    return compare(corpus, NUMBERS, classifier=classifier, audit=False, **arguments)


@pytest.mark.parametrize("speakers", CORPORA.values(), ids=CORPORA)
@pytest.mark.parametrize("cv", ["loso", LeaveOneGroupOut(), "indices"])
def test_a_constant_guess_scores_chance(speakers, cv):
    corpus = corpus_of(speakers)
    emotions, counts = np.unique(corpus.y, return_counts=True)
    if cv == "indices":
        cv = [*LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups)]
    found = run(corpus, GUESS, cv=cv)
    (row,) = found.results["rows"]
    n_emotions, share = len(emotions), counts.max() / counts.sum()
    assert found.results["chance"] == 1 / n_emotions
    assert row["uar"] == pytest.approx(1 / n_emotions)
    assert row["uar_ci"] == pytest.approx([1 / n_emotions] * 2)
    assert row["accuracy"] == pytest.approx(share)
    assert row["macro_f1"] == pytest.approx(2 * share / (1 + share) / n_emotions)
    assert row["averaging"] == "pooled over folds"
    # A fold's own: over the emotions that it has, of which the guess is one or none.
    guess = emotions[counts.argmax()]
    by_fold = found.predictions.groupby("fold")["emotion"].agg(set)
    assert row["fold_uar"] == [(guess in its) / len(its) for its in by_fold]


@pytest.mark.one_in(4)
@pytest.mark.parametrize("cv", ["loso", GroupKFold(6)])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_scores_are_those_of_all_predictions_together(classifier, cv):
    found = run(corpus_of(CORPORA["two of four emotions a speaker"][::2]), classifier, cv=cv)
    (row,), told = found.results["rows"], found.predictions
    assert row["uar"] == pytest.approx(balanced_accuracy_score(told["emotion"], told["predicted"]))
    assert row["accuracy"] == pytest.approx(accuracy_score(told["emotion"], told["predicted"]))
    f1 = f1_score(told["emotion"], told["predicted"], average="macro")
    assert row["macro_f1"] == pytest.approx(f1)
    fold_uar = [uar_score(its["emotion"], its["predicted"]) for _, its in told.groupby("fold")]
    assert row["fold_uar"] == pytest.approx(fold_uar)
    assert row["uar"] != pytest.approx(np.mean(fold_uar), abs=0.01)


def test_folds_with_all_emotions_are_averaged():
    found = run(corpus_of([{"anger": 2, "fear": 1}] * 6), "lda")
    (row,) = found.results["rows"]
    assert row["averaging"] == "mean over folds"
    assert row["uar"] == pytest.approx(np.mean(row["fold_uar"]))


def test_the_interval_leaves_speakers_out_of_pooled_recalls():
    found = run(corpus_of(CORPORA["one label a speaker"], informative=1.5), "lda")
    told = found.predictions
    names = sorted(set(told["speaker"]))
    uar = found.results["rows"][0]["uar"]
    left = [
        balanced_accuracy_score(rest["emotion"], rest["predicted"])
        for name in names
        for rest in [told[told["speaker"] != name]]
    ]
    error = np.sqrt((len(names) - 1) * np.var(left)) / (uar * (1 - uar))
    weights = np.array([1 / 2 / 5] * 5 + [1 / 2 / 10] * 10)  # of five and ten speakers an emotion
    margin = stats.t.ppf(0.975, 1 / np.sum(weights**2) - 1) * error
    expected = expit(logit(uar) + np.array([-margin, margin]))
    assert found.results["rows"][0]["uar_ci"] == pytest.approx(expected)
    pooled = speaker_interval(told["emotion"], told["predicted"], told["speaker"])
    assert pooled == pytest.approx(expected)


def test_a_tested_corpus_may_lack_emotions():
    train = corpus_of([{"anger": 3, "fear": 2, "joy": 2}] * 4)
    test = corpus_of([{"anger": 2}, {"fear": 1}, {"fear": 3}], seed=1)
    found = compare(None, NUMBERS, train=train, test=test, classifier=GUESS, audit=False)
    (row,) = found.results["rows"]
    assert found.results["chance"] == 1 / 3
    assert found.results["emotions_not_tested"] == ["joy"]
    assert row["uar"] == 0.5
    assert row["accuracy"] == pytest.approx(2 / 6)


def test_across_corpora_each_cell_says_how_it_was_averaged(capsys):
    corpora = {
        "lacking": corpus_of([{"anger": 3, "joy": 1}] * 3 + [{"anger": 3, "sadness": 1}] * 3),
        "whole": corpus_of([{"anger": 2, "joy": 1, "sadness": 1}] * 4, seed=1),
    }
    found = compare_across(corpora, NUMBERS, scheme=None, classifier=GUESS, audit=False)
    averaging = {(row["train"], row["test"]): row["averaging"] for row in found.results["rows"]}
    assert averaging == {
        ("lacking", "lacking"): "pooled over folds",
        ("lacking", "whole"): "mean over folds",
        ("whole", "lacking"): "mean over folds",
        ("whole", "whole"): "mean over folds",
    }
    np.testing.assert_allclose(found.matrix().to_numpy(), 1 / 3)
    print_cross(found)
    assert "lacking: pooled over folds" in " ".join(capsys.readouterr().out.split())


def test_a_recognizer_and_its_card_pool_too(capsys):
    corpus = corpus_of(CORPORA["one label a speaker"])
    detector = OutOfDomainDetector([FunctionTransformer()])
    fitted = EmotionRecognizer(FunctionTransformer(), GUESS, detector=detector)
    fitted.fit(corpus.X, corpus.y, corpus.groups)
    assert fitted.scores_["uar"] == 0.5
    assert fitted.scores_["uar_ci"] == [0.5, 0.5]
    assert fitted.scores_["averaging"] == "pooled over folds"
    card = {"training": [], "emotions": ["depressed"], "features": [], "classifier": "guess",
            "new_speakers": fitted.scores_, "domain": [], "created": "",
            "versions": {}}  # fmt: skip
    print_card(card)
    assert "pooled over folds" in " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.slow
def test_table_and_figures_say_so(capsys, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    titles = []
    saved = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *args, **kw: (
            titles.append(figure.axes[0].get_title()),
            saved(figure, *args, **kw),
        ),
    )
    for speakers, words in (
        (CORPORA["one label a speaker"], "pooled over folds"),
        ([{"depressed": 1, "healthy": 2}] * 5, "mean over folds"),
    ):
        found = run(corpus_of(speakers), GUESS)
        print_table(found)
        printed = " ".join(capsys.readouterr().out.split())
        assert words in printed
        assert "Chance is 0.500" in printed
        found.save(tmp_path, formats=["png"])
        assert f"UAR 0.500, {words}" in titles[-1].replace("\n", " ")
        ax = ComparisonDisplay.from_comparison(found).ax_
        assert ("pooled" in ax.get_xlabel()) is (words == "pooled over folds")
        chance = next(line for line in ax.get_lines() if line.get_label() == "chance")
        assert set(chance.get_xdata()) == {0.5}


def test_published_means_over_folds_do_not_stand_beside_pooled_scores():
    emotions = ["anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness"]
    results = {"corpus": "EmoDB", "n_clips": 535, "speaker_scaling": None, "emotions": emotions}
    results["cv"] = "loso"
    shown = {}
    for averaging in ("mean over folds", "pooled over folds"):
        rows = [SimpleNamespace(is_pooled=averaging == "pooled over folds")]
        found = SimpleNamespace(**results, rows=rows)
        shown[averaging] = published_beside(found, LeaveOneSpeakerOut())
    rows, note = shown["mean over folds"]
    assert rows
    assert "pooled" not in note
    rows, told = shown["pooled over folds"]
    assert not rows
    assert "published figures are means over folds; these are pooled over folds" in told


def test_c_is_chosen_by_pooled_recalls():
    """As in a plain loop; means over inner folds would choose other values."""
    estimator, choices, _ = CLASSIFIERS["logistic"]
    by_means = []
    for seed in range(3):
        speakers = [{"anger": 3, "fear": 4}] * 4 + [{"joy": 1}] * 3 + [{"sadness": 6}] * 3
        X, y, groups = (corpus_of(speakers, seed, 0.4)[name] for name in ("X", "y", "groups"))
        folds = [*GroupKFold(5).split(X, y, groups)]
        told = [
            cross_val_predict(
                make_pipeline(StandardScaler(), clone(estimator).set_params(C=C)), X, y, cv=folds
            )
            for C in choices
        ]
        best = int(np.argmax([balanced_accuracy_score(y, each) for each in told]))
        chosen = fit_classifier("logistic", X, y, groups).best_params_
        assert [*chosen.values()] == [choices[best]]
        means = [np.mean([uar_score(y[test], t[test]) for _, test in folds]) for t in told]
        by_means.append(int(np.argmax(means)) == best)
    assert not all(by_means)


FEW = {
    "inner training folds of one emotion": [{"anger": 3}] * 2 + [{"fear": 3}] * 2,
    "emotions of one clip": [{"anger": 3, "fear": 2}] * 3 + [{"joy": 1}],
    "emotions of one speaker": [{"anger": 3, "fear": 2}] * 3 + [{"joy": 2}],
    "fewer clips than folds": [{"anger": 1}] * 3 + [{"fear": 1}] * 2,
}


@pytest.mark.one_in(5)
@pytest.mark.parametrize("speakers", FEW.values(), ids=FEW)
@pytest.mark.parametrize("classifier", [*CLASSIFIERS, GUESS, LogisticRegression()], ids=str)
def test_nothing_of_scikit_learn_leaks_out(speakers, classifier):
    """Warnings are errors here."""
    (row,) = run(corpus_of(speakers), classifier).results["rows"]
    assert 0 <= row["uar"] <= 1


@pytest.mark.parametrize(
    ("speakers", "arguments", "message"),
    [
        ([{"a": 2}] * 2 + [{"b": 1}], {"classifier": "lda"}, "fold 2: all 4 training clips are a"),
        ([{"a": 2}] * 4, {}, "fold 0: all 6 training clips are a"),
        ([{"a": 2, "b": 2}] * 3, {"cv": LeavePGroupsOut(2)}, "fold 0: C of .* the 1 training"),
        ([{"a": 2}] * 2 + [{"b": 2}], {}, "fold 0: C of .* the 2 training speakers"),
    ],
)
def test_folds_that_cannot_be_fitted_are_named_before_anything_is_extracted(
    speakers, arguments, message
):
    corpora = {"one": corpus_of(speakers), "two": corpus_of(speakers, seed=1)}
    never = {"never": FunctionTransformer(lambda X: pytest.fail("extracted"))}
    with pytest.raises(ValueError, match=f"^{message}"):
        compare(corpora["one"], never, audit=False, **arguments)
    if len({name for speaker in speakers for name in speaker}) > 1:
        with pytest.raises(ValueError, match=f"^one → one, {message}"):
            compare_across(corpora, never, scheme=None, audit=False, **arguments)


def test_lda_has_nothing_to_choose_and_takes_one_training_speaker():
    found = run(corpus_of([{"a": 3, "b": 3}] * 3), "lda", cv=LeavePGroupsOut(2))
    assert len(found.results["rows"][0]["fold_uar"]) == 3


def test_a_recognizer_says_that_c_cannot_be_chosen():
    corpus = corpus_of([{"a": 3, "b": 3}] * 2)
    recognizer = EmotionRecognizer(FunctionTransformer(lambda X: pytest.fail("extracted")))
    with pytest.raises(ValueError, match="fold 0: C of classifier='logistic' cannot be chosen"):
        recognizer.fit(corpus.X, corpus.y, corpus.groups)

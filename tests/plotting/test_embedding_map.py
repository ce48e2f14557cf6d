"""The map shows every clip twice, and the scores of other libraries."""

import sys
import warnings

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score, r2_score, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytest.importorskip("matplotlib")

from sklearn_ser.evaluation import speaker_interval
from sklearn_ser.plotting import EmbeddingMapDisplay

RNG = np.random.default_rng(0)
Y = np.tile(["anger", "fear", "neutral"], 40)
GROUPS = np.repeat([f"s{i}" for i in range(8)], 15)
SEX = np.where(np.isin(GROUPS, ["s0", "s1", "s2", "s3"]), "female", "male")
SECONDS = RNG.uniform(1, 3, 120)
X = RNG.normal(size=(120, 12)) * 10
X[:, 0] += 20 * (Y == "fear")
X[:, 1] += 20 * SECONDS


@pytest.fixture(scope="module")
def display():
    return EmbeddingMapDisplay.from_embeddings(X, Y, GROUPS, sex=SEX, durations=SECONDS)


def drawn(ax):
    return {c.get_label(): np.asarray(c.get_offsets()) for c in ax.collections}


def test_each_clip_is_drawn_where_pca_puts_it_on_both_maps(display):
    Z = StandardScaler().fit_transform(X)
    expected = PCA(2).fit_transform(Z)
    for ax, labels in zip(display.ax_, (Y, GROUPS), strict=True):
        clips = drawn(ax)
        assert list(clips) == [f"{name} ({np.sum(labels == name)})" for name in np.unique(labels)]
        for name in np.unique(labels):
            found = clips[f"{name} ({np.sum(labels == name)})"]
            np.testing.assert_allclose(np.abs(found), np.abs(expected[labels == name]), atol=1e-3)
    shares = PCA(2).fit(Z).explained_variance_ratio_
    assert display.ax_[0].get_xlabel() == f"principal component 1 ({shares[0]:.0%} of variance)"


def test_silhouettes_are_those_of_scikit_learn(display):
    Z = StandardScaler().fit_transform(X)
    for name, labels in (("emotion", Y), ("speaker", GROUPS), ("sex", SEX)):
        found = display.scores.loc[name, "silhouette"]
        assert found == pytest.approx(silhouette_score(Z, labels), abs=1e-5)
    assert np.isnan(display.scores.loc["duration", "silhouette"])


def test_probes_are_fitted_on_other_speakers_and_speakers_on_other_clips(display, monkeypatch):
    from sklearn_ser.audit import _probes

    folds = []
    predict = _probes._predict

    def noted(model, X, y, used):
        folds.append((model, y, used))
        return predict(model, X, y, used)

    monkeypatch.setattr(_probes, "_predict", noted)
    EmbeddingMapDisplay.from_embeddings(X, Y, GROUPS, sex=SEX, durations=SECONDS)
    assert len(folds) == len(display.scores)
    for name, (model, y, used) in zip(display.scores.index, folds, strict=True):
        predicted = np.empty_like(y)
        for train, test in used:
            assert not set(train) & set(test)
            if name == "speaker":
                assert set(GROUPS[train]) == set(GROUPS[test]) == set(GROUPS)
            else:
                assert not set(GROUPS[train]) & set(GROUPS[test])
            Model = Ridge if name == "duration" else RidgeClassifier
            assert type(model) is Model
            weights = {} if name == "duration" else {"class_weight": "balanced"}
            fitted = make_pipeline(StandardScaler(), Model(alpha=X.shape[1], **weights))
            predicted[test] = fitted.fit(X[train], y[train]).predict(X[test])
        assert sorted(np.concatenate([test for _, test in used])) == list(range(120))
        score = r2_score if name == "duration" else balanced_accuracy_score
        row = display.scores.loc[name]
        assert row["probe"] == pytest.approx(score(y, predicted))
        assert row["n_clips"] == 120
        if name == "emotion":
            assert (row["low"], row["high"]) == speaker_interval(y, predicted, GROUPS)
            assert row["chance"] == pytest.approx(1 / 3)
    assert display.scores.loc["duration", "probe"] > 0.3


def test_titles_and_caption_give_scores_and_numbers(display):
    emotion, speaker = (ax.get_title() for ax in display.ax_)
    scores = display.scores
    assert emotion.startswith(f"3 emotions: silhouette {scores['silhouette']['emotion']:z.2f}\n")
    assert f"linear probe UAR {scores['probe']['emotion']:.2f}" in emotion
    assert f"{scores['low']['emotion']:.2f} to {scores['high']['emotion']:.2f}" in emotion
    assert "chance 0.33" in emotion
    assert speaker.startswith("8 speakers: silhouette")
    assert "chance 0.12" in speaker
    caption = display.figure_.get_supxlabel()
    assert caption.startswith("n = 120 clips")
    assert f"sex: silhouette {scores['silhouette']['sex']:z.2f}" in caption
    assert f"duration: linear probe R² {scores['probe']['duration']:.2f}" in caption


def test_many_speakers_differ_in_colour_or_marker():
    positions, speakers = make_blobs(192, centers=96, random_state=0)
    names = np.array([f"speaker {i:02}" for i in speakers])
    shown = EmbeddingMapDisplay.from_embeddings(
        np.hstack([positions, positions**2]), np.tile(["a", "b"], 96), names
    )
    looks = {
        (tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes())
        for c in shown.ax_[1].collections
    }
    assert len(looks) == 96
    assert shown.ax_[1].get_legend() is None
    assert shown.ax_[1].get_title().startswith("96 speakers")
    few = {tuple(c.get_facecolor()[0]) for c in shown.ax_[0].collections}
    assert len(few) == 2


def test_nothing_is_cut_at_long_names():
    long = np.char.add(Y.astype("U60"), " " + 20 * "very ")
    shown = EmbeddingMapDisplay.from_embeddings(X, long, GROUPS, text=Y, sex=SEX)
    shown.figure_.draw_without_rendering()
    width, height = shown.figure_.bbox.size
    texts = [ax.title for ax in shown.ax_] + [ax.get_legend() for ax in shown.ax_]
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1
    boxes = [ax.title.get_window_extent() for ax in shown.ax_]
    assert boxes[0].x1 < boxes[1].x0


@pytest.mark.slow
def test_tsne_is_drawn_the_same_again():
    one, other = (
        EmbeddingMapDisplay.from_embeddings(X[:40], Y[:40], GROUPS[:40], method="tsne")
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.positions, other.positions)
    assert one.ax_[0].get_xlabel() == "t-SNE, dimension 1"


def test_umap_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        EmbeddingMapDisplay.from_embeddings(X, Y, GROUPS, method="umap")


def test_what_cannot_be_probed_is_said():
    one = EmbeddingMapDisplay.from_embeddings(X[:, :1], Y, ["s1"] * 120)
    assert "not probed" in one.ax_[0].get_title()
    assert "not probed" in one.ax_[1].get_title()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "lda"}, "method='lda'; it must be one of"),
        ({"y": Y[:-1]}, "y has 119"),
        ({"sex": SEX[:-1]}, "sex has 119"),
        ({"X": np.where(X > 30, np.nan, X)}, "contains NaN"),
        ({"X": np.zeros((120, 3))}, "all columns of X are constant"),
        ({"groups": [None, *GROUPS[1:]]}, "1 of 120 clips have no speaker"),
        ({"durations": [np.nan, *SECONDS[1:]]}, "contains NaN"),
    ],
)
def test_what_cannot_be_drawn_is_refused(given, message):
    given = {"X": X, "y": Y, "groups": GROUPS, **given}
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        EmbeddingMapDisplay.from_embeddings(**given)


def test_whole_numbers_are_predicted_as_numbers():
    """Of durations in whole seconds, predictions have fractions."""
    from sklearn_ser.audit import probe_values

    seconds = np.round(SECONDS * 3)
    as_floats = probe_values(X, seconds, GROUPS).score
    assert probe_values(X, seconds.astype(int), GROUPS).score == pytest.approx(as_floats)


def test_every_name_is_in_the_legend_as_it_is():
    """matplotlib leaves out labels that begin with "_", and reads "$" as mathematics."""
    named = np.array(["_anger", "$fear$", "neutral"])[np.unique(Y, return_inverse=True)[1]]
    ax = EmbeddingMapDisplay.from_embeddings(X, named, GROUPS).ax_[0]
    texts = [text.get_text().strip() for text in ax.get_legend().texts]
    assert texts == [r"\$fear\$ (40)", "_anger (40)", "neutral (40)"]

"""Training stops by speakers who were held out, and repeats to the bit."""

import pickle
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
import soundfile
import torch
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring

from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser.classifiers import (
    FineTunedClassifier,
    LayerWeightedClassifier,
    MLPHead,
    SequenceClassifier,
)
from sklearn_ser.classifiers._batches import ByLength, ReadAhead
from sklearn_ser.classifiers._callbacks import Net
from sklearn_ser.classifiers._training import hold_out_speakers, temperature_of
from sklearn_ser.datasets import make_emotional_speech

N_LAYERS = 5


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=6, n_sentences=2, random_state=0)


@pytest.fixture(scope="module")
def pooled(corpus):
    return SSLEmbedder("nano", layer="all", cache=None).fit_transform(corpus.X)


@pytest.fixture(scope="module")
def sequences(corpus):
    return SSLEmbedder("nano", layer="all", pooling=None, cache=None).fit_transform(corpus.X)


HEADS = [
    MLPHead(max_epochs=8, random_state=0),
    LayerWeightedClassifier(N_LAYERS, max_epochs=8, random_state=0),
    SequenceClassifier("attention", n_layers=N_LAYERS, max_epochs=8, random_state=0),
    SequenceClassifier("lstm", n_layers=N_LAYERS, learning_rate=5e-3, max_epochs=8, random_state=0),
]


@pytest.fixture(params=HEADS, ids=lambda head: getattr(head, "head", type(head).__name__))
def head(request):
    return clone(request.param)


@pytest.fixture
def X(head, pooled, sequences):
    return sequences if isinstance(head, SequenceClassifier) else pooled


@pytest.mark.one_in(3)
@pytest.mark.parametrize("max_epochs", [2, 300])
def test_it_warns_where_the_validation_loss_still_falls_at_the_end(head, X, corpus, max_epochs):
    head.set_params(max_epochs=max_epochs, patience=5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        head.fit(X, corpus.y, groups=corpus.groups)
    found = [w for w in caught if w.category is ConvergenceWarning]
    assert len(found) == (head.history_["valid_loss"].argmin() == max_epochs - 1)
    assert bool(found) is (max_epochs == 2)
    assert all("Set max_epochs higher" in str(w.message) for w in found)


@pytest.mark.one_in(3)
def test_it_learns_and_remembers_its_best_epoch(head, X, corpus):
    head.set_params(max_epochs=300, patience=5).fit(X, corpus.y, groups=corpus.groups)
    assert head.classes_.tolist() == sorted(set(corpus.y))
    assert head.score(X, corpus.y) > 0.6
    history = pd.DataFrame(head.history_)
    assert list(history) == ["epoch", "train_loss", "valid_loss", "valid_uar", "seconds"]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert head.n_epochs_ == history["epoch"][history["valid_loss"].idxmin()]
    assert len(history) == head.n_epochs_ + 5 < 300  # patience ran out
    chances = head.predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    np.testing.assert_array_equal(head.classes_[chances.argmax(axis=1)], head.predict(X))


def test_weights_kept_are_those_of_the_best_epoch(pooled, corpus):
    long = MLPHead(max_epochs=300, patience=5, random_state=0).fit(
        pooled, corpus.y, groups=corpus.groups
    )
    assert long.n_epochs_ < len(long.history_["epoch"])
    short = MLPHead(max_epochs=long.n_epochs_, random_state=0)
    short.fit(pooled, corpus.y, groups=corpus.groups)
    for name, values in short.weights_.items():
        np.testing.assert_array_equal(long.weights_[name], values)


def test_a_loss_that_is_hardly_lower_is_lower(pooled, corpus):
    """The epoch that is told is the one whose weights are kept."""
    told = []
    for max_epochs in (1, 3):
        head = MLPHead(learning_rate=1e-8, dropout=0, max_epochs=max_epochs, random_state=0)
        told.append(head.fit(pooled, corpus.y, groups=corpus.groups))
    first, last = told
    assert np.all(np.diff(last.history_["valid_loss"]) < 0)
    assert last.n_epochs_ == 3
    assert any((last.weights_[name] != values).any() for name, values in first.weights_.items())


class _Signal(KeyboardInterrupt):
    """What a command raises on SIGTERM."""


@pytest.mark.parametrize("place", ["forward", "on_epoch_end"])
def test_ctrl_c_is_not_the_end_of_training(head, X, corpus, place, monkeypatch):
    """skorch takes it for that: the network would be one that has hardly learned."""
    head.set_params(max_epochs=2)
    calls = []

    def interrupt(*given, **named):
        calls.append(given)
        if len(calls) == 2:
            raise _Signal
        return before(*given, **named)

    owner = Net if place == "forward" else EpochScoring
    name = "infer" if place == "forward" else "on_epoch_end"
    before = getattr(owner, name)
    monkeypatch.setattr(owner, name, interrupt)
    with pytest.raises(_Signal):
        head.fit(X, corpus.y, groups=corpus.groups)
    assert len(calls) == 2
    assert not hasattr(head, "weights_")


@pytest.mark.one_in(3)
def test_a_seed_repeats_training_to_the_bit(head, X, corpus):
    first = clone(head).fit(X, corpus.y, groups=corpus.groups)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    second = clone(head).fit(X, corpus.y, groups=corpus.groups)
    for name, values in first.weights_.items():
        np.testing.assert_array_equal(second.weights_[name], values)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert torch.equal(torch.get_rng_state(), state)  # the caller's own draws go on
    other = clone(head).set_params(random_state=1).fit(X, corpus.y, groups=corpus.groups)
    assert any((first.weights_[n] != other.weights_[n]).any() for n in first.weights_)


@pytest.mark.parametrize("rate", [1e-3, 4e-3])
@pytest.mark.parametrize("head", [HEADS[1], HEADS[2]], ids=["pooled", "sequences"], indirect=True)
def test_weights_of_layers_learn_at_ten_times_the_rate(head, X, corpus, rate):
    """Adam's first step is the learning rate, whatever the gradient."""
    one_step = {"max_epochs": 1, "batch_size": 1000, "learning_rate": rate}
    head.set_params(**one_step).fit(X, corpus.y, groups=corpus.groups)
    steps = np.abs(head.weights_["layers.logits"])  # which begin at zero
    np.testing.assert_allclose(steps, 10 * rate, rtol=1e-3)


def test_predictions_do_not_depend_on_the_batch(head, X, corpus):
    head.fit(X, corpus.y, groups=corpus.groups)
    together = head.decision_function(X)
    apart = np.concatenate([head.decision_function(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(apart, together, atol=1e-5)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_speakers_are_held_out_whole(corpus, fraction):
    codes = np.unique(corpus.y, return_inverse=True)[1]
    train, valid = hold_out_speakers(codes, corpus.groups, fraction, 0)
    assert sorted([*train, *valid]) == list(range(len(codes)))
    assert not set(corpus.groups[train]) & set(corpus.groups[valid])
    assert abs(len(set(corpus.groups[valid])) - max(1, 6 * fraction)) < 1
    assert set(codes[valid]) == set(codes)


def test_speakers_are_held_out_of_few_clips_too():
    codes, speakers = np.tile([0, 1, 2], 4), np.repeat(np.arange(6), 2)
    train, valid = hold_out_speakers(codes, speakers, 0.1, 0)
    assert len(train)
    assert len(valid)
    assert not set(speakers[train]) & set(speakers[valid])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_speakers", [3, 8])
def test_whoever_alone_speaks_an_emotion_is_trained_on(n_speakers, seed):
    speakers = np.repeat(np.arange(n_speakers), 6)
    codes = np.where(speakers == 0, 2, np.arange(len(speakers)) % 2)
    train, valid = hold_out_speakers(codes, speakers, 0.1, seed)
    assert set(codes[train]) == {0, 1, 2}
    assert len(valid)


@pytest.mark.parametrize("n_clips", [[300, 4, 4, 4, 4], [4, 30], [9, 9, 9, 40]], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_whoever_has_most_clips_is_trained_on(n_clips, seed):
    speakers = np.repeat(np.arange(len(n_clips)), n_clips)
    train, _ = hold_out_speakers(np.arange(len(speakers)) % 4, speakers, 0.1, seed)
    assert 2 * len(train) >= len(speakers)


def test_emotions_that_are_only_held_out_are_warned_of():
    """Of two speakers one is held out, and with her what only she speaks."""
    X = np.random.default_rng(0).standard_normal((24, 5))
    y = np.array(["anger", "joy"] * 6 + ["anger", "fear"] * 6)
    groups = np.repeat(["a", "b"], 12)
    with pytest.warns(UserWarning, match=r"1 of 3 emotions \((joy|fear)\) are not trained on"):
        MLPHead(max_epochs=30, patience=2, random_state=0).fit(X, y, groups=groups)


def test_clips_of_every_emotion_are_held_out_where_speakers_are_unknown():
    """Though a tenth of twelve clips is fewer than there are emotions."""
    codes = np.tile([0, 1, 2], 4)
    with pytest.warns(UserWarning, match="there are no speaker labels"):
        train, valid = hold_out_speakers(codes, None, 0.1, 0)
    assert sorted(codes[valid]) == [0, 1, 2]
    assert sorted([*train, *valid]) == list(range(12))


def test_unknown_speakers_are_warned_of(pooled, corpus):
    with pytest.warns(UserWarning, match="there are no speaker labels"):
        MLPHead(max_epochs=2, random_state=0).fit(pooled, corpus.y)
    with pytest.warns(UserWarning, match="there is one speaker, so that"):
        MLPHead(max_epochs=2, random_state=0).fit(pooled, corpus.y, groups=["a"] * len(corpus.y))


@pytest.fixture
def held_out(corpus):
    """Rows of the clips by which the heads, all of them with the same seed, stop training."""
    codes = np.unique(corpus.y, return_inverse=True)[1]
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    return hold_out_speakers(codes, corpus.groups, HEADS[0].validation_fraction, seed)[1]


def test_inputs_are_standardised_by_the_clips_that_are_trained_on(head, X, corpus, held_out):
    head.set_params(max_epochs=2).fit(X, corpus.y, groups=corpus.groups)
    train = np.setdiff1d(np.arange(len(X)), held_out)
    rows = np.concatenate([np.atleast_2d(X[i]) for i in train]).astype(np.float64)
    np.testing.assert_allclose(head.scaler_.mean_, rows.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(head.scaler_.scale_, rows.std(axis=0), rtol=1e-3)


def test_nothing_is_learnt_from_held_out_speakers_but_when_to_stop(head, X, corpus, held_out):
    """With one epoch there is nothing to stop: weights and scaling must be the same to the bit."""
    head.set_params(max_epochs=1).fit(X, corpus.y, groups=corpus.groups)
    others = X.copy()
    for i in held_out:
        others[i] = 100 - 1000 * X[i]
    again = clone(head).fit(others, corpus.y, groups=corpus.groups)
    assert again.history_["valid_loss"] != head.history_["valid_loss"]
    np.testing.assert_array_equal(again.scaler_.mean_, head.scaler_.mean_)
    np.testing.assert_array_equal(again.scaler_.scale_, head.scaler_.scale_)
    for name, values in head.weights_.items():
        np.testing.assert_array_equal(again.weights_[name], values)


def test_the_unit_of_a_feature_does_not_matter(head, X, corpus):
    """Hz or kHz, of this offset or that: by powers of two, which round nothing."""
    units = 2.0 ** np.random.default_rng(0).integers(-12, 12, np.atleast_2d(X[0]).shape[1])
    scaled = X.copy()
    for i in range(len(X)):
        scaled[i] = X[i] * units.astype(np.float32)
    head.set_params(max_epochs=3).fit(X, corpus.y, groups=corpus.groups)
    again = clone(head).fit(scaled, corpus.y, groups=corpus.groups)
    np.testing.assert_allclose(again.predict_proba(scaled), head.predict_proba(X), atol=1e-5)
    raw = clone(head).set_params(standardize=False).fit(X, corpus.y, groups=corpus.groups)
    assert not np.allclose(raw.predict_proba(X), head.predict_proba(X), atol=1e-3)


def test_a_constant_feature_is_not_blown_up(head, X, corpus):
    """Nor is one that varies by rounding to single precision, however far it is later."""
    rng = np.random.default_rng(0)
    changed = X.copy()
    for i in range(len(X)):
        rows = np.atleast_2d(X[i]).copy()
        rows[:, 0] = 7
        rows[:, 1] = 1000 + rng.integers(0, 2, len(rows)) * 2.0**-14
        changed[i] = rows.reshape(X[i].shape)
    head.set_params(max_epochs=1).fit(changed, corpus.y, groups=corpus.groups)
    assert head.scaler_.scale_[:2].tolist() == [1.0, 1.0]
    assert (head.scaler_.scale_[2:] != 1).all()


def test_speakers_may_be_a_column(pooled, corpus):
    frame = pd.DataFrame(pooled, columns=[f"x{i}" for i in range(pooled.shape[1])])
    frame["speaker"] = corpus.groups
    told = MLPHead(max_epochs=3, random_state=0).fit(pooled, corpus.y, groups=corpus.groups)
    column = MLPHead(max_epochs=3, random_state=0, speaker="speaker").fit(frame, corpus.y)
    np.testing.assert_array_equal(column.predict_proba(frame), told.predict_proba(pooled))
    head = make_pipeline(MLPHead(max_epochs=2, random_state=0, speaker="speaker"))
    scores = cross_val_score(head, frame, corpus.y, groups=corpus.groups, cv=GroupKFold(2))
    assert len(scores) == 2


def test_layers_are_counted_by_the_columns_names(corpus, pooled):
    embedder = SSLEmbedder("nano", layer="all", cache=None).set_output(transform="pandas")
    frame = embedder.fit_transform(corpus.X)
    named = LayerWeightedClassifier(max_epochs=3, random_state=0)
    named.fit(frame, corpus.y, groups=corpus.groups)
    given = LayerWeightedClassifier(N_LAYERS, max_epochs=3, random_state=0)
    given.fit(pooled, corpus.y, groups=corpus.groups)
    np.testing.assert_array_equal(named.predict_proba(frame), given.predict_proba(pooled))
    assert named.layer_weights_.shape == (N_LAYERS,)
    assert named.layer_weights_.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="set_output"):
        LayerWeightedClassifier().fit(pooled, corpus.y, groups=corpus.groups)
    with pytest.raises(ValueError, match="not 7 layers"):
        LayerWeightedClassifier(7).fit(pooled, corpus.y, groups=corpus.groups)


def test_the_layer_that_tells_gets_the_weight():
    """Only the second of three layers knows the class."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1, 2], 80)
    X = rng.normal(size=(240, 3, 8))
    X[np.arange(240), 1, y] += 4
    head = LayerWeightedClassifier(3, learning_rate=3e-3, random_state=0)
    head.fit(X.reshape(240, -1), y, groups=np.repeat(np.arange(8), 30))
    assert head.layer_weights_.argmax() == 1
    assert head.layer_weights_[1] > 0.5


def test_superb_is_a_preset():
    head = LayerWeightedClassifier.superb(13, random_state=0)
    assert (head.projection, head.dropout, head.standardize) == (256, 0.0, False)
    assert (head.learning_rate, head.class_weight, head.random_state) == (1e-4, None, 0)


def test_batches_read_ahead_are_those_of_a_plain_loader():
    rows = list(range(10))
    ahead = [batch.tolist() for batch in ReadAhead(rows, batch_size=3)]
    assert ahead == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert next(iter(ReadAhead(rows, batch_size=2))).tolist() == [0, 1]  # and nobody waits for more


def test_clips_of_a_batch_are_about_equally_long():
    lengths = np.random.default_rng(0).integers(20, 400, 331)
    order = ByLength(lengths, 32, torch.Generator().manual_seed(0))
    epochs = [np.array(list(order)) for _ in range(2)]
    again = ByLength(lengths, 32, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(list(again), epochs[0])
    assert (epochs[0] != epochs[1]).any()

    def n_padded(drawn):
        return sum(lengths[part].max() * len(part) for part in np.split(drawn, range(32, 331, 32)))

    for drawn in epochs:
        np.testing.assert_array_equal(np.sort(drawn), np.arange(331))
        assert n_padded(drawn) < 0.75 * n_padded(np.arange(331))
        longest = [lengths[part].max() for part in np.split(drawn, range(32, 331, 32))]
        assert longest != sorted(longest)  # an epoch does not go from short to long
    few = ByLength(lengths[:5], 32, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(np.sort(list(few)), np.arange(5))


def test_what_goes_wrong_ahead_is_raised_in_its_turn():
    class Broken(list):
        def __getitem__(self, i):
            if i == 4:
                raise OSError("no such clip")
            return super().__getitem__(i)

    batches = iter(ReadAhead(Broken(range(9)), batch_size=2))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(OSError, match="no such clip"):
        next(batches)


@pytest.mark.parametrize("cached", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_frames_may_be_read_from_the_store_while_training(corpus, sequences, tmp_path, cached):
    cache = str(tmp_path) if cached else None
    embedder = SSLEmbedder("nano", layer="all", pooling=None, cache=cache)
    head = SequenceClassifier("pepino", n_layers=N_LAYERS, max_epochs=3, random_state=0)
    memory = clone(head).fit(sequences, corpus.y, groups=corpus.groups)
    stored = clone(head).set_params(embedder=embedder)
    stored.fit(corpus.X, corpus.y, groups=corpus.groups)
    np.testing.assert_array_equal(stored.predict_proba(corpus.X), memory.predict_proba(sequences))
    frame = pd.DataFrame({"clip": corpus.X, "speaker": corpus.groups})
    column = clone(stored).set_params(speaker="speaker").fit(frame, corpus.y)
    np.testing.assert_array_equal(column.predict_proba(frame), stored.predict_proba(corpus.X))


@pytest.mark.parametrize("scale", [1e-6, 0.01, 10, 1e3, 1e6])
def test_calibration_makes_held_out_emotions_likeliest(scale):
    """Whatever the classifier's scores are in: those of SGDClassifier are in the hundred thousands.

    The temperature is what the scores were multiplied by, times that of the scores as they were.
    """
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 500)
    scores = rng.normal(size=(500, 3))
    scores[np.arange(500), y] += 1
    temperature = temperature_of(scale * scores, y)

    def loss(t):
        return -log_softmax(scale * scores / t, axis=1)[np.arange(500), y].mean()

    assert temperature == pytest.approx(scale * temperature_of(scores, y), rel=1e-4)

    assert loss(temperature) < min(loss(temperature * 1.05), loss(temperature / 1.05), loss(scale))


def test_temperature_divides_the_scores(pooled, corpus):
    plain = MLPHead(max_epochs=15, random_state=0).fit(pooled, corpus.y, groups=corpus.groups)
    assert plain.temperature_ == 1
    head = clone(plain).set_params(calibrate=True).fit(pooled, corpus.y, groups=corpus.groups)
    assert head.temperature_ != 1
    np.testing.assert_array_equal(head.predict(pooled), plain.predict(pooled))
    scores = head.decision_function(pooled) / head.temperature_
    np.testing.assert_allclose(np.log(head.predict_proba(pooled)), log_softmax(scores, axis=1))


def test_rare_emotions_count_as_much(pooled, corpus):
    few = np.flatnonzero((corpus.y != "anger") | (np.arange(len(corpus.y)) % 3 == 0))
    heads = [
        MLPHead(max_epochs=5, random_state=0, class_weight=weight).fit(
            pooled[few], corpus.y[few], groups=corpus.groups[few]
        )
        for weight in ("balanced", None)
    ]
    anger = [head.predict_proba(pooled[few])[:, 0].mean() for head in heads]
    assert anger[0] > anger[1]


@pytest.mark.parametrize("batch_size", [1, 7])
def test_weights_of_emotions_count_whatever_the_batch(pooled, corpus, batch_size):
    """A weighted mean over each batch would be that of clips alike where its clips are of one."""
    options = {"max_epochs": 10, "patience": 10, "dropout": 0.0, "random_state": 0}
    weights = dict.fromkeys(np.unique(corpus.y), 1e-4) | {"sadness": 1000}
    head = MLPHead(batch_size=batch_size, class_weight=weights, learning_rate=1e-2, **options)
    head.fit(pooled, corpus.y, groups=corpus.groups)
    assert set(head.predict(pooled)) == {"sadness"}


def test_losses_do_not_depend_on_batches(pooled, corpus):
    """Of weights that stay as they are, the losses of all batches add up to that of the clips."""
    y = np.where(np.arange(len(corpus.y)) % 4, "neutral", corpus.y)
    found = []
    for batch_size in (1, 7, 1000):
        head = MLPHead(batch_size=batch_size, learning_rate=1e-12, dropout=0, random_state=0)
        head.set_params(max_epochs=1).fit(pooled, y, groups=corpus.groups)
        found.append([head.history_["train_loss"][0], head.history_["valid_loss"][0]])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-5)


@pytest.mark.parametrize("weights", [{"anger": 0.0}, {"anger": -1.0}, {"anger": np.inf}], ids=str)
def test_weights_that_weigh_nothing_are_refused(pooled, corpus, weights):
    given = dict.fromkeys(np.unique(corpus.y), 0.0) | weights
    with pytest.raises(ValueError, match="finite and 0 or more"):
        MLPHead(class_weight=given).fit(pooled, corpus.y, groups=corpus.groups)


def test_heads_are_small_and_safe_to_keep(head, X, corpus):
    head.fit(X, corpus.y, groups=corpus.groups)
    again = pickle.loads(pickle.dumps(head))
    np.testing.assert_array_equal(again.predict(X), head.predict(X))
    dumped = skops.io.dumps(head)
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sklearn_ser.") for name in trusted), trusted
    loaded = skops.io.loads(dumped, trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(X), head.predict(X))


def test_in_a_search_beside_an_embedder(corpus):
    pipeline = make_pipeline(
        SSLEmbedder("nano", layer="all"), StandardScaler(), LayerWeightedClassifier(N_LAYERS)
    )
    pipeline.set_params(
        layerweightedclassifier__max_epochs=2, layerweightedclassifier__random_state=0
    )
    search = GridSearchCV(
        pipeline, {"layerweightedclassifier__dropout": [0.1, 0.5]}, cv=GroupKFold(2)
    )
    search.fit(
        corpus.X,
        corpus.y,
        groups=corpus.groups,
        layerweightedclassifier__groups=corpus.groups,
    )
    assert search.predict(corpus.X).shape == (48,)


def test_two_emotions(pooled, corpus):
    two = np.isin(corpus.y, ["anger", "sadness"])
    head = MLPHead(max_epochs=10, random_state=0)
    head.fit(pooled[two], corpus.y[two], groups=corpus.groups[two])
    scores = head.decision_function(pooled[two])
    assert scores.shape == (two.sum(),)
    np.testing.assert_array_equal(head.predict(pooled[two]) == "sadness", scores > 0)


def test_unusable_input_gets_one_clear_error(corpus, pooled, sequences):
    groups = corpus.groups
    with pytest.raises(ValueError, match="y has one class, anger"):
        MLPHead().fit(pooled, ["anger"] * 48, groups=groups)
    with pytest.raises(ValueError, match="X has 48, y has 47"):
        MLPHead().fit(pooled, corpus.y[1:], groups=groups)
    with pytest.raises(ValueError, match=r"clip 0: an array of shape .* pooling=None"):
        SequenceClassifier().fit(MFCCEmbedder().fit_transform(corpus.X), corpus.y, groups=groups)
    with pytest.raises(ValueError, match="not n_layers=7 layers"):
        SequenceClassifier(n_layers=7).fit(sequences, corpus.y, groups=groups)
    broken = sequences.copy()
    broken[3] = np.full((4, sequences[0].shape[1]), np.nan)
    with pytest.raises(ValueError, match="clip 3: its frames hold NaN"):
        SequenceClassifier().fit(broken, corpus.y, groups=groups)
    with pytest.raises(TypeError, match="needs X to be a frame of clips"):
        SequenceClassifier(embedder=MFCCEmbedder(pooling=None), speaker="speaker").fit(
            corpus.X, corpus.y
        )
    head = SequenceClassifier(max_epochs=1, random_state=0).fit(sequences, corpus.y, groups=groups)
    with pytest.raises(ValueError, match="clip 0: frames of shape"):
        head.predict(MFCCEmbedder(pooling=None).fit_transform(corpus.X))
    narrow = sequences.copy()
    narrow[30] = narrow[30][:, 1:]
    with pytest.raises(ValueError, match=r"clip 30: frames of shape .* got shape"):
        SequenceClassifier().fit(narrow, corpus.y, groups=groups)
    with pytest.raises(ValueError, match=r"clip 30: frames of shape .* got shape"):
        head.predict(narrow)


def test_missing_skorch_says_what_to_install(pooled, corpus, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "skorch"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sklearn-ser\[heads\]'"):
        MLPHead(random_state=0).fit(pooled, corpus.y, groups=corpus.groups)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_network_predicts_by_the_scaling_that_it_was_fitted_with(head, X, corpus, standardize):
    head.set_params(standardize=standardize, max_epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        head.fit(X, corpus.y, groups=corpus.groups)
    expected = head.predict_proba(X[:4])
    head.set_params(standardize=not standardize)
    np.testing.assert_array_equal(head.predict_proba(X[:4]), expected)


@pytest.mark.parametrize("speaker", [-1, "speaker"])
@pytest.mark.parametrize(
    "network",
    [
        SequenceClassifier(embedder=SSLEmbedder("nano", layer=1, pooling=None)),
        FineTunedClassifier("nano"),
    ],
    ids=lambda network: type(network).__name__,
)
def test_a_frame_without_the_speakers_loses_no_other_column(corpus, tmp_path, network, speaker):
    """The last column is the speaker in `fit`; to predict, it is where the segments end."""
    paths = [str(tmp_path / f"{i}.wav") for i in range(len(corpus.X))]
    for path, (waveform, rate) in zip(paths, corpus.X, strict=True):
        soundfile.write(path, waveform, rate, subtype="FLOAT")
    frame = pd.DataFrame({"path": paths, "start": 0.1, "end": 0.6, "speaker": corpus.groups})
    network = clone(network).set_params(speaker=speaker, random_state=0, max_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(frame, corpus.y)
    cut = [(x[round(0.1 * rate) : round(0.6 * rate)], rate) for x, rate in corpus.X[:3]]
    expected = network.predict_proba([*cut])
    for rows in (frame[:3], frame[:3].drop(columns="speaker")):
        np.testing.assert_allclose(network.predict_proba(rows), expected, atol=1e-4)

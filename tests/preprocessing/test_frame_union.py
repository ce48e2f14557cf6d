"""Frames of several embedders side by side, frame by frame at the same time."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser.classifiers import SequenceClassifier
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.preprocessing import FrameUnion
from sklearn_ser.preprocessing._frame_union import resample_frames


@pytest.mark.parametrize(("m", "n"), [(9, 4), (4, 9), (7, 7), (200, 99), (1, 5), (5, 1)])
def test_a_frame_is_the_mean_of_what_it_spans(m, n):
    frames = np.random.default_rng(0).normal(size=(m, 3)).astype(np.float32)
    desired = [frames[i * m // n : int(np.ceil((i + 1) * m / n))].mean(axis=0) for i in range(n)]
    found = resample_frames(frames, n)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, desired, rtol=1e-5, atol=1e-6)


def test_numbers_that_are_whole_or_missing_stay_apart():
    frames = np.array([[1], [2], [4], [4], [9]])
    np.testing.assert_allclose(resample_frames(frames, 2), [[7 / 3], [17 / 3]])
    frames = np.array([[1.0], [np.nan], [3.0], [5.0]])
    np.testing.assert_array_equal(resample_frames(frames, 2), [[np.nan], [4.0]])


def test_what_happens_at_one_time_stands_in_one_frame(speech):
    """A clip whose middle is loud is loud in the middle, for either embedder's frames."""
    waveform = 0.01 * speech(seconds=2.0)
    waveform[14000:18000] *= 80
    union = FrameUnion(
        [
            ("ssl", SSLEmbedder("nano", layer=0, pooling=None)),
            ("mfcc", MFCCEmbedder(n_mfcc=1, pooling=None)),
            ("egemaps", EGeMAPSEmbedder(level="lld", pooling=None)),
        ]
    )
    (frames,) = union.fit_transform([(waveform, 16000)])
    names = union.get_feature_names_out().tolist()
    assert len(names) == frames.shape[1]
    loudness = next(i for i, name in enumerate(names) if name.startswith("egemaps__Loudness"))
    energy = next(i for i, name in enumerate(names) if name.startswith("mfcc__"))
    middle = slice(int(0.46 * len(frames)), int(0.54 * len(frames)))
    for column in (loudness, energy):
        assert frames[middle, column].min() > np.median(frames[:, column])
        loud = frames[:, column] > (frames[:, column].min() + frames[:, column].max()) / 2
        assert abs(np.flatnonzero(loud).mean() / len(frames) - 0.5) < 0.03


@pytest.mark.slow
def test_learned_and_handcrafted_frames_train_one_head():
    corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    union = FrameUnion(
        [
            ("ssl", SSLEmbedder("nano", layer="all", pooling=None)),
            ("egemaps", EGeMAPSEmbedder(level="lld", pooling=None)),
        ]
    )
    head = SequenceClassifier("superb", n_layers=5, n_others=25, max_epochs=2, random_state=0)
    frames = union.fit_transform(corpus.X)
    fitted = clone(head).fit(frames, corpus.y, groups=corpus.groups)
    assert fitted.layer_weights_.shape == (5,)
    assert fitted.weights_["projection.weight"].shape == (256, 256 + 25)
    assert clone(head).set_params(embedder=union)._read_ahead
    forgetful = clone(union).set_params(egemaps__cache=None)
    assert not clone(head).set_params(embedder=forgetful)._read_ahead  # it would compute beside
    read = clone(head).set_params(embedder=union).fit(corpus.X, corpus.y, groups=corpus.groups)
    np.testing.assert_array_equal(read.predict_proba(corpus.X), fitted.predict_proba(frames))
    with pytest.raises(ValueError, match=r"not n_layers=5 layers.*and n_others=24 others"):
        clone(head).set_params(n_others=24).fit(frames, corpus.y, groups=corpus.groups)


def test_in_a_search(speech):
    X = [(speech(i), 16000) for i in range(8)]
    y, groups = np.tile(["anger", "sadness"], 4), np.repeat(list("abcd"), 2)
    union = FrameUnion(
        [("one", MFCCEmbedder(pooling=None)), ("other", MFCCEmbedder(hop_length=400, pooling=None))]
    )
    pipeline = Pipeline([("union", union), ("head", SequenceClassifier(max_epochs=1))])
    grid = {"union__other": ["drop", union.transformer_list[1][1]], "union__one__n_mfcc": [5, 13]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(2), error_score="raise")
    with pytest.warns(UserWarning, match="no speaker labels"):
        search.fit(X, y, groups=groups)
    assert search.predict(X).shape == (8,)


def test_pooled_features_are_refused_by_name(speech):
    union = FrameUnion([("mfcc", MFCCEmbedder(pooling=None)), ("pooled", MFCCEmbedder())])
    with pytest.raises(ValueError, match="pooled gave no sequences"):
        union.fit_transform([(speech(), 16000)])

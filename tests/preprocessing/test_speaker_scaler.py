"""What is left of a speaker's habit, and what unseen speakers are scaled by."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import MFCCEmbedder
from sklearn_ser._utils import find_speaker_column
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.preprocessing import SpeakerScaler


@pytest.fixture
def clips():
    """Return features, speakers and emotions: speakers differ in level and spread."""
    rng = np.random.default_rng(0)
    speakers = np.repeat(["a", "b", "c", "d"], 12)
    level, spread = {"a": 0, "b": 50, "c": -9, "d": 3}, {"a": 1, "b": 7, "c": 0.1, "d": 2}
    y = np.tile([0, 1], 24)
    X = rng.normal(size=(48, 3)) + y[:, None]
    X = X * [[spread[s]] for s in speakers] + [[level[s]] for s in speakers]
    return X, speakers, y


def with_speaker(X, speakers):
    return pd.DataFrame(X, columns=["f0", "level", "rate"]).assign(speaker=speakers)


def own(X, speakers):
    return np.concatenate([StandardScaler().fit_transform(X[speakers == s]) for s in "abcd"])


def test_each_speaker_is_standardised(clips):
    X, speakers, _ = clips
    scaled = SpeakerScaler("speaker").fit_transform(with_speaker(X, speakers))
    np.testing.assert_allclose(scaled, own(X, speakers), atol=1e-12)


@pytest.mark.parametrize("column", [0, -4, "speaker", 2])
def test_who_speaks_may_stand_in_any_column(clips, column):
    X, speakers, _ = clips
    position = 0 if column == "speaker" else column % 4
    frame = pd.DataFrame(X, columns=["x", "y", "z"])
    frame.insert(position, "speaker", speakers)
    scaler = SpeakerScaler(column).fit(frame)
    np.testing.assert_allclose(scaler.transform(frame), own(X, speakers), atol=1e-12)
    assert scaler.get_feature_names_out().tolist() == ["x", "y", "z"]
    assert scaler.n_features_in_ == 4


@pytest.mark.parametrize("kind", ["object", "number"])
def test_arrays(clips, kind):
    X, speakers, _ = clips
    who = speakers if kind == "object" else np.unique(speakers, return_inverse=True)[1]
    column = np.asarray(who, dtype=object if kind == "object" else float)[:, None]
    scaled = SpeakerScaler().fit_transform(np.hstack([X.astype(column.dtype), column]))
    np.testing.assert_allclose(scaled, own(X, speakers), atol=1e-12)
    assert scaled.dtype == np.float64


@pytest.mark.parametrize("unseen", ["own", "global"])
def test_unseen_speakers(clips, unseen):
    X, speakers, _ = clips
    frame, known = with_speaker(X, speakers), speakers != "d"
    scaler = SpeakerScaler("speaker", unseen=unseen).fit(frame[known])
    by_fit = StandardScaler().fit(X[known])
    expected = own(X, speakers)[~known] if unseen == "own" else by_fit.transform(X[~known])
    np.testing.assert_allclose(scaler.transform(frame[~known]), expected, atol=1e-12)
    # Those known are scaled as in fit, however few clips of theirs there are.
    one = frame[known].iloc[[3]]
    np.testing.assert_allclose(scaler.transform(one), own(X, speakers)[[3]], atol=1e-12)


def test_global_scaling_of_a_clip_does_not_hang_on_the_others(clips):
    X, speakers, _ = clips
    frame = with_speaker(X, speakers)
    scaler = SpeakerScaler("speaker", unseen="global").fit(frame[speakers != "d"])
    together = scaler.transform(frame)
    alone = np.concatenate([scaler.transform(frame.iloc[[i]]) for i in range(len(frame))])
    np.testing.assert_array_equal(together, alone)


def test_too_few_clips_of_an_unseen_speaker_fall_back_with_a_warning(clips):
    X, speakers, _ = clips
    frame, known = with_speaker(X, speakers), speakers != "d"
    scaler = SpeakerScaler("speaker").fit(frame[known])
    with pytest.warns(UserWarning, match=r"1 unseen speakers \(d\) have fewer than min_clips=5"):
        scaled = scaler.transform(frame[~known].iloc[:4])
    expected = StandardScaler().fit(X[known]).transform(X[~known][:4])
    np.testing.assert_allclose(scaled, expected, atol=1e-12)


def test_speakers_of_few_clips_are_scaled_by_all_in_fit_too(clips):
    X, speakers, _ = clips
    speakers = speakers.copy()
    speakers[0] = "e"
    with pytest.warns(UserWarning, match=r"1 of the speakers \(e\) have fewer than min_clips=5"):
        scaled = SpeakerScaler("speaker").fit_transform(with_speaker(X, speakers))
    np.testing.assert_allclose(scaled[0], StandardScaler().fit(X).transform(X[:1])[0], atol=1e-12)


def test_as_many_clips_as_min_clips_are_enough(clips):
    """In `fit` and, of unseen speakers, later: warnings are errors here."""
    X, speakers, _ = clips
    frame, known = with_speaker(X, speakers), np.isin(speakers, ["a", "b"])
    scaler = SpeakerScaler("speaker", min_clips=12).fit(frame[known])
    np.testing.assert_allclose(scaler.transform(frame), own(X, speakers), atol=1e-12)


def test_features_in_place_of_speakers_are_warned_of_and_not_wiped_out(clips):
    X, _, _ = clips
    with pytest.warns(UserWarning, match="if these are no speakers, set speaker"):
        scaled = SpeakerScaler().fit_transform(X)
    np.testing.assert_allclose(scaled, StandardScaler().fit_transform(X)[:, :-1])


def test_a_number_and_its_digits_are_one_speaker(clips):
    X, speakers, _ = clips
    numbers = np.unique(speakers, return_inverse=True)[1]
    fitted = SpeakerScaler(None, unseen="global").fit(X, speakers=numbers)
    for kind in (float, str, object):
        scaled = fitted.transform(X, speakers=numbers.astype(kind))
        np.testing.assert_allclose(scaled, own(X, speakers), atol=1e-12)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_speakers_are_refused(clips, missing):
    X, speakers, _ = clips
    frame = with_speaker(X, speakers).astype({"speaker": object})
    frame.loc[:2, "speaker"] = missing
    with pytest.raises(ValueError, match=r"3 of 48 clips have no speaker \(rows 0, 1, 2,"):
        SpeakerScaler("speaker").fit(frame)


def test_constant_features_are_centred_only(clips):
    X, speakers, _ = clips
    X[:, 1] = 0.1
    scaled = SpeakerScaler("speaker").fit_transform(with_speaker(X, speakers))
    np.testing.assert_allclose(scaled[:, 1], 0, atol=1e-12)
    centred = SpeakerScaler("speaker", with_std=False).fit_transform(with_speaker(X, speakers))
    np.testing.assert_allclose(centred[:12], X[:12] - X[:12].mean(axis=0), atol=1e-12)


def test_metadata_routing(clips):
    X, speakers, y = clips
    expected = SpeakerScaler().fit_transform(
        np.hstack([X.astype(object), speakers[:, None].astype(object)])
    )
    np.testing.assert_array_equal(SpeakerScaler(None).fit_transform(X, speakers=speakers), expected)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = SpeakerScaler(None).set_fit_request(speakers=True)
        scaler.set_transform_request(speakers=True)
        pipeline = make_pipeline(scaler, LogisticRegression()).fit(X, y, speakers=speakers)
        np.testing.assert_array_equal(
            pipeline.predict(X, speakers=speakers),
            LogisticRegression().fit(expected, y).predict(expected),
        )


def test_scorers_searches_and_predictions_over_folds_take_the_column(clips):
    X, speakers, y = clips
    frame = with_speaker(X, speakers)
    pipeline = make_pipeline(SpeakerScaler("speaker"), LogisticRegression())
    search = GridSearchCV(
        pipeline,
        {"speakerscaler__unseen": ["own", "global"]},
        scoring="balanced_accuracy",
        cv=GroupKFold(2),
    )
    search.fit(frame, y, groups=speakers)
    assert search.best_params_ == {"speakerscaler__unseen": "own"}
    predicted = cross_val_predict(pipeline, frame, y, groups=speakers, cv=GroupKFold(2))
    assert (predicted == y).mean() > 0.8


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_beside_an_embedder(output):
    corpus = make_emotional_speech(n_speakers=3, n_sentences=2, random_state=0)
    frame = pd.DataFrame({"clip": corpus.X, "speaker": corpus.groups})
    features = make_column_transformer(
        (MFCCEmbedder(n_mfcc=5), "clip"), ("passthrough", ["speaker"])
    ).set_output(transform=output)
    speaker = "speaker" if output == "pandas" else -1
    scaled = make_pipeline(features, SpeakerScaler(speaker)).fit_transform(frame)
    embedded = MFCCEmbedder(n_mfcc=5).fit_transform(corpus.X).astype(float)
    for who in set(corpus.groups):
        mine = corpus.groups == who
        np.testing.assert_allclose(
            scaled[mine], StandardScaler().fit_transform(embedded[mine]), atol=1e-9
        )


def test_skops_dumps_it(clips):
    X, speakers, _ = clips
    frame = with_speaker(X, speakers)
    scaler = SpeakerScaler("speaker").fit(frame)
    again = skops.io.loads(
        skops.io.dumps(scaler), trusted=["sklearn_ser.preprocessing._speaker_scaler.SpeakerScaler"]
    )
    np.testing.assert_array_equal(again.transform(frame), scaler.transform(frame))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"speaker": "who"}, "X has no columns called 'who'"),
        ({"speaker": 7}, "speaker=7 is no column of X"),
        ({"speaker": None}, "needs the speakers as metadata"),
        ({"min_clips": 1}, "min_clips"),
        ({"unseen": "self"}, "unseen"),
    ],
)
def test_unusable_arguments(clips, parameters, message):
    X, speakers, _ = clips
    with pytest.raises(ValueError, match=message):
        SpeakerScaler(**parameters).fit(with_speaker(X, speakers))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, ["speaker"]), r"no column of X beside features: X has 1 feature"),
        ((-4, 3, []), "speaker=-4 is no column of X"),
        (("who", 3, ["a__who", "b__who", "c"]), "2 columns called 'who'"),
    ],
)
def test_a_column_that_cannot_tell_speakers_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        find_speaker_column(*arguments)


def test_speakers_must_match_the_clips(clips):
    X, speakers, _ = clips
    with pytest.raises(ValueError, match=r"\(47,\) speakers do not match 48 clips"):
        SpeakerScaler(None).fit(X, speakers=speakers[1:])
    scaler = SpeakerScaler(None).fit(X, speakers=speakers)
    with pytest.raises(ValueError, match="if, and only if, to fit"):
        scaler.transform(X)

"""Labels and speakers, wherever they enter: whole, or refused with their rows."""

import json

import datasets as hf
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import soundfile
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut
from sklearn.utils import Bunch

from sklearn_ser import MFCCEmbedder
from sklearn_ser.audit import audit_pipeline, audit_split, diagnose, find_duplicates
from sklearn_ser.classifiers import (
    FineTunedClassifier,
    LayerWeightedClassifier,
    MLPHead,
    PretrainedEmotionClassifier,
    PretrainedEmotionRegressor,
    SequenceClassifier,
)
from sklearn_ser.datasets import (
    harmonize_labels,
    load_emobox,
    load_folder,
    load_huggingface,
    load_table,
    make_emotional_speech,
    pool_corpora,
)
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.evaluation import compare, compare_across, speaker_interval, uar_score
from sklearn_ser.exceptions import ClipError
from sklearn_ser.model_selection import (
    BalancedSpeakerKFold,
    LeaveOneCorpusOut,
    LeaveOneSentenceOut,
    LeaveOneSessionOut,
    LeaveOneSpeakerOut,
    RAVDESSSplit,
)
from sklearn_ser.plotting import EmbeddingMapDisplay
from sklearn_ser.preprocessing import AudioAugmenter, SpeakerScaler
from sklearn_ser.recognition import EmotionRecognizer, OutOfDomainDetector
from sklearn_ser.recognition._file import _corpus as of_card

RATE = 16000
N = 6
CLIPS = [(np.random.default_rng(i).normal(0, 0.1, RATE // 4), RATE) for i in range(N)]
X = np.random.default_rng(0).normal(size=(N, 3))
FRAMES = [np.random.default_rng(i).normal(size=(4, 3)) for i in range(N)]
EMOTIONS = ["anger", "sadness"] * 3
SPEAKERS = ["a", "a long name", "b", "c", "d", "e"]
MISSING = [None, float("nan"), pd.NA, "", "nan"]
MFCC = MFCCEmbedder(cache=None)


def whole(y=EMOTIONS, groups=SPEAKERS):
    return Bunch(name="mine", X=CLIPS, y=y, groups=groups)


def framed(groups, features=X):
    frame = pd.DataFrame(features, columns=["x", "y", "z"])
    return frame.assign(speaker=pd.Series(groups, dtype=object))


def clips_framed(groups):
    return pd.DataFrame({"clip": CLIPS, "speaker": pd.Series(groups, dtype=object)})


def splits(splitter, y=EMOTIONS, groups=SPEAKERS):
    return list(splitter.split(X, y, groups))


def frame_of(y=EMOTIONS, groups=SPEAKERS):
    objects = {
        name: pd.Series(list(v), dtype=object) for name, v in (("emotion", y), ("speaker", groups))
    }
    return pd.DataFrame({"path": [f"{i}.wav" for i in range(N)], **objects})


SEQUENCES = SequenceClassifier(embedder=MFCCEmbedder(pooling=None, cache=None), speaker="speaker")
# Where emotions and speakers enter that are of a corpus: emotions have names.
OF_CORPORA = {
    "as_corpus": lambda y, groups: as_corpus("mine", frame_of(y, groups), ""),
    "pool_corpora": lambda y, groups: pool_corpora({"mine": whole(y, groups), "other": whole()}),
    "compare": lambda y, groups: compare(whole(y, groups), [MFCC]),
    "compare(train)": lambda y, groups: compare(None, [MFCC], train=whole(y, groups), test=whole()),
    "compare(test)": lambda y, groups: compare(None, [MFCC], train=whole(), test=whole(y, groups)),
    "compare_across": lambda y, groups: compare_across(
        {"one": whole(y, groups), "two": whole()}, [MFCC]
    ),
    "audit_split": lambda y, groups: audit_split(whole(y, groups), audio=False),
    "audit_split(group5)": lambda y, groups: audit_split(whole(y, groups), "group5", audio=False),
    "audit_split(splitter)": lambda y, groups: audit_split(
        whole(y, groups), LeaveOneGroupOut(), audio=False
    ),
    "audit_split(frame)": lambda y, groups: audit_split(frame_of(y, groups), audio=False),
}
# And where they are targets of a classifier, which may be codes.
OF_CLASSIFIERS = {
    "MLPHead": lambda y, groups: MLPHead().fit(X, y, groups),
    "LayerWeightedClassifier": lambda y, groups: LayerWeightedClassifier(1).fit(X, y, groups),
    "MLPHead(speaker)": lambda y, groups: MLPHead(speaker="speaker").fit(framed(groups), y),
    "SequenceClassifier": lambda y, groups: SequenceClassifier().fit(FRAMES, y, groups),
    "SequenceClassifier(speaker)": lambda y, groups: SEQUENCES.fit(clips_framed(groups), y),
    "FineTunedClassifier": lambda y, groups: FineTunedClassifier(cache=None).fit(CLIPS, y, groups),
    "FineTunedClassifier(speaker)": lambda y, groups: FineTunedClassifier(
        speaker="speaker", cache=None
    ).fit(clips_framed(groups), y),
    "EmotionRecognizer": lambda y, groups: EmotionRecognizer(MFCC, "lda").fit(CLIPS, y, groups),
    "OutOfDomainDetector": lambda y, groups: OutOfDomainDetector([MFCC]).fit(CLIPS, y, groups),
    "BalancedSpeakerKFold": lambda y, groups: splits(BalancedSpeakerKFold(2), y, groups),
    "audit_pipeline": lambda y, groups: audit_pipeline(
        LogisticRegression(), X, y, cv=GroupKFold(2), groups=groups
    ),
    "speaker_interval": lambda y, groups: speaker_interval(y, EMOTIONS, groups),
    "diagnose": lambda y, groups: diagnose(X, y, groups),
    "EmbeddingMapDisplay": lambda y, groups: EmbeddingMapDisplay.from_embeddings(X, y, groups),
    "save_recognizer": lambda y, groups: of_card(whole(y, groups)),
}
LABELS_ONLY = {
    "harmonize_labels": lambda y: harmonize_labels(y),
    "uar_score": lambda y: uar_score(y, EMOTIONS),
    "uar_score(y_pred)": lambda y: uar_score(EMOTIONS, y),
    "speaker_interval(y_pred)": lambda y: speaker_interval(EMOTIONS, y, SPEAKERS),
    "AudioAugmenter": lambda y: AudioAugmenter("gain", balance=True).fit_resample(CLIPS, y),
    "audit_split(folds)": lambda y: audit_split(whole(y), [([0, 1, 2], [3, 4, 5])], audio=False),
}
SPEAKERS_ONLY = {
    "SpeakerScaler": lambda groups: SpeakerScaler("speaker").fit(framed(groups)),
    "SpeakerScaler(metadata)": lambda groups: SpeakerScaler(None).fit(X, speakers=groups),
    "SpeakerScaler.transform": lambda groups: (
        SpeakerScaler("speaker", min_clips=2).fit(framed(["a"] * N)).transform(framed(groups))
    ),
    "LeaveOneSpeakerOut": lambda groups: splits(LeaveOneSpeakerOut(), groups=groups),
    "LeaveOneSpeakerOut.get_n_splits": lambda groups: LeaveOneSpeakerOut().get_n_splits(
        groups=groups
    ),
    "RAVDESSSplit": lambda groups: splits(RAVDESSSplit(), groups=groups),
    "audit_pipeline(frame)": lambda groups: audit_pipeline(
        LogisticRegression(), X, EMOTIONS, cv=GroupKFold(2), groups=frame_of(groups=groups)
    ),
}
EVERYWHERE = {**OF_CORPORA, **OF_CLASSIFIERS}


def spoilt(values, value):
    return [*values[:1], value, *values[2:4], value, *values[5:]]


@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize("place", [*EVERYWHERE, *LABELS_ONLY])
def test_missing_labels_are_refused_with_their_rows(place, value):
    enter = LABELS_ONLY.get(place) or (lambda y: EVERYWHERE[place](y, SPEAKERS))
    with pytest.raises(ValueError, match=r"2 of 6 clips have no label \(rows 1, 4, counted from 0"):
        enter(spoilt(EMOTIONS, value))


@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize("place", [*EVERYWHERE, *SPEAKERS_ONLY])
def test_missing_speakers_are_refused_with_their_rows(place, value):
    enter = SPEAKERS_ONLY.get(place) or (lambda groups: EVERYWHERE[place](EMOTIONS, groups))
    with pytest.raises(ValueError, match=r"2 of 6 clips have no speaker \(rows 1, 4, counted from"):
        enter(spoilt(SPEAKERS, value))


@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize(
    ("splitter", "column"),
    [
        (LeaveOneSessionOut(), "session"),
        (LeaveOneSentenceOut(), "sentence"),
        (LeaveOneCorpusOut(), "corpus"),
    ],
)
def test_a_splitter_names_the_rows_without_what_it_splits_by(splitter, column, value):
    frame = pd.DataFrame({column: pd.Series(spoilt(SPEAKERS, value), dtype=object)})
    with pytest.raises(ValueError, match=rf"2 of 6 clips have no {column} \(rows 1, 4"):
        splits(splitter, groups=frame)


RATINGS = [0.1, 0.5, 3.5, 2.25, 1.5, 4.0]
SEVERAL = [["anger", "sadness"]] * N
TAKE_RATINGS = {p for p in [*EVERYWHERE, *LABELS_ONLY] if p.startswith("audit_split")}
TAKE_RATINGS |= {"compare"}
TAKE_RATINGS -= {"audit_split(frame)"}  # of which the column is of objects
PUT_TOGETHER = {"pool_corpora", "compare(train)", "compare(test)", "compare_across"}


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (RATINGS, "regression"),
        (SEVERAL, "6 of 6 clips have several values as label"),
        (np.array(SEVERAL), "6 of 6 clips have several values as label"),
    ],
    ids=["ratings", "several", "several in an array"],
)
# Of an estimator that audit_pipeline is given, which may be a regressor, y may be anything.
@pytest.mark.parametrize("place", [p for p in [*EVERYWHERE, *LABELS_ONLY] if p != "audit_pipeline"])
def test_ratings_and_several_emotions_are_no_labels(place, y, message):
    if message == "regression" and place in TAKE_RATINGS:
        return
    if message == "regression" and place in PUT_TOGETHER:  # and the other corpus has emotions
        message = r"holds ratings \(floats\), and y of \w+.* emotions"
    enter = LABELS_ONLY.get(place) or (lambda y: EVERYWHERE[place](y, SPEAKERS))
    with pytest.raises(ValueError, match=message):
        enter(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1] * 3, "6 of 6 clips have a number as label.*emotions' names"),
        (list(map(str, RATINGS)), "all 6 clips have a number as label.*regression"),
    ],
    ids=["codes", "ratings as text"],
)
@pytest.mark.parametrize("place", OF_CORPORA)
def test_codes_and_ratings_as_text_are_no_emotions_of_a_corpus(place, y, message):
    with pytest.raises(ValueError, match=message):
        OF_CORPORA[place](y, SPEAKERS)


@pytest.mark.parametrize(
    "place", [p for p in [*OF_CLASSIFIERS, *LABELS_ONLY] if p != "audit_pipeline"]
)
def test_ratings_as_text_are_no_labels(place):
    enter = LABELS_ONLY.get(place) or (lambda y: EVERYWHERE[place](y, SPEAKERS))
    with pytest.raises(ValueError, match=r"all 6 clips have a number as label.*regression"):
        enter(list(map(str, RATINGS)))


# A column of features may be SpeakerScaler's, which warns of speakers with few clips instead.
@pytest.mark.parametrize(
    "place",
    [
        p
        for p in [*EVERYWHERE, *SPEAKERS_ONLY]
        if p not in ("SpeakerScaler", "SpeakerScaler.transform")
    ],
)
@pytest.mark.parametrize("ratings", [RATINGS, list(map(str, RATINGS))], ids=["numbers", "text"])
def test_ratings_are_no_speakers(place, ratings):
    if place == "audit_pipeline":  # where groups may be anything that its splitter takes
        return
    enter = SPEAKERS_ONLY.get(place) or (lambda groups: EVERYWHERE[place](EMOTIONS, groups))
    with pytest.raises(ValueError, match="5 of 6 clips have a number that is not whole as speaker"):
        enter(ratings)


AGAIN = ["1", "1.0", 1, 1.0, "2.0", 2]  # two speakers
COUNTED = {
    "as_corpus": lambda groups: as_corpus("mine", frame_of(groups=groups), "").groups,
    "pool_corpora": lambda groups: pool_corpora({"mine": whole(groups=groups)}).groups,
    "LeaveOneSpeakerOut": lambda groups: splits(LeaveOneSpeakerOut(), groups=groups),
    "LeaveOneSessionOut": lambda groups: splits(LeaveOneSessionOut(), groups=groups),
    "SpeakerScaler": lambda groups: SpeakerScaler(None, min_clips=2).fit(X, None, groups).speakers_,
    "SpeakerScaler(column)": lambda groups: (
        SpeakerScaler("speaker", min_clips=2).fit(framed(groups)).speakers_
    ),
    "load_table": lambda groups: load_table(frame_of(groups=groups)).groups,
    "save_recognizer": lambda groups: range(of_card(whole(groups=groups))["n_speakers"]),
    "audit_split": lambda groups: (
        audit_split(whole(groups=groups), LeaveOneSpeakerOut(), audio=False).folds.index
    ),
}


@pytest.mark.parametrize("place", COUNTED)
def test_a_speaker_is_one_however_the_number_is_written(place):
    found = COUNTED[place](AGAIN)
    n_found = len({*found}) if isinstance(found, np.ndarray) else len(found)
    assert n_found == 2


@pytest.mark.parametrize("column", ["speaker", "session", "sentence"])
@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), (1, "1.0"), (1.0, "1"), (1, 1.0)])
def test_what_folds_share_is_found_however_the_number_is_written(column, one, other):
    frame = frame_of(groups=range(N)).assign(session=range(N), sentence=range(N))
    values = [str(value) for value in range(10, 10 + N)]
    frame[column] = pd.Series([one, *values[1:5], other], dtype=object)
    found = audit_split(frame, [([0, 1, 2], [3, 4, 5])], audio=False).folds
    assert found[f"shared_{column}s"].tolist() == [1]


class Given(BaseEstimator):
    """Gives features that were made before."""

    def __init__(self, features):
        self.features = features

    def fit_transform(self, X, y=None):
        return self.features


MASKED = np.ma.array(X, mask=np.arange(3 * N).reshape(N, 3) % 9 == 4)  # rows 1 and 4
OF_FEATURES = {
    "MLPHead": lambda X: MLPHead().fit(X, EMOTIONS, SPEAKERS),
    "MLPHead.predict": lambda X: (
        MLPHead(max_epochs=1, random_state=0).fit(X.data, EMOTIONS, SPEAKERS).predict(X)
    ),
    "LayerWeightedClassifier": lambda X: LayerWeightedClassifier(1).fit(X, EMOTIONS, SPEAKERS),
    "SpeakerScaler": lambda X: SpeakerScaler(None).fit(X, None, SPEAKERS),
    "SpeakerScaler(column)": lambda X: SpeakerScaler(0).fit(X),
    "SequenceClassifier": lambda X: SequenceClassifier().fit(
        np.ma.stack([X, X], axis=1), EMOTIONS, SPEAKERS
    ),
    "audit_pipeline": lambda X: audit_pipeline(LogisticRegression(), X, EMOTIONS, cv=KFold(2)),
    "compare": lambda X: compare(whole(), [Given(X)]),
}


# Each clip by itself, so that `on_error` says what becomes of it.
OF_CLIPS = {
    "MFCCEmbedder": lambda X: MFCCEmbedder(waveform_rate=RATE, cache=None).fit_transform(X),
    "FineTunedClassifier": lambda X: FineTunedClassifier(waveform_rate=RATE, cache=None).fit(
        X, EMOTIONS, SPEAKERS
    ),
    "AudioAugmenter": lambda X: AudioAugmenter("gain", waveform_rate=RATE).fit_resample(
        X, EMOTIONS
    ),
    "find_duplicates": lambda X: find_duplicates(X, waveform_rate=RATE),
}


@pytest.mark.parametrize("place", OF_FEATURES)
def test_masked_features_are_refused_with_their_rows(place):
    with pytest.raises(ValueError, match=r"2 of 6 rows have masked values \(rows 1, 4, counted"):
        OF_FEATURES[place](MASKED)


@pytest.mark.parametrize("place", OF_CLIPS)
def test_masked_waveforms_of_a_batch_are_refused_clip_by_clip(place):
    waveforms = np.stack([np.asarray(clip[0]) for clip in CLIPS])
    masked = np.ma.array(waveforms, mask=np.zeros(waveforms.shape, bool))
    masked[1, :7] = np.ma.masked
    with pytest.raises(
        ClipError, match=rf"clip 1 .*7 of its {waveforms.shape[1]} samples are mask"
    ):
        OF_CLIPS[place](masked)


def test_a_masked_path_is_no_clip():
    paths = np.ma.array(SPEAKERS, mask=np.arange(N) == 0, dtype=object)
    with pytest.raises(ClipError, match=r"clip 0 .*None"):
        MFCC.fit_transform(paths)


def test_masked_frames_and_waveforms_are_refused():
    frames = [*FRAMES[:2], np.ma.array(FRAMES[2], mask=FRAMES[2] > 0), *FRAMES[3:]]
    with pytest.raises(ValueError, match=r"clip 2: . of 4 rows have masked values"):
        SequenceClassifier().fit(frames, EMOTIONS, SPEAKERS)
    waveform = np.ma.array(CLIPS[0][0], mask=np.arange(RATE // 4) < 3)
    with pytest.raises(ClipError, match="3 of its 4000 samples are masked"):
        MFCC.fit_transform([(waveform, RATE)])
    with pytest.raises(ValueError, match="y: 2 of 6 rows have masked values"):
        PretrainedEmotionRegressor()._check_targets(np.ma.array(range(N), mask=MASKED.mask.any(1)))


@pytest.mark.parametrize("place", [*EVERYWHERE, *LABELS_ONLY, *SPEAKERS_ONLY])
@pytest.mark.parametrize("what", ["label", "speaker"])
def test_masked_labels_and_speakers_are_missing(place, what):
    def masked(values):
        return np.ma.array(values, mask=[False, True, False, False, True, False], dtype=object)

    if what == "label" and place not in SPEAKERS_ONLY:
        enter = LABELS_ONLY.get(place) or (lambda y: EVERYWHERE[place](y, SPEAKERS))
        values = masked(EMOTIONS)
    elif what == "speaker" and place not in LABELS_ONLY:
        enter = SPEAKERS_ONLY.get(place) or (lambda groups: EVERYWHERE[place](EMOTIONS, groups))
        values = masked(SPEAKERS)
    else:
        return
    with pytest.raises(ValueError, match=rf"2 of 6 clips have no {what} \(rows 1, 4, counted from"):
        enter(values)


# What is given as a corpus and is none.
NO_CORPORA = {
    "tuple": (CLIPS, EMOTIONS, SPEAKERS),
    "list": CLIPS,
    "frame": pd.DataFrame({"path": ["a.wav"], "speaker": ["a"]}),
    "path": "corpora/emodb",
    "dict without y": {"X": CLIPS, "groups": SPEAKERS},
    "number": 3,
}
TAKING_CORPORA = {
    "compare": lambda corpus: compare(corpus, [MFCC]),
    "compare(train)": lambda corpus: compare(None, [MFCC], train=corpus, test=whole()),
    "compare(test)": lambda corpus: compare(None, [MFCC], train=whole(), test=corpus),
    "compare_across": lambda corpus: compare_across({"one": whole(), "two": corpus}, [MFCC]),
    "pool_corpora": lambda corpus: pool_corpora({"one": whole(), "two": corpus}),
    "audit_split": lambda corpus: audit_split(corpus, audio=False),
    "save_recognizer": of_card,
}


@pytest.mark.parametrize("place", TAKING_CORPORA)
@pytest.mark.parametrize("kind", NO_CORPORA)
def test_what_is_no_corpus_is_told_what_a_corpus_is(place, kind):
    if (place, kind) == ("audit_split", "frame"):  # which may be one
        return
    got = type(NO_CORPORA[kind]).__name__
    with pytest.raises(TypeError, match=rf"a corpus is a Bunch or a dict with X .*; got a {got}"):
        TAKING_CORPORA[place](NO_CORPORA[kind])


@pytest.mark.parametrize("pool", [pool_corpora, lambda corpora: compare_across(corpora, [MFCC])])
@pytest.mark.parametrize(
    "corpora",
    [whole(), dict(whole()), [whole(), whole()], "emodb"],
    ids=["Bunch", "dict", "list", "str"],
)
def test_corpora_have_names(pool, corpora):
    with pytest.raises(TypeError, match="corpora must be a mapping of names to corpora"):
        pool(corpora)


@pytest.mark.parametrize("place", ["compare", "pool_corpora", "audit_split", "save_recognizer"])
def test_a_dict_is_a_corpus(place, speech_corpus):
    given = {name: speech_corpus[name] for name in ("name", "X", "y", "groups")}

    def found(corpus):
        if place == "compare":
            result = compare(corpus, [MFCC], classifier="lda", audit=False)
            return result.results["rows"][0]["uar"]
        if place == "pool_corpora":
            return pool_corpora({"one": corpus}).groups.tolist()
        if place == "audit_split":
            return audit_split(corpus, audio=False).folds.to_dict()
        return of_card(corpus)

    assert str(found(given)) == str(found(Bunch(**given)))


@pytest.mark.parametrize("corpus", [whole(), dict(whole())], ids=["Bunch", "dict"])
def test_a_corpus_is_no_collection_of_clips(corpus):
    with pytest.raises(TypeError, match=r"takes clips, not a corpus .*corpus\.X"):
        find_duplicates(corpus)
    with pytest.raises(ValueError, match=r"X is a corpus. Pass its clips, corpus\.X"):
        MFCC.fit_transform(corpus)


@pytest.mark.parametrize(
    "y", [[0, 1] * 3, [0.0, 1.0] * 3, [True, False] * 3, ["0", "1"] * 3], ids=repr
)
def test_codes_are_classes_of_a_classifier(y):
    head = MLPHead(max_epochs=1, random_state=0).fit(X, y, SPEAKERS)
    assert head.classes_.tolist() == sorted(set(y))
    assert head.classes_.dtype == np.array(y).dtype


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_speakers_need_not_be_known_to_predict(value):
    head = MLPHead(speaker="speaker", max_epochs=1, random_state=0).fit(framed(SPEAKERS), EMOTIONS)
    predicted = head.predict(framed(spoilt(SPEAKERS, value)))
    assert predicted.tolist() == head.predict(framed(SPEAKERS)).tolist()


def test_text_and_numbers_are_not_mixed():
    with pytest.raises(ValueError, match="some labels are text, others are numbers"):
        MLPHead().fit(X, ["a", 1] * 3, SPEAKERS)


@pytest.mark.parametrize("place", ["pool_corpora", "compare", "compare(train)", "audit_split"])
@pytest.mark.parametrize(("n_y", "n_groups"), [(5, 6), (6, 5)])
def test_emotions_and_speakers_must_be_as_many_as_clips(place, n_y, n_groups):
    message = f"X has 6, y has {n_y}, groups has {n_groups} rows"
    with pytest.raises(ValueError, match=message):
        OF_CORPORA[place](EMOTIONS[:n_y], SPEAKERS[:n_groups])


CONTAINERS = {
    "list": list,
    "objects": lambda names: np.array(names, dtype=object),
    "StringDType": lambda names: np.array(names, dtype=np.dtypes.StringDType()),
    "Series": lambda names: pd.Series(names, index=range(50, 50 + len(names))),
    "categories": lambda names: pd.Series(names, dtype="category"),
    "pyarrow Series": lambda names: pd.Series(names, dtype="string[pyarrow]"),
    "polars": pl.Series,
    "pyarrow": pa.array,
}
LONG = [f"a name that is {'very ' * 20}long", "b"]


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_names_stay_as_long_as_they_are(container):
    names = [*LONG * 3]
    groups = [f"{name} {i}" for i, name in enumerate(names)]
    y, groups_given = container(names), container(groups)
    pooled = pool_corpora({"one": whole(y, groups_given)}, scheme=None)
    assert pooled.y.tolist() == names
    assert pooled.groups.tolist() == [f"one/{speaker}" for speaker in groups]
    head = MLPHead(max_epochs=1, random_state=0).fit(X, y, groups_given)
    assert head.classes_.tolist() == sorted(LONG)
    assert set(head.predict(X).tolist()) <= set(LONG)
    shared = audit_split(whole(y, groups_given), [([0, 1], [2, 3])], audio=False).folds
    assert shared["shared_speakers"].tolist() == [0]
    scaler = SpeakerScaler(None, min_clips=2)
    with pytest.warns(UserWarning, match="6 of the speakers"):
        assert scaler.fit(X, speakers=groups_given).speakers_.tolist() == sorted(groups)
    assert len(splits(LeaveOneSpeakerOut(), groups=groups_given)) == N


@pytest.fixture(scope="module")
def speech_corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)


def test_a_comparison_does_not_depend_on_what_holds_the_labels(speech_corpus):
    def compared(hold):
        changed = Bunch(**speech_corpus)
        changed.y, changed.groups = (hold(v.tolist()) for v in (changed.y, changed.groups))
        found = compare(changed, [MFCC], classifier="lda", audit=False)
        return found.results["rows"][0]["uar"], found.results["rows"][0]["uar_ci"]

    expected = compared(np.array)
    assert all(compared(hold) == expected for hold in CONTAINERS.values())


def test_pooled_sessions_and_sentences_that_are_unknown_stay_missing(speech_corpus):
    values = pd.Series(["s1", None, float("nan"), ""] * 4, dtype=object)
    frame = speech_corpus.frame.assign(session=values, sentence=values)
    pooled = pool_corpora({"one": Bunch(**{**speech_corpus, "frame": frame})})
    for column in ("session", "sentence"):
        assert pooled.frame[column].isna().tolist() == [False, True, True, True] * 4
        assert pooled.frame[column].dropna().unique().tolist() == ["one/s1"]


@pytest.mark.parametrize("value", MISSING, ids=repr)
@pytest.mark.parametrize("column", ["speaker", "session", "sentence"])
def test_what_is_missing_is_not_shared_by_folds(column, value):
    frame = frame_of().assign(session=SPEAKERS, sentence=SPEAKERS)
    frame[column] = pd.Series(spoilt(SPEAKERS, value), dtype=object)
    folds = [([0, 1, 2], [3, 4, 5])]
    shared = audit_split(frame, folds, audio=False).folds
    assert shared[f"shared_{column}s"].isna().all()
    frame.loc[5, column] = "a"
    shared = audit_split(frame, folds, audio=False).folds
    assert shared[f"shared_{column}s"].tolist() == [1]
    if column == "speaker":  # a splitter that needs no speakers runs all the same
        assert len(audit_split(frame, KFold(2), audio=False).folds) == 2


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_frame_without_any_speaker_is_of_unknown_speakers(value):
    corpus = as_corpus("mine", frame_of(groups=[value] * N), "")
    assert corpus.groups is None
    assert "unknown speakers" in corpus.DESCR
    assert audit_split(corpus, [([0], [1])], audio=False).speaker_independent is None


# What has no emotion gets none.
SILENT = (np.zeros(RATE), RATE)


def test_a_clip_that_cannot_be_used_has_no_emotion(speech_corpus):
    recognizer = EmotionRecognizer(
        MFCCEmbedder(on_error="nan", cache=None),
        "lda",
        detector=OutOfDomainDetector([MFCCEmbedder(on_error="nan", cache=None)]),
    ).fit(speech_corpus.X, speech_corpus.y, speech_corpus.groups)
    frames = MFCCEmbedder(pooling=None, on_error="nan", cache=None)
    head = SequenceClassifier(embedder=frames, max_epochs=1, random_state=0)
    head.fit(speech_corpus.X, speech_corpus.y, speech_corpus.groups)
    clips = [speech_corpus.X[0], SILENT, speech_corpus.X[5], SILENT]
    for fitted in (recognizer, head):
        found = np.isnan(fitted.predict_proba(clips))
        assert found.all(axis=1).tolist() == found.any(axis=1).tolist() == [False, True] * 2
        with pytest.raises(ValueError, match=r"2 of 4 clips cannot be used.*rows 1, 3"):
            fitted.predict(clips)
        np.testing.assert_array_equal(
            fitted.predict(clips[::2]),
            fitted.classes_[fitted.predict_proba(clips[::2]).argmax(axis=1)],
        )
    rows = recognizer.recognize(clips, abstain=None)
    assert rows["emotion"].isna().tolist() == [False, True] * 2
    assert rows["note"].str.contains("silent").tolist() == [False, True] * 2


@pytest.mark.parametrize("row", range(0, 16, 5))
def test_nothing_is_learnt_from_frames_that_are_nan(speech_corpus, row):
    clips = [*speech_corpus.X[:row], SILENT, *speech_corpus.X[row + 1 :]]
    frames = MFCCEmbedder(pooling=None, on_error="nan", cache=None)
    head = SequenceClassifier(embedder=frames, max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match=f"clip {row}: its frames hold NaN"):
        head.fit(clips, speech_corpus.y, speech_corpus.groups)


def test_a_network_that_diverged_has_no_emotions():
    with pytest.raises(ValueError, match="training diverged: after 3 epochs"):
        MLPHead(learning_rate=1e30, max_epochs=3, random_state=0).fit(X, EMOTIONS, SPEAKERS)


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_a_pretrained_model_refuses_missing_labels_and_names(monkeypatch, value):
    monkeypatch.setattr(PretrainedEmotionClassifier, "_outputs", lambda self: ["anger", "sadness"])
    with pytest.raises(ValueError, match=r"2 of 6 clips have no label \(rows 1, 4"):
        PretrainedEmotionClassifier().fit(CLIPS, spoilt(EMOTIONS, value))
    with pytest.raises(ValueError, match=r"label_map gives no name to \['anger'\]"):
        PretrainedEmotionClassifier(label_map={"anger": value}).fit(CLIPS)


# Hugging Face's datasets, with the same kinds.
NAMED = hf.ClassLabel(names=["angry", "sad"])


@pytest.fixture
def dataset(tmp_path):
    """Return a function that makes a dataset of three clips with more columns."""
    paths = [str(tmp_path / f"{i}.wav") for i in range(3)]
    for path, (waveform, rate) in zip(paths, CLIPS, strict=False):
        soundfile.write(path, waveform, rate)

    def make(audio=paths, features=None, **columns):
        features = {"audio": hf.Audio(), **(features or {})}
        made = hf.Dataset.from_dict({"audio": audio, **columns})
        return made.cast(hf.Features({**made.features, **features}))

    return make


@pytest.mark.parametrize(
    ("labels", "feature", "message"),
    [
        ([0, -1, 1], NAMED, r"1 of 3 clips have no label \(row 1,"),
        ([0, None, None], NAMED, r"2 of 3 clips have no label \(rows 1, 2,"),
        (["sad", None, ""], hf.Value("string"), r"2 of 3 clips have no label \(rows 1, 2,"),
        ([0.5, None, 1.0], hf.Value("float32"), r"1 of 3 clips have no (label|rating) \(row 1"),
        ([0, 1, 1], hf.Value("int64"), "3 of 3 clips have a number as label.*emotions' names"),
        ([[0], [0, 1], [1]], hf.List(NAMED), "3 of 3 clips have several values as label"),
    ],
    ids=repr,
)
def test_what_is_no_label_of_a_dataset(dataset, labels, feature, message):
    with pytest.raises(ValueError, match=message):
        load_huggingface(dataset(label=labels, features={"label": feature}))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_floats_of_a_dataset_are_ratings(dataset, kind):
    made = dataset(arousal=[0.5, 0.25, 1.0], features={"arousal": hf.Value(kind)})
    corpus = load_huggingface(made, emotion="arousal")
    assert corpus.y.dtype == float
    assert corpus.y.tolist() == corpus.frame["emotion"].tolist() == [0.5, 0.25, 1.0]
    assert corpus.rating == "arousal"


def test_codes_without_a_name_are_no_labels():
    from sklearn_ser.datasets._huggingface import _named

    made = Bunch(label=[0, -1, 1, None, 2, -3], features={"label": NAMED})
    assert _named(made, "label") == ["angry", None, "sad", None, None, None]


def test_speakers_of_a_dataset(dataset):
    people = hf.ClassLabel(names=["anna", "a long name"])
    columns = {"label": ["sad"] * 3, "who": [0, -1, 1], "features": {"who": people}}
    with pytest.raises(ValueError, match=r"1 of 3 clips have no speaker \(row 1,"):
        load_huggingface(dataset(**columns), speaker="who")
    columns["who"] = [0, 1, 1]
    corpus = load_huggingface(dataset(**columns, speaker=["x"] * 3), speaker="who")
    assert corpus.groups.tolist() == ["anna", "a long name", "a long name"]
    with pytest.raises(ValueError, match=r"2 of 3 clips have no speaker \(rows 0, 2,"):
        load_huggingface(dataset(label=["sad"] * 3, who=[None, 7, None]), speaker="who")
    assert load_huggingface(dataset(label=["sad"] * 3, speaker=["x", None, "y"])).groups is None


def test_datasets_of_splits_and_clips_without_audio(dataset):
    made = dataset(label=["sad"] * 3)
    with pytest.raises(ValueError, match=r"splits \['train', 'test'\]: choose one.*\['train'\]"):
        load_huggingface(hf.DatasetDict({"train": made, "test": made}))
    with pytest.raises(ValueError, match="streaming=True"):
        load_huggingface(made.to_iterable_dataset())
    path = load_huggingface(made).X[0]["path"]
    with pytest.raises(ValueError, match=r"2 of 3 clips have no audio \(rows 0, 2,"):
        load_huggingface(dataset(audio=[None, path, None], label=["sad"] * 3))


# Unicode: file names of a Mac are decomposed.
ANGER, JUERGEN = "A\u0308rger", "Ju\u0308rgen"


def test_decomposed_labels_are_their_composed_ones(dataset, tmp_path):
    assert harmonize_labels([ANGER, "\u00c4rger"]).tolist() == ["anger"] * 2
    corpus = load_huggingface(dataset(label=[ANGER, "\u00c4rger", "wut"]))
    assert corpus.y.tolist() == ["anger"] * 3
    for emotion in (ANGER, "traurig"):
        path = tmp_path / "corpus" / emotion / f"{JUERGEN}_1.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, *CLIPS[0])
    for pattern in ("^(J\u00fcrgen)_", f"^({JUERGEN})_"):
        corpus = load_folder(tmp_path / "corpus", speaker=pattern)
        assert corpus.y.tolist() == ["\u00c4rger", "traurig"]
        assert corpus.groups.tolist() == ["J\u00fcrgen"] * 2


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([ANGER, "\u00c4rger"], ["anger"] * 2),
        ([3, "3"], ["sadness"] * 2),
        ([0.5, 1.5], "2 of 2 clips have a number as label"),
        (["sad", 7], r"1 of 2 clips have a number as label .row 1"),
        (["sad", ""], r"1 of 2 clips have no label .row 1"),
        (["sad", ["sad", "happy"]], r"1 of 2 clips have several values as label .row 1"),
    ],
    ids=repr,
)
def test_codes_of_emobox(tmp_path, codes, expected):
    place = tmp_path / "data" / "mine" / "fold_1"
    place.mkdir(parents=True)
    place.with_name("label_map.json").write_text('{"3": "Sad"}')
    for split, code in zip(("train", "test"), codes, strict=True):
        line = json.dumps({"key": split, "wav": f"{split}.wav", "emo": code})
        (place / f"mine_{split}_fold_1.jsonl").write_text(line)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            load_emobox(tmp_path, "mine")
    else:
        corpus = load_emobox(tmp_path, "mine", speaker=r"/(train)?(test)?\.")
        assert corpus.y.tolist() == expected
        assert corpus.groups.tolist() == ["train", "test"]

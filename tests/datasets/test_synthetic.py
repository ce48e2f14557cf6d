import librosa
import numpy as np
import opensmile
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser.datasets import make_emotional_speech

ALL = ("anger", "happiness", "neutral", "sadness", "fear", "disgust", "boredom")


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(random_state=0)


@pytest.fixture(scope="module")
def rules():
    """Return acoustic measures by openSMILE of all emotions, averaged over sentences."""
    corpus = make_emotional_speech(6, 2, ALL, random_state=0)
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors
    )
    measures = []
    for waveform, rate in corpus.X:
        descriptors = smile.process_signal(waveform, rate)
        f0 = descriptors["F0semitoneFrom27.5Hz_sma3nz"]
        voiced = descriptors[f0 > 0]
        measures.append(
            {
                "f0": f0[f0 > 0].median(),
                "f0_range": np.subtract(*np.percentile(f0[f0 > 0], [90, 10])),
                "seconds": len(waveform) / rate,
                "level": 20 * np.log10(np.sqrt(np.mean(waveform**2))),
                "tilt": voiced["hammarbergIndex_sma3"].mean(),
                "jitter": voiced["jitterLocal_sma3nz"].mean(),
            }
        )
    frame = corpus.frame.assign(**{k: [m[k] for m in measures] for k in measures[0]})
    return frame.groupby(["emotion", "speaker"])[list(measures[0])].mean()


def features(corpus):
    rows = []
    for waveform, rate in corpus.X:
        mfcc = librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=40)
        rows.append(np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)]))
    return np.array(rows)


def test_one_clip_for_every_combination():
    corpus = make_emotional_speech(3, 2, ("fear", "boredom"), n_repetitions=2, random_state=0)
    frame = corpus.frame
    assert len(corpus.X) == len(corpus.y) == len(corpus.groups) == len(frame) == 24
    assert not frame.duplicated(["speaker", "sentence", "emotion", "repetition"]).any()
    assert frame["clip"].is_unique
    counts = {"speaker": 3, "sentence": 2, "emotion": 2, "repetition": 2}
    assert frame.nunique()[list(counts)].to_dict() == counts
    assert corpus.y.tolist() == frame["emotion"].tolist()
    assert corpus.groups.tolist() == frame["speaker"].tolist()
    assert corpus.y.dtype.kind == corpus.groups.dtype.kind == "U"
    assert frame.groupby("speaker")["sex"].unique().str.len().eq(1).all()
    assert "24 clips" in corpus.DESCR
    assert "nothing about real speech" in corpus.DESCR


def test_clips_are_audible_unclipped_float32_of_a_few_seconds(corpus):
    for waveform, rate in corpus.X:
        assert waveform.dtype == np.float32
        assert waveform.ndim == 1
        assert rate == 16000
        assert 1.2 < len(waveform) / rate < 3.5
        assert 0.02 < np.abs(waveform).max() < 0.995
        assert np.sqrt(np.mean(waveform**2)) > 0.002
        assert abs(waveform.mean()) < 1e-3


def test_same_seed_same_clips():
    first, again, other = (make_emotional_speech(2, 2, random_state=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first.X, again.X, strict=True))
    assert not any(np.array_equal(a, b) for (a, _), (b, _) in zip(first.X, other.X, strict=True))


def test_generator_state_advances():
    state = np.random.RandomState(0)
    first, second = (make_emotional_speech(1, 1, ["anger"], random_state=state) for _ in range(2))
    assert not np.array_equal(first.X[0][0], second.X[0][0])


def test_clip_depends_only_on_its_own_indexes(corpus):
    clips = dict(zip(corpus.frame["clip"], corpus.X, strict=True))
    fewer = make_emotional_speech(2, 3, ["sadness", "anger"], random_state=0)
    more = make_emotional_speech(1, 1, ALL, n_repetitions=2, random_state=0)
    shared = [
        (name, waveform)
        for part in (fewer, more)
        for name, (waveform, _) in zip(part.frame["clip"], part.X, strict=True)
        if name in clips
    ]
    assert len(shared) == 12 + 4
    for name, waveform in shared:
        np.testing.assert_array_equal(waveform, clips[name][0])


def test_repetitions_differ():
    corpus = make_emotional_speech(1, 1, ["neutral"], n_repetitions=3, random_state=0)
    assert len({waveform.tobytes() for waveform, _ in corpus.X}) == 3


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_rate_resamples_the_same_clip(rate):
    kwargs = {"n_speakers": 1, "n_sentences": 1, "emotions": ["neutral"], "random_state": 0}
    (reference, base), (waveform, got) = (
        make_emotional_speech(**kwargs, rate=r).X[0] for r in (16000, rate)
    )
    assert got == rate
    assert waveform.dtype == np.float32
    assert len(waveform) / rate == pytest.approx(len(reference) / base, abs=2 / rate)
    bands = [np.abs(np.fft.rfft(w)) / len(w) for w in (reference, waveform)]
    below_3_khz = int(3000 * len(reference) / base)
    low = [band[:below_3_khz] for band in bands]
    assert np.corrcoef(low)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("emotions", "quoted"), [(["anger", "envy"], "envy"), ([], r"\[\]"), (["fear"] * 2, "fear")]
)
def test_wrong_emotions_list_the_known_ones(emotions, quoted):
    with pytest.raises(ValueError, match=rf"{quoted}.*anger, happiness, neutral, sadness, fear"):
        make_emotional_speech(emotions=emotions)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_speakers": 0},
        {"n_sentences": 1.5},
        {"n_repetitions": 0},
        {"rate": 100},
        {"emotions": "anger"},
        {"random_state": "seed"},
    ],
)
def test_parameters_are_validated(wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
        make_emotional_speech(**wrong)


@pytest.mark.parametrize(
    ("measure", "more", "less"),
    [
        ("f0", "anger", "sadness"),
        ("f0", "happiness", "neutral"),
        ("f0", "fear", "neutral"),
        ("f0_range", "happiness", "boredom"),
        ("f0_range", "anger", "sadness"),
        ("seconds", "sadness", "anger"),
        ("seconds", "disgust", "fear"),
        ("level", "anger", "sadness"),
        ("level", "happiness", "neutral"),
        ("tilt", "sadness", "anger"),  # Hammarberg index: low over high frequencies
        ("jitter", "anger", "neutral"),
    ],
)
def test_prosody_follows_the_rules(rules, measure, more, less):
    difference = rules.loc[more, measure] - rules.loc[less, measure]
    assert (difference > 0).sum() >= 5, difference
    assert difference.mean() > 0.5 * difference.std()


def test_anger_is_higher_and_louder_than_sadness_for_every_speaker(corpus):
    told = corpus.frame.reset_index(drop=True)
    told = told[told["emotion"].isin(["anger", "sadness"])]
    told = told.groupby(["emotion", "speaker"]).head(3)
    clips = [corpus.X[i] for i in told.index]
    frame = told.assign(
        f0=[
            np.median(librosa.yin(waveform, fmin=60, fmax=600, sr=rate, frame_length=1024))
            for waveform, rate in clips
        ],
        level=[np.sqrt(np.mean(waveform**2)) for waveform, _ in clips],
    )
    mean = frame.groupby(["emotion", "speaker"])[["f0", "level"]].mean()
    assert (mean.loc["anger"] > mean.loc["sadness"]).all(axis=None)


def test_pauses_are_quieter_than_speech(corpus):
    for waveform, rate in corpus.X:
        level = librosa.feature.rms(y=waveform, frame_length=512, hop_length=256)[0]
        assert level.max() > 10 * np.quantile(level, 0.02), rate


def test_new_speakers_are_harder_than_known_ones(corpus):
    X = features(corpus)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    splits = {
        "grouped": GroupKFold(5).split(X, corpus.y, corpus.groups),
        "mixed": StratifiedKFold(5, shuffle=True, random_state=0).split(X, corpus.y),
    }
    grouped, mixed = (
        cross_val_score(classifier, X, corpus.y, cv=cv, scoring="balanced_accuracy").mean()
        for cv in splits.values()
    )
    assert 0.5 < grouped < 0.85
    assert grouped + 0.07 < mixed < 0.97

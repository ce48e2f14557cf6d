"""scikit-learn's global settings change nothing of what is computed."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import soundfile
import transformers
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser.audit import audit_pipeline, find_duplicates
from sklearn_ser.classifiers import (
    FineTunedClassifier,
    LayerWeightedClassifier,
    MLPHead,
    PretrainedEmotionClassifier,
    PretrainedEmotionRegressor,
    SequenceClassifier,
)
from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare, compare_across
from sklearn_ser.model_selection import LeaveOneSpeakerOut
from sklearn_ser.preprocessing import AudioAugmenter, FrameUnion, SpeakerScaler
from sklearn_ser.recognition import EmotionRecognizer, load_recognizer, save_recognizer

SETTINGS = {
    "pandas": {"transform_output": "pandas"},
    "polars": {"transform_output": "polars"},
    "routing": {"enable_metadata_routing": True},
}
FAST = {"max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=3, n_sentences=2, random_state=0)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Write a tiny model of emotions and one of a dimension, and return their folder."""
    folder = tmp_path_factory.mktemp("models")
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 32, "conv_dim": (16,) * 7, "vocab_size": 8}
    sizes |= {"num_conv_pos_embeddings": 15, "num_conv_pos_embedding_groups": 2}
    for name, labels in {"emotions": ["ang", "sad"], "dimensions": ["arousal"]}.items():
        config = transformers.Wav2Vec2Config(**sizes, id2label=dict(enumerate(labels)))
        model = transformers.Wav2Vec2ForSequenceClassification(config)
        model.save_pretrained(folder / name)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder / name)
    return folder


def quieter(waveform, rate):
    return waveform / 2


def frames(embedder):
    """Return a use of an embedder that gives frames: all of them, one after another."""

    def use(corpus):
        clips = corpus.X[:3]
        found = embedder.fit_transform(clips), embedder.fit(clips).transform(clips)
        assert all(type(sequences) is np.ndarray for sequences in found)
        return np.concatenate([sequence for sequences in found for sequence in sequences])

    return use


def rows(embedder):
    return lambda corpus: [
        embedder.fit_transform(corpus.X[:3]),
        embedder.transform(corpus.X[:3]),
        clone(embedder).transform(corpus.X[:3]),
    ]


def with_speakers(corpus, *steps):
    """Return the probabilities by a pipeline that gets features, and who speaks in a column."""
    X = pd.DataFrame(
        {"clip": corpus.X, "speaker": np.unique(corpus.groups, return_inverse=True)[1]}
    )
    features = make_column_transformer((MFCCEmbedder(), "clip"), ("passthrough", ["speaker"]))
    return make_pipeline(features, *steps).fit(X, corpus.y).predict_proba(X)


def layer_search(corpus):
    pipeline = make_pipeline(SSLEmbedder("nano"), StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipeline, {"sslembedder__layer": [1, 3]}, cv=GroupKFold(2))
    search.fit(corpus.X, corpus.y, groups=corpus.groups)
    return [search.cv_results_["mean_test_score"], search.predict_proba(corpus.X)]


def augmented_search(corpus):
    pipeline = make_sampling_pipeline(
        AudioAugmenter(quieter), MFCCEmbedder(), StandardScaler(), LogisticRegression()
    )
    search = GridSearchCV(pipeline, {"audioaugmenter__n_copies": [0, 1]}, cv=GroupKFold(2))
    search.fit(corpus.X, corpus.y, groups=corpus.groups)
    return [search.cv_results_["mean_test_score"], search.predict_proba(corpus.X)]


def fitted(classifier, embedder=None):
    """Return a use of a classifier that is fitted with speakers."""

    def use(corpus):
        X = corpus.X if embedder is None else embedder.fit_transform(corpus.X)
        classifier.fit(X, corpus.y, groups=corpus.groups)
        return [classifier.predict(X), classifier.predict_proba(X)]

    return use


def pretrained_classifier(corpus, pretrained):
    model = PretrainedEmotionClassifier(str(pretrained / "emotions"))
    return [model.fit(corpus.X).predict(corpus.X[:3]), model.predict_proba(corpus.X[:3])]


def pretrained_regressor(corpus, pretrained):
    return PretrainedEmotionRegressor(str(pretrained / "dimensions")).predict(corpus.X[:3])


def compared(classifier, features=("mfcc",), **options):
    def use(corpus):
        found = compare(corpus, list(features), classifier=classifier, **options)
        return [found.predictions["predicted"].to_numpy(), found.frame["uar"].to_numpy()]

    return use


def compared_corpora(corpus):
    other = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=1)
    found = compare_across(
        {"one": corpus, "two": other}, ["mfcc"], classifier="lda", alignment=[None, "standardize"]
    )
    return found.frame["uar"].to_numpy()


def recognized(classifier, embedder=None):
    def use(corpus, tmp_path):
        recognizer = EmotionRecognizer(embedder, classifier)
        recognizer.fit(corpus.X, corpus.y, groups=corpus.groups)
        save_recognizer(recognizer, tmp_path / "recognizer.skops")
        again = load_recognizer(tmp_path / "recognizer.skops")
        table = again.recognize(corpus.X[:4], abstain=None)
        return [
            recognizer.scores_["log_loss"],
            recognizer.detector_.held_out_,
            again.predict_proba(corpus.X),
            table.select_dtypes("number").to_numpy(),
        ]

    return use


def audited(corpus):
    pipeline = make_pipeline(MFCCEmbedder(), SCALED)
    search = GridSearchCV(pipeline, {"mfccembedder__deltas": [0]}, cv=GroupKFold(2))
    audits = [
        audit_pipeline(estimator, corpus.X, corpus.y, groups=corpus.groups, cv=LeaveOneSpeakerOut())
        for estimator in (pipeline, search)
    ]
    return [audit.findings["parameter"].tolist() for audit in audits]


def duplicates(corpus):
    return find_duplicates([*corpus.X, corpus.X[0]]).select_dtypes("number").to_numpy()


def command_line(corpus, tmp_path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, *corpus.X[0])
    model, table, predicted = (str(tmp_path / name) for name in ("m.skops", "x.csv", "p.csv"))
    for arguments in (
        ["embed", str(clip), "--features", "mfcc", "--out", table],
        ["train", "synthetic", "--features", "mfcc", "--classifier", "lda", "--out", model],
        ["predict", model, str(clip), "--abstain", "never", "--out", predicted],
    ):
        assert main([*arguments, "--quiet"]) == 0
    return [pd.read_csv(path).select_dtypes("number").to_numpy() for path in (table, predicted)]


SEARCH = GridSearchCV(
    make_pipeline(StandardScaler(), LogisticRegression()),
    {"logisticregression__C": [0.01, 1]},
    cv=GroupKFold(2),
)
SCALED = make_pipeline(StandardScaler(), LogisticRegression())
NANO_FRAMES = SSLEmbedder("nano", pooling=None)
USES = {
    "mfcc": rows(MFCCEmbedder()),
    "egemaps": rows(EGeMAPSEmbedder()),
    "nano": rows(SSLEmbedder("nano", layer="all")),
    "mfcc frames": frames(MFCCEmbedder(pooling=None)),
    "egemaps frames": frames(EGeMAPSEmbedder(level="lld", pooling=None)),
    "nano frames": frames(NANO_FRAMES),
    "FrameUnion": frames(FrameUnion([("a", NANO_FRAMES), ("b", MFCCEmbedder(pooling=None))])),
    "SpeakerScaler": lambda corpus: with_speakers(corpus, SpeakerScaler(), LogisticRegression()),
    "speaker column": lambda corpus: with_speakers(corpus, MLPHead(speaker=-1, **FAST)),
    "layer search": layer_search,
    "augmented search": augmented_search,
    "MLPHead": fitted(MLPHead(**FAST), MFCCEmbedder()),
    "LayerWeighted": fitted(LayerWeightedClassifier(5, **FAST), SSLEmbedder("nano", layer="all")),
    "SequenceClassifier": fitted(SequenceClassifier(**FAST), NANO_FRAMES),
    "SequenceClassifier of clips": fitted(SequenceClassifier(embedder=NANO_FRAMES, **FAST)),
    "FineTunedClassifier": fitted(FineTunedClassifier(unfreeze=1, **FAST)),
    "PretrainedEmotionClassifier": pretrained_classifier,
    "PretrainedEmotionRegressor": pretrained_regressor,
    "compare": compared("lda", ["mfcc", "nano"]),
    "compare network": compared(MLPHead(**FAST)),
    "compare pipeline": compared(SCALED),
    "compare search": compared(SEARCH),
    "compare scaled speakers": compared("logistic", speaker_scaling="global"),
    "compare network, scaled speakers": compared(MLPHead(**FAST), speaker_scaling="global"),
    "compare_across": compared_corpora,
    "recognizer": recognized("lda", MFCCEmbedder()),
    "recognizer of a union": recognized(
        "lda", FeatureUnion([("a", MFCCEmbedder()), ("b", SSLEmbedder("nano"))])
    ),
    "recognizer with a network": recognized(MLPHead(**FAST), MFCCEmbedder()),
    "recognizer with a pipeline": recognized(SCALED, MFCCEmbedder()),
    "audit_pipeline": audited,
    "find_duplicates": duplicates,
    "command line": command_line,
}


@pytest.mark.one_in(5)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "command line" else name
        for name in USES
    ],
)
def test_global_settings_change_nothing(name, corpus, request, tmp_path, subtests):
    def found(folder):
        folder.mkdir()
        given = {"corpus": corpus, "tmp_path": folder}
        names = USES[name].__code__.co_varnames[: USES[name].__code__.co_argcount]
        given = {n: given[n] if n in given else request.getfixturevalue(n) for n in names}
        values = USES[name](**given)
        return values if isinstance(values, list) else [values]

    expected = found(tmp_path / "default")
    for setting, values in SETTINGS.items():
        with subtests.test(setting), sklearn.config_context(**values):
            for one, other in zip(found(tmp_path / setting), expected, strict=True):
                one, other = np.asarray(one), np.asarray(other)
                if other.dtype.kind == "f":
                    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
                else:
                    np.testing.assert_array_equal(one, other)


def test_speakers_reach_a_network_in_a_pipeline_by_routing():
    """Without any request, as networks ask for groups by themselves."""
    corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    pipeline = make_pipeline(MFCCEmbedder(), MLPHead(**FAST))
    pipeline.fit(corpus.X, corpus.y, mlphead__groups=corpus.groups)
    expected = pipeline.predict_proba(corpus.X)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.fit(corpus.X, corpus.y, groups=corpus.groups)
        np.testing.assert_array_equal(pipeline.predict_proba(corpus.X), expected)
        search = GridSearchCV(pipeline, {"mlphead__dropout": [0.5]}, cv=GroupKFold(2))
        search.fit(corpus.X, corpus.y, groups=corpus.groups)
        np.testing.assert_array_equal(search.predict_proba(corpus.X), expected)


def test_a_search_is_audited_with_groups_only_if_they_are_routed(corpus):
    search = GridSearchCV(SCALED, {"standardscaler__with_std": [True]}, cv=2)
    X = MFCCEmbedder().fit_transform(corpus.X)
    with sklearn.config_context(enable_metadata_routing=True):
        found = audit_pipeline(search, X, corpus.y, groups=corpus.groups, cv=LeaveOneSpeakerOut())
    assert not found.leaks


def test_sequences_are_refused_as_the_columns_of_a_frame(corpus):
    for embedder in (NANO_FRAMES, FrameUnion([("a", NANO_FRAMES)])):
        with pytest.raises(AttributeError, match="has no attribute 'set_output'"):
            embedder.set_output(transform="pandas")
    with pytest.raises(ValueError, match="`set_output` is not available"):
        make_pipeline(NANO_FRAMES, SequenceClassifier()).set_output(transform="pandas")
    embedder = MFCCEmbedder().set_output(transform="pandas")
    assert type(embedder.fit_transform(corpus.X[:2])) is pd.DataFrame
    assert type(embedder.set_params(pooling=None).fit_transform(corpus.X[:2])) is np.ndarray

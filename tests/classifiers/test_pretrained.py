"""Published emotion models behind scikit-learn's interface, on tiny ones with random weights."""

import json
import pickle

import numpy as np
import pytest
import skops.io
import soxr
import torch
import transformers
from safetensors.torch import load_file, save_file
from scipy.special import softmax
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict, cross_val_score

from sklearn_ser._models import _heads
from sklearn_ser.classifiers import PretrainedEmotionClassifier, PretrainedEmotionRegressor
from sklearn_ser.exceptions import ClipError, ClipWarning

RATE = 16000
LABELS = ("neu", "hap", "ang", "sad")
SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "classifier_proj_size": 12,
}
WAVEFORM = {
    **SMALL,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WHISPER = {
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "num_mel_bins": 16,
    "vocab_size": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
    "classifier_proj_size": 12,
}
NORMALIZED = {"do_normalize": True, "return_attention_mask": True}
UNMASKED = {"do_normalize": True, "return_attention_mask": False}
# Family → the start of its classes' names, its configuration, its feature extractor's settings.
FAMILIES = {
    "wav2vec2-base": ("Wav2Vec2", WAVEFORM, UNMASKED),
    "wav2vec2-large": ("Wav2Vec2", {**WAVEFORM, **LAYER_NORM}, NORMALIZED),
    "weighted": ("Wav2Vec2", {**WAVEFORM, "use_weighted_layer_sum": True}, NORMALIZED),
    "HuBERT": ("Hubert", WAVEFORM, NORMALIZED),
    "WavLM": ("WavLM", WAVEFORM, NORMALIZED),
    "UniSpeech-SAT": ("UniSpeechSat", WAVEFORM, NORMALIZED),
    "data2vec": ("Data2VecAudio", {**WAVEFORM, "conv_pos_kernel_size": 5}, NORMALIZED),
    "SEW": ("SEW", {**WAVEFORM, "conv_dim": (16,) * 13, "squeeze_factor": 2}, UNMASKED),
    "Wav2Vec2-BERT": ("Wav2Vec2Bert", {**SMALL, "vocab_size": 8}, {}),
    "Whisper": ("Whisper", WHISPER, {"feature_size": 16}),
}
EXTRACTORS = {"Wav2Vec2Bert": "SeamlessM4T", "Whisper": "Whisper"}


@pytest.fixture(autouse=True, scope="module")
def _one_torch_thread():
    """Run torch on one thread; models so small only wait for more of them."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def randomise(model, seed):
    """Give every layer weights that change what passes through it, unlike fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            scale = (weight.shape[0] / weight.numel()) ** 0.5 if weight.ndim > 1 else 0.3
            weight.add_(noise * scale)


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Return a function that saves a tiny fine-tuned model, and returns its folder."""

    def build(family="wav2vec2-base", labels=LABELS, head=None, seed=0, **changes):
        start, config, extractor = FAMILIES[family]
        config = getattr(transformers, f"{start}Config")(
            **{**config, "id2label": dict(enumerate(labels)), **changes}
        )
        if head is None:
            head = "ForAudioClassification" if start == "Whisper" else "ForSequenceClassification"
        model = getattr(transformers, f"{start}{head}")(config)
        randomise(model, seed)
        folder = tmp_path_factory.mktemp(family)
        model.save_pretrained(folder)
        kind = EXTRACTORS.get(start, "Wav2Vec2")
        getattr(transformers, f"{kind}FeatureExtractor")(**extractor).save_pretrained(folder)
        return str(folder)

    return build


@pytest.fixture(scope="session")
def folder(build):
    """The folder of one classifier; leave it as it is."""
    return build()


@pytest.fixture(scope="session")
def with_dense_head(build):
    """Return a function that saves a model with a head of its own, as audEERING's."""

    def save(family="wav2vec2-large", **changes):
        labels = ("arousal", "dominance", "valence")
        changes = {"problem_type": "regression", "pooling_mode": "mean", **changes}
        folder = build(family, labels, **changes)
        with rewritten(folder) as weights:
            for name in ("projector", "classifier"):
                del weights[f"{name}.weight"], weights[f"{name}.bias"]
            random = torch.Generator().manual_seed(1)
            for name, part in (("weight_g", "original0"), ("weight_v", "original1")):
                now = f"parametrizations.weight.{part}"  # the names of when they were published
                (key,) = (key for key in weights if key.endswith(now))
                weights[key.replace(now, name)] = weights.pop(key)
            for name, n_outputs in (("dense", 24), ("out_proj", 3)):
                weights[f"classifier.{name}.weight"] = torch.randn(n_outputs, 24, generator=random)
                weights[f"classifier.{name}.bias"] = torch.randn(n_outputs, generator=random)
        return folder

    return save


class rewritten:
    """The weights in a folder, as a dict; saved at the end."""

    def __init__(self, folder):
        self.path = f"{folder}/model.safetensors"

    def __enter__(self):
        self.weights = load_file(self.path)
        return self.weights

    def __exit__(self, *exception):
        save_file(self.weights, self.path, metadata={"format": "pt"})


def change_config(folder, **changes):
    path = f"{folder}/config.json"
    with open(path) as file:
        config = json.load(file)
    with open(path, "w") as file:
        json.dump({**config, **changes}, file)


@pytest.fixture(scope="session")
def clips(speech):
    return [(speech(i, n / RATE), RATE) for i, n in enumerate([8411, 16000, 4800, 23457])]


def plain_logits(folder, waveform):
    """What transformers makes of one waveform at the model's rate."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        inputs = extractor(waveform, sampling_rate=RATE, return_tensors="pt")
        return model(**inputs).logits[0].numpy()


def assert_close(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # WavLM's own
@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_are_those_of_transformers(build, clips, family):
    folder = build(family)
    expected = softmax([plain_logits(folder, waveform) for waveform, _ in clips], axis=1)
    assert np.ptp(expected, axis=0).max() > 1e-3  # or else any model would do
    found = PretrainedEmotionClassifier(folder, label_map=None, cache=None).predict_proba(clips)
    assert_close(found, expected[:, np.argsort(LABELS)])


def test_labels_are_the_most_probable(folder, clips):
    classifier = PretrainedEmotionClassifier(folder, label_map=None)
    assert classifier.classes_.tolist() == sorted(LABELS)
    expected = [LABELS[plain_logits(folder, waveform).argmax()] for waveform, _ in clips]
    assert classifier.predict(clips).tolist() == expected
    assert classifier.score(clips, expected) == 1
    assert classifier.fit(clips, expected).score(clips, ["ang"] * 4) == expected.count("ang") / 4


def test_auto_gives_the_names_of_this_package(build, clips):
    folder = build(labels=("Neu", "angry", "exc", "Humming", "excited"))
    classifier = PretrainedEmotionClassifier(folder)
    assert classifier.classes_.tolist() == ["anger", "excitement", "humming", "neutral"]
    own = classifier.transform(clips)
    assert_close(classifier.predict_proba(clips)[:, 1], own[:, 2] + own[:, 4])


def test_probabilities_of_labels_with_one_name_add_up(folder, clips):
    label_map = {"hap": "positive", "neu": "positive", "ang": "negative"}
    classifier = PretrainedEmotionClassifier(folder, label_map).fit(clips)
    assert classifier.classes_.tolist() == ["negative", "positive", "sad"]
    neutral, happy, angry, sad = classifier.transform(clips).T
    assert_close(classifier.predict_proba(clips).T, [angry, happy + neutral, sad])
    assert classifier.get_feature_names_out().tolist() == list(LABELS)


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_labels_that_the_model_lacks_are_named(folder, clips, method):
    classifier = PretrainedEmotionClassifier(folder, {"fear": "fear", "hap": "happiness"})
    with pytest.raises(ValueError, match=r"label_map names \['fear'\], which .* it has \['neu'"):
        getattr(classifier, method)(clips)


def test_a_corpus_with_other_labels_is_told_at_fit(folder, clips):
    y = ["neutral", "anger", "anger", "sadness"]
    PretrainedEmotionClassifier(folder).fit(clips, y)
    with pytest.raises(ValueError, match=r"y has the labels \['anger'.* Set label_map"):
        PretrainedEmotionClassifier(folder, label_map=None).fit(clips, y)


def test_clips_are_resampled_to_the_models_rate(folder, speech):
    fast = speech(3, 0.7, 44100)
    classifier = PretrainedEmotionClassifier(folder, label_map=None, cache=None)
    expected = softmax(plain_logits(folder, soxr.resample(fast, 44100, RATE, quality="HQ")))
    (found,) = classifier.predict_proba([(fast, 44100)])
    assert_close(found, expected[np.argsort(LABELS)])
    with pytest.raises(ClipError, match="has no sampling rate"):
        classifier.predict([fast])
    assert_close(clone(classifier).set_params(waveform_rate=44100).predict_proba([fast]), [found])


@pytest.mark.parametrize(
    ("family", "seconds", "n_pieces"),
    [("wav2vec2-base", 39.9, 1), ("wav2vec2-base", 61, 3), ("Whisper", 31, 2)],
)
def test_long_clips_are_heard_in_pieces(build, speech, family, seconds, n_pieces):
    folder, waveform = build(family), speech(0, seconds)
    pieces = np.array_split(waveform, n_pieces)
    expected = np.mean([softmax(plain_logits(folder, piece)) for piece in pieces], axis=0)
    found = PretrainedEmotionClassifier(folder, None, cache=None).predict_proba([(waveform, RATE)])
    assert_close(found[0], expected[np.argsort(LABELS)])


def test_too_short_a_clip_is_named(folder, clips):
    with pytest.raises(ClipError, match=r"clip 1 .* shorter than"):
        PretrainedEmotionClassifier(folder).predict([clips[0], (clips[0][0][:500], RATE)])


def test_equal_clips_are_computed_once(folder, clips, monkeypatch):
    calls = []
    run = _heads.FineTunedModel._run
    monkeypatch.setattr(
        _heads.FineTunedModel, "_run", lambda self, piece: calls.append(1) or run(self, piece)
    )
    first = PretrainedEmotionClassifier(folder).predict_proba([*clips, clips[0]])
    assert len(calls) == len(clips)
    again = PretrainedEmotionClassifier(folder, {"hap": "glad"}, n_jobs=2).fit(clips)
    assert_close(again.predict_proba(clips)[:, [0, 1, 2, 3]], first[:4])
    assert len(calls) == len(clips)


def test_records_of_other_weights_are_not_taken(build, clips):
    one, other = (
        PretrainedEmotionClassifier(build(seed=seed)).predict_proba(clips) for seed in (0, 1)
    )
    assert np.abs(one - other).max() > 1e-3


def test_unusable_clips_have_no_label(folder, clips):
    X = [clips[0], "missing.wav", clips[1]]
    classifier = PretrainedEmotionClassifier(folder, on_error="warn")
    with pytest.warns(ClipWarning, match="missing.wav"):
        probabilities = classifier.predict_proba(X)
    assert np.isnan(probabilities).all(axis=1).tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"1 of . clips cannot be used.*row 1"):
        classifier.set_params(on_error="nan").predict(X)


def test_cross_validation(folder, clips):
    X, y = clips * 2, ["anger", "happiness", "neutral", "sadness"] * 2
    classifier = PretrainedEmotionClassifier(folder)
    expected = classifier.predict(X)
    np.testing.assert_array_equal(cross_val_predict(classifier, X, y, cv=2), expected)
    probabilities = cross_val_predict(classifier, X, y, cv=2, method="predict_proba")
    assert_close(probabilities, classifier.predict_proba(X))
    scores = cross_val_score(classifier, X, y, cv=2, scoring="balanced_accuracy")
    assert scores.mean() == (expected == y).mean()


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_dumps_are_small_and_whole(folder, with_dense_head, clips, kind):
    if kind == "classifier":
        model = PretrainedEmotionClassifier(folder, {"hap": "glad"}).fit(clips)
    else:
        model = PretrainedEmotionRegressor(with_dense_head()).fit(clips)
    expected = model.predict(clips)
    assert clone(model).get_params() == model.get_params()
    pickled, dumped = pickle.dumps(model), skops.io.dumps(model)
    assert len(pickled) < 10_000
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert trusted == [f"sklearn_ser.classifiers._pretrained.{type(model).__name__}"]
    for again in (pickle.loads(pickled), skops.io.loads(dumped, trusted=trusted)):
        np.testing.assert_array_equal(again.predict(clips), expected)


def audeering(folder, waveform):
    """The forward pass of a model whose head is dense → tanh → out_proj."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    weights = load_file(f"{folder}/model.safetensors")
    x = extractor(waveform, sampling_rate=RATE, return_tensors="pt").input_values
    with torch.inference_mode():
        pooled = model(x).last_hidden_state.mean(dim=1)
        for name in ("dense", "out_proj"):
            parts = (weights[f"classifier.{name}.{part}"] for part in ("weight", "bias"))
            pooled = torch.nn.functional.linear(pooled, *parts)
            pooled = pooled.tanh() if name == "dense" else pooled
    return pooled[0].numpy()


@pytest.mark.parametrize("family", ["wav2vec2-large", "wav2vec2-base", "HuBERT"])
def test_dimensions_are_those_of_the_dense_head(with_dense_head, clips, family):
    folder = with_dense_head(family)
    regressor = PretrainedEmotionRegressor(folder)
    assert regressor.outputs_.tolist() == ["arousal", "dominance", "valence"]
    expected = np.array([audeering(folder, waveform) for waveform, _ in clips])
    assert np.ptp(expected, axis=0).min() > 1e-3
    found = regressor.predict(clips)
    one = PretrainedEmotionRegressor(folder, output="valence").fit(clips, [0.5] * len(clips))
    np.testing.assert_array_equal(one.predict(clips), found[:, 2])
    with pytest.raises(ValueError, match=r"output='anger', which .* does not have; it has \['aro"):
        PretrainedEmotionRegressor(folder, output="anger").fit(clips, [0.5] * len(clips))
    assert_close(found, expected)
    assert regressor.fit(clips, expected).score(clips, expected[::-1]) == pytest.approx(
        r2_score(expected[::-1], found)
    )
    y = np.tile(expected, (2, 1))
    assert_close(cross_val_predict(regressor, clips * 2, y, cv=2), y)


def test_a_classifier_may_have_a_dense_head(with_dense_head, clips):
    folder = with_dense_head(problem_type="single_label_classification")
    expected = softmax([audeering(folder, waveform) for waveform, _ in clips], axis=1)
    assert_close(PretrainedEmotionClassifier(folder).predict_proba(clips), expected)


def test_a_plain_head_may_give_dimensions(build, clips):
    folder = build(labels=("arousal", "valence"), problem_type="regression")
    expected = [plain_logits(folder, waveform) for waveform, _ in clips]
    assert_close(PretrainedEmotionRegressor(folder).predict(clips), expected)


@pytest.mark.parametrize("version", ["4.10.0", "5.0.0", "5.15.1"])
def test_a_weighted_sum_from_before_transformers_5_16_ends_after_the_norm(build, clips, version):
    folder = build("weighted", **LAYER_NORM)
    change_config(folder, transformers_version=version)
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    expected = []
    for waveform, _ in clips:
        with torch.inference_mode():
            inputs = extractor(waveform, sampling_rate=RATE, return_tensors="pt")
            out = model.wav2vec2(**inputs, output_hidden_states=True)
            states = torch.stack([*out.hidden_states[:-1], out.last_hidden_state])
            mixed = torch.tensordot(model.layer_weights.softmax(0), states, 1)
            expected.append(model.classifier(model.projector(mixed).mean(1))[0].softmax(0).numpy())
    found = PretrainedEmotionClassifier(folder, label_map=None).predict_proba(clips)
    assert_close(found, np.array(expected)[:, np.argsort(LABELS)])


@pytest.mark.parametrize("family", ["HuBERT", "SEW", "Whisper"])
def test_other_weighted_sums_are_as_transformers_has_them(build, clips, family):
    folder = build(family, use_weighted_layer_sum=True)
    change_config(folder, transformers_version="4.10.0")
    expected = softmax([plain_logits(folder, waveform) for waveform, _ in clips], axis=1)
    found = PretrainedEmotionClassifier(folder, label_map=None).predict_proba(clips)
    assert_close(found, expected[:, np.argsort(LABELS)])


def test_models_for_something_else_are_refused(build, folder, clips):
    regression = build(problem_type="regression")
    with pytest.raises(ValueError, match=r"takes models for single_label.* is one for regression"):
        PretrainedEmotionClassifier(regression).fit(clips)
    with pytest.raises(ValueError, match=r"takes models for regression.* is one for single_label"):
        PretrainedEmotionRegressor(folder).predict(clips)


@pytest.mark.parametrize(
    "name", ["projector.bias", "classifier.weight", "encoder.layers.1.final_layer_norm.weight"]
)
@pytest.mark.parametrize("family", ["wav2vec2-base", "Whisper"])
def test_missing_and_misshapen_weights_are_refused(build, clips, family, name):
    folder = build(family)
    with rewritten(folder) as weights:
        (key,) = (key for key in weights if key.endswith(name) and "decoder" not in key)
        del weights[key]
    with pytest.raises(OSError, match="lack 1 of the model's weights") as caught:
        PretrainedEmotionClassifier(folder).predict(clips)
    assert key in str(caught.value)
    with rewritten(folder) as weights:
        weights[key] = torch.zeros(3, 3)
    with pytest.raises(OSError, match="in another shape"):
        PretrainedEmotionClassifier(folder).predict(clips)


def test_a_dense_head_with_other_names_is_refused(with_dense_head, clips):
    folder = with_dense_head()
    with rewritten(folder) as weights:
        for part in ("weight", "bias"):
            weights[f"classifier.output.{part}"] = weights.pop(f"classifier.out_proj.{part}")
    with pytest.raises(OSError, match=r"lack 4 of the model's weights.*classifier\.bias"):
        PretrainedEmotionRegressor(folder).predict(clips)


def test_a_dense_head_on_something_else_than_the_mean_is_refused(with_dense_head, clips):
    folder = with_dense_head(pooling_mode="max")
    with pytest.raises(OSError, match="pooling_mode='max'; known is 'mean'"):
        PretrainedEmotionRegressor(folder).predict(clips)


def test_a_model_without_a_head_is_refused(build, clips):
    for model in (build(head="Model"), "nano"):
        with pytest.raises(OSError, match="with all that it is used for"):
            PretrainedEmotionClassifier(model).predict(clips)


def test_a_model_of_text_is_refused(clips, tmp_path):
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(OSError, match="family 'bert', which is not read") as caught:
        PretrainedEmotionClassifier(str(tmp_path)).predict(clips)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("kind", [PretrainedEmotionClassifier, PretrainedEmotionRegressor])
def test_displaying_needs_no_model(kind):
    assert kind.__name__ in kind("no/such/model")._repr_html_()

"""The last layers of a speech model are trained, and nothing else; a killed run goes on."""

import json
import pickle
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
import transformers
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_ser import SSLEmbedder
from sklearn_ser._extraction import SpeechExtractor
from sklearn_ser._models import _trainable
from sklearn_ser._models._trainable import FineTunedNetwork, LastLayers, last_layers
from sklearn_ser.classifiers import FineTunedClassifier, _callbacks
from sklearn_ser.classifiers._callbacks import Checkpoint
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.exceptions import ClipError

RATE = 16000
N_LAYERS = 3
SMALL = {"hidden_size": 24, "num_hidden_layers": N_LAYERS, "num_attention_heads": 2}
WAVEFORM = {
    **SMALL,
    "intermediate_size": 32,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
GROUP_NORM = {**WAVEFORM, "feat_extract_norm": "group", "do_stable_layer_norm": False}
LAYER_NORM = {**WAVEFORM, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
NO_DROPOUT = {
    f"{place}_dropout": 0.0 for place in ("hidden", "attention", "activation", "feat_proj")
}
WHISPER = {
    "d_model": 24,
    "encoder_layers": N_LAYERS,
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
    "max_target_positions": 8,
}
# The start of its classes' names, and its configuration.
FAMILIES = {
    "wav2vec2-base": ("Wav2Vec2", GROUP_NORM),
    "HuBERT-large": ("Hubert", LAYER_NORM),
    "WavLM-base": ("WavLM", GROUP_NORM),
    "Conformer": ("Wav2Vec2Conformer", {**LAYER_NORM, "position_embeddings_type": "relative"}),
    "Wav2Vec2-BERT": ("Wav2Vec2Bert", {**SMALL, "intermediate_size": 32, "vocab_size": 8}),
    "Whisper": ("Whisper", WHISPER),
}


def build(family, folder, seed=0, **changes):
    """Save a tiny model with random weights, as save_pretrained does, and return its folder."""
    start, config = FAMILIES.get(family) or (family, WAVEFORM)
    torch.manual_seed(seed)
    config = getattr(transformers, f"{start}Config")(**{**config, **changes})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # SEW-D's import, in transformers 4
        model = getattr(transformers, f"{start}Model")(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)
    extractor = {"Wav2Vec2Bert": "SeamlessM4T", "Whisper": "Whisper"}.get(start, "Wav2Vec2")
    options = {"feature_size": 16} if start == "Whisper" else {}
    getattr(transformers, f"{extractor}FeatureExtractor")(**options).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True, scope="module")
def _one_torch_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return a function from a family to the folder of its model, made once."""
    folders = {}

    def folder_of(family="wav2vec2-base", **changes):
        key = (family, *sorted(changes.items()))
        if key not in folders:
            folders[key] = build(family, tmp_path_factory.mktemp("model"), **changes)
        return folders[key]

    return folder_of


@pytest.fixture(scope="module")
def clips(speech):
    """Return 13 clips of 0.2 to 0.6 s."""
    return [(speech(i, 0.2 + 0.037 * (i * 5 % 12)), RATE) for i in range(13)]


Y = np.array(["anger", "neutral", "sadness"] * 4 + ["anger"])
SPEAKERS = np.array(list("aaaabbbbccccc"))


@pytest.fixture
def fitted(tiny, clips):
    """Return a function that fits a classifier with a tiny model."""

    def fit(family="wav2vec2-base", X=clips, y=Y, groups=SPEAKERS, changes=(), **parameters):
        parameters = {"max_epochs": 2, "batch_size": 4, "random_state": 0, **parameters}
        model = tiny(family, **dict(changes))
        return FineTunedClassifier(model, **parameters).fit(X, y, groups=groups)

    return fit


def assert_same_weights(one, other):
    assert set(one.weights_) == set(other.weights_)
    for name, values in one.weights_.items():
        np.testing.assert_array_equal(other.weights_[name], values, err_msg=name)


def assert_close(found, expected, tolerance=1e-5):
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


@pytest.mark.slow
def test_it_learns_to_tell_emotions_of_other_speakers():
    corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    parameters = {"max_epochs": 25, "patience": 3, "random_state": 0, "learning_rate": 5e-4}
    classifier = FineTunedClassifier("nano", unfreeze=1, **parameters)
    classifier.fit(corpus.X, corpus.y, groups=corpus.groups)
    history = pd.DataFrame(classifier.history_)
    assert list(history) == ["epoch", "train_loss", "valid_loss", "valid_uar", "seconds"]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0] / 2
    assert classifier.n_epochs_ == history["epoch"][history["valid_loss"].idxmin()]
    assert len(history) == classifier.n_epochs_ + 3 < 25  # patience ran out
    others = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=1)
    assert classifier.score(others.X, others.y) > 0.4  # chance is 0.25


def test_weights_kept_are_those_of_the_best_epoch(fitted):
    long = fitted(max_epochs=25, patience=2, warmup=0, learning_rate=1e-2)
    assert long.n_epochs_ < len(long.history_["epoch"])
    assert_same_weights(fitted(max_epochs=long.n_epochs_, warmup=0, learning_rate=1e-2), long)


@pytest.mark.parametrize(("unfreeze", "n_last"), [("head", 0), (1, 1), (2, 2), ("all", N_LAYERS)])
def test_only_the_layers_asked_for_are_trained(fitted, unfreeze, n_last):
    classifier = fitted(unfreeze=unfreeze, max_epochs=1)
    before = transformers.AutoModel.from_pretrained(classifier.model).state_dict()
    trained = {name for name in classifier.weights_ if not name.startswith("head.")}
    first = N_LAYERS - n_last
    expected = {
        f"encoder.layers.{i - first}.{name.split('.', 3)[3]}": name
        for name in before
        for i in range(first, N_LAYERS)
        if name.startswith(f"encoder.layers.{i}.")
    }
    assert trained == set(expected)
    for ours, theirs in expected.items():
        assert classifier.weights_[ours].shape == before[theirs].shape
        assert (classifier.weights_[ours] != before[theirs].numpy()).any(), ours


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_last", [1, N_LAYERS])
def test_layers_go_on_where_the_frozen_ones_end(tiny, clips, family, n_last):
    def states(layer):
        window = "clip" if family == "Whisper" else "auto"
        embedder = SSLEmbedder(tiny(family), layer=layer, pooling=None, window=window, cache=None)
        return embedder.fit_transform(clips[:4])

    layers = last_layers(FineTunedClassifier(tiny(family))._folder(), n_last)
    entering = [torch.from_numpy(frames) for frames in states(N_LAYERS - n_last)]
    with torch.no_grad():
        found = layers.run(entering)
    for ours, theirs in zip(found, states(N_LAYERS), strict=True):
        assert_close(ours.numpy(), theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_do_not_depend_on_the_batch(fitted, clips, family):
    classifier = fitted(family, unfreeze=1, max_epochs=1)
    together = classifier.decision_function(clips)
    assert_close(classifier.decision_function(clips[::-1])[::-1], together)
    classifier.set_params(batch_size=1)
    assert_close(classifier.decision_function(clips), together)
    alone = np.concatenate([classifier.decision_function([clip]) for clip in clips[:3]])
    assert_close(alone, together[:3])


def test_layers_are_not_skipped_nor_frames_masked_in_training(tiny):
    reckless = {"layerdrop": 1.0, "apply_spec_augment": True, "mask_time_prob": 0.9}
    layers = last_layers(
        FineTunedClassifier(tiny(**NO_DROPOUT, **reckless, mask_feature_prob=0.9))._folder(), 2
    )
    network = FineTunedNetwork(layers, 24, 3, dropout=0.0)
    frames, mask = torch.randn(2, 30, 24), torch.ones(2, 30, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(network.train()(frames, mask), network.eval()(frames, mask))


def test_layers_drop_what_their_checkpoint_says(tiny):
    layers = last_layers(FineTunedClassifier(tiny())._folder(), 2)
    network = FineTunedNetwork(layers, 24, 3, dropout=0.0)
    frames, mask = torch.randn(2, 30, 24), torch.ones(2, 30, dtype=torch.bool)
    with torch.no_grad():
        assert not torch.equal(network.train()(frames, mask), network.eval()(frames, mask))


def test_statistics_of_batches_stay_as_they_are(tiny):
    layers = last_layers(FineTunedClassifier(tiny("Conformer"))._folder(), 1)
    network = FineTunedNetwork(layers, 24, 3, dropout=0.0).train()
    before = {name: values.clone() for name, values in network.named_buffers() if "running" in name}
    network(torch.randn(2, 30, 24), torch.ones(2, 30, dtype=torch.bool))
    assert before
    for name, values in network.named_buffers():
        assert name not in before or torch.equal(values, before[name])


def test_accumulated_batches_are_one_batch(fitted):
    """Also where the last batch is smaller, and clips of rare emotions weigh more."""
    options = {"changes": NO_DROPOUT.items(), "dropout": 0.0, "max_epochs": 3}
    y = np.where(np.arange(len(Y)) % 4, "neutral", Y)
    whole = fitted(y=y, batch_size=4, **options)
    parts = fitted(y=y, batch_size=2, accumulate=2, **options)
    for name, values in whole.weights_.items():
        assert_close(parts.weights_[name], values)
    np.testing.assert_allclose(parts.history_["train_loss"], whole.history_["train_loss"], 1e-5)


def test_learning_rates_warm_up(fitted, monkeypatch):
    rates, before = [], _callbacks.WarmUp.on_batch_begin

    def spy(self, net, training=False, **kwargs):
        before(self, net, training=training, **kwargs)
        if training:
            rates.append(sorted(group["lr"] for group in net.optimizer_.param_groups))

    monkeypatch.setattr(_callbacks.WarmUp, "on_batch_begin", spy)
    fitted(warmup=0.5, max_epochs=4, learning_rate=1e-4, head_learning_rate=1e-2, patience=4)
    n_steps = len(rates)
    assert n_steps % 4 == 0
    expected = np.minimum(1, np.arange(1, n_steps + 1) / (n_steps / 2))
    np.testing.assert_allclose(rates, np.outer(expected, [1e-4, 1e-2]))


def test_a_seed_repeats_training_to_the_bit(fitted):
    first = fitted()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert_same_weights(fitted(), first)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's own draws go on
    other = fitted(random_state=1)
    assert any((first.weights_[n] != other.weights_[n]).any() for n in first.weights_)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_last", [1, N_LAYERS])
def test_all_that_runs_moves_to_the_device(tiny, family, n_last):
    layers = last_layers(Path(tiny(family)), n_last).to("meta")
    frames = torch.zeros(1, 10, SMALL["hidden_size"], device="meta")
    assert layers(frames).device.type == "meta"
    assert all(not weight.requires_grad for weight in layers.state_dict().values())
    trained = [name for name, weight in layers.named_parameters() if weight.requires_grad]
    assert all(name.startswith(("layers.", "norm.")) for name in trained)


@pytest.mark.parametrize(
    ("family", "changes", "rate"),
    [
        *((family, {}, RATE) for family in FAMILIES),
        ("SEW", {"conv_dim": (16,) * 13, "squeeze_factor": 2}, RATE),
        ("Wav2Vec2-BERT", {"add_adapter": True, "num_adapter_layers": 1}, RATE),
        ("wav2vec2-base", {"conv_stride": (5, 2, 2, 2, 2, 2, 1)}, RATE),
        ("wav2vec2-base", {}, 8000),
    ],
)
def test_stretches_last_as_long_as_they_say(family, changes, rate, tmp_path, speech):
    model = build(family, tmp_path, **changes)
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    settings["sampling_rate"] = rate
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    window = "clip" if family == "Whisper" else "auto"
    embedder = SSLEmbedder(model, pooling=None, window=window, cache=None)
    [frames] = embedder.fit_transform([(speech(0, 2.0), RATE)])
    classifier = FineTunedClassifier(model, unfreeze="head", max_seconds=2.0)
    classifier.classes_ = np.array(["anger", "neutral"])
    assert abs(classifier._module()._longest - len(frames)) <= 2


def test_a_long_clip_is_trained_on_in_stretches(fitted):
    """Which are drawn anew, the same ones with the same seed; predictions hear all of it."""
    network = FineTunedNetwork(None, 4, 2, dropout=0.0, longest=5)
    heard = []
    network.head.norm.register_forward_pre_hook(lambda _, args: heard.append(args[0]))
    frames = torch.arange(12.0)[None, :, None].expand(1, 12, 4)
    mask = torch.arange(12)[None] < 10
    torch.manual_seed(0)
    for _ in range(50):
        network.train()(frames, mask)
    starts = [int(part[0, 0]) for part in heard]
    assert all(len(part) == 5 for part in heard)
    assert set(starts) == set(range(6))
    heard.clear()
    network.eval()(frames, mask)
    assert len(heard[0]) == 10

    short = fitted(max_seconds=0.2)
    assert_same_weights(fitted(max_seconds=0.2), short)
    whole, longest = fitted(max_seconds=None), fitted(max_seconds=10)
    assert_same_weights(whole, longest)
    assert any((short.weights_[n] != whole.weights_[n]).any() for n in whole.weights_)


def test_clips_beyond_attention_are_cut(tiny, monkeypatch):
    layers = last_layers(FineTunedClassifier(tiny())._folder(), 1)
    layers.at_once = 20
    monkeypatch.setattr(_trainable, "PIECE", 15)
    frames = torch.randn(1, 40, 24)
    network = FineTunedNetwork(layers, 24, 2, dropout=0.0).eval()
    with torch.no_grad():
        found = network(frames, torch.ones(1, 40, dtype=torch.bool))
        pieces = [layers(piece)[0] for piece in frames.tensor_split(3, dim=1)]
        expected = network.head([torch.cat(pieces)])
    assert_close(found.numpy(), expected.numpy())
    assert [len(p) for p in _trainable._pieces(frames[0], 15)] == [15, 15, 10]  # Whisper's
    assert [len(p) for p in _trainable._pieces(frames[0], 40)] == [40]


def test_frozen_layers_run_once_a_clip(fitted, monkeypatch):
    computed, compute = [], SpeechExtractor.compute
    monkeypatch.setattr(
        SpeechExtractor,
        "compute",
        lambda self, items: computed.extend(items) or compute(self, items),
    )
    fitted(max_epochs=3)
    fitted(max_epochs=2, learning_rate=1e-3)
    assert len(computed) == len(Y)


def test_nothing_need_be_kept(fitted, clips):
    kept, not_kept = fitted(), fitted(cache=None)
    assert_same_weights(not_kept, kept)
    np.testing.assert_array_equal(not_kept.predict_proba(clips), kept.predict_proba(clips))


def test_lora_trains_its_matrices_and_the_head_alone(fitted, clips):
    pytest.importorskip("peft")
    classifier = fitted(unfreeze=2, lora=2, max_epochs=3, learning_rate=1e-2)
    matrices = {name for name in classifier.weights_ if not name.startswith("head.")}
    assert len(matrices) == 2 * 4 * 2  # layers, projections, matrices of each
    assert all(".lora_" in name for name in matrices)
    assert all(classifier.weights_[name].any() for name in matrices)

    merged = LastLayers.state_dict(last_layers(classifier._folder(), 2))
    for name in matrices:
        if ".lora_B." in name:
            weight = name.removeprefix("encoder.").replace(".lora_B.default", "")
            product = classifier.weights_[name] @ classifier.weights_[name.replace("_B.", "_A.")]
            merged[weight] = merged[weight] + 2 * torch.from_numpy(product)
    head = {n: v for n, v in classifier.weights_.items() if n.startswith("head.")}
    whole = clone(classifier).set_params(lora=None)
    whole.__dict__.update(
        {k: v for k, v in classifier.__dict__.items() if k.endswith("_")},
        weights_={**head, **{f"encoder.{name}": v.numpy() for name, v in merged.items()}},
    )
    scores = classifier.decision_function(clips)
    assert_close(whole.decision_function(clips), scores)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.decision_function(clips), scores)


def test_lora_reaches_wavlm(fitted):
    pytest.importorskip("peft")
    classifier = fitted("WavLM-base", unfreeze=1, lora=2, learning_rate=1e-2)
    raised = [name for name in classifier.weights_ if ".lora_B." in name]
    assert len(raised) == 4
    assert all(classifier.weights_[name].any() for name in raised)  # they begin at zero


def test_missing_peft_says_what_to_install(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sklearn-ser\[lora\]'"):
        fitted(lora=2)


def test_it_is_small_and_safe_to_keep(fitted, clips):
    classifier = fitted(unfreeze=1)
    scores = classifier.decision_function(clips)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.decision_function(clips), scores)
    dumped = skops.io.dumps(classifier)
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sklearn_ser.") for name in trusted), trusted
    loaded = skops.io.loads(dumped, trusted=trusted)
    np.testing.assert_array_equal(loaded.decision_function(clips), scores)
    head = fitted(unfreeze="head")
    assert len(pickle.dumps(head)) < sum(values.nbytes for values in head.weights_.values()) + 5000


def test_a_model_that_changed_since_is_refused(clips, tmp_path):
    model = build("wav2vec2-base", tmp_path / "model")
    classifier = FineTunedClassifier(model, unfreeze=1, max_epochs=1, random_state=0)
    classifier.fit(clips, Y, groups=SPEAKERS)
    build("wav2vec2-base", tmp_path / "model", seed=1)
    with pytest.raises(ValueError, match="are not those that were fine-tuned"):
        classifier.predict(clips)


def test_speakers_may_be_a_column(fitted, clips):
    told = fitted()
    X = pd.DataFrame({"speaker": SPEAKERS, "clip": pd.Series(clips, dtype=object)})
    column = fitted(X=X, groups=None, speaker="speaker")
    assert_same_weights(column, told)
    expected = told.predict_proba(clips)
    np.testing.assert_array_equal(column.predict_proba(X), expected)
    np.testing.assert_array_equal(column.predict_proba(X[["clip"]]), expected)
    np.testing.assert_array_equal(column.predict_proba(clips), expected)
    by_position = fitted(X=X, groups=None, speaker=0)
    np.testing.assert_array_equal(by_position.predict_proba(X), expected)
    with pytest.raises(TypeError, match="needs X to be a frame of clips"):
        fitted(speaker="speaker")
    with pytest.raises(ValueError, match="no columns called 'who'"):
        fitted(X=X, speaker="who")
    with pytest.warns(UserWarning, match="there are no speaker labels"):
        fitted(groups=None, validation_fraction=0.5)


def test_segments_of_recordings_are_clips(fitted, clips, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "all.wav", np.concatenate([w for w, _ in clips]), RATE, "FLOAT")
    ends = np.cumsum([len(w) for w, _ in clips]) / RATE
    starts = np.concatenate([[0], ends[:-1]])
    frame = pd.DataFrame({"path": str(tmp_path / "all.wav"), "start": starts, "end": ends})
    cut = fitted(X=frame.assign(speaker=SPEAKERS), groups=None, speaker="speaker")
    assert_same_weights(cut, fitted())


def test_in_a_search_beside_logistic_regression(tiny, clips):
    X = pd.DataFrame({"clip": pd.Series(clips, dtype=object), "speaker": SPEAKERS})
    embedder = SSLEmbedder(tiny())
    frozen = make_pipeline(make_column_transformer((embedder, ["clip"])), LogisticRegression())
    tuned = FineTunedClassifier(
        tiny(), speaker="speaker", max_epochs=1, random_state=0, validation_fraction=0.5
    )
    search = GridSearchCV(
        Pipeline([("model", frozen)]),
        [{"model": [frozen]}, {"model": [tuned], "model__unfreeze": ["head", 1]}],
        cv=GroupKFold(3),
        scoring="balanced_accuracy",
    )
    search.fit(X, Y, groups=SPEAKERS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 3
    assert search.predict(X).shape == Y.shape


def test_probabilities_are_calibrated_on_request(fitted, clips):
    plain, calibrated = fitted(), fitted(calibrate=True)
    assert plain.temperature_ == 1 != calibrated.temperature_
    np.testing.assert_array_equal(calibrated.predict(clips), plain.predict(clips))


def test_low_precision_is_close(fitted, clips):
    exact, low = fitted(), fitted(dtype="bfloat16")
    assert all(values.dtype == np.float32 for values in low.weights_.values())
    assert_close(low.decision_function(clips), exact.decision_function(clips), 0.1)
    assert (low.decision_function(clips) != exact.decision_function(clips)).any()


KILLED = """
import os, signal, sys
import numpy as np, torch
from sklearn_ser.classifiers import FineTunedClassifier

torch.set_num_threads(1)
folder, model, parameters = sys.argv[1], sys.argv[2], eval(sys.argv[3])
n_steps, step = 0, torch.optim.AdamW.step

def die_in_the_third_epoch(self, *args, **kwargs):
    global n_steps
    n_steps += 1
    if n_steps == 2 * 4 + 2:  # of four steps an epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)

torch.optim.AdamW.step = die_in_the_third_epoch
data = np.load(folder + "/data.npz")
X = [(data[f"clip{i}"], 16000) for i in range(len(data["y"]))]
FineTunedClassifier(model, **parameters).fit(X, data["y"], groups=data["groups"])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(tiny, clips, fitted, tmp_path):
    parameters = {
        "max_epochs": 5,
        "batch_size": 1,
        "accumulate": 2,
        "max_seconds": 0.3,
        "warmup": 0.9,
        "learning_rate": 1e-2,
        "random_state": 0,
    }
    waveforms = {f"clip{i}": waveform for i, (waveform, _) in enumerate(clips)}
    np.savez(tmp_path / "data.npz", y=Y, groups=SPEAKERS, **waveforms)
    folder = tmp_path / "runs"
    uninterrupted = fitted(**parameters)
    arguments = [str(tmp_path), tiny(), repr({**parameters, "checkpoint": str(folder)})]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (kept,) = folder.iterdir()
    run = json.loads(torch.load(_content(kept), weights_only=True)["run"])
    assert [epoch["epoch"] for epoch in run[0]] == [1, 2]

    Path(f"{folder / kept.name}.{'0' * 32}.tmp").write_bytes(b"torn")  # killed while writing
    resumed = fitted(**parameters, checkpoint=folder)
    assert_same_weights(resumed, uninterrupted)
    for curve in ("epoch", "train_loss", "valid_loss", "valid_uar"):
        np.testing.assert_array_equal(resumed.history_[curve], uninterrupted.history_[curve])
    np.testing.assert_array_equal(resumed.history_["seconds"][:2], [e["dur"] for e in run[0]])
    assert resumed.n_epochs_ == uninterrupted.n_epochs_
    np.testing.assert_array_equal(resumed.predict_proba(clips), uninterrupted.predict_proba(clips))


def _content(path):
    import io

    return io.BytesIO(path.read_bytes()[32:])


@pytest.mark.parametrize("patience", [1, 9])
def test_a_finished_run_is_not_repeated(fitted, tmp_path, monkeypatch, patience):
    """Whether patience ran out, or epochs."""
    options = {"max_epochs": 6, "patience": patience, "learning_rate": 3e-2, "warmup": 0}
    first = fitted(**options)
    assert_same_weights(fitted(**options, checkpoint=tmp_path), first)
    (kept,) = tmp_path.iterdir()
    trained = sum(values.nbytes for values in first.weights_.values())
    assert kept.stat().st_size < 1.5 * trained + 20_000
    monkeypatch.setattr(Checkpoint, "on_epoch_begin", lambda *_, **__: pytest.fail("an epoch"))
    again = fitted(**options, checkpoint=tmp_path, verbose=False, device="cpu")
    assert_same_weights(again, first)
    for curve in ("epoch", "train_loss", "valid_loss", "valid_uar"):
        np.testing.assert_array_equal(again.history_[curve], first.history_[curve])


def test_other_clips_and_parameters_have_checkpoints_of_their_own(fitted, clips, tmp_path):
    first = fitted(checkpoint=tmp_path)
    renamed = np.select([Y == "anger", Y == "neutral"], ["alarm", "anger"], Y)  # in the same order
    others = [
        {"X": clips[::-1]},
        {"y": np.roll(Y, 1)},
        {"learning_rate": 1e-3},
        {"unfreeze": 1},
        {"random_state": 1},
        {"groups": np.roll(SPEAKERS, 4)},
        {"class_weight": {"anger": 3}},
        {"class_weight": {"anger": 3}, "y": renamed},
        {"changes": NO_DROPOUT.items()},
    ]
    for n, other in enumerate(others, start=2):
        fit = fitted(**other, checkpoint=tmp_path)
        assert any((fit.weights_.get(k) != v).any() for k, v in first.weights_.items())
        assert len(list(tmp_path.iterdir())) == n
    assert_same_weights(fitted(checkpoint=tmp_path), first)


def test_a_damaged_checkpoint_is_told_and_replaced(fitted, tmp_path):
    first = fitted(checkpoint=tmp_path)
    (kept,) = tmp_path.iterdir()
    content = kept.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:-9] + b"x" + content[-8:]):
        kept.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"the checkpoint .*\.pt is damaged; training starts"):
            again = fitted(checkpoint=tmp_path)
        assert_same_weights(again, first)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted(checkpoint=tmp_path)


def test_interrupting_by_hand_is_an_interruption(fitted, tmp_path, monkeypatch):
    """And not the end of training, which it would be to skorch."""
    before = Checkpoint.on_epoch_begin

    def interrupt(self, net, **kwargs):
        before(self, net, **kwargs)
        if len(net.history) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_begin", interrupt)
        for checkpoint in (None, tmp_path):
            with pytest.raises(KeyboardInterrupt):
                fitted(max_epochs=4, checkpoint=checkpoint)
    assert_same_weights(fitted(max_epochs=4, checkpoint=tmp_path), fitted(max_epochs=4))


def test_progress_is_shown(fitted, capsys):
    fitted(max_epochs=2, verbose=True, cache=None)
    shown = capsys.readouterr()
    assert "frozen layers: 100%" in shown.err
    assert "valid_uar" in shown.out
    assert len(shown.out.strip().splitlines()) == 2 + 2  # a head and a line an epoch


@pytest.mark.parametrize("cache", ["auto", None])
def test_unusable_clips_are_named_before_training(fitted, clips, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(Checkpoint, "on_epoch_begin", lambda *_, **__: pytest.fail("an epoch"))
    for unusable, cause in (
        (str(tmp_path / "none.wav"), r"clip 7 \(none.wav\): no such file"),
        ((np.zeros(4000), RATE), r"clip 7 \(waveform\): silent"),
        ((clips[0][0][:200], RATE), r"clip 7 \(waveform\): lasts 0.0125 s"),
        (3.0, r"clip 7 \(float\): not a clip"),
    ):
        X = [*clips[:7], unusable, *clips[8:]]
        with pytest.raises(ClipError, match=cause):
            fitted(X=X, cache=cache)


def test_what_cannot_be_is_told(fitted, clips, tmp_path):
    with pytest.raises(ValueError, match=r"unfreeze=4, but .* has 3 layers"):
        fitted(unfreeze=4)
    with pytest.raises(ValueError, match="lora=2 goes into layers, of which unfreeze='head'"):
        fitted(unfreeze="head", lora=2)
    with pytest.raises(ValueError, match="checkpoint needs random_state"):
        fitted(random_state=None, checkpoint=tmp_path)
    with pytest.raises(OSError, match="cannot be run apart from it"):
        fitted("SEWD", changes={"conv_dim": (16,) * 13, "squeeze_factor": 2}.items())
    with pytest.raises(OSError, match=r"is not a folder here, and not to be had from .*"):
        FineTunedClassifier("no/such-model").fit(clips, Y, groups=SPEAKERS)
    with pytest.raises(ValueError, match="y has one class"):
        fitted(y=np.full(len(Y), "anger"))

"""What SSLEmbedder chooses from a record, when it runs its model, and what it carries along."""

import os
import pickle
import threading

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._store import Store

N_DIMS = 24


@pytest.fixture
def all_layers(tiny_model, clips):
    """Means of layers 0 to 3 of the clips, of shape (n_clips, 4, n_dims)."""
    embedded = SSLEmbedder(tiny_model(), layer="all", cache=None).fit_transform(clips)
    return embedded.reshape(len(clips), 4, N_DIMS)


@pytest.mark.parametrize(
    ("layer", "chosen"),
    [
        (0, [0]),
        (3, [3]),
        (-1, [3]),
        (-4, [0]),
        (np.int64(2), [2]),
        ("middle", [1]),
        ([2], [2]),
        ([3, 0, -2], [3, 0, 2]),
        ((1, 2), [1, 2]),
        (np.array([0, 1]), [0, 1]),
        (range(2), [0, 1]),
        ("all", [0, 1, 2, 3]),
    ],
)
def test_layer_chooses(tiny_model, clips, all_layers, layer, chosen):
    embedder = SSLEmbedder(tiny_model(), layer=layer)
    embedded = embedder.fit_transform(clips)
    np.testing.assert_array_equal(embedded, all_layers[:, chosen].reshape(len(clips), -1))
    names = [f"layer{k}_mean_{i:04d}" for k in chosen for i in range(N_DIMS)]
    assert embedder.get_feature_names_out().tolist() == names


@pytest.mark.parametrize("layer", [4, -5, [0, 4], []])
def test_a_layer_that_is_not_there_is_an_error(tiny_model, clips, layer):
    with pytest.raises(ValueError, match=r"layer=.* has layers 0 to 3"):
        SSLEmbedder(tiny_model(), layer=layer).fit(clips)


@pytest.mark.parametrize("layer", ["last", 1.5, None, [0, 1.5], ["middle"], [[0], [1]]])
def test_a_layer_that_is_no_layer_is_an_error(tiny_model, clips, layer):
    with pytest.raises(ValueError, match="layer"):
        SSLEmbedder(tiny_model(), layer=layer).fit(clips)


def test_names_say_layer_statistic_and_dimension(tiny_model, clips):
    def names(**options):
        return SSLEmbedder(tiny_model(), **options).fit(clips).get_feature_names_out()

    both = names(layer=[0, -1], pooling=["std", "median"])
    assert both[[0, N_DIMS, 2 * N_DIMS, -1]].tolist() == [
        "layer0_std_0000",
        "layer0_median_0000",
        "layer3_std_0000",
        "layer3_median_0023",
    ]
    assert names(layer="mean")[1] == "layermean_mean_0001"
    assert names(layer=2, pooling=None)[-1] == "layer2_0023"


def test_pooling_chooses(tiny_model, clips):
    frames = SSLEmbedder(tiny_model(), layer=2, pooling=None).fit_transform(clips)
    both = SSLEmbedder(tiny_model(), layer=2, pooling=("max", "mean")).fit_transform(clips)
    desired = [np.r_[sequence.max(axis=0), sequence.mean(axis=0)] for sequence in frames]
    np.testing.assert_allclose(both, desired, rtol=1e-5, atol=1e-6)


def test_new_weights_lead_to_new_records_and_numbers(build_model, clips):
    folder = build_model(seed=1)
    embedder = SSLEmbedder(str(folder))
    before = embedder.fit_transform(clips)
    size = (folder / "model.safetensors").stat().st_size
    os.replace(build_model(seed=2) / "model.safetensors", folder / "model.safetensors")
    assert (folder / "model.safetensors").stat().st_size == size
    after = embedder.transform(clips)
    assert len(Store().list()) == 2
    assert np.linalg.norm(after - before) > 0.1 * np.linalg.norm(before)
    desired = SSLEmbedder(str(folder), cache=None).fit_transform(clips)
    np.testing.assert_array_equal(after, desired)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_new_settings_of_the_model_lead_to_new_records(build_model, clips, name):
    folder = build_model()
    embedder = SSLEmbedder(str(folder))
    embedder.fit_transform(clips)
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace('"do_normalize": true', '"do_normalize": false') + " ")
    embedder.transform(clips)
    assert len(Store().list()) == 2


def test_what_changes_a_number_enters_the_key_and_nothing_else_does(tiny_model, clips):
    def keys(**options):
        SSLEmbedder(tiny_model(), **options).fit_transform(clips[:1])
        return len(Store().list())

    assert keys() == 1
    assert keys(layer="mean", pooling=["min", "std"], n_jobs=2, device="cpu", on_error="nan") == 1
    with pytest.raises(ValueError, match="revision='v2' is of models on the hub"):
        keys(revision="v2")


def test_equal_models_in_two_folders_share_records(build_model, clips):
    for _ in range(2):
        SSLEmbedder(str(build_model(seed=3))).fit_transform(clips)
    assert Store().size()[0] == len(clips)


def test_threads_that_share_a_model_do_not_mix(tiny_model, clips):
    one, other = clips[:1], clips[-1:]
    embedders = [SSLEmbedder(tiny_model(), layer="all", cache=None) for _ in range(2)]
    desired = [embedders[0].fit_transform(one), embedders[1].fit_transform(other)]
    start, wrong = threading.Barrier(2), []

    def embed_often(i, part):
        start.wait()
        for _ in range(30):
            if not np.allclose(embedders[i].transform(part), desired[i], rtol=1e-5, atol=1e-6):
                wrong.append(i)

    threads = [threading.Thread(target=embed_often, args=args) for args in enumerate([one, other])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("embedder", [SSLEmbedder, MFCCEmbedder, EGeMAPSEmbedder])
def test_used_embedders_are_small_and_safe_to_save(embedder, tiny_model, clips):
    options = {"model": tiny_model(), "layer": [0, 1]} if embedder is SSLEmbedder else {}
    used = embedder(**options)
    embedded = used.fit_transform(clips[:2])
    assert len(pickle.dumps(used)) < 10_000
    dumped = skops.io.dumps(used)
    assert len(dumped) < 50_000
    trusted = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("sklearn_ser.") for name in trusted)
    loaded = skops.io.loads(dumped, trusted=trusted)
    np.testing.assert_array_equal(loaded.transform(clips[:2]), embedded)


@pytest.fixture
def counting_ssl(tmp_path):
    """A class that counts its passes in a file, over every process, and the file."""
    passes = tmp_path / "passes"
    passes.touch()
    log = str(passes)

    class CountingSSL(SSLEmbedder):
        def make_extractor(self):
            extractor = super().make_extractor()
            compute = extractor.compute

            def counted(items):
                with open(log, "ab", buffering=0) as file:
                    file.write(b"." * len(items))
                return compute(items)

            extractor.compute = counted
            return extractor

    return CountingSSL, passes


@pytest.fixture
def emotional_clips(speech):
    """Twenty clips of five speakers and two emotions, and a grid over layers and statistics."""
    X = [(speech(i, 0.3 + 0.01 * i), 16000) for i in range(20)]
    y = np.tile(["angry", "sad"], 10)
    groups = np.repeat(list("ABCDE"), 4)
    grid = {"layer": [0, 1, 2, 3, "mean"], "pooling": ["mean", "std", ["min", "max"]]}
    return X, y, groups, grid


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_search_over_layers_and_statistics_runs_the_model_once_a_clip(
    tiny_model, counting_ssl, emotional_clips, n_jobs, tmp_path
):
    embedder, passes = counting_ssl
    X, y, groups, grid = emotional_clips
    pipeline = make_pipeline(
        embedder(tiny_model(), cache=str(tmp_path / "records")), LogisticRegression(C=1e-3)
    )
    names = {f"countingssl__{name}": values for name, values in grid.items()}
    search = GridSearchCV(pipeline, names, cv=GroupKFold(5), n_jobs=n_jobs)
    search.fit(X, y, groups=groups)
    assert len(search.cv_results_["params"]) == 15
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert passes.stat().st_size == len(X)


def test_a_nested_search_runs_the_model_once_a_clip(tiny_model, counting_ssl, emotional_clips):
    embedder, passes = counting_ssl
    X, y, groups, _ = emotional_clips
    pipeline = make_pipeline(embedder(tiny_model()), LogisticRegression(C=1e-3))
    grid = {"countingssl__layer": [0, 2, -1], "countingssl__pooling": ["mean", "max"]}
    for train, test in GroupKFold(5).split(X, y, groups):
        search = GridSearchCV(pipeline, grid, cv=GroupKFold(2))
        search.fit([X[i] for i in train], y[train], groups=groups[train])
        assert search.predict([X[i] for i in test]).shape == test.shape
    assert passes.stat().st_size == len(X)


def test_a_model_that_cannot_be_had_does_not_keep_its_embedder_from_being_shown():
    assert "nowhere/to-be-had" in SSLEmbedder("nowhere/to-be-had")._repr_html_()

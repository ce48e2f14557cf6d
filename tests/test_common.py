"""scikit-learn's own checks, on every embedder."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder, embedders
from sklearn_ser.embedders import BaseEmbedder, TextEmbedder

# scikit-learn's checks pass rows of 2 to 30 numbers. At 30 samples a second these are real clips
# of 0.07 to 1 s, which are resampled like any other.
RATE = 30
EXPECTED_FAILURES = {
    "check_estimators_dtypes": "one row of its integers is all zeros, and a silent clip is an error"
}


EMBEDDERS = [
    MFCCEmbedder(n_mfcc=5, deltas=1, n_fft=512, hop_length=256, n_mels=20, waveform_rate=RATE),
    EGeMAPSEmbedder(waveform_rate=RATE),
    EGeMAPSEmbedder(level="lld", waveform_rate=RATE),
    SSLEmbedder("tiny", waveform_rate=RATE, layer=[0, -1], pooling=["mean", "std"]),
]
FURTHER_CHECKS = [
    check_param_validation,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
]


@pytest.fixture(autouse=True, scope="module")
def _tiny_model_here(tmp_path_factory):
    """Give the name "tiny" a folder, so that the parametrised estimators need no path."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    folder = tmp_path_factory.mktemp("models")
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2Model(config).save_pretrained(folder / "tiny")
    Wav2Vec2FeatureExtractor().save_pretrained(folder / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def test_every_public_embedder_is_checked():
    public = [getattr(embedders, name) for name in embedders.__all__]
    public = {cls for cls in public if issubclass(cls, BaseEmbedder)} - {BaseEmbedder}
    public -= {TextEmbedder}  # no numbers stand for a text; it has tests of its own
    assert public == {type(embedder) for embedder in EMBEDDERS}


@parametrize_with_checks(EMBEDDERS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# Some of them fit a frame and transform an array, or the reverse, on purpose.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", EMBEDDERS, ids=lambda estimator: type(estimator).__name__)
def test_further_scikit_learn_checks(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", EMBEDDERS, ids=lambda estimator: type(estimator).__name__)
class TestContract:
    def test_two_d_arrays_are_declared(self, estimator):
        tags = estimator.__sklearn_tags__()
        assert tags.input_tags.two_d_array
        assert not tags.requires_fit

    def test_parameters_are_constrained_and_documented(self, estimator):
        parameters = set(inspect.signature(type(estimator)).parameters)
        assert parameters == set(estimator._parameter_constraints)
        documented = type(estimator).__doc__.partition("Returns")[0]
        assert all(f"{name}" in documented for name in parameters)

    def test_pickle_is_small_after_use(self, estimator):
        X = np.random.default_rng(0).normal(size=(2, 20))
        embedded = estimator.fit_transform(X)
        pickled = pickle.dumps(estimator)
        assert len(pickled) < 10_000
        np.testing.assert_array_equal(pickle.loads(pickled).transform(X), embedded)

    def test_html_links_to_the_documentation(self, estimator):
        assert f"sklearn_ser.embedders.{type(estimator).__name__}.html" in estimator._repr_html_()

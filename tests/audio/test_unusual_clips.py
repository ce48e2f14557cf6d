"""Masked arrays, pairs and dicts of unusual parts: taken where they are clear, refused by name."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._audio import as_clip, items_of
from sklearn_ser.audit import find_duplicates
from sklearn_ser.classifiers import FineTunedClassifier
from sklearn_ser.exceptions import ClipError
from sklearn_ser.preprocessing import AudioAugmenter

RATE = 16000


def masked(waveform, n_masked):
    return np.ma.array(waveform, mask=np.arange(len(waveform)) < n_masked)


FORMS = {
    "bare": lambda samples: (samples, RATE),
    "pair": lambda samples: ((samples, RATE), None),
    "rate first": lambda samples: ((RATE, samples), None),
    "dict": lambda samples: ({"array": samples, "sampling_rate": RATE}, None),
    "segment": lambda samples: ({"array": samples, "sampling_rate": RATE, "start": 0.1}, None),
    "row": lambda samples: ({"audio": {"array": samples, "sampling_rate": RATE}}, None),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i2"])
def test_masked_samples_are_refused_with_their_number(form, dtype, speech):
    waveform = (speech() * (20000 if dtype == "i2" else 1)).astype(dtype)
    value, rate = FORMS[form](masked(waveform, 7))
    with pytest.raises(ClipError, match=rf"7 of its {len(waveform)} samples are masked\. Fill"):
        as_clip(value, 0, rate).read()
    value, rate = FORMS[form](masked(waveform, 0))
    plain, _ = FORMS[form](waveform)
    clip, expected = as_clip(value, 0, rate), as_clip(plain, 0, rate)
    assert clip.digest() == expected.digest()
    np.testing.assert_array_equal(
        clip.waveform(clip.read(), RATE), expected.waveform(expected.read(), RATE)
    )


USERS = {
    "mfcc": lambda X, y: MFCCEmbedder(5, waveform_rate=RATE).fit_transform(X),
    "egemaps": lambda X, y: EGeMAPSEmbedder(waveform_rate=RATE).fit_transform(X),
    "ssl": lambda X, y: SSLEmbedder("nano", waveform_rate=RATE).fit_transform(X),
    "fine-tuned": lambda X, y: FineTunedClassifier(waveform_rate=RATE).fit(X, y, groups=[*"aabb"]),
    "augmenter": lambda X, y: AudioAugmenter("gain", waveform_rate=RATE).fit_resample(X, y),
    "audit": lambda X, y: find_duplicates(X, waveform_rate=RATE),
}


@pytest.mark.parametrize("kind", ["matrix", "list", "objects"])
@pytest.mark.parametrize("user", USERS)
def test_whatever_takes_clips_refuses_masked_ones(user, kind, speech):
    X = np.ma.array([speech(seed) for seed in range(4)])
    X[2, :5] = np.ma.masked
    if kind == "list":
        X = list(X)
    elif kind == "objects":
        rows, X = X, np.empty(4, dtype=object)
        X[:] = list(rows)
    with pytest.raises(ClipError, match=r"clip 2 .*5 of its 6400 samples are masked"):
        USERS[user](X, list("abab"))


def test_masked_rows_of_a_batch_may_be_left_out(speech):
    X = np.ma.array([speech(seed) for seed in range(3)])
    X[1, 9] = np.ma.masked
    embedded = MFCCEmbedder(5, waveform_rate=RATE, on_error="nan").fit_transform(X)
    assert np.isnan(embedded).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [str, object])
def test_masked_paths_are_no_clips(dtype):
    paths = np.ma.array(np.array(["a.wav", "b.wav"], dtype=dtype), mask=[False, True])
    assert items_of(paths) == ["a.wav", None]
    assert items_of(paths.reshape(2, 1)) == ["a.wav", None]
    with pytest.raises(ClipError, match=r"clip 1 .*not a clip: None"):
        as_clip(items_of(paths)[1], 1).read()


LISTS = {
    "list": np.ndarray.tolist,
    "tuple": tuple,
    "list of NumPy's floats": list,
    "Arrow": pa.array,
    "Arrow value": lambda waveform: pa.array([waveform])[0].values,
    "torch": torch.tensor,
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_dict_of_audio_may_hold_any_list_of_floats(kind, speech):
    samples = speech().astype(np.float64)
    clip = as_clip({"path": "a.wav", "array": LISTS[kind](samples), "sampling_rate": RATE}, 0)
    assert clip.name == "a.wav"
    np.testing.assert_array_equal(clip.waveform(clip.read(), RATE), samples.astype(np.float32))


@pytest.mark.parametrize(
    "rate", [RATE, 16000.0, np.int64(RATE), np.array(RATE), torch.tensor(RATE)]
)
@pytest.mark.parametrize("form", ["pair", "rate first", "dict"])
def test_a_rate_may_be_any_scalar(form, rate, speech):
    value = {
        "pair": (speech(), rate),
        "rate first": (rate, speech()),
        "dict": {"array": speech(), "sampling_rate": rate},
    }[form]
    assert as_clip(value, 0).rate == RATE


@pytest.mark.parametrize(
    ("form", "rate"),
    [
        (form, rate)
        for form in ("pair", "rate first", "dict")
        for rate in ("16000", "16 kHz", b"16000", True, [16000], np.array([16000]))
        if form != "rate first" or not np.ndim(rate)  # two lists may as well be two channels
    ],
)
def test_a_rate_that_is_no_number_is_named(form, rate, speech):
    value = {
        "pair": (speech(), rate),
        "rate first": (rate, speech()),
        "dict": {"array": speech(), "sampling_rate": rate},
    }[form]
    with pytest.raises(ClipError) as caught:
        as_clip(value, 0).read()
    assert f"its sampling rate is {rate!r}. Give a positive number of Hz" in str(caught.value)
    assert ("not text" in str(caught.value)) == isinstance(rate, str)


@pytest.mark.parametrize(
    "value", [("a.wav", RATE), (Path("a.wav"), RATE), (RATE, "a.wav"), ["a.wav", "b.wav"]]
)
def test_a_path_needs_no_rate(value):
    with pytest.raises(ClipError, match=r"with text: .*a\.wav.*Pass a path by itself"):
        as_clip(value, 0).read()

"""Segments of recordings, wherever a clip may stand."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile
from sklearn.compose import ColumnTransformer

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip
from sklearn_ser.exceptions import ClipError

RATE = 16000
# A tone that rises, so that every part sounds different; 3 s, two channels.
PHASE = 2 * np.pi * np.cumsum(np.linspace(200, 3000, 3 * RATE)) / RATE
RECORDING = 0.5 * np.stack([np.sin(PHASE), np.sin(PHASE / 2)], axis=1).astype(np.float32)


@pytest.fixture(params=["wav", "flac", "ogg", "mp3"])
def path(request, tmp_path):
    path = tmp_path / f"recording.{request.param}"
    soundfile.write(path, RECORDING, RATE)
    return str(path)


def waveform(value):
    clip = as_clip(value, 0)
    return clip.waveform(clip.read(), RATE)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ({"start": 1.0, "end": 1.5}, slice(RATE, RATE * 3 // 2)),
        ({"start": 2.5}, slice(RATE * 5 // 2, None)),
        ({"end": 0.25}, slice(0, RATE // 4)),
        ({"start": 2.0, "end": 3.05}, slice(2 * RATE, None)),  # tables round
        ({"start": float("nan"), "end": None}, slice(None)),  # a table's hole
        ({"start": pd.NA, "end": pd.NA}, slice(None)),
        ({"start": 1, "end": pd.NaT}, slice(RATE, None)),
    ],
)
@pytest.mark.parametrize("channel", [None, 0, 1])
def test_segment_is_that_part_of_the_recording(path, segment, expected, channel):
    samples, _ = soundfile.read(path, dtype="float32")
    mono = samples.mean(1) if channel is None else samples[:, channel]
    found = waveform({"path": path, "channel": channel, **segment})
    # Decoding MPEG twice does not give the same last bit.
    np.testing.assert_allclose(found, mono[expected], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["array", "bytes"])
def test_segments_of_other_clips(kind):
    if kind == "array":
        value = {"array": RECORDING[:, 0], "sampling_rate": RATE}
    else:
        file = io.BytesIO()
        soundfile.write(file, RECORDING[:, 0], RATE, format="WAV", subtype="FLOAT")
        value = {"bytes": file.getvalue()}
    found = waveform({**value, "start": 1, "end": 2})
    np.testing.assert_array_equal(found, RECORDING[RATE : 2 * RATE, 0])
    assert as_clip({**value, "start": 1, "end": 2}, 0).seconds() == pytest.approx(1)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_frame_of_segments(path, make, tmp_path):
    table = make({"path": [path, path], "start": [0.0, 1.5], "end": [1.0, None]})
    embedder = MFCCEmbedder(cache=str(tmp_path / "store"))
    samples, _ = soundfile.read(path, dtype="float32")
    mono = samples.mean(1)
    expected = embedder.fit_transform([(mono[:RATE], RATE), (mono[RATE * 3 // 2 :], RATE)])
    for _ in range(2):  # computed, and then from the store
        np.testing.assert_allclose(embedder.fit_transform(table), expected, rtol=1e-3, atol=1e-3)
    columns = ColumnTransformer([("sound", embedder, ["path", "start", "end"])])
    table = (
        pd.DataFrame({**table.to_dict(as_series=False), "text": ["a", "b"]})
        if make is pl.DataFrame
        else table.assign(text="a")
    )
    np.testing.assert_array_equal(
        columns.fit_transform(table), embedder.transform(table[["path", "start", "end"]])
    )
    with pytest.raises(ValueError, match=r"columns \['text'\] beside path"):
        embedder.fit_transform(table)


def test_segments_of_one_file_have_records_of_their_own(path):
    values = [
        {"path": path},
        {"path": path, "start": 1.0},
        {"path": path, "start": 1.0, "end": 2.0},
        {"path": path, "channel": 1},
        {"path": path, "start": 1.0, "channel": 1},
    ]
    digests = [as_clip(value, 0).digest() for value in values]
    assert len(set(digests)) == len(values)
    assert (
        digests[0] == as_clip(path, 0).digest() == as_clip({"path": path, "start": 0}, 0).digest()
    )
    for value in values:
        clip = as_clip(value, 0)
        assert clip.digest(clip.read()) == clip.digest()


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ({"start": 3.0}, r"segment \(3 s to its end\) is not inside of its 3 s"),
        ({"end": 3.4}, r"segment \(0 s to 3.4 s\) is not inside"),
        ({"start": -1}, "its start is -1, not seconds from 0 on"),
        ({"end": float("inf")}, "its end is inf, not seconds"),
        ({"start": 1e300}, "its start is 1e.300, not seconds"),
        ({"end": 10**400}, "its end is 1000.*, not seconds"),
        ({"start": 2, "end": 1}, "ends at 1 s, before it starts at 2 s"),
        ({"start": "1"}, "its start is '1'"),
        ({"channel": 2}, r"has 2 channel\(s\), so none with the number 2"),
        ({"channel": 0.5}, "its channel is 0.5, not a whole number"),
    ],
)
def test_what_is_no_segment(path, segment, message):
    with pytest.raises(ClipError, match=message):
        waveform({"path": path, **segment})


@pytest.mark.parametrize("missing", [pd.NA, None, float("nan")])
def test_a_table_of_segments_may_have_holes(path, missing):
    integers, numbers = ("Int64", "Float64") if missing is pd.NA else (object, object)
    table = pd.DataFrame(
        {
            "path": [path] * 3,
            "start": pd.array([missing, 1.0, missing], dtype=numbers),
            "end": pd.array([missing, 2.0, 1.0], dtype=numbers),
            "channel": pd.array([missing, 1, 0], dtype=integers),
        }
    )
    samples, _ = soundfile.read(path, dtype="float32")
    parts = [samples.mean(axis=1), samples[RATE : 2 * RATE, 1], samples[:RATE, 0]]
    embedder = MFCCEmbedder(cache=None)
    np.testing.assert_allclose(
        embedder.fit_transform(table),
        embedder.fit_transform([(part, RATE) for part in parts]),
        rtol=1e-3,
        atol=1e-3,
    )

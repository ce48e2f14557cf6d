"""The sound of video files, which libsndfile cannot read."""

import io
import struct
import sys

import av
import numpy as np
import pytest

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip
from sklearn_ser.exceptions import ClipError

RATE = 44100
WAVEFORM = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def encode(format="mp4", codec="aac", n_channels=2):
    """Return a second of a tone as a file, after a track of pictures if it is a video."""
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        track = container.add_stream(
            codec, rate=RATE, layout="stereo" if n_channels == 2 else "mono"
        )
        samples = np.tile(WAVEFORM, (n_channels, 1))
        frame = av.AudioFrame.from_ndarray(samples, "fltp", track.layout.name)
        frame.sample_rate = RATE
        resampler = av.AudioResampler(track.format, track.layout, RATE, track.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "codec"), [("mp4", "aac"), ("ipod", "aac"), ("matroska", "pcm_s16le")]
)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_sound_of_a_container(format, codec, n_channels, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode(format, codec, n_channels))
    clip = as_clip(path, 0)
    waveform = clip.waveform(clip.read(), RATE)
    assert abs(len(waveform) - RATE) < 4096  # AAC codes blocks
    middle = waveform[RATE // 4 : RATE // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(spectrum.argmax() * RATE / len(middle) - 440) < 5
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)
    assert MFCCEmbedder(cache=None).fit_transform([path]).shape[0] == 1


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_s16le", "aac"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1"])
def test_every_channel_of_a_container_is_read(layout, codec):
    file = io.BytesIO()
    n_channels = av.AudioLayout(layout).nb_channels
    loudness = np.linspace(0.1, 0.9, n_channels, dtype=np.float32)[:, None]
    with av.open(file, "w", format="matroska") as container:
        track = container.add_stream(codec, rate=RATE, layout=layout)
        packed = (loudness * WAVEFORM).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate = RATE
        resampler = av.AudioResampler(track.format, track.layout, RATE, track.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    for channel in range(n_channels):
        clip = as_clip({"bytes": file.getvalue(), "channel": channel}, 0)
        waveform = clip.waveform(clip.read(), RATE)[RATE // 4 : RATE // 2]
        peak = 0.5 * loudness[channel, 0]
        low_pass = codec == "aac" and layout in ("5.1", "7.1") and channel == 3  # only bass
        if not low_pass:
            assert np.abs(waveform).max() == pytest.approx(peak, rel=0.1)


def with_index_first(content):
    """Return an MP4 file whose index is before its data, as for streaming."""
    at, boxes = 0, {}
    while at < len(content):
        size = struct.unpack(">I", content[at : at + 4])[0]
        boxes[content[at + 4 : at + 8]] = content[at : at + size]
        at += size
    index = boxes.pop(b"moov")
    at = index.index(b"stco") + 8
    (n_chunks,) = struct.unpack(">I", index[at : at + 4])
    places = np.frombuffer(index, ">u4", n_chunks, at + 4) + len(index)
    index = index[: at + 4] + places.astype(">u4").tobytes() + index[at + 4 + 4 * n_chunks :]
    return boxes.pop(b"ftyp") + index + b"".join(boxes.values())


@pytest.mark.parametrize(
    ("format", "codec", "detail"),
    [
        ("mp4", "aac", "Invalid data"),
        ("mov", "pcm_s16le", r"0\.[56] s could be decoded, of 1\.0 s"),
    ],
)
def test_a_film_that_was_cut_is_truncated(format, codec, detail):
    content = with_index_first(encode(format, codec))
    assert MFCCEmbedder(cache=None).fit_transform([{"bytes": content}]).shape[0] == 1
    with pytest.raises(ClipError, match=rf"truncated or damaged \(.*{detail}"):
        MFCCEmbedder(cache=None).fit_transform([{"bytes": content[: len(content) * 6 // 10]}])


def test_damaged_container():
    content = encode()
    with pytest.raises(ClipError, match="truncated or damaged"):
        MFCCEmbedder(cache=None).fit_transform([{"bytes": content[:200]}])


def test_container_without_sound():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        track = container.add_stream("mpeg4", rate=5)
        track.width = track.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with pytest.raises(ClipError, match="it holds no sound"):
        MFCCEmbedder(cache=None).fit_transform([{"bytes": file.getvalue()}])


def test_without_pyav(monkeypatch):
    content = encode()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ClipError, match=r'Install PyAV \(pip install "sklearn-ser\[video\]"\)'):
        MFCCEmbedder(cache=None).fit_transform([{"bytes": content}])

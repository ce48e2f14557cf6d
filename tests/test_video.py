"""The sound of video files, which libsndfile cannot read."""

import io
import sys

import av
import numpy as np
import pytest

from sklearn_ser import MFCCEmbedder
from sklearn_ser.audio import ClipError, as_clip

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

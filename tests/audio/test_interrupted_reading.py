"""What libsndfile's calls back to Python raise ends the reading: Ctrl-C, and errors of the disk."""

import errno
import io
import re
import signal

import numpy as np
import pytest
import soundfile

from sklearn_ser._audio import _content, _streams, as_clips, read_blocks
from sklearn_ser.exceptions import ClipError
from sklearn_ser.preprocessing import _changes

RATE = 16000
FORMATS = ["WAV", "AIFF", "FLAC", "MP3"]
BY_PYAV = ["WEBM", "ADTS"]


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(scale=0.1, size=30 * RATE).astype(np.float32)


def write_by_pyav(path, samples):
    av = pytest.importorskip("av")
    codec = {".webm": "libopus", ".adts": "aac"}[path.suffix]
    with av.open(str(path), "w", format=path.suffix[1:]) as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        resampler = av.AudioResampler(stream.format, "mono", 48000, frame_size=960)
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate = RATE
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts = None
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


@pytest.fixture
def path(request, noise, tmp_path, monkeypatch):
    """Return a file of a format, of which a part at a time is in memory."""
    monkeypatch.setattr(_content, "SMALL", 0)
    monkeypatch.setattr(_content, "PART", 1 << 12)
    path = tmp_path / f"clip.{request.param.lower()}"
    if request.param in BY_PYAV:
        write_by_pyav(path, noise)
        return path
    soundfile.write(path, noise, RATE, format=request.param)
    content = path.read_bytes()
    if request.param == "FLAC":  # of unknown length, as recorders that stream write it
        path.write_bytes(content[:21] + bytes([content[21] & 0xF0, 0, 0, 0, 0]) + content[26:])
    return path


def when_called(method, number, what):
    """Return a method that does something first, when it is called for the so-manieth time."""
    calls = 0

    def called(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == number:
            what()
        return method(self, *arguments)

    return called


@pytest.mark.parametrize("path", [*FORMATS, *BY_PYAV], indirect=True)
@pytest.mark.parametrize("call", [1, 2, 4])
def test_ctrl_c_while_a_file_is_read_ends_the_reading(path, call, monkeypatch):
    readinto = when_called(_streams.View.readinto, call, lambda: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(_streams.View, "readinto", readinto)
    with pytest.raises(KeyboardInterrupt):
        for _ in read_blocks(as_clips([path])[0]):
            pass


@pytest.mark.parametrize("path", FORMATS, indirect=True)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_error_of_the_disk_is_no_end_of_the_sound(path, share, monkeypatch):
    def fail():
        raise OSError(errno.EIO, "Input/output error")

    read = _content.FileContent._read
    counted = []
    monkeypatch.setattr(
        _content.FileContent, "_read", lambda self, n: counted.append(n) or read(self, n)
    )
    n_samples = sum(len(samples) for samples, _ in read_blocks(as_clips([path])[0]))
    assert n_samples >= 30 * RATE
    failing = when_called(read, max(2, round(share * len(counted))), fail)
    monkeypatch.setattr(_content.FileContent, "_read", failing)
    with pytest.raises(ClipError, match=re.escape("cannot be read (Input/output error)")):
        for _ in read_blocks(as_clips([path])[0]):
            pass


@pytest.mark.parametrize("codec", ["G.711", "GSM 06.10", "MP3", "Opus"])
def test_ctrl_c_while_a_copy_is_encoded_makes_no_damaged_copy(codec, noise, monkeypatch):
    class Interrupted(io.BytesIO):
        write = when_called(io.BytesIO.write, 3, lambda: signal.raise_signal(signal.SIGINT))

    monkeypatch.setattr(_changes.io, "BytesIO", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        _changes._codec(noise, RATE, **{codec: _changes.SETTINGS["codec"][codec]})

"""Large files are read a part at a time, within limits that environment variables set."""

import io

import numpy as np
import pytest
import soundfile
import soxr

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import _content, as_clip, decode, read_blocks
from sklearn_ser.exceptions import ClipError

RATE = 16000


def encode(samples, rate=RATE, format="WAV"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=None)
    return file.getvalue()


@pytest.fixture
def in_parts(monkeypatch):
    """Read every file a part at a time, of a few bytes."""
    monkeypatch.setattr(_content, "SMALL", 0)
    monkeypatch.setattr(_content, "PART", 100)
    monkeypatch.setattr(_content, "SEARCHED", 1000)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 16000])
@pytest.mark.parametrize("seconds", [0.2, 40])
def test_what_is_resampled_in_blocks_is_what_soxr_makes_of_the_whole(rate, seconds):
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal((int(seconds * rate), 2))).astype(np.float32)
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV", subtype="FLOAT")
    mono = samples.mean(axis=1, dtype=np.float32)
    clip = as_clip(content.getvalue(), 0)
    expected = mono if rate == RATE else soxr.resample(mono, rate, RATE, quality="HQ")
    np.testing.assert_array_equal(clip.waveform(clip.read(), RATE), expected)


@pytest.mark.parametrize(
    "format", ["WAV", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "RF64"]
)
def test_a_file_read_in_parts_gives_what_its_bytes_give(format, speech, tmp_path, in_parts):
    content = encode(speech(), format=format)
    (tmp_path / "clip").write_bytes(content)
    clip, same = as_clip(tmp_path / "clip", 0), as_clip(content, 0)
    assert isinstance(clip.read(), _content.FileContent)
    expected = same.waveform(same.read(), 8000)
    np.testing.assert_array_equal(clip.waveform(clip.read(), 8000), expected)
    blocks = np.concatenate([samples for samples, _ in read_blocks(clip)])
    np.testing.assert_array_equal(blocks, np.concatenate([s for s, _ in read_blocks(same)]))
    assert clip.digest(clip.read()) == clip.digest() == same.digest()
    assert clip.seconds() == same.seconds()


def test_slices_and_searches_of_a_file_are_those_of_its_bytes(tmp_path, in_parts):
    rng = np.random.default_rng(0)
    content = rng.integers(0, 4, 5000, dtype=np.uint8).tobytes()
    (tmp_path / "file").write_bytes(content)
    file = _content.FileContent(tmp_path / "file")
    assert len(file) == len(content)
    for _ in range(2000):
        begin, end = sorted(rng.integers(0, 5100, size=2).tolist())
        assert file[begin:end] == content[begin:end]
        assert file[-begin:] == content[-begin:]
        mark = content[begin : begin + int(rng.integers(1, 8))] or b"\1\2"
        start = int(rng.integers(0, 5100))
        assert file.find(mark, start) == content.find(mark, start)
        assert file.find(mark, start, end) == content.find(mark, start, end)


@pytest.mark.parametrize("change", ["longer", "same length"])
def test_a_file_that_changes_while_it_is_read_is_an_error(change, speech, tmp_path, in_parts):
    path = tmp_path / "clip.wav"
    path.write_bytes(encode(speech()))
    clip = as_clip(path, 0)
    content = clip.read()
    blocks = decode(clip, content)
    assert len(blocks[0])
    with open(path, "r+b") as file:
        file.seek(0, 2 if change == "longer" else 0)
        file.write(b"RIFF")
    with pytest.raises(ClipError, match="changed while it was read"):
        decode(clip, content)


def test_links_to_files_are_read(speech, tmp_path):
    (tmp_path / "clip.wav").write_bytes(encode(speech()))
    (tmp_path / "link.wav").symlink_to(tmp_path / "clip.wav")
    rows = MFCCEmbedder(cache=None).fit_transform([tmp_path / "clip.wav", tmp_path / "link.wav"])
    np.testing.assert_array_equal(*rows)


LIMITS = {
    "MAX_SECONDS": ("1", "too long: 2 s, and the limit of a clip is 1 s"),
    "MAX_CHANNELS": ("1", "it has 2 channels, and the limit is 1"),
    "MAX_SAMPLING_RATE": ("8000", "16000 Hz, and .* more than 8000 Hz"),
    "MIN_SAMPLING_RATE": ("22050", "16000 Hz, and .* less than 22050 or"),
    "MAX_FILE_BYTES": ("1000", "too large: .* the limit is 1000"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_is_an_environment_variable_that_its_error_names(
    name, speech, tmp_path, monkeypatch
):
    value, message = LIMITS[name]
    path = tmp_path / "clip.wav"
    path.write_bytes(encode(np.column_stack([speech(seconds=2), speech(1, 2)])))
    embedder = MFCCEmbedder(cache=None)
    assert np.isfinite(embedder.fit_transform([path])).all()
    monkeypatch.setenv(f"SKLEARN_SER_{name}", value)
    with pytest.raises(ClipError, match=f"{message}.* SKLEARN_SER_{name}"):
        embedder.fit_transform([path])
    monkeypatch.setenv(f"SKLEARN_SER_{name}", "many")
    with pytest.raises(ValueError, match=f"SKLEARN_SER_{name} is 'many', not a positive number"):
        embedder.fit_transform([path])


@pytest.mark.parametrize("kind", ["wav", "mp3", "waveform", "flac of unknown length"])
def test_a_segment_counts_by_its_own_length(kind, speech, monkeypatch):
    monkeypatch.setenv("SKLEARN_SER_MAX_SECONDS", "1")
    waveform = speech(seconds=3)
    value = {"array": waveform, "sampling_rate": RATE}
    if kind == "flac of unknown length":
        content = encode(waveform, format="FLAC")
        value = {"bytes": content[:21] + bytes([content[21] & 0xF0, 0, 0, 0, 0]) + content[26:]}
    elif kind != "waveform":
        value = {"bytes": encode(waveform, format=kind.upper())}
    embedder = MFCCEmbedder(cache=None)
    for segment in ({"start": 1.5, "end": 2.5}, {"start": 2.2}):
        assert np.isfinite(embedder.fit_transform([{**value, **segment}])).all()
    for segment in ({}, {"start": 1.5}, {"end": 1.5}):
        with pytest.raises(ClipError, match="too long"):
            embedder.fit_transform([{**value, **segment}])
    clip = as_clip(value, 0)
    n_samples = sum(len(samples) for samples, _ in read_blocks(clip))
    assert n_samples == pytest.approx(len(waveform), abs=2000)  # what windows are cut of

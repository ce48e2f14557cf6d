import io
import os
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path

import datasets
import librosa
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import soundfile

import sklearn_ser._audio._content
from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip, read_blocks
from sklearn_ser.exceptions import ClipError, ClipWarning

RATE = 16000


def encode(waveform, rate=RATE, format="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format=format, subtype=subtype)
    return file.getvalue()


def decode(value, rate=RATE, position=0):
    clip = as_clip(value, position, waveform_rate=RATE)
    return clip.waveform(clip.read(), rate)


def stored(folder, content, name="clip.wav"):
    path = Path(folder) / name
    path.write_bytes(content)
    return path


def eight_bit(waveform):
    """Round to steps of 1/128, which every sample type in these tests can hold."""
    return np.round(waveform * 128) / 128


def mfcc_by_librosa(waveform):
    frames = librosa.feature.mfcc(y=waveform.astype(np.float32), sr=RATE, n_mfcc=40)
    return np.concatenate([frames.mean(axis=1), frames.std(axis=1)])


def object_array(items):
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def written(file, waveform):
    file.write(encode(waveform))
    return file


def opened_temporary():
    return tempfile.TemporaryFile()


def in_archive(folder, waveform):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a.wav", encode(waveform))
    return zipfile.ZipFile(folder / "a.zip").open("a.wav")


CLIPS = {
    "str": lambda w, folder: str(stored(folder, encode(w))),
    "Path": lambda w, folder: stored(folder, encode(w)),
    "bytes": lambda w, folder: encode(w),
    "float64": lambda w, folder: w,
    "float32": lambda w, folder: w.astype(np.float32),
    "float16": lambda w, folder: w.astype(np.float16),
    "big-endian": lambda w, folder: w.astype(">f4"),
    "strided": lambda w, folder: np.column_stack([w, -w])[:, 0],
    "read-only": lambda w, folder: np.frombuffer(w.tobytes()),
    "int16": lambda w, folder: (w * 2**15).astype(np.int16),
    "int32": lambda w, folder: (w * 2**31).astype(np.int32),
    "uint8": lambda w, folder: (w * 128 + 128).astype(np.uint8),
    "list of floats": lambda w, folder: w.tolist(),
    "pair": lambda w, folder: (w, RATE),
    "pair as a list": lambda w, folder: [w.astype(np.float32), float(RATE)],
    "pair with NumPy's rate": lambda w, folder: (w, np.int64(RATE)),
    "dict with array": lambda w, folder: {"array": w, "sampling_rate": RATE, "path": None},
    "dict with bytes": lambda w, folder: {"bytes": encode(w), "path": "a.wav"},
    "rate first, as SciPy gives it": lambda w, folder: (RATE, (w * 2**15).astype(np.int16)),
    "rate first, in a list": lambda w, folder: [RATE, w.tolist()],
    "file in memory": lambda w, folder: io.BytesIO(encode(w)),
    "file in memory, just written": lambda w, folder: written(io.BytesIO(), w),
    "open file": lambda w, folder: stored(folder, encode(w)).open("rb", buffering=0),
    "temporary file": lambda w, folder: written(opened_temporary(), w),
    "file in an archive": lambda w, folder: in_archive(folder, w),
    "row of a dataset": lambda w, folder: {"audio": {"bytes": encode(w), "path": None}},
    "dict with path": lambda w, folder: {"bytes": None, "path": str(stored(folder, encode(w)))},
}


@pytest.mark.parametrize("kind", CLIPS)
def test_every_kind_of_clip_gives_the_same_features(kind, speech, tmp_path):
    waveform = eight_bit(speech().astype(np.float64))
    clip = CLIPS[kind](waveform, tmp_path)
    embedded = MFCCEmbedder(cache=None, waveform_rate=RATE).fit_transform([clip])
    assert embedded.dtype == np.float32
    np.testing.assert_allclose(embedded[0], mfcc_by_librosa(waveform), rtol=1e-4, atol=1e-3)
    reference = MFCCEmbedder(cache=None).transform([(waveform, RATE)])
    np.testing.assert_array_equal(embedded, reference)
    if hasattr(clip, "close"):
        clip.close()


COLLECTIONS = {
    "list": list,
    "tuple": tuple,
    "object array": object_array,
    "object array, one column": lambda clips: object_array(clips).reshape(-1, 1),
    "pandas Series": lambda clips: pd.Series(list(clips), index=[7, 3, 5]),
    "pandas frame": lambda clips: pd.DataFrame({"clip": list(clips)}, index=[7, 3, 5]),
    "polars Series": lambda clips: pl.Series("clip", list(clips)),
    "polars frame": lambda clips: pl.DataFrame({"clip": list(clips)}),
}
STACKED = {
    "object array that NumPy made 2-D": lambda clips: np.array(clips, dtype=object),
    "2-D float array": np.stack,
    "2-D int16 array": lambda clips: (np.stack(clips) * 2**15).astype(np.int16),
    "wide pandas frame": lambda clips: pd.DataFrame(np.stack(clips)),
}


@pytest.mark.parametrize(
    ("collection", "clips"),
    [
        (collection, clips)
        for collection in COLLECTIONS
        for clips in ("paths", "waveforms", "pairs")
        if not (collection.startswith("polars") and clips == "pairs")
    ]
    + [(collection, "waveforms") for collection in STACKED],
)
def test_every_collection_gives_the_same_features(collection, clips, speech, tmp_path):
    waveforms = [eight_bit(speech(seed)) for seed in range(3)]
    items = {
        "paths": [str(stored(tmp_path, encode(w), f"{i}.wav")) for i, w in enumerate(waveforms)],
        "waveforms": waveforms,
        "pairs": [(waveform, RATE) for waveform in waveforms],
    }[clips]
    X = {**COLLECTIONS, **STACKED}[collection](items)
    embedder = MFCCEmbedder(cache=None, waveform_rate=RATE)
    if collection == "wide pandas frame":  # scikit-learn wants names to be all strings or none
        X.columns = X.columns.astype(str)
    embedded = embedder.fit_transform(X)
    expected = [mfcc_by_librosa(waveform) for waveform in waveforms]
    np.testing.assert_allclose(embedded, expected, rtol=1e-4, atol=1e-3)


def test_the_trap_of_object_arrays_is_real(speech):
    assert np.array([speech(0), speech(1)], dtype=object).ndim == 2


def opened(path):
    return open(path, "rb")


COLUMNS_OF_PATHS = {
    "StringDType": lambda paths: np.array(paths, dtype=np.dtypes.StringDType()),
    "StringDType, one column": lambda paths: np.array(paths, np.dtypes.StringDType())[:, None],
    "pandas Index": pd.Index,
    "pandas Categorical": pd.Categorical,
    "pandas strings": lambda paths: pd.array(paths, dtype="string"),
    "pandas strings of Arrow": lambda paths: pd.Series(paths, dtype="string[pyarrow]").array,
    "Arrow": lambda paths: pa.array(paths),
    "Arrow in chunks": lambda paths: pa.chunked_array([paths[:1], paths[1:]]),
    "Arrow dictionary": lambda paths: pa.array(paths).dictionary_encode(),
    "Arrow table": lambda paths: pa.table({"clip": paths}),
    "Arrow table of segments": lambda paths: pa.table({"path": paths, "start": [0.0, None, 0.0]}),
    "Arrow batch": lambda paths: pa.record_batch({"clip": paths}),
    "Arrow in a frame": lambda paths: pd.DataFrame(
        {"clip": paths}, dtype=pd.ArrowDtype(pa.string())
    ),
    "files": lambda paths: [io.BytesIO(Path(path).read_bytes()) for path in paths],
    "array of files": lambda paths: object_array([opened(path) for path in paths]),
}


@pytest.mark.parametrize("kind", COLUMNS_OF_PATHS)
def test_every_column_of_paths_gives_the_same_features(kind, speech, tmp_path):
    paths = [str(stored(tmp_path, encode(speech(i)), f"{i}.wav")) for i in range(3)]
    expected = MFCCEmbedder(cache=None).transform(paths)
    X = COLUMNS_OF_PATHS[kind](paths)
    for _ in range(2):  # a file is not used up
        np.testing.assert_array_equal(MFCCEmbedder(cache=None).fit_transform(X), expected)
    if "files" in kind:
        for file in X:
            file.close()


def test_numbers_of_arrow_are_numbers():
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        MFCCEmbedder(cache=None).fit(pa.array([0.5, 0.25]))


ONE_CLIP = {
    "path": "clip.wav",
    "dict": {"path": "clip.wav"},
    "pair": (np.ones(9), RATE),
    "reversed pair": (RATE, np.ones(9)),
    "open file": io.BytesIO(),
}


@pytest.mark.parametrize("X", ONE_CLIP.values(), ids=ONE_CLIP)
def test_one_clip_is_not_a_collection(X):
    with pytest.raises(ValueError, match="Wrap it in a list"):
        MFCCEmbedder(cache=None).fit(X)


def test_two_clips_are_not_a_pair(speech, tmp_path):
    X = [speech(0), stored(tmp_path, encode(speech(1)))]
    embedded = MFCCEmbedder(cache=None, waveform_rate=RATE).transform(X)
    np.testing.assert_allclose(embedded[0], mfcc_by_librosa(X[0]), rtol=1e-4, atol=1e-3)


STEPS = {
    ("WAV", "PCM_U8"): 2**-7,
    ("WAV", "PCM_16"): 2**-15,
    ("WAV", "PCM_24"): 2**-23,
    ("WAV", "PCM_32"): 2**-24,  # float32 has no finer step below 1
    ("WAV", "FLOAT"): 0,
    ("WAV", "DOUBLE"): 0,
    ("WAVEX", "PCM_16"): 2**-15,
    ("RF64", "PCM_16"): 2**-15,
    ("W64", "PCM_16"): 2**-15,
    ("FLAC", "PCM_16"): 2**-15,
    ("FLAC", "PCM_24"): 2**-23,
    ("AIFF", "PCM_16"): 2**-15,
    ("AU", "PCM_16"): 2**-15,
    ("CAF", "PCM_16"): 2**-15,
}


@pytest.mark.parametrize(("format", "subtype"), STEPS)
def test_lossless_files_equal_their_source_within_a_step(format, subtype, speech):
    source = speech(seconds=0.3)
    decoded = decode(encode(source, format=format, subtype=subtype))
    assert decoded.dtype == np.float32
    assert decoded.shape == source.shape
    assert np.abs(decoded - source).max() <= STEPS[format, subtype]


def sine(rate, frequency=440.0, seconds=1.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def amplitudes(waveform):
    """Return the amplitude at 0, 2, 4, … Hz from the half second in the middle at 16 kHz."""
    middle = waveform[len(waveform) // 2 - 4000 : len(waveform) // 2 + 4000].astype(np.float64)
    return np.abs(np.fft.rfft(middle)) * 2 / len(middle)


@pytest.mark.parametrize(
    ("format", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)
def test_lossy_files_keep_a_sine(format, subtype):
    decoded = decode(encode(sine(RATE), format=format, subtype=subtype))
    assert len(decoded) == pytest.approx(RATE, rel=0.05)
    spectrum = amplitudes(decoded)
    assert spectrum.argmax() == 220
    assert spectrum[220] == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    "rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000]
)
@pytest.mark.parametrize("as_file", [True, False])
def test_resampling_keeps_frequency_and_amplitude(rate, as_file):
    source = sine(rate)
    value = encode(source, rate, "WAV", "FLOAT") if as_file else (source, rate)
    resampled = decode(value)
    assert abs(len(resampled) - RATE) <= 1
    spectrum = amplitudes(resampled)
    assert spectrum.argmax() == 220
    assert spectrum[220] == pytest.approx(0.5, rel=2e-3)
    assert np.delete(spectrum, 220).max() < 1e-3


def test_resampling_removes_what_the_new_rate_cannot_hold():
    resampled = decode((sine(44100, 440) + sine(44100, 10000), 44100))
    spectrum = amplitudes(resampled)  # 10 kHz would come back at 6 kHz
    assert spectrum[220] == pytest.approx(0.5, rel=2e-3)
    assert spectrum[3000] < 1e-4


@pytest.mark.parametrize("n_channels", [2, 3, 6])
def test_channels_are_averaged(n_channels, speech):
    channels = np.stack([speech(seed) for seed in range(n_channels)], axis=1)
    expected = sum(channels[:, i].astype(np.float64) for i in range(n_channels)) / n_channels
    decoded = decode(encode(channels, subtype="FLOAT"))
    np.testing.assert_allclose(decoded, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("dtype", "lowest", "middle", "highest"),
    [
        (np.int8, -128, 0, 127),
        (np.uint8, 0, 128, 255),
        (np.int16, -32768, 0, 32767),
        (np.uint16, 0, 32768, 65535),
        (np.int32, -(2**31), 0, 2**31 - 1),
        (np.int64, -(2**63), 0, 2**63 - 1),
    ],
)
def test_integers_are_scaled_to_one(dtype, lowest, middle, highest):
    decoded = decode(np.array([lowest, middle, highest], dtype))
    step = 2 / 2 ** (8 * np.dtype(dtype).itemsize)
    np.testing.assert_allclose(decoded, [-1, 0, 1 - step], rtol=0, atol=1e-7)


def with_sizes(content, riff, data):
    """Return a wav with other sizes in its header."""
    at = content.index(b"data")
    sizes = struct.pack("<I", riff), struct.pack("<I", data)
    return content[:4] + sizes[0] + content[8 : at + 4] + sizes[1] + content[at + 8 :]


LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"
ODD_BUT_SOUND = {
    "streamed by ffmpeg": lambda wav: with_sizes(wav, 0xFFFFFFFF, 0xFFFFFFFF),
    "streamed by sox": lambda wav: with_sizes(wav, 0x7FFFF024, 0x7FFFF000),
    "streamed, 2 GiB": lambda wav: with_sizes(wav, 0x80000024, 0x80000000),
    "LIST chunk at the end": lambda wav: with_sizes(wav, len(wav) + 26, len(wav) - 44) + LIST,
    "LIST chunk before the data": lambda wav: wav[:36] + LIST + wav[36:],
    "LIST chunk cut": lambda wav: wav + LIST[:-5],
    "RIFF size not updated": lambda wav: wav + LIST,
    "RIFF size too large": lambda wav: with_sizes(wav, len(wav) + 100, len(wav) - 44),
    "RIFF size 0": lambda wav: with_sizes(wav, 0, len(wav) - 44),
    "data size with half a frame": lambda wav: with_sizes(wav, len(wav) - 8, len(wav) - 43),
    "one byte at the end": lambda wav: wav + b"\0",
    "zeros at the end": lambda wav: wav + bytes(1000),
    "garbage at the end": lambda wav: wav + np.random.default_rng(0).bytes(333),
}


@pytest.mark.parametrize("kind", ODD_BUT_SOUND)
def test_odd_but_sound_wavs_are_read(kind, speech):
    source = speech()
    decoded = decode(ODD_BUT_SOUND[kind](encode(source)))
    assert decoded.shape == source.shape
    assert np.abs(decoded - source).max() <= 2**-15


@pytest.mark.parametrize("padded", [True, False])
def test_odd_number_of_bytes_is_read(padded, speech):
    source = speech()[:5001]
    content = encode(source, subtype="PCM_U8")
    assert len(content) == 44 + 5001 + 1
    assert len(decode(content if padded else content[:-1])) == 5001


def changed(waveform, at, value):
    waveform = waveform.copy()
    waveform[at] = value
    return waveform


def cut(content, part):
    return content[: int(part * len(content))]


DAMAGED = "truncated or damaged"
NO_AUDIO = "not audio that libsndfile can read"
CONVERT = "Convert it to wav or flac"
COPY = "Copy or download it again"
NO_CLIP = "Pass a path, a 1-D waveform"
LEAVE_OUT = "Leave it out"

# What the clip is: its content from a waveform, the cause in its error, and the cure.
BAD_FILES = {
    "empty": (lambda w: b"", "empty, 0 bytes", "Copy or download the file again"),
    "text": (lambda w: b"1001_DFA_ANG_XX.wav,ANG\n" * 9, NO_AUDIO, CONVERT),
    "html": (lambda w: b"<!DOCTYPE html><html><body>404</body></html>", NO_AUDIO, CONVERT),
    "lfs": (
        lambda w: (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:"
            + b"4d7a" * 16
            + b"\nsize 48000\n"
        ),
        "not audio, a Git LFS pointer (130 bytes)",
        'Run "git lfs pull"',
    ),
    "random": (lambda w: b"\1" + np.random.default_rng(3).bytes(4000), NO_AUDIO, CONVERT),
    "png": (lambda w: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(200)), NO_AUDIO, CONVERT),
    "zip": (lambda w: b"PK\3\4" + bytes(range(200)), NO_AUDIO, CONVERT),
    "wav, header cut": (lambda w: encode(w)[:30], NO_AUDIO, CONVERT),
    "wav, cut after its header": (lambda w: encode(w)[:44], DAMAGED, COPY),
    "wav, data cut": (lambda w: cut(encode(w), 0.6), DAMAGED, COPY),
    "wav, last frame cut": (lambda w: encode(w)[:-1], DAMAGED, COPY),
    "float wav, data cut": (lambda w: cut(encode(w, subtype="FLOAT"), 0.6), DAMAGED, COPY),
    "rf64, data cut": (lambda w: cut(encode(w, format="RF64"), 0.6), DAMAGED, COPY),
    "w64, data cut": (lambda w: cut(encode(w, format="W64"), 0.6), DAMAGED, COPY),
    "caf, data cut": (lambda w: cut(encode(w, format="CAF"), 0.6), DAMAGED, COPY),
    "aiff, data cut": (lambda w: cut(encode(w, format="AIFF"), 0.6), DAMAGED, COPY),
    "au, data cut": (lambda w: cut(encode(w, format="AU"), 0.6), DAMAGED, COPY),
    "flac, header cut": (lambda w: encode(w, format="FLAC")[:60], DAMAGED, COPY),
    "flac, data cut": (lambda w: cut(encode(w, format="FLAC"), 0.6), DAMAGED, COPY),
    "flac, damaged": (
        lambda w: cut(encode(w, format="FLAC"), 0.5) + bytes(999),
        DAMAGED,
        COPY,
    ),
    "vorbis, cut": (lambda w: cut(encode(w, format="OGG", subtype="VORBIS"), 0.6), DAMAGED, COPY),
    "vorbis, last byte cut": (
        lambda w: encode(w, format="OGG", subtype="VORBIS")[:-1],
        DAMAGED,
        COPY,
    ),
    "opus, cut": (lambda w: cut(encode(w, format="OGG", subtype="OPUS"), 0.6), DAMAGED, COPY),
    "opus, last byte cut": (lambda w: encode(w, format="OGG", subtype="OPUS")[:-1], DAMAGED, COPY),
    "mp3, cut": (
        lambda w: cut(encode(w, format="MP3", subtype="MPEG_LAYER_III"), 0.6),
        DAMAGED,
        COPY,
    ),
    "mp3, cut in its first frame": (
        lambda w: encode(w, format="MP3", subtype="MPEG_LAYER_III")[:99],
        DAMAGED,
        COPY,
    ),
    "annex": (
        lambda w: b"/annex/objects/SHA256E-s48000--4d7a4d7a.wav\n",
        "not audio, a git-annex pointer (44 bytes)",
        'Run "git annex get"',
    ),
    "wav of an unknown codec": (
        lambda w: encode(w).replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 0x0270, 1), 1),
        "its codec is not one that can be decoded",
        "Convert it to wav or flac, for example with ffmpeg; PyAV",
    ),
    "au of an unknown codec": (
        lambda w: encode(w, format="AU").replace(struct.pack(">I", 3), struct.pack(">I", 99), 1),
        "its codec is not one that can be decoded",
        "Convert it",
    ),
    "wav whose channels cancel out": (
        lambda w: encode(np.column_stack([w, -w])),
        "its 2 channels cancel out: their mean is silent, but they are not",
        'Choose one of them: {"path": …, "channel": 0}',
    ),
    "wav of two silent channels": (lambda w: encode(np.zeros((6400, 2))), "silent, its", LEAVE_OUT),
    "wav at 1 Hz": (
        lambda w: encode(w, rate=1),
        "its sampling rate is 1 Hz, and no speech is sampled at less than 1000",
        "Correct its header",
    ),
    "wav without frames": (lambda w: encode(w[:0]), "holds no samples", "Record or export"),
    "wav with NaN": (
        lambda w: encode(changed(w, [3, 9], np.nan), subtype="FLOAT"),
        "2 of its 6400 samples are NaN or infinite, the first at 3",
        "Repair or leave out",
    ),
    "wav of one frame": (lambda w: encode(w[:1]), "one sample long", "Pass whole waveforms"),
    "wav of 10 ms": (
        lambda w: encode(w[:160]),
        "lasts 0.01 s (160 samples at 16000 Hz), shorter than the extractor can take (2048",
        LEAVE_OUT,
    ),
    "silent wav": (lambda w: encode(w * 0), "silent, its 6400 samples", LEAVE_OUT),
    "silent flac": (lambda w: encode(w * 0, format="FLAC"), "silent", LEAVE_OUT),
}


def closed_file(waveform):
    file = io.BytesIO(encode(waveform))
    file.close()
    return file


# What the clip is: the value from a waveform, its name, the cause in its error, and the cure.
NUMBERED = "Give a positive number of Hz"
BAD_VALUES = {
    "NaN": (
        lambda w: (changed(w, 17, np.nan), RATE),
        "waveform",
        "1 of its 6400 samples are NaN or infinite, the first at 17",
        "Repair or leave out",
    ),
    "infinity": (
        lambda w: (changed(w, slice(5), -np.inf), RATE),
        "waveform",
        "5 of its 6400 samples are NaN or infinite, the first at 0",
        "Repair or leave out",
    ),
    "float64 beyond float32": (
        lambda w: (changed(w.astype(float), 2, 1e300), RATE),
        "waveform",
        "1 of its 6400 samples are NaN or infinite, the first at 2",
        "Repair or leave out",
    ),
    "no samples": (lambda w: (w[:0], RATE), "waveform", "holds no samples", "Record or export"),
    "one sample": (lambda w: (w[:1], RATE), "waveform", "one sample long", "Pass whole waveforms"),
    "10 ms": (lambda w: (w[:160], RATE), "waveform", "lasts 0.01 s (160 samples", LEAVE_OUT),
    "10 ms at 48 kHz": (lambda w: (w[:480], 48000), "waveform", "lasts 0.01 s", LEAVE_OUT),
    "zeros": (lambda w: (w * 0, RATE), "waveform", "silent, its 6400 samples", LEAVE_OUT),
    "constant": (lambda w: (w * 0 + 0.25, RATE), "waveform", "silent", LEAVE_OUT),
    "constant int16": (
        lambda w: (np.full(6400, 99, np.int16), RATE),
        "waveform",
        "silent",
        LEAVE_OUT,
    ),
    "16 bits in int64": (
        lambda w: ((w * 32768).astype(np.int64), RATE),
        "waveform",
        "of whose range they take almost nothing",
        "as int16",
    ),
    "16 bits in floats": (
        lambda w: (w * 32768, RATE),
        "waveform",
        "floats are ±1 at full scale",
        "Divide 16-bit samples by 32768",
    ),
    "2-D": (
        lambda w: (np.stack([w, w]), RATE),
        "waveform",
        "must be 1-D, got shape (2, 6400)",
        "Average its channels",
    ),
    "0-d": (lambda w: np.array(0.5), "waveform", "must be 1-D, got shape ()", "split a batch"),
    "complex": (
        lambda w: (w + 1j, RATE),
        "waveform",
        "got dtype complex",
        "Convert the waveform to float32",
    ),
    "bool": (lambda w: (w > 0, RATE), "waveform", "got dtype bool", "to float32"),
    "strings": (lambda w: (w.astype(str), RATE), "waveform", "got dtype <U", "to float32"),
    "dates": (
        lambda w: (np.zeros(9, "datetime64[s]"), RATE),
        "waveform",
        "got dtype datetime64",
        "to float32",
    ),
    "objects": (
        lambda w: (np.array([None] * 6400), RATE),
        "waveform",
        "got dtype object",
        "to float32",
    ),
    "ragged list": (
        lambda w: [[1.0], [1.0, 2.0], [3.0]],
        "waveform",
        "its samples cannot be read",
        "Pass a 1-D NumPy array",
    ),
    "rate 0": (lambda w: (w, 0), "waveform", "its sampling rate is 0", NUMBERED),
    "negative rate": (lambda w: (w, -RATE), "waveform", "rate is -16000", NUMBERED),
    "rate NaN": (lambda w: (w, np.nan), "waveform", "rate is nan", NUMBERED),
    "infinite rate": (lambda w: (w, np.inf), "waveform", "rate is inf", NUMBERED),
    "rate as text": (lambda w: (w, "16000"), "waveform", "rate is '16000'", NUMBERED),
    "rate True": (lambda w: (w, True), "waveform", "rate is True", NUMBERED),
    "bare": (
        lambda w: w,
        "waveform",
        "has no sampling rate",
        "Set waveform_rate (in Hz)",
    ),
    "rate None": (lambda w: (w, None), "waveform", "has no sampling rate", "pairs"),
    "None": (lambda w: None, "NoneType", "not a clip: None", NO_CLIP),
    "number": (lambda w: 16000.0, "float", "not a clip: 16000.0", NO_CLIP),
    "NaN for a path": (lambda w: float("nan"), "float", "not a clip: nan", NO_CLIP),
    "pandas NA": (lambda w: pd.NA, "NAType", "not a clip: <NA>", NO_CLIP),
    "object": (lambda w: object(), "object", "not a clip: <object", NO_CLIP),
    "empty string": (lambda w: "", "str", "not a clip: ''", NO_CLIP),
    "null character": (
        lambda w: "a\0.wav",
        "a\0.wav",
        "cannot be read (embedded null",
        "Check its permissions",
    ),
    "too long a name": (
        lambda w: "a" * 999,
        "a" * 999,
        "cannot be read (File name too long)",
        "Check its permissions",
    ),
    "unknown user": (
        lambda w: "~no-such-user/a.wav",
        "a.wav",
        "no such file",
        "Check the path",
    ),
    "URL": (lambda w: "https://example.org/a.wav", "a.wav", "no such file", "Check the path"),
    "missing": (lambda w: Path("gone") / "a.wav", "a.wav", "no such file: gone", "starts at"),
    "folder": (lambda w: os.getcwd(), None, "is a folder", "Pass the audio files in it"),
    "dict without keys": (
        lambda w: {},
        "audio value",
        "its dict has none of array, bytes and path, only []",
        'Pass {"array"',
    ),
    "dict of Nones": (
        lambda w: {"path": None, "bytes": None},
        "audio value",
        "it has no audio: in its dict, bytes and path are None",
        "Leave it out",
    ),
    "dict whose array is None": (
        lambda w: {"array": None, "sampling_rate": RATE, "path": None},
        "audio value",
        "it has no audio: in its dict, array and path are None",
        "Leave it out",
    ),
    "row whose audio is None": (
        lambda w: {"audio": None, "emotion": "joy"},
        "audio value",
        "it has no audio: in its dict, audio is None",
        "Leave it out",
    ),
    "file in text mode": (
        lambda w: io.StringIO("a"),
        "StringIO",
        "an open file that gives str, not bytes",
        'Open it in binary mode, with open(path, "rb")',
    ),
    "closed file": (
        closed_file,
        "BytesIO",
        "an open file that cannot be read (ValueError: I/O operation on closed file",
        "Pass its path",
    ),
    "rate and 2-D samples": (
        lambda w: (RATE, np.stack([w, w], axis=1)),
        "waveform",
        "must be 1-D, got shape (6400, 2)",
        "Average its channels",
    ),
    "rate 1": (lambda w: (w, 1), "waveform", "its sampling rate is 1 Hz", "Give the rate"),
    "rate 2 MHz": (lambda w: (w, 2e6), "waveform", "rate is 2e+06 Hz", "Give the rate"),
    "rate beyond floats": (lambda w: (w, 10**400), "waveform", "rate is 1000", NUMBERED),
    "dict without rate": (
        lambda w: {"array": w, "path": "x/a.wav"},
        "a.wav",
        "its dict has no sampling_rate",
        "Add it, in Hz",
    ),
    "dict with a bad rate": (
        lambda w: {"array": w, "sampling_rate": "16k"},
        "audio value",
        "rate is '16k'",
        NUMBERED,
    ),
    "dict with 2-D array": (
        lambda w: {"array": w[np.newaxis], "sampling_rate": RATE},
        "audio value",
        "must be 1-D, got shape (1, 6400)",
        "Average",
    ),
    "dict with damaged bytes": (
        lambda w: {"bytes": b"no audio", "path": "a.mp3"},
        "a.mp3",
        NO_AUDIO,
        CONVERT,
    ),
    "dict with text for bytes": (
        lambda w: {"bytes": "no bytes"},
        "audio value",
        "its bytes are of type str",
        "Pass the content of an audio file",
    ),
    "dict with NA for a path": (lambda w: {"path": pd.NA}, "NAType", "not a clip", NO_CLIP),
    "dict with a missing path": (
        lambda w: {"path": "gone/b.wav"},
        "b.wav",
        "no such file",
        "Check the path",
    ),
    "empty bytes": (lambda w: b"", "bytes", "empty, 0 bytes", "Copy or download"),
}


def check_bad_clip(value, name, cause, cure, on_error, waveforms, cache):
    embedder = MFCCEmbedder(on_error=on_error, cache=cache)
    good = [(waveform, RATE) for waveform in waveforms]
    X = [good[0], value, good[1]]
    if on_error == "raise":
        with pytest.raises(ClipError) as raised:
            embedder.fit_transform(X)
        message = str(raised.value)
        assert isinstance(raised.value, ValueError)
        assert message.startswith(f"clip 1 ({name}): ")
        assert cause in message
        assert cure in message
        assert message.endswith(".")
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        embedded = embedder.fit_transform(X)
    if on_error == "warn":
        [warning] = caught
        assert warning.category is ClipWarning
        assert str(warning.message).startswith(f"clip 1 ({name}): ")
        assert cause in str(warning.message)
    else:
        assert not caught
    assert np.isnan(embedded[1]).all()
    expected = [mfcc_by_librosa(waveform) for waveform in waveforms]
    np.testing.assert_allclose(embedded[[0, 2]], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("on_error", ["raise", "warn", "nan"])
@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file(kind, on_error, speech, tmp_path):
    make, cause, cure = BAD_FILES[kind]
    path = stored(tmp_path, make(speech()), "03a01Fa.wav")
    check_bad_clip(path, path.name, cause, cure, on_error, [speech(1), speech(2)], None)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("on_error", ["raise", "warn", "nan"])
@pytest.mark.parametrize("kind", BAD_VALUES)
def test_bad_value(kind, on_error, speech, cache_folder):
    make, name, cause, cure = BAD_VALUES[kind]
    value = make(speech())
    name = Path(value).name if name is None else name
    waveforms = [speech(1), speech(2)]
    check_bad_clip(value, name, cause, cure, on_error, waveforms, cache_folder)
    assert len(list(cache_folder.rglob("*.npy"))) <= 2  # nothing is kept of a bad clip


@pytest.mark.parametrize("on_error", ["raise", "warn", "nan"])
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "I/O")])
def test_file_that_cannot_be_read(error, on_error, speech, tmp_path, monkeypatch):
    path = stored(tmp_path, encode(speech()))

    def refuse(*args):
        raise error

    monkeypatch.setattr(sklearn_ser._audio._content, "open_regular", refuse)
    cause = f"cannot be read ({error.strerror})"
    waveforms = [speech(1), speech(2)]
    check_bad_clip(path, path.name, cause, "Check its permissions", on_error, waveforms, None)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_file_without_permission(speech, tmp_path):
    path = stored(tmp_path, encode(speech()))
    path.chmod(0)
    with pytest.raises(ClipError, match="Permission denied"):
        MFCCEmbedder(cache=None).transform([path])


@pytest.mark.parametrize("method", ["transform", "fit_transform"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_bad_clip_is_named_even_if_their_contents_are_equal(n_jobs, method, speech):
    silence = (np.zeros(4000), RATE)
    X = [silence, (speech(), RATE), silence, None]
    embedder = MFCCEmbedder(on_error="warn", n_jobs=n_jobs, cache=None)
    with pytest.warns(ClipWarning) as caught:
        embedded = getattr(embedder, method)(X)
    assert {w.filename for w in caught} == {__file__}  # that of whoever called
    assert [str(w.message).split(":")[0] for w in caught] == [
        "clip 0 (waveform)",
        "clip 2 (waveform)",
        "clip 3 (NoneType)",
    ]
    assert np.isnan(embedded).all(axis=1).tolist() == [True, False, True, True]


def test_raising_leaves_no_thread_behind(speech):
    X = [(speech(i), RATE) for i in range(6)]
    X[2] = (np.zeros(4000), RATE)
    with pytest.raises(ClipError, match="clip 2 "):
        MFCCEmbedder(n_jobs=2, cache=None).transform(X)
    assert MFCCEmbedder(n_jobs=2, cache=None).transform(X[3:]).shape == (3, 80)


@pytest.mark.parametrize("dtype", ["object", "string", "str"])
def test_missing_path_in_a_series(dtype, speech, tmp_path):
    path = str(stored(tmp_path, encode(speech())))
    X = pd.Series([path, None, path], dtype=dtype)
    embedded = MFCCEmbedder(on_error="nan").fit_transform(X)
    assert np.isnan(embedded).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("extension", ["FLAC", "OGG", "WAV", "MP3", "AIFF"])
def test_a_file_cut_anywhere_is_noticed(extension, speech):
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(extension, "PCM_16")
    content = encode(speech(seconds=0.5), format=extension, subtype=subtype)
    lengths = {*range(120), *range(120, len(content), 997), *range(len(content) - 9, len(content))}
    for length in sorted(lengths):
        with pytest.raises(ClipError):
            decode(content[:length])
    assert len(decode(content)) >= 0.9 * 8000


def test_a_clip_is_named_by_its_place_in_each_collection(speech, tmp_path):
    """However often its path has been asked for, alone or among others."""
    good, missing = stored(tmp_path, encode(speech()), "good.wav"), tmp_path / "missing.wav"
    for X in ([good, missing], [missing, good], [good, good, missing]) * 2:
        with pytest.raises(ClipError, match=rf"clip {X.index(missing)} \(missing.wav\)"):
            MFCCEmbedder(cache=None).transform([str(path) for path in X])


def test_a_collection_of_paths_follows_its_files(speech, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_ser._utils._files.SETTLED_NS", -(10**18))
    X = [str(stored(tmp_path, encode(speech(i)), f"{i}.wav")) for i in range(3)]
    before = MFCCEmbedder(cache=None).transform(X)
    stored(tmp_path, encode(speech(7)), "1.wav")
    after = MFCCEmbedder(cache=None).transform(X)
    assert (before != after).any(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(after[1:2], MFCCEmbedder(cache=None).transform(X[1:2]))
    monkeypatch.chdir(tmp_path)
    relative = MFCCEmbedder(cache=None).transform(["1.wav"])
    other = tmp_path / "other"
    other.mkdir()
    stored(other, encode(speech(9)), "1.wav")
    monkeypatch.chdir(other)
    assert (MFCCEmbedder(cache=None).transform(["1.wav"]) != relative).any()


LINKS = {
    "../.git/annex/objects/Xq/0z/SHA256E-s48000--4d7a.wav/SHA256E-s48000--4d7a.wav": (
        "is a git-annex link, and its content is not here",
        'Run "git annex get"',
    ),
    "elsewhere.wav": ("is a link to elsewhere.wav, which does not exist", "Restore the file"),
}


@pytest.mark.parametrize("on_error", ["raise", "warn", "nan"])
@pytest.mark.parametrize("target", LINKS)
def test_link_whose_target_is_missing(target, on_error, speech, tmp_path):
    path = tmp_path / "a.wav"
    path.symlink_to(target)
    cause, cure = LINKS[target]
    check_bad_clip(path, "a.wav", cause, cure, on_error, [speech(1), speech(2)], None)


# What a decoder may raise, and what is said of it.
RAISED = {
    MemoryError("4 TiB"): "too long for the memory that there is",
    ValueError("array is too big"): "truncated or damaged (array is too big)",
    OverflowError("int too big"): "truncated or damaged (OverflowError: int too big)",
    TypeError("no int"): "truncated or damaged (TypeError: no int)",
    RuntimeError("x"): "truncated or damaged (RuntimeError: x)",
    OSError(5, "I/O"): "it cannot be read (I/O)",
    KeyError("x"): "truncated or damaged (KeyError: 'x')",
    AssertionError(): "truncated or damaged (AssertionError: )",
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "start"): "truncated or damaged ('utf-8' codec",
}


@pytest.mark.parametrize("on_error", ["raise", "warn", "nan"])
@pytest.mark.parametrize("step", ["open", "read", "track", "PyAV"])
@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_whatever_a_decoder_raises_is_a_clip_error(error, step, on_error, speech, monkeypatch):
    content = encode(speech())

    def fail(self, *args, **kwargs):
        raise error

    if step == "PyAV":
        monkeypatch.setattr(pytest.importorskip("av"), "open", fail)
        content = b"\0\0\0\x20ftypisom" + content
    elif step == "track":
        monkeypatch.setattr(soundfile.SoundFile, "samplerate", property(fail))
    else:
        name = {"open": "__init__", "read": "read"}[step]
        monkeypatch.setattr(soundfile.SoundFile, name, fail)
    value = {"bytes": content, "path": "a.wav"}
    waveforms = [speech(1), speech(2)]
    check_bad_clip(value, "a.wav", RAISED[error], "", on_error, waveforms, None)


def test_memory_that_resampling_lacks_is_a_clip_error(speech, monkeypatch):
    import soxr

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(soxr, "ResampleStream", fail)
    value = (speech(rate=48000), 48000)
    cause = "too long for the memory that there is"
    check_bad_clip(value, "waveform", cause, "segments", "nan", [speech(1), speech(2)], None)


def test_what_can_be_read_only_once_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"read only once. Pass list\(X\)"):
        MFCCEmbedder(cache=None).fit_transform(tmp_path.glob("*.wav"))


@pytest.mark.parametrize("how", ["embed", "predict"])
def test_a_pipe_given_as_a_path_is_refused_at_once(how, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    clip = as_clip(tmp_path / "pipe.wav", 0)
    ways = {
        "embed": lambda: MFCCEmbedder(cache=None).fit_transform([clip.source]),
        "predict": lambda: list(read_blocks(clip)),
    }
    with pytest.raises(ClipError, match=r"clip 0 \(pipe\.wav\): .* a pipe, a device"):
        ways[how]()
    assert clip.seconds() == 0


def test_small_integers_in_a_wide_type_are_not_called_silent():
    samples = np.round(np.sin(np.arange(8000) / 9) * 20000).astype(np.int64)
    with pytest.raises(ClipError, match=r"dtype int64, of whose range .* as int16"):
        MFCCEmbedder(cache=None).fit_transform([(samples, RATE)])


def test_the_splits_of_a_dataset_are_not_one_clip():
    data = datasets.Dataset.from_dict({"audio": ["a.wav"]})
    with pytest.raises(ValueError, match=r"X holds the splits .* X\['train'\]\['audio'\]"):
        MFCCEmbedder(cache=None).fit_transform(datasets.DatasetDict({"train": data}))

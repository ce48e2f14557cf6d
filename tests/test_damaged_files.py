"""Whatever is done to a sound file, it is decoded, or a ClipError says why it is not.

`SKLEARN_SER_N_DAMAGED` sets how many files are damaged in the slow test, 6,000 by default; run

    SKLEARN_SER_N_DAMAGED=60000 pytest -m slow -s tests/test_damaged_files.py

for a table of what came of them.
"""

import io
import os
import resource
import struct
import time
from collections import Counter

import numpy as np
import pytest
import soundfile

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip, decode, read_blocks
from sklearn_ser.exceptions import ClipError

RATE = 16000
HANGS = 5.0  # seconds
FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_U8"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAV", "ULAW"),
    ("WAV", "GSM610"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "G721_32"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("W64", "MS_ADPCM"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
    ("AIFF", "FLOAT"),
    ("AIFF", "ALAW"),
    ("AIFF", "IMA_ADPCM"),
    ("AU", "PCM_16"),
    ("AU", "ULAW"),
    ("AU", "G723_24"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("NIST", "PCM_16"),
    ("VOC", "PCM_16"),
    ("SVX", "PCM_16"),
    ("PAF", "PCM_24"),
    ("MAT5", "FLOAT"),
    ("IRCAM", "PCM_16"),
    ("AVR", "PCM_16"),
    ("SDS", "PCM_16"),
    ("HTK", "PCM_16"),
    ("PVF", "PCM_16"),
]
CODECS = [("mp4", "aac"), ("matroska", "aac"), ("adts", "aac")]


def encode(waveform, format, subtype):
    file = io.BytesIO()
    soundfile.write(file, waveform, RATE, format=format, subtype=subtype)
    return file.getvalue()


def encode_by_pyav(waveform, format, codec):
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        track = container.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[None], "fltp", "mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(track.format, track.layout, RATE, track.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return file.getvalue()


@pytest.fixture(scope="module")
def files(speech):
    """Return a whole file of 0.2 s of each kind, by its name."""
    mono = speech(seconds=0.2)
    found = {f"{f} {s}": encode(mono, f, s) for f, s in FORMATS}
    stereo = np.column_stack([mono, speech(1, 0.2)])
    for format, subtype in [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")]:
        found[f"{format} {subtype} stereo"] = encode(stereo, format, subtype)
    mp3 = found["MP3 MPEG_LAYER_III"]
    found["MP3 without Info"] = mp3[mp3.index(b"\xff", 100) :]
    flac = found["FLAC PCM_16"]
    found["FLAC of unknown length"] = flac[:21] + bytes([flac[21] & 0xF0, 0, 0, 0, 0]) + flac[26:]
    found |= {f"{f} {c}": encode_by_pyav(mono, f, c) for f, c in CODECS}
    return found


TAGS = [
    b"ID3\x04\0\0\0\0\x02\x10" + bytes(272),
    b"TAG" + bytes(125),
    b"APETAGEX" + struct.pack("<IIII", 2000, 64, 1, 0x80000000) + bytes(8),
    b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0",
]


def flip(rng, content, other):
    for at in rng.integers(len(content), size=rng.integers(1, 9)):
        content[at] ^= rng.integers(1, 256)
    return content


def overwrite_header(rng, content, other):
    width = int(rng.choice([1, 2, 4, 8]))
    at = int(rng.integers(min(len(content), 200)))
    negative = 256**width - int(rng.integers(1, 65))  # such sizes make parsers go back
    values = [bytes(width), b"\xff" * width, b"\x7f" + b"\xff" * (width - 1), rng.bytes(width)]
    values += [negative.to_bytes(width, order) for order in ("big", "little")]
    content[at : at + width] = values[rng.integers(len(values))]
    return content


def truncate(rng, content, other):
    return content[: rng.integers(len(content))]


def insert(rng, content, other):
    at = rng.integers(len(content))
    n_bytes = int(rng.choice([1, 2, 4, 64, 1000]))
    content[at:at] = rng.bytes(n_bytes) if rng.random() < 0.5 else bytes(n_bytes)
    return content


def delete(rng, content, other):
    at = rng.integers(len(content))
    del content[at : at + int(rng.choice([1, 2, 4, 64, 1000]))]
    return content


def repeat(rng, content, other):
    begin, end = sorted(rng.integers(len(content), size=2))
    return content[:end] + content[begin:end] + content[end:]


def join(rng, content, other):
    return content + [content, other, content[: len(content) // 2]][rng.integers(3)]


def tag(rng, content, other):
    inserted = TAGS[rng.integers(len(TAGS))]
    at = [0, len(content), rng.integers(len(content))][rng.integers(3)]
    content[at:at] = inserted
    return content


DAMAGES = [flip, overwrite_header, truncate, insert, delete, repeat, join, tag]


def damaged(files, number):
    """Return what the file of that number is made of, and its content."""
    rng = np.random.default_rng([18, number])
    names = list(files)
    name = names[number % len(names)]
    content = bytearray(files[name])
    other = bytearray(files[names[rng.integers(len(names))]])
    made = []
    for _ in range(rng.integers(1, 4)):
        damage = DAMAGES[rng.integers(len(DAMAGES))]
        if content:
            content = bytearray(damage(rng, content, other))
            made.append(damage.__name__)
    return f"{name}, {' + '.join(made)}", bytes(content)


def embed_damaged(files, numbers):
    """Embed each; return how many could be, and could not, and what took longest."""
    embedder = MFCCEmbedder(on_error="nan", cache=None)
    outcomes, longest, failures = Counter(), (0.0, ""), []
    embedder.fit_transform([{"bytes": next(iter(files.values()))}])  # imports what it needs
    for number in numbers:
        what, content = damaged(files, number)
        begin = time.perf_counter()
        try:
            (row,) = embedder.fit_transform([{"bytes": content}])
        except Exception as error:
            failures.append(f"{number} ({what}): {error!r:.200}")
            continue
        seconds = time.perf_counter() - begin
        longest = max(longest, (seconds, f"{number} ({what})"))
        if seconds > HANGS:
            failures.append(f"{number} ({what}): took {seconds:.1f} s")
        name = what.split(",")[0]
        outcomes[name, bool(np.isnan(row).any())] += 1
    return outcomes, longest, failures


def test_whole_files_of_every_kind_are_embedded(files):
    embedded = MFCCEmbedder(cache=None).fit_transform([{"bytes": x} for x in files.values()])
    assert np.isfinite(embedded).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_damaged_files_are_embedded_or_are_clip_errors(files):
    outcomes, longest, failures = embed_damaged(files, range(10 * len(files)))
    assert failures == []
    assert longest[0] < HANGS
    assert {bad for _, bad in outcomes} == {True, False}


@pytest.mark.parametrize("size", range(-64, 0, 4))
def test_a_header_that_goes_round_in_circles_ends(size, files):
    """libsndfile follows the chunks of SVX files by their sizes, negative ones too."""
    content = files["SVX PCM_16"]
    at = content.index(b"ANNO") + 4
    content = content[:at] + struct.pack(">i", size) + content[at + 4 :]
    begin = time.perf_counter()
    embedded = MFCCEmbedder(on_error="nan", cache=None).fit_transform([{"bytes": content}])
    assert time.perf_counter() - begin < HANGS
    assert np.isnan(embedded).all()


def outcome(read, *arguments):
    """Return the number of samples, or what is wrong."""
    try:
        return sum(len(samples) for samples, _ in read(*arguments))
    except ClipError as error:
        return f"{error.cause}. {error.cure}"


def test_whole_clips_and_blocks_come_to_the_same(files):
    """But for what only a whole clip can be: silent, too short, not finite, …"""
    n_read = 0
    for number in range(1000, 1000 + 6 * len(files)):
        what, content = damaged(files, number)
        clip = as_clip({"bytes": content, "path": "a.wav"}, 0)
        in_blocks = outcome(read_blocks, clip)
        whole = outcome(lambda *of: [decode(*of)], clip, content)
        if str(whole).startswith("too long"):
            continue  # by its header, which blocks need not believe
        if isinstance(in_blocks, str) or isinstance(whole, int):
            assert whole == in_blocks, what
            n_read += isinstance(whole, int)
    assert n_read > len(files)


@pytest.mark.slow
def test_many_damaged_files_are_embedded_or_are_clip_errors(files):
    n_files = int(os.environ.get("SKLEARN_SER_N_DAMAGED", "6000"))
    outcomes, longest, failures = embed_damaged(files, range(n_files))
    for name in files:
        print(f"{name:<24} {outcomes[name, False]:>6} read {outcomes[name, True]:>6} refused")
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{n_files} files, {len(failures)} failures, longest {longest}, peak {kib / 1024:.0f} MiB"
    )
    assert failures == []

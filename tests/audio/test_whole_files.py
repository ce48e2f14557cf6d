"""Files are read to where their sound ends, whatever their headers promise."""

import functools
import io
import shutil
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest
import soundfile

from sklearn_ser._audio import as_clip, read_blocks
from sklearn_ser._audio import decode as decode_clip
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.exceptions import ClipError

RATE = 16000


def encode(waveform, format, subtype=None, rate=RATE):
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format=format, subtype=subtype)
    return file.getvalue()


def decode(content, **segment):
    clip = as_clip({"bytes": content, **segment}, 0)
    return decode_clip(clip, clip.read())[0]


def decode_in_blocks(content):
    parts = [samples for samples, _ in read_blocks(as_clip(content, 0))]
    return np.concatenate(parts).mean(axis=1, dtype=np.float32)


@pytest.fixture(params=[decode, decode_in_blocks], ids=["whole", "in blocks"])
def read(request):
    """Return a function from a file's content to its samples: each of the two that there are."""
    return request.param


@pytest.fixture(scope="module")
def words():
    """Return three seconds of speech that pauses, so that bit rates vary."""
    waveforms = [waveform for waveform, _ in make_emotional_speech(2, 2, random_state=0).X]
    return np.concatenate([np.pad(x, (0, 4000)) for x in waveforms])[: 3 * RATE]


def without_info(mp3):
    """Return MPEG audio without its first frame, which holds no sound but a header."""
    return mp3[mp3.index(mp3[:2], 64) :]


def with_total(flac, n_samples):
    """Return FLAC that states another number of samples; 0 is unknown."""
    stated = bytes([flac[21] & 0xF0 | n_samples >> 32]) + struct.pack(">I", n_samples & 0xFFFFFFFF)
    return flac[:21] + stated + flac[26:]


def with_frames(mp3, n_frames):
    """Return MPEG audio whose Info header states another number of frames."""
    at = max(mp3.find(b"Xing", 0, 99), mp3.find(b"Info", 0, 99)) + 8
    return mp3[:at] + struct.pack(">I", n_frames) + mp3[at + 4 :]


def stated_frames(mp3):
    at = max(mp3.find(b"Xing", 0, 99), mp3.find(b"Info", 0, 99)) + 8
    return struct.unpack(">I", mp3[at : at + 4])[0]


def ape(size, has_header):
    items = np.random.default_rng(size).bytes(size)
    flags = 0x80000000 if has_header else 0
    ends = [
        b"APETAGEX" + struct.pack("<IIII", 2000, size + 32, 1, flags | is_header << 29) + bytes(8)
        for is_header in (1, 0)
    ]
    return ends[0] * has_header + items + ends[1]


def id3v2(size):
    sizes = [(size >> shift) & 127 for shift in (21, 14, 7, 0)]
    return b"ID3\x04\0\0" + bytes(sizes) + np.random.default_rng(size).bytes(size)


ID3V1 = b"TAG" + b"a title".ljust(125, b"\0")
LYRICS = b"LYRICSBEGIN" + b"la" * 200 + b"000411LYRICS200"

SUBTYPES = [
    (format, subtype)
    for format in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(format)
    if format not in ("RAW", "SD2")  # without a header, or with one in another file
]
# libsndfile reads these, and does not write them.
UNWRITABLE = {("AIFF", "DWVW_12"), ("WAV", "MPEG_LAYER_III"), ("MP3", "MPEG_LAYER_I")}
UNWRITABLE.add(("MP3", "MPEG_LAYER_II"))
BLOCK = 400  # samples, the most that formats of blocks add


@pytest.mark.parametrize(("format", "subtype"), SUBTYPES)
def test_every_format_of_libsndfile_is_read_whole(format, subtype, words, read):
    source = words[: 2 * RATE].astype(np.float32)
    try:
        content = encode(source, format, subtype, 8000)
    except soundfile.LibsndfileError:
        assert (format, subtype) in UNWRITABLE
        pytest.skip("libsndfile does not write it")
    samples = read(content)
    assert 0 <= len(samples) - len(source) <= BLOCK
    assert np.corrcoef(samples[: len(source)], source)[0, 1] > 0.98
    assert as_clip(content, 0).seconds() == pytest.approx(
        len(samples) / (44100 if format == "XI" else 8000)
    )


@pytest.mark.parametrize("subtype", ["PCM_16", "VOX_ADPCM", "GSM610"])
def test_samples_without_a_header_are_refused_with_what_to_do(subtype, words, read):
    with pytest.raises(ClipError, match=r"not audio.*samples without a header \(raw, vox\)"):
        read(encode(words, "RAW", subtype))


TAGS = {
    "ID3v2 before": lambda x: id3v2(3000) + x,
    "two ID3v2 before": lambda x: id3v2(300) + id3v2(70) + x,
    "ID3v1 after": lambda x: x + ID3V1,
    "APE after": lambda x: x + ape(5000, True),
    "APE and ID3v1 after": lambda x: x + ape(5000, True) + ID3V1,
    "APEv1 after": lambda x: x + ape(5000, False),
    "all": lambda x: id3v2(500) + x + ape(2000, True) + ID3V1,
}
MPEG_TAGS = {
    "ID3v2 after": lambda x: x + id3v2(3000),
    "lyrics after": lambda x: x + LYRICS + ID3V1,
    "zeros before": lambda x: id3v2(500) + bytes(999) + x,
    "zeros after": lambda x: x + bytes(5000),
}
MP3 = {
    "with Info": lambda x: encode(x, "MP3"),
    "without Info": lambda x: without_info(encode(x, "MP3")),
}


@pytest.mark.parametrize("tags", [*TAGS, *MPEG_TAGS])
@pytest.mark.parametrize("kind", MP3)
def test_tags_change_nothing_of_mpeg(kind, tags, words, read):
    content = MP3[kind](words)
    samples = read(content)
    assert len(samples) == len(words) if kind == "with Info" else len(samples) >= len(words)
    tagged = read((TAGS | MPEG_TAGS)[tags](content))
    np.testing.assert_allclose(tagged, samples, rtol=0, atol=1e-6)


@pytest.mark.parametrize("format", ["WAV", "AIFF", "AU", "CAF", "SVX", "W64", "OGG", "FLAC", "VOC"])
def test_an_id3_tag_before_changes_nothing_of_any_format(format, words, read):
    """Nor is its file taken for MPEG: of a SVX file, libsndfile would never find the end."""
    content = encode(words, format)
    np.testing.assert_array_equal(read(id3v2(272) + content), read(content))


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("total", [0, None])
def test_tags_change_nothing_of_flac(total, tags, words, read):
    if total == 0 and tags == "APEv1 after":
        pytest.skip("nothing says where such a tag begins")
    content = encode(words, "FLAC")
    samples = read(TAGS[tags](content if total is None else with_total(content, total)))
    np.testing.assert_allclose(samples, words, rtol=0, atol=2**-15)


@pytest.mark.parametrize("total", [0, 1, 4096, 3 * RATE - 1, 3 * RATE])
def test_flac_is_read_to_its_end_whatever_it_states(total, words, read):
    samples = read(with_total(encode(words, "FLAC"), total))
    np.testing.assert_allclose(samples, words, rtol=0, atol=2**-15)


@pytest.mark.parametrize("total", [3 * RATE + 1, 2**36 - 1])
def test_flac_that_states_more_is_truncated_and_costs_no_memory(total, words, read):
    content = with_total(encode(words, "FLAC"), total)
    tracemalloc.start()
    with pytest.raises(
        ClipError,
        match=r"truncated or damaged \(3.0 s could be decoded, of |too long: 4.295e\+06 s",
    ):
        read(content)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("n_frames", [1, 85])
def test_mpeg_that_states_fewer_frames_is_read_whole(n_frames, words, read):
    content = encode(words, "MP3")
    assert stated_frames(content) == 86  # of 576 samples, the codec's delay included
    np.testing.assert_allclose(
        read(with_frames(content, n_frames)), read(content), rtol=0, atol=1e-6
    )


def test_mpeg_whose_writer_counted_the_header_is_whole(words, read):
    content = encode(words, "MP3")
    more = with_frames(content, stated_frames(content) + 1)
    assert len(read(more)) == len(words)
    with pytest.raises(ClipError, match="85 of its 87 frames are there"):
        read(more[:-1])


@pytest.mark.parametrize("stated", ["Info", "VBRI"])
def test_mpeg_that_states_more_frames_is_truncated(stated, words, read):
    content = encode(words, "MP3")
    if stated == "VBRI":
        n_frames, head = stated_frames(content), content[: content.index(content[:2], 64)]
        vbri = struct.pack(">4sHHHII", b"VBRI", 1, 0, 50, len(content), n_frames)
        content = (head[:36] + vbri).ljust(len(head), b"\0")[: len(head)].replace(
            b"Xing", bytes(4)
        ) + without_info(content)
        assert len(read(content)) == n_frames * 576
    with pytest.raises(ClipError, match=r"truncated or damaged .*85 of its 86 frames are there"):
        read(content[:-9])
    with pytest.raises(ClipError, match=r"frames are there"):
        read(content[: len(content) // 2])


@pytest.mark.parametrize("kind", MP3)
@pytest.mark.parametrize("gap", [bytes(500), b"\x12" * 500])
def test_a_gap_in_mpeg_is_damage(gap, kind, words, read):
    content = MP3[kind](words)
    middle = len(content) // 2
    with pytest.raises(ClipError, match="truncated or damaged"):
        read(content[:middle] + gap + content[middle + len(gap) :])


JOINED = {
    "MP3": lambda x: encode(x, "MP3"),
    "MP3 with tags": lambda x: id3v2(99) + encode(x, "MP3") + ID3V1,
    "MP3 without Info": lambda x: id3v2(99) + without_info(encode(x, "MP3")),
    "FLAC": lambda x: encode(x, "FLAC"),
    "FLAC of unknown length": lambda x: with_total(encode(x, "FLAC"), 0),
    "Vorbis": lambda x: encode(x, "OGG", "VORBIS"),
    "Opus": lambda x: encode(x, "OGG", "OPUS"),
}


@pytest.mark.parametrize("kind", JOINED)
def test_files_one_after_the_other_are_all_read(kind, words, read):
    waveforms = words, words[::-1][:20000].copy(), words[9000:]
    contents = [JOINED[kind](waveform) for waveform in waveforms]
    alone = np.concatenate([read(content) for content in contents])
    joined = read(b"".join(contents))
    assert len(joined) >= sum(map(len, waveforms))
    np.testing.assert_allclose(joined, alone, rtol=0, atol=1e-6)
    assert as_clip(b"".join(contents), 0).seconds() == pytest.approx(len(alone) / RATE)
    # A segment from the second file into the third.
    segment = decode(b"".join(contents), start=3.5, end=4.75)
    np.testing.assert_allclose(segment, alone[56000:76000], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["MP3", "FLAC", "Vorbis"])
def test_joined_files_of_two_rates_are_refused(kind, words, read):
    other = {"MP3": ("MP3", None), "FLAC": ("FLAC", None), "Vorbis": ("OGG", "VORBIS")}[kind]
    content = JOINED[kind](words) + encode(words, *other, rate=24000)
    with pytest.raises(ClipError, match=r"sampling rate or its number .* changes after 3.0 s"):
        read(content)


def with_sizes(wav, riff, data):
    at = wav.index(b"data")
    sizes = struct.pack("<I", riff), struct.pack("<I", data)
    return wav[:4] + sizes[0] + wav[8 : at + 4] + sizes[1] + wav[at + 8 :]


@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("data", [0, 0xFFFFFFFF, 0xFFFFFFFF - 44, 0x7FFFF000])
@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "FLOAT"])
def test_wav_written_into_a_pipe_is_read_whole(subtype, data, riff, words, read):
    content = encode(words, "WAV", subtype)
    n_bytes = {"PCM_16": 2, "ULAW": 1, "FLOAT": 4}[subtype] * len(words)
    content = content[: content.index(b"data") + 8 + n_bytes]
    np.testing.assert_array_equal(read(with_sizes(content, riff, data)), read(content))


def test_wav_whose_sound_is_empty_indeed_is_empty(words):
    content = encode(words[:0], "WAV")
    chunk = b"LIST" + struct.pack("<I", 4000) + b"abcd" * 1000
    for more in (b"", chunk, chunk * 2):
        with pytest.raises(ClipError, match="holds no samples"):
            decode(content + more)


# The order of the bytes of sizes, how many a size has, what a chunk of sound is called, and where
# in the file its own size stands.
CHUNKED = {
    "WAV": ("<", "I", b"data", 4),
    "WAVEX": ("<", "I", b"data", 4),
    "AIFF": (">", "I", b"SSND", 4),
    "SVX": (">", "I", b"BODY", 4),
    "CAF": (">", "Q", b"data", None),
    "W64": ("<", "Q", b"data", 16),
    "RF64": ("<", "I", b"data", None),
}


def with_chunk(content, format, chunk, at=None):
    """Return a file with one more chunk, behind the others or before that of sound."""
    order, size, sound, own = CHUNKED[format]
    found = content + bytes(-len(content) % (8 if format == "W64" else 2))
    at = len(found) if at is None else content.index(sound)
    found = found[:at] + chunk + found[at:]
    if own is None:
        return found
    stated = len(found) if format == "W64" else len(found) - 8
    return found[:own] + struct.pack(order + size, stated) + found[own + struct.calcsize(size) :]


def chunk_of(format, name, held):
    order, size, _, _ = CHUNKED[format]
    if format == "W64":
        return (
            name
            + bytes.fromhex("f3acd3118cd100c04f8edb8a")
            + struct.pack("<Q", 24 + len(held))
            + held
            + bytes(-len(held) % 8)
        )
    pad = 0 if format == "CAF" else len(held) % 2
    return name + struct.pack(order + size, len(held)) + held + bytes(pad)


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("n_bytes", [0, 1, 4000])
@pytest.mark.parametrize("format", CHUNKED)
def test_several_chunks_of_sound_are_refused(format, n_bytes, place, words, read):
    content = encode(words, format, "PCM_16" if format != "WAVEX" else None)
    sound = CHUNKED[format][2]
    more = with_chunk(
        content, format, chunk_of(format, sound, bytes(n_bytes)), 0 if place == "before" else None
    )
    with pytest.raises(ClipError, match="it has 2 chunks of sound, and a file of its format has"):
        read(more)


def test_a_wav_file_that_begins_anew_is_refused(words, read):
    content = encode(words, "WAV")
    more = with_chunk(content, "WAV", content[12:])  # its format, and its sound
    with pytest.raises(ClipError, match="2 chunks of sound"):
        read(more)


APPENDABLE = ("FLAC", "OGG", "MP3")  # can be appended to each other, and are read whole
BARE = ("RAW", "SD2", "HTK")  # no header, none in the file, or none that could be recognised


@pytest.mark.parametrize("n_odd", [0, 1], ids=["even", "odd"])
@pytest.mark.parametrize(
    ("format", "subtype", "endian"),
    [
        (format, subtype, endian)
        for format in soundfile.available_formats()
        if format not in (*APPENDABLE, *BARE)
        for subtype in soundfile.available_subtypes(format)
        for endian in ("LITTLE", "BIG")
        if soundfile.check_format(format, subtype, endian)
    ],
)
def test_a_second_file_behind_one_is_refused(format, subtype, endian, n_odd, words, read):
    rate = 8000 if format == "WVE" or "G72" in subtype or "NMS" in subtype else RATE
    found = []
    for n_samples in (8000 + n_odd, 12000):
        file = io.BytesIO()
        file.name = "a"  # which one format holds
        try:
            soundfile.write(file, words[:n_samples], rate, subtype, endian, format)
        except (soundfile.LibsndfileError, ValueError) as error:
            pytest.skip(f"libsndfile does not write it: {error}")
        found.append(file.getvalue())
    assert len(read(found[0])) in range(8000, 9100)  # some hold whole blocks only
    for second in found:
        with pytest.raises(ClipError, match="another file of its format begins at byte"):
            read(found[0] + second)


OTHER_FILES = {
    "mp4": ("-c:a", "aac", "-movflags", "+faststart"),
    "mov": (),
    "flv": ("-ar", "22050"),
    "wma": (),
    "voc": (),
    "tta": (),
}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("suffix", OTHER_FILES)
def test_a_second_file_behind_one_that_pyav_decodes_is_refused(suffix, words, read, tmp_path):
    pytest.importorskip("av")
    soundfile.write(tmp_path / "a.wav", words, RATE)
    made = tmp_path / f"b.{suffix}"
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", *OTHER_FILES[suffix], made]
    subprocess.run(command, check=True, timeout=60)
    content = made.read_bytes()
    assert len(read(content)) > len(words) - 2000
    with pytest.raises(ClipError, match=f"another file .* begins at byte {len(content)}"):
        read(content * 2)


@pytest.mark.parametrize("n_samples", [0, 1])
@pytest.mark.parametrize("format", CHUNKED)
def test_chunks_behind_the_sound_are_no_sound(format, n_samples, words, read):
    content = encode(words[: len(words) - n_samples], format)
    more = with_chunk(content, format, chunk_of(format, b"note", b"\x55\x2a" * 500))
    np.testing.assert_array_equal(read(more), read(content))
    assert len(read(more)) == len(words) - n_samples


@functools.cache
def long_file(format):
    """Return a minute of a tone that rises, and its samples."""
    time = np.arange(60 * RATE) / RATE
    source = 0.4 * np.sin(2 * np.pi * (200 * time + 20 * time**2)).astype(np.float32)
    content = encode(source, format, None if format in ("OGG", "MP3", "FLAC") else "ULAW")
    return content, soundfile.read(io.BytesIO(content), dtype="float32")[0]


@pytest.mark.parametrize("format", ["WAV", "AIFF", "CAF", "FLAC", "MP3", "OGG", "W64", "AU"])
@pytest.mark.parametrize("start", [0.0, 17.0, 59.0])
def test_a_segment_of_a_long_file_needs_little_memory(format, start):
    content, expected = long_file(format)
    clip = as_clip({"bytes": content, "start": start, "end": start + 1}, 0)
    tracemalloc.start()
    samples, _ = decode_clip(clip, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    first = round(start * RATE)
    np.testing.assert_allclose(samples, expected[first : first + RATE], rtol=0, atol=1e-6)
    assert peak < 3e6 < 60 * RATE * 4


@pytest.mark.parametrize("total", [0, 999, None])
@pytest.mark.parametrize("format", ["FLAC", "WAV"])
def test_a_segment_behind_the_end_is_refused(format, total, words):
    content = encode(words, format)
    if format == "FLAC" and total is not None:
        content = with_total(content, total)
    for start, end in [(3.0, None), (3.5, 4.0), (1.0, 3.2)]:
        with pytest.raises(ClipError, match="is not inside of its 3 s"):
            decode(content, start=start, end=end)
    np.testing.assert_allclose(decode(content, start=2.9), words[46400:], rtol=0, atol=2**-15)


FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed")


def ffmpeg(content, *options):
    command = [FFMPEG, "-v", "error", "-i", "-", *options, "-"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def ffmpeg_to_file(content, folder, *options):
    """Return what ffmpeg writes where it can go back to the header."""
    path = folder / "encoded"
    command = [FFMPEG, "-v", "error", "-y", "-i", "-", *options, str(path)]
    subprocess.run(command, input=content, capture_output=True, check=True)
    return path.read_bytes()


VBR, CBR = ["-f", "mp3", "-q:a", "4"], ["-f", "mp3", "-b:a", "48k"]
TITLE = ["-metadata", "title=a title", "-write_id3v1", "1"]
PLAIN = ["-id3v2_version", "0"]
PIPED = {
    "MP3 VBR": VBR,
    "MP3 CBR": CBR,
    "MP3 VBR without tags": [*VBR, *PLAIN],
    "MP3 CBR without tags": [*CBR, *PLAIN],
    "MP3 VBR with tags": [*VBR, *TITLE],
    "MP3 CBR with tags": [*CBR, *TITLE],
    "MP2": ["-f", "mp2"],
    "FLAC": ["-f", "flac"],
    "Vorbis": ["-f", "ogg", "-c:a", "libvorbis"],
    "Opus": ["-f", "ogg", "-c:a", "libopus"],
    "FLAC in Ogg": ["-f", "ogg", "-c:a", "flac"],
    "MP3 in WAV": ["-f", "wav", "-c:a", "libmp3lame", "-q:a", "4"],
    "WAV": ["-f", "wav"],
    "CAF": ["-f", "caf"],
    "AU": ["-f", "au"],
    "AAC": ["-f", "adts"],
    "WebM": ["-f", "webm", "-c:a", "libopus"],
}
WRITTEN = {name: PIPED[name] for name in PIPED if name.startswith("MP3 ")}
WRITTEN |= {"FLAC": PIPED["FLAC"], "MP4": ["-f", "ipod", "-movflags", "faststart"]}
MADE = {
    **{f"{name}, piped": (ffmpeg, options) for name, options in PIPED.items()},
    **{f"{name}, written": (ffmpeg_to_file, options) for name, options in WRITTEN.items()},
    **{
        f"{format} {subtype} by libsndfile": (None, (format, subtype))
        for format, subtype in [
            ("MP3", None),
            ("FLAC", None),
            ("OGG", "VORBIS"),
            ("OGG", "OPUS"),
        ]
    },
}
NEEDS_PYAV = ("FLAC in Ogg", "AAC", "WebM", "MP4")


def check_length(made, waveform, folder):
    """Compare a file's length with what ffmpeg decodes of it."""
    if made.startswith(NEEDS_PYAV):
        pytest.importorskip("av")
    by, options = MADE[made]
    if by is None:
        content = encode(waveform, *options)
    else:
        wav = encode(waveform, "WAV")
        content = by(wav, *([folder] if by is ffmpeg_to_file else []), *options)
    reference = ffmpeg(content, "-f", "f32le", "-ac", "1", "-ar", str(RATE))
    seconds = len(reference) / 4 / RATE
    assert seconds == pytest.approx(len(waveform) / RATE, abs=0.25)  # codecs add frames
    clip = as_clip(content, 0)
    samples, rate = decode_clip(clip, content)
    assert len(samples) / rate == pytest.approx(seconds, abs=0.05)
    assert len(decode_in_blocks(content)) == len(samples)
    assert clip.seconds() == pytest.approx(seconds, abs=0.1)  # MP4 states less than it pads to


@pytest.mark.one_in(3)
@needs_ffmpeg
@pytest.mark.parametrize("made", MADE)
def test_length_is_what_ffmpeg_decodes(made, words, tmp_path):
    check_length(made, words, tmp_path)


@pytest.mark.slow
@needs_ffmpeg
@pytest.mark.parametrize("made", MADE)
def test_length_of_real_speech_is_what_ffmpeg_decodes(made, emodb, tmp_path):
    paths = sorted(emodb.rglob("*.wav"))[::11][:30]
    assert len(paths) == 30
    for path in paths:
        check_length(made, soundfile.read(path)[0], tmp_path)


CUT = {
    "mkv": ["-c:a", "libvorbis"],
    "webm": ["-c:a", "libopus"],
    "avi": ["-c:a", "pcm_s16le"],
    "ogg": ["-c:a", "flac"],
}


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("suffix", CUT)
def test_what_states_its_length_and_is_cut_is_an_error(suffix, speech, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech(0, 3.0), 16000)
    whole = tmp_path / f"whole.{suffix}"
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", *CUT[suffix], whole]
    subprocess.run(command, check=True)
    clip = as_clip(whole, 0)
    assert len(clip.waveform(clip.read(), 16000)) == pytest.approx(48000, abs=800)
    content = whole.read_bytes()
    with pytest.raises(ClipError, match="truncated or damaged"):
        clip.waveform(content[: len(content) * 6 // 10], 16000)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_voc_of_several_blocks_is_its_samples(speech, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech(0, 3.0), 16000, subtype="PCM_16")
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / "a.voc"]
    subprocess.run(command, check=True)
    wav, voc = (as_clip(tmp_path / f"a.{suffix}", 0) for suffix in ("wav", "voc"))
    expected = wav.waveform(wav.read(), 16000)
    np.testing.assert_array_equal(voc.waveform(voc.read(), 16000), expected)

"""Windows are cut from recordings as a clip is cut by hand, in bounded memory."""

import io

import numpy as np
import pytest
import soundfile

from sklearn_ser._audio import as_clip, decode, read_blocks
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.recognition._recordings import pieces_of

RATE = 8000


@pytest.fixture
def samples(speech):
    return np.concatenate([speech(seed, 2.0, RATE) for seed in range(18)])[: RATE * 35 + 123]


def pieces(item, length=2.0, hop=None, longest=5.0):
    return list(pieces_of(as_clip(item, 0), length, hop, longest))


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("hop", [None, 0.7, 3.0])
def test_windows_are_the_samples_between_their_times(samples, tmp_path, suffix, hop):
    path = tmp_path / f"long.{suffix}"
    soundfile.write(path, np.column_stack([samples, samples[::-1]]), RATE)
    whole, rate = decode(as_clip(path, 0), path.read_bytes())
    found = pieces(path, hop=hop)
    step = round(RATE * (hop or 2.0))
    for i, piece in enumerate(found):
        cut, own_rate = piece.sound
        assert own_rate == rate == RATE
        start = round(piece.start * RATE)
        assert start == i * step or (piece is found[-1] and start == len(whole) - 2 * RATE)
        np.testing.assert_allclose(cut, whole[start : start + 2 * RATE], atol=1e-6)
        assert piece.end == pytest.approx(piece.start + 2)
    assert found[-1].end == pytest.approx(len(whole) / RATE, abs=0.2)
    assert len(found) > (len(whole) - 2 * RATE) // step


def test_mpeg_is_the_same_in_parts_as_at_once(tmp_path):
    """Its decoder needs what comes before, which it loses where it is made to seek."""
    path = tmp_path / "long.mp3"
    clips = [x for x, _ in make_emotional_speech(3, 5, random_state=0).X]
    soundfile.write(path, np.concatenate([np.pad(x, (0, 9000)) for x in clips]), 16000)
    whole, _ = soundfile.read(path, dtype="float32")
    parts = np.concatenate([samples for samples, _ in read_blocks(as_clip(path, 0))])
    np.testing.assert_allclose(parts[:, 0], whole, atol=1e-6)


def test_video_is_heard_in_windows_too(samples, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        values = np.repeat(samples, 2)[None].astype(np.float32)
        for start in range(0, values.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(values[:, start : start + 1024]), "fltp", "mono"
            )
            frame.sample_rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole, rate = decode(as_clip(path, 0), path.read_bytes())
    found = pieces(path)
    assert len(found) == 18
    cut, own_rate = found[3].sound
    assert own_rate == rate
    np.testing.assert_array_equal(cut, whole[round(6 * rate) : round(8 * rate)])


def test_a_waveform_is_a_recording(samples):
    integers = np.round(samples * 32767).astype(np.int16)
    found = pieces((integers, RATE))
    np.testing.assert_allclose(found[2].sound[0], samples[4 * RATE : 6 * RATE], atol=1e-4)


def test_short_recordings_are_heard_whole(samples, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, samples[: 5 * RATE], RATE)
    (whole,) = pieces(path)
    assert (whole.start, whole.end) == (0, 5)
    assert len(pieces(path, longest=4.9)) == 3
    (everything,) = pieces((samples, RATE), length=None)
    assert len(everything.sound[0]) == len(samples)
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format="WAV")
    (encoded,) = pieces(content.getvalue())
    assert len(encoded.sound[0]) == len(samples)


def test_a_short_rest_is_not_heard_for_itself(samples):
    assert len(pieces((samples[: 8 * RATE + 100], RATE))) == 4
    assert len(pieces((samples[: 8 * RATE + 3000], RATE))) == 5


def test_silence_is_said_of_its_window(samples):
    samples = samples.copy()
    samples[10 * RATE : 12 * RATE] = 0
    found = pieces((samples, RATE))
    (silent,) = [piece for piece in found if piece.error is not None]
    assert (silent.start, silent.end) == (10, 12)
    assert "from 10.00 s to 12.00 s): silent" in str(silent.error)


def test_what_comes_before_damage_is_heard(samples, tmp_path):
    path = tmp_path / "cut.wav"
    soundfile.write(path, samples, RATE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    *before, last = pieces(path)
    assert len(before) == 11
    assert all(piece.error is None for piece in before)
    assert last.sound is None
    assert "truncated or damaged (23.3 s could be decoded; " in str(last.error)
    assert "); it was recognised up to 22.0 s." in str(last.error)


@pytest.mark.parametrize(("hop", "covered"), [(0.5, 23.0), (3.0, 23.0), (5.0, 22.0)])
def test_damage_is_said_to_come_after_the_end_of_the_last_window(hop, covered, samples, tmp_path):
    path = tmp_path / "cut.wav"
    soundfile.write(path, samples, RATE)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    *before, last = pieces(path, hop=hop)
    assert before[-1].end == covered
    assert f"); it was recognised up to {covered:.1f} s." in str(last.error)


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg"])
def test_windows_reach_the_end_of_files_one_after_the_other(samples, kind, tmp_path):
    path = tmp_path / "two"
    contents = []
    for _ in range(2):
        file = io.BytesIO()
        soundfile.write(file, samples, RATE, format=kind)
        contents.append(file.getvalue())
    path.write_bytes(b"".join(contents))
    assert pieces(path)[-1].end == pytest.approx(2 * len(samples) / RATE, abs=0.2)


def test_channels_that_cancel_out_are_no_silence_in_windows_either(samples, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.column_stack([samples, -samples]), RATE)
    found = pieces(path)
    assert len(found) == 18
    assert all("its 2 channels cancel out" in str(piece.error) for piece in found)


def test_what_is_no_recording_is_said_once(tmp_path):
    path = tmp_path / "text.wav"
    path.write_text("no sound")
    (piece,) = pieces(path)
    assert "not audio" in str(piece.error)
    (missing,) = pieces(tmp_path / "nowhere.wav")
    assert "no such file" in str(missing.error)

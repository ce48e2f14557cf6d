"""Copies are found whatever was done to them, and different clips are no pair."""

import io
import shutil
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import resample_poly

from sklearn_ser.audit import _fingerprints, find_duplicates
from sklearn_ser.audit._duplicates import _Audio, _pairs_by_origin
from sklearn_ser.audit._fingerprints import (
    HOP,
    MIN_FRAMES,
    RATE,
    Fingerprint,
    fingerprint,
    match_fingerprints,
    words_at,
)
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.exceptions import ClipError
from sklearn_ser.preprocessing import AudioAugmenter

CUT = 0.2037  # seconds, 25.46 hops


def coded(samples, rate, **how):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **how)
    return {"bytes": file.getvalue()}


def wav(samples, rate):
    return coded(samples, rate, format="WAV", subtype="PCM_16")


def resampled(samples, rate, wanted):
    common = np.gcd(rate, wanted)
    return resample_poly(samples, wanted // common, rate // common), wanted


def gain(samples, decibels):
    return np.clip(samples * 10 ** (decibels / 20), -1, 1 - 2**-15)


def cut(samples, rate, start, end):
    return samples[round(start * rate) : len(samples) - round(end * rate)]


# The change; the seconds after which a copy starts in its original, and by which it is shorter.
CHANGES = {
    "8 kHz": (lambda x, r: wav(*resampled(x, r, 8000)), 0, 0),
    "44.1 kHz": (lambda x, r: wav(*resampled(x, r, 44100)), 0, 0),
    "48 kHz": (lambda x, r: wav(*resampled(x, r, 48000)), 0, 0),
    "mp3": (lambda x, r: coded(x, r, format="MP3"), 0, 0),
    "start": (lambda x, r: wav(cut(x, r, CUT, 0), r), CUT, CUT),
    "end": (lambda x, r: wav(cut(x, r, 0, CUT), r), 0, CUT),
    "both": (lambda x, r: wav(cut(x, r, CUT, CUT), r), CUT, 2 * CUT),
    "softer": (lambda x, r: wav(gain(x, -6), r), 0, 0),
    "louder": (lambda x, r: wav(gain(x, 6), r), 0, 0),
    "all": (
        lambda x, r: coded(
            *resampled(gain(cut(x, r, CUT, CUT), -6), r, 8000), format="MP3"
        ),
        CUT,
        2 * CUT,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=2, n_sentences=2, random_state=0).X


@pytest.fixture(scope="module")
def recordings(emodb):
    paths = [str(path) for path in sorted(emodb.rglob("*.wav"))]
    return paths, [soundfile.read(path, dtype="float32") for path in paths]


def of_words(words, loud):
    """Return a fingerprint with these words, and with none in common half a band away."""
    others = np.random.default_rng(words[:4]).integers(0, 2**32, len(words), dtype=np.uint64)
    series = np.stack([others << np.uint64(30), words.astype(np.uint64) << np.uint64(31)], axis=1)
    return Fingerprint(series, loud)


def linked(pairs):
    return list(zip(pairs["clip"], pairs["other"], strict=True))


@pytest.mark.parametrize("name", CHANGES)
def test_changed_copy_is_found(name, corpus):
    change, offset, shorter = CHANGES[name]
    position = 5
    samples, rate = corpus[position]
    pairs = find_duplicates([*corpus, change(samples, rate)])
    assert linked(pairs) == [(position, len(corpus))]
    (pair,) = pairs.itertuples(index=False)
    assert pair.kind == "near-identical"
    assert pair.offset == pytest.approx(offset, abs=HOP / RATE)
    assert pair.overlap == pytest.approx(len(samples) / rate - shorter, abs=2 * HOP / RATE)
    assert 0 <= pair.error_rate < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_every_changed_copy_of_real_speech_is_found_and_no_other_take(name, recordings):
    paths, clips = recordings
    change, offset, _ = CHANGES[name]
    pairs = find_duplicates([*paths, *(change(*clip) for clip in clips)], n_jobs=2)
    assert linked(pairs) == [(i, i + len(paths)) for i in range(len(paths))]
    assert (abs(pairs["offset"] - offset) <= HOP / RATE).all()
    assert pairs["error_rate"].max() < 0.15


def speed(samples, rate, factor):
    return resample_poly(samples, 1000, round(1000 * factor)), rate


def augmented(samples, rate, change, number=0):
    """Return a copy that does not say what it is a copy of."""
    augmenter = AudioAugmenter(change, n_copies=number + 1, cache=None)
    return augmenter.fit_resample([(samples, rate)], ["anger"])[0][-1]


AUGMENTER_CHANGES = ("noise", "stretch", "pitch", "gain", "room", "codec")
# The change, and the share of copies that is found at least: 0.95 is as far from whole half bands
# as can be.
OTHERS = {
    "speed +5 %": (partial(speed, factor=1.05), 0.8),
    "speed -5 %": (partial(speed, factor=0.95), 0.4),
    "speed +10 %": (partial(speed, factor=1.1), 0.9),
    "speed -10 %": (partial(speed, factor=0.9), 0.9),
    **{name: (partial(augmented, change=name), 0.9) for name in AUGMENTER_CHANGES},
}


@pytest.mark.parametrize("name", OTHERS)
def test_copies_of_another_tempo_or_pitch_or_room_are_found(name, corpus):
    if name in AUGMENTER_CHANGES:
        pytest.importorskip("audiomentations")
    change, share = OTHERS[name]
    pairs = find_duplicates([*corpus, *(change(*clip) for clip in corpus)])
    assert {*linked(pairs)} <= {(i, i + len(corpus)) for i in range(len(corpus))}
    assert len(pairs) >= share * len(corpus)
    if name.startswith("speed"):
        seconds = np.array([len(x) / r for x, r in corpus])[pairs["clip"]]
        np.testing.assert_allclose(pairs["overlap"], seconds, rtol=0.05)
        assert (abs(pairs["offset"]) < 0.1).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_most_copies_of_real_speech_of_another_tempo_or_pitch_or_room_are_found(name, recordings):
    paths, clips = recordings
    change, _ = OTHERS[name]
    pairs = find_duplicates([*paths, *(change(*clip) for clip in clips[::4])], n_jobs=2)
    right = {(4 * i, i + len(paths)) for i in range(len(clips[::4]))}
    assert {*linked(pairs)} <= right
    assert len(pairs) >= 0.85 * len(right)


def test_takes_of_the_same_sentences_by_the_same_speakers_are_no_pairs(recordings):
    assert len(find_duplicates(recordings[0], n_jobs=2)) == 0


@pytest.mark.slow
def test_hardly_any_takes_of_synthetic_sentences_are_pairs():
    """One synthesiser at two settings is near to one recording at two pitches."""
    assert len(find_duplicates(make_emotional_speech(random_state=0).X)) == 0
    corpus = make_emotional_speech(n_speakers=5, n_sentences=7, random_state=0)
    assert len(find_duplicates(corpus.X)) <= 0.01 * len(corpus.X)


@pytest.mark.parametrize("kind", ["FLAC", "WAV"])
def test_copy_in_another_container_is_identical(kind, corpus, tmp_path):
    samples, rate = corpus[1]
    samples = np.round(samples * 32767).astype(np.int16)
    original, copy = tmp_path / "one.wav", tmp_path / f"two.{kind.lower()}"
    soundfile.write(original, samples, rate, subtype="PCM_16")
    soundfile.write(copy, samples, rate, subtype="PCM_16", format=kind)
    pairs = find_duplicates([str(original), corpus[0], copy, (samples, rate)])
    assert linked(pairs) == [(0, 2), (0, 3), (2, 3)]
    assert set(pairs["kind"]) == {"identical"}
    assert (pairs[["offset", "error_rate"]] == 0).all(axis=None)
    assert pairs["overlap"].tolist() == [len(samples) / rate] * 3


def test_every_pair_of_a_group_of_copies_is_found(corpus):
    samples, rate = corpus[0]
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 0.3, 30)
    copies = [(cut(samples, rate, start, rng.uniform(0, 0.3)), rate) for start in starts]
    pairs = find_duplicates([*copies, *corpus[1:], copies[4]])
    last = len(copies) + len(corpus) - 1
    expected = [(i, j) for i in range(30) for j in [*range(i + 1, 30), last]]
    assert linked(pairs) == expected
    assert pairs.loc[pairs["kind"] == "identical", ["clip", "other"]].to_numpy().tolist() == [
        [4, last]
    ]
    starts = {**dict(enumerate(starts)), last: starts[4]}
    offsets = [starts[j] - starts[i] for i, j in expected]
    np.testing.assert_allclose(pairs["offset"], offsets, atol=1.5 * HOP / RATE)


def test_large_groups_of_copies_are_linked_in_linear_space(corpus):
    samples, rate = corpus[0]
    rng = np.random.default_rng(0)
    trimmed = [(cut(samples, rate, *rng.uniform(0, 0.2, 2)), rate) for _ in range(100)]
    exact = [corpus[1]] * 100
    pairs = find_duplicates([*trimmed, *exact])
    groups = pd.Series(range(200))
    for clip, other in linked(pairs):
        groups[groups == groups[other]] = groups[clip]
    assert groups.nunique() == 2
    assert groups[0] != groups[100]
    assert (pairs["kind"] == "identical").sum() == 99
    assert len(pairs) < 100 * 32


def test_only_neighbours_with_a_key_are_compared(corpus, monkeypatch):
    from sklearn_ser.audit import _fingerprints

    compared = []
    compare = _fingerprints._Frames.compare

    def counted(self, pairs, *nearby):
        compared.append(len(pairs))
        return compare(self, pairs, *nearby)

    monkeypatch.setattr(_fingerprints._Frames, "compare", counted)
    samples = resample_poly(corpus[0][0], 1, 2)
    one = fingerprint(samples)
    n_copies = 500
    pairs = match_fingerprints([one] * n_copies)
    assert linked(pairs) == [(i, i + 1) for i in range(n_copies - 1)]
    assert sum(compared) < 6 * n_copies


def test_overlapping_parts_of_a_recording_are_pairs(corpus):
    whole = np.concatenate([x for x, _ in corpus[:3]])
    rate = corpus[0][1]
    frame = pd.DataFrame(
        {"start": [0.0, 1.0, 2.5], "end": [2.0, 3.5, 4.5], "emotion": ["anger"] * 3}
    )
    segments = [
        {"array": whole, "sampling_rate": rate, "start": start, "end": end}
        for start, end in zip(frame["start"], frame["end"], strict=True)
    ]
    pairs = find_duplicates(segments)
    assert linked(pairs) == [(0, 1), (1, 2)]
    np.testing.assert_allclose(pairs["offset"], [1.0, 1.5], atol=HOP / RATE)
    np.testing.assert_allclose(pairs["overlap"], [1.0, 1.0], atol=HOP / RATE)


def test_frame_of_a_corpus_is_read_by_its_paths_and_segments(corpus, tmp_path):
    samples, rate = corpus[2]
    soundfile.write(tmp_path / "a.wav", samples, rate)
    frame = pd.DataFrame({"emotion": ["fear"] * 3, "path": [str(tmp_path / "a.wav")] * 3})
    assert linked(find_duplicates(frame)) == [(0, 1), (0, 2), (1, 2)]
    frame = frame.assign(start=[0.0, 0.0, 0.1], end=[1.1, 1.1, 1.2])
    assert find_duplicates(frame)["kind"].tolist() == ["identical"] + ["near-identical"] * 2
    with pytest.raises(ValueError, match="none of them is path"):
        find_duplicates(frame[["emotion", "start"]])


def test_bare_waveforms_need_their_rate(corpus):
    waveforms = [corpus[0][0], corpus[1][0], corpus[0][0]]
    assert linked(find_duplicates(waveforms, waveform_rate=corpus[0][1])) == [(0, 2)]
    with pytest.raises(ClipError, match="waveform_rate"):
        find_duplicates(waveforms)


def test_short_clips_can_only_be_identical(speech):
    short, rate = speech(0, 0.5), 16000
    X = [(short, rate), (0.5 * short, rate), (short.copy(), rate), (speech(1, 0.05), rate)]
    pairs = find_duplicates(X)
    assert linked(pairs) == [(0, 2)]
    assert pairs["kind"].tolist() == ["identical"]


def test_silence_pairs_with_equal_silence_only(corpus):
    zeros, rate = np.zeros(32000, np.float32), 16000
    noise = np.random.default_rng(0).standard_normal((2, 32000)).astype(np.float32)
    padded = np.concatenate([zeros, corpus[0][0], zeros])
    constant = np.full(32000, 0.1, np.float32)
    X = [zeros, zeros.copy(), zeros[:-1], *(1e-3 * noise), corpus[0][0], padded, constant]
    pairs = find_duplicates(X, waveform_rate=rate)
    assert linked(pairs) == [(0, 1), (5, 6)]
    assert pairs["kind"].tolist() == ["identical", "near-identical"]
    assert pairs["overlap"].tolist() == [2.0, pytest.approx(len(corpus[0][0]) / rate)]
    assert pairs["offset"].tolist() == [0.0, pytest.approx(-2.0, abs=HOP / RATE)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_clip_that_cannot_be_used_is_named(n_jobs, corpus):
    with pytest.raises(ClipError, match=r"clip 1 \(bytes\)"):
        find_duplicates([corpus[0], b"no audio", *corpus], n_jobs=n_jobs)


def test_a_copy_may_come_before_its_original(corpus):
    samples, rate = corpus[0]
    copy = (cut(samples, rate, CUT, 0), rate)
    pairs = find_duplicates([copy, (samples, rate), copy, *corpus[1:]])
    assert linked(pairs) == [(0, 1), (0, 2), (1, 2)]
    assert pairs["kind"].tolist() == ["near-identical", "identical", "near-identical"]
    np.testing.assert_allclose(pairs["offset"], [-CUT, 0, CUT], atol=HOP / RATE)


@pytest.mark.parametrize("n_clips", [0, 1])
def test_too_few_clips_give_an_empty_frame(n_clips, corpus):
    pairs = find_duplicates(corpus[:n_clips] or pd.Series([], dtype=object))
    assert list(pairs) == ["clip", "other", "kind", "offset", "overlap", "error_rate"]
    assert len(pairs) == 0


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_result_does_not_depend_on_jobs(n_jobs, corpus):
    X = [*corpus, (corpus[3][0][1000:], 16000)]
    pd.testing.assert_frame_equal(find_duplicates(X), find_duplicates(X, n_jobs=n_jobs))


def test_fingerprint_does_not_depend_on_level_or_block(corpus, monkeypatch):
    waveform = resample_poly(corpus[0][0], 1, 2)
    one, softer = fingerprint(waveform), fingerprint(waveform / 2)
    monkeypatch.setattr("sklearn_ser.audit._fingerprints.BLOCK", 7)
    in_blocks = fingerprint(waveform)
    for other in (softer, in_blocks):
        np.testing.assert_array_equal(one.words, other.words)
        np.testing.assert_array_equal(one.loud, other.loud)
    assert len(one.words) == (len(waveform) - 2048) // HOP


@pytest.mark.parametrize(("n_loud", "found"), [(MIN_FRAMES, True), (MIN_FRAMES - 1, False)])
def test_few_loud_frames_in_common_are_no_copy(n_loud, found):
    """Frames that are quiet in either clip count for nothing, though they are alike."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**32, 200, dtype=np.uint32)
    loud = np.arange(200) < n_loud
    clips = [of_words(words, loud), of_words(words, np.ones(200, bool))]
    assert len(match_fingerprints(clips)) == found


def test_quiet_frames_do_not_count_as_errors():
    rng = np.random.default_rng(0)
    words, others = rng.integers(0, 2**32, (2, 200), dtype=np.uint32)
    loud = np.arange(200) < 100
    clips = [of_words(words, loud), of_words(np.where(loud, words, others), loud)]
    assert match_fingerprints(clips)["error_rate"].tolist() == [0]


def brute_force(one, two):
    """Return the shift with the lowest error rate, of all, and that rate, frame by frame."""
    found = {}
    words, others = words_at(one.words, 0).tolist(), words_at(two.words, 0).tolist()
    for shift in range(MIN_FRAMES - len(others), len(words) - MIN_FRAMES + 1):
        both = [
            (words[i], others[i - shift])
            for i in range(max(0, shift), min(len(words), shift + len(others)))
            if one.loud[i] and two.loud[i - shift]
        ]
        if len(both) >= MIN_FRAMES:
            found[shift] = sum((a ^ b).bit_count() for a, b in both) / (32 * len(both))
    return min(found.items(), key=lambda item: item[1])


def with_one_key(at, shift, cut=0, n_frames=200):
    """Return two fingerprints that share a key at `shift` alone, which is not their best shift.

    Words stay for four frames, as those of speech change little from frame to frame, and every
    word of the copy has one to three wrong bits among those that keys are made of.
    """
    rng = np.random.default_rng(0)
    words = np.repeat(rng.integers(0, 2**32, n_frames // 4, dtype=np.uint32), 4)
    wrong = [
        sum(1 << int(bit) for bit in rng.choice(np.arange(16, 32), n, replace=False))
        for n in rng.integers(1, 4, n_frames)
    ]
    copy = (words ^ np.array(wrong, dtype=np.uint32))[cut:]
    copy[at - shift] = words[at]
    return [of_words(w, np.ones(len(w), bool)) for w in (words, copy)]


@pytest.mark.parametrize("at_once", [1 << 20, 100])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("at", "shift"), [(80, 0), (80, 1), (80, -1), (0, 0), (0, -1)])
def test_the_best_shift_is_found_from_a_key_beside_it(at, shift, swapped, at_once, monkeypatch):
    monkeypatch.setattr(_fingerprints, "FRAMES_AT_ONCE", at_once)
    cut = 20 if at > 50 else 0
    clips = with_one_key(at, shift + cut, cut)[:: -1 if swapped else 1]
    pairs = match_fingerprints(clips)
    best, rate = brute_force(*clips)
    assert best == (-cut if swapped else cut)
    assert linked(pairs) == [(0, 1)]
    assert pairs["shift"].tolist() == [best]
    np.testing.assert_allclose(pairs["error_rate"], [rate], rtol=1e-12)


@pytest.mark.parametrize(("n_copies", "n_pairs"), [(64, 64 * 63 // 2), (65, 64)])
def test_every_pair_of_up_to_64_copies_is_compared(n_copies, n_pairs):
    words = np.random.default_rng(0).integers(0, 2**32, 100, dtype=np.uint32)
    pairs = match_fingerprints([of_words(words, np.ones(100, bool))] * n_copies)
    assert len(pairs) == n_pairs


@pytest.mark.parametrize(
    ("origins", "families"),
    [
        ([None, 0, 1], [[0, 1, 2]]),  # a copy of a copy
        ([9, 0, 1], [[0, 1, 2]]),  # of which the first original is not there
        ([9, 9, None, 2, None], [[0, 1], [2, 3]]),
        ([1, 0, 2], [[0, 1]]),  # files that lie
        ([None, None], []),
    ],
)
def test_clips_and_the_copies_of_their_copies_are_one_family(origins, families):
    def digest(number):
        return None if number is None else f"{number:032x}"

    audio = [_Audio(digest(i), 1.0, origin=digest(origin)) for i, origin in enumerate(origins)]
    found = {row[:2] for row in _pairs_by_origin(audio, set())}
    assert found == {pair for family in families for pair in combinations(family, 2)}


def test_copies_in_files_are_found_by_their_origin(corpus, tmp_path, monkeypatch):
    """Whatever fingerprints say: of segments and copied files, and of copies of one clip."""
    pytest.importorskip("audiomentations")
    samples, rate = corpus[0]
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    soundfile.write(tmp_path / "b.flac", corpus[1][0], rate)
    X = [str(tmp_path / "a.wav"), str(tmp_path / "b.flac"), *corpus[2:4]]
    augmenter = AudioAugmenter(["pitch", "stretch"], n_copies=2, cache=tmp_path)
    copied = augmenter.fit_resample(X, ["anger"] * 4)[0][4:]
    assert all(isinstance(path, str) for path in copied)
    moved = tmp_path / "moved.wav"
    shutil.copy(copied[0], moved)
    clips = [(samples.astype(np.float32), rate), *X[1:], *copied[:-1], moved]
    of = [*range(4), *augmenter.sample_indices_[4:11], 0]
    expected = [(i, j) for i in range(12) for j in range(i + 1, 12) if of[i] == of[j]]
    with monkeypatch.context() as patch:
        patch.setattr(_fingerprints, "MAX_ERROR_RATE", 0)
        patch.setattr(_fingerprints, "MAX_ERROR_RATE_CHANGED", 0)
        for _ in range(2):  # the second time from records
            pairs = find_duplicates(clips, cache=tmp_path)
            assert linked(pairs) == expected
            assert (pairs["kind"] == "identical").sum() == 1
            assert pairs["error_rate"].isna().sum() == len(expected) - 1
    assert find_duplicates(clips, cache=tmp_path)["error_rate"].notna().sum() >= 10


def test_the_comment_of_a_copy_is_read_by_others(corpus, tmp_path):
    pytest.importorskip("audiomentations")
    augmenter = AudioAugmenter("gain", cache=tmp_path)
    copy = augmenter.fit_resample(corpus[:1], ["anger"])[0][-1]
    with soundfile.SoundFile(copy) as file:
        assert file.comment.startswith("changed copy, by sklearn-ser, of the samples ")
        assert len(file.read()) == len(corpus[0][0])

"""Fingerprints are computed once for each content, and kept in the store as records."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from sklearn_ser.audit import _duplicates, audit_split, find_duplicates
from sklearn_ser.audit._fingerprints import Fingerprint
from sklearn_ser.cli import main
from sklearn_ser.datasets import load_folder, make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.exceptions import ClipError, ClipWarning
from sklearn_ser.store import Store

SPEAKER = "(s[0-9]+)_"


@pytest.fixture(scope="module")
def speech_corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)


@pytest.fixture
def folder(speech_corpus, tmp_path):
    frame = speech_corpus.frame
    for i, (waveform, rate) in enumerate(speech_corpus.X):
        path = tmp_path / "corpus" / frame["emotion"][i] / f"{frame['speaker'][i]}_{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform, rate)
    return tmp_path / "corpus"


@pytest.fixture
def computed(monkeypatch):
    """Return a list that grows by one for each fingerprint that is computed."""
    calls = []
    compute = _duplicates.fingerprint

    def counted(samples):
        calls.append(len(samples))
        return compute(samples)

    monkeypatch.setattr(_duplicates, "fingerprint", counted)
    return calls


def load(folder):
    return load_folder(folder, speaker=SPEAKER)


def run_command(folder, **given):
    options = ["--cache", str(given["cache"] or "none")] if "cache" in given else []
    corpus = ["folder", "--data", str(folder), "--speaker", SPEAKER]
    return main(["audit", "--corpus", *corpus, *options])


CALLERS = {
    "find_duplicates": lambda folder, **how: find_duplicates(load(folder).X, **how),
    "audit_split": lambda folder, **how: audit_split(load(folder), **how),
    "compare": lambda folder, **how: compare(load(folder), ["mfcc"], classifier="lda", **how),
    "sklearn-ser audit": run_command,
}


@pytest.mark.parametrize("name", CALLERS)
def test_fingerprints_are_computed_once_and_kept_where_asked(name, folder, tmp_path, computed):
    n_clips, call = 16, CALLERS[name]
    call(folder, cache=None)
    assert len(computed) == n_clips
    assert Store().list() == Store(tmp_path / "mine").list() == []
    for given in ({}, {"cache": tmp_path / "mine"}):
        computed.clear()
        call(folder, **given)
        call(folder, **given)
        assert len(computed) == n_clips, "computed again, or taken from another store"
        kept = {
            records.folder.name.split("-")[0]: records
            for records in Store(given.get("cache", "auto")).list()
        }
        assert kept["fingerprint"].size()[0] == n_clips


def test_a_changed_file_is_read_again(folder, computed):
    paths = sorted(map(str, folder.rglob("*.wav")))
    assert len(find_duplicates(paths)) == 0
    samples, rate = soundfile.read(paths[3])
    soundfile.write(paths[5], samples[rate // 5 :], rate)
    computed.clear()
    pairs = find_duplicates(paths)
    assert len(computed) == 1
    assert pairs[["clip", "other"]].to_numpy().tolist() == [[3, 5]]


def test_what_is_found_from_records_is_what_was_found_without(speech_corpus):
    (waveform, rate), silent = speech_corpus.X[0], (np.zeros(16000), 16000)
    short = (waveform[:400], rate)
    X = [*speech_corpus.X, (waveform, rate), (0.5 * waveform, rate), short, short, silent, silent]
    expected = find_duplicates(X, cache=None)
    assert set(expected["kind"]) == {"identical", "near-identical"}
    for _ in range(2):
        pd.testing.assert_frame_equal(find_duplicates(X), expected, check_exact=True)


@pytest.mark.parametrize("origin", [None, "f00d" * 8])
def test_a_record_gives_the_same_bits_back(origin):
    rng = np.random.default_rng(0)
    # 35 bits and 34, at the top; among their halves are those that floats call NaN.
    words = rng.integers(0, 2**35, (1000, 2), dtype=np.uint64) << np.uint64(29)
    words[:, 1] <<= np.uint64(1)
    loud = rng.random(1000) < 0.5
    audio = _duplicates._Audio("00ff" * 8, 1 / 3, Fingerprint(words, loud), origin)
    record = audio.to_record()
    assert record.dtype == np.float32
    assert np.isfinite(record).all()
    again = _duplicates._Audio.of_record(record)
    assert again[:2] == audio[:2]
    assert again.origin == origin
    np.testing.assert_array_equal(again.fingerprint.words, words)
    np.testing.assert_array_equal(again.fingerprint.loud, loud)


def test_a_clip_that_cannot_be_used_is_named_however_often_it_is_read(speech_corpus):
    X = [*speech_corpus.X, b"no audio", b"no audio"]
    for _ in range(2):
        with pytest.raises(ClipError, match=r"clip 16 \(bytes\)"):
            find_duplicates(X)
        with pytest.warns(ClipWarning, match="It is left out") as caught:
            assert len(find_duplicates(X, on_error="warn")) == 0
        assert [str(each.message)[:7] for each in caught] == ["clip 16", "clip 17"]

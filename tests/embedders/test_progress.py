"""What is told while clips are extracted, and that nothing is told unasked."""

import numpy as np
import pytest
import soundfile

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip


def test_progress_tells_clips_hours_and_speed(speech, capsys):
    X = [(speech(seed, 0.5), 16000) for seed in range(5)]
    MFCCEmbedder(cache=None, verbose=True).transform(X)
    shown = capsys.readouterr().err.split("\r")[-1]
    assert shown.startswith("mfcc: 100%")
    assert "5/5" in shown
    assert "0.00 h of audio" in shown
    assert "× real time" in shown


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_nothing_is_told_unasked(n_jobs, speech, capsys):
    MFCCEmbedder(cache=None, n_jobs=n_jobs).transform([(speech(), 16000)])
    assert capsys.readouterr() == ("", "")


def test_seconds_of_a_clip(speech, tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech(0, 1.5), 16000)
    waveform = np.zeros(8000, np.float32)
    values = [path, path.read_bytes(), (waveform, 16000), tmp_path / "absent.wav", b"no audio", 3]
    seconds = [as_clip(value, 0).seconds() for value in values]
    assert seconds == [1.5, 1.5, 0.5, 0.0, 0.0, 0.0]

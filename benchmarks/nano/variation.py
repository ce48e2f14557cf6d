"""Utterances in other manners: pitch, intonation, rate, vocal tract, colour, noise, room."""

import audiomentations
import numpy as np
import parselmouth
import soxr
from parselmouth.praat import call
from recordings import RATE
from scipy.fft import next_fast_len

MEAN_LENGTH, SPREAD = 2.4, 0.45  # seconds, and of its logarithm
LONGEST = 7.0


def utterances(recorded, rng):
    """Join what is short, and cut what is long, to the lengths of sentences.

    Yields (speaker, waveform).
    """
    last, parts, wanted = None, [], 0.0
    for speaker, waveform in recorded:
        if speaker != last and parts:
            yield last, _joined(parts, rng)
            parts = []
        last = speaker
        if not parts:
            wanted = RATE * min(LONGEST, np.exp(rng.normal(np.log(MEAN_LENGTH), SPREAD)))
        for start in range(0, len(waveform), int(LONGEST * RATE)):
            parts.append(waveform[start : start + int(LONGEST * RATE)])
            if sum(map(len, parts)) >= wanted:
                yield last, _joined(parts, rng)
                parts = []
    if parts:
        yield last, _joined(parts, rng)


def _joined(parts, rng):
    spaced = [parts[0]]
    for part in parts[1:]:
        spaced += [np.zeros(int(rng.uniform(0.02, 0.25) * RATE), np.float32), part]
    return np.concatenate(spaced)[: int(LONGEST * RATE)]


def colours():
    """Return what changes the colour of a voice and the place where it was recorded."""
    return audiomentations.Compose(
        [
            audiomentations.HighShelfFilter(
                min_center_freq=1500, max_center_freq=3500, min_gain_db=-14, max_gain_db=14, p=0.6
            ),
            audiomentations.SevenBandParametricEQ(min_gain_db=-7, max_gain_db=7, p=0.5),
            audiomentations.AddColorNoise(min_snr_db=12, max_snr_db=45, p=0.4),
            audiomentations.LowPassFilter(min_cutoff_freq=3400, max_cutoff_freq=7500, p=0.15),
            audiomentations.TanhDistortion(min_distortion=0.01, max_distortion=0.25, p=0.15),
        ]
    )


def varied(waveform, rng, colour):
    """Return an utterance in another manner, float32, at a random peak."""
    if rng.random() < 0.85:
        waveform = _spoken_otherwise(waveform, rng)
    if rng.random() < 0.25:
        waveform = _in_a_room(waveform, rng)
    waveform = colour(np.ascontiguousarray(waveform, np.float32), RATE)
    peak = np.abs(waveform).max()
    return (waveform * (rng.uniform(0.2, 0.97) / max(peak, 1e-4))).astype(np.float32)


def _spoken_otherwise(waveform, rng):
    """Change formants by resampling, then pitch, its range and the rate with Praat's PSOLA."""
    formants = np.exp(rng.normal(0, 0.09))
    pitch = np.exp(rng.uniform(np.log(85), np.log(380))) if rng.random() < 0.8 else None
    spread = np.exp(rng.normal(0.0, 0.4))
    duration = formants * np.exp(rng.uniform(np.log(0.65), np.log(1.45)))
    resampled = soxr.resample(waveform, RATE, RATE / formants, quality="MQ")
    sound = parselmouth.Sound(resampled.astype(np.float64), RATE)
    try:
        manipulation = call(sound, "To Manipulation", 0.01, 75, 600)
        contour = call(manipulation, "Extract pitch tier")
        if call(contour, "Get number of points") < 3:
            return waveform
        mean = call(contour, "Get mean (points)", 0, 0)
        # Within bounds, as pulses far too dense or too rare would keep it busy for ever.
        formula = f"min(550, max(60, {pitch or mean} * (self / {mean}) ^ {spread}))"
        call(contour, "Formula", formula)
        rate = call("Create DurationTier", "rate", 0, sound.duration)
        call(rate, "Add point", 0, duration)
        call([contour, manipulation], "Replace pitch tier")
        call([rate, manipulation], "Replace duration tier")
        changed = call(manipulation, "Get resynthesis (overlap-add)")
    except parselmouth.PraatError:  # too short
        return waveform
    return changed.values[0][: int(LONGEST * RATE)].astype(np.float32)


def _in_a_room(waveform, rng):
    """Add an exponentially dying echo."""
    decay = rng.uniform(0.08, 0.6)  # seconds until -60 dB
    n = int(decay * RATE)
    response = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    response *= rng.uniform(0.1, 0.8) / np.linalg.norm(response)
    response[0] += 1.0
    size = next_fast_len(len(waveform) + n)
    echo = np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(response, size), size)
    return echo[: len(waveform)].astype(np.float32)

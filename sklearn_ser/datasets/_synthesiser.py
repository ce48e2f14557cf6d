"""A source-filter synthesiser of emotional speech, which `make_emotional_speech` speaks with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft, rfftfreq
from scipy.signal.windows import hann

__all__ = [
    "EMOTIONS",
    "RATE",
    "Array32",
    "draw_sentence",
    "draw_speaker",
    "random_generator",
    "speak",
]

Array = npt.NDArray[np.float64]
Array32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]

RATE = 16000  # Hz, at which every clip is made before it is resampled
HOP = 128
WINDOW = 2 * HOP
N_FFT = 6 * HOP  # room behind the window for formants to ring out
TAPER = hann(WINDOW, sym=False).astype(np.float32)
FREQUENCIES = rfftfreq(N_FFT, 1 / RATE).astype(np.float32)
OCTAVES = np.log2(np.maximum(FREQUENCIES, 500) / 500)


class Prosody(NamedTuple):
    """How a clip is spoken, as differences from a neutral voice."""

    f0: float = 0  # mean fundamental frequency, semitones
    f0_range: float = 0  # size of f0 movements, log2 of a factor
    rate: float = 0  # speaking rate, log2 of a factor
    level: float = 0  # intensity, dB
    tilt: float = 0  # high-frequency energy, dB per octave above 500 Hz
    breath: float = 0  # aspiration noise, dB
    perturbation: float = 0  # jitter and shimmer, log2 of a factor
    precision: float = 0  # distance of vowels from schwa, log2 of a factor
    lips: float = 0  # formant frequencies, log2 of a factor: spread lips raise them
    end: float = 0  # movement of f0 on the last syllable, semitones
    tremor: float = 0  # depth of a 6 Hz tremor of f0, semitones


# Only ever append: a clip's random numbers depend on the position of its emotion.
EMOTIONS = {
    "anger": Prosody(4.5, 0.9, 0.25, 9, 2.8, -4, 1.2, 0.3, 0, -2.5),
    "happiness": Prosody(5, 1.0, 0.2, 5, 1.6, 0, 0.4, 0.2, 0.08, 2.5),
    "neutral": Prosody(),
    "sadness": Prosody(-1.5, -1.0, -0.35, -6, -2.6, 9, 0.5, -0.45, -0.03, 0),
    "fear": Prosody(7, -0.1, 0.4, 0, 0.8, 5, 1.0, 0.1, 0.03, 1, 1.0),
    "disgust": Prosody(-2, 0.2, -0.4, -1, 0.5, 3, 0.9, 0.3, -0.06, -2.5),
    "boredom": Prosody(-2.5, -1.3, -0.4, -4, -1.3, 1, 0.1, -0.5, -0.04, -1),
}

# Standard deviations: between speakers whatever the emotion, between speakers in one emotion,
# and between clips of one speaker in one emotion.
HABIT = Prosody(0, 0.15, 0.08, 2, 0.7, 2, 0.2, 0.1, 0, 0.3, 0)
MANNER = Prosody(1.7, 0.4, 0.14, 2.8, 1, 2.8, 0.5, 0.17, 0.035, 1.4, 0)
CLIP = Prosody(1, 0.3, 0.09, 2, 0.5, 2, 0.4, 0.12, 0.015, 1.2, 0)


class Phone(NamedTuple):
    """Targets of one sound: seconds, gains of voice and noise, and frequencies in Hz."""

    duration: float
    voice: float
    noise: float
    f1: float
    f2: float
    f3: float
    centre: float = 3000
    width: float = 1500


SCHWA = np.array([500.0, 1500.0, 2500.0])
VOWEL_FORMANTS = zip(  # Peterson & Barney 1952, men
    [270, 390, 530, 660, 730, 570, 440, 300, 640],
    [2290, 1990, 1840, 1720, 1090, 840, 1020, 870, 1190],
    [3010, 2550, 2480, 2410, 2440, 2410, 2240, 2240, 2390],
    strict=True,
)
VOWELS = [Phone(0.1, 1, 0, *formants) for formants in VOWEL_FORMANTS]
PAUSE = Phone(0.1, 0, 0, *SCHWA)
ONSETS: list[list[Phone]] = [
    [Phone(0.09, 0, 0.30, 320, 1700, 2550, 5800, 1100)],  # s
    [Phone(0.09, 0, 0.28, 310, 1850, 2400, 3300, 900)],  # sh
    [Phone(0.08, 0, 0.07, 310, 1000, 2200, 4500, 2500)],  # f
    [Phone(0.05, 0, 0, 300, 1750, 2600), Phone(0.025, 0, 0.25, 300, 1750, 2600, 4200, 1400)],  # t
    [Phone(0.05, 0, 0, 300, 1900, 2300), Phone(0.03, 0, 0.20, 300, 1900, 2300, 1900, 600)],  # k
    [Phone(0.04, 0.08, 0, 250, 900, 2200), Phone(0.015, 0.3, 0.1, 300, 900, 2200, 800, 500)],  # b
    [Phone(0.07, 0.35, 0, 260, 1100, 2200)],  # m
    [Phone(0.07, 0.35, 0, 270, 1600, 2550)],  # n
    [Phone(0.06, 0.55, 0, 350, 1200, 2700)],  # l
    [Phone(0.06, 0.45, 0.14, 300, 1650, 2550, 5500, 1200)],  # z
]
DELAY = np.exp(-2j * np.pi * rfftfreq(N_FFT))  # of one sample, at every frequency
# Two poles fall by 12 dB an octave; the lips radiate with a rise of 6.
GLOTTIS = (1 - DELAY) / (1 - np.exp(-2 * np.pi * 120 / RATE) * DELAY) ** 2
GLOTTIS = (GLOTTIS / np.abs(GLOTTIS).max()).astype(np.complex64)


class Speaker(NamedTuple):
    """One voice and its microphone."""

    sex: str
    f0: float  # mean in neutral speech, Hz
    formants: float  # factor on their frequencies, 1 for an average man
    upper_tract: Complex64  # response of the formants from the fourth up, which do not move
    colour: Array32  # gain of the microphone at FREQUENCIES
    noise_floor: float  # root mean square of the background noise
    prosody: dict[str, Array]  # the fields of Prosody for every emotion


class Sentence(NamedTuple):
    """Phones of shape (n_phones, n_fields), and which of them belong to a stressed syllable."""

    phones: Array
    accents: Array


class Contours(NamedTuple):
    """What moves during a clip, each of shape (n_frames,) but for formants."""

    f0: Array  # Hz
    effort: Array  # spectral tilt, dB per octave
    voice: Array  # gain of what the vocal tract shapes
    hiss: Array  # gain of friction
    formants: Array  # shape (n_frames, 3), Hz
    centre: Array  # of friction, Hz
    width: Array  # of friction, Hz


def random_generator(entropy: int, *key: int) -> np.random.Generator:
    """Return the random numbers of one speaker, sentence or clip, whatever else is made."""
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key))


def draw_speaker(rng: np.random.Generator, sex: str) -> Speaker:
    """Return a voice, "male" or "female"."""
    male = sex == "male"
    formants = (1.0 if male else 1.16) * 2 ** rng.normal(0, 0.05)
    upper = formants * np.arange(3500, 0.47 * RATE / formants, 1000)
    mel = np.log1p(FREQUENCIES / 700) / np.log1p(RATE / 2 / 700)
    ripple = rng.normal(0, 2.5, size=5) @ np.cos(np.pi * np.outer(np.arange(1, 6), mel))
    habit = rng.normal(size=len(HABIT)) * HABIT
    return Speaker(
        sex=sex,
        f0=(115 if male else 205) * 2 ** rng.normal(0, 0.12),
        formants=formants,
        upper_tract=_vocal_tract(upper[None])[0],
        colour=(10 ** (ripple / 20)).astype(np.float32),
        noise_floor=10 ** (rng.normal(-66, 4) / 20),
        # Last, so that an emotion appended to the table leaves the rest of a speaker alone.
        prosody={name: habit + _draw_manner(rng, rule) for name, rule in EMOTIONS.items()},
    )


def _draw_manner(rng: np.random.Generator, rule: Prosody) -> Array:
    return rng.uniform(0.7, 1.3) * np.array(rule) + rng.normal(size=len(rule)) * MANNER


def draw_sentence(rng: np.random.Generator) -> Sentence:
    """Return eight to ten syllables, some of them stressed, with a pause between them."""
    n_syllables = int(rng.integers(8, 11))
    stressed = rng.permutation(n_syllables) < 0.4 * n_syllables
    pause_after = int(rng.integers(3, n_syllables - 2))
    phones, accents = [PAUSE], [0.0]
    for i, accent in enumerate(stressed):
        onset = ONSETS[rng.integers(len(ONSETS))]
        vowel = VOWELS[rng.integers(len(VOWELS))]
        longer = (1.3 if accent else 1.0) * (1.4 if i == n_syllables - 1 else 1.0)
        phones += [*onset, vowel._replace(duration=vowel.duration * longer)]
        accents += [float(accent)] * (len(onset) + 1)
        if i == pause_after:
            phones.append(PAUSE)
            accents.append(0.0)
    return Sentence(np.array([*phones, PAUSE]), np.array([*accents, 0.0]))


def _smooth(contours: Array, seconds: float) -> Array:
    """Smooth contours of shape (n_frames, n_contours) over time: articulators have mass."""
    half = int(seconds * RATE / HOP / 2) + 1
    kernel = hann(2 * half + 1, sym=True)[1:-1]
    padded = np.pad(contours, ((half - 1, half - 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)
    return windows @ (kernel / kernel.sum())


def _pulses(f0: Array, perturbation: float, rng: np.random.Generator) -> Array32:
    """Return glottal pulses of unit power for an f0 in Hz per sample, with jitter and shimmer."""
    phase = np.cumsum(f0) / RATE
    at = np.interp(np.arange(1, int(phase[-1])), phase, np.arange(len(phase)))
    period = RATE / f0[at.astype(int)]
    at += period * 0.006 * 2**perturbation * rng.normal(size=len(at))
    heights = np.sqrt(period) * (1 + 0.05 * 2**perturbation * rng.normal(size=len(at)))
    at = np.clip(at, 0, len(f0) - 2)
    whole, part = at.astype(int), at % 1
    pulses = np.bincount(whole, heights * (1 - part), len(f0))
    pulses += np.bincount(whole + 1, heights * part, len(f0))
    return pulses.astype(np.float32)


def _frames(signal: Array32) -> Complex64:
    """Return spectra of overlapping Hann windows, of shape (n_frames, n_frequencies)."""
    windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
    return rfft(windows * TAPER, N_FFT)


def _overlap_add(spectra: Complex64) -> Array32:
    blocks = irfft(spectra, N_FFT).reshape(len(spectra), -1, HOP)
    n_blocks = blocks.shape[1]
    signal = np.zeros((len(spectra) + n_blocks, HOP), np.float32)
    for i in range(n_blocks):
        # What zero-phase gains put before the window has wrapped around into the last block.
        signal[i : i + len(blocks)] += blocks[:, i - 1]
    return signal.ravel()


def _vocal_tract(formants: Array) -> Complex64:
    """Return the response of a cascade of resonators [1] for every frame, 1 at 0 Hz.

    `formants` has shape (n_frames, n_formants), in Hz; bandwidths follow from them.
    """
    radius = np.exp(-np.pi * (50 + 0.04 * formants) / RATE)
    first = -2 * radius * np.cos(2 * np.pi * formants / RATE)
    poles = np.zeros((len(formants), 2 * formants.shape[1] + 1))
    poles[:, 0] = 1
    for b, c in zip(first.T, radius.T**2, strict=True):
        poles[:, 2:] += b[:, None] * poles[:, 1:-1] + c[:, None] * poles[:, :-2]
        poles[:, 1] += b
    delays = DELAY ** np.arange(poles.shape[1])[:, None]
    response = poles.sum(axis=1, keepdims=True) / (poles @ delays)
    return response.astype(np.complex64)


def _column(values: Array) -> Array32:
    return values.astype(np.float32)[:, None]


def _brightness(effort: Array) -> Array32:
    """Return the gain of a spectral tilt in dB per octave above 500 Hz, for every frame."""
    return np.exp2(_column(effort / 6.02) * OCTAVES)


def _band(centre: Array, width: Array) -> Array32:
    """Return the gain of a band around `centre`, in Hz, for every frame."""
    return np.exp(-0.5 * ((FREQUENCIES - _column(centre)) / _column(width)) ** 2)


def _f0(speaker: Speaker, prosody: Prosody, accents: Array, final: Array, phase: float) -> Array:
    """Return f0 in Hz for every frame: declination, accents, the last syllable and tremor."""
    position = np.linspace(0, 1, len(accents))
    movement = 3.0 * (accents - accents.mean()) + 3.0 * (0.5 - position)
    tremor = np.sin(2 * np.pi * 6 * np.arange(len(accents)) * HOP / RATE + phase)
    semitones = (
        prosody.f0
        + 2**prosody.f0_range * movement
        + (prosody.end - 1) * final
        + max(prosody.tremor, 0) * tremor
    )
    return np.clip(speaker.f0 * 2 ** (semitones / 12), 50, 600)


def _articulate(
    sentence: Sentence, speaker: Speaker, prosody: Prosody, rng: np.random.Generator
) -> Contours:
    """Put the phones on a time line and let one glide into the next."""
    durations = sentence.phones[:, 0] * np.exp(rng.normal(0, 0.08, len(sentence.phones)))
    ends = np.cumsum(durations) / 2 ** np.clip(prosody.rate, -0.45, 0.4)
    n_frames = int(ends[-1] * RATE / HOP)
    phone = np.searchsorted(ends[:-1], np.arange(n_frames) * HOP / RATE, side="right")

    last_vowel = (phone == len(ends) - 2).astype(float)
    accents, final = _smooth(np.stack([sentence.accents[phone], last_vowel], axis=1), 0.12).T
    voice, noise = _smooth(sentence.phones[phone, 1:3], 0.05).T
    shape = sentence.phones[:, 3:].copy()
    shape[:, :3] = SCHWA + (shape[:, :3] - SCHWA) * 2**prosody.precision
    shape[:, :3] *= 2**prosody.lips * np.exp(rng.normal(0, 0.03, (len(shape), 3)))
    shape = _smooth(shape[phone], 0.05)

    effort = prosody.tilt - 1.5 + (accents - 0.5)
    return Contours(
        f0=_f0(speaker, prosody, accents, final, rng.uniform(0, 2 * np.pi)),
        effort=effort,
        voice=voice * 10 ** (2 * accents / 20),
        hiss=0.5 * noise * 2 ** (prosody.precision + effort / 6),
        formants=shape[:, :3] * speaker.formants,
        centre=shape[:, 3],
        width=shape[:, 4],
    )


def _synthesise(
    contours: Contours, speaker: Speaker, prosody: Prosody, rng: np.random.Generator
) -> Complex64:
    """Return the spectra of source times filter, of shape (n_frames, n_frequencies)."""
    n_frames = len(contours.f0)
    n_samples = (n_frames + 1) * HOP
    f0 = np.interp(np.arange(n_samples) / HOP - 0.5, np.arange(n_frames), contours.f0)
    pulses = _frames(_pulses(f0, prosody.perturbation, rng))
    turbulence = _frames(rng.standard_normal(n_samples, dtype=np.float32))
    breath = 10 ** ((prosody.breath - 38) / 20) * speaker.upper_tract
    voiced = pulses * (GLOTTIS * speaker.upper_tract) + turbulence * breath
    voiced *= _vocal_tract(contours.formants)
    voiced *= _brightness(contours.effort) * _column(contours.voice)
    friction = _band(contours.centre, contours.width) * _column(contours.hiss)
    return (voiced + friction * turbulence) * speaker.colour


def speak(speaker: Speaker, sentence: Sentence, emotion: str, rng: np.random.Generator) -> Array32:
    """Return one clip at `RATE`, as the speaker's microphone records it."""
    drawn = speaker.prosody[emotion] + rng.normal(size=len(CLIP)) * CLIP
    prosody = Prosody(*drawn.tolist())
    contours = _articulate(sentence, speaker, prosody, rng)
    waveform = _overlap_add(_synthesise(contours, speaker, prosody, rng))
    waveform *= 10 ** ((prosody.level - 32) / 20) / np.sqrt(np.mean(waveform**2))
    noise = rng.standard_normal(len(waveform), dtype=np.float32)
    return waveform + np.float32(speaker.noise_floor) * noise

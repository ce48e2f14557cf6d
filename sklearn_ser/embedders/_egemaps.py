"""openSMILE's standard feature sets."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_ser._audio import Clip
from sklearn_ser._extraction import Extractor, Prepared, WaveformExtractor
from sklearn_ser._utils import RATE, StrOptions, once, thread_count, warn
from sklearn_ser.embedders._base import Array, BaseEmbedder, version_of
from sklearn_ser.embedders._layouts import POOLING, FrameLayout, VectorLayout
from sklearn_ser.embedders._opensmile import BlockwiseSmile, to_16_bits

__all__ = ["EGeMAPSEmbedder"]

FEATURE_SETS = (
    "GeMAPSv01a",
    "GeMAPSv01b",
    "eGeMAPSv01a",
    "eGeMAPSv01b",
    "eGeMAPSv02",
    "ComParE_2016",
)
LEVELS = {"functionals": "Functionals", "lld": "LowLevelDescriptors"}
SHORTEST = 0.06  # seconds: openSMILE's pitch window; a shorter clip has no frame
# Share of a clip's energy that clipping may remove. Lossy decoders and resampling overshoot full
# scale in up to 10 % of the samples of a distorted recording, but by so little that it is less than
# 0.01 % of the energy. Of speech with a standard deviation of 1 it is 20 to 40 %.
MOST_CLIPPED = 0.01
BLOCK = 2**20  # samples, that are checked at once
LONG = 60  # seconds: longer clips are computed in blocks
DEFAULT_POOLING = ("mean", "std")
_threads = threading.local()


class EGeMAPSEmbedder(BaseEmbedder):
    """openSMILE's standard acoustic feature sets: GeMAPS, eGeMAPS and ComParE 2016.

    openSMILE is free for research; other uses need a licence from audEERING.

    Parameters
    ----------
    feature_set : str, default="eGeMAPSv02"
        One of "GeMAPSv01a", "GeMAPSv01b", "eGeMAPSv01a", "eGeMAPSv01b", "eGeMAPSv02" and
        "ComParE_2016". openSMILE advises "GeMAPSv01b" and "eGeMAPSv02" in place of their earlier
        versions, which serve to repeat published results.
    level : {"functionals", "lld"}, default="functionals"
        The set's own functionals, or its low-level descriptors, pooled over frames.
    pooling : str, list of str, or None, default=("mean", "std")
        For ``level="lld"``, statistics over frames: "mean", "std", "min", "max", "median";
        None returns the frames. Functionals are one row a clip already, so that setting it for
        them is an error.
    rate : float, default=16000
        Sampling rate, in Hz, that clips are resampled to.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms; needed for those.
    n_jobs : int, default=None
        Number of threads.
    cache : str, path-like or None, default="auto"
        Where records are kept. "auto" is the environment variable ``SKLEARN_SER_CACHE`` or
        the platform's cache folder; None keeps nothing.
    on_error : {"raise", "warn", "nan"}, default="raise"
        What a clip that cannot be used does: raise, give a row of NaN and a warning, or give
        a row of NaN.
    verbose : bool, default=False
        Whether to show a progress bar.

    Raises
    ------
    ValueError
        By `fit` and `transform`, if `pooling` is set for functionals.
    ClipError
        By `transform`, if a clip cannot be used and ``on_error="raise"``. One such is a waveform
        of another scale than ±1, such as one divided by its standard deviation: clipping it to
        ±1 would remove more than 1 % of its energy.

    Warns
    -----
    ClipWarning
        Once for all clips of which some samples exceed ±1, and were clipped.

    See Also
    --------
    MFCCEmbedder : Cepstral coefficients.
    SSLEmbedder : Learned features.

    Notes
    -----
    openSMILE takes 16-bit integers, and features such as loudness depend on the level, so that
    waveforms of floats must have their full scale at ±1, as the files of sound have it. What
    resampling or decoding a lossy file adds beyond ±1, a few samples in general, is clipped there.

    Clips longer than a minute are given to openSMILE in blocks, with the same values to the last
    bit. They take the memory of the waveform, 4 bytes a sample, and of the low-level descriptors
    that functionals are computed of, 100 frames a second and 4 bytes each: at 16 kHz 78 kB a second
    for "eGeMAPSv02", 116 kB for "ComParE_2016", and about 16 kB while functionals are computed.
    Three hours of "eGeMAPSv02" took 1.25 GB, of "ComParE_2016" 1.81 GB, of which 0.23 and 0.25 GB
    are the imports.

    References
    ----------
    F. Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for Voice Research
    and Affective Computing", IEEE TAC 7(2), 2016.

    B. Schuller et al., "The INTERSPEECH 2016 Computational Paralinguistics Challenge",
    Interspeech 2016.

    Examples
    --------
    >>> from sklearn_ser import EGeMAPSEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> embedder = EGeMAPSEmbedder(cache=None)
    >>> embedder.fit_transform(corpus.X).shape
    (8, 88)
    >>> embedder.get_feature_names_out()[0]
    'F0semitoneFrom27.5Hz_sma3nz_amean'
    """

    short_name = "egemaps"
    _parameter_constraints = {
        **BaseEmbedder._parameter_constraints,
        "pooling": POOLING,
        "feature_set": [StrOptions(set(FEATURE_SETS))],
        "level": [StrOptions(set(LEVELS))],
        "rate": [RATE],
    }

    def __init__(
        self,
        feature_set: str = "eGeMAPSv02",
        level: str = "functionals",
        pooling: str | Sequence[str] | None = DEFAULT_POOLING,
        *,
        rate: float = 16000,
        waveform_rate: float | None = None,
        n_jobs: int | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        on_error: str = "raise",
        verbose: bool = False,
    ) -> None:
        self.feature_set = feature_set
        self.level = level
        self.pooling = pooling
        self.rate = rate
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    def check_settings(self) -> None:
        """Raise a ValueError if `pooling` is set for functionals."""
        pooling = self.pooling if isinstance(self.pooling, (list, tuple)) else [self.pooling]
        if self.level == "functionals" and list(pooling) != list(DEFAULT_POOLING):
            raise ValueError(
                f"pooling={self.pooling!r} has no effect: the functionals of {self.feature_set} "
                'are one row a clip already. Leave pooling out, or set level="lld" for frames.'
            )

    def compute_settings(self) -> dict[str, Any]:
        """Return the feature set, the sampling rate and openSMILE's version.

        Returns
        -------
        settings : dict
        """
        compute = {"feature_set": self.feature_set, "level": self.level, "rate": self.rate}
        return {**compute, "opensmile": version_of("opensmile")}

    def gives_sequences(self) -> bool:
        """Return whether `transform` gives the frames of low-level descriptors.

        Returns
        -------
        gives_sequences : bool
        """
        return self.level == "lld" and self.pooling is None

    def layout(self) -> VectorLayout | FrameLayout:
        """Return functionals as a vector, low-level descriptors as frames.

        Returns
        -------
        layout : VectorLayout or FrameLayout
        """
        names = list(_smile(self.feature_set, self.level).feature_names)
        if self.level == "functionals":
            return VectorLayout(names)
        return FrameLayout([(0, "")], names, self.pooling)

    def min_samples(self) -> int:
        """Return the length of openSMILE's pitch window.

        Returns
        -------
        n_samples : int
        """
        return int(SHORTEST * self.rate)

    def compute(self, waveform: Array) -> Array:
        """Return what openSMILE computes.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32

        Returns
        -------
        computed : ndarray of shape (1, n_frames, n_features)
            One frame of functionals, or all frames of low-level descriptors.
        """
        if len(waveform) > LONG * self.rate:
            in_blocks = _blockwise(self.feature_set, self.level, self.rate)
            if in_blocks is not None:
                return in_blocks(waveform, self.rate)[None]
        computed = _smile(self.feature_set, self.level)(to_16_bits(waveform), self.rate)
        return np.asarray(computed, dtype=np.float32).swapaxes(1, 2)

    def make_extractor(self) -> Extractor:
        """Return what computes clips whose full scale is ±1.

        Returns
        -------
        extractor : SmileExtractor
        """
        make_record, n_threads = self.layout().make_record, thread_count(self.n_jobs)
        return SmileExtractor(
            lambda waveform: make_record(self.compute(waveform)),
            self.rate,
            self.min_samples(),
            n_threads,
        )


class SmileExtractor(WaveformExtractor):
    """Computes openSMILE's features of clips whose full scale is ±1.

    Clips that exceed it are noted, with the numbers of samples clipped and of all.
    """

    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return the record; a ClipError if the clip's full scale is not ±1."""
        waveform = self.waveform(clip, content)
        peak, n_clipped, beyond, energy = 0.0, 0, 0.0, 0.0
        for first in range(0, len(waveform), BLOCK):
            level = np.abs(waveform[first : first + BLOCK])
            peak = max(peak, float(level.max()))
            n_clipped += int(np.count_nonzero(level > 1))
            beyond += float(np.square(np.maximum(level - 1, 0)).sum())
            energy += float(np.square(level).sum())
        if peak > 1:
            lost = beyond / energy
            if lost > MOST_CLIPPED:
                raise clip.error(
                    f"{n_clipped / len(waveform):.1%} of its samples exceed full scale (±1), by up "
                    f"to {peak:.3g} times; openSMILE would clip them, and so {lost:.0%} of the "
                    "energy",
                    "Pass the waveform as the file has it, or divide it by its peak; do not "
                    "standardise it.",
                )
            self.notes.append((n_clipped, len(waveform), clip.position, clip.name))
        return Prepared(self.function(waveform))

    @classmethod
    def remarks(cls, notes: Sequence[tuple[Any, ...]]) -> list[str]:
        """Return how much was clipped."""
        if not notes:
            return []
        n_clipped, n_samples, position, name = max(notes, key=lambda note: note[0] / note[1])
        also = f"{len(notes)} clips, at most" if len(notes) > 1 else "1 clip,"
        return [
            f"samples beyond full scale (±1) were clipped in {also} {n_clipped} of {n_samples} "
            f"({n_clipped / n_samples:.2g}) in clip {position} ({name})"
        ]


def _smile(feature_set: str, level: str) -> Any:
    """Return this thread's openSMILE instance: one costs 5 ms to make and is not shared."""
    import opensmile

    made = _threads.__dict__.setdefault("smiles", {})
    if (feature_set, level) not in made:
        made[feature_set, level] = _smile_class()(
            getattr(opensmile.FeatureSet, feature_set),
            getattr(opensmile.FeatureLevel, LEVELS[level]),
        )
    return made[feature_set, level]


@once(maxsize=32)
def _blockwise(feature_set: str, level: str, rate: float) -> BlockwiseSmile | None:
    """Return what computes long clips; None if a trial differs from openSMILE as it is."""
    smile = _smile(feature_set, level)
    time = np.arange(int(3 * rate)) / rate
    trial = (((120 + 20 * np.sin(time)) * time) % 1 - 0.5) * np.sin(3 * time) ** 2
    trial = (trial + 0.01 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)
    try:
        in_blocks = BlockwiseSmile(smile.config_path, level)
        equal = np.array_equal(in_blocks(trial, rate), smile(trial, rate)[0].T, equal_nan=True)
    except Exception:  # whatever another version of openSMILE has changed
        equal = False
    if equal:
        return in_blocks
    warn(
        f"opensmile {version_of('opensmile')} does not compute {feature_set} in blocks: clips "
        f"longer than {LONG} s are computed whole, and a minute takes about 40 MB.",
        RuntimeWarning,
    )
    return None


@functools.cache
def _smile_class() -> Any:
    import opensmile

    class Smile(opensmile.Smile):
        """openSMILE without its warning of earlier versions, which users choose by name."""

        def _check_deprecated(self) -> None:
            pass

    return Smile

"""Audio fingerprints, which survive resampling, coding and trimming, and which clips share audio.

:func:`~sklearn_ser.audit.find_duplicates` reads clips, takes their fingerprints and matches them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.fft
from scipy.signal.windows import hann

__all__ = [
    "HOP",
    "LARGEST_GROUP",
    "NO_FRAMES",
    "RATE",
    "SETTINGS",
    "Fingerprint",
    "fingerprint",
    "match_fingerprints",
]

RATE = 8000  # Hz, the lowest sampling rate in common use: copies at any rate are alike
WINDOW = 2048  # samples, so many that a shift by half a hop changes 3 % of the bits only
HOP = 64  # samples
N_BANDS = 33  # for 32 differences between neighbours
LOWEST, HIGHEST = 300, 3000  # Hz, what telephones and codecs leave of speech
# Copies of another pitch are compared with bands that begin up to so many half bands higher or
# lower; half a band is 0.6 semitones.
MOST_BANDS = 3
QUIET = 1e-3  # of the loudest frame's energy; below it, bits are those of noise
BLOCK = 32  # frames analysed at once, so few that they stay in the processor's cache

# All that changes a fingerprint: the key of its record.
SETTINGS: dict[str, float] = {"rate": RATE, "window": WINDOW, "hop": HOP, "n_bands": N_BANDS}
SETTINGS |= {"lowest": LOWEST, "highest": HIGHEST, "quiet": QUIET, "half_bands": MOST_BANDS}

HALVES = np.arange(-MOST_BANDS, 2 * N_BANDS + MOST_BANDS + 1) / (2 * N_BANDS)
EDGES = np.round(LOWEST * (HIGHEST / LOWEST) ** HALVES * WINDOW / RATE).astype(int)
TAPER = hann(WINDOW, sym=False).astype(np.float32)

MAX_ERROR_RATE = 0.25  # copies differ in 0.11 of their bits or fewer, other clips in 0.3 or more
MAX_ERROR_RATE_CHANGED = 0.2  # where tempo or pitch differ, as more is tried
MIN_FRAMES = 48  # loud in both clips; over fewer, clips may agree by chance
MIN_FRAMES_CHANGED = 96  # there
NEARBY = 64  # frames on either side of an equal key, which rule most chance hits out
NEARBY_STEP = 8  # of these frames, one is compared where tempo or pitch differ
NEARBY_ERROR_RATE = 0.35  # of so few frames, so that no copy is lost here
TEMPOS = (0.9, 0.925, 0.95, 0.975, 1.0, 1.025, 1.05, 1.075, 1.1)
FINER_TEMPOS = np.arange(-5, 6) * 0.0025  # on either side of these
BEST_HITS = 4  # of a pair, those that are refined
SPARE_KEY_BITS = 10  # more than the logarithm of the number of frames: few hits are by chance
LARGEST_GROUP = 64  # clips, up to which every pair of a group of copies is compared
PAIR = ("clip", "other", "shift", "tempo", "bands")
FRAMES_AT_ONCE = 1 << 20  # compared in one go, which bounds memory

ONES = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8)).reshape(-1, 16)
N_ONES = ONES.sum(axis=1, dtype=np.uint8)  # of every 16-bit number


class Fingerprint(NamedTuple):
    """A clip's frames, one each :data:`HOP` samples at :data:`RATE`.

    Parameters
    ----------
    words : ndarray of shape (n_frames, 2), uint64
        Signs of how the difference of neighbouring bands changes, lowest bands in the top bits: of
        the bands from the lowest edge on, and of those from half a band higher on.
    loud : ndarray of shape (n_frames,), bool
        Whether the frame is more than background noise.
    """

    words: npt.NDArray[np.uint64]
    loud: npt.NDArray[np.bool_]


NO_FRAMES = Fingerprint(np.zeros((0, 2), np.uint64), np.zeros(0, np.bool_))


def words_at(words: npt.NDArray[np.uint64], bands: Any) -> npt.NDArray[np.uint32]:
    """Return the 32 bits of each frame, of bands that begin `bands` half bands higher."""
    first = np.asarray(bands) + MOST_BANDS
    series = words[np.arange(len(words)), first % 2]
    return (series >> (32 - first // 2).astype(np.uint64)).astype(np.uint32)


def fingerprint(waveform: npt.NDArray[np.float32]) -> Fingerprint:
    """Return the fingerprint of a waveform of shape (n_samples,) at :data:`RATE`.

    One shorter than a window and a hop has no frame.
    """
    if len(waveform) < WINDOW + HOP:
        return NO_FRAMES
    windows = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    blocks = [windows[i : i + BLOCK] for i in range(0, len(windows), BLOCK)]
    halves = np.concatenate([_band_energies(block) for block in blocks])
    bands = halves[:, :-1] + halves[:, 1:]
    slopes = bands[:, :-2] - bands[:, 2:]
    signs = slopes[1:] > slopes[:-1]
    packed = np.zeros((len(signs), 2, 8), np.uint8)
    for series in (0, 1):
        bits = np.packbits(signs[:, series::2], axis=1)
        packed[:, series, : bits.shape[1]] = bits
    energy = halves[1:, MOST_BANDS:-MOST_BANDS].sum(axis=1)
    words = packed.view(">u8")[..., 0].astype(np.uint64)
    return Fingerprint(words, energy > QUIET * energy.max())


def _band_energies(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    spectrum = scipy.fft.rfft(windows * TAPER, axis=1)[:, : EDGES[-1]]
    power = spectrum.real**2 + spectrum.imag**2
    energies: npt.NDArray[np.float32] = np.add.reduceat(power, EDGES[:-1], axis=1)
    return energies


def match_fingerprints(fingerprints: Sequence[Fingerprint]) -> pd.DataFrame:
    """Return the pairs of clips of which a part at least is the same audio.

    Cost is that of sorting the keys of all clips: of the clips that share a key, only
    neighbours are compared, and groups of copies are completed from these links.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint

    Returns
    -------
    pairs : DataFrame
        clip, other : positions, clip < other
        shift : the frame of `clip` in which `other` starts
        tempo : frames of `other` for each frame of `clip`
        bands : half bands by which `other` is higher
        error_rate : share of the bits that differ, of frames loud in both
    """
    frames = _Frames(fingerprints)
    hits = frames.shared_keys()
    same_pitch = hits[hits["bands"] == 0].drop_duplicates(["clip", "other", "shift"])
    nearby, _ = frames.compare(same_pitch, NEARBY)
    links = _best_shifts(frames, same_pitch[nearby < NEARBY_ERROR_RATE])
    links = pd.concat([links, _changed_pairs(frames, hits, links)], ignore_index=True)
    links = links.drop(columns="error_rate")
    pairs = pd.concat([links, _implied_pairs(links)], ignore_index=True)
    around = [pairs.assign(shift=pairs["shift"] + frame) for frame in (0, -1, 1)]
    return _best_shifts(frames, pd.concat(around, ignore_index=True))


class _Frames:
    """The frames of all clips, end to end."""

    def __init__(self, fingerprints: Sequence[Fingerprint]) -> None:
        self.lengths = np.array([len(f.words) for f in fingerprints], dtype=np.int64)
        self.begins = np.cumsum(self.lengths) - self.lengths
        fingerprints = [NO_FRAMES, *fingerprints]
        self.series = np.concatenate([f.words for f in fingerprints])
        self.words = words_at(self.series, 0)
        self.loud = np.concatenate([f.loud for f in fingerprints])

    def shared_keys(self) -> pd.DataFrame:
        """Return where clips share a key, with the half bands by which the other is higher.

        A key is made of a word's lowest bands, which change least. Of the clips with a key, those
        next to each other are hits. Of another pitch, the first two are.
        """
        places = np.flatnonzero(self.loud)
        n_bits = min(32, len(places).bit_length() + SPARE_KEY_BITS)
        keys, at = self._sorted_keys(places, 0, n_bits)
        same = np.flatnonzero(keys[1:] == keys[:-1])
        found = [(at[same], at[same + 1], np.zeros(len(same), np.int64))]
        for bands in range(1, MOST_BANDS + 1):
            higher, other = self._sorted_keys(places, bands, n_bits)
            first = np.searchsorted(keys, higher)
            for nth in (first, first + 1):
                (hit,) = np.nonzero(np.append(keys, 1 << 32)[np.minimum(nth, len(keys))] == higher)
                found.append((at[nth[hit]], other[hit], np.full(len(hit), bands)))
        one, two, half_bands = (np.concatenate(part) for part in zip(*found, strict=True))
        clip, other = self._clips_at(one), self._clips_at(two)
        swap = clip > other
        one, two = np.where(swap, two, one), np.where(swap, one, two)
        clip, other = np.minimum(clip, other), np.maximum(clip, other)
        at = one - self.begins[clip]
        hits = {"clip": clip, "other": other, "shift": at - (two - self.begins[other]), "at": at}
        hits |= {"tempo": 1.0, "bands": np.where(swap, -half_bands, half_bands)}
        return pd.DataFrame(hits)[clip != other].reset_index(drop=True)

    def _sorted_keys(
        self, places: npt.NDArray[np.int64], bands: int, n_bits: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the keys in order, each once a clip, and the first place of each."""
        words = self.words if bands == 0 else words_at(self.series, bands)
        keys = (words[places] >> np.uint32(32 - n_bits)).astype(np.uint64)
        # Sorting keys with their places in one number is several times faster than an argsort.
        both = np.sort(keys << np.uint64(32) | places.astype(np.uint64))
        keys, places = both >> np.uint64(32), (both & np.uint64(0xFFFFFFFF)).astype(np.int64)
        clips = self._clips_at(places)
        new = np.append(True, (keys[1:] != keys[:-1]) | (clips[1:] != clips[:-1]))[: len(keys)]
        return keys[new].astype(np.int64), places[new]

    def _clips_at(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        # Clips without a frame begin where the next one does, which is the one that is meant.
        return np.searchsorted(self.begins, places, side="right").astype(np.int64) - 1

    def compare(
        self, pairs: pd.DataFrame, nearby: int | None = None, step: int = 1
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return the bit error rate of each pair, and over how many frames.

        It is taken over all that overlaps, or the `nearby` frames on either side of ``at``; of
        these, over each `step`-th.
        """
        names = ("clip", "other", "shift", "tempo", "bands")
        clip, other, shift, tempo, bands = (pairs[name].to_numpy() for name in names)
        last = self.lengths[other] - 1
        start = np.ceil(np.maximum(shift, 0)).astype(np.int64)
        stop = np.minimum(self.lengths[clip], np.floor(shift + last / tempo).astype(np.int64) + 1)
        if nearby is not None:
            at = pairs["at"].to_numpy()
            start, stop = np.maximum(start, at - nearby), np.minimum(stop, at + nearby)
        n_frames = np.maximum(stop - start + step - 1, 0) // step
        errors, compared = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)
        for part in _batches(n_frames):
            n = n_frames[part]
            ends = np.cumsum(n)
            pair = np.repeat(np.arange(len(n)), n)
            frame = start[part][pair] + step * (np.arange(ends[-1]) - np.repeat(ends - n, n))
            there = np.rint((frame - shift[part][pair]) * tempo[part][pair]).astype(np.int64)
            i, j = self.begins[clip[part]][pair] + frame, self.begins[other[part]][pair] + there
            loud = self.loud[i] & self.loud[j]
            higher = bands[part][pair]
            words = words_at(self.series[j], higher) if higher.any() else self.words[j]
            halves = (self.words[i] ^ words).view(np.uint16).reshape(-1, 2)
            bits = N_ONES[halves].sum(axis=1) * loud
            errors[part] = np.bincount(pair, bits, len(n))
            compared[part] = np.bincount(pair, loud, len(n))
        rates = np.divide(errors, 32 * compared, out=np.ones(len(pairs)), where=compared > 0)
        return rates, compared


def _batches(n_frames: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Yield runs of pairs with about as many frames as may be compared at once."""
    if len(n_frames) == 0:
        return
    number = np.cumsum(n_frames) // FRAMES_AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(n_frames)]
    for start, stop in pairwise(bounds):
        yield slice(start, stop)


def _changed_pairs(frames: _Frames, hits: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Return pairs that no link joins, and that are alike at another tempo or pitch."""
    linked = pd.MultiIndex.from_frame(links[["clip", "other"]])
    hits = hits[~pd.MultiIndex.from_frame(hits[["clip", "other"]]).isin(linked)]
    hits = hits.drop_duplicates(["clip", "other", "shift", "bands"])
    tried = [_at_tempo(hits, tempo) for tempo in TEMPOS]
    rates = np.array([frames.compare(one, NEARBY, NEARBY_STEP)[0] for one in tried])
    hits = _at_tempo(hits, np.asarray(TEMPOS)[rates.argmin(axis=0)]).assign(rate=rates.min(axis=0))
    hits = hits[hits["rate"] < NEARBY_ERROR_RATE].sort_values("rate", kind="stable")
    hits = hits.groupby(["clip", "other"]).head(BEST_HITS).drop(columns="rate")
    finer = [_at_tempo(hits, hits["tempo"] + change) for change in FINER_TEMPOS]
    return _best_shifts(frames, pd.concat(finer, ignore_index=True))


def _at_tempo(pairs: pd.DataFrame, tempo: Any) -> pd.DataFrame:
    """Return pairs at another tempo, with the same frame beside ``at``."""
    shift = pairs["at"] - (pairs["at"] - pairs["shift"]) * pairs["tempo"] / tempo
    return pairs.assign(shift=shift, tempo=tempo)


def _best_shifts(frames: _Frames, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return each pair's best shift, of the pairs that are alike enough there."""
    error_rate, compared = frames.compare(pairs)
    changed = (pairs["tempo"] != 1) | (pairs["bands"] != 0)
    alike = compared >= np.where(changed, MIN_FRAMES_CHANGED, MIN_FRAMES)
    alike &= error_rate < np.where(changed, MAX_ERROR_RATE_CHANGED, MAX_ERROR_RATE)
    found = pairs.assign(error_rate=error_rate)[alike].sort_values("error_rate", kind="stable")
    found = found.drop_duplicates(["clip", "other"]).sort_values(["clip", "other"])
    return found[[*PAIR, "error_rate"]].reset_index(drop=True)


def _implied_pairs(links: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of a group that no link joins, with the shifts that the links imply."""
    linked = set(zip(links["clip"].tolist(), links["other"].tolist(), strict=True))
    rows = []
    for places in _linked_groups(links):
        if len(places) <= LARGEST_GROUP:
            for clip, other in combinations(sorted(places), 2):
                change = places[clip].inverse().then(places[other])
                if (clip, other) not in linked and abs(change.bands) <= MOST_BANDS:
                    rows.append((clip, other, *change))
    return pd.DataFrame(rows, columns=[*PAIR]).astype(links.dtypes[[*PAIR]])


class _Change(NamedTuple):
    """What of a clip's frames gives those of another: `shift`, `tempo` and `bands` of a pair."""

    shift: float
    tempo: float
    bands: int

    def inverse(self) -> _Change:
        return _Change(-self.shift * self.tempo, 1 / self.tempo, -self.bands)

    def then(self, other: _Change) -> _Change:
        shift = self.shift + other.shift / self.tempo
        return _Change(shift, self.tempo * other.tempo, self.bands + other.bands)


def _linked_groups(links: pd.DataFrame) -> Iterator[dict[int, _Change]]:
    """Yield the clips of each group, each with the change that makes it of the first one."""
    neighbours: defaultdict[int, list[tuple[int, _Change]]] = defaultdict(list)
    for clip, other, *values in zip(*(links[name].tolist() for name in PAIR), strict=True):
        neighbours[clip].append((other, _Change(*values)))
        neighbours[other].append((clip, _Change(*values).inverse()))
    while neighbours:
        first = next(iter(neighbours))
        changes, to_visit = {first: _Change(0, 1.0, 0)}, [first]
        while to_visit:
            clip = to_visit.pop()
            for other, change in neighbours.pop(clip):
                if other not in changes:
                    changes[other] = changes[clip].then(change)
                    to_visit.append(other)
        yield changes

"""Audio fingerprints, which survive resampling, coding and trimming, and which clips share audio.

:func:`~sklearn_ser.audit.find_duplicates` reads clips, takes their fingerprints and matches them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.fft
from scipy.signal.windows import hann

__all__ = [
    "HOP",
    "LARGEST_GROUP",
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
QUIET = 1e-3  # of the loudest frame's energy; below it, bits are those of noise
BLOCK = 32  # frames analysed at once, so few that they stay in the processor's cache
KEY_BITS = 16  # of each of two words: those of the lowest bands, which change least
KEY_GAP = 32  # frames, one window, between the two words of a key

# All that changes a fingerprint: the key of its record.
SETTINGS: dict[str, float] = {"rate": RATE, "window": WINDOW, "hop": HOP, "n_bands": N_BANDS}
SETTINGS |= {"lowest": LOWEST, "highest": HIGHEST, "quiet": QUIET}

EDGES = np.round(np.geomspace(LOWEST, HIGHEST, N_BANDS + 1) * WINDOW / RATE).astype(int)
TAPER = hann(WINDOW, sym=False).astype(np.float32)

MAX_ERROR_RATE = 0.25  # copies differ in 0.11 of their bits or fewer, other clips in 0.3 or more
MIN_FRAMES = 48  # loud in both clips; over fewer, clips may agree by chance
NEARBY = 64  # frames on either side of an equal key, which rule most chance hits out
NEARBY_ERROR_RATE = 0.35  # of so few frames, so that no copy is lost here
LARGEST_GROUP = 64  # clips, up to which every pair of a group of copies is compared
FRAMES_AT_ONCE = 1 << 20  # compared in one go, which bounds memory

ONES = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8)).reshape(-1, 16)
N_ONES = ONES.sum(axis=1, dtype=np.uint8)  # of every 16-bit number


class Fingerprint(NamedTuple):
    """A clip's frames, one each :data:`HOP` samples at :data:`RATE`.

    Parameters
    ----------
    words : ndarray of shape (n_frames,), uint32
        Signs of how the difference of neighbouring bands changes, lowest bands in the top bits.
    loud : ndarray of shape (n_frames,), bool
        Whether the frame is more than background noise.
    """

    words: npt.NDArray[np.uint32]
    loud: npt.NDArray[np.bool_]

    def keys(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
        """Return the keys by which copies are looked up, and the first frame of each."""
        top = self.words >> np.uint32(32 - KEY_BITS)
        both = np.flatnonzero(self.loud[:-KEY_GAP] & self.loud[KEY_GAP:])
        keys = top[both] << np.uint32(KEY_BITS) | top[both + KEY_GAP]
        keys, first = np.unique(keys, return_index=True)
        return keys, both[first]


def fingerprint(waveform: npt.NDArray[np.float32]) -> Fingerprint:
    """Return the fingerprint of a waveform of shape (n_samples,) at :data:`RATE`.

    One shorter than a window and a hop has no frame.
    """
    if len(waveform) < WINDOW + HOP:
        return Fingerprint(np.zeros(0, np.uint32), np.zeros(0, np.bool_))
    windows = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    blocks = [windows[i : i + BLOCK] for i in range(0, len(windows), BLOCK)]
    bands = np.concatenate([_band_energies(block) for block in blocks])
    slopes = bands[:, :-1] - bands[:, 1:]
    bits = np.packbits(slopes[1:] > slopes[:-1], axis=1)
    energy = bands[1:].sum(axis=1)
    words = np.ascontiguousarray(bits).view(">u4").ravel().astype(np.uint32)
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
        error_rate : share of the bits that differ, of frames loud in both
    """
    frames = _Frames(fingerprints)
    hits = frames.shared_keys()
    nearby, _ = frames.compare(hits, NEARBY)
    links = _best_shifts(frames, hits[nearby < NEARBY_ERROR_RATE])
    links = links.drop(columns="error_rate")
    pairs = pd.concat([links, _implied_pairs(links)], ignore_index=True)
    around = [pairs.assign(shift=pairs["shift"] + frame) for frame in (0, -1, 1)]
    return _best_shifts(frames, pd.concat(around, ignore_index=True))


class _Frames:
    """The frames of all clips, end to end."""

    def __init__(self, fingerprints: Sequence[Fingerprint]) -> None:
        self.fingerprints = fingerprints
        self.lengths = np.array([len(f.words) for f in fingerprints], dtype=np.int64)
        self.begins = np.cumsum(self.lengths) - self.lengths
        self.words = np.concatenate([np.zeros(0, np.uint32), *(f.words for f in fingerprints)])
        self.loud = np.concatenate([np.zeros(0, np.bool_), *(f.loud for f in fingerprints)])

    def shared_keys(self) -> pd.DataFrame:
        """Return where clips that are next to each other among those with a key share it."""
        found = [f.keys() for f in self.fingerprints]
        keys = np.concatenate([np.zeros(0, np.uint32), *(key for key, _ in found)])
        places = np.concatenate(
            [
                np.zeros(0, np.int64),
                *(at + begin for (_, at), begin in zip(found, self.begins, strict=True)),
            ]
        )
        # Sorting keys with their places in one number is several times faster than an argsort.
        both = np.sort(keys.astype(np.uint64) << np.uint64(32) | places.astype(np.uint64))
        keys, places = both >> np.uint64(32), (both & np.uint64(0xFFFFFFFF)).astype(np.int64)
        same = np.flatnonzero(keys[1:] == keys[:-1])
        one, two = places[same], places[same + 1]
        clip, other = self._clips_at(one), self._clips_at(two)
        at = one - self.begins[clip]
        shift = at - (two - self.begins[other])
        hits = pd.DataFrame({"clip": clip, "other": other, "shift": shift, "at": at})
        return hits.drop_duplicates(["clip", "other", "shift"], ignore_index=True)

    def _clips_at(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        # Clips without a frame begin where the next one does, which is the one that is meant.
        return np.searchsorted(self.begins, places, side="right").astype(np.int64) - 1

    def compare(
        self, pairs: pd.DataFrame, nearby: int | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return the bit error rate of each pair, and over how many frames.

        It is taken over all that overlaps, or the `nearby` frames on either side of ``at``.
        """
        clip, other, shift = (pairs[name].to_numpy() for name in ("clip", "other", "shift"))
        start = np.maximum(shift, 0)
        stop = np.minimum(self.lengths[clip], shift + self.lengths[other])
        if nearby is not None:
            at = pairs["at"].to_numpy()
            start, stop = np.maximum(start, at - nearby), np.minimum(stop, at + nearby)
        n_frames = np.maximum(stop - start, 0)
        one, two = self.begins[clip] + start, self.begins[other] + start - shift
        errors, compared = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)
        for part in _batches(n_frames):
            n = n_frames[part]
            ends = np.cumsum(n)
            within = np.arange(ends[-1]) - np.repeat(ends - n, n)
            i, j = np.repeat(one[part], n) + within, np.repeat(two[part], n) + within
            loud = self.loud[i] & self.loud[j]
            halves = (self.words[i] ^ self.words[j]).view(np.uint16).reshape(-1, 2)
            bits = N_ONES[halves].sum(axis=1) * loud
            pair = np.repeat(np.arange(len(n)), n)
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


def _best_shifts(frames: _Frames, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return each pair's best shift, of the pairs that are alike enough there."""
    error_rate, compared = frames.compare(pairs)
    alike = (error_rate < MAX_ERROR_RATE) & (compared >= MIN_FRAMES)
    found = pairs.assign(error_rate=error_rate)[alike].sort_values("error_rate", kind="stable")
    found = found.drop_duplicates(["clip", "other"]).sort_values(["clip", "other"])
    return found[["clip", "other", "shift", "error_rate"]].reset_index(drop=True)


def _implied_pairs(links: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of a group that no link joins, with the shifts that the links imply."""
    linked = set(zip(links["clip"].tolist(), links["other"].tolist(), strict=True))
    rows = [
        (clip, other, starts[other] - starts[clip])
        for starts in _linked_groups(links)
        if len(starts) <= LARGEST_GROUP
        for clip, other in combinations(sorted(starts), 2)
        if (clip, other) not in linked
    ]
    return pd.DataFrame(rows, columns=["clip", "other", "shift"], dtype=np.int64)


def _linked_groups(links: pd.DataFrame) -> Iterator[dict[int, int]]:
    """Yield the clips of each group, each with its first frame, counted from the first clip's."""
    neighbours: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    columns = (links[name].tolist() for name in ("clip", "other", "shift"))
    for clip, other, shift in zip(*columns, strict=True):
        neighbours[clip].append((other, shift))
        neighbours[other].append((clip, -shift))
    while neighbours:
        first = next(iter(neighbours))
        starts, to_visit = {first: 0}, [first]
        while to_visit:
            clip = to_visit.pop()
            for other, shift in neighbours.pop(clip):
                if other not in starts:
                    starts[other] = starts[clip] + shift
                    to_visit.append(other)
        yield starts

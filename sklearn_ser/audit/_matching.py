"""From fingerprints to pairs of clips that hold the same audio, without comparing all pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser.audit._fingerprint import Fingerprint

__all__ = ["LARGEST_GROUP", "match_fingerprints"]

MAX_ERROR_RATE = 0.25  # copies differ in 0.11 of their bits or fewer, other clips in 0.3 or more
MIN_FRAMES = 48  # loud in both clips; over fewer, clips may agree by chance
NEARBY = 64  # frames on either side of an equal key, which rule most chance hits out
NEARBY_ERROR_RATE = 0.35  # of so few frames, so that no copy is lost here
LARGEST_GROUP = 64  # clips, up to which every pair of a group of copies is compared
AT_ONCE = 1 << 20  # frames compared at once, for memory's sake

ONES = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8)).reshape(-1, 16)
N_ONES = ONES.sum(axis=1, dtype=np.uint8)  # of every 16-bit number


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
    links = _best(frames, hits[nearby < NEARBY_ERROR_RATE])
    links = links.drop(columns="error_rate")
    pairs = pd.concat([links, _implied(links)], ignore_index=True)
    around = [pairs.assign(shift=pairs["shift"] + step) for step in (0, -1, 1)]
    return _best(frames, pd.concat(around, ignore_index=True))


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
        wrong, compared = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)
        for part in _parts(n_frames):
            n = n_frames[part]
            ends = np.cumsum(n)
            within = np.arange(ends[-1]) - np.repeat(ends - n, n)
            i, j = np.repeat(one[part], n) + within, np.repeat(two[part], n) + within
            loud = self.loud[i] & self.loud[j]
            halves = (self.words[i] ^ self.words[j]).view(np.uint16).reshape(-1, 2)
            bits = N_ONES[halves].sum(axis=1) * loud
            pair = np.repeat(np.arange(len(n)), n)
            wrong[part] = np.bincount(pair, bits, len(n))
            compared[part] = np.bincount(pair, loud, len(n))
        rates = np.divide(wrong, 32 * compared, out=np.ones(len(pairs)), where=compared > 0)
        return rates, compared


def _parts(n_frames: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Yield runs of pairs with about as many frames as may be compared at once."""
    if len(n_frames) == 0:
        return
    number = np.cumsum(n_frames) // AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(n_frames)]
    for start, stop in pairwise(bounds):
        yield slice(start, stop)


def _best(frames: _Frames, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return each pair's best shift, of the pairs that are alike enough there."""
    error_rate, compared = frames.compare(pairs)
    alike = (error_rate < MAX_ERROR_RATE) & (compared >= MIN_FRAMES)
    found = pairs.assign(error_rate=error_rate)[alike].sort_values("error_rate", kind="stable")
    found = found.drop_duplicates(["clip", "other"]).sort_values(["clip", "other"])
    return found[["clip", "other", "shift", "error_rate"]].reset_index(drop=True)


def _implied(links: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of a group that no link joins, with the shifts that the links imply."""
    linked = set(zip(links["clip"].tolist(), links["other"].tolist(), strict=True))
    rows = [
        (clip, other, starts[other] - starts[clip])
        for starts in _groups(links)
        if len(starts) <= LARGEST_GROUP
        for clip, other in combinations(sorted(starts), 2)
        if (clip, other) not in linked
    ]
    return pd.DataFrame(rows, columns=["clip", "other", "shift"], dtype=np.int64)


def _groups(links: pd.DataFrame) -> Iterator[dict[int, int]]:
    """Yield the clips of each group, with the frame where each starts, counted from one's start."""
    neighbours: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    columns = (links[name].tolist() for name in ("clip", "other", "shift"))
    for clip, other, shift in zip(*columns, strict=True):
        neighbours[clip].append((other, shift))
        neighbours[other].append((clip, -shift))
    while neighbours:
        first = next(iter(neighbours))
        starts, ahead = {first: 0}, [first]
        while ahead:
            clip = ahead.pop()
            for other, shift in neighbours.pop(clip):
                if other not in starts:
                    starts[other] = starts[clip] + shift
                    ahead.append(other)
        yield starts

"""find_duplicates: the clips of a collection that hold the same audio; audit_split uses it too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sklearn_ser._audio import (
    SEGMENT_FIELDS,
    Clip,
    as_clips,
    content_digest,
    decode,
    items_of,
    origin_of,
)
from sklearn_ser._extraction import Extraction, Extractor, Prepared
from sklearn_ser._store import Store
from sklearn_ser._utils import (
    WAVEFORM_RATE,
    WHOLE_NUMBER,
    StrOptions,
    is_missing,
    thread_count,
    validate_params,
)
from sklearn_ser.audit._fingerprints import (
    HOP,
    LARGEST_GROUP,
    NO_FRAMES,
    RATE,
    SETTINGS,
    Fingerprint,
    fingerprint,
    match_fingerprints,
)
from sklearn_ser.exceptions import SilentClipError

__all__ = ["find_duplicates"]

Row = tuple[int, int, str, float, float, float]
COLUMNS = {
    "clip": np.int64,
    "other": np.int64,
    "kind": object,
    "offset": np.float64,
    "overlap": np.float64,
    "error_rate": np.float64,
}
DIGEST_BYTES = 16
NO_ORIGIN = "00" * DIGEST_BYTES
WORD_BYTES = 5  # that hold bits, of the 8 of a word
RECORD_VERSION = 2  # to raise when `_Audio.to_record` or `fingerprint` change


class _Audio(NamedTuple):
    """A clip's audio: the hash of its samples, its duration in seconds and its fingerprint.

    And of a copy that :class:`~sklearn_ser.preprocessing.AudioAugmenter` made, the hash of the
    samples that it was made of.
    """

    digest: str
    seconds: float
    fingerprint: Fingerprint = NO_FRAMES
    origin: str | None = None

    def to_record(self) -> npt.NDArray[np.float32]:
        """Return a row of whole numbers below 2 ** 16, which are exact in float32."""
        words, loud = self.fingerprint
        parts = [bytes.fromhex(self.digest + (self.origin or NO_ORIGIN))]
        parts.append(np.float64(self.seconds).tobytes())
        packed = words.astype(">u8").view(np.uint8).reshape(-1, 2, 8)[:, :, :WORD_BYTES].copy()
        packed[:, 1, -1] |= loud  # into a bit that no band has
        parts.append(packed.tobytes())
        return np.frombuffer(b"".join(parts), np.uint16).astype(np.float32)[np.newaxis]

    @classmethod
    def of_record(cls, record: npt.NDArray[np.float32]) -> _Audio:
        """Return what `to_record` made a record of."""
        content = record[0].astype(np.uint16).tobytes()
        digests, seconds = content[: 2 * DIGEST_BYTES].hex(), content[2 * DIGEST_BYTES :][:8]
        packed = np.frombuffer(content, np.uint8, offset=2 * DIGEST_BYTES + 8)
        packed = packed.reshape(-1, 2, WORD_BYTES)
        loud = packed[:, 1, -1] & 1
        words = np.zeros((len(packed), 2, 8), np.uint8)
        words[:, :, :WORD_BYTES] = packed
        words[:, 1, WORD_BYTES - 1] ^= loud
        found = Fingerprint(words.view(">u8")[..., 0].astype(np.uint64), loud.astype(np.bool_))
        digest, origin = digests[: 2 * DIGEST_BYTES], digests[2 * DIGEST_BYTES :]
        duration = float(np.frombuffer(seconds, np.float64)[0])
        return cls(digest, duration, found, None if origin == NO_ORIGIN else origin)


@validate_params(
    {
        "waveform_rate": [WAVEFORM_RATE, None],
        "n_jobs": [WHOLE_NUMBER, None],
        "cache": [str, os.PathLike, None],
        "on_error": [StrOptions({"raise", "warn"})],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def find_duplicates(
    X: Any,
    *,
    waveform_rate: float | None = None,
    n_jobs: int | None = None,
    cache: str | os.PathLike[str] | None = "auto",
    on_error: str = "raise",
    verbose: bool = False,
) -> pd.DataFrame:
    """Find the clips of a collection that hold the same audio.

    A copy in the test set of a clip in the training set makes a score too good. Found are exact
    copies under whatever name, and copies that were resampled, coded with losses, made louder or
    softer, or trimmed, and clips cut from the same recording that overlap; most copies at another
    tempo, pitch or speed, in a room, or mixed with other sound (see Notes for how many). Two takes
    of a sentence by one speaker are different audio, and no pair.

    Files that :class:`~sklearn_ser.preprocessing.AudioAugmenter` made say which clip they are of,
    and are always found beside it; copies that it keeps in memory are found by their audio alone.

    Parameters
    ----------
    X : sequence of n_clips clips, DataFrame or ndarray of shape (n_clips, n_samples)
        Paths, waveforms, (waveform, rate) pairs or dicts; or a corpus's frame, of which the column
        path, and start, end and channel if present, are read.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms; needed for those.
    n_jobs : int, default=None
        Number of threads.
    cache : str, path-like or None, default="auto"
        Folder of the store, in which fingerprints are kept by the clips' content. "auto" is
        ``SKLEARN_SER_CACHE`` or the platform's cache folder; None keeps nothing.
    on_error : {"raise", "warn"}, default="raise"
        Whether a clip that cannot be used is an error, or is left out with a ClipWarning.
    verbose : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    pairs : DataFrame
        One row a pair, ordered by clip and other:

        clip, other : positions in `X`, ``clip < other``.
        kind : "identical" if both decode to the same samples at the same rate, whatever the
        file's format; otherwise "near-identical".
        offset : seconds after the start of `clip` at which `other` starts, to within 8 ms;
        negative if it starts earlier. A copy without the first 0.2 s has 0.2.
        overlap : seconds of audio that both hold.
        error_rate : share of the fingerprint's bits that differ there; 0 for identical clips.
        This, offset and overlap are NaN where only the file says what it is a copy of.

        In a group of more than 64 copies, not every pair has a row, but each clip has one that
        links it to the group.

    Raises
    ------
    ClipError
        If a clip cannot be used, with ``on_error="raise"``. A silent one is no such case, but
        identical to those with the same content.
    ValueError
        If `X` is one clip, or a frame of which it is not clear which column holds the clips.
    TypeError
        If `X` is a corpus: its X holds the clips.

    See Also
    --------
    audit_split : Which copies are in training and test set of a split.

    Notes
    -----
    Every 8 ms of a clip get 32 bits: the signs of how the differences of energy between
    neighbouring bands, from 300 to 3000 Hz, change from frame to frame [1]_. Clips that share the
    lowest bits of a frame, 10 more than the number of frames has, are compared over all that they
    have in common, and are a pair if less than a quarter of the bits differ, of at least 48 frames
    in which both are loud, less than 30 dB below their loudest. That takes 0.64 s of speech or
    more; what is shorter can only be identical. Keys are looked up, so that the cost of a clip
    grows slowly with the number of clips: 0.3, 0.5 and 1.2 ms to look for pairs of it among 1,000,
    5,000 and 20,000 clips of 2.5 s.

    Where that finds no pair, bands up to three half bands (1.8 semitones) higher or lower are
    looked up, too, and compared at 0.9 to 1.1 times the tempo. Such clips are a pair if less than a
    fifth of the bits of at least 96 frames differ. `offset` and `overlap` are then approximate, in
    seconds of `clip`.

    Of the copies of 339 clips of EmoDB, these were not found: none that was resampled, cut, softer,
    clipped, stretched by 5 %, at 0.9 times the speed, as flac or mp3; 11 % as mp3 of 8 kbit/s,
    5 to 14 % at a speed 5 % off, 2 % a semitone or two higher or lower, 16 % in a room whose echo
    is as loud as the direct sound and 1 % where it is 5 dB softer, 2 to 4 % of those that
    AudioAugmenter makes with noise or a room, and, mixed with another clip, 57 % at equal level and
    13 % 6 dB above it. No pair of clips that share no audio was found.

    References
    ----------
    .. [1] J. Haitsma, T. Kalker, "A highly robust audio fingerprinting system", ISMIR 2002.

    Examples
    --------
    A copy at half the sampling rate, softer, and without the first fifth of a second:

    >>> from scipy.signal import resample_poly
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.audit import find_duplicates
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> waveform, rate = corpus.X[3]
    >>> copy = 0.5 * resample_poly(waveform[rate // 5 :], 1, 2), rate // 2
    >>> pairs = find_duplicates([*corpus.X, copy])
    >>> pairs[["clip", "other", "kind", "offset"]].round(2)
       clip  other            kind  offset
    0     3      8  near-identical     0.2
    """
    clips = as_clips(_clips_of(X), waveform_rate)
    records = None
    if cache is not None:
        settings = {**SETTINGS, "record": RECORD_VERSION, "soxr": version("soxr")}
        records = Store(cache).records("fingerprint", settings)
    extraction = Extraction(clips, records, None, on_error)
    if extraction.missing:
        extractor = _AudioExtractor(thread_count(n_jobs))
        extraction.compute(extractor, verbose=bool(verbose), name="fingerprints")
    found = extraction.result(consequence="It is left out.")
    audio = [
        _Audio(f"unusable {position}", 0.0) if record is None else _Audio.of_record(record)
        for position, record in enumerate(found)
    ]
    rows = list(_pairs_of(audio))
    rows = sorted(rows + list(_pairs_by_origin(audio, {row[:2] for row in rows})))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _clips_of(X: Any) -> list[Any]:
    """Return the elements of a collection; of a corpus's frame, its clips."""
    if isinstance(X, Mapping) and "X" in X:
        raise TypeError(
            f"find_duplicates takes clips, not a corpus (a {type(X).__name__} with X): pass its X, "
            "corpus.X."
        )
    if hasattr(X, "columns") and "path" in X.columns:
        X = X[[name for name in ("path", *SEGMENT_FIELDS) if name in X.columns]]
    elif hasattr(X, "columns") and len(X.columns) != 1:
        raise ValueError(
            f"X has the columns {list(X.columns)}, and none of them is path. Pass the column that "
            "holds the clips."
        )
    return items_of(X)


class _AudioExtractor(Extractor):
    """Computes the records of clips, each by the thread that decodes it."""

    def __init__(self, n_threads: int) -> None:
        super().__init__(n_readers=n_threads, n_concurrent=0)

    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return the record; a silent clip has no frames, and is identical by its content."""
        try:
            samples, rate = decode(clip, content)
        except SilentClipError:
            return Prepared(_Audio(clip.digest(content), clip.seconds()).to_record())
        digest, seconds = content_digest(samples, float(rate)), len(samples) / rate
        origin = None if isinstance(content, np.ndarray) else origin_of(content)
        if rate != RATE:
            import soxr

            samples = soxr.resample(samples, rate, RATE, quality="HQ")
        return Prepared(_Audio(digest, seconds, fingerprint(samples), origin).to_record())

    def compute(self, items: Sequence[Any]) -> list[Any]:
        """Return the records, which `prepare` has computed."""
        return list(items)


def _pairs_of(audio: list[_Audio]) -> Iterator[Row]:
    """Yield a row for each pair; of clips with the same samples only the first is compared."""
    copies: dict[str, list[int]] = {}
    for position, clip_audio in enumerate(audio):
        copies.setdefault(clip_audio.digest, []).append(position)
    groups = list(copies.values())
    for group in groups:
        small = len(group) <= LARGEST_GROUP
        for clip, other in combinations(group, 2) if small else product(group[:1], group[1:]):
            yield clip, other, "identical", 0.0, audio[clip].seconds, 0.0
    # Of a larger group, the first stands for all.
    groups = [group if len(group) <= LARGEST_GROUP else group[:1] for group in groups]
    pairs = match_fingerprints([audio[group[0]].fingerprint for group in groups])
    for first, second, shift, tempo, _, error_rate in pairs.itertuples(index=False):
        for clip, other in product(groups[first], groups[second]):
            frame, speed = (shift, tempo) if clip < other else (-shift * tempo, 1 / tempo)
            offset = float(frame) * HOP / RATE
            clip, other = sorted((clip, other))
            stop = min(audio[clip].seconds, offset + audio[other].seconds / speed)
            yield clip, other, "near-identical", offset, stop - max(0.0, offset), error_rate


def _pairs_by_origin(audio: list[_Audio], found: set[tuple[int, int]]) -> Iterator[Row]:
    """Yield a row for each pair that fingerprints miss, of a clip and the copies made of it."""
    digests = [clip_audio.digest for clip_audio in audio]
    origins = [clip_audio.origin or clip_audio.digest for clip_audio in audio]
    codes, names = pd.factorize(np.array(digests + origins, dtype=object))
    of_origin = (np.ones(len(audio)), (codes[: len(audio)], codes[len(audio) :]))
    # Copies may be of copies.
    _, family_of = connected_components(coo_array(of_origin, [len(names)] * 2), directed=False)
    families: dict[int, list[int]] = {}
    for position, code in enumerate(codes[: len(audio)]):
        families.setdefault(int(family_of[code]), []).append(position)
    for family in families.values():
        small = len(family) <= LARGEST_GROUP
        for clip, other in combinations(family, 2) if small else product(family[:1], family[1:]):
            if (clip, other) not in found:
                yield clip, other, "near-identical", np.nan, np.nan, np.nan


def with_names(pairs: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of test and training clips with the paths and speakers that are known."""
    names = {
        f"{clip}_{column}": frame[column].to_numpy()[pairs[clip].to_numpy(dtype=int)]
        for column in ("path", *SEGMENT_FIELDS, "speaker")
        if column in frame
        for clip in ("test", "train")
    }
    return pairs.assign(**names)


def called(pair: Any, clip: str) -> str:
    """Return the position of a clip of a pair, with its file and speaker as far as known."""
    path, speaker = (pair.get(f"{clip}_{column}") for column in ("path", "speaker"))
    names = [] if is_missing([path])[0] else [Path(str(path)).name]
    names += [] if is_missing([speaker])[0] else [f"speaker {speaker}"]
    return f"clip {pair[clip]}" + f" ({', '.join(names)})" * bool(names)

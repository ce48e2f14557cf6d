"""What counts as a clip, and how it becomes a waveform.

A clip is a path, a 1-D waveform, a ``(waveform, rate)`` pair, an audio value of the Hugging Face
``datasets`` library, or a segment of a recording. Whatever cannot be used raises one
:class:`ClipError` that names the clip, the cause and the cure.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from sklearn_ser.segments import SEGMENT_FIELDS, WHOLE, Segment, as_segment
from sklearn_ser.video import decode_sound, is_container

__all__ = ["Clip", "ClipError", "as_clip", "is_numeric_batch"]

Waveform = npt.NDArray[np.float32]

# One step of 16-bit audio: a clip that moves by two steps or fewer holds no speech.
STEP = 1 / 32768
# Floats beyond this are not ±1 audio that overshoots, but integers that lost their type.
OVERSHOOT = 256
# Formats whose decoders may miss the sample sought, so they are decoded from the start.
SEEK_MISSES = frozenset(["OGG", "MPEG", "MP3"])
# Writers that stream into a pipe cannot know the length and put a huge one into the header.
STREAMED_LENGTH = 0x7FFF_F000
# A file younger than this may change again without its time stamp showing it.
SETTLED_NS = 2_000_000_000

_digests: dict[tuple[str, int, int, int, int], str] = {}


class ClipError(ValueError):
    """A clip that cannot be used.

    Parameters
    ----------
    position : int
        Index of the clip in the collection.
    name : str
        File name, or what kind of value the clip is.
    cause, cure : str
        What is wrong, and what to do about it.
    """

    def __init__(self, position: int, name: str, cause: str, cure: str) -> None:
        super().__init__(position, name, cause, cure)
        self.position, self.name, self.cause, self.cure = position, name, cause, cure

    def __str__(self) -> str:
        return f"clip {self.position} ({self.name}): {self.cause}. {self.cure}"


@dataclass(slots=True)  # made by the thousand in a search, where frozen takes twice as long
class Clip:
    """One clip of a collection, not yet read.

    Parameters
    ----------
    position : int
        Index in the collection.
    name : str
        File name, or "waveform" or "bytes".
    source : Path, bytes, ndarray of shape (n_samples,) or ClipError
        Where the audio is; or why the value is no clip, which whoever reads it is told.
    rate : float or None
        Sampling rate of `source` in Hz when it is an ndarray.
    segment : Segment
        Which part of `source` it is.
    """

    position: int
    name: str
    source: Path | bytes | npt.NDArray[Any] | ClipError
    rate: float | None = None
    segment: Segment = WHOLE

    def error(self, cause: str, cure: str) -> ClipError:
        """Return the error that names this clip."""
        return ClipError(self.position, self.name, cause, cure)

    def note(self, what: str) -> str:
        """Return a sentence that names this clip."""
        return f"clip {self.position} ({self.name}) {what}"

    def read(self) -> bytes | npt.NDArray[Any]:
        """Return the clip's content: an encoded file's bytes, or the samples of a waveform."""
        if isinstance(self.source, ClipError):
            raise self.source
        if not isinstance(self.source, Path):
            return self.source
        try:
            return self.source.read_bytes()
        except FileNotFoundError:
            cure = f"Check the path; a relative one starts at {os.getcwd()}."
            raise self.error(f"no such file: {self.source}", cure) from None
        except IsADirectoryError:
            raise self.error(f"{self.source} is a folder", "Pass the audio files in it.") from None
        except (OSError, ValueError) as error:  # a ValueError: the path holds a null character
            reason = getattr(error, "strerror", None) or error
            cause = f"{self.source} cannot be read ({reason})"
            raise self.error(cause, "Check its permissions and its disk.") from None

    def seconds(self) -> float:
        """Return how long the clip is, by its header; 0 if that cannot be told."""
        seconds = self._recording_seconds()
        end = seconds if self.segment.end is None else min(self.segment.end, seconds)
        return max(0.0, end - self.segment.start)

    def _recording_seconds(self) -> float:
        if isinstance(self.source, np.ndarray):
            return len(self.source) / self.rate if self.rate else 0.0
        import soundfile

        try:
            content = io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source
            return float(soundfile.info(content).duration)
        except Exception:  # it is only told on the way; what is wrong is said by who reads it
            return 0.0

    def digest(self) -> str:
        """Return the hash of the clip's content, without reading an unchanged file twice."""
        digest = self._source_digest()
        return digest if self.segment is WHOLE else self._of_segment(digest)

    def digest_of(self, content: bytes | npt.NDArray[Any]) -> str:
        """Return the hash that the clip has if `content` is what :meth:`read` returned."""
        return self._of_segment(content_digest(content, self.rate))

    def _of_segment(self, digest: str) -> str:
        if self.segment is WHOLE:
            return digest
        return content_digest(f"{digest} {tuple(self.segment)}".encode())

    def _source_digest(self) -> str:
        if not isinstance(self.source, Path):
            return content_digest(self.read(), self.rate)
        path = str(self.source)
        try:
            stat = os.stat(path)
        except (OSError, ValueError):
            return content_digest(self.read())
        known = (
            path,
            stat.st_ino,
            stat.st_size,
            stat.st_mtime_ns,
            stat.st_ctime_ns,
        )
        digest = _digests.get(known)
        if digest is None:
            digest = content_digest(self.read())
            if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED_NS:
                _digests[known] = digest
        return digest

    def waveform(
        self, content: bytes | npt.NDArray[Any], rate: float, min_samples: int = 2
    ) -> Waveform:
        """Decode `content`, mix it to mono and resample it.

        Parameters
        ----------
        content : bytes or ndarray of shape (n_samples,)
            What :meth:`read` returned.
        rate : float
            Sampling rate wanted, in Hz.
        min_samples : int
            Fewest samples at `rate` that the extractor can take.

        Returns
        -------
        waveform : ndarray of shape (n_samples,), float32, mono
            Full scale is ±1; files of floats may exceed it.

        Raises
        ------
        ClipError
            If the content is not a usable clip.
        """
        own_rate: float | None
        if isinstance(content, bytes):
            samples, own_rate = self._decode(content)
        else:
            samples, own_rate = _scale(content), self.rate
            if self.segment is not WHOLE:
                samples = self._part_of(samples[:, None], own_rate or rate)
        self._check(samples)
        if own_rate != rate:
            import soxr

            samples = soxr.resample(samples, own_rate, rate, quality="HQ")
        min_samples = max(min_samples, 2)
        if len(samples) < min_samples:
            raise self.error(
                f"lasts {len(samples) / rate:.4g} s ({len(samples)} samples at {rate:g} Hz), "
                f"shorter than the extractor can take ({min_samples} samples)",
                "Leave it out, or join it to its neighbour.",
            )
        return samples

    def _decode(self, content: bytes) -> tuple[Waveform, float]:
        import soundfile

        if not content:
            raise self.error("empty, 0 bytes", "Copy or download the file again.")
        if content.startswith(b"version https://git-lfs.github.com/spec/"):
            raise self.error(
                f"not audio, a Git LFS pointer ({len(content)} bytes)",
                'Run "git lfs pull" in its repository.',
            )
        try:
            with soundfile.SoundFile(_File(content)) as file:
                rate, log = file.samplerate, file.extra_info
                first, stop = self._bounds(file.frames, rate)
                begin = first if file.format not in SEEK_MISSES else 0
                if begin:
                    file.seek(begin)
                # A whole file is read to wherever it ends, which its header may not know.
                n_wanted = -1 if stop == file.frames else stop - begin
                samples = file.read(n_wanted, dtype="float32", always_2d=True)[first - begin :]
                promised = stop - first
        except (soundfile.LibsndfileError, TypeError) as error:
            if is_container(content):
                return self._decode_container(content)
            reason = str(getattr(error, "error_string", error)).rstrip(".")
            if "does not exist" in reason:  # libsndfile's word for MPEG without a whole frame
                reason = "no frame can be decoded"
            if re.search(r"[Mm]alformed|psf_fseek|lost sync|[Ee]nd of file|decod", reason):
                raise self._truncated(reason) from None
            raise self.error(
                f"not audio that libsndfile can read ({len(content)} bytes: {reason})",
                "Convert it to wav or flac, for example with ffmpeg.",
            ) from None
        if _is_cut_short(content, len(samples), promised, log):
            raise self._truncated(f"{len(samples)} frames could be decoded")
        return self._mono(samples), rate

    def _decode_container(self, content: bytes) -> tuple[Waveform, float]:
        try:
            samples, rate = decode_sound(content)
        except ImportError:
            raise self.error(
                "a video file, whose sound libsndfile cannot read",
                'Install PyAV (pip install "sklearn-ser[video]"), or extract the sound as wav.',
            ) from None
        except ValueError as error:
            raise self._truncated(str(error)) from None
        return self._part_of(samples, rate), rate

    def _part_of(self, samples: Waveform, rate: float) -> Waveform:
        first, stop = self._bounds(len(samples), rate)
        return self._mono(samples[first:stop])

    def _bounds(self, n_samples: int, rate: float) -> tuple[int, int]:
        if self.segment is WHOLE:
            return 0, n_samples
        try:
            return self.segment.bounds(n_samples, rate)
        except ValueError as error:
            raise self.error(str(error), "Check start and end, which are seconds.") from None

    def _mono(self, samples: Waveform) -> Waveform:
        """Return the channel asked for, or the mean of all, of shape (n_samples,)."""
        channel, n_channels = self.segment.channel, samples.shape[1]
        if channel is None:
            return samples.mean(axis=1, dtype=np.float32)
        if channel >= n_channels:
            cause = f"it has {n_channels} channel(s), so none with the number {channel}"
            raise self.error(cause, "Channels are counted from 0.")
        return np.ascontiguousarray(samples[:, channel])

    def _truncated(self, detail: str) -> ClipError:
        cure = "Copy or download it again, or repair it with ffmpeg if the rest is enough."
        return self.error(f"truncated or damaged ({detail})", cure)

    def _check(self, samples: Waveform) -> None:
        if len(samples) == 0:
            raise self.error("holds no samples", "Record or export it again.")
        if not np.isfinite(samples).all():
            bad = np.flatnonzero(~np.isfinite(samples))
            raise self.error(
                f"{len(bad)} of its {len(samples)} samples are NaN or infinite, "
                f"the first at {bad[0]}",
                "Repair or leave out the recording.",
            )
        if len(samples) == 1:
            raise self.error("one sample long", "Pass whole waveforms, one clip an element.")
        if np.ptp(samples) <= 2 * STEP:
            raise self.error(
                f"silent, its {len(samples)} samples are constant to within 16 bits",
                "Leave it out, or check the recording.",
            )
        peak = np.abs(samples).max()
        if peak > OVERSHOOT:
            raise self.error(
                f"its samples reach {peak:g}, but floats are ±1 at full scale",
                "Divide 16-bit samples by 32768, or pass them as int16.",
            )


class _File(io.BytesIO):
    """Bytes for libsndfile, which seeks to before the start of a damaged file."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _scale(samples: npt.NDArray[Any]) -> Waveform:
    """Return samples as float32, integers from the full scale of their type to ±1."""
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    limits = np.iinfo(samples.dtype)
    half = (limits.max - limits.min + 1) // 2
    return ((samples.astype(np.float64) - (limits.min + half)) / half).astype(np.float32)


def content_digest(content: bytes | npt.NDArray[Any], rate: float | None = None) -> str:
    """Return a 128-bit hash of a clip's content; a waveform's includes its rate and dtype."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()[:32]
    digest = hashlib.sha256(f"{content.dtype.str} {content.shape} {rate}".encode())
    digest.update(np.ascontiguousarray(content).data)
    return digest.hexdigest()[:32]


def _is_cut_short(content: bytes, n_read: int, promised: int, log: str) -> bool:
    """Tell whether a container promises more than it holds; libsndfile itself is lenient."""
    if n_read < promised:
        return True
    if content.startswith(b"OggS"):  # the last page of a complete stream says so
        page = content[content.rfind(b"OggS") :]
        segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
        return not segments or not page[5] & 4 or len(page) < 27 + len(segments) + sum(segments)
    block = re.search(r"Block Align\s*:\s*([1-9]\d*)", log)
    size = int(block[1]) if block else 1
    lengths = re.findall(
        r"(?:data|SSND|[Rr]iff(?: size)?|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", log
    )
    return any(
        int(actual) // size < int(claimed) // size and int(claimed) < STREAMED_LENGTH
        for claimed, actual in lengths
    )


def as_clip(value: Any, position: int, waveform_rate: float | None = None) -> Clip:
    """Return the :class:`Clip` that `value` describes.

    Parameters
    ----------
    value : str, Path, ndarray, (ndarray, rate) pair or dict
        A path; a 1-D waveform; a waveform with its sampling rate in Hz; or a dict with
        ``array`` and ``sampling_rate``, with ``bytes``, or with ``path``, and for a segment of
        that with ``start`` and ``end`` in seconds and ``channel``.
    position : int
        Index of the clip in its collection.
    waveform_rate : float or None
        Sampling rate of a bare waveform, in Hz.

    Returns
    -------
    clip : Clip
        If `value` is none of these, reading the clip raises the ClipError that says so.
    """
    if isinstance(value, (str, os.PathLike)) and (text := os.fspath(value)):
        return Clip(position, *_as_path(text))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Clip(position, "bytes", bytes(value))
    if isinstance(value, Mapping):
        return _from_mapping(value, position)
    if (
        isinstance(value, Sequence)
        and len(value) == 2
        and np.ndim(value[1]) == 0
        and _is_waveform(value[0])
    ):
        return _from_samples(value[0], value[1], position)
    if _is_waveform(value):
        return _from_samples(value, waveform_rate, position)
    return _no_clip(
        position,
        type(value).__name__,
        f"not a clip: {value!r:.60}",
        "Pass a path, a 1-D waveform, a (waveform, rate) pair, or a dict with array and "
        "sampling_rate, path or bytes.",
    )


@functools.lru_cache(maxsize=1 << 16)  # a search asks for the same clips hundreds of times
def _as_path(text: str) -> tuple[str, Path]:
    """Return a clip's name and its path."""
    path = Path(os.path.expanduser(text))
    return path.name or str(path), path


def _no_clip(position: int, name: str, cause: str, cure: str) -> Clip:
    return Clip(position, name, ClipError(position, name, cause, cure))


def _is_waveform(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and (
        hasattr(value, "__array__") or isinstance(value, Sequence)
    )


def _from_samples(values: Any, rate: Any, position: int, name: str = "waveform") -> Clip:
    try:
        samples = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        cause = f"its samples cannot be read ({error})"
        return _no_clip(position, name, cause, "Pass a 1-D NumPy array.")
    if samples.ndim != 1:
        cause = f"a waveform must be 1-D, got shape {samples.shape}"
        cure = "Average its channels, or split a batch into a list of clips."
    elif samples.dtype.kind not in "fiu":
        cause = f"samples must be floats or integers, got dtype {samples.dtype}"
        cure = "Convert the waveform to float32."
    elif rate is None:
        cause = "a bare waveform does not tell its sampling rate"
        cure = "Set waveform_rate (in Hz), or pass (waveform, rate) pairs."
    elif isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < float(rate) < float("inf"):
        cause, cure = f"its sampling rate is {rate!r}", "Give a positive number of Hz."
    else:
        return Clip(position, name, samples, float(rate))
    return _no_clip(position, name, cause, cure)


def _from_mapping(value: Mapping[str, Any], position: int) -> Clip:
    path, encoded = value.get("path"), value.get("bytes")
    name = os.path.basename(path) if isinstance(path, (str, os.PathLike)) else ""
    name = name or "audio value"
    if any(field in value for field in SEGMENT_FIELDS):
        try:
            segment = as_segment(value)
        except ValueError as error:
            return _no_clip(position, name, str(error), "Check start, end and channel.")
        rest = {field: value[field] for field in value if field not in SEGMENT_FIELDS}
        clip = _from_mapping(rest, position)
        return clip if segment == WHOLE else dataclasses.replace(clip, segment=segment)
    if value.get("array") is not None:
        if value.get("sampling_rate") is None:
            return _no_clip(position, name, "its dict has no sampling_rate", "Add it, in Hz.")
        return _from_samples(value["array"], value["sampling_rate"], position, name)
    if isinstance(encoded, (bytes, bytearray, memoryview)):
        return Clip(position, name, bytes(encoded))
    if encoded is not None:
        cause = f"its bytes are of type {type(encoded).__name__}"
        return _no_clip(position, name, cause, "Pass the content of an audio file as bytes.")
    if path is not None:
        return as_clip(path, position)
    return _no_clip(
        position,
        name,
        f"its dict has none of array, bytes and path, only {sorted(map(str, value))}",
        'Pass {"array": …, "sampling_rate": …}, {"bytes": …} or {"path": …}.',
    )


def is_numeric_batch(X: Any) -> bool:
    """Tell whether `X` is what scikit-learn calls 2-D data, and not a collection of clips.

    A collection is a list, tuple, object array, Series or one-column frame of clips, or a frame
    of segments: path, start, end, channel. Anything else is left to scikit-learn's own validation,
    with its own messages.
    """
    if issparse(X):
        return True
    if hasattr(X, "columns") and hasattr(X, "shape"):
        if "path" in X.columns:
            others = [column for column in X.columns if column not in ("path", *SEGMENT_FIELDS)]
            if others:
                raise ValueError(
                    f"X has the columns {others} beside path, which are no part of a clip. Pass "
                    'only path, and start, end and channel for segments: X[["path", "start", …]].'
                )
            return False
        return X.shape[1] != 1 or np.asarray(X).dtype.kind in "biufc"
    if hasattr(X, "to_list") and hasattr(X, "dtype"):
        return False
    if isinstance(X, np.ndarray):
        return (
            X.dtype.kind not in "OUS" or (X.ndim == 2 and X.shape[1] != 1) or X.ndim not in (1, 2)
        )
    if isinstance(X, (str, bytes, os.PathLike, Mapping)):
        raise ValueError(f"X is one clip, {X!r:.60}. Wrap it in a list: a collection is expected.")
    if isinstance(X, Sequence) and len(X) == 2 and isinstance(X[1], Real) and np.ndim(X[0]) == 1:
        raise ValueError("X is one (waveform, rate) pair. Wrap it in a list.")
    if isinstance(X, Sequence):
        return len(X) == 0 or all(isinstance(x, Real) for x in X)
    return not (hasattr(X, "__getitem__") and hasattr(X, "__len__")) or hasattr(X, "__array__")

"""A clip of a collection, not yet read, and how its content becomes samples.

Decoded, cut to its segment, mixed to mono, checked and resampled; `_inputs.py` says what may stand
for a clip, `_decoding.py` decodes files, `_mono.py` mixes, checks and resamples.
"""

from __future__ import annotations

import errno
import functools
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio._content import Encoded, FileContent, limit, limit_named, read_content
from sklearn_ser._audio._decoding import VALUES, Block, Samples, blocks_of, seconds_of, too_long
from sklearn_ser._audio._mono import Mono, Waveform
from sklearn_ser._utils import NOT_REGULAR, digest_of, file_digest
from sklearn_ser.exceptions import ClipError

__all__ = [
    "SEGMENT_FIELDS",
    "WHOLE",
    "Clip",
    "Segment",
    "content_digest",
    "decode",
    "mono_of",
    "read_blocks",
]

SEGMENT_FIELDS = ("start", "end", "channel")
# Tables round, so an end may lie this far behind the recording's own.
TOLERANCE = 0.1  # seconds


_max_file_bytes = functools.partial(limit, "MAX_FILE_BYTES")


class Segment(NamedTuple):
    """A part of a recording.

    Parameters
    ----------
    start : float
        Seconds.
    end : float or None
        Seconds; None is the recording's end.
    channel : int or None
        Counted from 0; None is the mean of all.
    """

    start: float = 0.0
    end: float | None = None
    channel: int | None = None

    def check_inside(self, seconds: float) -> None:
        """Raise a ValueError if a recording of so many seconds is shorter than that."""
        end = seconds if self.end is None else self.end
        if self.start >= seconds or end > seconds + TOLERANCE:
            raise ValueError(f"its segment ({self}) is not inside of its {seconds:.4g} s")

    def __reduce__(self) -> str | tuple[type[Segment], tuple[Any, ...]]:
        # A pickle of WHOLE has to come back as WHOLE itself: clips are compared with it by `is`.
        return "WHOLE" if self is WHOLE else (Segment, tuple(self))

    def __str__(self) -> str:
        end = "its end" if self.end is None else f"{self.end:g} s"
        channel = "" if self.channel is None else f", channel {self.channel}"
        return f"{self.start:g} s to {end}{channel}"


WHOLE = Segment()


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of a collection, not yet read.

    Parameters
    ----------
    position : int
        Index in the collection.
    name : str
        File name, or "waveform" or "bytes".
    source : Path, bytes, ndarray of shape (n_samples,) or ClipError
        Where the audio is; or why the value is no clip, which reading it raises.
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

    def error(self, cause: str, cure: str, kind: type[ClipError] = ClipError) -> ClipError:
        """Return the error that names this clip."""
        return kind(self.position, self.name, cause, cure)

    def note(self, what: str) -> str:
        """Return a sentence that names this clip."""
        return f"clip {self.position} ({self.name}) {what}"

    def read(self) -> Encoded | npt.NDArray[Any]:
        """Return the clip's content: that of an encoded file, or the samples of a waveform."""
        if isinstance(self.source, ClipError):
            raise self.source
        if not isinstance(self.source, Path):
            return self.source
        try:
            return read_content(self.source)
        except (OSError, ValueError) as error:
            raise self.not_read(error) from None

    def not_read(self, error: Exception) -> ClipError:
        """Return the error that names this clip for what an operating system raised."""
        path = os.fspath(self.source) if isinstance(self.source, Path) else self.name
        if isinstance(error, FileNotFoundError):
            return self._missing(path)
        if isinstance(error, IsADirectoryError):
            return self.error(f"{path} is a folder", "Pass the audio files in it.")
        number = getattr(error, "errno", None)
        if number == errno.EINVAL and error.args[1:2] == (NOT_REGULAR,):
            return self.error(f"{path} is {NOT_REGULAR}", "Pass its content as bytes.")
        if number == errno.EFBIG:
            variable = limit_named("MAX_FILE_BYTES")
            cure = f"Cut it, or set another limit by the environment variable {variable}."
            return self.error(f"{path} is {error.args[1]}", cure)
        # A ValueError: the path holds a null character.
        cause = f"{path} cannot be read ({getattr(error, 'strerror', None) or error})"
        return self.error(cause, "Check its permissions and its disk.")

    def _missing(self, path: str) -> ClipError:
        if os.path.islink(path):
            target = os.readlink(path)
            cause = f"{path} is a link to {target}, which does not exist"
            if "/annex/objects/" in target.replace(os.sep, "/"):
                return self.error(
                    f"{path} is a git-annex link, and its content is not here",
                    'Run "git annex get" (or "datalad get") in its repository.',
                )
            return self.error(cause, "Restore the file that it links to.")
        cure = (
            f"Check the path; a relative one starts at {os.getcwd()}, one of a table at its root."
        )
        return self.error(f"no such file: {path}", cure)

    def seconds(self) -> float:
        """Return how long the clip is; 0 if that is not known."""
        try:
            seconds = self._recording_seconds()
        except Exception:  # it is for progress only; reading the clip raises what is wrong
            return 0.0
        end = seconds if self.segment.end is None else min(self.segment.end, seconds)
        return max(0.0, end - self.segment.start)

    def _recording_seconds(self) -> float:
        if isinstance(self.source, np.ndarray):
            return len(self.source) / self.rate if self.rate else 0.0
        if isinstance(self.source, Path):
            return seconds_of(read_content(self.source))
        return seconds_of(self.source) if isinstance(self.source, bytes) else 0.0

    def digest(self, content: Encoded | npt.NDArray[Any] | None = None) -> str:
        """Return the hash of the clip's content, without reading an unchanged file twice.

        Parameters
        ----------
        content : bytes, FileContent, ndarray or None
            What :meth:`read` returned, if it is the hash of that which is wanted.
        """
        digest = None
        if content is None and isinstance(self.source, Path):
            try:
                digest = file_digest(self.source, _max_file_bytes)[:32]
            except (OSError, ValueError):
                digest = None  # reading it raises the error that names the clip
        if digest is None:
            digest = content_digest(self.read() if content is None else content, self.rate)
        return digest if self.segment is WHOLE else digest_of(f"{digest} {tuple(self.segment)}")

    def waveform(
        self, content: Encoded | npt.NDArray[Any], rate: float, min_samples: int = 2
    ) -> Waveform:
        """Return the waveform of `content`: decoded, mixed to mono, and resampled.

        Parameters
        ----------
        content : bytes, FileContent or ndarray of shape (n_samples,)
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
        samples, _ = decode(self, content, rate)
        min_samples = max(min_samples, 2)
        if len(samples) < min_samples:
            raise self.error(
                f"lasts {len(samples) / rate:.4g} s ({len(samples)} samples at {rate:g} Hz), "
                f"shorter than the extractor can take ({min_samples} samples)",
                "Leave it out, or join it to its neighbour.",
            )
        return samples


def content_digest(content: Encoded | npt.NDArray[Any], rate: float | None = None) -> str:
    """Return a 128-bit hash of a clip's content; a waveform's includes its rate and dtype."""
    if isinstance(content, FileContent):
        return content.digest()
    if isinstance(content, bytes):
        return digest_of(content)
    kind = f"{content.dtype.str} {content.shape} {rate}"
    return digest_of(kind, np.ascontiguousarray(content).data)


def decode(
    clip: Clip, content: Encoded | npt.NDArray[Any], rate: float | None = None
) -> tuple[Waveform, float]:
    """Return the samples of a clip, of shape (n_samples,), and their rate in Hz.

    Blocks are mixed to mono, checked and resampled one by one, so that only what is returned takes
    memory that grows with the clip.

    Parameters
    ----------
    clip : Clip
    content : bytes, FileContent or ndarray
        What it has read.
    rate : float or None
        The sampling rate wanted; None is the clip's own.

    Raises
    ------
    ClipError
        If the content is not a usable clip.
    """
    segment, longest = clip.segment, limit("MAX_SECONDS")
    if segment.end is not None and (seconds := segment.end - segment.start) > longest:
        raise clip.error(*too_long(seconds, longest))
    mono = Mono(clip, rate)
    found, n_samples = 0.0, 0
    bound = longest if segment.end is None else math.inf
    for begin, samples, found in _blocks(clip, content, segment.start, bound):
        first = round(segment.start * found)
        stop = math.inf if segment.end is None else round(segment.end * found)
        n_samples = begin + len(samples)
        part = samples[max(0, first - begin) : max(0, int(min(stop, n_samples)) - begin)]
        if len(part):
            mono.add(part, found)
        if n_samples >= stop:
            break
    else:  # only now is it known how long it is
        if segment is not WHOLE and found:
            try:
                segment.check_inside(n_samples / found)
            except ValueError as error:
                raise clip.error(str(error), "Check start and end, which are seconds.") from None
    return mono.finish(), found if rate is None else rate


def read_blocks(clip: Clip) -> Iterator[tuple[Samples, float]]:
    """Yield the samples of a clip from its start to its end, however long it is.

    Parameters
    ----------
    clip : Clip
        A file or a waveform, and no segment of it.

    Yields
    ------
    samples : ndarray of shape (n_samples, n_channels), float32
    rate : float
        In Hz.

    Raises
    ------
    ClipError
        If it cannot be read, or no farther than this.
    """
    for _, samples, rate in _blocks(clip, clip.read()):
        yield samples, rate


def _blocks(
    clip: Clip,
    content: Encoded | npt.NDArray[Any],
    start: float = 0.0,
    longest: float = math.inf,
) -> Iterable[Block]:
    """Return the blocks of a file's content (see `blocks_of`), or of a waveform."""
    if not isinstance(content, np.ndarray):
        return blocks_of(clip, content, start, longest)
    rate = float(clip.rate or 0)
    if (seconds := len(content) / rate - start) > longest:
        raise clip.error(*too_long(seconds, longest))
    return (
        (first, _scale(content[first : first + VALUES])[:, None], rate)
        for first in range(0, len(content), VALUES)
    )


def mono_of(clip: Clip, samples: Samples) -> Waveform:
    """Return the channel asked for, or the mean of all, of shape (n_samples,), and check it.

    Raises
    ------
    ClipError
        If these samples, of shape (n_samples, n_channels), are of no use.
    """
    mono = Mono(clip)
    mono.add(samples, 0.0)
    return mono.finish()


def _scale(samples: npt.NDArray[Any]) -> Waveform:
    """Return samples as float32, integers from the full scale of their type to ±1."""
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    limits = np.iinfo(samples.dtype)
    half = (limits.max - limits.min + 1) // 2
    return ((samples.astype(np.float64) - (limits.min + half)) / half).astype(np.float32)

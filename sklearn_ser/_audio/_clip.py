"""A clip of a collection, not yet read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio._decoding import Waveform, decode
from sklearn_ser._audio._files import TOO_LONG, encoded, refuse_devices, seconds_of
from sklearn_ser._audio._segments import WHOLE, Segment
from sklearn_ser._utils import digest_of, file_digest
from sklearn_ser.exceptions import ClipError

__all__ = ["Clip", "content_digest"]


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

    def error(self, cause: str, cure: str, kind: type[ClipError] = ClipError) -> ClipError:
        """Return the error that names this clip."""
        return kind(self.position, self.name, cause, cure)

    def note(self, what: str) -> str:
        """Return a sentence that names this clip."""
        return f"clip {self.position} ({self.name}) {what}"

    def read(self) -> bytes | npt.NDArray[Any]:
        """Return the clip's content: an encoded file's bytes, or the samples of a waveform."""
        if isinstance(self.source, ClipError):
            raise self.source
        if not isinstance(self.source, Path):
            return self.source
        with self.reading():
            refuse_devices(self.source)
            return self.source.read_bytes()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what operating systems raise into the error that names this clip."""
        path = os.fspath(self.source) if isinstance(self.source, Path) else self.name
        try:
            yield
        except ClipError:
            raise
        except FileNotFoundError:
            raise self._missing(path) from None
        except IsADirectoryError:
            raise self.error(f"{path} is a folder", "Pass the audio files in it.") from None
        except (OSError, ValueError) as error:  # a ValueError: the path holds a null character
            cause = f"{path} cannot be read ({getattr(error, 'strerror', None) or error})"
            raise self.error(cause, "Check its permissions and its disk.") from None

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
        cure = f"Check the path; a relative one starts at {os.getcwd()}."
        return self.error(f"no such file: {path}", cure)

    def seconds(self) -> float:
        """Return how long the clip is; 0 if that cannot be told."""
        try:
            seconds = self._recording_seconds()
        except Exception:  # it is only told on the way; what is wrong is said by who reads it
            return 0.0
        end = seconds if self.segment.end is None else min(self.segment.end, seconds)
        return max(0.0, end - self.segment.start)

    def _recording_seconds(self) -> float:
        if isinstance(self.source, np.ndarray):
            return len(self.source) / self.rate if self.rate else 0.0
        if isinstance(self.source, Path):
            with encoded(self.source) as content:
                return seconds_of(content)
        return seconds_of(self.source) if isinstance(self.source, bytes) else 0.0

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
        return digest_of(f"{digest} {tuple(self.segment)}")

    def _source_digest(self) -> str:
        if not isinstance(self.source, Path):
            return content_digest(self.read(), self.rate)
        try:
            return file_digest(self.source)[:32]
        except (OSError, ValueError):  # a ValueError: the path holds a null character
            return digest_of(self.read())  # whose errors name the clip

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
        samples, own_rate = decode(self, content)
        if own_rate != rate:
            import soxr

            try:
                samples = soxr.resample(samples, own_rate, rate, quality="HQ")
            except MemoryError:
                raise self.error(*TOO_LONG) from None
        min_samples = max(min_samples, 2)
        if len(samples) < min_samples:
            raise self.error(
                f"lasts {len(samples) / rate:.4g} s ({len(samples)} samples at {rate:g} Hz), "
                f"shorter than the extractor can take ({min_samples} samples)",
                "Leave it out, or join it to its neighbour.",
            )
        return samples


def content_digest(content: bytes | npt.NDArray[Any], rate: float | None = None) -> str:
    """Return a 128-bit hash of a clip's content; a waveform's includes its rate and dtype."""
    if isinstance(content, bytes):
        return digest_of(content)
    kind = f"{content.dtype.str} {content.shape} {rate}"
    return digest_of(kind, np.ascontiguousarray(content).data)

"""What PyAV (FFmpeg) decodes: the sound of video files, and what libsndfile cannot read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio._content import Encoded
from sklearn_ser._audio._mpeg import after_tags
from sklearn_ser._audio._streams import STREAMED, Stream, View, streams_of
from sklearn_ser._signals import uninterrupted

__all__ = ["Samples", "container_seconds", "sound_blocks"]

Samples = npt.NDArray[np.float32]

# How much shorter than it states a track may be: encoders' delays, edit lists.
TOLERANCE = 0.25  # seconds


def sound_blocks(
    content: Encoded, check: Callable[[int, float, int | None], None] | None = None
) -> Iterator[tuple[Samples, float]]:
    """Decode the first track of sound, some milliseconds at a time.

    Parameters
    ----------
    content : bytes or FileContent
        A file's.
    check : callable or None
        Takes the number of channels, the sampling rate in Hz and the number of samples, None if it
        is not known, before any of them are decoded; what it raises comes through.

    Yields
    ------
    samples : ndarray of shape (n_samples, n_channels), float32
    rate : float
        In Hz.

    Raises
    ------
    ImportError
        If PyAV is not installed.
    ValueError or another
        If the content is damaged or holds no sound.
    """
    import av

    n_samples, rate = 0, 1
    with _opened(content) as container:
        track = _track(container)
        context, stated = track.codec_context, _stated_seconds(content, track)
        if check is not None and context.sample_rate:
            n_stated = None if stated is None else int(stated * context.sample_rate)
            check(context.channels, float(context.sample_rate), n_stated)
        # Packed: of a frame with a plane for each of 8 channels, PyAV reads a ninth.
        to_floats = av.AudioResampler(format="flt")
        for frame in _frames(container.decode(track)):
            for part in to_floats.resample(frame):
                n_samples, rate = n_samples + part.samples, part.sample_rate
                samples = np.asarray(part.to_ndarray(), dtype=np.float32)
                yield samples.reshape(part.samples, -1), float(rate)
        if n_samples == 0:
            raise ValueError("no frame can be decoded")
        seconds = n_samples / rate
        if stated is not None and seconds < stated - TOLERANCE:
            raise ValueError(f"{seconds:.1f} s could be decoded, of {stated:.1f} s")
    size = int.from_bytes(content[4:8], "little") + 8
    if content[:4] == b"RIFF" and len(content) + 1 < size < STREAMED:
        raise ValueError(f"{len(content)} of its {size} bytes are there")
    if content[:4] == b"OggS":
        for stream in streams_of(content):
            if stream.flaw:
                raise ValueError(f"{seconds:.1f} s could be decoded; {stream.flaw}")


def _frames(decoded: Iterator[Any]) -> Iterator[Any]:
    """Yield what is decoded, and None at the end.

    PyAV reads by calling `View` back, where Ctrl-C would be lost, and taken for the file's end.
    """
    frame: Any = True
    while frame is not None:
        with uninterrupted():
            frame = next(decoded, None)
        yield frame


def _stated_seconds(content: Encoded, track: Any) -> float | None:
    """Return how long a track is by its container; None where that would be an estimate."""
    if stated := track.metadata.get("DURATION"):  # of Matroska and WebM
        begin = float((track.start_time or 0) * track.time_base)
        with contextlib.suppress(ValueError):  # some write another kind of text
            hours, minutes, seconds = stated.split(":")
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds) - begin
    single = content[:4] == b"OggS" and len(streams_of(content)) == 1
    if (single or content[4:8] == b"ftyp") and track.duration and track.time_base:
        return float(track.duration * track.time_base)
    return None


def container_seconds(content: Encoded) -> float:
    """Return how long the first track of sound is, as is stated; if it is not, by decoding."""
    with _opened(content) as container:
        track = _track(container)
        if content[4:8] == b"ftyp" and track.duration and track.time_base:
            return float(track.duration * track.time_base)
    return sum(len(samples) / rate for samples, rate in sound_blocks(content))


def _opened(content: Encoded) -> Any:
    import av

    file = View(content, Stream(after_tags(content), len(content)))
    with uninterrupted():
        return av.open(file, metadata_errors="ignore")


def _track(container: Any) -> Any:
    if not container.streams.audio:
        raise ValueError("it holds no sound")
    return container.streams.audio[0]

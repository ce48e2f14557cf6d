"""The sound of video files, and of audio in their containers (mp4, m4a, mkv, webm)."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["decode_sound", "is_container", "sound_blocks"]

Samples = npt.NDArray[np.float32]


def is_container(content: bytes) -> bool:
    """Tell whether a file's content is of the MP4 or the Matroska family."""
    return content[4:8] == b"ftyp" or content.startswith(b"\x1a\x45\xdf\xa3")


def decode_sound(content: bytes) -> tuple[Samples, float]:
    """Decode the first track of sound, with PyAV.

    Parameters
    ----------
    content : bytes
        A file's.

    Returns
    -------
    samples : ndarray of shape (n_samples, n_channels), float32
    rate : float
        In Hz.

    Raises
    ------
    ImportError
        If PyAV is not installed.
    ValueError
        If the content is damaged or holds no sound.
    """
    blocks, rates = zip(*sound_blocks(io.BytesIO(content)), strict=True)
    return np.concatenate(blocks), rates[0]


def sound_blocks(file: io.BytesIO | str) -> Iterator[tuple[Samples, float]]:
    """Yield the same, a few milliseconds at a time, of a path or an open file."""
    import av

    empty = True
    try:
        with av.open(file) as container:
            if not container.streams.audio:
                raise ValueError("it holds no sound")
            track = container.streams.audio[0]
            to_floats = av.AudioResampler(format="fltp")
            for frame in itertools.chain(container.decode(track), [None]):
                for part in to_floats.resample(frame):
                    empty = False
                    yield part.to_ndarray().T, float(part.sample_rate)
    except av.FFmpegError as error:
        raise ValueError(str(error)) from None
    if empty:
        raise ValueError("no frame can be decoded")

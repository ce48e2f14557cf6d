"""The sound of video files, and of audio in their containers (mp4, m4a, mkv, webm)."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

__all__ = ["decode_sound", "is_container"]


def is_container(content: bytes) -> bool:
    """Tell whether a file's content is of the MP4 or the Matroska family."""
    return content[4:8] == b"ftyp" or content.startswith(b"\x1a\x45\xdf\xa3")


def decode_sound(content: bytes) -> tuple[npt.NDArray[np.float32], float]:
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
    import av

    try:
        with av.open(io.BytesIO(content)) as container:
            if not container.streams.audio:
                raise ValueError("it holds no sound")
            track = container.streams.audio[0]
            to_floats = av.AudioResampler(format="fltp")
            frames = [
                part for frame in container.decode(track) for part in to_floats.resample(frame)
            ]
            frames += to_floats.resample(None)
    except av.FFmpegError as error:
        raise ValueError(str(error)) from None
    if not frames:
        raise ValueError("no frame can be decoded")
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1).T
    return samples, float(frames[0].sample_rate)

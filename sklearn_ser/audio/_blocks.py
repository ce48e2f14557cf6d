"""A file's samples from its start to its end, however long it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sklearn_ser.audio._decoding import is_cut_short
from sklearn_ser.audio._video import is_container, sound_blocks

__all__ = ["read_blocks"]

SECONDS = 10
LONGEST_PAGE = 65_307  # bytes, of Ogg


def read_blocks(path: Path) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
    """Yield the samples of a file, the mean of its channels, a part at a time.

    Parameters
    ----------
    path : Path

    Yields
    ------
    samples : ndarray of shape (n_samples,), float32
    rate : float
        In Hz.

    Raises
    ------
    OSError, ImportError, ValueError or soundfile.LibsndfileError
        If the file cannot be read, or no farther than this.
    """
    import soundfile

    ends = _ends(path)
    if is_container(ends):
        for samples, rate in sound_blocks(str(path)):
            yield samples.mean(axis=1, dtype=np.float32), rate
        return

    class Forward(soundfile.SoundFile):
        """A file that is only read on: MPEG decoders stumble where they are made to seek."""

        def seekable(self) -> bool:
            return False

    with Forward(path) as file:
        n_samples, n_read = SECONDS * file.samplerate, 0
        while len(samples := file.read(n_samples, dtype="float32", always_2d=True)):
            n_read += len(samples)
            yield samples.mean(axis=1, dtype=np.float32), float(file.samplerate)
        if is_cut_short(ends, n_read, file.frames, file.extra_info):
            raise ValueError(f"truncated after {n_read / file.samplerate:.1f} s")


def _ends(path: Path) -> bytes:
    """Return a file's first bytes and its last, by which Ogg tells whether it is complete."""
    with open(path, "rb") as file:
        begin = file.read(16)
        file.seek(max(16, path.stat().st_size - LONGEST_PAGE))
        return begin + file.read()

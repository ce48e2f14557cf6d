"""Streams opened by libsndfile, which reads by calling Python back, where what is raised is lost.

So Ctrl-C is held back until it returns, and what reading the file raised is raised then.
"""

from __future__ import annotations

import functools
from typing import Any

from sklearn_ser._audio._content import Encoded
from sklearn_ser._audio._streams import Stream, View
from sklearn_ser._signals import uninterrupted

__all__ = ["open_stream"]


class _Called(View):
    """A stream that keeps what reading it raised."""

    failed: Exception | None = None

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except Exception as error:
            self.failed = error
            return 0

    def check(self) -> None:
        """Raise what was wrong with it."""
        if self.is_endless:
            raise ValueError("its header has no end")
        if self.failed is not None:
            raise self.failed


def open_stream(content: Encoded, stream: Stream) -> Any:
    """Return a stream of a file, opened to be read on.

    Raises
    ------
    Exception
        What libsndfile raises, or reading the file; so does the stream itself.
    """
    view = _Called(content, stream)
    try:
        return _forward()(view)
    finally:
        view.check()


@functools.cache
def _forward() -> Any:
    import soundfile

    class Forward(soundfile.SoundFile):
        """A file that is only read on: soundfile would seek after each block, and to its end."""

        def __init__(self, view: View) -> None:
            with uninterrupted():
                super().__init__(view)

        def seekable(self) -> bool:
            return False

        def seek(self, *where: Any) -> int:
            with uninterrupted():
                return super().seek(*where)

        def read(self, *how: Any, **more: Any) -> Any:
            try:
                with uninterrupted():
                    return super().read(*how, **more)
            finally:
                self.name.check()

    return Forward

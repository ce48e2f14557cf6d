"""Text that every file and terminal can take."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""Return text that can be written: paths may hold any bytes, of which Python makes surrogates.

    >>> printable("\udce4.wav")
    '\\udce4.wav'
    """
    return text.encode("utf-8", "backslashreplace").decode()

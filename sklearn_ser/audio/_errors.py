"""The errors that name a clip which cannot be used."""

from __future__ import annotations

__all__ = ["ClipError", "SilentClipError"]


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


class SilentClipError(ClipError):
    """A clip that holds nothing but silence."""

"""The errors and warnings of the package; every room may raise them."""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "ClipError",
    "ClipWarning",
    "LeakageWarning",
    "SilentClipError",
    "StoreWarning",
]


class ArgumentError(TypeError):
    """An argument that cannot be used: it has no effect, or lacks methods that are needed."""


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
    """A clip that holds nothing but silence.

    Parameters
    ----------
    position : int
        Index of the clip in the collection.
    name : str
        File name, or what kind of value the clip is.
    cause, cure : str
        What is wrong, and what to do about it.
    """


class ClipWarning(UserWarning):
    """A clip could not be used, and its row is NaN; or something was done to it that matters."""


class LeakageWarning(UserWarning):
    """A split puts one speaker's clips, or the same audio, into training and test folds."""


class StoreWarning(UserWarning):
    """A stored record was damaged, or could not be written; only time is lost."""

"""What the store says when something is wrong with it."""

from __future__ import annotations

__all__ = ["StoreWarning"]


class StoreWarning(UserWarning):
    """A stored record was damaged, or could not be written; only time is lost."""

"""What taking a lock raises where there is none to be had."""

from __future__ import annotations

__all__ = ["NO_LOCK"]

# An OSError from the file system, or, where it knows no locks at all, what filelock makes of that.
NO_LOCK = (OSError, NotImplementedError)

"""Where clip errors stood before ``sklearn_ser.exceptions``; kept for code written for 0.1."""

from sklearn_ser.exceptions import ClipError, SilentClipError

__all__ = ["ClipError", "SilentClipError"]

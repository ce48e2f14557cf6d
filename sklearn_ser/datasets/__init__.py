"""Corpora of emotional speech."""

from sklearn_ser.datasets._synthetic import make_emotional_speech

__all__ = ["make_emotional_speech"]

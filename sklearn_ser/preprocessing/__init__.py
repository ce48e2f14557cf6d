"""Transformers of features that know who speaks."""

from sklearn_ser.preprocessing._speaker_scaler import SpeakerScaler

__all__ = ["SpeakerScaler"]

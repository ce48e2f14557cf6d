"""Transformers of features that know who speaks, and a sampler of changed clips."""

from sklearn_ser.preprocessing._audio_augmenter import AudioAugmenter
from sklearn_ser.preprocessing._speaker_scaler import SpeakerScaler

__all__ = ["AudioAugmenter", "SpeakerScaler"]

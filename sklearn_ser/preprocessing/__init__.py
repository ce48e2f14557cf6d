"""Scaling by speaker, frames of several embedders side by side, and augmentation of clips."""

from sklearn_ser.preprocessing._audio_augmenter import AudioAugmenter
from sklearn_ser.preprocessing._audio_augmenter import stored_copies as stored_copies
from sklearn_ser.preprocessing._frame_union import FrameUnion
from sklearn_ser.preprocessing._speaker_scaler import SpeakerScaler

__all__ = ["AudioAugmenter", "FrameUnion", "SpeakerScaler"]

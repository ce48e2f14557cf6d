"""Transformers that turn clips of speech, or what is said in them, into rows of features."""

from sklearn_ser.embedders._base import BaseEmbedder, RecordEmbedder
from sklearn_ser.embedders._egemaps import EGeMAPSEmbedder
from sklearn_ser.embedders._layouts import FrameLayout, VectorLayout
from sklearn_ser.embedders._mfcc import MFCCEmbedder
from sklearn_ser.embedders._ssl import SSLEmbedder
from sklearn_ser.embedders._text import TextEmbedder
from sklearn_ser.exceptions import ClipWarning

__all__ = [
    "BaseEmbedder",
    "ClipWarning",
    "EGeMAPSEmbedder",
    "FrameLayout",
    "MFCCEmbedder",
    "RecordEmbedder",
    "SSLEmbedder",
    "TextEmbedder",
    "VectorLayout",
]

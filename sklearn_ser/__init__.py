"""Speech emotion recognition for scikit-learn.

Embedders turn clips of speech into rows of features and are plain scikit-learn transformers.
"""

from sklearn_ser.embedders import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder, TextEmbedder

__version__ = "0.1.0"

__all__ = ["EGeMAPSEmbedder", "MFCCEmbedder", "SSLEmbedder", "TextEmbedder"]

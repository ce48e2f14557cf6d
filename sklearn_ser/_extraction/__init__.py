"""From clips to their records: read what is stored, compute and store the rest.

`Extraction` holds the one loop; an `Extractor` says what is computed, of one clip or of several
at once. Nothing here knows of estimators.
"""

from sklearn_ser._extraction._extract import Extraction
from sklearn_ser._extraction._extractor import (
    BatchExtractor,
    Extractor,
    Prepared,
    SpeechExtractor,
    WaveformExtractor,
)

__all__ = [
    "BatchExtractor",
    "Extraction",
    "Extractor",
    "Prepared",
    "SpeechExtractor",
    "WaveformExtractor",
]

"""What counts as a clip, and how it becomes a waveform.

A clip is a path, a 1-D waveform, a ``(waveform, rate)`` pair, an audio value of the Hugging Face
``datasets`` library, or a segment of a recording. Whatever cannot be used raises one
:class:`ClipError` that names the clip, the cause and the cure.
"""

from sklearn_ser.audio._clip import Clip
from sklearn_ser.audio._decoding import decode, read_blocks
from sklearn_ser.audio._errors import ClipError
from sklearn_ser.audio._inputs import as_clip, as_clips, is_numeric_batch, items_of
from sklearn_ser.audio._segments import SEGMENT_FIELDS
from sklearn_ser.audio._suffixes import SOUND_SUFFIXES, readable_suffixes

__all__ = [
    "SEGMENT_FIELDS",
    "SOUND_SUFFIXES",
    "Clip",
    "ClipError",
    "as_clip",
    "as_clips",
    "decode",
    "is_numeric_batch",
    "items_of",
    "read_blocks",
    "readable_suffixes",
]

"""What counts as a clip, and how it becomes a waveform.

A clip is a path, a 1-D waveform, a ``(waveform, rate)`` pair, an audio value of the Hugging Face
``datasets`` library, or a segment of a recording. Whatever cannot be used raises one
``ClipError`` that names the clip, the cause and what to do about it.
"""

from sklearn_ser._audio._clip import (
    SEGMENT_FIELDS,
    WHOLE,
    Clip,
    content_digest,
    decode,
    mono_of,
    read_blocks,
)
from sklearn_ser._audio._decoding import pointer_of
from sklearn_ser._audio._folders import (
    SOUND_SUFFIXES,
    UNREADABLE,
    WITHOUT_PYAV,
    Files,
    describe_left_out,
    find_sounds,
    readable_suffixes,
)
from sklearn_ser._audio._inputs import (
    as_clip,
    as_clips,
    is_numeric_batch,
    items_of,
    need_clips,
    waveforms_of,
)
from sklearn_ser._audio._origin import note_origin, origin_of

__all__ = [
    "SEGMENT_FIELDS",
    "SOUND_SUFFIXES",
    "UNREADABLE",
    "WHOLE",
    "WITHOUT_PYAV",
    "Clip",
    "Files",
    "as_clip",
    "as_clips",
    "content_digest",
    "decode",
    "describe_left_out",
    "find_sounds",
    "is_numeric_batch",
    "items_of",
    "mono_of",
    "need_clips",
    "note_origin",
    "origin_of",
    "pointer_of",
    "read_blocks",
    "readable_suffixes",
    "waveforms_of",
]

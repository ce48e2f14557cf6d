"""The origin of a changed copy: which clip it was made of, in a comment of its wav file.

Fingerprints may miss a copy; :func:`~sklearn_ser.audit.find_duplicates` finds it by its origin.
"""

from __future__ import annotations

import re

from sklearn_ser._audio._beginnings import Encoded

__all__ = ["note_origin", "origin_of"]

COMMENT = "changed copy, by sklearn-ser, of the samples {}"
CHUNK_BYTES = 20 + len(COMMENT.format("0" * 32)) + 1
PATTERN = re.compile(COMMENT.format("([0-9a-f]{32})").encode())


def note_origin(wav: bytes, origin: str) -> bytes:
    """Return a wav file with the comment that it is a copy of samples with this digest."""
    comment = COMMENT.format(origin).encode() + b"\0"
    comment += b"\0" * (len(comment) % 2)
    info = b"INFOICMT" + len(comment).to_bytes(4, "little") + comment
    noted = wav + b"LIST" + len(info).to_bytes(4, "little") + info
    return noted[:4] + (len(noted) - 8).to_bytes(4, "little") + noted[8:]


def origin_of(content: Encoded) -> str | None:
    """Return the digest of the samples that an encoded file says to be a copy of."""
    if content[:4] != b"RIFF":
        return None
    found = PATTERN.search(bytes(content[-CHUNK_BYTES - 1 :]))
    return None if found is None else found[1].decode()

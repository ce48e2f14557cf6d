"""MPEG audio frames, the tags around them, and headers that state a stream's length."""

from __future__ import annotations

import functools
from typing import NamedTuple

from sklearn_ser._audio._content import Encoded

__all__ = [
    "APE",
    "ID3",
    "ID3V1_SIZE",
    "Frame",
    "after_tags",
    "is_sync",
    "parse_frame",
    "stated_length",
    "tag_size",
]

ID3V1_SIZE = 128  # bytes, at the end of a file, which MPEG decoders look at
FIXED_TAGS = ((b"TAG+", 227), (b"TAG", ID3V1_SIZE), (b"3DI", 10))
ID3, APE, LYRICS = b"ID3", b"APETAGEX", b"LYRICSBEGIN"

INFO = (b"Xing", b"Info")


def is_sync(head: bytes) -> bool:
    """Return whether a frame may begin here: eleven bits, and a layer that exists."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0


class Frame(NamedTuple):
    """What an MPEG frame's four bytes of header say."""

    kind: tuple[int, int, int, bool]  # version, layer, sampling rate, mono: one stream has one
    size: int  # bytes
    n_samples: int


KBITS = {  # by version and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@functools.lru_cache(maxsize=1 << 12)
def parse_frame(head: bytes) -> Frame | None:
    """Parse a frame's header; None if it is none, or of a "free" bit rate."""
    if len(head) < 4 or not is_sync(head):
        return None
    version, layer = (head[1] >> 3) & 3, 4 - ((head[1] >> 1) & 3)
    bits, rate = head[2] >> 4, (head[2] >> 2) & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    main = 1 if version == 3 else 2
    kbits = KBITS[main, min(layer, 2) if main == 2 else layer][bits - 1]
    hertz = (44100, 48000, 32000)[rate] // (1 if version == 3 else 2 if version == 2 else 4)
    padding = (head[2] >> 1) & 1
    n_samples = 384 if layer == 1 else 576 if layer == 3 and main == 2 else 1152
    if layer == 1:
        size = (12_000 * kbits // hertz + padding) * 4
    else:
        size = n_samples // 8 * 1000 * kbits // hertz + padding
    return Frame((version, layer, hertz, head[3] >> 6 == 3), size, n_samples)


def stated_length(head: bytes, at: int, frame: Frame) -> tuple[int, int, int] | tuple[()]:
    """Return the frames and the bytes that a Xing, Info or VBRI header states, and where.

    Its frame, of which `head` is the first 64 bytes, begins at byte `at` of the file.
    """
    if frame.kind[1] != 3:
        return ()
    for name in INFO:
        place = head.find(name, 4, 44)
        if place > 0:
            flags = int.from_bytes(head[place + 4 : place + 8], "big")
            if not flags & 1:
                return ()
            numbers = head[place + 8 : place + 16]
            n_bytes = int.from_bytes(numbers[4:], "big") if flags & 2 else 0
            return int.from_bytes(numbers[:4], "big"), n_bytes, at + place + 8
    if head[36:40] == b"VBRI":
        return int.from_bytes(head[50:54], "big"), int.from_bytes(head[46:50], "big"), at + 50
    return ()


def after_tags(content: Encoded) -> int:
    """Return where a file begins, after the ID3v2 tags before it."""
    at = 0
    while content[at : at + 3] == ID3 and (size := tag_size(content, at)):
        at += size
    return at


def tag_size(content: Encoded, at: int) -> int:
    """Return the size of the tag that begins here, 0 if none does."""
    head = content[at : at + 32]
    if head.startswith(ID3) and len(head) > 9 and max(head[6:10]) < 0x80:
        size = functools.reduce(lambda found, byte: found << 7 | byte, head[6:10], 0)
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head.startswith(APE) and len(head) == 32:
        return 32 + (int.from_bytes(head[12:16], "little") if head[23] & 0x20 else 0)
    if head.startswith(LYRICS):
        end = max(content.find(mark, at) for mark in (b"LYRICS200", b"LYRICSEND"))
        return end + 9 - at if end > 0 else 0
    return next((size for mark, size in FIXED_TAGS if head.startswith(mark)), 0)

"""Headers of MPEG audio frames, and those with which encoders state a stream's length."""

from __future__ import annotations

import functools
from typing import NamedTuple

__all__ = ["Frame", "is_sync", "parse_frame", "stated_length"]

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

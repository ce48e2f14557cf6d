"""Where the streams of sound in a file begin and end, and how long they say they are.

libsndfile decodes one stream, and stops where a header says that it ends, or where it estimates its
end to be. But a file may hold several streams (MPEG, Ogg and FLAC files can be joined by appending
one to the other), headers may be wrong, or written before the length was known, and the length of
MPEG audio without a Xing, Info or VBRI header is an estimate. So streams are found here, and
libsndfile is given each of them, with a header after which it stops only where the sound does.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sklearn_ser._audio._beginnings import W64
from sklearn_ser._audio._content import Encoded
from sklearn_ser._audio._mpeg import (
    APE,
    ID3,
    ID3V1_SIZE,
    Frame,
    after_tags,
    is_sync,
    parse_frame,
    stated_length,
    tag_size,
)

__all__ = ["STREAMED", "Stream", "View", "streams_of"]

Order = Literal["big", "little"]
Chunk = tuple[bytes, int, int]  # name, where its content begins, its size as stated

# libsndfile estimates the length of MPEG audio from its number of bytes and its first frame. Bit
# rates within a stream differ by up to 20 times, so that it reads all of it where it believes that
# there are so many times more bytes.
ESTIMATE = 64
# Writers that stream into a pipe cannot know the length and put a huge one into the header.
STREAMED = 0x7FFF_F000
MPEG_IN_WAV = (0x50, 0x55)
WAV_CODECS = frozenset([1, 2, 3, 6, 7, 0x11, 0x31, 0x38, 0x40, *MPEG_IN_WAV, 0xFFFE])
AU_CODECS = frozenset([1, 2, 3, 4, 5, 6, 7, 23, 25, 26, 27])
UNKNOWN_SIZE, UNKNOWN_LONG = b"\xff\xff\xff\xff", (1 << 64) - 1
N_CALLS = 100_000  # and one for each byte
# How files with chunks begin: the order of the bytes of numbers, how many of these the size of a
# chunk has, where the first one is, and the names of those that hold sound.
CHUNKED: dict[bytes, tuple[Order, int, int, tuple[bytes, ...]]] = {
    b"RIFF": ("little", 4, 12, (b"data",)),
    b"RIFX": ("big", 4, 12, (b"data",)),
    b"RF64": ("little", 4, 12, (b"data",)),
    b"FORM": ("big", 4, 12, (b"SSND", b"BODY")),
    b"caff": ("big", 8, 8, (b"data",)),
}


class Stream(NamedTuple):
    """A part of a file that a decoder reads as one.

    Parameters
    ----------
    begin, end : int
        Bytes of the file.
    patch : tuple of (int, bytes)
        What libsndfile is to read instead, from that byte of the stream on.
    times : int
        How many times longer than it is libsndfile is to believe it.
    n_samples : int or None
        Of each channel, as the container states or as its frames hold; None if only libsndfile
        knows.
    spare : int
        How many of these may be missing.
    flaw : str
        What is wrong with its end.
    """

    begin: int
    end: int
    patch: tuple[int, bytes] = (0, b"")
    times: int = 1
    n_samples: int | None = None
    spare: int = 0
    flaw: str = ""


def streams_of(content: Encoded) -> list[Stream]:
    """Return the streams of a file, in their order.

    Raises
    ------
    ValueError
        If its codec is not one of libsndfile's, which says of many of these that a file is damaged;
        or it has several chunks of sound, of which libsndfile reads the first, or none.
    """
    begin = after_tags(content)
    head = content[begin : begin + 12]
    if head[:4] in CHUNKED:
        return _chunked(content, begin, head)
    if head.startswith(b"OggS"):
        return _ogg(content, begin)
    if head.startswith(b"fLaC"):
        return _flac(content, begin)
    if head.startswith(b".snd"):
        codec = int.from_bytes(content[begin + 12 : begin + 16], "big")
        if codec not in AU_CODECS:
            raise ValueError(f"unsupported encoding {codec} of AU")
    if head == W64:
        return _w64(content, begin)
    if (begin or is_sync(head)) and (streams := _mpeg(content, begin, len(content))):
        return streams
    # MPEG still, if of a "free" bit rate, or not a whole frame
    return [Stream(begin, len(content), times=ESTIMATE if is_sync(head) else 1)]


def _flac(content: Encoded, begin: int) -> list[Stream]:
    """Split FLAC; each stream is given to libsndfile as one of unknown length."""
    begins, stop = [begin], _without_tags(content)
    at = begin
    while (at := content.find(b"fLaC", at + 4, stop)) > 0:
        if content[at + 5 : at + 8] == b"\0\0\x22":  # the size of the block that comes first
            begins.append(at)
    streams = []
    for first, end in zip(begins, [*begins[1:], stop], strict=True):
        total = content[first + 21 : first + 26]
        unknown = bytes([total[0] & 0xF0, 0, 0, 0, 0]) if len(total) == 5 else b""
        stated = int.from_bytes(total, "big") & 0xF_FFFF_FFFF
        streams.append(Stream(first, end, (21, unknown), n_samples=stated or None))
    return streams


def _without_tags(content: Encoded) -> int:
    """Return where the content ends before an ID3v1 and an APE tag."""
    end = len(content)
    if content[max(0, end - ID3V1_SIZE) :][:3] == b"TAG":
        end -= ID3V1_SIZE
    footer = content[max(0, end - 32) : end]
    if footer.startswith(APE):
        size = int.from_bytes(footer[12:16], "little")
        end = max(0, end - size - (32 if footer[23:24] >= b"\x80" else 0))
    return end


def _ogg(content: Encoded, begin: int) -> list[Stream]:
    """Split a chain of Ogg streams: first pages that follow others begin a new one."""
    begins: list[int] = []
    last, was_first = begin, False
    flaws: list[str] = []
    at = begin
    while at >= 0:
        head = content[at : at + 27]
        is_first = len(head) == 27 and bool(head[5] & 2)
        if not begins or (is_first and not was_first):
            if begins:
                flaws.append(_page_flaw(content, last, at))
            begins.append(at)
        last, was_first = at, is_first
        at = content.find(b"OggS\0", at + max(27, _page_size(content, at)))
    flaws.append(_page_flaw(content, last, len(content)))
    ends = [*begins[1:], len(content)]
    return [Stream(b, e, flaw=flaw) for b, e, flaw in zip(begins, ends, flaws, strict=True)]


def _page_size(content: Encoded, at: int) -> int:
    n_segments = content[at + 26 : at + 27]
    segments = content[at + 27 : at + 27 + n_segments[0]] if n_segments else b""
    # A page that was cut: the next one may begin anywhere in it.
    size = 27 + len(segments) + sum(segments)
    return size if content[at + size : at + size + 4] == b"OggS" else 0


def _page_flaw(content: Encoded, at: int, end: int) -> str:
    """Return what is wrong with a stream's last page: that of a complete one says that it is."""
    head = content[at : min(at + 27, end)]
    segments = content[at + 27 : min(at + 27 + head[26], end)] if len(head) == 27 else b""
    whole = segments and at + 27 + head[26] + sum(segments) <= end
    return "" if whole and head[5] & 4 else "it has no last page that says so"


def _chunked(content: Encoded, begin: int, head: bytes) -> list[Stream]:
    """Find the sound of a file of chunks, whose length may not be known: WAV, AIFF, 8SVX, CAF."""
    order, width, first, names = CHUNKED[head[:4]]
    chunks = list(_chunks(content, begin + first, order, width))
    sounds = [i for i, (name, _, _) in enumerate(chunks) if name in names]
    if len(sounds) > 1:
        raise ValueError(f"it has {len(sounds)} chunks of sound, and a file of its format has one")
    whole = Stream(begin, len(content))
    _, at, size = chunks[sounds[0]] if sounds else (b"", 0, 0)
    if head[8:] in (b"8SVX", b"16SV"):
        end = at + size if sounds else len(content)
        return [_until(content, begin, end, 4, lambda size: (size - 8).to_bytes(4, "big"))]
    if head.startswith(b"caff") and size == UNKNOWN_LONG:
        return [whole._replace(patch=(at - 8 - begin, (len(content) - at).to_bytes(8, "big")))]
    if head[8:] != b"WAVE":
        return [whole]
    codec = 0
    for name, place, _ in chunks[: sounds[0] if sounds else None]:
        if name == b"fmt ":
            codec = int.from_bytes(content[place : place + 2], order)
            if codec not in WAV_CODECS:
                raise ValueError(f"unsupported format 0x{codec:04x} of WAV")
    if not sounds:
        return [whole]
    if codec in MPEG_IN_WAV:
        end = min(len(content), at + size if size else STREAMED)
        if streams := _mpeg(content, at, end):
            if len(content) < at + size < STREAMED:
                flaw = f"{len(content) - at} of its {size} bytes are there"
                streams[-1] = streams[-1]._replace(flaw=flaw)
            return streams
    elif size == 0:
        after = [place + length for _, place, length in chunks[sounds[0] + 1 :]]
        if (after[-1] if after else at) < len(content):  # what follows are no chunks, but sound
            return [whole._replace(patch=(at - 4 - begin, UNKNOWN_SIZE))]
    return [whole]


def _w64(content: Encoded, begin: int) -> list[Stream]:
    """Find where the sound of a W64 file ends."""
    at, ends = begin + 40, []
    while len(head := content[at : at + 24]) == 24:
        size = int.from_bytes(head[16:], "little")  # of the chunk, with this head
        if head.startswith(b"data"):
            ends.append(at + size)
        at += max(24, size + -size % 8)
    if len(ends) > 1:
        raise ValueError(f"it has {len(ends)} chunks of sound, and a file of its format has one")
    end = ends[0] if ends else len(content)
    return [_until(content, begin, end, 16, lambda size: size.to_bytes(8, "little"))]


def _until(
    content: Encoded, begin: int, end: int, place: int, size: Callable[[int], bytes]
) -> Stream:
    """Return a file as if it ended with its sound: libsndfile takes chunks behind it for sound.

    Its own size stands at `place`, as the bytes that `size` makes of it.
    """
    if end >= len(content):
        return Stream(begin, len(content))
    return Stream(begin, end, (place, size(end - begin)))


def _chunks(content: Encoded, at: int, order: Order, width: int) -> Iterator[Chunk]:
    """Yield each chunk.

    The size is a number of `width` bytes; chunks with one of four begin at even bytes.
    """
    n_bytes = None
    while (
        (name := content[at : at + 4]).isascii() and len(name) == 4 and name.decode().isprintable()
    ):
        size = int.from_bytes(content[at + 4 : at + 4 + width], order)
        at += 4 + width
        if name == b"ds64":  # of RF64: the file's size, and that of the chunk of sound
            n_bytes = int.from_bytes(content[at + 8 : at + 16], order)
        elif (
            n_bytes is not None and name == b"data" and size == int.from_bytes(UNKNOWN_SIZE, order)
        ):
            size = n_bytes
        yield name, at, size
        at += size + (size % 2 if width == 4 else 0)


@dataclass
class _Frames:
    """Frames of one kind, one behind the other."""

    kind: tuple[int, int, int, bool]
    n_samples: int  # a frame
    begin: int
    end: int
    n_frames: int = 0
    stated: tuple[int, int, int] | None = None  # frames, bytes, and where the frames are stated
    flaw: str = ""

    def stream(self) -> Stream:
        """Return what libsndfile is given."""
        n_stated, n_bytes, at = self.stated or (0, 0, 0)
        # Some writers count the frame that holds the header, too.
        complete = self.n_frames >= n_stated or (
            self.n_frames + 1 == n_stated and 0 < n_bytes <= self.end - self.begin
        )
        flaw = "" if complete else f"{self.n_frames} of its {n_stated} frames are there"
        if at >= self.begin and self.stated:  # libsndfile goes by it, so it has to be right
            right = self.n_frames.to_bytes(4, "big")
            if n_bytes:
                right += (self.end - self.begin).to_bytes(8, "big")[4:]
            return Stream(self.begin, self.end, (at - self.begin, right), flaw=flaw or self.flaw)
        return Stream(
            self.begin,
            self.end,
            times=ESTIMATE,
            n_samples=self.n_frames * self.n_samples,
            spare=2 * self.n_samples,  # the first frames may need others that were cut away
            flaw=flaw or self.flaw,
        )


def _mpeg(content: Encoded, at: int, end: int) -> list[Stream]:
    """Split MPEG audio into streams of one kind, without the tags around them."""
    found: list[_Frames] = []
    gap = -1  # where bytes begin that are neither a frame nor a tag
    while at < end:
        frame = parse_frame(content[at : at + 4])
        if frame is not None and at + frame.size <= end:
            info = stated_length(content[at : at + 64], at, frame)
            goes_on = found and found[-1].end == at and found[-1].kind == frame.kind and not info
            if goes_on or info or _is_followed(content, at, end, frame):
                if not goes_on:
                    if gap >= 0 and found and not info:
                        found[-1].flaw = f"{at - gap} bytes, from {gap} on, are no frames"
                    found.append(_Frames(frame.kind, frame.n_samples, at, at, 0, info or None))
                gap = -1
                at += frame.size
                found[-1].end = at
                if not info:
                    found[-1].n_frames += 1
                elif content.find(b"VBRI", at - frame.size, at) == at - frame.size + 36:
                    found[-1].begin = at  # libsndfile does not know it, and would decode it
                continue
        if size := tag_size(content, at):
            at, gap = at + size, -1
            continue
        gap = at if gap < 0 else gap
        candidates = [content.find(mark, at + 1, end) for mark in (b"\xff", ID3)]
        at = min((place for place in candidates if place >= 0), default=end)
    return [frames.stream() for frames in found if frames.n_frames]


def _is_followed(content: Encoded, at: int, end: int, frame: Frame) -> bool:
    """Return whether a frame ends where another begins, or the file does."""
    after = at + frame.size
    follower = parse_frame(content[after : after + 4])
    if follower is not None:
        return follower.kind == frame.kind
    return after == end or tag_size(content, after) > 0


class View(io.RawIOBase):
    """A stream as a file, for decoders that seek, and in damaged files to before their start.

    Headers may even make libsndfile go round in circles, between chunks of a negative size. So
    after many more calls than reading takes, the file is at its end, and `is_endless` is true.
    """

    def __init__(self, content: Encoded, stream: Stream) -> None:
        self._content, self._stream, self._at = content, stream, 0
        n_bytes = stream.end - stream.begin
        self._n_believed = n_bytes * stream.times
        self._n_calls_left = N_CALLS + n_bytes
        self.is_endless = False

    def readable(self) -> bool:
        return True

    seekable = readable

    def tell(self) -> int:
        """Return the place from which it is read, in bytes."""
        self._n_calls_left -= 1
        self.is_endless = self._n_calls_left < 0
        return self._n_believed if self.is_endless else self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set and return that place; one before the start is ignored."""
        place = offset + (0, self._at, self._n_believed)[whence]
        if place >= 0:
            self._at = place
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read until the buffer is full, or to the end; return the number of bytes."""
        self._n_calls_left -= 1
        self.is_endless = self._n_calls_left < 0
        if self.is_endless:
            return 0
        begin, end = self._stream.begin + self._at, self._stream.end
        found = self._content[begin : max(begin, min(begin + len(buffer), end))]
        if not found and self._at >= self._n_believed - ID3V1_SIZE and self._stream.times > 1:
            found = bytes(min(len(buffer), max(0, self._n_believed - self._at)))
        buffer[: len(found)] = found
        patch_at, patch = self._stream.patch
        first, stop = max(patch_at, self._at), min(patch_at + len(patch), self._at + len(found))
        if first < stop:
            buffer[first - self._at : stop - self._at] = patch[first - patch_at : stop - patch_at]
        self._at += len(found)
        return len(found)

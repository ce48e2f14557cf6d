"""Where the streams of sound in a file begin and end, and how long they say they are.

libsndfile decodes one stream, and stops where a header says that it ends, or where it estimates its
end to be. But a file may hold several streams (MPEG, Ogg and FLAC files can be joined by appending
one to the other), headers may be wrong, or written before the length was known, and the length of
MPEG audio without a Xing, Info or VBRI header is an estimate. So streams are found here, and
libsndfile is given each of them, with a header after which it stops only where the sound does.
"""

from __future__ import annotations

import functools
import io
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

__all__ = ["STREAMED", "Encoded", "Stream", "View", "after_tags", "streams_of"]

Encoded = bytes | mmap.mmap

# libsndfile estimates the length of MPEG audio from its number of bytes and its first frame. Bit
# rates within a stream differ by up to 20 times, so that it reads all of it where it believes that
# there are so many times more bytes.
ESTIMATE = 64
# Writers that stream into a pipe cannot know the length and put a huge one into the header.
STREAMED = 0x7FFF_F000
MPEG_IN_WAV = (0x50, 0x55)
WAV_CODECS = frozenset([1, 2, 3, 6, 7, 0x11, 0x31, 0x38, 0x40, *MPEG_IN_WAV, 0xFFFE])
AU_CODECS = frozenset([1, 2, 3, 4, 5, 6, 7, 23, 25, 26, 27])
UNKNOWN_SIZE = b"\xff\xff\xff\xff"
N_CALLS = 100_000  # and one for each byte
UNKNOWN_LONG = (1 << 64) - 1
# How files with chunks begin: the order of the bytes of numbers, how many of these the size of a
# chunk has, and the names of those that hold sound, or begin another file behind this one.
SOUND_CHUNKS: dict[bytes, tuple[Literal["big", "little"], int, tuple[bytes, ...]]] = {
    b"RIFF": ("little", 4, (b"data", b"RIFF")),
    b"RIFX": ("big", 4, (b"data", b"RIFX")),
    b"FORM": ("big", 4, (b"SSND", b"BODY", b"FORM")),
    b"caff": ("big", 8, (b"data", b"caff")),
}
W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"
ID3V1_SIZE = 128  # bytes, at the end of a file, which MPEG decoders look at
INFO = (b"Xing", b"Info")
ID3, APE, LYRICS = b"ID3", b"APETAGEX", b"LYRICSBEGIN"


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
    if head[:4] in SOUND_CHUNKS and (n_sounds := _n_sound_chunks(content, begin)) > 1:
        raise ValueError(f"it has {n_sounds} chunks of sound, and a file of its format has one")
    if head.startswith(b"OggS"):
        return _ogg(content, begin)
    if head.startswith(b"fLaC"):
        return _flac(content, begin)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
        return _wav(content, begin)
    if head.startswith(b".snd"):
        codec = int.from_bytes(content[begin + 12 : begin + 16], "big")
        if codec not in AU_CODECS:
            raise ValueError(f"unsupported encoding {codec} of AU")
    if head.startswith(b"caff"):
        return _caf(content, begin)
    if head == W64:
        return _w64(content, begin)
    if head[:4] == b"FORM" and head[8:] in (b"8SVX", b"16SV"):
        chunks = _chunks(content, begin + 12, "big")
        ends = [at + size for name, at, size in chunks if name == b"BODY"]
        return [_until(content, begin, ends, 4, 4, "big", 8)]
    if begin or _is_sync(head):
        if streams := _mpeg(content, begin, len(content)):
            return streams
        if _is_sync(head):  # of a "free" bit rate, or not a whole frame
            return [Stream(begin, len(content), times=ESTIMATE)]
    return [Stream(begin, len(content))]


def after_tags(content: Encoded) -> int:
    """Return where a file begins, after the ID3v2 tags before it."""
    at = 0
    while content[at : at + 3] == ID3 and (size := _tag(content, at)):
        at += size
    return at


def _is_sync(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0


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
    """Tell what is wrong with a stream's last page: that of a complete one says that it is that."""
    head = content[at : min(at + 27, end)]
    segments = content[at + 27 : min(at + 27 + head[26], end)] if len(head) == 27 else b""
    whole = segments and at + 27 + head[26] + sum(segments) <= end
    return "" if whole and head[5] & 4 else "it has no last page that says so"


def _wav(content: Encoded, begin: int) -> list[Stream]:
    """Find the sound of a WAV file whose length was not known, or that holds MPEG."""
    order: Literal["big", "little"] = "big" if content[begin + 3] == ord("X") else "little"
    codec = 0
    for name, at, size in _chunks(content, begin + 12, order):
        if name == b"fmt ":
            codec = int.from_bytes(content[at : at + 2], order)
            if codec not in WAV_CODECS:
                raise ValueError(f"unsupported format 0x{codec:04x} of WAV")
        if name == b"data" and codec in MPEG_IN_WAV:
            streams = _mpeg(content, at, min(len(content), at + size if size else STREAMED))
            if streams:
                if len(content) < at + size < STREAMED:
                    flaw = f"{len(content) - at} of its {size} bytes are there"
                    streams[-1] = streams[-1]._replace(flaw=flaw)
                return streams
        elif name == b"data" and size == 0 and not _ends_with_chunks(content, at, order):
            return [Stream(begin, len(content), (at - 4 - begin, UNKNOWN_SIZE))]
        if name == b"data":
            break
    return [Stream(begin, len(content))]


def _caf(content: Encoded, begin: int) -> list[Stream]:
    """Find the sound of a CAF file whose length was not known."""
    for name, at, size in _chunks(content, begin + 8, "big", 8):
        if name == b"data" and size == UNKNOWN_LONG:
            stated = (len(content) - at).to_bytes(8, "big")
            return [Stream(begin, len(content), (at - 8 - begin, stated))]
        if name == b"data":
            break
    return [Stream(begin, len(content))]


def _w64(content: Encoded, begin: int) -> list[Stream]:
    """Find where the sound of a W64 file ends."""
    at, ends = begin + 40, []
    while len(head := content[at : at + 24]) == 24:
        size = int.from_bytes(head[16:], "little")  # of the chunk, with this head
        if head.startswith((b"data", b"riff")):
            ends.append(at + size)
        at += max(24, size + -size % 8)
    if len(ends) > 1:
        raise ValueError(f"it has {len(ends)} chunks of sound, and a file of its format has one")
    return [_until(content, begin, ends, 16, 8, "little")]


def _until(
    content: Encoded,
    begin: int,
    ends: list[int],
    place: int,
    width: int,
    order: Literal["big", "little"],
    less: int = 0,
) -> Stream:
    """Return a file as if it ended with its sound: libsndfile takes chunks behind it for sound.

    Its own size, of `width` bytes, stands at `place`, and is `less` than that of the file.
    """
    if not ends or ends[0] >= len(content):
        return Stream(begin, len(content))
    return Stream(begin, ends[0], (place, (ends[0] - begin - less).to_bytes(width, order)))


def _n_sound_chunks(content: Encoded, begin: int) -> int:
    """Return how many chunks of sound a file has; 1 where its only one has no known length."""
    kind = content[begin : begin + 4]
    order, width, names = SOUND_CHUNKS[kind]
    first = begin + (8 if kind == b"caff" else 12)
    return sum(name in names for name, _, _ in _chunks(content, first, order, width))


def _chunks(
    content: Encoded, at: int, order: Literal["big", "little"], width: int = 4
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk, where its content begins, and its size as stated.

    The size is a number of `width` bytes; chunks with one of four begin at even bytes.
    """
    while (
        (name := content[at : at + 4]).isascii() and len(name) == 4 and name.decode().isprintable()
    ):
        size = int.from_bytes(content[at + 4 : at + 4 + width], order)
        at += 4 + width
        yield name, at, size
        at += size + (size % 2 if width == 4 else 0)


def _ends_with_chunks(content: Encoded, at: int, order: Literal["big", "little"]) -> bool:
    """Tell whether what follows are chunks, up to the end."""
    for _, begin, size in _chunks(content, at, order):
        at = begin + size
    return at >= len(content)


class _Frame(NamedTuple):
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
def _frame(head: bytes) -> _Frame | None:
    """Parse a frame's header; None if it is none, or of a "free" bit rate."""
    if len(head) < 4 or not _is_sync(head):
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
    return _Frame((version, layer, hertz, head[3] >> 6 == 3), size, n_samples)


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
        frame = _frame(content[at : at + 4])
        if frame is not None and at + frame.size <= end:
            info = _info(content, at, frame)
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
        if size := _tag(content, at):
            at, gap = at + size, -1
            continue
        gap = at if gap < 0 else gap
        at = _next_candidate(content, at + 1, end)
    return [frames.stream() for frames in found if frames.n_frames]


def _is_followed(content: Encoded, at: int, end: int, frame: _Frame) -> bool:
    """Tell whether a frame ends where another begins, or the file does."""
    after = at + frame.size
    follower = _frame(content[after : after + 4])
    if follower is not None:
        return follower.kind == frame.kind
    return after == end or _tag(content, after) > 0


def _next_candidate(content: Encoded, at: int, end: int) -> int:
    """Return where a frame or a tag may begin."""
    places = [content.find(mark, at, end) for mark in (b"\xff", ID3)]
    return min((place for place in places if place >= 0), default=end)


def _info(content: Encoded, at: int, frame: _Frame) -> tuple[int, int, int] | tuple[()]:
    """Return the frames and the bytes that a Xing, Info or VBRI header states, and where."""
    if frame.kind[1] != 3:
        return ()
    head = content[at : at + 64]
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


def _tag(content: Encoded, at: int) -> int:
    """Return the size of the tag that begins here, 0 if none does."""
    head = content[at : at + 32]
    if head.startswith(ID3) and len(head) > 9 and max(head[6:10]) < 0x80:
        size = functools.reduce(lambda found, byte: found << 7 | byte, head[6:10], 0)
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head.startswith(b"TAG+"):
        return 227
    if head.startswith(b"TAG"):
        return ID3V1_SIZE
    if head.startswith(APE) and len(head) == 32:
        return 32 + (int.from_bytes(head[12:16], "little") if head[23] & 0x20 else 0)
    if head.startswith(LYRICS):
        end = max(content.find(mark, at) for mark in (b"LYRICS200", b"LYRICSEND"))
        return end + 9 - at if end > 0 else 0
    return 10 if head.startswith(b"3DI") else 0


class View(io.RawIOBase):
    """A stream as a file, for decoders that seek, and in damaged files to before their start.

    Headers may even make libsndfile go round in circles, between chunks of a negative size. So
    after many more calls than reading takes, the file is at its end, and `is_endless` is true.
    """

    def __init__(self, content: Encoded, stream: Stream) -> None:
        self._content, self._stream, self._at = content, stream, 0
        self._n_bytes = stream.end - stream.begin
        self._n_believed = self._n_bytes * stream.times
        self._n_calls_left = N_CALLS + self._n_bytes

    @property
    def is_endless(self) -> bool:
        """Whether a decoder called more often than any has to."""
        return self._n_calls_left < 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that its place can be set."""
        return True

    def tell(self) -> int:
        """Return the place from which it is read, in bytes."""
        self._n_calls_left -= 1
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

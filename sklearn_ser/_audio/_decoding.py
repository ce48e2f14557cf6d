"""The one decoder of files: in blocks, to where their sound ends, whatever a header promises."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_ser._audio._beginnings import refuse_second_file
from sklearn_ser._audio._content import Encoded, FileContent, limit, limit_named
from sklearn_ser._audio._libsndfile import open_stream
from sklearn_ser._audio._mpeg import after_tags
from sklearn_ser._audio._streams import STREAMED, Stream, streams_of
from sklearn_ser._audio._video import Samples, container_seconds, sound_blocks

if TYPE_CHECKING:
    from sklearn_ser._audio._clip import Clip

__all__ = [
    "TOO_LONG",
    "VALUES",
    "Block",
    "Samples",
    "blocks_of",
    "pointer_of",
    "seconds_of",
    "too_long",
]

# Where it begins, in samples; samples of shape (n_samples, n_channels); their rate in Hz.
Block = tuple[int, Samples, float]

VALUES = 1 << 18  # of a block, all channels together
BEHIND = 1 << 10  # samples, of a block behind the end that is stated
# Formats whose decoders may miss the sample sought, so they are decoded from the start.
SEEK_MISSES = frozenset(["OGG", "MPEG", "MP3"])
# What files begin with that PyAV decodes: Matroska and WebM, WMA, AMR, FLV, WavPack, TTA, Monkey's
# Audio, AAC without a container.
PYAV_FILES = (
    b"\x1a\x45\xdf\xa3",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"#!AMR",
    b"FLV\x01",
    b"wvpk",
    b"TTA1",
    b"MAC ",
    b"Creative Voice File",
    b"\xff\xf1",
    b"\xff\xf9",
)
OGG_CODECS = (b"\x7fFLAC", b"Speex   ")
# How files begin that stand for others, whose these are, and the command that gets the others.
POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("Git LFS", "git lfs pull"),
    b"/annex/objects/": ("git-annex", "git annex get"),
}
COPY = "Copy or download it again, or repair it with ffmpeg if the rest is enough."
CONVERT = "Convert it to wav or flac, for example with ffmpeg."
NO_HEADER = (
    f"{CONVERT[:-1]}; samples without a header (raw, vox) can be passed as (waveform, rate) pairs."
)
OTHER_CODECS = f'{CONVERT[:-1]}; PyAV (pip install "sklearn-ser[video]") decodes most codecs.'
TOO_LONG = ("too long for the memory that there is", "Pass segments of it: path, start and end.")
PYAV = 'Install PyAV (pip install "sklearn-ser[video]"), or extract the sound as wav.'
DAMAGED = re.compile(r"[Mm]alformed|psf_fseek|lost sync|[Ee]nd of file|decod|Internal|damaged")
UNSUPPORTED = re.compile(r"[Uu]nsupported|[Uu]nimplemented|unknown (format|encoding)|WAVPACK")


def too_long(seconds: float, longest: float) -> tuple[str, str]:
    """Return cause and cure of a clip that is longer than may be decoded into memory."""
    return (
        f"too long: {seconds:.5g} s, and the limit of a clip is {longest:.5g} s",
        "Pass segments of it (path, start and end), or set another limit, in seconds, by the "
        f"environment variable {limit_named('MAX_SECONDS')}.",
    )


def blocks_of(
    clip: Clip, content: Encoded, start: float = 0.0, longest: float = math.inf
) -> Iterator[Block]:
    """Yield the blocks of a file's content, decoded one at a time, until there is nothing more.

    Parameters
    ----------
    clip : Clip
        Whose content it is, for errors.
    content : bytes or FileContent
    start : float
        What comes before, in seconds, is not needed, so that it may be left out.
    longest : float
        Seconds that there may be from there on.

    Yields
    ------
    begin : int
        Sample of the file where the block begins.
    samples : ndarray of shape (n_samples, n_channels), float32
    rate : float
        In Hz.

    Raises
    ------
    ClipError
        Whatever a decoder raises, or a container that is not as long as it states; the latter only
        when its end is reached.
    """
    limits = Limits(start, longest)
    known = None
    try:
        for begin, samples, rate in _blocks(content, limits):
            if known not in (None, (samples.shape[1], rate)):
                cause = "its sampling rate or its number of channels changes after "
                raise _Flaw(f"{cause}{begin / known[1]:.1f} s", CONVERT)
            limits.check(samples.shape[1], rate, begin + len(samples))
            known = samples.shape[1], rate
            yield begin, samples, rate
        if isinstance(content, FileContent):
            content.check_unchanged()
    except Exception as error:  # decoders of damaged files raise nearly everything
        flaw = _flaw_of(error, content)
        raise clip.error(flaw.cause, flaw.cure) from flaw.__cause__


class Limits:
    """What a file may be; checked as soon as it is known, by its header or by what was decoded.

    Parameters
    ----------
    start, longest : float
        Seconds: see `blocks_of`.
    """

    def __init__(self, start: float = 0.0, longest: float = math.inf) -> None:
        self.start, self._longest = start, longest
        self._rates = limit("MIN_SAMPLING_RATE"), limit("MAX_SAMPLING_RATE")
        self._channels = limit("MAX_CHANNELS")

    def check(self, n_channels: int, rate: float, n_samples: int | None) -> None:
        """Raise a _Flaw for a file of so many samples or more; None is not known."""
        lowest, highest = self._rates
        if not lowest <= rate <= highest:
            raise _Flaw(
                f"its sampling rate is {rate:.10g} Hz, and no speech is sampled at less than "
                f"{lowest:.10g} or more than {highest:.10g} Hz",
                "Correct its header, or set another limit by the environment variable "
                f"{limit_named('MIN_SAMPLING_RATE')} or {limit_named('MAX_SAMPLING_RATE')}.",
            )
        if n_channels > self._channels:
            raise _Flaw(
                f"it has {n_channels} channels, and the limit is {self._channels:g}",
                "Correct its header, or set another limit by the environment variable "
                f"{limit_named('MAX_CHANNELS')}.",
            )
        seconds = 0.0 if n_samples is None else n_samples / rate - self.start
        if seconds > self._longest:
            raise _Flaw(*too_long(seconds, self._longest))


def _blocks(content: Encoded, limits: Limits) -> Iterator[Block]:
    """Yield the same, and raise what decoders raise."""
    if pointer := pointer_of(content):
        what, command = pointer
        cause = f"not audio, a {what} pointer ({len(content)} bytes)"
        raise _Flaw(cause, f'Run "{command}" in its repository.')
    refuse_second_file(content, after_tags(content))
    if _needs_pyav(content):
        yield from _by_pyav(content, limits)
        return
    try:
        streams = streams_of(content)
        opened = open_stream(content, streams[0])
    except Exception as error:
        if not UNSUPPORTED.search(_reason(error)):
            raise
        yield from _by_pyav(content, limits, error)
        return
    begin = 0
    for stream in streams:
        with opened if stream is streams[0] else open_stream(content, stream) as file:
            stated = _n_stated(file, stream)
            limits.check(file.channels, file.samplerate, stated and begin + stated)
            seeks = len(streams) == 1 and file.format not in SEEK_MISSES
            n_samples = 0
            for at, samples in _read(file, content, stream, limits.start if seeks else 0.0):
                yield begin + at, samples, float(file.samplerate)
                n_samples = at + len(samples)
            _check_end(file, stream, n_samples, begin)
            begin += n_samples


def pointer_of(content: Encoded) -> tuple[str, str] | None:
    """Return which system left a pointer in a file's place, and the command that gets the file."""
    return next((what for begin, what in POINTERS.items() if content[: len(begin)] == begin), None)


def seconds_of(content: Encoded) -> float:
    """Return how long a file's sound is, by what its container states; if it does not, by decoding.

    Raises
    ------
    Exception
        If the file cannot be read.
    """
    seconds = 0.0
    try:
        refuse_second_file(content, after_tags(content))
        if _needs_pyav(content):
            return container_seconds(content)
        for stream in streams_of(content):
            with open_stream(content, stream) as file:
                n_samples = _n_stated(file, stream)
                Limits().check(file.channels, file.samplerate, n_samples)
                if n_samples is None:
                    blocks = _read(file, content, stream, 0.0)
                    n_samples = sum(len(samples) for _, samples in blocks)
                seconds += n_samples / file.samplerate
    except Exception as error:
        if UNSUPPORTED.search(_reason(error)):
            return container_seconds(content)
        raise
    return seconds


class _Flaw(Exception):
    """What is wrong with a file, and what to do about it."""

    def __init__(self, cause: str, cure: str) -> None:
        super().__init__(cause, cure)
        self.cause, self.cure = cause, cure


def _flaw_of(error: Exception, content: Encoded) -> _Flaw:
    """Return what is wrong with a file that made a decoder raise this."""
    if isinstance(error, _Flaw):
        return error
    if isinstance(error, ImportError):
        return _Flaw("a file whose sound libsndfile cannot read, such as a video", PYAV)
    if isinstance(error, MemoryError):
        return _Flaw(*TOO_LONG)
    if isinstance(error, OSError) and type(error).__module__ == "builtins":  # PyAV has its own
        return _Flaw(f"it cannot be read ({error.strerror or error})", "Check its disk.")
    reason = _reason(error)
    if not content:
        return _Flaw("empty, 0 bytes", "Copy or download the file again.")
    if UNSUPPORTED.search(reason):
        return _Flaw(f"its codec is not one that can be decoded ({reason})", OTHER_CODECS)
    if DAMAGED.search(reason) or not _is_libsndfile(error):
        flaw = _Flaw(f"truncated or damaged ({reason})", COPY)
        flaw.__cause__ = error
        return flaw
    return _Flaw(f"not audio that libsndfile can read ({len(content)} bytes: {reason})", NO_HEADER)


def _is_libsndfile(error: Exception) -> bool:
    import soundfile

    return isinstance(error, soundfile.LibsndfileError)


def _reason(error: Exception) -> str:
    if not _is_libsndfile(error):
        text = str(error).split("\n")[0]
        return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
    reason: str = error.error_string.rstrip(".")  # type: ignore[attr-defined]
    if "SF_INFO struct incomplete" in reason:
        return "damaged header: its chunks contradict each other"
    # libsndfile's word for MPEG without a whole frame
    return "no frame can be decoded" if "does not exist" in reason else reason


def _read(
    file: Any, content: Encoded, stream: Stream, start: float
) -> Iterator[tuple[int, Samples]]:
    """Yield where each block of a stream begins, and its samples."""
    import soundfile

    at, n_samples = 0, max(1, VALUES // file.channels)
    if start > 0:
        try:
            at = file.seek(min(round(start * file.samplerate), file.frames))
        except soundfile.LibsndfileError:  # behind its end, which only reading can find
            with open_stream(content, stream) as again:
                yield from _read(again, content, stream, 0.0)
            return
    stated = _n_stated(file, stream)
    while True:
        left = n_samples if stated is None else stated - at
        # What comes behind what is stated may be no sound. Nor is room for it cleared in vain.
        n_wanted = min(n_samples, left) if left > 0 else BEHIND
        try:
            samples = file.read(n_wanted, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            if left > 0 or not stated:
                raise
            samples = np.zeros((0, file.channels), dtype=np.float32)
        yield at, samples  # the last, which is empty, says where the sound ends to who began later
        if not len(samples):
            return
        at += len(samples)


def _n_stated(file: Any, stream: Stream) -> int | None:
    """Return how many samples a stream's container states; None if it does not."""
    if stream.n_samples is not None:
        return stream.n_samples
    estimated = stream.times > 1 or file.format == "FLAC"
    return None if estimated else int(file.frames)


def _check_end(file: Any, stream: Stream, n_samples: int, begin: int) -> None:
    """Raise what is wrong with a stream that states more than it holds."""
    expected = (_n_stated(file, stream) or 0) - stream.spare
    seconds = f"{(begin + n_samples) / file.samplerate:.1f} s could be decoded"
    if n_samples < expected:
        raise _Flaw(
            f"truncated or damaged ({seconds}, of {expected / file.samplerate:.1f} s)", COPY
        )
    if stream.flaw:
        raise _Flaw(f"truncated or damaged ({seconds}; {stream.flaw})", COPY)
    # libsndfile itself is lenient about chunks that state more bytes than there are.
    log = file.extra_info
    block = re.search(r"Block Align\s*:\s*([1-9]\d*)", log)
    size = int(block[1]) if block else 1
    lengths = r"(?:data|SSND|[Rr]iff(?: size)?|Data Size)\s*:\s*(\d+) \(should be (\d+)\)"
    for claimed, actual in re.findall(lengths, log):
        if int(actual) // size < int(claimed) // size and int(claimed) < STREAMED:
            found = f"{actual} of its {claimed} bytes are there"
            raise _Flaw(f"truncated or damaged ({seconds}; {found})", COPY)


def _needs_pyav(content: Encoded) -> bool:
    """Return whether a file is of the MP4 family, or another that libsndfile does not know."""
    begin = after_tags(content)
    head = content[begin : begin + 36]
    if head.startswith(b"OggS"):
        return head[28:].startswith(OGG_CODECS)
    if head.startswith(b"RIFF"):
        return head[8:12] == b"AVI "
    return head[4:8] == b"ftyp" or head.startswith(PYAV_FILES)


def _by_pyav(content: Encoded, limits: Limits, refused: Exception | None = None) -> Iterator[Block]:
    """Yield the blocks of a file that libsndfile has refused, or would refuse."""
    at = 0
    try:
        for samples, rate in sound_blocks(content, limits.check):
            yield at, samples, rate
            at += len(samples)
    except Exception as error:
        if refused is not None and at == 0 and not isinstance(error, _Flaw):
            raise refused from None
        raise

"""From a clip's content to its samples: decode, cut, mix to mono, check."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sklearn_ser.audio._errors import ClipError, SilentClipError
from sklearn_ser.audio._segments import WHOLE
from sklearn_ser.audio._video import decode_sound, is_container

if TYPE_CHECKING:
    from sklearn_ser.audio._clip import Clip

__all__ = ["Waveform", "decode", "is_cut_short"]

Waveform = npt.NDArray[np.float32]

# One step of 16-bit audio: a clip that moves by two steps or fewer holds no speech.
STEP = 1 / 32768
# Floats beyond this are not ±1 audio that overshoots, but integers that lost their type.
OVERSHOOT = 256
# Formats whose decoders may miss the sample sought, so they are decoded from the start.
SEEK_MISSES = frozenset(["OGG", "MPEG", "MP3"])
# Writers that stream into a pipe cannot know the length and put a huge one into the header.
STREAMED_LENGTH = 0x7FFF_F000


def decode(clip: Clip, content: bytes | npt.NDArray[Any]) -> tuple[Waveform, float | None]:
    """Return the samples of a clip, of shape (n_samples,), and their rate in Hz.

    Raises
    ------
    ClipError
        If the content is not a usable clip.
    """
    rate: float | None
    if isinstance(content, bytes):
        samples, rate = _decode_file(clip, content)
    else:
        samples, rate = _scale(content), clip.rate
        if clip.segment is not WHOLE and rate is not None:
            samples = _part_of(clip, samples[:, None], rate)
    _check(clip, samples)
    return samples, rate


def _decode_file(clip: Clip, content: bytes) -> tuple[Waveform, float]:
    import soundfile

    if not content:
        raise clip.error("empty, 0 bytes", "Copy or download the file again.")
    if content.startswith(b"version https://git-lfs.github.com/spec/"):
        raise clip.error(
            f"not audio, a Git LFS pointer ({len(content)} bytes)",
            'Run "git lfs pull" in its repository.',
        )
    try:
        with soundfile.SoundFile(_File(content)) as file:
            rate, log = file.samplerate, file.extra_info
            first, stop = _bounds(clip, file.frames, rate)
            begin = first if file.format not in SEEK_MISSES else 0
            if begin:
                file.seek(begin)
            # A whole file is read to wherever it ends, which its header may not know.
            n_wanted = -1 if stop == file.frames else stop - begin
            samples = file.read(n_wanted, dtype="float32", always_2d=True)[first - begin :]
            promised = stop - first
    except (soundfile.LibsndfileError, TypeError) as error:
        if is_container(content):
            return _decode_container(clip, content)
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        if "does not exist" in reason:  # libsndfile's word for MPEG without a whole frame
            reason = "no frame can be decoded"
        if re.search(r"[Mm]alformed|psf_fseek|lost sync|[Ee]nd of file|decod", reason):
            raise _truncated(clip, reason) from None
        raise clip.error(
            f"not audio that libsndfile can read ({len(content)} bytes: {reason})",
            "Convert it to wav or flac, for example with ffmpeg.",
        ) from None
    if is_cut_short(content, len(samples), promised, log):
        raise _truncated(clip, f"{len(samples)} frames could be decoded")
    return _mono(clip, samples), rate


def _decode_container(clip: Clip, content: bytes) -> tuple[Waveform, float]:
    try:
        samples, rate = decode_sound(content)
    except ImportError:
        raise clip.error(
            "a video file, whose sound libsndfile cannot read",
            'Install PyAV (pip install "sklearn-ser[video]"), or extract the sound as wav.',
        ) from None
    except ValueError as error:
        raise _truncated(clip, str(error)) from None
    return _part_of(clip, samples, rate), rate


def _part_of(clip: Clip, samples: Waveform, rate: float) -> Waveform:
    first, stop = _bounds(clip, len(samples), rate)
    return _mono(clip, samples[first:stop])


def _bounds(clip: Clip, n_samples: int, rate: float) -> tuple[int, int]:
    if clip.segment is WHOLE:
        return 0, n_samples
    try:
        return clip.segment.bounds(n_samples, rate)
    except ValueError as error:
        raise clip.error(str(error), "Check start and end, which are seconds.") from None


def _mono(clip: Clip, samples: Waveform) -> Waveform:
    """Return the channel asked for, or the mean of all, of shape (n_samples,)."""
    channel, n_channels = clip.segment.channel, samples.shape[1]
    if channel is None:
        return samples.mean(axis=1, dtype=np.float32)
    if channel >= n_channels:
        cause = f"it has {n_channels} channel(s), so none with the number {channel}"
        raise clip.error(cause, "Channels are counted from 0.")
    return np.ascontiguousarray(samples[:, channel])


def _truncated(clip: Clip, detail: str) -> ClipError:
    cure = "Copy or download it again, or repair it with ffmpeg if the rest is enough."
    return clip.error(f"truncated or damaged ({detail})", cure)


def _check(clip: Clip, samples: Waveform) -> None:
    if len(samples) == 0:
        raise clip.error("holds no samples", "Record or export it again.")
    if not np.isfinite(samples).all():
        bad = np.flatnonzero(~np.isfinite(samples))
        raise clip.error(
            f"{len(bad)} of its {len(samples)} samples are NaN or infinite, the first at {bad[0]}",
            "Repair or leave out the recording.",
        )
    if len(samples) == 1:
        raise clip.error("one sample long", "Pass whole waveforms, one clip an element.")
    if np.ptp(samples) <= 2 * STEP:
        raise clip.error(
            f"silent, its {len(samples)} samples are constant to within 16 bits",
            "Leave it out, or check the recording.",
            SilentClipError,
        )
    peak = np.abs(samples).max()
    if peak > OVERSHOOT:
        raise clip.error(
            f"its samples reach {peak:g}, but floats are ±1 at full scale",
            "Divide 16-bit samples by 32768, or pass them as int16.",
        )


class _File(io.BytesIO):
    """Bytes for libsndfile, which seeks to before the start of a damaged file."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _scale(samples: npt.NDArray[Any]) -> Waveform:
    """Return samples as float32, integers from the full scale of their type to ±1."""
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    limits = np.iinfo(samples.dtype)
    half = (limits.max - limits.min + 1) // 2
    return ((samples.astype(np.float64) - (limits.min + half)) / half).astype(np.float32)


def is_cut_short(content: bytes, n_read: int, promised: int, log: str) -> bool:
    """Tell whether a container promises more than it holds; libsndfile itself is lenient."""
    if n_read < promised:
        return True
    if content.startswith(b"OggS"):  # the last page of a complete stream says so
        page = content[content.rfind(b"OggS") :]
        segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
        return not segments or not page[5] & 4 or len(page) < 27 + len(segments) + sum(segments)
    block = re.search(r"Block Align\s*:\s*([1-9]\d*)", log)
    size = int(block[1]) if block else 1
    lengths = re.findall(
        r"(?:data|SSND|[Rr]iff(?: size)?|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", log
    )
    return any(
        int(actual) // size < int(claimed) // size and int(claimed) < STREAMED_LENGTH
        for claimed, actual in lengths
    )

"""A changed copy of a clip: the change that is drawn for it, how it is made, where it is stored.

Used by :class:`~sklearn_ser.preprocessing.AudioAugmenter`.
"""

from __future__ import annotations

import functools
import io
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import wavfile
from scipy.signal import fftconvolve

from sklearn_ser._audio import Clip, as_clip, content_digest, decode, note_origin
from sklearn_ser._signals import uninterrupted
from sklearn_ser._utils import digest_of, warn, write_atomically
from sklearn_ser.exceptions import ClipError, StoreWarning

__all__ = ["FILES", "SETTINGS", "Change", "CopiedClip", "Copy"]

Waveform = npt.NDArray[np.float32]
Change = str | Callable[[Waveform, int], Any]
CopiedClip = str | tuple[Waveform, int]

# The parameters of each change. All of them are part of a copy's key.
SETTINGS: dict[str, dict[str, Any]] = {
    "noise": {"min_snr_db": 10.0, "max_snr_db": 30.0},
    "stretch": {"min_rate": 0.9, "max_rate": 1.1, "leave_length_unchanged": False},
    "pitch": {"min_semitones": -2.0, "max_semitones": 2.0},
    "gain": {"min_gain_db": -12.0, "max_gain_db": 12.0},
    "room": {"min_rt60": 0.2, "max_rt60": 0.8, "min_drr_db": 0.0, "max_drr_db": 10.0},
    "codec": {  # format and subtype of libsndfile, sampling rate in Hz, compression from 0 to 1
        "G.711": ("WAV", "ULAW", 8000, None),
        "GSM 06.10": ("WAV", "GSM610", 8000, None),
        "MP3": ("MP3", "MPEG_LAYER_III", 16000, 0.9),
        "Opus": ("OGG", "OPUS", 16000, 0.95),
    },
}
FILES = f"{'[0-9a-f]' * 2}/{'[0-9a-f]' * 30}.wav*"  # in a folder of copies
LIBRARIES = ("audiomentations", "python-stretch", "soundfile")

# Transforms draw from the process's two global random states: one copy at a time.
_random_state_lock = threading.Lock()


@dataclass(frozen=True)
class Copy:
    """A changed copy of a clip, made or not.

    Everything about it follows from the clip's content, its number and the seed, so that it is
    the same wherever the clip stands.

    Parameters
    ----------
    clip : Clip
    digest : str
        Hash of the clip's content.
    number : int
        Which of the clip's copies it is, from 0.
    changes : tuple of (str or callable)
        What may be changed; as many copies as there are changes differ in their changes.
    seed : int
    folder : str or None
        Where copies are kept; None keeps none.
    """

    clip: Clip
    digest: str
    number: int
    changes: tuple[Change, ...]
    seed: int
    folder: str | None

    @property
    def change(self) -> Change:
        """What it differs in."""
        turn, place = divmod(self.number, len(self.changes))
        order = random.Random(f"{self.seed} {self.digest} {turn}")
        return order.sample(self.changes, len(self.changes))[place]

    def find(self) -> str | None:
        """Return its file, or None if it has to be made."""
        path = self._path()
        return path if path is not None and _is_complete(path) else None

    def make(self) -> CopiedClip | ClipError:
        """Return its file, or its samples and rate; or why the clip cannot be used."""
        try:
            content = self.clip.read()
            # The digest of what is read now: the file may have changed since it was looked up.
            return replace(self, digest=self.clip.digest(content))._make_from(content)
        except ClipError as error:
            return error

    def _make_from(self, content: Any) -> CopiedClip:
        samples, clip_rate = decode(self.clip, content)
        origin = content_digest(samples, float(clip_rate or 0))
        rate = round(clip_rate or 0)
        if clip_rate != rate:  # files have whole sampling rates
            samples = self.clip.waveform(content, rate)
        seed = int(digest_of(f"{self.seed} {self.digest} {self.number}")[:8], 16)
        changed = self._check_usable(_apply_change(self.change, samples, rate, seed), rate)
        if self.folder is None:
            return changed, rate
        file = io.BytesIO()
        wavfile.write(file, rate, changed)  # libsndfile would note the time of writing
        wav = note_origin(file.getvalue(), origin)
        # A transform of one's own has no key: its class and parameters do not say what it does.
        path = self._path() or self._path_of(digest_of(wav))
        return path if _is_complete(path) or _write(path, wav) else (changed, rate)

    def _check_usable(self, changed: Any, rate: int) -> Waveform:
        copy = as_clip((changed, rate), self.clip.position)
        try:
            return decode(copy, copy.read())[0]
        except ClipError as error:
            cause = f"its copy number {self.number} ({self.change}) cannot be used: {error.cause}"
            raise self.clip.error(cause, "Leave out that change, or that clip.") from None

    def _path(self) -> str | None:
        if self.folder is None or not isinstance(self.change, str):
            return None
        key = {
            "clip": self.digest,
            "number": self.number,
            "seed": self.seed,
            "change": self.change,
            "settings": SETTINGS[self.change],
            "origin": True,  # is noted in the file
            "versions": [_version(library) for library in LIBRARIES],
        }
        return self._path_of(digest_of(json.dumps(key, sort_keys=True)))

    def _path_of(self, key: str) -> str:
        return os.path.join(self.folder or "", key[:2], f"{key[2:]}.wav")


@functools.cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError as error:
        raise _missing_library(error) from None


def _missing_library(error: Exception) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"augmenting needs audiomentations: pip install 'sklearn-ser[augment]' ({error})"
    )


def _is_complete(path: str) -> bool:
    """Tell whether there is such a file, as long as its header says."""
    try:
        with open(path, "rb") as file:
            head = file.read(8)
        size = Path(path).stat().st_size
    except OSError:
        return False
    return head[:4] == b"RIFF" and int.from_bytes(head[4:], "little") + 8 == size


def _write(path: str, content: bytes) -> bool:
    """Tell whether a copy could be stored."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        if _is_complete(path):  # by another process, and not to be replaced while it is read
            return True
        folder = os.path.dirname(os.path.dirname(path))
        message = f"copies cannot be stored in {folder} ({error.strerror}); they stay in memory"
        warn(message, StoreWarning)
        return False
    return True


def _apply_change(change: Change, samples: Waveform, rate: int, seed: int) -> Any:
    with _random_state_lock, _seeded(seed):
        if not isinstance(change, str):
            return change(samples, rate)
        changed = _FUNCTIONS[change](samples, rate, **SETTINGS[change])
    # What would exceed full scale is turned down, never clipped.
    excess = float(np.abs(changed).max() / max(1.0, np.abs(samples).max()))
    return changed / np.float32(max(1.0, excess))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global random states, and put them back as they were."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _transform(name: str, **settings: Any) -> Any:
    try:
        import audiomentations
    except ModuleNotFoundError as error:
        raise _missing_library(error) from None
    return getattr(audiomentations, name)(**settings, p=1.0)


def _noise(samples: Waveform, rate: int, **settings: Any) -> Any:
    return _transform("AddGaussianSNR", **settings)(samples, rate)


def _stretch(samples: Waveform, rate: int, **settings: Any) -> Any:
    return _transform("TimeStretch", **settings)(samples, rate)


def _pitch(samples: Waveform, rate: int, **settings: Any) -> Any:
    return _transform("PitchShift", **settings)(samples, rate)


def _gain(samples: Waveform, rate: int, min_gain_db: float, max_gain_db: float) -> Any:
    """Make it louder or quieter, and no louder than full scale."""
    headroom = float(-20 * np.log10(np.abs(samples).max()))
    highest = min(max_gain_db, max(min_gain_db, headroom))
    return _transform("Gain", min_gain_db=min_gain_db, max_gain_db=highest)(samples, rate)


def _room(
    samples: Waveform,
    rate: int,
    min_rt60: float,
    max_rt60: float,
    min_drr_db: float,
    max_drr_db: float,
) -> Any:
    """Let it sound in a room: the direct sound, then white noise that decays exponentially.

    That is Polack's model of late reverberation: J.-D. Polack, "La transmission de l'énergie
    sonore dans les salles", Université du Maine, 1988.

    Parameters
    ----------
    samples : ndarray of shape (n_samples,), float32
    rate : int
        In Hz.
    min_rt60, max_rt60 : float
        Seconds until the reverberation has fallen by 60 dB.
    min_drr_db, max_drr_db : float
        Energy of the direct sound over that of the reverberation.

    Returns
    -------
    changed : ndarray of shape (n_samples + n_tail,)
        With the energy of `samples`.
    """
    n_tail = max(1, round(random.uniform(min_rt60, max_rt60) * rate))
    noise = np.random.RandomState(random.getrandbits(32)).normal(size=n_tail)
    tail = noise * 10 ** (-3 * np.arange(1, n_tail + 1) / n_tail)
    tail *= 10 ** (-random.uniform(min_drr_db, max_drr_db) / 20) / np.linalg.norm(tail)
    changed = fftconvolve(samples, np.concatenate([[1.0], tail]))
    return (changed * np.linalg.norm(samples) / np.linalg.norm(changed)).astype(np.float32)


def _codec(samples: Waveform, rate: int, **codecs: tuple[str, str, int, float | None]) -> Any:
    """Send it through a codec of telephones or of the web, drawn from those given."""
    import soundfile
    import soxr

    name = random.choice(sorted(codecs))
    form, subtype, codec_rate, compression = codecs[name]
    sent = soxr.resample(samples, rate, codec_rate)
    peak = max(1.0, float(np.abs(sent).max()))
    file = io.BytesIO()
    with uninterrupted():  # libsndfile calls the file back, where Ctrl-C would be lost
        soundfile.write(
            file, sent / peak, codec_rate, subtype, format=form, compression_level=compression
        )
        file.seek(0)
        received, _ = soundfile.read(file, dtype="float32")
    return soxr.resample(received * np.float32(peak), codec_rate, rate)[: len(samples)]


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "noise": _noise,
    "stretch": _stretch,
    "pitch": _pitch,
    "gain": _gain,
    "room": _room,
    "codec": _codec,
}

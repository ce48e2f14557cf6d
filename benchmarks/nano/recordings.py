"""Recorded human speech from Debian's archive: games, learning programs, telephone prompts.

No corpus of emotional speech is among them. The packages are fetched with ``apt-get download`` and
unpacked into a folder; nothing is installed, and none of the audio is kept in this repository.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16000
SHORTEST = 0.15  # seconds
# Package: what is in it, and its licence as Debian's copyright file gives it.
PACKAGES = {
    "asterisk-core-sounds-en-g722": ("telephone prompts, English, by Digium", "CC-BY-SA-3.0"),
    "asterisk-core-sounds-es-g722": ("telephone prompts, Spanish, by Digium", "CC-BY-SA-3.0"),
    "asterisk-core-sounds-fr-g722": ("telephone prompts, French, by Digium", "CC-BY-SA-3.0"),
    "asterisk-core-sounds-it-g722": ("telephone prompts, Italian, by Digium", "CC-BY-SA-3.0"),
    "asterisk-core-sounds-ru-g722": ("telephone prompts, Russian, by Digium", "CC-BY-SA-3.0"),
    "asterisk-prompt-it-menardi-wav": (
        "telephone prompts, Italian, voice of Paola Dal Zot",
        "CC-BY-SA-3.0-IT",
    ),
    "fillets-ng-data-cs": ("dialogues of the game Fish Fillets NG, Czech, by ALTAR", "GPL-2"),
    "fillets-ng-data-nl": ("dialogues of the game Fish Fillets NG, Dutch, by ALTAR", "GPL-2"),
    "gcin-voice": ("syllables, Mandarin", "GPL-3 or LGPL-3 and CC-BY-3.0"),
    "hedgewars-data": ("shouts of the game Hedgewars, a dozen voices", "GFDL-1.3"),
    "klettres-data": ("letters and syllables of KLettres, two dozen languages", "GPL-2+"),
    "ktuberling-data": ("names of things of KTuberling, two dozen languages", "GPL-2+"),
    "tuxpaint-stamps-default": ("names of things of Tux Paint, several languages", "GPL-2"),
}


def recordings(folder):
    """Yield (speaker, waveform): waveforms of one speaker and package follow each other.

    Parameters
    ----------
    folder : Path
        Where packages are kept.

    Yields
    ------
    speaker : str
        Package and folder: mostly one person.
    waveform : ndarray of shape (n_samples,), float32, 16 kHz
    """
    paths = []
    for package in PACKAGES:
        for path in sorted(unpacked(package, folder).rglob("*")):
            if path.suffix.lower() in (".ogg", ".wav", ".g722") and is_speech(path):
                paths.append((f"{package}/{speaker_of(path)}", path))
    paths.sort()
    with ThreadPoolExecutor(2) as threads:
        for (speaker, _), waveform in zip(
            paths, threads.map(lambda item: decode(item[1]), paths), strict=True
        ):
            if waveform is not None and len(waveform) >= SHORTEST * RATE:
                yield speaker, waveform


def is_speech(path):
    """Tell whether a file of these packages holds speech, and not silence, music or a noise."""
    text = path.as_posix()
    if "/stamps/" in text:
        return "_desc" in path.stem
    if "/hedgewars/" in text:
        return "/voices/" in text
    return not any(other in text for other in ("/silence/", "/Music/", "/music/", "beep"))


def speaker_of(path):
    """Return what tells the speakers of a package apart."""
    parts = path.parts
    if "fillets-ng" in parts:  # two fish speak, and others: the scene, and who
        return f"{path.parent.name}/{path.stem.rsplit('-', 1)[-1][:1]}"
    if "klettres" in parts:
        return parts[parts.index("klettres") + 1]
    if "gcin-voice" in parts:
        return path.stem
    if "stamps" in parts:
        return path.stem.partition("_desc")[2]
    return path.parent.name


def unpacked(package, folder):
    """Return the folder of a package's files, fetching it if need be."""
    place = Path(folder, package)
    if not place.is_dir():
        aside = Path(folder, f"{package}.part")
        aside.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", package], cwd=aside, check=True)
        (archive,) = aside.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=aside, check=True)
        archive.unlink()
        aside.rename(place)
    return place


def decode(path):
    """Return a file's waveform, or None if it cannot be read."""
    if path.suffix == ".g722":
        from G722 import G722

        samples = np.frombuffer(G722(RATE, 64000).decode(path.read_bytes()), "<i2")
        return samples.astype(np.float32) / 32768
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    return soxr.resample(samples.mean(1), rate, RATE).astype(np.float32)

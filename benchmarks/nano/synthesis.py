"""Synthetic voices: eSpeak NG in many languages and voices, Flite's English ones."""

import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from recordings import decode, unpacked

PROGRAMS = ("espeak-ng", "flite")
# Language of eSpeak NG: the package that has sentences in it (sayings and quotations).
TEXTS = {
    "de": "fortunes-de",
    "en-gb": "fortunes-min",
    "es": "fortunes-es",
    "it": "fortunes-it",
    "pl": "fortunes-pl",
    "cs": "fortunes-cs",
    "pt-br": "fortunes-br",
    "ru": "fortunes-ru",
    "bg": "fortunes-bg",
}
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "croak")
FLITE = ("kal16", "awb", "rms", "slt")


def voices(folder, n_sentences, seed):
    """Yield (speaker, waveform) of `n_sentences` sentences in random voices and manners."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        raise SystemExit(f"Install the speech synthesizers first: apt-get install {missing}")
    rng = np.random.default_rng(seed)
    sentences = {
        language: _sentences(unpacked(package, folder)) for language, package in TEXTS.items()
    }
    spoken = []  # by whom, and the command, which ends where its file's name is to stand
    for _ in range(n_sentences):
        if rng.random() < 0.25:
            voice = str(rng.choice(FLITE))
            text = str(rng.choice(sentences["en-gb"]))
            command = ["flite", "-voice", voice, "-t", text]
            for name, value in (
                ("duration_stretch", rng.uniform(0.7, 1.4)),
                ("int_f0_target_mean", rng.uniform(80, 260)),
                ("int_f0_target_stddev", rng.uniform(5, 60)),
            ):
                command += ["--setf", f"{name}={value:.2f}"]
            spoken.append((f"flite/{voice}", [*command, "-o"]))
        else:
            language = str(rng.choice(list(TEXTS)))
            voice = f"{language}+{rng.choice(VARIANTS)}"
            command = ["espeak-ng", "-v", voice, "-s", str(rng.integers(110, 230))]
            command += ["-p", str(rng.integers(15, 90)), str(rng.choice(sentences[language]))]
            spoken.append((f"espeak-ng/{voice}", [*command, "-w"]))
    speakers, commands = zip(*spoken, strict=True)
    with ThreadPoolExecutor(2) as threads:
        for speaker, waveform in zip(speakers, threads.map(_speak, commands), strict=True):
            if waveform is not None:
                yield speaker, waveform


def _speak(command):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        subprocess.run([*command, str(path)], check=True, capture_output=True)
        return decode(path)


def _sentences(folder):
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and "fortunes" in path.parts and path.suffix in ("", ".u8", ".fortunes"):
            text = path.read_bytes().decode("utf-8", errors="ignore")
            for part in re.split(r"\n%\n|(?<=[.!?])\s+", text):
                sentence = " ".join(part.split())
                if 20 <= len(sentence) <= 110 and sum(map(str.isalpha, sentence)) > 15:
                    found.add(sentence)
    return sorted(found)

"""Files made to fill memory, or to hang: an error that says so, soon and in little memory.

Each runs in a process of its own, forked from one that has imported what it needs, and its
processor time and the memory that it needed beyond that are measured. Run this file as a script for
the table: `python tests/test_hostile_input.py FOLDER`.
"""

import bz2
import gzip
import importlib
import io
import json
import lzma
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

SECONDS = 1.0  # of processor time
MEGABYTES = 200.0
pytestmark = pytest.mark.slow

HANGS = 20  # seconds, until it is killed

RATE = 16000


def noise(n_samples):
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(n_samples)).astype(np.float32)


def wav(rate=RATE, channels=1, n_bytes=None, payload=None):
    """Return a WAV file whose header says what it is told to."""
    payload = (noise(16000) * 32767).astype("<i2").tobytes() if payload is None else payload
    n_bytes = len(payload) if n_bytes is None else n_bytes
    block = 2 * channels % 65536
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * block % 2**32, block, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", n_bytes)
    return b"RIFF" + struct.pack("<I", min(2**32 - 1, 36 + n_bytes)) + b"WAVE" + chunks + payload


def flac_of_silence(hours):
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE, 1, format="FLAC", subtype="PCM_16") as writer:
        hour = np.zeros(3600 * RATE, dtype=np.int16)
        for _ in range(hours):
            writer.write(hour)
    return file.getvalue()


def flac_that_states(n_samples):
    file = io.BytesIO()
    soundfile.write(file, noise(16000), RATE, format="FLAC")
    content = bytearray(file.getvalue())
    content[21] = content[21] & 0xF0 | n_samples >> 32
    content[22:26] = struct.pack(">I", n_samples & 0xFFFFFFFF)
    return bytes(content)


def au(rate=RATE, channels=1, n_bytes=0xFFFFFFFF):
    payload = (noise(16000) * 32767).astype(">i2").tobytes()
    return b".snd" + struct.pack(">IIIII", 24, n_bytes, 3, rate, channels) + payload


def w64_of_channels(channels):
    file = io.BytesIO()
    soundfile.write(file, noise(16000), RATE, format="W64", subtype="PCM_16")
    content = file.getvalue()
    at = content.index(b"fmt ") + 24
    return content[: at + 2] + struct.pack("<H", channels) + content[at + 4 :]


def sparse(folder, n_bytes, head=b""):
    path = Path(folder, f"sparse{n_bytes}.wav")
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(n_bytes)
    return path


# Clips: what each is, and what the error says of it.
CONTENTS = {
    **{
        f"wav at {rate} Hz": (lambda rate=rate: wav(rate), "sampling rate") for rate in range(1, 11)
    },
    "wav at 999 Hz": (lambda: wav(999), "sampling rate"),
    "wav at 2^31-1 Hz": (lambda: wav(2**31 - 1), "sampling rate"),
    "wav of 65,535 channels": (lambda: wav(channels=65535), ""),
    "wav of 1,000 channels": (lambda: wav(channels=1000), "1000 channels"),
    "wav of 65 channels": (lambda: wav(channels=65), "65 channels"),
    "w64 of 65,535 channels": (lambda: w64_of_channels(65535), ""),
    "au of 1,024 channels": (lambda: au(channels=1024), "channels"),
    "au of 2^31 channels": (lambda: au(channels=2**31), ""),
    "au at 3 Hz": (lambda: au(rate=3), "sampling rate"),
    "wav of 2^29 samples": (lambda: wav(n_bytes=2**30), "bytes are there"),
    "flac of 2^31 samples": (lambda: flac_that_states(2**31), "too long"),
    "flac of 2^36 samples": (lambda: flac_that_states(2**36 - 1), "too long"),
    "flac of ten hours of silence": (lambda: flac_of_silence(10), "too long"),
}
PATHS = {
    "/dev/zero": ("/dev/zero", "not a regular file"),
    "/dev/ptmx": ("/dev/ptmx", "not a regular file"),
    "/dev/null": ("/dev/null", "not a regular file"),
    "/dev/tty": ("/dev/tty", "not a regular file"),
    "/proc/kmsg": ("/proc/kmsg", ""),
    "/proc/kcore": ("/proc/kcore", ""),
    "folder": (".", "folder"),
    "pipe": ("pipe", "not a regular file"),
    "socket": ("socket", "not a regular file"),
    "link to a pipe": ("link", "not a regular file"),
    "link to /dev/zero": ("zero", "not a regular file"),
    "8 TB without content": ("sparse", "too large"),
}
CLIPS = {**CONTENTS, **PATHS}


def make(folder):
    """Write all files; return the clip of each name."""
    folder = Path(folder)
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(folder / "pipe")
    (folder / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        place = os.getcwd()
        os.chdir(folder)  # the names of sockets are short
        listener.bind("socket")
        os.chdir(place)
    found = {}
    for i, (name, (content, _)) in enumerate(CONTENTS.items()):
        found[name] = folder / f"{i}.wav"
        found[name].write_bytes(content())
    for name, (path, _) in PATHS.items():
        found[name] = sparse(folder, 2**43, wav()) if path == "sparse" else folder / path
    return {name: str(path) for name, path in found.items()}


def measure(run):
    """Return what a function raises, in a process of its own, and what that took."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        begin = resource.getrusage(resource.RUSAGE_SELF)
        signal.alarm(HANGS)
        free = Path("/proc/self/statm").read_text().split()
        limit = int(free[0]) * resource.getpagesize() + 2 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        start = time.process_time()
        try:
            run()
            found = ["nothing", ""]
        except BaseException as error:
            found = [type(error).__name__, str(error)]
        end = resource.getrusage(resource.RUSAGE_SELF)
        cost = [time.process_time() - start, (end.ru_maxrss - begin.ru_maxrss) / 1024]
        os.write(writing, json.dumps([*found, *cost]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else ["killed", "", float("inf"), float("inf")]


def archive(folder, name, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(folder / name, "w", compression) as file:
        for member, content in members.items():
            file.writestr(member, content)
    return folder / name


def npy(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + bytes(64)


def exchange(folder):
    """Return what reads each hostile file of those that users exchange."""
    from sklearn_ser.datasets import load_emobox, load_table
    from sklearn_ser.evaluation import Comparison
    from sklearn_ser.recognition import load_recognizer

    importlib.import_module("skops.io")
    folder = Path(folder)
    json_bomb = b"[" * 6_000_000
    recognizers = {
        "recognizer that is a zip bomb": archive(
            folder, "bomb.skops", {"schema.json": bytes(2 * 10**8)}, zipfile.ZIP_DEFLATED
        ),
        "recognizer of 10^12 values": archive(
            folder, "values.skops", {"schema.json": "{}", "1.npy": npy((10**6, 10**6))}
        ),
        "recognizer in an archive": archive(
            folder, "nested.skops", {"1.npz": Path(folder, "bomb.skops").read_bytes()}
        ),
        "recognizer of deep JSON": archive(folder, "deep.skops", {"schema.json": json_bomb}),
        "recognizer of much JSON": archive(
            folder, "much.skops", {"schema.json": b"[" + b"{}," * 20_000_000}
        ),
        "recognizer of 8 TB": sparse(folder, 2**43),
        "recognizer that is /dev/zero": Path("/dev/zero"),
        "recognizer that is a pipe": folder / "pipe",
    }
    found = {name: lambda path=path: load_recognizer(path) for name, path in recognizers.items()}
    packed = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    for suffix, pack in packed.items():
        path = folder / f"bomb.csv.{suffix}"
        path.write_bytes(pack(b"path,emotion\n" + b"a.wav,joy\n" * 10**7 * 2))
        found[f"table that is a {suffix} bomb"] = lambda path=path: load_table(path)
    found["table that is /dev/zero"] = lambda: load_table("/dev/zero")
    found["table that is a pipe"] = lambda: load_table(folder / "pipe")
    found["table without content"] = lambda: load_table(sparse(folder, 2**43))
    place = folder / "data" / "toy" / "fold_1"
    place.mkdir(parents=True)
    (place / "toy_train_fold_1.jsonl").write_bytes(json_bomb)
    (place / "toy_test_fold_1.jsonl").write_bytes(b"{}")
    found["EmoBox of deep JSON"] = lambda: load_emobox(folder, "toy")
    (folder / "results.json").write_bytes(json_bomb)
    found["results of deep JSON"] = lambda: Comparison.load(folder)
    return found


def main(folder):
    from sklearn_ser import MFCCEmbedder

    clips = make(folder)
    embedder = MFCCEmbedder(cache=None)
    embedder.fit_transform([(noise(16000), 44100), {"bytes": wav()}])  # imports what it needs
    results = {}
    for name, clip in clips.items():
        results[name] = measure(lambda clip=clip: embedder.fit_transform([clip]))
    for name, read in exchange(folder).items():
        results[name] = measure(read)
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    done = subprocess.run(
        [sys.executable, __file__, str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_made_to_fill_memory_or_hang_is_a_clip_error(name, results):
    kind, text, seconds, megabytes = results[name]
    assert kind == "ClipError", text
    assert CLIPS[name][1] in text
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


def test_a_file_of_others_made_to_fill_memory_or_hang_is_refused(results):
    others = {name: found for name, found in results.items() if name not in CLIPS}
    assert len(others) == 16
    for name, (kind, text, seconds, megabytes) in others.items():
        assert kind in ("ValueError", "OSError"), name
        assert text, name
        assert seconds < SECONDS, name
        assert megabytes < MEGABYTES, name


if __name__ == "__main__":
    results = main(sys.argv[1])
    for name, (kind, text, seconds, megabytes) in results.items():
        print(f"{name:<32} {kind:<16} {seconds:6.2f} s {megabytes:7.1f} MB  {text[:150]}")
    print(json.dumps(results))

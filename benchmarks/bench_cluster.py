"""What hours of audio cost: core-hours, GPU-hours and bytes; and how far a second worker helps.

    python benchmarks/bench_cluster.py --model FOLDER --out benchmarks/results/cluster.md

Cost is processor time, not time on the clock, of one thread that embeds clips of EmoDB, where
SKLEARN_SER_EMODB says that it is, else synthetic ones. Models are loaded before.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import _report
import numpy as np
import soundfile

HOURS = (10, 100, 1000, 10_000)
WAV = 16000 * 2 * 3600  # bytes of an hour at 16 kHz, 16 bits, mono
NOT_MEASURED = "not measured"


def files(n_clips, folder):
    """Return paths of clips, of one mean length whatever their number."""
    from sklearn_ser.datasets import load_emodb, make_emotional_speech

    corpus = os.environ.get("SKLEARN_SER_EMODB")
    if corpus:
        paths = [str(path) for path in load_emodb(corpus).X]
        return [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[:n_clips]]
    made = make_emotional_speech(n_speakers=8, n_sentences=12, random_state=0)
    paths = []
    for i, (waveform, rate) in enumerate(made.X[:n_clips]):
        paths.append(str(Path(folder) / f"{i}.wav"))
        soundfile.write(paths[-1], waveform, rate)
    return paths


def embedders(model):
    from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder

    found = {
        "MFCC": MFCCEmbedder(),
        "eGeMAPS": EGeMAPSEmbedder(),
        "nano": SSLEmbedder("nano"),
    }
    if model:
        found[Path(model).name] = SSLEmbedder(model)
    return found


def cost(name, model, paths, repeats):
    """Return core-seconds, and GPU-seconds if there is one, of a clip, and its bytes."""
    import torch

    from sklearn_ser.store import Store

    embedder = embedders(model)[name]
    with tempfile.TemporaryDirectory() as folder:
        embedder.set_params(cache=None).fit_transform(paths[:2])
        cores, gpus = [], []
        for i in range(repeats):
            embedder.set_params(cache=f"{folder}/{i}")
            started, clock = time.process_time(), time.perf_counter()
            embedder.fit_transform(paths)
            cores.append((time.process_time() - started) / len(paths))
            gpus.append((time.perf_counter() - clock) / len(paths))
        _, n_bytes = Store(f"{folder}/0").size()
    uses_gpu = torch.cuda.is_available() and hasattr(embedder, "device")
    return {
        "cores": cores,
        "gpu": statistics.median(gpus) if uses_gpu else None,
        "bytes": n_bytes / len(paths),
    }


def with_workers(name, model, paths, repeats):
    """Return the seconds that one worker of Dask takes for the clips, and two, in each round.

    Rounds take turns, as other processes of the machine come and go.
    """
    import joblib
    from distributed import Client, LocalCluster

    embedder = embedders(model)[name].set_params(cache=None)
    taken = {1: [], 2: []}
    with contextlib.ExitStack() as stack:
        clients = {}
        for n in taken:
            cluster = LocalCluster(n, threads_per_worker=1, dashboard_address=None)
            clients[n] = stack.enter_context(Client(stack.enter_context(cluster)))
        for i in range(-2, repeats):
            for n, client in clients.items():
                with joblib.parallel_config("dask", client=client):
                    some = paths if i >= 0 else paths[:16]  # models are loaded first
                    seconds = _report.seconds(lambda some=some: embedder.fit_transform(some))
                if i >= 0:
                    taken[n].append(seconds)
    return [taken[1], taken[2]]


def apart(function, *arguments):
    """Call a function in a process of its own, in which each worker has one thread."""
    command = [sys.executable, __file__, "--apart", json.dumps([function.__name__, *arguments])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def digest_rate(folder):
    """Return the bytes a second that one core reads and digests, of a file in memory."""
    import hashlib

    path = Path(folder) / "zeros"
    path.write_bytes(bytes(1 << 28))
    taken = []
    for _ in range(3):
        with path.open("rb") as file:
            started = time.process_time()
            hashlib.file_digest(file, "sha256")
            taken.append(time.process_time() - started)
    return (1 << 28) / statistics.median(taken)


def readable(n_bytes):
    for unit in ("kB", "MB", "GB", "TB"):
        n_bytes /= 1000
        if n_bytes < 1000 or unit == "TB":
            return f"{n_bytes:.3g} {unit}"
    return ""


def main():
    parser = _report.parser(__doc__)
    parser.add_argument("--model", help="a folder with a speech model")
    parser.add_argument("--clips", type=int, default=200, help="a tenth of them for the model")
    parser.add_argument("--apart", help="for its own use")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.apart:
        name, *arguments = json.loads(options.apart)
        print(json.dumps({"cost": cost, "with_workers": with_workers}[name](*arguments)))
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        paths = files(options.clips, folder)
        seconds = statistics.mean(soundfile.info(path).duration for path in paths)
        an_hour = 3600 / seconds  # clips
        measured, rows, scaling = {}, [], []
        for name in embedders(options.model):
            is_large = options.model and name == Path(options.model).name
            some = paths[: max(16, len(paths) // 10)] if is_large else paths
            found = measured[name] = apart(cost, name, options.model, some, options.repeats)
            core = statistics.median(found["cores"])
            gpu = found["gpu"]
            rows.append(
                [
                    name,
                    len(some),
                    f"{1e3 * core:.3g} ({_report.spread(found['cores'])})",
                    f"{core * an_hour:.3g}",
                    NOT_MEASURED if gpu is None else f"{gpu * an_hour:.3g}",
                    f"{found['bytes']:,.0f}",
                    readable(found["bytes"] * an_hour),
                ]
            )
            one, two = apart(with_workers, name, options.model, some, options.repeats)
            medians = (f"{statistics.median(taken):.2f}" for taken in (one, two))
            scaling.append([name, *medians, f"{_report.median_ratio(one, two):.2f} ×"])
        rate = digest_rate(folder)
    header = ["features", "clips", "core-ms a clip", "core-s an hour", "GPU-s an hour"]
    header += ["bytes a clip", "stored an hour"]
    totals = []
    for name, found in measured.items():
        core, gpu = statistics.median(found["cores"]), found["gpu"]
        for hours in HOURS:
            n_clips = hours * an_hour
            totals.append(
                [
                    name,
                    f"{hours:,}",
                    f"{n_clips * core / 3600:.3g}",
                    NOT_MEASURED if gpu is None else f"{n_clips * gpu / 3600:.3g}",
                    readable(n_clips * found["bytes"]),
                    readable(hours * WAV),
                    f"{hours * WAV / rate / 60:.2g}",
                ]
            )
    parts = [
        f"Clips of {seconds:.2f} s on average, {an_hour:,.0f} in an hour. The load of the machine "
        f"was {load:.1f} when this began.\n",
        "## Measured\n\nMedians, and the range around them. Records hold every layer and "
        "statistic.\n\n" + _report.table(header, rows),
        "## Workers\n\nSeconds on the clock of the same clips by workers of Dask on this machine, "
        "one thread each, whose models are loaded; without a store. Rounds take turns, and times "
        f"faster are the median over them. {os.cpu_count()} cores are all that there is, for the "
        "caller and the threads by which a worker reads ahead, too: with 2, one worker keeps both "
        "busy.\n\n" + _report.table(["features", "1 worker", "2 workers", "times faster"], scaling),
        "## Cost\n\nWith $h$ hours of clips of this length: core-hours are $h$ × core-s an hour / "
        "3600; stored is $h$ × bytes a clip × clips in an hour; audio is that at 16 kHz, 16 bits, "
        f"mono; the caller's minutes are those bytes / {readable(rate)} a second, at which one "
        "core reads and digests what is in memory: a disk or a network may be slower.\n\n"
        + _report.table(
            ["features", "hours", "core-hours", "GPU-hours", "stored", "audio", "caller's minutes"],
            totals,
        ),
    ]
    _report.report("What a corpus costs", parts, options.out)


if __name__ == "__main__":
    main()

"""A comparison from files to a table, against nkululeko on the same job, whole processes in turn.

    python benchmarks/bench_peer.py FOLDER [--peer PYTHON] [--repeats N]

FOLDER holds EmoDB. The job is eGeMAPS, a support vector machine, each speaker left out once, two
jobs. Both start from the wav files ("cold"), and again when the features are stored ("warm").
nkululeko is installed into an environment of its own, unless --peer names the Python of one that
has it; where it cannot be installed, the benchmark says so and ends.

Ours does more in that time: it searches C inside each training fold, looks for leakage, gives
intervals, and writes a report. nkululeko takes a C that is given.
"""

import csv
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _report

from sklearn_ser.datasets import load_emodb

PEER = "nkululeko==1.14.1"
N_JOBS = 2

INI = """\
[EXP]
root = {root}
name = peer
[DATA]
databases = ['emodb']
emodb = {table}
emodb.type = csv
emodb.absolute_path = True
emodb.split_strategy = speaker_split
emodb.test_size = 20
target = emotion
labels = {labels}
[FEATS]
type = ['os']
set = eGeMAPSv02
level = functionals
scale = standard
[MODEL]
type = svm
logo = {n_speakers}
n_jobs = {n_jobs}
"""


def installed(work):
    """Return the Python of a new environment that has the peer, or end with the reason."""
    environment = work / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", PEER]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"skipped: {PEER} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return python


def prepare(folder, work):
    """Write the peer's table of clips and its settings; return the path of these."""
    corpus = load_emodb(folder)
    table = work / "emodb.csv"
    with open(table, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "emotion", "speaker", "gender"])
        for path, emotion, speaker, sex in zip(
            corpus.X, corpus.y, corpus.groups, corpus.frame["sex"], strict=True
        ):
            rows.writerow([Path(path).resolve(), emotion, speaker, sex])
    settings = work / "peer.ini"
    n_speakers = len(set(corpus.groups))
    values = {"table": table, "labels": sorted(set(corpus.y.tolist())), "n_speakers": n_speakers}
    settings.write_text(INI.format(root=f"{work}/peer/", n_jobs=N_JOBS, **values))
    return settings


def run(command, work):
    """Run a command to its end in a folder; return what it printed."""
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def main():
    parser = _report.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", type=Path, help=f"the Python of an environment with {PEER}")
    parser.set_defaults(repeats=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        peer = options.peer or installed(work)
        settings = prepare(options.folder, work)
        ours = [sys.executable, "-m", "sklearn_ser", "compare", f"emodb={options.folder.resolve()}"]
        ours += ["--features", "egemaps", "--classifier", "svm", "--cv", "loso"]
        ours += ["--jobs", str(N_JOBS), "--out", str(work / "ours"), "--cache", str(work / "store")]
        theirs = [str(peer), "-m", "nkululeko.nkululeko", "--config", str(settings)]
        kept = {"ours": [work / "ours", work / "store"], "theirs": [work / "peer"]}
        taken = {(who, when): [] for when in ("cold", "warm") for who in ("ours", "theirs")}
        printed = {}
        # Once before it counts: imports are compiled, files are in the system's cache.
        for _ in range(options.repeats + 1):
            for who, command in (("ours", ours), ("theirs", theirs)):
                for place in kept[who]:
                    shutil.rmtree(place, ignore_errors=True)
                kept[who][0].mkdir()
                for when in ("cold", "warm"):
                    if who == "ours":  # its features are stored, but no fit is
                        shutil.rmtree(work / "ours")
                    started = time.perf_counter()
                    printed[who] = run(command, work)
                    taken[who, when].append(time.perf_counter() - started)
        (row,) = json.loads((work / "ours" / "results.json").read_text())["rows"]
        ratios = []
        for when in ("cold", "warm"):
            ours_taken, theirs_taken = taken["ours", when][1:], taken["theirs", when][1:]
            ratio = statistics.median(a / b for a, b in zip(ours_taken, theirs_taken, strict=True))
            middle = [f"{statistics.median(x):.1f} s" for x in (ours_taken, theirs_taken)]
            ratios.append([when, *middle, f"{ratio:.2f}"])
        table = _report.table(["", "ours", PEER, "ours / theirs"], ratios)
        folds = re.findall(r"LOGO results: \[([\d., ]+)\]", printed["theirs"])[-1].split(",")
        text = f"Medians of {options.repeats}, whole processes in turn, {N_JOBS} jobs.\n\n"
        theirs = statistics.mean(map(float, folds))
        last = (
            f"UAR, mean of {len(folds)} folds: ours {row['uar']:.3f}, the other's {theirs:.3f}.\n"
        )
        _report.report("Against a peer", [text + table, last], options.out)


if __name__ == "__main__":
    main()

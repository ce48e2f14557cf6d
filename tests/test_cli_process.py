"""The command line as a process: imports, signals, warnings, progress, errors and bugs."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sklearn_ser
from sklearn_ser import MFCCEmbedder, cli, datasets, evaluation
from sklearn_ser._models import BUNDLED
from sklearn_ser.cli import main
from sklearn_ser.cli._corpora import NAMED
from sklearn_ser.cli._options import CLASSIFIERS, FEATURES, SCHEMES
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import _classifiers, _features
from sklearn_ser.exceptions import ArgumentError, ClipError, ClipWarning

COMMANDS = ["compare", "cross", "audit", "embed", "train", "predict", "card", "cache"]
PROGRAM = [sys.executable, "-m", "sklearn_ser"]


def run(*arguments, **options):
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def modules_of_python():
    """Return the standard library's, and those that .pth files of the environment import."""
    code = "import sys; print(*sys.modules)"
    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return {*sys.stdlib_module_names, *(name.partition(".")[0] for name in bare.stdout.split())}


@pytest.mark.parametrize(
    "statement",
    [
        "import sklearn_ser, sklearn_ser.exceptions",
        *(
            f"from sklearn_ser.cli import main; main({arguments})"
            for arguments in [
                [],
                ["--help"],
                ["--version"],
                ["unknown"],
                ["compare", "--cv", "unknown"],
                *([command, "--help"] for command in COMMANDS),
            ]
        ),
    ],
)
def test_nothing_heavy_is_imported_for_help(statement, modules_of_python):
    code = "import sys\ntry:\n    " + statement + "\nexcept SystemExit: pass\n"
    code += "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    imported = set(re.findall(r"'(\w+)'", result.stdout.splitlines()[-1]))
    assert imported - modules_of_python == {"sklearn_ser"}


def test_the_choices_of_options_are_those_of_the_rooms():
    loaders = {name.removeprefix("load_") for name in datasets.__all__ if name.startswith("load_")}
    assert {*NAMED} == loaders - {"folder", "table", "emobox", "audformat", "huggingface"}
    assert SCHEMES == datasets._labels.SCHEMES
    assert sorted(FEATURES) == sorted([*_features.feature_names(), *BUNDLED])
    assert {*CLASSIFIERS} == {*_classifiers.CLASSIFIERS}


def test_names_are_found_without_having_been_imported():
    code = "import sklearn_ser as s; print(s.MFCCEmbedder.__name__, s.datasets.load_emodb.__name__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "MFCCEmbedder load_emodb\n"
    assert {*sklearn_ser.__all__, *sklearn_ser._ROOMS, "__version__"} <= {*dir(sklearn_ser)}
    rooms = {path.stem for path in Path(sklearn_ser.__file__).parent.glob("[a-z]*")}
    assert {*sklearn_ser._ROOMS} == rooms - {"cli", "audio", "py"}
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = sklearn_ser.unknown


def test_alone_it_lists_its_commands_with_a_line_each():
    result = run(env={**os.environ, "COLUMNS": "80"})
    assert (result.returncode, result.stdout) == (2, "")
    lines = [line.split(maxsplit=1) for line in result.stderr.splitlines() if line[:4] == "    "]
    assert [name for name, _ in lines] == COMMANDS
    assert all(len(text) > 10 for _, text in lines)
    assert run("--version").stdout == f"sklearn-ser {sklearn_ser.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            f"{command} --jobs {jobs}"
            for command in ("compare", "cross a b", "audit", "embed a --features mfcc --out a.csv")
            for jobs in ("0", "1.5", "many", "")
        ),
        *(f"train synthetic --out m.skops --jobs {jobs}" for jobs in ("0", "1.5")),
        *(
            f"predict m.skops a.wav {option}"
            for option in (
                "--jobs 0",
                "--window long",
                "--window 0",
                "--window inf",
                "--hop nan",
                "--hop auto",
                "--abstain 1.1",
                "--abstain always",
            )
        ),
        "compare --cv loco",
        "audit --cv 5",
        "cross synthetic emodb=x --cv ravdess",
        "cross synthetic emodb=x --scheme seven",
        "cross synthetic emodb=x --align mean",
        "train synthetic --out m.skops --scheme seven",
        "train synthetic --out m.skops --classifier tree",
        "compare --corpus mine",
    ],
)
def test_values_of_options_are_checked_before_any_work(arguments, monkeypatch, capsys):
    monkeypatch.setattr(cli, "_run_command", lambda options: pytest.fail("worked"))
    with pytest.raises(SystemExit, match="2"):
        main(arguments.split(" "))
    error = capsys.readouterr().err.splitlines()[-1]
    option, value = arguments.split(" ")[-2:]
    assert f"error: argument {option}: " in error
    assert f"'{value}'" in error
    assert "_" not in error  # no name of a function that reads it


@pytest.fixture
def clips(tmp_path):
    corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    (tmp_path / "clips").mkdir()
    for i, clip in enumerate(corpus.X):
        soundfile.write(tmp_path / "clips" / f"{i:02d}.wav", *clip)
    return tmp_path / "clips"


SLOW = """
import time
from pathlib import Path
import numpy as np
from sklearn_ser.embedders import BaseEmbedder, VectorLayout

class Slow(BaseEmbedder):
    short_name, rate = "slow", 16000.0

    def __init__(self, *, waveform_rate=None, n_jobs=None, cache="auto", on_error="raise",
                 verbose=False):
        self.waveform_rate, self.n_jobs, self.cache = waveform_rate, n_jobs, cache
        self.on_error, self.verbose = on_error, verbose

    def compute_settings(self):
        return {}

    def layout(self):
        return VectorLayout(["mean"])

    def compute(self, waveform):
        with open("computed", "a") as file:
            file.write(".")
        time.sleep(0.15)
        return np.array([waveform.mean()])
"""


def interrupt(arguments, folder, ready, number=signal.SIGINT):
    """Start a command, and send it and its workers a signal, as a terminal does, when ready."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "SKLEARN_SER_CACHE": str(folder / "store")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ends = time.monotonic() + 120
    while not ready(process):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.02)
    os.killpg(process.pid, number)
    out, error = process.communicate(timeout=60)
    assert out == ""
    return process.returncode, error


def n_computed(folder):
    path = folder / "computed"
    return len(path.read_text()) if path.exists() else 0


@pytest.mark.one_in(2)
@pytest.mark.skipif(os.name != "posix", reason="sends signals as a POSIX terminal does")
@pytest.mark.parametrize(
    ("number", "status", "cache"),
    [
        (signal.SIGINT, 130, []),
        (signal.SIGTERM, 143, ["--cache", "none"]),
    ],
)
def test_a_signal_during_extraction_keeps_what_was_computed(clips, tmp_path, number, status, cache):
    (tmp_path / "slow.py").write_text(SLOW)
    arguments = ["embed", "clips", "--features", "slow.py:Slow", "--out", "m.csv", "--jobs", "3"]
    n_clips = len(list(clips.iterdir()))
    result = interrupt(
        [*arguments, *cache], tmp_path, lambda _: n_computed(tmp_path) > n_clips // 4, number
    )
    kept = (
        "no clip records are kept, so that the same command starts again"
        if cache
        else f"clip records in {tmp_path / 'store'} are kept, and the same command goes on from "
        "there"
    )
    line = f"sklearn-ser: interrupted: {kept}; no results are written\n"
    assert result == (status, line)
    assert not (tmp_path / "m.csv").exists()
    assert not list(tmp_path.rglob("*.tmp"))
    n_before = n_computed(tmp_path)
    assert n_before < n_clips
    if not cache:
        environment = {**os.environ, "SKLEARN_SER_CACHE": str(tmp_path / "store")}
        again = run(*arguments, cwd=tmp_path, env=environment)
        assert again.returncode == 0, again.stderr
        # Those that three readers held when the signal came may be computed twice.
        assert n_computed(tmp_path) - n_clips <= 6 < n_before


def n_workers(process):
    """Return how many of joblib's workers have imported scikit-learn."""
    n = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = os.getpgid(int(folder.name)) == process.pid
            if is_ours and b"LokyProcess" in (folder / "cmdline").read_bytes():
                n += "/sklearn/" in (folder / "maps").read_text()
        except OSError:  # it has ended
            continue
    return n


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks for workers in /proc")
def test_a_signal_while_workers_fit_is_one_line(tmp_path):
    # So many fits that processes are worth their start.
    arguments = ["compare", "--features", "mfcc", "nano", "--classifier", "logistic", "svm"]
    arguments += ["--jobs", "2", "--no-audio-audit"]
    started = []

    def ready(process):
        if not started and n_workers(process) == 2:
            started.append(time.monotonic())
        return started and time.monotonic() > started[0] + 1

    status, error = interrupt(arguments, tmp_path, ready)
    assert status == 130
    assert re.fullmatch(r"sklearn-ser: interrupted: .*; no results are written\n", error)
    assert [path.name for path in (tmp_path / "comparison").iterdir()] == ["fits"]


def test_a_signal_while_results_are_written_waits_for_the_last_of_them(
    clips, tmp_path, monkeypatch, capsys
):
    """It is sent between the two files of an audit."""
    import pandas as pd

    write = pd.DataFrame.to_csv

    def write_and_signal(frame, path, **options):
        write(frame, path, **options)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(pd.DataFrame, "to_csv", write_and_signal)
    before = signal.getsignal(signal.SIGINT)
    assert main(["audit", "--no-audio", "--out", str(tmp_path / "out")]) == 130
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["folds.csv", "pairs.csv"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith(f"; results are written to {tmp_path / 'out'}\n")
    assert signal.getsignal(signal.SIGINT) is before


WRITTEN = {
    "compare --features mfcc --classifier lda --out new": ["new/results.json", "new/uar.png"],
    "cross synthetic folder=corpus --speaker ^(s..)_ --no-audio-audit --classifier lda "
    "--features mfcc --out new": ["new/results.json"],
    "audit --no-audio --out new": ["new/folds.csv", "new/pairs.csv"],
    "embed clips --features mfcc --out new.csv": ["new.csv"],
    "train synthetic --features mfcc --classifier lda --no-audio-audit --out new.skops": [
        "new.skops"
    ],
    "predict MODEL long.wav --timeline new": ["new/long.wav.png"],
    "predict MODEL long.wav --timeline new --out new.json": ["new/long.wav.png", "new.json"],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.skops"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_SER_CACHE", str(tmp_path_factory.mktemp("records")))
        small = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
        patch.setattr(datasets, "make_emotional_speech", lambda **_: small)
        arguments = ["train", "synthetic", "--features", "mfcc", "--classifier", "lda", "--quiet"]
        assert main([*arguments, "--no-audio-audit", "--out", str(path)]) == 0
    return path


@pytest.fixture
def place(clips, tmp_path, monkeypatch):
    """Return the folder of clips, in which the commands run, with a corpus and a recording."""
    monkeypatch.chdir(tmp_path)
    small = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    for i, (clip, emotion, speaker) in enumerate(zip(small.X, small.y, small.groups, strict=True)):
        (tmp_path / "corpus" / emotion).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "corpus" / emotion / f"{speaker}_{i}.wav", *clip)
    monkeypatch.setattr(datasets, "make_emotional_speech", lambda **_: small)
    soundfile.write("long.wav", np.concatenate([x for x, _ in small.X]), 16000)
    return tmp_path


@pytest.mark.one_in(2)
@pytest.mark.parametrize("arguments", WRITTEN)
def test_all_is_written_before_anything_is_printed(arguments, place, model, monkeypatch):
    missing = []

    class Output:
        encoding, errors = "utf-8", "strict"

        def write(self, text):
            missing.extend(path for path in WRITTEN[arguments] if not Path(path).exists())

        def flush(self):
            pass

        def isatty(self):
            return False

    monkeypatch.setattr("sys.stdout", Output())
    assert main(arguments.replace("MODEL", str(model)).split()) == 0
    assert all(Path(path).exists() for path in WRITTEN[arguments])
    assert missing == []


@pytest.mark.one_in(3)
@pytest.mark.parametrize("arguments", WRITTEN)
def test_what_cannot_be_written_whole_is_not_written(arguments, place, model, monkeypatch, capsys):
    renamed, whole = os.replace, []

    def replace(source, target):
        if not Path(target).is_relative_to(place):
            return renamed(source, target)
        whole.append(Path(target).relative_to(place).as_posix())
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    monkeypatch.setattr(os, "replace", replace)
    assert main(arguments.replace("MODEL", str(model)).split()) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert whole
    after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert after == before


def test_the_store_is_cleared_before_that_is_printed(clips, tmp_path, monkeypatch):
    MFCCEmbedder().fit_transform([str(path) for path in clips.iterdir()])
    printed = []
    monkeypatch.setattr("sklearn_ser._store.Store.clear", lambda _: printed.append("clear"))
    monkeypatch.setattr("sklearn_ser.cli._tables.show", lambda table: printed.append("table"))
    monkeypatch.setattr(
        "sklearn_ser.preprocessing.AudioAugmenter.clear_cache", lambda _: None, raising=False
    )
    assert main(["cache", "--clear"]) == 0
    assert printed == ["clear", "table"]


@pytest.mark.skipif(os.name != "posix", reason="needs a shell's pipe")
def test_a_closed_pipe_is_no_error(clips, tmp_path):
    process = subprocess.Popen(
        [*PROGRAM, "embed", str(clips), "--features", "mfcc", "--out", str(tmp_path / "m.csv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == 1
    assert (tmp_path / "m.csv").exists()


def test_warnings_are_lines_of_the_tool_with_their_number(monkeypatch, capsys):
    def work(options):
        for i in range(3):
            warnings.warn(f"clip {i % 2} is\n bad", ClipWarning, stacklevel=2)
            warnings.warn("old", DeprecationWarning, stacklevel=2)
        print("done")
        return 0

    shown = warnings.showwarning
    monkeypatch.setattr(cli, "_run_command", work)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)  # as Python does
        assert main(["cache"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "done\n"
    assert printed.err == "warning: clip 0 is bad (2 times)\nwarning: clip 1 is bad\n"
    assert warnings.showwarning is shown


def test_warnings_of_a_run_name_no_code_of_ours_and_draw_no_bar(clips, tmp_path, capfd):
    (clips / "bad.wav").write_bytes(b"RIFF")
    arguments = ["embed", str(clips), "--features", "mfcc", "--on-error", "warn"]
    with warnings.catch_warnings():
        warnings.simplefilter("default", ClipWarning)
        assert main([*arguments, "--out", str(tmp_path / "m.csv")]) == 0
    error = capfd.readouterr().err
    assert re.fullmatch(r"warning: clip \d+ \(bad\.wav\): .* Its row is NaN\.\n", error)


BUGS = [TypeError("x"), KeyError("x"), AttributeError("x"), IndexError("x"), AssertionError("x")]
BUGS += [ZeroDivisionError("x"), RuntimeError("x"), NotImplementedError("x")]
BUGS += [
    ImportError("x", name="sklearn_ser._utils"),
    ModuleNotFoundError("x", name="sklearn_ser.x"),
]
MENDABLE = [ValueError("x"), OSError("x"), FileNotFoundError("x"), PermissionError("x")]
MENDABLE += [ArgumentError("x"), ModuleNotFoundError("x", name="skops"), ImportError("x")]
MENDABLE += [
    ClipError(3, "a.wav", "it is\nempty", "Leave it out."),
    json.JSONDecodeError("x", "", 0),
]


@pytest.mark.parametrize("error", BUGS, ids=repr)
def test_a_bug_shows_its_traceback(error, monkeypatch):
    def work(options):
        raise error

    monkeypatch.setattr(cli, "_run_command", work)
    with pytest.raises(type(error)) as raised:
        main(["cache"])
    assert raised.value is error


@pytest.mark.parametrize("error", MENDABLE, ids=repr)
def test_what_the_user_can_mend_is_one_line(error, monkeypatch, capsys):
    def work(options):
        raise error

    monkeypatch.setattr(cli, "_run_command", work)
    assert main(["cache"]) == 2
    assert capsys.readouterr().err == f"sklearn-ser: error: {' '.join(str(error).split())}\n"


@pytest.mark.slow
def test_a_bug_of_features_of_ones_own_shows_where_it_is(clips, tmp_path):
    code = SLOW.replace("waveform.mean()", "waveform.avarage()")
    (tmp_path / "slow.py").write_text(code)
    result = run("embed", "clips", "--features", "slow.py:Slow", "--out", "m.csv", cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert 'slow.py", line' in result.stderr
    assert result.stderr.endswith("has no attribute 'avarage'\n")


def test_what_has_no_effect_is_still_a_type_error():
    with pytest.raises(TypeError, match="would have no effect") as raised:
        evaluation.as_embedders(["mfcc"], model="x")
    assert isinstance(raised.value, ArgumentError)

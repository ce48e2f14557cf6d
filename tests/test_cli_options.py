"""Every option of every command has an effect on what was asked, or is an error that says so."""

import argparse
import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
import soundfile

from sklearn_ser import MFCCEmbedder
from sklearn_ser.cli import _parser, main
from sklearn_ser.datasets import make_emotional_speech

CORPUS = ("--data", "--speaker", "--path-column", "--emotion-column", "--speaker-column")
CORPUS += ("--corpus-column", "--root")
OF_CORPUS = {  # options that have no effect on a corpus
    "synthetic": CORPUS[1:],
    "emodb": CORPUS[1:],
    "table": CORPUS[1:2],
    "folder": CORPUS[2:],
}
WITHOUT_EFFECT = [  # the arguments, of which the last option is refused, and what is said
    *(
        case
        for command in ("compare", "audit")
        for case in [
            # Another corpus would be scored than the one that was meant.
            (f"{command} --data FOLDER", "--data FOLDER has no effect without --corpus: say which"),
            (f"{command} --corpus synthetic --data FOLDER", "FOLDER has no effect: the synthetic"),
            *(
                (f"{command} --corpus {corpus} {option} X", f"{option} has no effect on {corpus}:")
                for corpus, options in OF_CORPUS.items()
                for option in options
            ),
        ]
    ),
    *(
        case
        for command in ("cross", "train --out m.skops")
        for case in [
            (f"{command} synthetic=FOLDER", "FOLDER has no effect: the synthetic corpus is made"),
            *(
                (f"{command} {corpus}=FOLDER {option} X", f"{option} has no effect on {corpus}:")
                for corpus, options in OF_CORPUS.items()
                for option in options
            ),
            (f"{command} synthetic emodb=X --root X", "--root has no effect on synthetic, emodb:"),
        ]
    ),
    ("audit --no-audio --on-error warn", "--on-error has no effect with --no-audio"),
    ("audit --no-audio --jobs 2", "--jobs has no effect with --no-audio"),
    ("predict m.skops a.wav --window none --hop 1", "--hop has no effect with --window none"),
    ("predict m.skops a.wav --window none --timeline D", "--timeline has no effect with --window"),
    ("predict TRAINED FOLDER --trust my.Class", "has to be trusted under the names ['my.Class']"),
    ("card TRAINED --trust my.Class", "has to be trusted under the names ['my.Class']"),
    ("cache --cache nowhere", "no such folder: nowhere"),
    *(
        case
        for command in (
            "embed FOLDER --features mfcc --out m.csv",
            "compare",
            "cross synthetic x=FOLDER",
        )
        for case in [
            (f"{command} --scheduler X", "--scheduler has no effect without --backend"),
            (f"{command} --backend dask", "--backend dask needs --scheduler, the address"),
        ]
    ),
    ("embed FOLDER --features own_bare.py:Plain --out m.csv", "it lacks fit_transform, get_params"),
    ("embed FOLDER --features own_bare.py:Bare --out m.csv", "it lacks get_feature_names_out"),
    ("train synthetic --features own_bare.py:OneStep --out m.skops", "it lacks fit, transform"),
]
# Of features that lack them: these are set on embedders, which say so.
UNHEEDED = [
    ("predict TRAINED FOLDER --model X", "model"),
    ("card TRAINED --model X", "model"),
    *(
        (f"{command.format(features)} --{name} {value}", name)
        for command in (
            "compare --features {}",
            "cross synthetic folder=FOLDER --speaker ^s\\d+ --features {}",
            "embed FOLDER --out m.csv --features {}",
            "train folder=FOLDER --speaker ^s\\d+ --out m.skops --features {}",
        )
        for features, name, value in [
            ("mfcc", "model", "X"),
            ("nano", "model", "X"),  # which is a model
            ("nano", "revision", "X"),
            ("ssl:X", "model", "X"),
            ("mfcc", "window", "3"),
            ("mfcc+egemaps", "dtype", "float16"),
            ("egemaps", "device", "cpu"),
            ("mfcc", "layer", "3"),
            ("egemaps", "layer", "all"),
            ("egemaps", "pooling", "max"),  # functionals have statistics already
        ]
    ),
    *(
        (f"{command} --features own_bare.py:Named --{name} {value}", name.replace("-", "_"))
        for command, names in [
            ("compare", ["cache", "on-error", "model", "layer", "pooling"]),
            ("cross synthetic folder=FOLDER --speaker ^s\\d+", ["cache", "on-error", "layer"]),
            ("embed FOLDER --out m.csv", ["cache", "on-error", "pooling", "jobs"]),
            ("train folder=FOLDER --speaker ^s\\d+ --out m.skops", ["cache", "pooling"]),
        ]
        for name in names
        for value in [{"cache": "none", "on-error": "raise", "pooling": "max"}.get(name, "1")]
    ),
]


OWN_FEATURES = """
from sklearn.base import BaseEstimator, TransformerMixin

class Plain:
    pass

class OneStep(BaseEstimator):
    fit_transform = lambda self, X, y=None: 1 / 0

class Bare(OneStep):
    fit = transform = OneStep.fit_transform

class Named(Bare):
    get_feature_names_out = OneStep.fit_transform
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with what the arguments above name."""
    place = tmp_path_factory.mktemp("place")
    corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    for i, (clip, emotion, speaker) in enumerate(
        zip(corpus.X, corpus.y, corpus.groups, strict=True)
    ):
        (place / "FOLDER" / emotion).mkdir(parents=True, exist_ok=True)
        soundfile.write(place / "FOLDER" / emotion / f"{speaker}_{i}.wav", *clip)
    for suffix in (".npz", ".skops", ".jsonl"):
        (place / f"folder{suffix}").mkdir()
    (place / "own_bare.py").write_text(OWN_FEATURES)
    (place / "clips.csv").write_text("path,emotion,speaker\na.wav,joy,x\n")
    return place


@pytest.fixture
def trained(place, monkeypatch, capsys):
    """Return the arguments of a command with a recognizer, made once, in place of TRAINED."""
    monkeypatch.chdir(place)

    def replaced(arguments):
        if "TRAINED" in arguments and not (place / "TRAINED.skops").exists():
            given = r"folder=FOLDER --speaker ^(s\d+)_ --features mfcc --no-audio-audit --quiet"
            assert main(["train", *given.split(), "--out", "TRAINED.skops"]) == 0
            capsys.readouterr()
        return arguments.replace("TRAINED", "TRAINED.skops").split()

    return replaced


def refusal(arguments, place, capsys):
    """Return what is said of arguments that are refused, having written nothing."""
    there = set(place.iterdir())
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert set(place.iterdir()) == there
    return printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    WITHOUT_EFFECT,
)
def test_an_option_without_effect_is_an_error(arguments, message, place, trained, capsys):
    error = refusal(trained(arguments), place, capsys)
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(
            (f"{command} --out {out}", message)
            for command in ("compare", "cross synthetic", "audit", "predict m.skops x --timeline")
            for out, message in [
                ("clips.csv", "clips.csv cannot be written: clips.csv is a file"),
                ("clips.csv/a/b", "cannot be written: .*clips.csv is a file"),
            ]
        ),
        *(
            (f"{command} --out {out}", message)
            for command, suffix in [
                ("embed FOLDER --features mfcc", ".npz"),
                ("train synthetic", ".skops"),
                ("predict m.skops FOLDER", ".jsonl"),
            ]
            for out, message in [
                ("m.txt", f"--out m.txt must end in .*{suffix}"),
                (f"folder{suffix}", f"folder{suffix} is a folder, and a file is to be written"),
                (f"clips.csv/m{suffix}", f"m{suffix} cannot be written: .*clips.csv is a file"),
            ]
        ),
    ],
)
def test_output_that_cannot_be_written_is_refused_before_any_work(
    arguments, message, place, monkeypatch, capsys
):
    monkeypatch.chdir(place)
    monkeypatch.setattr(
        "sklearn_ser.datasets.make_emotional_speech", lambda **_: pytest.fail("worked")
    )
    monkeypatch.setattr(
        "sklearn_ser.recognition.load_recognizer", lambda *_, **__: pytest.fail("worked")
    )
    monkeypatch.setattr(MFCCEmbedder, "fit_transform", lambda *_: pytest.fail("worked"))
    error = refusal(arguments.replace("--timeline --out", "--timeline").split(), place, capsys)
    assert re.search(message, error)


@pytest.mark.parametrize(
    ("arguments", "package", "install"),
    [
        ("embed FOLDER --features mfcc --out m.parquet", "pyarrow", "'sklearn-ser[parquet]'"),
        ("train synthetic --out m.skops", "skops", "'sklearn-ser[skops]'"),
        ("predict m.skops FOLDER --timeline D", "matplotlib", "'sklearn-ser[plot]'"),
        ("compare --format pdf --out D", "matplotlib", "'sklearn-ser[plot]'"),
    ],
)
def test_output_that_needs_a_package_is_refused_before_any_work(
    arguments, package, install, place, monkeypatch, capsys
):
    monkeypatch.chdir(place)
    monkeypatch.setattr(
        "sklearn_ser.datasets.make_emotional_speech", lambda **_: pytest.fail("worked")
    )
    monkeypatch.setattr(MFCCEmbedder, "fit_transform", lambda *_: pytest.fail("worked"))
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda n, *_: None if n == package else find(n))
    error = refusal(arguments.split(), place, capsys)
    assert f"cannot be written: {package} is missing; pip install {install}" in error


@pytest.mark.parametrize(("arguments", "name"), UNHEEDED)
def test_an_option_that_no_feature_set_takes_is_an_error(arguments, name, place, trained, capsys):
    error = refusal(trained(arguments), place, capsys)
    name = {"jobs": "n_jobs"}.get(name, name)
    assert re.search(rf"\b{name}'?( \(.*\))? would have no effect", error)


def options_of(command):
    """Return the options of a command that take a value, with one value each."""
    (commands,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return [
        (action.option_strings[0], action.choices[0] if action.choices else "1")
        for action in commands.choices[command]._actions
        if action.option_strings and action.nargs != 0
    ]


COMMANDS = {
    "compare": "compare",
    "cross": "cross synthetic emodb=FOLDER",
    "audit": "audit",
    "embed": "embed FOLDER",
    "train": "train synthetic",
    "predict": "predict m.skops FOLDER",
    "card": "card m.skops",
    "cache": "cache",
}


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [(command, *option) for command in COMMANDS for option in options_of(command)],
)
def test_an_option_that_is_given_twice_is_an_error(command, option, value, place, capsys):
    arguments = [*COMMANDS[command].split(), option, value, option, value]
    assert f"{option} is given twice" in refusal(arguments, place, capsys)


# What changes the result, or how it is shown, whatever is asked.
ALWAYS = "--abstain --align --classifier --corpus --cv --device --drop --features --format --from"
ALWAYS += " --jobs --max-size --out --scheme --speaker-scaling --window"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_been_thought_of(command):
    refused = [arguments for arguments, _ in [*WITHOUT_EFFECT, *UNHEEDED]]
    known = {word for arguments in refused for word in arguments.split()} | {*ALWAYS.split()}
    assert {option for option, _ in options_of(command)} <= known


def test_the_table_has_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)
    assert sorted(COMMANDS) == sorted(listed)


def test_classes_in_a_recognizer_are_trusted_by_the_name_of_their_file(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    example = Path(__file__).parents[1] / "docs" / "examples" / "logmel_embedder.py"
    shutil.copy(example, place / "trusted_logmel.py")
    given = r"folder=FOLDER --speaker ^(s\d+)_ --features trusted_logmel.py:LogMelEmbedder --quiet"
    assert main(["train", *given.split(), "--no-audio-audit", "--out", "own.skops"]) == 0

    def in_a_new_process(*options):
        monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(place))])
        monkeypatch.delitem(sys.modules, "trusted_logmel", raising=False)
        monkeypatch.chdir("/")
        status = main(["card", str(place / "own.skops"), *options])
        return status, " ".join("".join(capsys.readouterr()).split())

    status, printed = in_a_new_process()
    assert status == 2
    assert "--trust FOLDER/trusted_logmel.py:LogMelEmbedder." in printed
    status, printed = in_a_new_process("--trust", "trusted_logmel.LogMelEmbedder")
    assert status == 2
    assert "needs your module trusted_logmel" in printed
    assert "--trust FOLDER/trusted_logmel.py:CLASS" in printed
    status, printed = in_a_new_process("--trust", f"{place}/trusted_logmel.py:LogMelEmbedder")
    assert status == 0
    assert "logmel" in printed


def test_no_cluster_of_ray_is_an_error_that_names_the_option(place, capsys, monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra cluster is missing")

    def init(**given):
        raise ConnectionError("set the `--address` flag")

    monkeypatch.chdir(place)
    monkeypatch.setattr(ray, "init", init)
    given = ["embed", "FOLDER", "--features", "mfcc", "--out", "m.csv", "--backend", "ray"]
    assert main(given) == 2
    printed = capsys.readouterr().err
    assert "no cluster of Ray at auto" in printed
    assert "--scheduler HOST:6379" in printed
    assert "--address" not in printed

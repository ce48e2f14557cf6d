"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "FEATURES",
    "SCHEMES",
    "add_backend",
    "add_cv",
    "add_embedding",
    "add_evaluation",
    "add_jobs",
    "audio_files",
    "check_features",
    "check_out",
    "embedding_parameters",
    "on_backend",
    "refuse_unused",
    "trusted_classes",
]

# What other rooms define; they are imported to run a command, and not to list its options.
FEATURES = ("mfcc", "egemaps", "ssl", "nano")
CLASSIFIERS = ("logistic", "lda", "svm")
REGRESSORS = ("ridge", "svr")
SCHEMES = ("four", "ekman", "arousal", "valence", "quadrants")
BACKENDS = {"dask": "distributed", "ray": "ray"}  # of joblib, and the package that each needs


def add_cv(command: Any, *more: str, default: str | None = "loso") -> None:
    command.add_argument(
        "--cv",
        default=default,
        choices=["loso", "group5", "balanced5", "session", "sentence", *more],
        help="folds: loso leaves one speaker out (the default), group5 and balanced5 make five "
        "folds of speakers, session and sentence leave one of these out"
        + (
            ", emobox takes EmoBox's own (the default for its corpora without known speakers)"
            if "emobox" in more
            else ""
        ),
    )


def add_evaluation(command: Any) -> None:
    command.add_argument(
        "--no-audio-audit",
        action="store_true",
        help="do not look for the same audio in training and test folds",
    )
    command.add_argument(
        "--features",
        nargs="+",
        metavar="NAME",
        help=f'{", ".join(FEATURES)}, "ssl:MODEL" (a hub id or a folder), "ssl:MODEL@REVISION" (a '
        "branch, tag or commit of it on the hub), or your own as "
        '"module:Class" or "file.py:Class"; "+" joins: "egemaps+nano". For compare and cross also '
        '"pretrained:MODEL", a published classifier',
    )
    add_embedding(command, layer="all")
    add_backend(command)
    command.add_argument(
        "--classifier",
        nargs="+",
        choices=[*CLASSIFIERS, *REGRESSORS],
        help="one or several, each a row of every feature set; default: logistic, or ridge where "
        "the emotion column holds ratings (floats)",
    )


def add_embedding(command: Any, layer: str, *, on_error: bool = True) -> None:
    command.add_argument("--model", metavar="ID", help="for ssl: a hub id or a folder")
    command.add_argument(
        "--revision",
        help="for ssl: branch, tag or commit on the hub, of all models that have none after @",
    )
    command.add_argument(
        "--window",
        dest="model_window",  # that of predict cuts recordings
        type=_model_window,
        metavar="SECONDS",
        help="for ssl and nano: what of a clip attends to itself at once; seconds, auto (the "
        "default), clip (Whisper, and no other model) or none (all of it)",
    )
    command.add_argument(
        "--dtype",
        choices=["float32", "bfloat16", "float16"],
        help="for ssl and nano: precision; default: float32",
    )
    command.add_argument("--device", help="for ssl and nano: cpu, cuda, …; default: auto")
    command.add_argument(
        "--layer",
        type=_layer,
        metavar="LAYER",
        help=f'for ssl and nano: a number, several as "3,4", middle, mean or all; default: {layer}',
    )
    command.add_argument(
        "--pooling",
        nargs="+",
        metavar="STATISTIC",
        help="mean, std, min, …; compare and cross take alternatives, too: mean mean+std",
    )
    command.add_argument(
        "--cache", metavar="DIR", help='where clip records are kept, or "none"; default: auto'
    )
    command.set_defaults(default_cache="auto")
    if on_error:
        command.add_argument("--on-error", choices=["raise", "warn", "nan"], help="default: raise")
    add_jobs(command, "number of threads and processes")
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def add_jobs(command: Any, what: str) -> None:
    command.add_argument("--jobs", type=_jobs, metavar="N", help=f"{what}; -1: one a core")


def _jobs(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text) or int(text) == 0:
        message = f"{text!r} is not a number of jobs: 1, 2, …, or -1 for one a core"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _layer(text: str) -> int | str | list[int]:
    if text in ("middle", "mean", "all"):
        return text
    try:
        layers = [int(part) for part in text.split(",")]
    except ValueError:
        message = f'{text!r} is not a number, several as "3,4", middle, mean or all'
        raise argparse.ArgumentTypeError(message) from None
    return layers if len(layers) > 1 else layers[0]


def _model_window(text: str) -> float | str:
    if text in ("auto", "clip", "none"):
        return text
    try:
        return float(text)
    except ValueError:
        message = f"{text!r} is not a number of seconds, auto, clip or none"
        raise argparse.ArgumentTypeError(message) from None


def embedding_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return the embedders' parameters that are given, so that one without effect is refused."""
    names = ("cache", "on_error", "model", "revision", "layer", "dtype", "device")
    given = {name: getattr(options, name, None) for name in names}
    given["window"] = getattr(options, "model_window", None)
    parameters = {name: value for name, value in given.items() if value is not None}
    parameters |= {name: None for name in ("cache", "window") if parameters.get(name) == "none"}
    if getattr(options, "pooling", None) is not None:
        alternatives = [text.split("+") for text in options.pooling]
        several = max(map(len, alternatives)) > 1 and len(alternatives) > 1
        parameters["pooling"] = alternatives if several else "+".join(options.pooling).split("+")
    return parameters


def check_features(options: argparse.Namespace) -> None:
    """Raise the error of features that cannot be used, before a corpus is loaded for them."""
    from sklearn_ser.evaluation import feature_sets

    if options.features is not None:
        feature_sets(options.features, **embedding_parameters(options))


def audio_files(path: Path) -> list[str]:
    """Return the path itself, or the audio files of a folder; a bad file is named later."""
    if not path.is_dir():
        return [str(path)]
    from sklearn_ser._audio import describe_left_out, find_sounds
    from sklearn_ser._utils import warn

    sounds = find_sounds(path)
    report = describe_left_out(sounds.left_out, path)
    if not sounds.taken:
        raise FileNotFoundError(f"no audio files in {path}. {report}".rstrip())
    if report:
        warn(report)
    return [str(sound) for sound in sounds.taken]


def check_out(out: str, *suffixes: str, needs: str | None = None) -> Path:
    """Return where output is to be written, having looked at whether it can be.

    Parameters
    ----------
    out : str
        A file, or, without suffixes, a folder.
    *suffixes : str
        What a file's name may end in.
    needs : str, default=None
        Package that writes it, and, after a colon, what to install to have it.
    """
    path = Path(out)
    if suffixes and path.suffix not in suffixes:
        raise ValueError(f"--out {out} must end in {', '.join(suffixes)}")
    if suffixes and path.is_dir():
        raise IsADirectoryError(f"{out} is a folder, and a file is to be written")
    there = path if not suffixes else path.absolute().parent
    while not there.exists() and there != there.parent:
        there = there.absolute().parent
    if not there.is_dir():
        raise NotADirectoryError(f"{out} cannot be written: {there} is a file")
    if not os.access(path if path.exists() else there, os.W_OK):
        raise PermissionError(f"{out} cannot be written: no right to")
    package, _, install = (needs or "").partition(":")
    if package and importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(
            f"{out} cannot be written: {package} is missing; pip install {install}"
        )
    return path


def add_backend(command: Any) -> None:
    command.add_argument(
        "--backend",
        choices=[*BACKENDS],
        help="run on the workers of a cluster, which find the same files; needs "
        "'sklearn-ser[cluster]'",
    )
    command.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of the cluster: tcp://HOST:8786, say, for dask; for ray its address, or auto (the "
        "default), which is the cluster that runs on this machine",
    )


@contextlib.contextmanager
def on_backend(options: argparse.Namespace) -> Iterator[None]:
    """Return a context in which joblib runs where ``--backend`` and ``--scheduler`` say."""
    if options.backend is None:
        refuse_unused(options, ["scheduler"], "without --backend")
        yield
        return
    package = BACKENDS[options.backend]
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(
            f"--backend {options.backend} needs {package}: pip install 'sklearn-ser[cluster]'"
        )
    import joblib

    if options.backend == "dask":
        if options.scheduler is None:
            raise ValueError("--backend dask needs --scheduler, the address of Dask's scheduler.")
        from distributed import Client

        with (
            Client(options.scheduler, set_as_default=False) as client,
            joblib.parallel_config("dask", client=client),
        ):
            yield
    else:
        import ray
        from ray.util.joblib import register_ray

        try:
            ray.init(address=options.scheduler or "auto", log_to_driver=False)
        except ConnectionError as error:
            raise ConnectionError(
                f"--backend ray found no cluster of Ray at {options.scheduler or 'auto'}. Start "
                "one (ray start --head), or name its address: --scheduler HOST:6379."
            ) from error
        register_ray()
        # What a worker that is lost was computing is computed again.
        restarts = {"max_restarts": -1, "max_task_retries": -1}
        try:
            with joblib.parallel_config("ray", n_jobs=-1, ray_remote_args=restarts):
                yield
        finally:
            ray.shutdown()


def refuse_unused(options: argparse.Namespace, names: Collection[str], reason: str) -> None:
    """Raise an error if options are given that have no effect, and say why they have none."""
    for name in names:
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} has no effect {reason}.")


def trusted_classes(names: Collection[str]) -> list[str]:
    """Return the classes that ``--trust`` names, as "module.Class", of files imported for it."""
    from sklearn_ser._utils import own_class

    classes = [own_class(name, "--trust") if ":" in name else name for name in names]
    return [
        each if isinstance(each, str) else f"{each.__module__}.{each.__qualname__}"
        for each in classes
    ]

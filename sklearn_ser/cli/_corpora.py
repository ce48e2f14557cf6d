"""Corpora on the command line: how they are named, and loaded."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sklearn_ser.cli._options import add_cv

__all__ = [
    "NAMED",
    "add_corpora",
    "add_corpus",
    "in_places",
    "load_corpora",
    "load_corpus",
    "put_elsewhere",
    "splitters",
]

# Corpora with a loader of their own, which takes a folder.
NAMED = ("cremad", "emodb", "esd", "iemocap", "meld", "ravdess", "savee", "tess", "urdu")
# And what holds any corpus.
HELD = ("folder", "table", "emobox", "audformat", "huggingface")
KNOWN = ("synthetic", *NAMED, *HELD)
# Of options that say how a corpus is loaded: the corpora they are for, and the loader's parameter.
LOADING = {
    "speaker": {"folder": "speaker", "emobox": "speaker"},
    "path_column": {"table": "path", "huggingface": "audio"},
    "emotion_column": {"table": "emotion", "audformat": "emotion", "huggingface": "emotion"},
    "speaker_column": {"table": "speaker", "audformat": "speaker", "huggingface": "speaker"},
    "corpus_column": {"table": "corpus"},  # no parameter of the loader: see `_split`
    "root": {"table": "root", "emobox": "audio"},
}


class CorpusArgument(NamedTuple):
    """A corpus as it is named: "CORPUS", "CORPUS=PLACE" or "CORPUS:PART=PLACE"."""

    name: str
    part: str | None
    place: str | None

    @property
    def label(self) -> str:
        """What stands before the place."""
        return self.name if self.part is None else f"{self.name}:{self.part}"

    @classmethod
    def parse(cls, text: str) -> CorpusArgument:
        """Return what a text names."""
        left, _, place = text.partition("=")
        name, _, part = left.partition(":")
        return cls(name, part or None, place or None)


def add_corpus(command: Any, *, several: bool = False) -> None:
    if several:
        _add_named(command, "*", "in place of --corpus and --data: one corpus or more, each ")
    command.add_argument(
        "--corpus",
        choices=[name for name in KNOWN if name != "emobox"],
        help="which corpus, or how it is laid out; default: synthetic",
    )
    command.add_argument(
        "--data",
        metavar="PATH",
        help="the corpus's folder, or its CSV file; without it cremad, emodb, ravdess and urdu are "
        "downloaded",
    )
    _add_loading(command)
    add_cv(command, "ravdess", "emobox", default=None)


def add_corpora(command: Any) -> None:
    _add_named(command, "+", "")
    _add_loading(command)


def _add_named(command: Any, n: str, which: str) -> None:
    command.add_argument(
        "corpora",
        nargs=n,
        metavar="CORPUS[=PLACE]",
        help=f"{which}synthetic; {', '.join(NAMED)}, folder, audformat or huggingface and its "
        "folder (or id), without which cremad, emodb, ravdess and urdu are "
        "downloaded; table and its CSV file; emobox:NAME and the folder of EmoBox; "
        "huggingface:SPLIT",
    )


def _add_loading(command: Any) -> None:
    command.add_argument(
        "--speaker",
        metavar="REGEX",
        help="of a folder, or EmoBox: what in a clip's path is its speaker",
    )
    for column in ("path", "emotion", "speaker"):
        command.add_argument(
            f"--{column}-column",
            metavar="NAME",
            help="of a table" + (", audformat" * (column != "path")) + " or Hugging Face's dataset",
        )
    command.add_argument(
        "--corpus-column",
        metavar="NAME",
        help="of a table that holds several corpora: each is then a corpus by itself",
    )
    command.add_argument(
        "--root",
        metavar="DIR",
        help="of a table, or EmoBox: where relative paths start; default: there",
    )


def load_corpus(options: argparse.Namespace) -> Any:
    """Return the corpus that is named, or that ``--corpus`` and ``--data`` name."""
    (name, corpus), *others = load_corpora(options).items()
    if others:
        raise ValueError(f"one corpus is needed, and {name} and {len(others)} more are named")
    return corpus


def load_corpora(options: argparse.Namespace) -> dict[str, Any]:
    """Return corpora by name, of those named, or of ``--corpus`` and ``--data``."""
    corpora: dict[str, Any] = {}
    given = _given(options)
    loading = _loading(options, [each.name for each in given])
    column = loading.get("table", {}).pop("corpus", None)
    options.origins = {}
    for each in given:  # all of them before the first is loaded
        _check(each)
    for each in given:
        quiet = getattr(options, "quiet", False)
        if each.name == "table" and column is not None:
            loaded = _split(each, loading, column)
        else:
            loaded = [_load(each, loading, quiet=quiet)]
        for corpus in loaded:
            if corpus.name in corpora:
                raise ValueError(f"two corpora are called {corpus.name!r}")
            corpora[corpus.name] = corpus
            options.origins[corpus.name] = each
    return corpora


def _split(
    given: CorpusArgument, loading: Mapping[str, Mapping[str, str]], column: str
) -> list[Any]:
    """Return a corpus for each value of a column of a table."""
    import warnings

    from sklearn_ser._utils import is_missing
    from sklearn_ser.datasets import load_table

    with warnings.catch_warnings():  # of speakers that several corpora have: here they are apart
        warnings.filterwarnings("ignore", r".* are in several corpora of the column corpus")
        whole = _load(given, loading, quiet=True)
    frame = whole.frame
    if column not in frame:
        raise ValueError(f"{given.place} has no column {column!r}; it has {list(frame.columns)}.")
    if n_missing := sum(is_missing(frame[column])):
        raise ValueError(f"{given.place}, column {column!r}: {n_missing} rows name no corpus.")
    corpora = []
    for name, rows in frame.groupby(column, sort=False):
        corpora.append(load_table(rows))
        corpora[-1].name = str(name)
        corpora[-1].update({"rating": whole.rating} if "rating" in whole else {})
    return corpora


def splitters(options: argparse.Namespace, corpora: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cv of each corpus: the one asked for, and by default leave one speaker out.

    Of a corpus of EmoBox without known speakers, the default is EmoBox's own folds.
    """
    from sklearn_ser.model_selection import EmoBoxFolds

    found: dict[str, Any] = {}
    for name, corpus in corpora.items():
        each, cv = options.origins[name], options.cv
        if cv == "emobox" and each.name != "emobox":
            raise ValueError(
                f"--cv emobox has no effect on {each.name}: it is for the corpus emobox:NAME=PATH."
            )
        if cv is None:
            cv = "emobox" if each.name == "emobox" and corpus.groups is None else "loso"
        found[name] = EmoBoxFolds(str(each.place), str(each.part)) if cv == "emobox" else cv
    return found


def put_elsewhere(recorded: argparse.Namespace, here: argparse.Namespace) -> None:
    """Give the corpora of a recorded command the places, and the root, that are given here.

    Its store, and a device that is no CPU, are those of another machine.
    """
    wanted = [each.label for each in _given(recorded)]
    if [each.label for each in _given(here)] != wanted:
        raise ValueError(f"--from {here.record} is of other corpora: name {in_places(recorded)}.")
    recorded.corpora, recorded.corpus, recorded.data = here.corpora, here.corpus, here.data
    if here.root is None and recorded.root is not None and not Path(recorded.root).is_dir():
        raise FileNotFoundError(
            f"--from {here.record} names the folder of clips --root {recorded.root}, which is not "
            f"here: name {in_places(recorded)}."
        )
    recorded.root = here.root or recorded.root
    recorded.cache = "none" if recorded.cache == "none" else None
    recorded.device = "cpu" if recorded.device == "cpu" else None


def in_places(options: argparse.Namespace) -> str:
    """Return what names the corpora of a command where they lie elsewhere."""
    labels = [each.label for each in _given(options)]
    places = [label + "=PLACE" * (label != "synthetic") for label in labels]
    return " ".join([*places, *["--root PLACE"] * (options.root is not None)])


def _given(options: argparse.Namespace) -> list[CorpusArgument]:
    """Return the corpora that are named, none of them loaded."""
    name, place = (getattr(options, option, None) for option in ("corpus", "data"))
    if texts := getattr(options, "corpora", None):
        if name or place:
            raise ValueError(
                f"--{'corpus' if name else 'data'} has no effect beside {' '.join(texts)}: name "
                "all corpora in one of these ways."
            )
        return [CorpusArgument.parse(text) for text in texts]
    if name is None and place is not None:
        raise ValueError(
            f"--data {place} has no effect without --corpus: say which corpus lies there, "
            f"{', '.join((*NAMED, *HELD[:-1]))} or {HELD[-1]}."
        )
    return [CorpusArgument(name or "synthetic", None, place)]


def _loading(options: argparse.Namespace, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the loaders' parameters that are given, by corpus."""
    parameters: dict[str, dict[str, str]] = {}
    for option, takers in LOADING.items():
        value = getattr(options, option)
        if value is None:
            continue
        if not (found := [name for name in names if name in takers]):
            raise ValueError(
                f"--{option.replace('_', '-')} has no effect on {', '.join(names)}: it is for the "
                f"corpus {' or '.join(takers)}."
            )
        for name in found:
            parameters.setdefault(name, {})[takers[name]] = value
    return parameters


def _check(given: CorpusArgument) -> None:
    """Raise an error unless a corpus is known, and has what its loader needs."""
    from sklearn_ser import datasets

    name, part, place = given
    if name not in KNOWN:
        raise ValueError(f"unknown corpus {name!r}; known are {', '.join(KNOWN)}")
    if part is not None and name not in ("emobox", "huggingface"):
        raise ValueError(f"{name}:{part}: the corpus {name} has no parts; write {name}=PATH")
    if name == "synthetic" and place is not None:
        raise ValueError(
            f"{place} has no effect: the synthetic corpus is made, not read. Say which corpus "
            f"lies there: {', '.join((*NAMED, *HELD[:-1]))} or {HELD[-1]}."
        )
    if name != "synthetic" and place is None and not hasattr(datasets, f"fetch_{name}"):
        raise ValueError(f"the corpus {name} needs its folder or file: --data PATH, or {name}=PATH")
    if name == "emobox" and part is None:
        raise ValueError("EmoBox has many corpora: name one, such as emobox:iemocap=PATH")


def _load(given: CorpusArgument, loading: Mapping[str, Mapping[str, str]], *, quiet: bool) -> Any:
    """Return a corpus by its loader in `sklearn_ser.datasets`: of "emodb" by `load_emodb`."""
    from sklearn_ser import datasets

    name, part, place = given
    if name == "synthetic":
        corpus = datasets.make_emotional_speech(random_state=0)
        corpus.name = "synthetic speech"
        return corpus
    if place is None:
        return getattr(datasets, f"fetch_{name}")(verbose=not quiet)
    parameters = loading.get(name, {})
    if name == "emobox":
        return datasets.load_emobox(place, part, **parameters)
    if name == "huggingface":
        return datasets.load_huggingface(_dataset(place, part), **parameters)
    return getattr(datasets, f"load_{name}")(place, **parameters)


def _dataset(place: str, split: str | None) -> Any:
    """Return a dataset of Hugging Face: a folder that `save_to_disk` wrote, or an id of the hub."""
    import datasets

    if not any(Path(place, name).is_file() for name in ("dataset_dict.json", "state.json")):
        return datasets.load_dataset(place, split=split)
    found = datasets.load_from_disk(place)
    if split is None:
        return found
    if not isinstance(found, datasets.DatasetDict) or split not in found:
        has = list(found) if isinstance(found, datasets.DatasetDict) else "no splits"
        raise ValueError(f"{place} has no split {split!r}; it has {has}")
    return found[split]

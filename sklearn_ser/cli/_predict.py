"""``sklearn-ser predict``."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sklearn_ser.cli._options import (
    add_jobs,
    audio_files,
    check_out,
    embedding_parameters,
    refuse_unused,
    trusted_classes,
)
from sklearn_ser.cli._process import uninterrupted

__all__ = ["add_predict"]

# How embedders compute where it was not asked for, however they did in training.
DEFAULTS = {"cache": None, "device": "auto", "n_jobs": None, "verbose": False}


def add_predict(commands: Any) -> None:
    command = commands.add_parser(
        "predict",
        help="recognise the emotion of recordings",
        description="Give a row for each recording, or for each window of a long one. Speech "
        "that is out of distribution gets no emotion. Exits with 1 if a recording could not be "
        "used, or if --timeline drew none.",
    )
    command.add_argument("recognizer", metavar="FILE", help="what sklearn-ser train wrote")
    command.add_argument(
        "recordings", nargs="+", metavar="RECORDING", help="audio files, or folders of them"
    )
    command.add_argument(
        "--window",
        default="auto",
        type=_window,
        metavar="SECONDS",
        help="length of windows; auto, the default: recordings longer than all training clips are "
        "cut into windows as long as their median; none: whole recordings",
    )
    command.add_argument(
        "--hop",
        type=_seconds,
        metavar="SECONDS",
        help="from the start of one window to that of the next; default: the window",
    )
    command.add_argument(
        "--abstain",
        default=0.95,
        type=_share,
        metavar="SHARE",
        help="no emotion where the out-of-distribution score is above this quantile of the "
        "held-out scores; never: always an emotion; default: %(default)s",
    )
    command.add_argument("--model", metavar="ID", help="where the speech model lies now")
    command.add_argument(
        "--trust",
        nargs="+",
        default=[],
        metavar="CLASS",
        help='classes of your own in the file, as "file.py:Class" or "module.Class"',
    )
    command.add_argument(
        "--cache", metavar="DIR", help="where clip records are kept; default: none"
    )
    command.add_argument("--device", help="cpu, cuda, …; default: auto")
    add_jobs(command, "number of threads")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.add_argument(
        "--out", metavar="FILE", help="ends in .csv, .jsonl or .json; default: a table"
    )
    command.add_argument(
        "--timeline", metavar="DIR", help="draw recordings that have windows, a PNG each"
    )
    command.set_defaults(run=_predict)


def _window(text: str) -> float | str | None:
    if text == "none":
        return None
    return "auto" if text == "auto" else _seconds(text, "auto, none, or ")


def _seconds(text: str, others: str = "") -> float:
    return _number(text, 0.01, math.inf, f"{others}seconds, 0.01 or more")


def _share(text: str) -> float | None:
    return None if text == "never" else _number(text, 0, 1, "a share from 0 to 1, or never")


def _number(text: str, low: float, high: float, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high or math.isinf(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return number


def _predict(options: argparse.Namespace) -> int:
    """Recognise recordings, write or print their rows, and return the exit status."""
    out = None if options.out is None else check_out(options.out, *WRITERS)
    if options.timeline is not None:
        check_out(options.timeline, needs="matplotlib:'sklearn-ser[plot]'")
    if options.window is None:
        refuse_unused(options, ["hop", "timeline"], "with --window none, as there are no windows")
    from sklearn_ser._utils import set_where_taken
    from sklearn_ser.cli._tables import print_rows
    from sklearn_ser.recognition import (
        ABSTAINED,
        domain_embedders,
        embedders_of,
        frame_of,
        load_recognizer,
        rows_of,
    )

    paths = [path for given in options.recordings for path in audio_files(Path(given))]
    if twice := [path for path, n in Counter(map(os.path.abspath, paths)).items() if n > 1]:
        raise ValueError(f"{len(twice)} recordings are given twice: {twice[0]}. Name each once.")
    asked = embedding_parameters(options)
    if options.jobs is not None:
        asked["n_jobs"] = options.jobs
    recognizer = load_recognizer(
        options.recognizer, trusted=trusted_classes(options.trust), **asked
    )
    defaults = {name: value for name, value in DEFAULTS.items() if name not in asked}
    for embedder in [*embedders_of(recognizer.embedder_), *domain_embedders(recognizer)]:
        set_where_taken(embedder, defaults)
    parts = rows_of(
        recognizer,
        paths,
        window=options.window,
        hop=options.hop,
        abstain=options.abstain,
        verbose=not options.quiet,
    )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        parts = WRITERS[out.suffix](parts, out)
    found = []
    for part in parts:  # which is recognised, and written, only as it is asked for
        found += part
        if out is not None:
            options.results = f"the rows recognised so far are written to {out}"
    rows = frame_of(found)
    drawn: list[Path] | None = None
    if options.timeline is not None:
        drawn, notes = _draw(
            rows, recognizer.classes_.tolist(), Path(options.timeline), options.abstain
        )
    if out is None:
        print_rows(rows)
    else:
        print(f"Written to {out}: {len(rows)} rows of {len(paths)} recordings")
    for path in drawn or ():
        print(f"Written to {path}")
    unusable = rows[rows["emotion"].isna() & (rows["note"] != ABSTAINED)]
    for note in [*(notes if drawn is not None else ()), *unusable["note"]]:
        print(note, file=sys.stderr)
    return int(len(unusable) > 0 or drawn == [])


Parts = Iterator[list[dict[str, Any]]]  # rows, as `rows_of` yields them


def _csv(parts: Parts, out: Path) -> Parts:
    """Yield parts as they come, each after it is written, so that a killed run leaves them."""
    from sklearn_ser.recognition import frame_of

    for i, part in enumerate(parts):
        with uninterrupted():
            frame_of(part).to_csv(out, mode="a" if i else "w", header=not i, index=False)
        yield part


def _jsonl(parts: Parts, out: Path) -> Parts:
    """Yield parts as `_csv` does."""
    for i, part in enumerate(parts):
        with uninterrupted(), open(out, "a" if i else "w", encoding="utf-8") as file:
            file.writelines(json.dumps(_plain(row)) + "\n" for row in part)
        yield part


def _json(parts: Parts, out: Path) -> Parts:
    """Yield parts once all of them are written."""
    from sklearn_ser._utils import write_atomically

    found = list(parts)
    rows = [_plain(row) for part in found for row in part]
    with uninterrupted():
        write_atomically(out, f"{json.dumps(rows, indent=1)}\n".encode())
    yield from found


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in JSON's values, which have no NaN."""
    return {
        key: None if isinstance(value, float) and value != value else value
        for key, value in row.items()
    }


WRITERS = {".csv": _csv, ".jsonl": _jsonl, ".json": _json}


def _draw(
    rows: Any, emotions: list[str], folder: Path, abstain: float | None = None
) -> tuple[list[Path], list[str]]:
    """Draw each recording that has windows; return the files, and a note of what was not drawn."""
    from sklearn_ser._utils import remove_figure, write_figure
    from sklearn_ser.plotting import TimelineDisplay, off_screen

    folder.mkdir(parents=True, exist_ok=True)
    drawn: Counter[str] = Counter()
    others, written = [], []
    for recording, of_recording in rows.groupby("recording", sort=False):
        name = Path(str(recording)).name
        if len(of_recording) == 1:
            others.append(name)
            continue
        with off_screen():
            display = TimelineDisplay.from_rows(of_recording, emotions, threshold=abstain)
        drawn[name] += 1  # another folder's recording may be called the same
        path = folder / (f"{name}.png" if drawn[name] == 1 else f"{name}-{drawn[name]}.png")
        with uninterrupted():
            write_figure(display.figure_, path)
        written.append(path)
    for name in set(others) - set(drawn):
        remove_figure(folder / f"{name}.png")  # of an earlier run, with other windows
    note = (
        f"No timeline was drawn in {folder} of {len(others)} of {len(others) + len(written)} "
        "recordings: they have fewer than two windows."
    )
    return written, [note] if others else []

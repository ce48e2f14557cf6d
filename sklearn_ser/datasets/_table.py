"""A corpus described by a table."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import os
import re
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import SEGMENT_FIELDS
from sklearn_ser._utils import (
    as_speakers,
    as_targets,
    composed,
    is_missing,
    naming_file,
    read_regular,
    validate_params,
    warn,
)
from sklearn_ser.datasets._corpus import as_corpus, rename_columns
from sklearn_ser.datasets._files import existing_path, refuse_outside

__all__ = ["load_table"]

DELIMITERS = (",", ";", "\t", "|")
# What is absolute in Windows, and no path elsewhere.
WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
PACKED = {b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File, b"\xfd7zXZ": lzma.LZMAFile}
MAX_UNPACKED = 100_000_000  # bytes
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
OTHERS = {
    b"PK\x03\x04": ("an Excel workbook or another archive", "read_excel"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "read_excel"),
    b"PAR1": ("a Parquet file", "read_parquet"),
    b"ARROW1": ("a Feather file", "read_feather"),
}


@validate_params(
    {
        "table": "no_validation",
        "path": [str],
        "emotion": [str],
        "speaker": [str, None],
        "root": [str, os.PathLike, None],
        "allow_outside": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_table(
    table: Any,
    *,
    path: str = "path",
    emotion: str = "emotion",
    speaker: str | None = "speaker",
    root: str | os.PathLike[str] | None = None,
    allow_outside: bool = False,
) -> Bunch:
    """Load a corpus described by a table.

    Parameters
    ----------
    table : str, path-like, file, DataFrame of pandas or polars, dict or list of dicts
        A CSV file, its path or open, or the table itself, one row a clip: a frame, a table of
        Arrow, a dict of columns or a list of rows. With columns start and end (seconds) or
        channel (from 0) a clip is that segment of its file. A CSV file is in UTF-8, or in UTF-16
        with a byte order mark; commas, semicolons, tabs or bars separate its values.
    path, emotion : str
        Names of its columns. Relative paths may have Windows' backslashes. Instead of emotions,
        the latter may hold ratings (arousal, valence, dominance) as floats: in a CSV file numbers
        of which one or more has a decimal mark or an exponent. Integers are refused, as they may
        be codes of emotions.
    speaker : str or None, default="speaker"
        Name of its column with the speakers. None, or a table without a column "speaker":
        ``groups`` is None.
    root : str or path-like, default=None
        Folder that relative paths start at: by default that of the CSV file whose path is given,
        or the current one.
    allow_outside : bool, default=False
        Whether the paths in a file may lead out of that folder: by "..", as absolute ones, or by
        links, which are resolved. Those of a frame, or of any other table that is no file, may.

    Returns
    -------
    corpus : Bunch
        X (list of paths, or of dicts if there are segments), y (emotions, or ratings), groups
        (speakers or None), frame (the table, its columns renamed; another column that has one of
        the names path, emotion and speaker is called path_original and so on) and DESCR. Of
        ratings also rating, what the column was called.

    Raises
    ------
    ValueError
        If a column is missing, a row has no value in one of them, emotions are integers, start, end
        or channel are none, paths lead out of the folder, a clip stands in several rows with
        different emotions or speakers, or the file is no CSV file in UTF-8.
    TypeError
        If `table` is none.

    Warns
    -----
    UserWarning
        If a clip stands in several rows with the same labels, or a speaker in several corpora of a
        column "corpus".

    See Also
    --------
    load_folder : Loads a folder for each emotion.
    load_audformat : Loads a database of audformat.

    Notes
    -----
    In a CSV file what is empty is missing, and a speaker may be called NA. "nan", "None", "<NA>"
    and "NaT" are refused as missing, too: missing values become that where they are made text.
    Where semicolons, tabs or bars separate values, a comma in start and end is a decimal mark.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_ser.datasets import load_table
    >>> table = pd.DataFrame({"file": ["a.wav"], "label": ["anger"], "who": ["anna"]})
    >>> load_table(table, path="file", emotion="label", speaker="who").y.tolist()
    ['anger']
    """
    name, described, bounded = "table", "the table", False
    if isinstance(table, (str, os.PathLike)) or hasattr(table, "read"):
        if hasattr(table, "read"):
            content = table.read()
        else:
            source = Path(table).expanduser()
            root = source.parent if root is None else root
            name, described, content = source.stem, str(source), read_regular(source)
        bounded = True
        path, emotion = composed(path.strip()), composed(emotion.strip())
        speaker = None if speaker is None else composed(speaker.strip())
        wanted = [] if speaker is None else [speaker]
        with naming_file(described):
            frame = _read_csv(described, content, [path, emotion], wanted)
    else:
        frame = _as_frame(table)
    if speaker == "speaker" and speaker not in frame:
        speaker = None
    columns = {"path": path, "emotion": emotion, "speaker": speaker}
    missing = [column for column in columns.values() if column and column not in frame]
    if missing:
        raise ValueError(f"{described} has no column {missing}; it has {list(frame.columns)}.")
    if not len(frame):
        raise ValueError(f"{described} has no rows.")
    frame = rename_columns(frame, columns).reset_index(drop=True)
    frame["emotion"] = as_targets(frame["emotion"], f"{described}, column {emotion!r}")
    if speaker is not None:
        where = f"{described}, column {speaker!r} (speaker=None loads none)"
        frame["speaker"] = as_speakers(frame["speaker"], where)
        if "corpus" in frame:
            _warn_of_shared_speakers(described, frame)
    where = f"{described}, column {path!r}"
    frame["path"] = _paths(frame["path"], root, where)
    start = Path() if root is None else Path(root).expanduser()
    refuse_outside(frame["path"], start, where, allow_outside or not bounded)
    for field in SEGMENT_FIELDS:
        if field in frame:
            frame[field] = _numbers(frame[field], f"{described}, column {field!r}")
    return as_corpus(name, frame, f"Clips of the table {name}.", ratings=True, column=emotion)


def _as_frame(table: Any) -> pd.DataFrame:
    """Return a table of rows and columns as a frame of pandas."""
    if callable(getattr(table, "collect", None)):  # what polars computes when it is asked for
        table = table.collect()
    if callable(getattr(table, "to_pandas", None)):
        return table.to_pandas()
    rows = isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table)
    if rows or isinstance(table, (pd.DataFrame, Mapping, np.ndarray)):
        try:
            return pd.DataFrame(table)
        except ValueError as error:
            raise ValueError(f"the table cannot be read: {error}") from None
    raise TypeError(
        "a table is the path of a CSV file, such a file when it is open, a DataFrame of pandas or "
        "polars, a table of Arrow, a dict of columns or a list of dicts, one a row; got a "
        f"{type(table).__name__}."
    )


def _warn_of_shared_speakers(described: str, frame: pd.DataFrame) -> None:
    """Warn of speaker labels that several corpora have, which may be two people's."""
    named = frame["corpus"].map(str, na_action="ignore")  # a column that is not asked for
    n_corpora = named.groupby(frame["speaker"]).nunique()
    if shared := n_corpora.index[n_corpora > 1].tolist():
        warn(
            f"{described}: {len(shared)} of {len(n_corpora)} speakers are in several corpora of "
            f"the column corpus (the first is {shared[0]!r}), each taken for one person. If they "
            "are not, load each corpus by itself: {name: load_table(rows, …) for name, rows in "
            "table.groupby('corpus')}, or --corpus-column corpus.",
        )


def _paths(values: pd.Series[Any], root: Any, where: str) -> list[str]:
    _refuse(values, is_missing(values), where, "have no path", "Fill these in, or leave them out.")
    _refuse(
        values,
        [not isinstance(value, (str, os.PathLike)) for value in values],
        where,
        "have something else than a path",
        "Text is expected.",
    )
    if os.name != "nt":
        _refuse(
            values,
            [WINDOWS_PATH.match(os.fspath(value)) is not None for value in values],
            where,
            "have a path with a drive of Windows, which this system has not",
            "Replace the drive and folder by what they are here, or write paths relative to the "
            "folder that root names.",
        )
    start = Path() if root is None else Path(root).expanduser()
    return [str(existing_path(start, os.fspath(value))) for value in values]


def _numbers(values: pd.Series[Any], where: str) -> pd.Series[float]:
    """Return numbers, NaN where there is none; times become seconds."""
    if values.dtype.kind == "m":
        return values.dt.total_seconds()
    numbers = pd.to_numeric(values.astype(object), errors="coerce").astype(float)
    bad = numbers.isna() & ~is_missing(values)
    _refuse(values, bad, where, "have no number", "Seconds, or a channel's number, are expected.")
    return numbers


def _refuse(values: pd.Series[Any], bad: Iterable[Any], where: str, what: str, cure: str) -> None:
    rows = np.flatnonzero(np.asarray(bad, dtype=bool))
    if len(rows):
        raise ValueError(
            f"{where}: {len(rows)} of {len(values)} rows {what}; the first is row {rows[0]}, "
            f"counted from 0, with {values.iloc[rows[0]]!r:.80}. {cure}"
        )


def _read_csv(
    source: str, content: str | bytes, needed: list[str], optional: list[str]
) -> pd.DataFrame:
    """Read a CSV file, whose delimiter is the one that gives the columns that are needed."""
    text = content if isinstance(content, str) else _decode(source, content)
    if text.lstrip().startswith(("{", "[")):
        raise ValueError(
            f"{source} is JSON, not a CSV file. Pass the frame that pandas.read_json gives."
        )
    first = text.partition("\n")[0].strip().strip('"')
    delimiters: Sequence[str] = DELIMITERS
    if first.lower().startswith("sep=") and len(first) == 5:  # which Excel writes
        delimiters, text = first[4], text.partition("\n")[2]
    headers = {delimiter: _header(text, delimiter) for delimiter in delimiters}
    # The delimiter that gives the columns needed; else the one that gives most, for the error.
    delimiter = max(
        delimiters, key=lambda d: (len({*needed} & {*headers[d]}), len(headers[d]), d == ",")
    )
    header = headers[delimiter]
    if not any(header):
        raise ValueError(f"{source} is empty.")
    if twice := sorted({column for column in header if column and header.count(column) > 1}):
        raise ValueError(f"{source}: several columns are called {twice}: rename them.")
    as_text = [column for column in (*needed, *optional, *SEGMENT_FIELDS) if column in header]
    options: dict[str, Any] = {
        "sep": delimiter,
        "skipinitialspace": True,
        "index_col": False,
        "low_memory": False,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            frame = pd.read_csv(io.StringIO(text), **options)
            texts = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, **options)
    except pd.errors.ParserWarning:
        raise ValueError(
            f"{source} cannot be read as CSV: rows have more values than its header has columns. "
            "Put values that hold a delimiter in quotes."
        ) from None
    except ValueError as error:  # as a ParserError is
        raise ValueError(f"{source} cannot be read as CSV: {error}") from None
    frame.columns = [name or unnamed for name, unnamed in zip(header, frame.columns, strict=True)]
    texts.columns = frame.columns
    filled = texts.apply(lambda column: column.str.strip() != "").any(axis=1)
    frame, texts = frame[filled], texts[filled]  # Excel ends some files with rows of delimiters
    frame[as_text] = texts[as_text].apply(lambda column: column.str.strip())
    if delimiter != ",":
        for field in SEGMENT_FIELDS:
            if field in frame and not frame[field].str.contains(".", regex=False).any():
                frame[field] = frame[field].str.replace(",", ".")
    emotions = frame.get(needed[1])
    if emotions is not None and (filled := emotions[emotions != ""]).size:
        if pd.to_numeric(filled.str.replace(",", "."), errors="coerce").isna().any():
            return frame
        if filled.str.contains("[.,eE]").any():  # ratings
            frame[needed[1]] = pd.to_numeric(emotions.str.replace(",", "."))
        elif len(filled) == len(emotions):
            name = repr(needed[1])
            raise ValueError(
                f"{source}, column {name}: all {len(emotions)} rows have a number as label, the "
                f"first is {emotions.iloc[0]}. Numbers are targets of a regression (arousal, "
                "valence, …), which are taken as floats, and integers may be codes. Pass a frame: "
                f"frame = pandas.read_csv(…), and frame[{name}] = frame[{name}].astype(float) for "
                f"ratings, or .map({{0: 'anger', …}}) for codes of emotions."
            )
    return frame


def _header(text: str, delimiter: str) -> list[str]:
    lines = (line for line in io.StringIO(text, newline="") if line.strip())
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    # Spreadsheets of a Mac may have names in decomposed Unicode.
    return [composed(name.strip()) for name in next(rows, [])]


def _unpacked(source: str, opener: Any, content: bytes) -> bytes:
    """Return what a packed file holds, if it is no more than a table may have."""
    parts, n_bytes = list[bytes](), 0
    try:
        packed = io.BytesIO(content)
        file = opener(fileobj=packed) if opener is gzip.GzipFile else opener(packed)
        with file:
            while part := file.read(1 << 20):
                parts.append(part)
                if (n_bytes := n_bytes + len(part)) > MAX_UNPACKED:
                    raise ValueError(
                        f"{source} is packed, and holds more than {MAX_UNPACKED} bytes. If you "
                        "trust who wrote it, unpack it first."
                    )
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{source} is a packed file that is damaged ({error}).") from None
    return b"".join(parts)


def _decode(source: str, content: bytes) -> str:
    """Return the text of a file."""
    for mark, unpack in PACKED.items():
        if content.startswith(mark):
            content = _unpacked(source, unpack, content)
    for mark, (what, reader) in OTHERS.items():
        if content.startswith(mark):
            raise ValueError(
                f"{source} is {what}, not a CSV file. Save it as CSV (in Excel: CSV UTF-8), or "
                f"pass the frame that pandas.{reader} gives."
            )
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in content:
        raise ValueError(
            f"{source} holds null characters: it is not text, or in UTF-16 without a byte order "
            "mark. Save it as UTF-8."
        )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{source} is not in UTF-8: line {line} has the byte 0x{content[error.start]:02X}. "
            "Which characters it means is not known from the file. Save it as UTF-8 (in Excel: "
            "CSV UTF-8), or pass a frame: pandas.read_csv(…, encoding='cp1252') where Excel saved "
            "it in Western Europe or America."
        ) from None

"""Corpora in audEERING's format, which audb downloads."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import (
    HasMethods,
    canonical,
    existing_folder,
    is_missing,
    refuse_missing,
    validate_params,
    warn,
)
from sklearn_ser.datasets._corpus import as_corpus, rename_columns
from sklearn_ser.datasets._files import refuse_outside

__all__ = ["load_audformat"]


@validate_params(
    {
        "database": [str, os.PathLike, HasMethods(["get"])],
        "table": [str, None],
        "emotion": [str],
        "speaker": [str, None],
        "allow_outside": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_audformat(
    database: Any,
    *,
    table: str | None = None,
    emotion: str = "emotion",
    speaker: str | None = "speaker",
    allow_outside: bool = False,
) -> Bunch:
    """Load a corpus in the format of audformat, which ``audb`` downloads [1]_.

    Parameters
    ----------
    database : audformat.Database, str or path-like
        What ``audb.load`` returns, or the folder of such a database.
    table : str, default=None
        The table with the emotions; by default the only one that has them.
    emotion : str, default="emotion"
        Its column that holds them; or ratings (arousal, valence, dominance), as floats.
    speaker : str or None, default="speaker"
        The column that holds the speakers, in that table or in others that know its segments or
        files. None, or a database that knows no speaker: ``groups`` is None.
    allow_outside : bool, default=False
        Whether paths may lead out of the database's folder, if it has one, links resolved.

    Returns
    -------
    corpus : Bunch
        X (list of paths, or of dicts with start and end where rows are segments), y (emotions,
        renamed to this package's names where those are known, or ratings), groups (speakers or
        None), frame (path, emotion, code, speaker, what else the table has, and start and end in
        seconds) and DESCR (the database's own description and licence).

    Raises
    ------
    ValueError
        If no table has such a column, or several have, or it holds no label, or integers; or if
        speakers of some clips are unknown, or a path leads out of the folder.

    Warns
    -----
    UserWarning
        If clips have no label: they are left out.

    See Also
    --------
    load_table : Loads any table of clips.

    References
    ----------
    .. [1] H. Wierstorf et al., "audb: sharing and versioning of audio and annotation data in
       Python", 2023.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_audformat
    >>> import audb  # doctest: +SKIP
    >>> corpus = load_audformat(audb.load("emodb"))  # doctest: +SKIP
    """
    import audformat

    if isinstance(database, (str, os.PathLike)):
        database = audformat.Database.load(str(existing_folder(database)))
    labelled = [name for name in database.tables if emotion in database[name].columns]
    if table is None and len(labelled) != 1:
        raise ValueError(
            f"{len(labelled)} tables of {database.name} have a column {emotion!r}: {labelled}, of "
            f"{list(database.tables)}. Say which with table, or another column with emotion."
        )
    table = table or labelled[0]
    if table not in labelled:
        raise ValueError(f"table {table!r} is none of those with {emotion!r}: {labelled}.")
    if speaker not in (None, "speaker") and not any(
        speaker in database[name].columns for name in database.tables
    ):
        raise ValueError(f"no table of {database.name} has a column {speaker!r}.")
    labels = database[table].get()
    unlabelled = is_missing(labels[emotion])
    if unlabelled.all():
        raise ValueError(f"the column {emotion!r} of table {table!r} holds no label.")
    if unlabelled.any():
        warn(
            f"{unlabelled.sum()} of {len(labels)} clips of table {table!r} have no label in "
            f"{emotion!r}: they are left out.",
        )
    labels = labels[~unlabelled]
    index = labels.index
    files = index.get_level_values("file")
    # What the loader itself fills is not taken from columns that happen to have these names.
    columns = dict.fromkeys(["emotion", "path", "speaker", "start", "end"]) | {"code": emotion}
    if speaker in labels and speaker != emotion:
        columns["speaker"] = speaker
    frame = rename_columns(labels.reset_index(drop=True), columns)
    frame["emotion"] = [canonical(code) for code in frame["code"]]
    frame["code"] = frame["code"].astype(str)
    root = database.root or ""
    frame["path"] = [os.path.normpath(os.path.join(root, file)) for file in files]
    where = f"table {table!r} of {database.name}"
    refuse_outside(frame["path"], root, where, allow_outside or not root)
    if "start" in index.names:
        frame["start"] = index.get_level_values("start").total_seconds()
        frame["end"] = index.get_level_values("end").total_seconds()
    frame = frame.drop(columns="speaker", errors="ignore")
    speakers = [None] if speaker is None else _speakers(database, table, speaker, index)
    if any(known is not None for known in speakers):
        name = f"speaker={speaker!r}, of clips with labels (speaker=None loads none)"
        refuse_missing(speakers, name, "speaker")
        frame["speaker"] = speakers
    licence = f"{database.description or ''}\n\nLicence: {database.license or 'not stated'}."
    return as_corpus(database.name, frame, licence.strip(), ratings=True, column=emotion)


def _speakers(database: Any, table: str, column: str, index: pd.Index) -> list[Any]:
    """Return the speaker of each segment or file, None where no table knows it.

    Of tables that hold the very segment, or its file with one speaker, the first one counts.
    """
    found: dict[Any, Any] = {}
    files: dict[str, Any] = {}
    for name in [table, *(other for other in database.tables if other != table)]:
        if column in database[name].columns:
            known = database[name][column].get()
            known = known[~is_missing(known)]
            found = {**dict(zip(known.index, known, strict=True)), **found}
            alone = known.groupby(level="file").agg(
                lambda its: its.iloc[0] if its.nunique() == 1 else None
            )
            files = {**alone.dropna().to_dict(), **files}
    of_files = zip(index, index.get_level_values("file"), strict=True)
    return [found.get(row, files.get(file)) for row, file in of_files]

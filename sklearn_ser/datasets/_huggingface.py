"""Corpora of the Hugging Face ``datasets`` library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import HasMethods, as_targets, canonical, refuse_missing, validate_params
from sklearn_ser.datasets._corpus import as_corpus, rename_columns

__all__ = ["load_huggingface"]


@validate_params(
    {
        "dataset": [HasMethods(["cast_column", "select_columns"])],
        "audio": [str],
        "emotion": [str],
        "speaker": [str, None],
    },
    prefer_skip_nested_validation=True,
)
def load_huggingface(
    dataset: Any,
    *,
    audio: str = "audio",
    emotion: str = "label",
    speaker: str | None = None,
) -> Bunch:
    """Load a corpus of the Hugging Face ``datasets`` library.

    Parameters
    ----------
    dataset : datasets.Dataset
        One split, what ``datasets.load_dataset(…, split="train")`` returns.
    audio, emotion : str
        Its columns with the sound, a feature ``Audio``, and with the emotions: text, or numbers of
        a feature ``ClassLabel``; or with ratings (arousal, valence, dominance), as floats.
    speaker : str, default=None
        Its column with the speakers: text, whole numbers, or numbers of a feature ``ClassLabel``.
        Without it ``groups`` is None.

    Returns
    -------
    corpus : Bunch
        X (list of dicts of bytes and path, not decoded yet), y (emotions, renamed to this
        package's names where those are known, or ratings), groups (speakers or None), frame (path,
        emotion, code, speaker and all other columns, those of the same names as path_original and
        so on) and DESCR; with ratings also rating, what the column was called.

    Raises
    ------
    ValueError
        If several splits are given, a column is missing, there are no clips, or some have no
        audio, no label (as a ``ClassLabel`` of -1), several labels or a whole number as label, or,
        in part, no speaker; or a clip stands in several rows with different emotions or speakers.

    Warns
    -----
    UserWarning
        If a clip stands in several rows with the same labels.

    See Also
    --------
    load_table : Loads any table of clips.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_huggingface
    >>> import datasets  # doctest: +SKIP
    >>> corpus = load_huggingface(  # doctest: +SKIP
    ...     datasets.load_dataset("superb", "er", split="session1"), emotion="label"
    ... )
    """
    from datasets import Audio

    if isinstance(dataset, Mapping):
        raise ValueError(
            f"the dataset has the splits {list(dataset)}: choose one, as in "
            f"dataset[{next(iter(dataset), 'train')!r}], or join them with "
            "datasets.concatenate_datasets."
        )
    if not hasattr(dataset, "__len__"):
        raise ValueError("the dataset is streamed: load it without streaming=True.")
    dataset = dataset.with_format(None)  # all columns, as they are stored
    wanted = [audio, emotion, *([speaker] if speaker else [])]
    missing = [column for column in wanted if column not in dataset.column_names]
    if missing:
        raise ValueError(f"the dataset has no column {missing}; it has {dataset.column_names}.")
    if not len(dataset):
        raise ValueError("the dataset has no clips.")
    others = [column for column in dataset.column_names if column not in wanted]
    frame = pd.DataFrame({column: list(dataset[column]) for column in others})
    # What the loader itself fills is not taken from columns that happen to have these names.
    frame = rename_columns(frame, dict.fromkeys(["code", "speaker", "emotion", "path"]))
    codes = as_targets(_named(dataset, emotion), f"column {emotion!r} of the dataset")
    frame["emotion"] = [canonical(code) for code in codes.tolist()]
    frame["code"] = codes.astype(str)
    if speaker:
        frame["speaker"] = _named(dataset, speaker)
        refuse_missing(frame["speaker"], f"column {speaker!r} of the dataset", "speaker")
    undecoded = dataset.select_columns([audio]).cast_column(audio, Audio(decode=False))
    clips = list(undecoded[audio])
    known = [clip if clip and (clip["bytes"] or clip["path"]) else None for clip in clips]
    refuse_missing(known, f"column {audio!r} of the dataset", "audio")
    frame["path"] = [clip["path"] or "" for clip in clips]
    info = dataset.info
    description = f"{info.description}\n\nLicence: {info.license}."
    name = info.dataset_name or "dataset"
    return as_corpus(name, frame, description, clips=clips, ratings=True, column=emotion)


def _named(dataset: Any, column: str) -> list[Any]:
    """Return a column's values, numbers of a ``ClassLabel`` by name; -1 stands for no label."""
    values = list(dataset[column])
    names = getattr(dataset.features[column], "names", None)
    if names is None:
        return values
    return [None if i is None or not 0 <= i < len(names) else names[i] for i in values]

"""Corpora of the Hugging Face ``datasets`` library."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_ser.datasets._corpus import as_corpus, rename_columns
from sklearn_ser.datasets._labels import canonical

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
        a feature ``ClassLabel``.
    speaker : str, default=None
        Its column with the speakers. Without it ``groups`` is None.

    Returns
    -------
    corpus : Bunch
        X (list of dicts of bytes and path, not decoded yet), y (emotions, renamed to this
        package's names where those are known), groups (speakers or None), frame (path, emotion,
        code, speaker and all other columns, those of the same names as path_original and so on)
        and DESCR.

    Raises
    ------
    ValueError
        If a column is missing, or there are no clips.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_huggingface
    >>> import datasets  # doctest: +SKIP
    >>> corpus = load_huggingface(  # doctest: +SKIP
    ...     datasets.load_dataset("superb", "er", split="session1"), emotion="label"
    ... )
    """
    from datasets import Audio

    wanted = [audio, emotion, *([speaker] if speaker else [])]
    missing = [column for column in wanted if column not in dataset.column_names]
    if missing:
        raise ValueError(f"the dataset has no column {missing}; it has {dataset.column_names}.")
    if not len(dataset):
        raise ValueError("the dataset has no clips.")
    others = [column for column in dataset.column_names if column != audio]
    frame = pd.DataFrame({column: list(dataset[column]) for column in others})
    names = getattr(dataset.features[emotion], "names", None)
    # What the loader itself fills is not taken from columns that happen to have these names.
    columns = {"code": emotion, "speaker": speaker, "emotion": None, "path": None}
    frame = rename_columns(frame, columns)
    code = frame["code"]
    frame["code"] = [names[i] for i in code] if names else code.astype(str)
    frame["emotion"] = [canonical(name) for name in frame["code"]]
    if speaker:
        frame["speaker"] = frame["speaker"].astype(str)
    undecoded = dataset.select_columns([audio]).cast_column(audio, Audio(decode=False))
    clips = list(undecoded[audio])
    frame["path"] = [clip["path"] or "" for clip in clips]
    info = dataset.info
    corpus = as_corpus(
        info.dataset_name or "dataset", frame, f"{info.description}\n\nLicence: {info.license}."
    )
    corpus.X = clips
    return corpus

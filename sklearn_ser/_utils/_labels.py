"""Emotion labels and speaker labels: taken whole, or refused with the rows that are at fault.

Used by loaders, estimators, audits and the evaluation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from numbers import Integral, Number, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils._rows import as_list, missing_value, refuse_missing, rows_named

Labels = npt.NDArray[np.str_]
# Numbers of which some have a sign or a fraction are ratings; "01" and "3" may be codes.
NUMBER = re.compile(r"[+-]?\d*[.,]?\d+(?:[eE][+-]?\d+)?")
# What a whole number becomes where a column with gaps is read as floats, and made text.
WHOLE_AS_TEXT = re.compile(r"(-?\d+)\.0+")
REGRESSION = (
    "Numbers are targets of a regression (arousal, valence, …), which compare takes as floats, and "
    "this is classification. If they are codes of emotions, replace them by the emotions' names."
)


def as_labels(values: Any, name: str = "y") -> Labels:
    """Return emotion labels as text, each as long as it is.

    Text is taken without surrounding white space and in composed Unicode (NFC), as file systems
    and spreadsheets differ in both.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
        Text or booleans: a list, an array of any dtype, a Series of pandas or polars, …
    name : str
        What they are called, for errors: "y", "the column emotion".

    Returns
    -------
    labels : ndarray of str of shape (n_clips,)

    Raises
    ------
    ValueError
        If labels are missing, hold several emotions, or are numbers: those are targets of a
        regression (arousal, valence), or codes that need names.
    """
    texts = _converted(values, name, "label", _label)
    if any(not text.isdecimal() for text in texts):
        _refuse_numbers(texts, name)
    _refuse_spellings(texts, name)
    return np.array(texts, dtype=str)


def as_classes(values: Any, name: str = "y") -> npt.NDArray[Any]:
    """Return the targets of a scikit-learn classifier as they are: text, or whole numbers.

    Unlike :func:`as_labels`, which is for corpora, this takes codes, as scikit-learn's searches
    pass them, and changes no label, as `predict` has to return those of `fit`.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
        A list, an array of any dtype, a Series of pandas or polars, …
    name : str
        What they are called, for errors.

    Returns
    -------
    classes : ndarray of shape (n_clips,)

    Raises
    ------
    ValueError
        If targets are missing, hold several values, are numbers that are not whole (a
        regression's), as text too, are partly text and partly numbers, or are one number as text
        in two spellings, such as "1" and "1.0".
    """
    from sklearn.utils import assert_all_finite, column_or_1d
    from sklearn.utils.multiclass import type_of_target

    given = _converted(values, name, "label", _class)
    if len({isinstance(value, (str, bytes)) for value in given}) > 1:
        raise ValueError(f"{name}: some labels are text, others are numbers. Make them one kind.")
    texts = [_text(value) for value in given if isinstance(value, (str, bytes))]
    if any(not _is_whole(text) for text in texts):
        _refuse_numbers(texts, name)
    _refuse_spellings(texts, name)
    is_typed = isinstance(values, np.ndarray) and values.dtype.kind not in "OT"
    classes = np.asarray(values) if is_typed else np.array(given)
    if getattr(values, "ndim", 1) == 2:  # scikit-learn's warning of it
        classes = column_or_1d(classes.reshape(-1, 1), warn=True)
    if classes.dtype.kind == "f":
        assert_all_finite(classes, input_name=name)
    if given and (kind := type_of_target(classes, input_name=name)) not in ("binary", "multiclass"):
        raise ValueError(f"Unknown label type: {kind}. {name}: {REGRESSION}")
    return classes


def as_speakers(
    values: Any, name: str = "groups", *, fractions: bool = False, unknown: bool = False
) -> npt.NDArray[Any]:
    """Return speaker labels as text, each as long as it is; whole numbers are taken too.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
        Text or whole numbers. 3, 3.0 and "3.0" are the same speaker as "3": a column of numbers
        with gaps is read as floats.
    name : str
        What they are called, for errors: "groups", "the column speaker".
    fractions : bool
        Whether numbers that are not whole, and dates, are taken as well: of sessions, of
        sentences.
    unknown : bool
        Whether values may be missing.

    Returns
    -------
    speakers : ndarray of str of shape (n_clips,)
        Of objects with ``unknown=True``, None where they are missing.

    Raises
    ------
    ValueError
        If speakers are missing, are neither text nor whole numbers, or are text that is numbers
        which are not all whole.
    """
    convert = _speaker_or_number if fractions else _speaker
    speakers = _converted(values, name, "speaker", convert, unknown)
    texts = [speaker for speaker in speakers if speaker is not None]
    rows = [i for i, text in enumerate(speakers) if text is not None and not _is_whole(text)]
    if not fractions and rows and all(NUMBER.fullmatch(text) for text in texts):
        raise ValueError(
            f"{name}: {len(rows)} of {len(speakers)} clips have a number that is not whole as "
            f"speaker ({rows_named(rows)}; the first is {speakers[rows[0]]!r}). Is it another "
            "column? If these are speakers' codes, put a letter before each."
        )
    return np.array(speakers, dtype=object if unknown else str)


def composed(text: str) -> str:
    """Return text in composed Unicode (NFC): file names of a Mac are decomposed."""
    return unicodedata.normalize("NFC", text)


def most_probable(classes: npt.NDArray[Any], probabilities: Any) -> npt.NDArray[Any]:
    """Return the class with the highest probability (or score) of each clip.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    probabilities : array-like of shape (n_clips, n_classes)

    Raises
    ------
    ValueError
        If a clip has NaN, as one that could not be used: it has no most probable class.
    """
    unknown = np.isnan(probabilities).any(axis=1)
    if unknown.any():
        rows = np.flatnonzero(unknown).tolist()
        raise ValueError(
            f"{len(rows)} of {len(unknown)} clips cannot be used, so that they have no label "
            f"({rows_named(rows)}). Leave them out; predict_proba gives them NaN."
        )
    return classes[np.argmax(probabilities, axis=1)]


class _Refused(Exception):
    """A value that is no label: what it is instead, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)


def _converted(
    values: Any, name: str, what: str, convert: Callable[[Any], Any], unknown: bool = False
) -> list[Any]:
    """Return what `convert` makes of each value; raise an error if any is missing or refused.

    With `unknown`, None stands for what is missing.
    """
    given = as_list(values)
    if not unknown:
        refuse_missing(given, name, what)
    found: list[Any] = []
    refused: dict[tuple[str, str], list[int]] = {}
    for i, value in enumerate(given):
        try:
            found.append(None if unknown and missing_value(value) else convert(value))
        except _Refused as refusal:
            refused.setdefault(refusal.args, []).append(i)
    for (instead, remedy), rows in refused.items():
        raise ValueError(
            f"{name}: {len(rows)} of {len(given)} clips have {instead} as {what} "
            f"({rows_named(rows)}; the first is {given[rows[0]]!r:.60}). {remedy}"
        )
    return found


def _label(value: Any) -> str:
    if isinstance(value, Number) and not isinstance(value, (bool, np.bool_)):
        raise _Refused("a number", REGRESSION)
    return _text(value)


def _class(value: Any) -> Any:
    return value if isinstance(value, (Number, np.bool_, str, bytes)) else _text(value)


def _speaker_or_number(value: Any) -> str:
    try:
        return _speaker(value)
    except _Refused:
        if isinstance(value, (Real, date)):
            return str(value)
        raise


def _speaker(value: Any) -> str:
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        if not float(value).is_integer():
            raise _Refused("a number that is not whole", "Is it another column?")
        return str(int(value) if isinstance(value, Integral) else int(float(value)))
    return _without_fraction(_text(value))


def _without_fraction(text: str) -> str:
    """Return "1" of "1.0", and other text as it is."""
    whole = WHOLE_AS_TEXT.fullmatch(text)
    return whole[1] if whole else text


def _is_whole(text: str) -> bool:
    """Tell whether text is a whole number, as "-1" and "2.0" are."""
    return bool(NUMBER.fullmatch(text)) and float(text.replace(",", ".")).is_integer()


def _refuse_numbers(texts: Sequence[str], name: str) -> None:
    """Raise an error if all texts are numbers."""
    if texts and all(NUMBER.fullmatch(text) for text in texts):
        raise ValueError(
            f"{name}: all {len(texts)} clips have a number as label, the first is {texts[0]!r}. "
            f"{REGRESSION}"
        )


def _refuse_spellings(texts: Iterable[str], name: str) -> None:
    """Raise an error if two texts are the same number, one of them with a fraction of 0."""
    spelt: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        other = spelt.setdefault(_without_fraction(text), text)
        if other != text:
            raise ValueError(
                f"{name}: the labels {other!r} and {text!r} are the same number. Write it one way."
            )


def _text(value: Any) -> str:
    if isinstance(value, (bytes, np.bytes_)):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise _Refused("bytes that are not UTF-8", "Decode them.") from None
    if isinstance(value, (str, bool, np.bool_)):
        return composed(str(value).strip())
    if isinstance(value, Collection) or hasattr(value, "__array__"):
        raise _Refused("several values", "One is expected: choose one, or leave these clips out.")
    raise _Refused(f"a value of type {type(value).__name__}", "Text is expected.")


# Each emotion's label in the schemes "four" and "ekman" (None: dropped), and its arousal and
# valence, as high or low and positive or negative.
EMOTIONS: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "anger": ("anger", "anger", "high", "negative"),
    "happiness": ("happiness", "happiness", "high", "positive"),
    "sadness": ("sadness", "sadness", "low", "negative"),
    "neutral": ("neutral", "neutral", "low", "positive"),
    "fear": (None, "fear", "high", "negative"),
    "disgust": (None, "disgust", "low", "negative"),
    "surprise": (None, "surprise", "high", "positive"),
    "boredom": (None, None, "low", "negative"),
    "calm": ("neutral", "neutral", "low", "positive"),
    "excitement": ("happiness", "happiness", "high", "positive"),
    "frustration": (None, None, "high", "negative"),
    "contempt": (None, None, None, "negative"),
    "other": (None, None, None, None),
    "no agreement": (None, None, None, None),
}
# What corpora and toolkits call them.
_ALIASES = {
    "anger": ("angry", "ang", "rage", "wut", "ärger"),
    "happiness": ("happy", "hap", "joy", "joyful", "freude"),
    "sadness": ("sad", "trauer"),
    "neutral": ("neu",),
    "fear": ("fearful", "fea", "anxiety", "anxious", "angst"),
    "disgust": ("disgusted", "dis", "ekel"),
    "surprise": ("surprised", "sur", "ps", "pleasant_surprise", "pleasant_surprised"),
    "boredom": ("bored", "boredem", "langeweile"),
    "calm": ("calmness",),
    "excitement": ("excited", "exc"),
    "frustration": ("frustrated", "fru"),
    "contempt": ("contemptuous",),
    "other": ("oth",),
    "no agreement": ("xxx",),
}
CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}


def canonical(label: Any) -> Any:
    """Return this package's name of an emotion; the label in lower case if it is another.

    What is no text is returned as it is: `as_corpus` refuses it, with its rows.
    """
    if not isinstance(label, str):
        return label
    label = composed(label.strip()).lower()
    return CANONICAL.get(label, label)


def find_speaker_column(speaker: int | str, n_columns: int, names: Sequence[str]) -> int:
    """Return the position of the column, from 0.

    Parameters
    ----------
    speaker : int or str
        Its position; or its name, or what its name ends in after the ``__`` that ColumnTransformer
        puts there.
    n_columns : int
        Number of columns of X.
    names : sequence of str
        Their names, if they have any.
    """
    if isinstance(speaker, str):
        found = [i for i, name in enumerate(names) if name.rpartition("__")[2] == speaker]
        found = found or [i for i, name in enumerate(names) if name == speaker]
        if len(found) != 1:
            raise ValueError(
                f"X has {len(found) or 'no'} columns called {speaker!r}, only one would do: it "
                f"has {list(names)[:5] or 'no names'}."
            )
        speaker = found[0]
    if not -n_columns <= speaker < n_columns or n_columns < 2:
        raise ValueError(
            f"speaker={speaker!r} is no column of X beside features: X has {n_columns} feature(s)."
        )
    return speaker % n_columns

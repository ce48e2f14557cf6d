"""From recordings to rows that say when which emotion is recognised, and how far that holds."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone

from sklearn_ser._audio import Clip, as_clips, items_of
from sklearn_ser._utils import Number, printable
from sklearn_ser.exceptions import ClipError
from sklearn_ser.recognition._windows import Piece, pieces_of

__all__ = ["rows_of"]

INTERVAL = Number(Real, 0.01, None, closed="left")  # seconds
SHARE = Number(Real, 0, 1, closed="both")
AT_ONCE = 32  # pieces, so that memory stays bounded
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}]"

Row = dict[str, Any]


def rows_of(
    recognizer: Any,
    recordings: Any,
    *,
    window: float | str | None = "auto",
    hop: float | None = None,
    abstain: float | None = 0.95,
    verbose: bool = False,
) -> Iterator[list[Row]]:
    """Yield rows, some at a time; see `EmotionRecognizer.recognize`.

    A recording, or a window, that cannot be used is a row that says why.
    """
    from tqdm.auto import tqdm

    length, longest = _window(window, recognizer.seconds_)
    for name, value in (("window", length), ("hop", hop)):
        if value is not None and not INTERVAL.is_satisfied_by(value):
            raise ValueError(
                f"{name}={value!r}; it must be a positive number of seconds, 0.01 or more."
            )
    if hop is not None and length is None:
        raise ValueError(f"hop={hop!r} has no effect: window=None takes whole recordings.")
    if abstain is not None and not SHARE.is_satisfied_by(abstain):
        raise ValueError(f"abstain={abstain!r}; it must be a share from 0 to 1, or None.")
    clips = as_clips(items_of(recordings))
    hearing = _Hearing(recognizer, abstain)
    pieces = ((clip, piece) for clip in clips for piece in pieces_of(clip, length, hop, longest))
    total = sum(clip.seconds() for clip in clips) if verbose else 0.0
    shown = {"desc": "recognize", "bar_format": BAR, "disable": not verbose}
    with tqdm(total=total, **shown) as progress:
        while part := list(itertools.islice(pieces, AT_ONCE)):
            yield hearing(part)
            covered = sum((p.end or 0) - (p.start or 0) for _, p in part)
            progress.update(min(covered, total - progress.n))


def _window(window: float | str | None, seconds: tuple[float, float]) -> tuple[float | None, float]:
    """Return the length of windows, and of the longest recording that is taken at once."""
    if window is None:
        return None, math.inf
    if isinstance(window, str):
        if window != "auto":
            raise ValueError(f'window={window!r}; it must be seconds, "auto" or None.')
        if not seconds[0]:
            raise ValueError("it is not known how long the training clips are: set window.")
        return seconds
    return window, window


class _Hearing:
    """A recognizer whose embedders say of a piece that cannot be used that it cannot be."""

    def __init__(self, recognizer: Any, abstain: float | None) -> None:
        self.recognizer, self.abstain = clone_fitted(recognizer), abstain
        self.classes = recognizer.classes_

    def __call__(self, part: Sequence[tuple[Clip, Piece]]) -> list[Row]:
        usable = [i for i, (_, piece) in enumerate(part) if piece.error is None]
        sounds = [part[i][1].sound for i in usable]
        rows = [self._blank(clip, piece) for clip, piece in part]
        if not sounds:
            return rows
        chances = self.recognizer.predict_proba(sounds)
        far = self.recognizer.detector_.quantiles(sounds)
        for i, sound, chance, quantile in zip(usable, sounds, chances, far, strict=True):
            self._fill(rows[i], part[i][0], sound, chance, quantile)
        return rows

    def _blank(self, clip: Clip, piece: Piece) -> Row:
        return {
            "recording": printable(
                clip.name if not hasattr(clip.source, "suffix") else str(clip.source)
            ),
            "start": piece.start,
            "end": piece.end,
            "emotion": None,
            **dict.fromkeys(self.classes.tolist(), np.nan),
            "out_of_domain": np.nan,
            "note": "" if piece.error is None else printable(str(piece.error)),
        }

    def _fill(self, row: Row, clip: Clip, sound: Any, chance: Any, quantile: float) -> None:
        row["out_of_domain"] = float(quantile)
        if np.isnan(chance).any() or np.isnan(quantile):
            row["note"] = printable(str(self._why(clip, sound)))
        elif self.abstain is not None and quantile > self.abstain:
            row["note"] = "abstained: unlike the speech of training"
        else:
            row["emotion"] = self.classes[chance.argmax()]
            row |= dict(zip(self.classes.tolist(), chance.tolist(), strict=True))

    def _why(self, clip: Clip, sound: Any) -> ClipError:
        for embedder in (self.recognizer.embedder_, *self.recognizer.detector_.views_):
            strict = clone(embedder)
            strict.set_params(**dict.fromkeys(error_parameters(strict), "raise"))
            try:
                strict.fit_transform([sound])
            except ClipError as error:
                return clip.error(error.cause, error.cure)
        return clip.error("its features are not finite", "Leave it out.")


def clone_fitted(recognizer: Any) -> Any:
    """Return a recognizer with embedders of its own, which give NaN for what they cannot use."""
    own = copy.deepcopy(recognizer)
    for embedder in (own.embedder_, *own.detector_.views_):
        embedder.set_params(**dict.fromkeys(error_parameters(embedder), "nan"))
    return own


def error_parameters(embedder: Any) -> list[str]:
    """Return the names of the parameters that say what a clip that cannot be used does."""
    return [name for name in embedder.get_params() if name.endswith("on_error")]

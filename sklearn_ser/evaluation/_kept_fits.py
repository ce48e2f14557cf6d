"""Fits that are kept on disk, so that a comparison fits only what is missing.

A file a fit, plain JSON, is written to a temporary file and renamed. Its name is a digest of all
that the predictions depend on.
"""

from __future__ import annotations

import json
import math
import os
import platform
import pydoc
import re
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy

from sklearn_ser._audio import as_clips, items_of
from sklearn_ser._utils import digest_of, source_files, warn, write_atomically
from sklearn_ser.evaluation._clip_classifiers import AsPredicted
from sklearn_ser.evaluation._recipes import (
    installed_versions,
    recipe_of_classifier,
    why_not_repeatable,
)

__all__ = ["Fit", "KeptFits", "Keys"]

FIT_VERSION = 3  # raise it when what is fitted of the same settings changes


class Fit(NamedTuple):
    """What is kept of one fold of one row."""

    predicted: list[Any]  # emotions, or ratings
    #: The probability of each predicted emotion, NaN where it has none; None without probabilities.
    confidence: list[float] | None
    seconds: float
    #: Score inside the training fold by `Task.inner`; NaN where it cannot be split.
    inner: dict[str, float]
    #: Class and text of each warning.
    warnings: list[tuple[str, str]]

    def warn(self) -> None:
        """Give the warnings of the fit."""
        for category, text in self.warnings:
            found: Any = pydoc.locate(category)
            warn(text, found or UserWarning)


class KeptFits:
    """A folder of fits, which any number of processes may read and write at once."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # Worker processes may have been started in another working directory.
        self.folder = Path(folder).expanduser().absolute()
        self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, key: str | None) -> Fit | None:
        """Return a fit that is kept; None if it is not, or its file is damaged."""
        if key is None:
            return None
        with suppress(OSError, ValueError, TypeError):
            found = Fit(**json.loads(self._path(key).read_text(encoding="utf-8")))
            inner = {name: math.nan if v is None else v for name, v in found.inner.items()}
            return found._replace(inner=inner)
        return None

    def save(self, key: str, fit: Fit) -> None:
        """Keep a fit, in place of an earlier one."""
        inner = {name: None if math.isnan(v) else v for name, v in fit.inner.items()}
        text = json.dumps({**fit._asdict(), "inner": inner})
        write_atomically(self._path(key), text.encode())

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


class Keys:
    """Makes the keys of fits on one corpus.

    Parameters
    ----------
    labels : ClipLabels
        Emotions, speakers and corpora of the clips.
    waveform_rate : float or None
        Sampling rate of bare waveforms.
    """

    def __init__(self, labels: Any, waveform_rate: float | None) -> None:
        values = [None if each is None else np.asarray(each).tolist() for each in labels]
        self._common = _digest(
            [FIT_VERSION, values, installed_versions(), scipy.__version__, platform.machine()]
        )
        self._waveform_rate = waveform_rate
        self._of_object: dict[int, tuple[Any, str | None]] = {}

    def of(self, task: Any) -> str | None:
        """Return the key of a task; None if what it depends on is not known."""
        values = self._once(task.values, self._of_values)
        classifier = self._once(task.classifier, self._of_classifier)
        if values is None or classifier is None:
            return None
        folds = [
            digest_of(np.asarray(side, dtype=np.int64).tobytes())
            for side in (task.train, task.test)
        ]
        how = [task.speaker_scaling, task.alignment]
        return _digest([self._common, values, classifier, folds, how])

    def _once(self, value: Any, make: Any) -> str | None:
        """Return what is made of an object, which is kept so that its identity stays its own."""
        if id(value) not in self._of_object:
            self._of_object[id(value)] = value, make(value)
        return self._of_object[id(value)][1]

    def _of_values(self, values: Any) -> str | None:
        """Return the digest of features, or of clips."""
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            return digest_of(f"{values.shape} {values.dtype}", np.ascontiguousarray(values))
        columns = None
        if hasattr(values, "columns"):
            columns, values = list(values.columns), values["clip"].to_list()
        try:
            clips = as_clips(items_of(values), self._waveform_rate)
            return _digest([columns, [clip.digest() for clip in clips]])
        except (TypeError, ValueError):  # no clips
            return None

    def _of_classifier(self, classifier: Any) -> str | None:
        if isinstance(classifier, AsPredicted):  # of which nothing is fitted
            return None
        if not isinstance(classifier, str) and (reason := why_not_repeatable(classifier)):
            warn(
                f"fits of {type(classifier).__name__} are not kept in memory: {reason}.",
            )
            return None
        recipe = json.dumps(recipe_of_classifier(classifier), sort_keys=True)
        places = set(re.findall(r'"(?:class|object)": "([^"]+)\.', recipe))
        roots = {place.partition(".")[0] for place in places}
        versions = {root: str(getattr(sys.modules.get(root), "__version__", "")) for root in roots}
        return _digest([recipe, versions, _digests_of_modules(places)])


def _digests_of_modules(names: set[str]) -> dict[str, str]:
    """Return the SHA-256 of the user's own modules, and of those that they import."""
    found: dict[str, str] = {}
    missing = {*names}
    while missing:
        name = missing.pop()
        file = source_files(types.SimpleNamespace(__module__=name)).get(name)
        if file is None or name in found:
            continue
        found[name] = file["sha256"]
        for value in [*vars(sys.modules[name]).values()]:
            is_module = isinstance(value, types.ModuleType)
            missing.add(str(getattr(value, "__name__" if is_module else "__module__", None)))
    return found


def _digest(value: Any) -> str:
    return digest_of(json.dumps(value, sort_keys=True))

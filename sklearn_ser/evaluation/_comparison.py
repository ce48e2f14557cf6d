"""What a comparison found."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser._utils import remove_figure

__all__ = ["FIGURES", "Comparison", "row_name", "save", "versions"]

FIGURES = ("uar.png", "confusion_matrix.png")  # what the command line draws into the same folder

PACKAGES = ("sklearn-ser", "scikit-learn", "torch", "transformers", "librosa", "opensmile", "numpy")


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds: corpus, n_clips, n_speakers, cv, classifier, versions, and
        ``rows``, one a feature set and layer, with what to make their embedders from.
    predictions : DataFrame
        One line a row of the results and a tested clip: row, fold, clip (its position),
        speaker, emotion, predicted.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    >>> comparison.results["rows"][comparison.best]["features"]
    'mfcc'
    >>> comparison.save(tempfile.mkdtemp())
    """

    results: dict[str, Any]
    predictions: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame."""
        return pd.DataFrame(self.results["rows"])

    @property
    def best(self) -> int:
        """Index of the row with the highest UAR."""
        return int(np.argmax([row["uar"] for row in self.results["rows"]]))

    @property
    def title(self) -> str:
        """What was compared and how; marked if the scores do not hold for new speakers."""
        results = self.results
        how = [
            f"{results['corpus']}: {results['n_clips']} clips of {results['n_speakers']} speakers",
            f"{len(results['emotions'])} emotions",
            results["cv"],
            results["classifier"],
        ]
        if results["speaker_scaling"] is not None:
            kind = "transductive" if results["speaker_scaling"] == "own" else "inductive"
            how.append(f"scaled per speaker ({kind})")
        if results["alignment"] is not None:
            how.append(f"aligned by {results['alignment']} (transductive)")
        if not results["audit"]["speaker_independent"]:
            how.append("NOT speaker-independent")
        if results["audit"]["shares_audio"]:
            how.append("SAME AUDIO trained on and tested")
        return ", ".join(how)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``results.json`` and ``predictions.csv``.

        Parameters
        ----------
        folder : str or path-like
            Made if it is not there. Both files of an earlier comparison in it are replaced, and
            the figures that the command line drew of that one are removed.
        """
        save(self.results, self.predictions, folder)


def row_name(row: dict[str, Any]) -> str:
    """Return what the features of a row are called, with the model, if there is one.

    A model is called by its id on the hub, or by the last part of its folder.
    """
    model = row["model"]
    if not model or model == row["features"]:
        return str(row["features"])
    path = Path(model)
    if path.is_absolute() or len(path.parts) > 2 or path.exists() or model.startswith((".", "~")):
        model = path.name
    return f"{row['features']} ({model})"


def save(
    results: dict[str, Any], predictions: pd.DataFrame, folder: str | os.PathLike[str]
) -> None:
    """Write ``results.json`` and ``predictions.csv`` into a folder, in place of earlier ones."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, allow_nan=False)
    # No file of an earlier comparison stays beside those of this one, even if it is killed here.
    for name in ("results.json", "predictions.csv"):
        Path(folder, name).unlink(missing_ok=True)
    for name in FIGURES:
        remove_figure(Path(folder, name))
    predictions.to_csv(Path(folder, "predictions.csv"), index=False)
    Path(folder, "results.json").write_text(text + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Return the versions of what a score hangs on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

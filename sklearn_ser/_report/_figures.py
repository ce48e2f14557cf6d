"""The figures of a comparison, as files and as SVG inside of a page."""

from __future__ import annotations

import importlib.util
import io
import os
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sklearn_ser._utils import is_missing, write_figure

if TYPE_CHECKING:
    import pandas as pd

    from sklearn_ser.evaluation import Comparison

__all__ = ["Drawn", "figures_of", "inline_svg", "written_figures"]


class Drawn(NamedTuple):
    """A figure, what it shows in words, and the display whose numbers are in tables, too."""

    figure: Any
    text: str
    display: Any = None


def figures_of(comparison: Comparison, clips: pd.DataFrame) -> dict[str, Drawn]:
    """Return the figures of a comparison by name; none without matplotlib.

    Parameters
    ----------
    comparison : Comparison
    clips : DataFrame
        What `clips_of` returned, for what else the map of embeddings is probed for.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return {}
    from sklearn_ser.evaluation import confident_rows, row_name
    from sklearn_ser.plotting import (
        ComparisonDisplay,
        DifferencesDisplay,
        RecallDisplay,
        ReliabilityDisplay,
        RiskCoverageDisplay,
        SpeakersDisplay,
        best_of_each,
        off_screen,
    )

    best = comparison.rows[comparison.best]
    named = row_name(best, comparison.rows)
    unknown = comparison.n_speakers is None
    metric, chance = best.metric, f"; chance is {comparison.chance:.3f}."
    displays: dict[str, tuple[Any, str]] = {
        best.score_field: (
            ComparisonDisplay,
            f"{metric} of each row with its interval. The best is {named} with {best.score:.3f}"
            + ("." if comparison.of_ratings else chance),
        ),
        "differences": (
            DifferencesDisplay,
            f"Difference in {metric} of each other row to {named}, with its interval, paired by "
            f"{'fold' if unknown else 'speaker'}. The table of scores holds the same figures.",
        ),
        "recall": (
            RecallDisplay,
            "Recall of each emotion with its interval, for the best layer of each feature set.",
        ),
        "speakers": (
            SpeakersDisplay,
            f"{metric} of each speaker as a point, for the best layer of each feature set.",
        ),
        "reliability": (
            ReliabilityDisplay,
            "Accuracy of predictions by their confidence, and the number of clips, for the best "
            "layer of each feature set. The table holds calibration errors.",
        ),
        "risk_coverage": (
            RiskCoverageDisplay,
            "Error rate of the clips that are kept, by their share, for the best layer of each "
            "feature set. The table holds areas under the curve.",
        ),
    }
    if len(comparison.rows) == 1:
        del displays["differences"]
    if comparison.of_ratings:
        del displays["recall"]
    if comparison.of_ratings or not confident_rows(comparison, best_of_each(comparison.rows))[0]:
        del displays["reliability"], displays["risk_coverage"]
    if unknown:
        del displays["speakers"]
    drawn = {}
    with off_screen():
        for name, (display, text) in displays.items():
            found = display.from_comparison(comparison)
            drawn[name] = Drawn(found.figure_, text, found)
        if comparison.of_ratings:
            text = f"Ratings predicted by {named} against the true ones, a point a clip."
            return {**drawn, "ratings": Drawn(_predicted_ratings(comparison, named), text)}
        drawn |= _embedding_map(comparison, clips)
        figure = _confusion_matrix(comparison, named)
    return {**drawn, "confusion_matrix": Drawn(figure, f"Confusion matrix of {named}.")}


def _embedding_map(comparison: Comparison, clips: pd.DataFrame) -> dict[str, Drawn]:
    """Return the map of the features of the best row that has some, if they are at hand."""
    from sklearn_ser.evaluation import best_with_features, row_name
    from sklearn_ser.plotting import EmbeddingMapDisplay

    position = best_with_features(comparison.rows)
    unknown = comparison.n_speakers is None
    if comparison.embeddings is None or position is None or unknown:
        return {}
    X = comparison.embeddings.loc[clips.index].to_numpy()
    if len(X) < 3 or not np.ptp(X, axis=0).any():  # of which there is no map
        return {}
    known = {"sex": "sex", "text": "sentence", "durations": "duration"}
    columns: dict[str, Any] = {
        name: clips[column]
        for name, column in known.items()
        if column in clips and not is_missing(clips[column]).any()
    }
    found = EmbeddingMapDisplay.from_embeddings(X, clips["emotion"], clips["speaker"], **columns)
    name = row_name(comparison.rows[position], comparison.rows)
    text = (
        f"The features of the best row, {name}, standardised, on their first two principal "
        f"components: a point a clip, by emotion and, the same points, by speaker (n = {len(X):,} "
        "clips). The table says what is read from all of their dimensions."
    )
    return {"embedding_map": Drawn(found.figure_, text, found)}


def _predicted_ratings(comparison: Comparison, named: str) -> Any:
    """Draw what the best row predicts against the ratings, all folds together."""
    from matplotlib.ticker import AutoLocator
    from sklearn.metrics import PredictionErrorDisplay

    from sklearn_ser.plotting import INK, new_figure, series_style, wrapped

    predictions, size = comparison.predictions, 5.5
    best = predictions[predictions["row"] == comparison.best]
    ax = new_figure(size, size).add_subplot()
    PredictionErrorDisplay(y_true=best["emotion"], y_pred=best["predicted"]).plot(
        ax=ax,
        kind="actual_vs_predicted",
        scatter_kwargs={"color": series_style(0)["color"], "alpha": 0.6, "s": 18, "linewidth": 0},
        line_kwargs={"color": INK, "linestyle": "--"},
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(AutoLocator())
    ax.set_xlabel("predicted rating")
    ax.set_ylabel("true rating")
    score = comparison.rows[comparison.best].score
    title = f"{comparison.title}: {named}: CCC {score:.3f}, n = {best['clip'].nunique()} clips"
    ax.set_title(wrapped(title, size - 1.5), fontsize=9)
    return ax.figure


def _confusion_matrix(comparison: Comparison, named: str) -> Any:
    """Draw the confusion matrix of the best row, all folds together."""
    from sklearn.metrics import ConfusionMatrixDisplay

    from sklearn_ser.plotting import new_figure, wrapped

    predictions = comparison.predictions
    best = predictions[predictions["row"] == comparison.best]
    size = max(4.5, 0.7 * len(comparison.emotions) + 2.5)
    ax = new_figure(size, size).add_subplot()
    ConfusionMatrixDisplay.from_predictions(
        best["emotion"],
        best["predicted"],
        labels=comparison.emotions,
        display_labels=[wrapped(emotion, 1.6) for emotion in comparison.emotions],
        normalize="true",
        values_format=".2f",
        cmap="Blues",
        colorbar=False,
        xticks_rotation="vertical",
        ax=ax,
    )
    row = comparison.rows[comparison.best]
    title = f"{comparison.title}: {named}: UAR {row.score:.3f}, {row.averaging}; "
    ax.set_title(wrapped(f"{title}below, all folds together", size - 1.5), fontsize=9)
    return ax.figure


def written_figures(
    figures: dict[str, Drawn], folder: str | os.PathLike[str], formats: Sequence[str]
) -> list[str]:
    """Write figures in each format, and return the names of the files."""
    names = []
    for name, drawn in figures.items():
        for suffix in formats:
            names.append(f"{name}.{suffix}")
            write_figure(drawn.figure, Path(folder, names[-1]))
    return names


def inline_svg(drawn: Drawn, name: str) -> str:
    """Return a figure as an SVG element, whose text and axes have the colour of the page's text."""
    from sklearn_ser.plotting import INK

    file = io.StringIO()
    drawn.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    # Names of parts are those of this figure alone in the page.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    svg = svg.replace(INK, "currentColor")
    start = f'<svg role="img" aria-label="{escape(drawn.text)}" '
    width = re.search(r'width="([\d.]+)pt"', svg)
    assert width is not None
    start += f'style="max-width: {float(width[1]) * 1.4:.0f}px" '
    svg = re.sub(r'(width|height)="[\d.]+pt" ', "", svg, count=2)
    return svg.replace("<svg ", start, 1)

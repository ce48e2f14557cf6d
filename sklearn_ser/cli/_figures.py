"""Figures that are written beside results."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from sklearn_ser._utils import FIGURES, write_figure
from sklearn_ser.evaluation import Comparison

__all__ = ["save_figures"]


def save_figures(comparison: Comparison, folder: str | os.PathLike[str]) -> list[str]:
    """Write the UAR by layer and the best row's confusion matrix as PNG; return their names."""
    if importlib.util.find_spec("matplotlib") is None:
        print("No figures: matplotlib is missing; pip install 'sklearn-ser[plot]'.")
        return []
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    from sklearn_ser.plotting import ComparisonDisplay

    display = ComparisonDisplay.from_comparison(comparison)
    path, path_of_matrix = (Path(folder, name) for name in FIGURES)
    write_figure(display.figure_, path)
    predictions = comparison.predictions
    best = predictions[predictions["row"] == comparison.best]
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    ax = figure.add_subplot()
    ConfusionMatrixDisplay.from_predictions(
        best["emotion"],
        best["predicted"],
        normalize="true",
        values_format=".2f",
        cmap="Blues",
        colorbar=False,
        ax=ax,
    )
    row = comparison.rows[comparison.best]
    layer = "" if row.layer is None else f", layer {row.layer}"
    title = f"{comparison.title}\n{row.name}{layer}: UAR {row.uar:.3f}, {row.averaging}"
    title += "; below, all folds together"
    ax.set_title(title, fontsize="small", wrap=True)
    write_figure(figure, path_of_matrix)
    return list(FIGURES)

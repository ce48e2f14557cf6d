"""A comparison on the terminal and as figures."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sklearn_ser.evaluation._compare import Comparison

__all__ = ["print_store", "print_table", "save_figures"]


def print_table(comparison: Comparison) -> None:
    """Print the rows of a comparison, the best in bold."""
    results = comparison.results
    table = Table(
        title=f"{results['corpus']}: {results['n_clips']} clips of {results['n_speakers']} "
        f"speakers, {len(results['emotions'])} emotions, {results['cv']}, {results['classifier']}",
        caption="UAR: unweighted average recall, mean over folds; interval: 95 %, resampling "
        f"speakers. Chance is {1 / len(results['emotions']):.3f}. Seconds to extract (all layers "
        "at once) and to fit.",
    )
    for name in ("features", "layer", "UAR", "95 % interval", "accuracy", "macro F1", "seconds"):
        table.add_column(name, justify="left" if name == "features" else "right", no_wrap=True)
    for position, row in enumerate(results["rows"]):
        interval = row["uar_ci"]
        table.add_row(
            row["features"],
            "" if row["layer"] is None else str(row["layer"]),
            f"{row['uar']:.3f}",
            "" if interval is None else f"{interval[0]:.3f}–{interval[1]:.3f}",
            f"{row['accuracy']:.3f}",
            f"{row['macro_f1']:.3f}",
            f"{row['seconds_extract']:.1f}+{row['seconds_fit']:.1f}",
            style="bold" if position == comparison.best else None,
        )
    Console().print(table)
    left_out = results["n_clips_left_out"]
    if left_out:
        Console().print(f"{left_out} clips could not be used and were left out of every row.")


def save_figures(comparison: Comparison, folder: str | os.PathLike[str]) -> list[str]:
    """Write the UAR by layer and the best row's confusion matrix as PNG; return their names."""
    if importlib.util.find_spec("matplotlib") is None:
        Console().print("No figures: matplotlib is missing; pip install 'sklearn-ser\\[plot]'.")
        return []
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    from sklearn_ser.plotting import ComparisonDisplay

    display = ComparisonDisplay.from_comparison(comparison)
    display.figure_.savefig(Path(folder, "uar.png"), dpi=150)
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
    row = comparison.results["rows"][comparison.best]
    layer = "" if row["layer"] is None else f", layer {row['layer']}"
    ax.set_title(f"{row['features']}{layer}: UAR {row['uar']:.3f}", fontsize="medium")
    figure.savefig(Path(folder, "confusion_matrix.png"), dpi=150)
    return ["uar.png", "confusion_matrix.png"]


def print_store(store: Any) -> None:
    """Print what a store holds, a line a set of settings."""
    table = Table(title=str(store.folder))
    for name in ("records of", "clips", "MB"):
        table.add_column(name, justify="left" if name == "records of" else "right")
    for records in store.list():
        clips, size = records.size()
        table.add_row(records.folder.name, str(clips), f"{size / 1e6:.1f}")
    clips, size = store.size()
    table.add_row("all", str(clips), f"{size / 1e6:.1f}", style="bold")
    Console().print(table)

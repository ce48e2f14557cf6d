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

from sklearn_ser._utils import write_figure

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = ["Drawn", "figures_of", "inline_svg", "written_figures"]


class Drawn(NamedTuple):
    """A figure, and what it shows in words."""

    figure: Any
    text: str


def figures_of(comparison: Comparison) -> dict[str, Drawn]:
    """Return the figures of a comparison by name; none without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return {}
    from sklearn_ser.evaluation import row_name
    from sklearn_ser.plotting import (
        ComparisonDisplay,
        DifferencesDisplay,
        RecallDisplay,
        SpeakersDisplay,
        off_screen,
    )

    best = comparison.rows[comparison.best]
    named = row_name(best, comparison.rows)
    displays: dict[str, tuple[Any, str]] = {
        "uar": (
            ComparisonDisplay,
            f"UAR of each row with its interval. The best is {named} with {best.uar:.3f}; chance "
            f"is {comparison.chance:.3f}.",
        ),
        "differences": (
            DifferencesDisplay,
            f"Difference in UAR of each other row to {named}, with its interval, paired by "
            "speaker. The table of scores holds the same figures.",
        ),
        "recall": (
            RecallDisplay,
            "Recall of each emotion with its interval, for the best layer of each feature set.",
        ),
        "speakers": (
            SpeakersDisplay,
            "UAR of each speaker as a point, for the best layer of each feature set.",
        ),
    }
    if len(comparison.rows) == 1:
        del displays["differences"]
    with off_screen():
        drawn = {
            name: Drawn(display.from_comparison(comparison).figure_, text)
            for name, (display, text) in displays.items()
        }
        figure = _confusion_matrix(comparison, named)
    return {**drawn, "confusion_matrix": Drawn(figure, f"Confusion matrix of {named}.")}


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
    title = f"{comparison.title}: {named}: UAR {row.uar:.3f}, {row.averaging}; "
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

"""The page itself: a template of jinja2, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sklearn_ser._report import _content as content
from sklearn_ser._report._figures import Drawn, figures_of, inline_svg
from sklearn_ser.plotting import best_of_each

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = ["render_report"]


def render_report(
    comparison: Comparison,
    *,
    corpus: Any = None,
    command: str | None = None,
    figures: Mapping[str, Drawn] | None = None,
) -> str:
    """Return the report of a comparison, as HTML that needs no other file.

    Parameters
    ----------
    comparison : Comparison
    corpus : Bunch, default=None
        The corpus that was compared, for durations and the speakers' sexes.
    command : str, default=None
        The command line that made the comparison.
    figures : mapping of str to Drawn, default=None
        What `figures_of` drew; None draws them.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from sklearn_ser.evaluation import describe_nested, row_name

    loader = PackageLoader("sklearn_ser._report", "template")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    clips = content.clips_of(comparison, corpus)
    figures = figures_of(comparison) if figures is None else figures
    best = comparison.rows[comparison.best]
    rows = comparison.rows
    return environment.get_template("report.html").render(
        comparison=comparison,
        best=best,
        best_name=row_name(best, rows),
        n_features=len({row.name for row in rows}),
        notes=comparison.tables(timings=False)[0].notes,
        nested=[describe_nested(each, rows) for each in comparison.nested or []],
        corpus=content.corpus_grid(comparison, clips),
        scores=content.scores_grid(comparison),
        confusion=None if comparison.of_ratings else content.confusion(comparison),
        speakers=content.speaker_grid(comparison, clips),
        sexes=content.sex_grid(comparison, clips, best_of_each(rows)),
        figures={
            name: {"svg": inline_svg(drawn, name), "text": drawn.text}
            for name, drawn in figures.items()
            if name != "confusion_matrix"  # which is a table in the page
        },
        latex=comparison.to_latex(),
        command=command,
        settings=content.settings_of(comparison),
        made=datetime.now().astimezone().isoformat(" ", "minutes"),
    )

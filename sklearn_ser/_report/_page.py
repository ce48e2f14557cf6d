"""The page itself: a template of jinja2, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sklearn_ser._report import _content as content
from sklearn_ser._report._figures import Drawn, figures_of, inline_svg
from sklearn_ser.plotting import best_of_each

if TYPE_CHECKING:
    import pandas as pd

    from sklearn_ser.evaluation import Comparison, CorporaComparison

__all__ = ["render_corpora", "render_report"]


NO_FIGURES = "There are no figures, as matplotlib is not installed."
NO_MAP = (
    "There is no map: features are at hand only where they were compared, and are not saved; "
    "classifiers of clips have none. It is not drawn where speakers are unknown."
)


def render_report(
    comparison: Comparison,
    clips: pd.DataFrame,
    *,
    command: str | None = None,
    figures: Mapping[str, Drawn] | None = None,
) -> str:
    """Return the report of a comparison, as HTML that needs no other file.

    Parameters
    ----------
    comparison : Comparison
    clips : DataFrame
        What `clips_of` returned.
    command : str, default=None
        The command line that made the comparison.
    figures : mapping of str to Drawn, default=None
        What `figures_of` drew; None draws them.
    """
    from sklearn_ser.evaluation import describe_nested, row_name

    figures = figures_of(comparison, clips) if figures is None else figures
    displays = {name: drawn.display for name, drawn in figures.items()}
    grids = {
        "reliability": content.calibration_grid,
        "risk_coverage": content.abstaining_grid,
        "embedding_map": content.map_grid,
    }
    best = comparison.rows[comparison.best]
    rows = comparison.rows
    return _template("report.html").render(
        comparison=comparison,
        best=best,
        best_name=row_name(best, rows),
        n_features=len({row.features for row in rows}),
        notes=comparison.tables(timings=False)[0].notes,
        nested=[describe_nested(each, rows) for each in comparison.nested or []],
        corpus=content.corpus_grid(comparison, clips),
        scores=content.scores_grid(comparison),
        confusion=None if comparison.of_ratings else content.confusion(comparison),
        speakers=None if comparison.n_speakers is None else content.speaker_grid(comparison, clips),
        sexes=content.sex_grid(comparison, clips, best_of_each(rows)),
        figures={
            name: {"svg": inline_svg(drawn, name), "text": drawn.text}
            for name, drawn in figures.items()
            if name != "confusion_matrix"  # which is a table in the page
        },
        no_curves="No row has probabilities, as classifiers without predict_proba (svm) have none."
        if figures
        else NO_FIGURES,
        no_map=NO_MAP if figures else NO_FIGURES,
        grids={name: grid(displays[name]) for name, grid in grids.items() if name in displays},
        latex=comparison.to_latex(),
        command=command,
        settings=content.settings_of(comparison),
        made=datetime.now().astimezone().isoformat(" ", "minutes"),
    )


def render_corpora(
    found: CorporaComparison, *, places: Mapping[str, str], command: str | None = None
) -> str:
    """Return the page of a comparison on several corpora, which leads to the report of each.

    Parameters
    ----------
    found : CorporaComparison
    places : mapping of str to str
        Where the report of each corpus lies, from the page.
    command : str, default=None
        The command line that made it.
    """
    (table,) = found.tables(timings=False)
    ranks = found.ranks()
    return _template("corpora.html").render(
        found=found,
        places=places,
        best=next(iter(ranks.mean_ranks.index), "none has one score on every corpus"),
        table=table,
        ranks=ranks,
        metric=next(iter(found.values())).rows[0].metric,
        independent=all(each.audit["speaker_independent"] for each in found.values()),
        latex=found.to_latex(),
        command=command,
    )


def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sklearn_ser._report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)

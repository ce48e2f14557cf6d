"""A comparison as a table: plain text, Markdown, LaTeX and HTML, all of the same cells."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser.evaluation._nested import Nested, RatingNested
from sklearn_ser.evaluation._rows import (
    RatingRow,
    Row,
    features_name,
    interval_cell,
    number_cell,
    varying,
)

__all__ = ["NESTED", "Shown", "Table", "describe_nested", "row_table"]

NESTED = "nested"  # in place of a layer: it is chosen inside the training folds
Rows = Row | RatingRow
Nesteds = Nested | RatingNested
# What the first score is, which is said below a table.
EXPLAINED = {
    "UAR": "UAR: unweighted average recall",
    "CCC": "CCC: concordance correlation coefficient",
}
SAME = " ≈"  # behind the score of a row that is not different from the best one

LATEX = {
    **{sign: f"\\{sign}" for sign in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # a row that starts with one would be read as an argument of the \\ before it
    "]": "{]}",
    "*": "{*}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "≈": r"$\approx$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "…": r"\ldots{}",
    "\u202f": r"\,",
    "\u00a0": "~",
}


@dataclass(frozen=True)
class Table:
    """Cells as text, by row.

    Parameters
    ----------
    title : str
    columns : sequence of str
        Heads.
    cells : sequence of sequence of str
    notes : sequence of str
        Sentences below the table.
    n_names : int, default=1
        How many columns hold names, on the left; the others hold numbers.
    bold : frozenset of tuple of int
        Positions (row, column) of the best scores.
    """

    title: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]
    notes: Sequence[str]
    n_names: int = 1
    bold: frozenset[tuple[int, int]] = frozenset()

    def to_text(self) -> str:
        """Return lines with columns by two spaces apart."""
        heads, *rows = self._aligned([self.columns, *self.cells])
        lines = ["  ".join(row).rstrip() for row in [heads, ["-" * len(h) for h in heads], *rows]]
        return "\n".join([_one_line(self.title), "", *lines, "", *map(_one_line, self.notes)])

    def to_markdown(self) -> str:
        """Return a table of GitHub's Markdown, the title above and the notes below it."""
        marked = self._marked(_markdown, "**{}**")
        heads, *rows = self._aligned([[_markdown(name) for name in self.columns], *marked])
        rule = [
            "-" * len(head) if k < self.n_names else "-" * (len(head) - 1) + ":"
            for k, head in enumerate(heads)
        ]
        lines = [f"| {' | '.join(row)} |" for row in [heads, rule, *rows]]
        notes = " ".join(_markdown(note) for note in self.notes)
        return "\n".join([f"**{_markdown(self.title)}**", "", *lines, "", notes]) + "\n"

    def to_latex(self, label: str | None = None) -> str:
        """Return a floating table with rules of the package booktabs."""
        notes = " ".join([f"{self.title.rstrip('.')}.", *self.notes])
        align = "l" * self.n_names + "r" * (len(self.columns) - self.n_names)
        body = [f"{' & '.join(row)} \\\\" for row in self._marked(_latex, r"\textbf{{{}}}")]
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(notes)}}}",
            *([rf"\label{{{label}}}"] if label else []),
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            f"{' & '.join(map(_latex, self.columns))} \\\\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """Return a table for a notebook."""
        heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.columns)
        rows = [
            "".join(
                f'<th scope="row" style="text-align:left">{cell}</th>'
                if k == 0
                else f"<td>{cell}</td>"
                for k, cell in enumerate(row)
            )
            for row in self._marked(escape, "<strong>{}</strong>")
        ]
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        notes = "".join(f"<p>{escape(note)}</p>\n" for note in self.notes)
        return (
            f'<table>\n<caption style="text-align:left">{escape(self.title)}</caption>\n'
            f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n{notes}"
        )

    def _marked(self, escaped: Any, bold: str) -> list[list[str]]:
        return [
            [
                bold.format(escaped(cell)) if (k, column) in self.bold else escaped(cell)
                for column, cell in enumerate(row)
            ]
            for k, row in enumerate(self.cells)
        ]

    def _aligned(self, rows: Sequence[Sequence[str]]) -> list[list[str]]:
        rows = [[_one_line(cell) for cell in row] for row in rows]
        widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
        return [
            [
                cell.ljust(width) if k < self.n_names else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            for row in rows
        ]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", _one_line(text))


def _latex(text: str) -> str:
    text = re.sub(r"(?<![\w.-])-(?=\d)", "−", text)  # of negative numbers
    return "".join(LATEX.get(sign, sign) for sign in re.sub(r"[^\S\u00a0\u202f]+", " ", text))


def frame_of(comparison: Any) -> pd.DataFrame:
    """Return the scores of rows, and of layers chosen inside the training folds, as numbers."""
    lines = []
    for position, row in enumerate(comparison.rows):
        scored = _scores(row, row.layer, row, comparison.rows)
        lines.append({"row": position, **scored, **_difference(row)})
    for nested in comparison.nested or []:
        row = comparison.rows[nested.rows[0]]
        of_nested = {name: _alternative(nested, row, name) for name in ("pooling", "classifier")}
        lines.append({**_scores(row, NESTED, nested, comparison.rows), **of_nested})
    frame = pd.DataFrame(lines)
    n_speakers = comparison.n_speakers
    several = isinstance(n_speakers, dict)
    return frame.assign(n_speakers=frame["test"].map(n_speakers) if several else n_speakers)


def _scores(row: Rows, layer: Any, scored: Rows | Nesteds, rows: Sequence[Rows]) -> dict[str, Any]:
    """Return the scores of a row, or of those that are chosen from in its place."""
    low, high = scored.score_ci or (np.nan, np.nan)
    name = scored.score_field
    return {
        "features": features_name(row, rows),
        "pooling": row.pooling,
        "classifier": row.classifier,
        "layer": layer,
        "train": row.train,
        "test": row.test,
        "alignment": row.alignment,
        name: scored.score,
        f"{name}_low": low,
        f"{name}_high": high,
        **{field: getattr(scored, field) for field in scored.other_fields},
        "n_clips": row.n_test,
    }


def _difference(row: Rows) -> dict[str, Any]:
    low, high = row.difference_ci or (np.nan, np.nan)
    return {
        "difference": row.difference,
        "difference_low": low,
        "difference_high": high,
        "p_holm": row.p_holm,
        "not_worse_than_best": row.not_worse_than_best,
        "seconds_extract": row.seconds_extract,
        "seconds_fit": row.seconds_fit,
    }


def row_table(comparison: Any, digits: int, timings: bool) -> Table:
    """Return the table of a comparison on one corpus, or from one to another."""
    rows, nested = comparison.rows, comparison.nested or []
    best = max(row.score for row in rows)
    marked = any(row.p_holm is not None for row in rows)
    alternatives = [name for name in varying(rows) if name != "layer"]
    columns = ["features", *alternatives, "layer", rows[0].metric, "95 % interval"]
    columns += [*rows[0].other_fields.values(), *["seconds"] * timings]
    cells = []
    for row in [*rows, *nested]:
        is_nested = isinstance(row, Nesteds)
        its = rows[row.rows[0]] if is_nested else row
        layer = NESTED if is_nested else row.layer
        same = not is_nested and marked and row.not_worse_than_best and row.score < best
        seconds = "" if is_nested else f"{row.seconds_extract:.1f}+{row.seconds_fit:.1f}"
        cells.append(
            [
                features_name(its, rows),
                *(_alternative(row, its, name) for name in alternatives),
                "" if layer is None else str(layer),
                number_cell(row.score, digits) + (SAME if same else ""),
                interval_cell(row.score_ci, digits),
                *(number_cell(value, digits) for value in row.other_scores.values()),
                *[seconds] * timings,
            ]
        )
    bold = frozenset(
        (k, columns.index(rows[0].metric)) for k, row in enumerate(rows) if row.score == best
    )
    notes = _notes(comparison, any(SAME in cell for line in cells for cell in line))
    if timings:
        notes.append("Seconds to extract (all layers at once) and to fit.")
    return Table(comparison.title, columns, cells, notes, 1 + len(alternatives), bold)


def _alternative(row: Rows | Nesteds, its: Rows, name: str) -> str:
    """Return a row's pooling or classifier, or that it is chosen; `its` is a row chosen from."""
    several = isinstance(row, Nesteds) and len(set(getattr(row, f"{name}s"))) > 1
    return NESTED if several else str(getattr(its, name) or "")


def _notes(comparison: Any, marked: bool) -> list[str]:
    rows = comparison.rows
    why = ", as folds lack emotions: one recall an emotion" if rows[0].is_pooled else ""
    why = ", as are Pearson and RMSE" if comparison.of_ratings else why
    unknown = comparison.n_speakers is None
    unit = "folds" if unknown else "speakers"
    over = "over the folds, as speakers are unknown" if unknown else "for new speakers"
    none = "" if any(row.score_ci for row in rows) else f" (none: fewer than four {unit})"
    notes = [
        f"{EXPLAINED[rows[0].metric]}, {rows[0].averaging}{why}; interval: 95 %, {over}{none}; "
        f"n = {comparison.n_units} {unit}, {comparison.n_clips} clips. "
        + ("A constant has 0." if comparison.of_ratings else f"Chance is {comparison.chance:.3f}.")
    ]
    if bare := _of_clips(comparison):
        notes.append(f"Classifiers of clips, not aligned, nor scaled by speaker: {bare}.")
    if comparison.nested:
        notes.append("nested: chosen inside the training folds.")
    if marked:
        paired = "fold, corrected for training sets that overlap" if unknown else "speaker"
        n_pairs = len(rows) * (len(rows) - 1) // 2
        p = f"Holm's p{f' of {n_pairs} pairs of rows' if n_pairs > 1 else ''} ≥ .05"
        notes.append(f"≈: not significantly different from the best (paired by {paired}, {p}).")
    return notes


def _of_clips(comparison: Any) -> str:
    """Return the names of rows to which the alignment, or scaling, of the others was not done."""
    how = comparison.alignment, comparison.speaker_scaling
    rows = comparison.rows
    apart = [row for row in rows if (row.alignment, row.speaker_scaling) != how]
    return ", ".join(dict.fromkeys(features_name(row, rows) for row in apart))


def describe_nested(nested: Nesteds, rows: Sequence[Rows]) -> str:
    """Return the score of a feature set whose row is chosen inside the training folds."""
    several = varying([row for row in rows if row.features == nested.features])
    counts = Counter(tuple(str(getattr(rows[k], name)) for name in several) for k in nested.rows)
    chosen = ", ".join(f"{' '.join(of)} in {n}" for of, n in counts.most_common())
    interval = "" if nested.score_ci is None else f" ({interval_cell(nested.score_ci, 3)})"
    names = ", ".join(several)
    return (
        f"{features_name(rows[nested.rows[0]], rows)}, {names} chosen inside the training folds: "
        f"{nested.metric} {number_cell(nested.score, 3)}{interval}; {names} {chosen} of "
        f"{len(nested.rows)} folds."
    )


class Shown(ABC):
    """A comparison that shows itself, by the tables that its kind makes."""

    def tables(self, digits: int = 3, *, timings: bool = True) -> list[Table]:
        """Return what is shown, as text by row and column.

        Parameters
        ----------
        digits : int, default=3
            Decimal places of scores.
        timings : bool, default=True
            Whether to show seconds.

        Returns
        -------
        tables : list
            One of a single corpus; of several, one a feature set.
        """
        return self._tables(digits, timings)

    @abstractmethod
    def _tables(self, digits: int, timings: bool) -> list[Table]:
        """Return the tables that are shown."""

    def __repr__(self) -> str:
        return "\n\n".join(table.to_text() for table in self.tables())

    def _repr_html_(self) -> str:
        return "\n".join(table.to_html() for table in self.tables())

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as numbers, a line a row and a nested score.

        Returns
        -------
        scores : DataFrame
            row (its position; NaN of a nested score), features with their model, layer ("nested"
            where it is chosen inside the training folds), train, test, alignment, uar, uar_low and
            uar_high (its 95 % interval), accuracy, macro_f1 (of ratings: ccc, ccc_low, ccc_high,
            pearson, rmse), n_clips (tested), difference to the
            best row with its interval, p_holm, not_worse_than_best, seconds_extract, seconds_fit,
            and n_speakers. What a row does not have is missing.
        """
        return frame_of(self)

    def to_markdown(self, *, digits: int = 3) -> str:
        """Return the table in Markdown, as GitHub shows it.

        Parameters
        ----------
        digits : int, default=3
            Decimal places of scores.

        Returns
        -------
        text : str
            The best score is bold; ≈ marks what is not different from it.
        """
        return "\n".join(table.to_markdown() for table in self.tables(digits, timings=False))

    def to_latex(self, *, digits: int = 3, label: str | None = None) -> str:
        r"""Return the table in LaTeX; it needs the package booktabs.

        Parameters
        ----------
        digits : int, default=3
            Decimal places of scores.
        label : str, default=None
            What ``\ref`` calls it; of several tables, the first.

        Returns
        -------
        text : str
            A floating table. The best score is bold; ≈ marks what is not different from it. Names
            are escaped; letters that pdfLaTeX lacks, as Chinese ones, need LuaLaTeX or XeLaTeX. One
            that is wider than the text fits in ``\resizebox{\linewidth}{!}{...}`` around its
            tabular, of the package graphicx.
        """
        tables = self.tables(digits, timings=False)
        labels = [label, *[None] * len(tables)]
        return "\n".join(t.to_latex(name) for t, name in zip(tables, labels, strict=False))

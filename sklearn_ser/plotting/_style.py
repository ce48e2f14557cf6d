"""What all displays share: figures, colours with markers and hatches, names that are never cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = [
    "CHANCE",
    "INK",
    "AxesDisplay",
    "FigureDisplay",
    "new_figure",
    "off_screen",
    "series_style",
    "wrapped",
]

# Okabe and Ito's colours, without yellow, which is hard to see on white, and black, which is text.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "+++", "ooo")
INK = "#222222"  # of text and axes
CHANCE = {"color": INK, "linestyle": ":", "linewidth": 1.2}

INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")

FONT = 9.0  # points
LINE = 0.18  # inches a line of text of a legend

_off_screen: ContextVar[bool] = ContextVar("off_screen", default=False)


def series_style(k: int) -> dict[str, Any]:
    """Return the look of the k-th series: no two of the first 56 share colour and marker.

    Neither do they share colour and hatch, so that they can be told apart in grey.
    """
    return {
        "color": COLORS[k % len(COLORS)],
        "marker": MARKERS[k % len(MARKERS)],
        "linestyle": LINES[k % len(LINES)],
        "hatch": HATCHES[k % len(HATCHES)],
    }


@contextmanager
def off_screen() -> Iterator[None]:
    """Make figures that are written to files, without pyplot, which would show and keep them."""
    import matplotlib

    inked: Any = dict.fromkeys(INKED, INK)
    token = _off_screen.set(True)
    try:
        with matplotlib.rc_context(inked):
            yield
    finally:
        _off_screen.reset(token)


def new_figure(width: float, height: float) -> Any:
    """Return a figure of that size in inches, which a notebook shows, as scikit-learn's."""
    if _off_screen.get():
        from matplotlib.figure import Figure

        return Figure(figsize=(width, height), layout="constrained")
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")


def wrapped(text: object, inches: float, size: float = FONT) -> str:
    """Return text in lines that are not wider than that, none of it read as mathematics.

    Words that are longer are broken: names of models and folders may have any length.
    """
    from textwrap import wrap

    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    measure, font = TextToPath(), FontProperties(size=size)
    whole = " ".join(str(text).split()) or " "
    if whole.startswith("_"):  # which matplotlib would leave out of a legend
        whole = f" {whole}"

    def widest(lines: Sequence[str]) -> float:
        return max(
            measure.get_text_width_height_descent(line, font, ismath=False)[0] for line in lines
        )

    length, lines = len(whole), [whole]
    while (width := widest(lines) / 72) > inches and length > 1:
        length = max(1, min(length - 1, int(length * inches / width)))
        lines = wrap(whole, length, drop_whitespace=True) or [" "]
    return "\n".join(lines).replace("$", r"\$")


def check_comparison(comparison: Any, wanted: str = "Comparison") -> None:
    """Raise a TypeError, which says what to draw, if a comparison is of another kind."""
    from sklearn_ser import evaluation

    if isinstance(comparison, getattr(evaluation, wanted)):
        return
    made_by = {"Comparison": "compare", "CorporaComparison": "compare_corpora"}[wanted]
    cures = {
        "CrossComparison": "Draw the rows that test one corpus: ComparisonDisplay([row for row in "
        "found.rows if row.test == NAME and row.train == 'all others'], TITLE, found.chance)"
        ".plot().",
        "CorporaComparison": "Draw the comparison on one corpus: found[NAME].",
    }
    kind = type(comparison).__name__
    cure = cures.get(kind, "")
    raise TypeError(f"this draws what {made_by} returns; got a {kind}. {cure}".rstrip())


class _Display:
    """A figure that is drawn when `plot` is called."""

    def _size(self) -> tuple[float, float]:
        """Return the width and height of a new figure, in inches."""
        return 7.5, 4.0


class AxesDisplay(_Display, ABC):
    """A display on one pair of axes."""

    ax_: Any
    figure_: Any

    def plot(self, *, ax: Any = None) -> Any:
        """Draw what the display holds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            What to draw into; None is a new figure, which a notebook shows.

        Returns
        -------
        display : Display
            The display itself, with what was drawn.
        """
        own = ax is None
        if own:
            ax = new_figure(*self._size()).add_subplot()
        self.ax_, self.figure_ = ax, ax.figure
        handles = self._draw(ax)
        if handles and own:
            _legend_below(self.figure_, handles)
        elif handles:
            labels = [wrapped(handle.get_label(), 4) for handle in handles]
            ax.legend(handles, labels, fontsize=FONT)
        return self

    @abstractmethod
    def _draw(self, ax: Any) -> list[Any]:
        """Draw, and return what the legend shows."""


class FigureDisplay(_Display, ABC):
    """A display of several pairs of axes."""

    ax_: Any
    figure_: Any

    def plot(self, *, figure: Any = None) -> Any:
        """Draw what the display holds.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            What to draw into; None is a new one, which a notebook shows.

        Returns
        -------
        display : Display
            The display itself, with what was drawn.
        """
        own = figure is None
        self.figure_ = new_figure(*self._size()) if own else figure
        handles = self._draw(self.figure_)
        if handles:
            _legend_below(self.figure_, handles, grow=own)
        return self

    @abstractmethod
    def _draw(self, figure: Any) -> list[Any]:
        """Draw, set `ax_`, and return what the legend shows."""


def _legend_below(figure: Any, handles: Sequence[Any], *, grow: bool = True) -> None:
    """Put a legend below all axes, and make the figure higher by as much."""
    width, height = figure.get_size_inches()
    labels = [wrapped(handle.get_label(), width - 1.2) for handle in handles]
    n_columns = max(1, min(len(labels), int(width / (0.6 + 0.09 * max(map(len, labels))))))
    n_lines = sum(label.count("\n") + 1 for label in labels[::n_columns])
    if grow:
        figure.set_size_inches(width, height + LINE * n_lines + 0.1)
    figure.legend(
        list(handles),
        labels,
        loc="outside lower center",
        ncols=n_columns,
        fontsize=FONT,
        frameon=False,
        handlelength=3,
    )

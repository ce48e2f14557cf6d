"""Display of a recording: probabilities of emotions along it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_ser.plotting._style import CHANCE, INK, FigureDisplay, series_style, wrapped

__all__ = ["TimelineDisplay"]

N_STRIPES = 1500  # of a waveform, about one a pixel
ABSTAINED: dict[str, Any] = {
    "facecolor": "0.92",
    "edgecolor": "0.6",
    "linewidth": 0.6,
}  # in no series' colour


class TimelineDisplay(FigureDisplay):
    """Probabilities of emotions along a recording, and its out-of-distribution scores.

    Parameters
    ----------
    rows : DataFrame
        Rows of one recording, in order, as `EmotionRecognizer.recognize` gives them.
    emotions : sequence of str
        The columns of probabilities.
    threshold : float, default=None
        Out-of-distribution score above which no emotion is given (``abstain``).
    waveform : tuple of (ndarray of shape (n_samples,), float), default=None
        The recording itself and its sampling rate, in Hz, to draw above.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        Of the probabilities, and of the out-of-distribution scores; and of the waveform, if there
        is one.
    figure_ : matplotlib Figure

    See Also
    --------
    sklearn_ser.recognition.EmotionRecognizer : Recognises recordings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_ser.plotting import TimelineDisplay
    >>> rows = pd.DataFrame({"recording": "a.wav", "start": [0.0, 2.0], "end": [2.0, 4.0],
    ...     "emotion": ["anger", None], "anger": [0.9, None], "neutral": [0.1, None],
    ...     "out_of_domain": [0.5, 0.99], "note": ["", "abstained"]})
    >>> TimelineDisplay.from_rows(rows, ["anger", "neutral"], threshold=0.95).ax_[1].get_xlabel()
    'seconds'
    """

    def __init__(
        self,
        rows: Any,
        emotions: Sequence[str],
        *,
        threshold: float | None = None,
        waveform: tuple[Any, float] | None = None,
    ) -> None:
        self.rows = rows
        self.emotions = emotions
        self.threshold = threshold
        self.waveform = waveform

    @classmethod
    def from_rows(
        cls,
        rows: Any,
        emotions: Sequence[str],
        *,
        threshold: float | None = None,
        waveform: tuple[Any, float] | None = None,
        figure: Any = None,
    ) -> TimelineDisplay:
        """Draw the rows of one recording.

        Parameters
        ----------
        rows : DataFrame
        emotions : sequence of str
        threshold : float, default=None
            Out-of-distribution score above which no emotion is given (``abstain``).
        waveform : tuple of (ndarray of shape (n_samples,), float), default=None
            The recording itself and its sampling rate, in Hz.
        figure : matplotlib Figure, default=None
            Where to draw; a new one by default.

        Returns
        -------
        display : TimelineDisplay

        Raises
        ------
        ValueError
            If there are no rows, or they are of several recordings.
        """
        names = list(dict.fromkeys(rows["recording"]))
        if len(names) != 1:
            raise ValueError(
                f"a timeline is of one recording, and these rows are of {len(names)}"
                f"{': ' * bool(names)}{', '.join(map(str, names[:3]))}{', …' * (len(names) > 3)}. "
                'Draw each by itself: for name, part in rows.groupby("recording").'
            )
        display = cls(rows, emotions, threshold=threshold, waveform=waveform)
        return display.plot(figure=figure)

    def _size(self) -> tuple[float, float]:
        return 10, 4.5 if self.waveform is None else 5.5

    def _draw(self, figure: Any) -> list[Any]:
        heights = [3, 1] if self.waveform is None else [1, 3, 1]
        axes = figure.subplots(len(heights), sharex=True, height_ratios=heights)
        probabilities, distance = axes[-2:]
        rows = self.rows[self.rows["start"].notna() & self.rows["end"].notna()]
        starts, ends = (rows[name].to_numpy(dtype=float) for name in ("start", "end"))
        # A window reaches into the next one if they overlap, so that it is drawn up to there.
        widths = np.append(np.minimum(ends[:-1], starts[1:]), ends[-1:]) - starts
        handles = self._draw_emotions(probabilities, rows, starts, widths)
        scores = rows["out_of_domain"].to_numpy(dtype=float)
        distance.bar(starts, scores, widths, align="edge", color="0.45", linewidth=0)
        if self.threshold is not None:
            label = f"no emotion above {self.threshold:g}"
            handles.append(distance.axhline(self.threshold, label=label, **CHANCE))
        probabilities.set(ylabel="probability", ylim=(0, 1))
        distance.set(ylabel="out of\ndomain", ylim=(0, 1), xlabel="seconds")
        if self.waveform is not None:
            self._draw_waveform(axes[0])
        name = wrapped(self.rows["recording"].iloc[0], 9, 10)
        axes[0].set_title(name, fontsize=10)
        self.ax_ = np.array([*axes[-2:], *axes[:-2]])
        return handles

    def _draw_emotions(self, ax: Any, rows: Any, starts: Any, widths: Any) -> list[Any]:
        """Stack the probabilities of each window; one without emotion is an empty box."""
        from matplotlib.patches import Patch

        handles, bottom = [], np.zeros(len(rows))
        for k, emotion in enumerate(self.emotions):
            style = series_style(k)
            look = {"facecolor": style["color"], "hatch": style["hatch"], "edgecolor": "white"}
            heights = np.nan_to_num(rows[emotion].to_numpy(dtype=float))
            ax.bar(starts, heights, widths, bottom, align="edge", linewidth=0, **look)
            handles.append(Patch(label=emotion, linewidth=0, **look))
            bottom += heights
        blank = rows["emotion"].isna().to_numpy()
        if blank.any():
            ones = np.ones(blank.sum())
            ax.bar(starts[blank], ones, widths[blank], align="edge", **ABSTAINED)
            handles.append(Patch(label="no emotion", **ABSTAINED))
        return handles

    def _draw_waveform(self, ax: Any) -> None:
        """Draw the lowest and highest sample of each stripe."""
        samples, rate = self.waveform  # type: ignore[misc]
        samples = np.asarray(samples, dtype=float)
        edges = np.linspace(
            0, len(samples), min(N_STRIPES, len(samples)), endpoint=False, dtype=int
        )
        low, high = (reduce.reduceat(samples, edges) for reduce in (np.minimum, np.maximum))
        ax.fill_between(edges / rate, low, high, color=INK, linewidth=0.3)
        ax.set_ylabel("waveform")

"""Emotions along a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["TimelineDisplay"]


class TimelineDisplay:
    """Probabilities of emotions along a recording, and how far it is from the training clips.

    Parameters
    ----------
    rows : DataFrame
        Rows of one recording, in order, as `EmotionRecognizer.recognize` gives them.
    emotions : sequence of str
        The columns of probabilities.

    Attributes
    ----------
    ax_ : ndarray of two matplotlib Axes
        Of the probabilities, and of the distance.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_ser.plotting import TimelineDisplay
    >>> rows = pd.DataFrame({"recording": "a.wav", "start": [0.0, 2.0], "end": [2.0, 4.0],
    ...     "emotion": ["anger", None], "anger": [0.9, None], "neutral": [0.1, None],
    ...     "out_of_domain": [0.5, 0.99], "note": ["", "abstained"]})
    >>> TimelineDisplay.from_rows(rows, ["anger", "neutral"]).ax_[1].get_xlabel()
    'seconds'
    """

    def __init__(self, rows: Any, emotions: Sequence[str]) -> None:
        self.rows = rows
        self.emotions = emotions

    @classmethod
    def from_rows(
        cls, rows: Any, emotions: Sequence[str], *, figure: Any = None
    ) -> TimelineDisplay:
        """Draw the rows of one recording.

        Parameters
        ----------
        rows : DataFrame
        emotions : sequence of str
        figure : matplotlib Figure, default=None
            Where to draw; a new one by default.

        Returns
        -------
        display : TimelineDisplay
        """
        return cls(rows, emotions).plot(figure=figure)

    def plot(self, *, figure: Any = None) -> TimelineDisplay:
        """Draw the probabilities, and how far speech is from that of training.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            What to draw into; None is a new one, which is not shown by itself.

        Returns
        -------
        display : TimelineDisplay
            The display itself, with what was drawn.
        """
        if figure is None:
            from matplotlib.figure import Figure

            figure = Figure(figsize=(10, 4.5), layout="constrained")
        chances, far = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        rows = self.rows[self.rows["start"].notna() & self.rows["end"].notna()]
        starts, ends = (rows[name].to_numpy(dtype=float) for name in ("start", "end"))
        # A window reaches into the next one if they overlap, so that it is drawn up to there.
        stops = np.append(np.minimum(ends[:-1], starts[1:]), ends[-1:])
        style = {"align": "edge", "width": stops - starts, "linewidth": 0}
        bottom = np.zeros(len(rows))
        for color, emotion in enumerate(self.emotions):
            heights = rows[emotion].to_numpy(dtype=float)
            chances.bar(
                starts,
                np.nan_to_num(heights),
                bottom=bottom,
                color=f"C{color}",
                label=emotion,
                **style,
            )
            bottom += np.nan_to_num(heights)
        blank = rows["emotion"].isna().to_numpy()
        chances.bar(
            starts[blank],
            np.ones(blank.sum()),
            color="0.9",
            label="no emotion",
            **{**style, "width": (stops - starts)[blank]},
        )
        far.bar(starts, rows["out_of_domain"].to_numpy(dtype=float), color="0.4", **style)
        chances.set(ylabel="probability", ylim=(0, 1))
        far.set(ylabel="out of\ndomain", ylim=(0, 1), xlabel="seconds")
        chances.set_title(str(self.rows["recording"].iloc[0]), fontsize="medium", wrap=True)
        chances.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        self.ax_, self.figure_ = np.array([chances, far]), figure
        return self

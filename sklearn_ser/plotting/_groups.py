"""Displays of a comparison by groups of clips: recall of each emotion, scores of each speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sklearn_ser.evaluation import row_name, target_of, units_of
from sklearn_ser.plotting._comparison import INTERVAL, RowsDisplay, best_of_each
from sklearn_ser.plotting._style import INK, check_comparison, series_style

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = ["RecallDisplay", "SpeakersDisplay"]


class RecallDisplay(RowsDisplay):
    """Recall of each emotion with its interval, over all tested clips.

    Parameters
    ----------
    recalls : DataFrame
        A line an emotion and row: name (of the row), emotion, recall, low, high and n_clips.
    title : str
        What is written above.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    ComparisonDisplay : Scores of all rows.
    SpeakersDisplay : Scores of each speaker.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> from sklearn_ser.plotting import RecallDisplay
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", audit=False)
    >>> len(RecallDisplay.from_comparison(comparison).recalls)
    4
    """

    def __init__(self, recalls: pd.DataFrame, title: str) -> None:
        self.recalls = recalls
        self.title = title
        self.over = "for new speakers"

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, rows: Sequence[int] | None = None, *, ax: Any = None
    ) -> RecallDisplay:
        """Draw the recalls of some rows of a comparison.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        rows : sequence of int, default=None
            Positions; None is the best layer of each feature set.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : RecallDisplay

        Raises
        ------
        ValueError
            If ratings were compared, which have no recall.
        """
        from sklearn_ser.evaluation import speaker_interval

        check_comparison(comparison)
        if comparison.of_ratings:
            raise ValueError("ratings were compared, which have no recall: see SpeakersDisplay.")
        lines = []
        for position in best_of_each(comparison.rows) if rows is None else rows:
            predictions = comparison.predictions
            predictions = predictions[predictions["row"] == position]
            for emotion, tested in predictions.groupby("emotion"):
                right = tested["emotion"] == tested["predicted"]
                interval = speaker_interval(
                    tested["emotion"], tested["predicted"], units_of(tested)
                )
                low, high = (np.nan, np.nan) if interval is None else interval
                lines.append(
                    {
                        "name": row_name(comparison.rows[position], comparison.rows),
                        "emotion": emotion,
                        "recall": right.mean(),
                        "low": low,
                        "high": high,
                        "n_clips": tested["clip"].nunique(),
                    }
                )
        display = cls(pd.DataFrame(lines), comparison.title)
        display.over = "for new speakers" if comparison.n_speakers is not None else "over folds"
        return display.plot(ax=ax)

    def _lines(self) -> list[str]:
        first = self.recalls.drop_duplicates("emotion")
        return [f"{line.emotion} (n = {line.n_clips})" for line in first.itertuples()]

    def _size(self) -> tuple[float, float]:
        width, height = super()._size()
        n_rows = self.recalls["name"].nunique()
        return width, height + 0.12 * n_rows * self.recalls["emotion"].nunique()

    def _draw(self, ax: Any) -> list[Any]:
        emotions = list(dict.fromkeys(self.recalls["emotion"]))
        handles = []
        of_rows = self.recalls.groupby("name", sort=False)
        for k, (name, found) in enumerate(of_rows):
            style = series_style(k)
            shift = 0.7 * ((k + 0.5) / len(of_rows) - 0.5)
            handles.append(
                ax.errorbar(
                    found["recall"],
                    [emotions.index(emotion) + shift for emotion in found["emotion"]],
                    # Where all have the same recall, both ends are it, but for rounding.
                    xerr=np.abs([found["recall"] - found["low"], found["high"] - found["recall"]]),
                    fmt=style["marker"],
                    color=style["color"],
                    label=name,
                    **INTERVAL,
                )
            )
        ax.set_xlim(-0.02, 1.02)
        self._set_lines(ax, f"recall, over all tested clips (95 % interval {self.over})")
        return handles


class SpeakersDisplay(RowsDisplay):
    """Score of each speaker as a point, in a strip for each row, with the median.

    Parameters
    ----------
    scores : DataFrame
        A line a speaker and row: name (of the row), speaker and uar; of ratings ccc.
    title : str
        What is written above.
    metric : str, default="UAR"
        What the score is called: UAR, or of ratings CCC.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    ComparisonDisplay : Scores of all rows.
    RecallDisplay : Recall of each emotion.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> from sklearn_ser.plotting import SpeakersDisplay
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", audit=False)
    >>> len(SpeakersDisplay.from_comparison(comparison).scores)
    3
    """

    def __init__(self, scores: pd.DataFrame, title: str, metric: str = "UAR") -> None:
        self.scores = scores
        self.title = title
        self.metric = metric

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, rows: Sequence[int] | None = None, *, ax: Any = None
    ) -> SpeakersDisplay:
        """Draw the scores of each speaker, over the emotions, or ratings, that the speaker has.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        rows : sequence of int, default=None
            Positions; None is the best layer of each feature set.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : SpeakersDisplay

        Raises
        ------
        ValueError
            If speakers are unknown.
        """
        check_comparison(comparison)
        if comparison.n_speakers is None:
            raise ValueError("the speakers of the clips that were compared are unknown.")
        lines, all_rows = [], comparison.rows
        field = all_rows[0].score_field
        score = target_of(comparison.predictions["emotion"]).score
        for position in best_of_each(all_rows) if rows is None else rows:
            predictions = comparison.predictions
            predictions = predictions[predictions["row"] == position]
            name = row_name(all_rows[position], all_rows)
            for speaker, its in predictions.groupby("speaker"):
                value = score(its["emotion"].to_numpy(), its["predicted"].to_numpy())
                lines.append({"name": name, "speaker": speaker, field: value})
        return cls(pd.DataFrame(lines), comparison.title, all_rows[0].metric).plot(ax=ax)

    def _lines(self) -> list[str]:
        return list(dict.fromkeys(self.scores["name"]))

    def _draw(self, ax: Any) -> list[Any]:
        jitter = np.random.default_rng(0)
        median = None
        for k, (_, found) in enumerate(self.scores.groupby("name", sort=False)):
            style = series_style(k)
            y = k + jitter.uniform(-0.22, 0.22, len(found))
            ax.scatter(
                found[self.metric.lower()],
                y,
                s=22,
                marker=style["marker"],
                color=style["color"],
                alpha=0.8,
                linewidth=0,
            )
            middle = found[self.metric.lower()].median()
            (median,) = ax.plot([middle] * 2, [k - 0.32, k + 0.32], color=INK, label="median")
        ax.set_xlim(min(0, self.scores[self.metric.lower()].min()) - 0.02, 1.02)
        n_speakers, what = self.scores["speaker"].nunique(), "emotions"
        what = "ratings" if self.metric == "CCC" else what
        self._set_lines(
            ax, f"{self.metric} of each speaker (n = {n_speakers}), over the speaker's {what}"
        )
        return [median]

"""What a comparison on one corpus found: tables, pictures and files read these fields."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser._utils import FORMATS, write_atomically
from sklearn_ser.evaluation._differences import row_differences
from sklearn_ser.evaluation._formats import Table, row_table
from sklearn_ser.evaluation._results_base import Results
from sklearn_ser.evaluation._targets import units_of

__all__ = ["Comparison"]


@dataclass(frozen=True, repr=False)
class Comparison(Results):
    """What :func:`compare` found.

    Its fields are what ``results.json`` holds: corpus, n_clips, n_speakers, emotions, cv,
    classifier, audit, published, versions, and ``rows``, one a feature set, layer and classifier.

    Parameters
    ----------
    n_speakers : int or None
        How many were compared; None if speakers are unknown.
    n_clips_left_out, clips_left_out : int, list of dict
        Clips that some feature set could not embed: position, name, reasons.
    digests : dict
        Hashes of the labels and of the audio.
    emotions : list of str
        All of the clips compared; none of ratings.
    chance : float
        UAR of a guess: 1 / number of emotions. Of ratings the CCC of a constant: 0.
    cv, cv_parameters, cv_folds : str, dict or None, list or None
        The folds: their name, what to make the splitter from, or the positions of their clips.
    classifier, classifier_parameters : str, dict
        Its name, and what to make it from; of several, their names, and that by name.
    audit : dict
        speaker_independent, shares_audio, speaker_uar (of ratings speaker_ccc), confounded,
        n_folds_lacking_emotions and verdict, of :class:`~sklearn_ser.audit.SplitAudit`.
    versions : dict of str to str
        Of Python and the libraries that scores depend on.
    rows : list of Row or RatingRow
        One a feature set, layer and classifier.
    nested : list of Nested or RatingNested
        One a feature set with several layers or classifiers: the score with these chosen inside
        the training folds, where their speakers can be split.
    predictions : DataFrame
        One line a row and a tested clip: row, fold, clip (its position), speaker, emotion,
        predicted and confidence, the probability of the predicted emotion, NaN where a classifier
        gives none. Of ratings, emotion and predicted are floats, and there is no confidence.
    corpus : str
        Name of the corpus, or "train → test" of two.
    n_clips : int
        How many were compared.
    emotions_not_tested : list of str
        Those that no fold tests.
    n_folds : int
        How many there are.
    speaker_scaling, alignment, transductive : str or None, str or None, bool
        As in the rows.
    published, published_note : list of dict, str
        Figures published for the same protocol on the same clips; why others are not shown.
    command : dict or None
        ``arguments`` of the command line that made it, and the ``directory`` that it ran in; None
        in Python.
    rating : str or None
        What the ratings are of: the name of their column, such as "arousal", if it is known.
    embeddings : DataFrame or None
        Features of the best row that is fitted on features, a line a clip, by its position. It is
        what the report draws its map from, and is not saved.

    See Also
    --------
    compare : Makes it.
    sklearn_ser.plotting.ComparisonDisplay : Draws it.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import Comparison, compare
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    >>> comparison.rows[comparison.best].features
    'mfcc'
    >>> folder = tempfile.mkdtemp()
    >>> comparison.save(folder)
    ['results.json', 'predictions.csv', 'report.html']
    >>> Comparison.load(folder) == comparison
    True
    """

    kind = "compare"
    corpus: str
    n_clips: int
    emotions_not_tested: list[str]
    n_folds: int
    speaker_scaling: str | None
    alignment: str | None
    transductive: bool
    published: list[dict[str, Any]]
    published_note: str
    embeddings: pd.DataFrame | None = field(
        default=None, compare=False, repr=False, kw_only=True, metadata={"in_memory": True}
    )

    def _tables(self, digits: int, timings: bool) -> list[Table]:
        return [row_table(self, digits, timings)]

    def to_html(self, *, corpus: Any = None, command: str | None = None) -> str:
        """Return the report: one page that needs no other file, and no network.

        It holds the corpus, the audit, scores with intervals and tests, figures (with the extra
        ``plot``), scores by emotion, speaker and sex, calibration, the error rates of abstaining,
        a map of the features of the best row (where they are at hand: they are not saved),
        versions, settings, and LaTeX.

        Parameters
        ----------
        corpus : Bunch, default=None
            The corpus that was compared, for durations and the speakers' sexes.
        command : str, default=None
            The command line that made it, as text for the page; the field `command` is its record.

        Returns
        -------
        page : str

        Raises
        ------
        ValueError
            If the corpus is not the one that was compared.
        """
        from sklearn_ser._report import clips_of, render_report

        return render_report(self, clips_of(self, corpus), command=command)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        corpus: Any = None,
        command: str | None = None,
        formats: Sequence[str] = (),
    ) -> list[str]:
        """Write ``results.json``, ``predictions.csv``, ``report.html`` and, if asked for, figures.

        Parameters
        ----------
        folder : str or path-like
            Made if it is not there. All of these of an earlier comparison are removed.
        corpus, command : Bunch, str
            As in `to_html`.
        formats : sequence of {"png", "pdf", "svg"}, default=()
            To write each figure of the report as a file, too.

        Returns
        -------
        names : list of str
            Of the files written; without matplotlib there are no figures among them.

        Raises
        ------
        ValueError
            If a format is unknown, or the corpus is another one.
        """
        from sklearn_ser._report import clips_of, figures_of, render_report, written_figures

        unknown = [each for each in formats if each not in FORMATS]
        if unknown or isinstance(formats, str):
            raise ValueError(f"formats={formats!r}; known are {', '.join(FORMATS)}, in a list.")
        clips = clips_of(self, corpus)
        figures = figures_of(self, clips)
        page = render_report(self, clips, command=command, figures=figures)
        names = super().save(folder)
        write_atomically(Path(folder, "report.html"), page.encode())
        return [*names, "report.html", *written_figures(figures, folder, formats)]

    @property
    def best(self) -> int:
        """Index of the row with the highest score: UAR, or of ratings CCC."""
        return int(np.argmax([row.score for row in self.rows]))

    def differences(
        self, reference: int | None = None, *, correction: str | None = None
    ) -> pd.DataFrame:
        """Return the difference of each row's score to that of a reference, paired by speaker.

        The score is the UAR, or of ratings the CCC.

        The standard error of a difference is that of leaving speakers out, as in
        :func:`speaker_interval`, so that what is easy or hard about a speaker for both rows
        cancels; interval and p-value are Student's t. Where all speakers have the same difference,
        the p-value is that of the sign test. Where speakers are unknown, rows are paired by fold,
        always with the correction, and n_speakers is None; a clip that several folds test counts
        to the first of them.

        Parameters
        ----------
        reference : int, default=None
            Position of a row, chosen before the scores were seen. None is the best row.
        correction : {"nadeau-bengio"}, default=None
            Widen the standard error for training sets that overlap, by the square root of
            1 + K / (K - 1) with K folds [1]_; of repeated or random splits, K is the number of
            clips by that of a test fold's.

        Returns
        -------
        differences : DataFrame
            A line each other row: row and reference (their positions), features, layer,
            classifier, difference, low and high (95 %), p_value, p_holm and n_speakers. NaN where
            there are fewer than four speakers.

        Raises
        ------
        ValueError
            If there is no such row or correction, or one fold only to correct for, or all folds
            test all clips.

        Notes
        -----
        Holm's p-values are of all rows against a reference that is given; against the best row,
        which was chosen by its score, of all pairs of rows: in simulations with 13 rows that were
        all alike, some row was told from the best in 13 to 16 % of runs otherwise.

        Training data is not part of the standard error. In simulations where it mattered much,
        feature sets of equal worth were told apart at the level of 5 % in 5 to 11 % of runs without
        the correction, and in 0.3 to 5 % with it (``benchmarks/bench_intervals.py``).

        References
        ----------
        .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52,
           2003.
        """
        if correction not in (None, "nadeau-bengio"):
            raise ValueError(f'correction={correction!r}; it must be None or "nadeau-bengio".')
        if correction is not None and self.n_folds < 2:
            raise ValueError("correction has no effect: there is one fold, so nothing overlaps.")
        position = self.best if reference is None else reference
        if isinstance(position, bool) or position not in range(len(self.rows)):
            raise ValueError(f"reference={reference!r} is no position among {len(self.rows)} rows.")
        of_row = [self.predictions[self.predictions["row"] == k] for k in range(len(self.rows))]
        found = row_differences(
            of_row,
            position,
            pooled=[row.is_pooled for row in self.rows],
            chosen=reference is None,
            corrected=correction is not None,
        )
        names = {
            "features": [row.features for row in self.rows],
            "layer": [row.layer for row in self.rows],
            "classifier": [row.classifier for row in self.rows],
        }
        rows = pd.DataFrame({"row": range(len(self.rows)), "reference": position, **names})
        found = pd.concat([rows, found], axis=1).assign(n_speakers=self.n_speakers)
        return found.drop(position).reset_index(drop=True)

    @property
    def n_units(self) -> int:
        """Number of what intervals and tests are over: speakers, or folds if these are unknown.

        Of these, those that test clips which no earlier fold tests.
        """
        if self.n_speakers is not None:
            return int(self.n_speakers)
        return int(units_of(self.predictions[self.predictions["row"] == 0]).nunique())

    @property
    def _predicted(self) -> str:
        if not self.of_ratings:
            return f"{len(self.emotions)} emotions"
        rated = self.predictions["emotion"]
        return f"{self.rating or 'ratings'} from {rated.min():.3g} to {rated.max():.3g}"

    @property
    def title(self) -> str:
        """What was compared and how; marked if the scores do not hold for new speakers."""
        parts = [
            f"{self.corpus}: {self.n_clips} clips"
            + (f" of {self.n_speakers} speakers" if self.n_speakers is not None else ""),
            self._predicted,
            self.cv,
            *([self.classifier] if self.classifier else []),
        ]
        if self.n_speakers is None:
            parts.insert(1, "speakers unknown")
        if self.speaker_scaling is not None:
            kind = "transductive" if self.speaker_scaling == "own" else "inductive"
            parts.append(f"scaled per speaker ({kind})")
        if self.alignment is not None:
            parts.append(f"aligned by {self.alignment} (transductive)")
        if self.audit["speaker_independent"] is False:
            parts.append("NOT speaker-independent")
        if self.audit.get("confounded"):
            what = "ratings" if self.of_ratings else "emotion"
            parts.append(f"{what} CONFOUNDED with speaker")
        if self.audit["shares_audio"]:
            parts.append("SAME AUDIO trained on and tested")
        return ", ".join(parts)

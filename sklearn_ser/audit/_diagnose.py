"""diagnose: what is wrong with a matrix of embeddings, in plain sentences."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser._utils import (
    WAVEFORM_RATE,
    as_classes,
    as_speakers,
    check_lengths,
    refuse_masked,
    validate_params,
)
from sklearn_ser.audit._probes import probe_labels, silhouettes, standardized
from sklearn_ser.audit._symptoms import (
    Finding,
    Gaps,
    Matrix,
    find_confounding,
    find_constants,
    find_copies,
    find_length,
    find_padding,
    find_scales,
    find_share,
    find_transposition,
    measure_clips,
)

__all__ = ["Diagnosis", "Finding", "diagnose"]

MIN_CLIPS = 10  # with fewer, columns and rows are alike by chance
CLUSTERED = 0.1  # silhouette of speakers; see the documentation of `diagnose`


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found.

    Parameters
    ----------
    n_clips, n_features : int
        Shape of the matrix.
    findings : list of Finding
        What is wrong, errors first.
    measures : dict of str to float
        What was measured on the way: silhouettes, probes, shares of variance.
    not_checked : dict of str to str
        What was not, and why.

    See Also
    --------
    diagnose : Makes it.
    """

    n_clips: int
    n_features: int
    findings: list[Finding]
    measures: dict[str, float] = field(default_factory=dict)
    not_checked: dict[str, str] = field(default_factory=dict)

    @property
    def codes(self) -> list[str]:
        """The codes of the findings."""
        return [finding.code for finding in self.findings]

    def to_frame(self) -> pd.DataFrame:
        """Return the findings as a table.

        Returns
        -------
        findings : DataFrame
            One row a finding: code, severity, problem and remedy.
        """
        return pd.DataFrame(self.findings, columns=list(Finding._fields))

    @property
    def _summary(self) -> str:
        n = len(self.findings)
        counted = f"{n} finding{'s'[: n > 1]}" if n else "nothing wrong was found"
        return f"{self.n_clips:,} clips × {self.n_features:,} features: {counted}."

    @property
    def _remarks(self) -> list[str]:
        return [f"{what}: {why}" for what, why in self.not_checked.items()]

    def __str__(self) -> str:
        lines = [self._summary]
        for code, severity, problem, remedy in self.findings:
            lines += [f"{severity.upper()} ({code}): {problem}", f"    {remedy}"]
        if self.not_checked:
            lines.append(f"Not checked: {'; '.join(self._remarks)}.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(self._summary)}</p>"]
        if self.findings:
            with pd.option_context("display.max_colwidth", None):
                parts.append(self.to_frame().to_html(index=False))
        if self.not_checked:
            parts.append(f"<p>Not checked: {html.escape('; '.join(self._remarks))}.</p>")
        return "".join(parts)


@validate_params(
    {"waveform_rate": [WAVEFORM_RATE, None], "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def diagnose(
    X: Any,
    y: Any = None,
    groups: Any = None,
    *,
    durations: Any = None,
    clips: Any = None,
    waveform_rate: float | None = None,
    random_state: int | None = 0,
) -> Diagnosis:
    """Say what is wrong with a matrix of embeddings, and what to do.

    Any matrix with a row a clip will do, whatever computed it. The more is given beside it, the
    more is checked.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_features)
        Embeddings or other features: an array, or a frame, whose column names are used.
    y : array-like of shape (n_clips,), default=None
        Emotion labels.
    groups : array-like of shape (n_clips,), default=None
        Speaker labels.
    durations : array-like of shape (n_clips,), default=None
        Durations of the clips, in seconds.
    clips : sequence of n_clips clips, default=None
        The clips themselves (paths, waveforms, …), which are read for their durations and their
        loudness.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms.
    random_state : int or None, default=0
        Determines the folds of probes, and which clips silhouettes are taken of.

    Returns
    -------
    diagnosis : Diagnosis
        With a list of findings; printing it gives them as text.

    Raises
    ------
    ValueError
        If `X` is no matrix of numbers with ten rows or more, labels are missing or are not as
        many as rows, or `durations` are given with `clips`.
    ClipError
        If a clip cannot be read.

    See Also
    --------
    sklearn_ser.plotting.EmbeddingMapDisplay : The same probes and silhouettes, with a map.
    audit_split : Leakage between training and test sets.
    find_duplicates : Clips with the same audio.

    Notes
    -----
    Codes of findings, and when there is one. Thresholds lie between what was measured on healthy
    matrices (MFCC, eGeMAPS, nano and layer 3 of Whisper base on 339 clips of EmoDB; the first
    three on 400 of URDU) and on the same with planted defects:

    transposed
        Labels or durations are as many as columns, and not as rows. Nothing else is checked.
    not-finite
        Values are NaN or infinite. For the other checks, columns and rows with more than half of
        these are left out, and the others' gaps filled by the column's median.
    padded
        A tenth of the rows or more end (or begin) in a run of one value, of different lengths, over
        a twentieth of the columns or more: waveforms or frames that were padded to the longest,
        as feature extractors return them. In the healthy matrices, .25 % of the rows have one at
        most. Nothing else is checked, as columns are no features.
    waveforms
        There are 2,000 columns or more, and neighbours are correlated by more than .5 within rows.
    one-length
        Rows are padded, but a twentieth of them or more fill all columns: they were cut. Or
        nine of ten clips last equally long.
    constant-columns
        Columns hold one value in 95 % of the clips or more (healthy: 8 % at most).
    unscaled
        The largest standard deviation of a column is over 50 times the median one, or the median
        one 50 times the one that a tenth of the columns are below: distances and penalties only
        see a few columns (healthy: 21; raw eGeMAPS: 134).
    duplicates
        Rows that are equal up to rounding (1e-4 of a column's standard deviation).
    duration, loudness
        Duration, or loudness, explains a quarter or more of the standardised columns' variance,
        by squared rank correlations (healthy: .11 and .15 at most; layer 3 of Whisper summed over
        frames: .78). Some columns may well be correlated with them, as in eGeMAPS.
    speakers
        The silhouette of speakers is over .1, and over that of emotions, so that a clip's
        neighbours are those of its speaker (healthy: .06 at most; Whisper's layer with offsets by
        speaker of half a standard deviation: .11, of one: .29). That a linear probe reads the
        speaker is no finding: it reads .73 to .94 of EmoDB's ten from every healthy matrix.
    confounded
        Speaker labels alone predict emotions, as :func:`audit_split` finds.
    chance
        The 95 % interval of the UAR of a linear probe of emotions, for new speakers, reaches down
        to chance. Without speakers, or with fewer than four, it is an interval for new clips.
    labels
        All clips have one emotion, or all have different ones.

    Probes are ridge classifiers on standardised columns in five folds; silhouettes are of 2,000
    clips at most. The cost grows with n_clips × n_features × min(n_clips, n_features).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ser.audit import diagnose
    >>> rng = np.random.default_rng(0)
    >>> y, speakers = np.tile(["anger", "sadness"], 60), np.repeat(list("abcdef"), 20)
    >>> X = rng.normal(size=(120, 8)) + (y == "anger")[:, np.newaxis]
    >>> diagnose(X, y, speakers).findings
    []
    >>> X[:, 2] *= 1000
    >>> X[5, 1] = np.nan
    >>> print(diagnose(X, y, speakers))
    120 clips × 8 features: 2 findings.
    ERROR (not-finite): 1 of 960 values is NaN or infinite, in 1 row (row 5, counted from 0) ...
    WARNING (unscaled): The standard deviations of columns range from ... to ...
    """
    matrix = Matrix.of(X)
    given = {"y": y, "groups": groups, "durations": durations, "clips": clips}
    if durations is not None and clips is not None:
        raise ValueError("durations have no effect with clips, which are read for theirs.")
    if waveform_rate is not None and clips is None:
        raise ValueError("waveform_rate has no effect without clips.")
    n_clips, n_features = matrix.values.shape
    if transposed := find_transposition(matrix, **given):
        why = {"all else": "rows are no clips"}
        return Diagnosis(n_clips, n_features, [transposed], not_checked=why)
    check_lengths(X=matrix.values, **given)
    emotions = None if y is None else as_classes(y)
    speakers = None if groups is None else as_speakers(groups)
    if n_clips < MIN_CLIPS or n_features == 0:
        raise ValueError(
            f"X has {n_clips} rows and {n_features} columns; {MIN_CLIPS} clips and one feature "
            "are needed at least."
        )
    checks = _Checks(matrix, random_state)
    loudness, n_ending = None, None
    if clips is not None:
        durations, loudness, n_ending = measure_clips(clips, waveform_rate)
    elif durations is not None:
        durations = _positive(durations)
    if padding := find_padding(matrix.values):
        checks.findings.append(padding)
        checks.not_checked["all else"] = "columns are no features"
    else:
        checks.run(emotions, speakers, durations, loudness, n_ending)
    findings = sorted(checks.findings, key=lambda finding: finding.severity)  # errors first
    return Diagnosis(n_clips, n_features, findings, checks.measures, checks.not_checked)


class _Checks:
    """What is found, measured and not checked of a matrix whose columns are features."""

    def __init__(self, matrix: Matrix, random_state: int | None) -> None:
        self.matrix, self.random_state = matrix, random_state
        self.findings: list[Finding] = []
        self.measures: dict[str, float] = {}
        self.not_checked: dict[str, str] = {}
        self.gaps = Gaps.of(matrix)
        if self.gaps.finding:
            self.findings.append(self.gaps.finding)

    def run(
        self, emotions: Any, speakers: Any, durations: Any, loudness: Any, n_ending: Any
    ) -> None:
        """Check everything that can be."""
        _, rows, columns, whole, X = self.gaps
        emotions, speakers, durations, loudness = (
            None if each is None else each[rows]
            for each in (emotions, speakers, durations, loudness)
        )
        if len(rows) < MIN_CLIPS:
            self.not_checked["all else"] = "too few clips or columns are mostly finite"
            return
        self.findings += find_constants(self.matrix, X, columns)
        Z = standardized(X)
        if Z.shape[1] == 0:
            self.not_checked["all else"] = "every column is constant"
            return
        self.findings += find_scales(self.matrix, X, columns, self.measures)
        of_whole = (None if each is None else each[whole] for each in (emotions, speakers))
        self.findings += find_copies(Z[whole], rows[whole], *of_whole)
        self._check_lengths(Z, durations, loudness, n_ending)
        self._check_labels(X, emotions, speakers)

    def _check_lengths(self, Z: Any, durations: Any, loudness: Any, n_ending: Any) -> None:
        if durations is None:
            self.not_checked["duration"] = "neither durations nor clips are given"
        elif (one_length := find_length(durations, n_ending)) is not None:
            self.findings.append(one_length)
            self.not_checked["duration"] = "clips last equally long"
        else:
            self.findings += find_share(Z, durations, "duration", self.measures)
        if loudness is None:
            self.not_checked["loudness"] = "clips are not given"
        elif np.ptp(loudness) > 0:
            self.findings += find_share(Z, loudness, "loudness", self.measures)

    def _check_labels(self, X: Any, emotions: Any, speakers: Any) -> None:
        if speakers is not None and len(np.unique(speakers)) < 2:
            self.not_checked["speakers"] = "there is one only"
            speakers = None
        elif speakers is None:
            self.not_checked["speakers"] = "groups are not given"
        if emotions is None:
            self.not_checked["emotions"] = "y is not given"
        elif (n := len(np.unique(emotions))) in (1, len(emotions)):
            self.findings.append(
                Finding(
                    "labels",
                    "error",
                    f"y has {n} different labels for {len(emotions)} clips: nothing can be learnt.",
                    "Pass the emotion of each clip, of two emotions or more.",
                )
            )
            self.not_checked["emotions"] = "labels are not those of emotions"
            emotions = None
        named = (("emotion", emotions), ("speaker", speakers))
        given = {f"silhouette_{name}": labels for name, labels in named if labels is not None}
        found = silhouettes(X, *given.values(), random_state=self.random_state)
        self.measures |= dict(zip(given, found, strict=True))
        if emotions is not None:
            self._check_emotions(X, emotions, speakers)
        if speakers is not None:
            self._check_speakers(X, speakers)

    def _check_emotions(self, X: Any, emotions: Any, speakers: Any) -> None:
        probe = probe_labels(X, emotions, speakers, self.random_state)
        if speakers is not None:
            self.findings += find_confounding(emotions, speakers)
        if probe is None:
            self.not_checked["chance"] = "training speakers have too few emotions"
            return
        self.measures |= {"emotion_uar": probe.score, "chance": probe.chance}
        if probe.interval is None:
            self.not_checked["chance"] = "there is no interval"
            return
        low, high = probe.interval
        if low > probe.chance:
            return
        whom = "speakers that it was not fitted on" if speakers is not None else "held-out clips"
        self.findings.append(
            Finding(
                "chance",
                "warning",
                f"Emotions cannot be told from chance: a linear probe reads them with a UAR of "
                f"{probe.score:.2f} for {whom} (95 % interval {low:.2f} to {high:.2f}, chance "
                f"{probe.chance:.2f}, {probe.n_clips:,} clips).",
                "Make sure that rows of X and y are of the same clips, in the same order; then try "
                "another layer or model, or more speakers.",
            )
        )

    def _check_speakers(self, X: Any, speakers: Any) -> None:
        probe = probe_labels(X, speakers, None, self.random_state)
        if probe is not None:
            self.measures["speaker_uar"] = probe.score
        by_speaker = self.measures["silhouette_speaker"]
        by_emotion = self.measures.get("silhouette_emotion", -1.0)
        if not by_speaker > max(CLUSTERED, by_emotion):
            return
        against = (
            f", that of emotions {by_emotion:.2f}" if "silhouette_emotion" in self.measures else ""
        )
        reads = "" if probe is None else f"; a linear probe reads the speaker of {probe.score:.0%}"
        self.findings.append(
            Finding(
                "speakers",
                "warning",
                f"Clips cluster by speaker: their silhouette is {by_speaker:.2f}{against}{reads}.",
                "Standardise by speaker (sklearn_ser.preprocessing.SpeakerScaler), and test on "
                'speakers that are not in the training set (cv="loso").',
            )
        )


def _positive(durations: Any) -> Any:
    refuse_masked(durations, "durations")
    seconds = np.asarray(durations, dtype=np.float64).ravel()
    bad = np.flatnonzero(~(np.isfinite(seconds) & (seconds > 0)))
    if len(bad):
        raise ValueError(
            f"durations: {len(bad)} of {len(seconds)} are no positive number of seconds, the first "
            f"in row {bad[0]} ({seconds[bad[0]]})."
        )
    return seconds

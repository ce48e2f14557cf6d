"""What a report says: tables of scores, of the corpus, of speakers, and what repeats the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_ser._utils import check_corpus, is_missing
from sklearn_ser.evaluation import row_name, target_of, units_of

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = [
    "Grid",
    "GridCell",
    "abstaining_grid",
    "calibration_grid",
    "clips_of",
    "confusion",
    "corpus_grid",
    "map_grid",
    "scores_grid",
    "settings_of",
    "sex_grid",
    "speaker_grid",
]


SHARES = (1.0, 0.9, 0.75, 0.5)  # of clips that are kept, in the table of abstaining


class GridCell(NamedTuple):
    """Text of a cell, what it is sorted by, and whether it is the best of its column."""

    text: str
    value: Any = None
    best: bool = False
    shade: float | None = None


class Grid(NamedTuple):
    """A table of a page: its caption, its heads, and its rows, the first of which are names."""

    caption: str
    heads: list[str]
    rows: list[list[GridCell]]
    sortable: bool = True


def _number(value: float | None, form: str = ".3f") -> GridCell:
    if value is None or np.isnan(value):
        return GridCell("")
    return GridCell(f"{value:{form}}".replace("-", "−"), float(value))


def _interval(ends: Sequence[float] | None, form: str = ".3f") -> GridCell:
    if ends is None:
        return GridCell("")
    low, high = ends
    joined = " to " if "+" in form or low < 0 else "–"
    return GridCell(f"{low:{form}}{joined}{high:{form}}".replace("-", "−"), float(low))


def clips_of(comparison: Comparison, corpus: Any = None) -> pd.DataFrame:
    """Return a line each tested clip, with what is known of it from the corpus.

    Returns
    -------
    clips : DataFrame
        speaker and emotion, indexed by the clips' positions; sex, sentence and duration if they
        are known.

    Raises
    ------
    ValueError
        If the corpus is not the one that was compared.
    """
    tested = comparison.predictions[["clip", "speaker", "emotion"]]
    clips = tested.drop_duplicates("clip").set_index("clip").sort_index()
    if corpus is None:
        return clips
    corpus = check_corpus(corpus, ratings=True)
    frame = corpus.frame
    known = comparison.n_speakers is not None
    is_it = clips.index.max() < len(frame) and (corpus.groups is not None) == known
    if is_it:
        frame = frame if known else frame.assign(speaker="")
        columns = frame.iloc[clips.index][["speaker", "emotion"]]
        is_it = bool((columns.to_numpy(dtype=str) == clips.to_numpy(dtype=str)).all())
    if not is_it:
        raise ValueError(
            f"the corpus {corpus.name!r} is not the one that was compared: its clips have other "
            "speakers or emotions. Give the corpus that compare was given, or none."
        )
    for name in ("sex", "sentence", "duration"):
        if name in frame and not is_missing(frame[name]).all():
            clips[name] = frame[name].iloc[clips.index].to_numpy()
    pairs = [corpus.X[k] for k in clips.index]
    if "duration" not in clips and all(isinstance(each, tuple) for each in pairs):
        clips["duration"] = [len(waveform) / rate for waveform, rate in pairs]
    return clips


def corpus_grid(comparison: Comparison, clips: pd.DataFrame) -> Grid:
    """Return the counts of clips, by emotion; of ratings, by quarters of the clips."""
    heads = ["emotion", "clips", "share", "speakers"]
    known = "duration" in clips
    rows, by = [], clips["emotion"]
    if comparison.of_ratings:
        heads[0] = "ratings"
        by = by if by.nunique() <= 4 else pd.qcut(by, 4, duplicates="drop", precision=2)
    for emotion, of_emotion in [*clips.groupby(by, observed=True), ("all", clips)]:
        row = [
            GridCell(str(emotion)),
            _number(len(of_emotion), ".0f"),
            _number(100 * len(of_emotion) / len(clips), ".0f"),
            _number(of_emotion["speaker"].nunique(), ".0f"),
        ]
        if known:
            seconds = of_emotion["duration"].astype(float)
            row += [_number(seconds.median(), ".1f"), _number(seconds.sum() / 60, ".1f")]
        rows.append(row)
    heads[2] += " (%)"
    if comparison.n_speakers is None:
        del heads[3]
        for row in rows:
            del row[3]
    if known:
        n_known = int(clips["duration"].notna().sum())
        of = "" if n_known == len(clips) else f" of the {n_known} clips of known length"
        heads += [f"median length (s){of}", f"sum (min){of}"]
    return Grid(f"Tested clips by {heads[0]}", heads, rows, sortable=False)


def scores_grid(comparison: Comparison) -> Grid:
    """Return the scores of every row and of nested ones, with intervals and tests."""
    frame = comparison.to_frame()
    columns = ["features", *comparison.tables()[0].columns[1 : comparison.tables()[0].n_names]]
    first = comparison.rows[0]
    score = first.score_field
    heads = [*columns, "layer", first.metric, "95 % interval"]
    heads += ["less the best", "95 % interval of it", "Holm's p", *first.other_fields.values()]
    heads += ["extraction (s)", "fits (s)"]
    best = frame[score].where(frame["row"].notna()).max()
    rows = []
    for line in frame.to_dict("records"):
        is_best = line[score] == best and not np.isnan(line["row"])
        same = line["not_worse_than_best"] is True and not is_best
        mark = " best" if is_best else " ≈" if same else ""
        layer = line["layer"]
        whole = isinstance(layer, (int, float)) and not np.isnan(layer)
        low, high = line["difference_low"], line["difference_high"]
        ends = [line[f"{score}_low"], line[f"{score}_high"]]
        rows.append(
            [
                *(GridCell(str(line[name] or "")) for name in columns),
                GridCell(f"{layer:.0f}", layer) if whole else GridCell(layer or ""),
                GridCell(_number(line[score]).text + mark, line[score], best=is_best),
                _interval(None if np.isnan(ends[0]) else ends),
                _number(line["difference"], "+.3f"),
                _interval(None if pd.isna(low) else (low, high), "+.3f"),
                _number(line["p_holm"]),
                *(_number(line[field]) for field in first.other_fields),
                _number(line["seconds_extract"], ".1f"),
                _number(line["seconds_fit"], ".1f"),
            ]
        )
    independent = comparison.audit["speaker_independent"]
    what = "held-out speakers" if independent else "the test folds"
    what += " (speakers unknown)" if independent is None else ""
    return Grid(f"Scores on {what}", heads, rows)


def _tested(comparison: Comparison, position: int) -> pd.DataFrame:
    predictions = comparison.predictions
    return predictions[predictions["row"] == position]


def _sexes(clips: pd.DataFrame) -> pd.Series:
    return clips["sex"].astype(object).mask(is_missing(clips["sex"]), "unknown")


def _score(tested: pd.DataFrame) -> float:
    columns = (tested[name].to_numpy() for name in ("emotion", "predicted"))
    return target_of(tested["emotion"]).score(*columns)


def confusion(comparison: Comparison) -> Grid:
    """Return the confusion matrix of the best row, in shares of each emotion's clips."""
    tested = _tested(comparison, comparison.best)
    emotions = comparison.emotions
    counts = pd.crosstab(tested["emotion"], tested["predicted"])
    counts = counts.reindex(index=emotions, columns=emotions, fill_value=0)
    n_clips = tested.groupby("emotion")["clip"].nunique()  # folds may test clips again
    rows = []
    for emotion, of_emotion in counts.iterrows():
        shares = of_emotion / max(of_emotion.sum(), 1)
        cells = [GridCell(f"{share:.2f}", share, shade=float(share)) for share in shares]
        rows.append([GridCell(f"{emotion} (n = {n_clips.get(emotion, 0)})"), *cells])
    heads = ["true emotion", *(f"as {emotion}" for emotion in emotions)]
    return Grid("Share of each emotion's clips, by what was predicted", heads, rows, sortable=False)


def speaker_grid(comparison: Comparison, clips: pd.DataFrame) -> Grid:
    """Return the scores of each speaker, by the best row."""
    tested = _tested(comparison, comparison.best)
    known = "sex" in clips
    sexes = _sexes(clips).groupby(clips["speaker"]).first() if known else None
    rows = []
    for speaker, lines in tested.groupby("speaker"):
        right = lines["emotion"] == lines["predicted"]
        error = np.nan
        if comparison.of_ratings:
            error = float(np.sqrt(((lines["emotion"] - lines["predicted"]) ** 2).mean()))
        rows.append(
            [
                GridCell(str(speaker)),
                *[GridCell("" if sexes is None else str(sexes[speaker]))] * known,
                _number(lines["clip"].nunique(), ".0f"),
                _number(lines["emotion"].nunique(), ".0f"),
                _number(_score(lines)),
                _number(error if comparison.of_ratings else right.mean()),
            ]
        )
    heads = ["speaker", *["sex"] * known, "clips", "emotions", "UAR", "accuracy"]
    if comparison.of_ratings:
        heads[-3:] = ["different ratings", "CCC", "RMSE"]
    what = "ratings" if comparison.of_ratings else "emotions"
    return Grid(f"Each speaker, over the {what} that the speaker has", heads, rows)


def sex_grid(comparison: Comparison, clips: pd.DataFrame, shown: Sequence[int]) -> Grid | None:
    """Return the scores by the speakers' sex; None where it is not known."""
    if "sex" not in clips:
        return None
    known = comparison.n_speakers is not None
    rows = []
    for position in shown:
        row, tested = comparison.rows[position], _tested(comparison, position)
        sexes = _sexes(clips).reindex(tested["clip"]).to_numpy()
        for sex, lines in tested.groupby(sexes):
            labels = [lines["emotion"], lines["predicted"], units_of(lines)]
            rows.append(
                [
                    GridCell(row_name(row, comparison.rows)),
                    GridCell(str(sex)),
                    _number(lines["speaker"].nunique() if known else None, ".0f"),
                    _number(lines["clip"].nunique(), ".0f"),
                    _number(_score(lines)),
                    _interval(target_of(lines["emotion"]).interval(*labels)),
                ]
            )
    heads = ["features", "sex", "speakers", "clips", comparison.rows[0].metric, "95 % interval"]
    return Grid("By the speakers' sex, pooled over folds", heads, rows)


def calibration_grid(display: Any) -> Grid:
    """Return what a reliability diagram shows, a line each row."""
    rows = [
        [
            GridCell(str(name)),
            _number(its["n_clips"], ".0f"),
            _number(its["accuracy"]),
            _number(its["confidence"]),
            _number(its["ece"]),
        ]
        for name, its in display.scores.iterrows()
    ]
    rows += [
        [GridCell(name), *[GridCell("")] * 3, GridCell("no probabilities")]
        for name in display.without
    ]
    heads = ["features", "clips", "accuracy", "mean confidence", "expected calibration error"]
    return Grid("Calibration on the test folds, all folds together", heads, rows)


def abstaining_grid(display: Any) -> Grid:
    """Return the error rates at some coverages, a line each row."""
    rows = []
    for name, its in display.scores.iterrows():
        risks = display.curves.loc[display.curves["name"] == name, "risk"].to_numpy()
        kept = [int(np.ceil(share * len(risks))) - 1 for share in SHARES]
        rows.append([GridCell(str(name)), *(_number(risks[k]) for k in kept), _number(its["aurc"])])
    none = [*[GridCell("")] * len(SHARES), GridCell("no probabilities")]
    rows += [[GridCell(name), *none] for name in display.without]
    heads = ["features", *(f"errors, {share:.0%} of clips kept" for share in SHARES)]
    heads.append("area under the curve")
    return Grid("Error rates of the most confident predictions", heads, rows)


def map_grid(display: Any) -> Grid:
    """Return the silhouettes and the scores of linear probes."""
    rows = []
    for name, its in display.scores.iterrows():
        ends = None if np.isnan(its["low"]) else (its["low"], its["high"])
        score = "R²" if name == "duration" else "UAR"
        rows.append(
            [
                GridCell(str(name)),
                _number(its["silhouette"]),
                GridCell("" if np.isnan(its["probe"]) else score),
                _number(its["probe"]),
                _interval(ends),
                _number(its["chance"]),
                _number(its["n_clips"], ".0f"),
            ]
        )
    heads = ["clips labelled by", "silhouette", "score", "linear probe", "95 % interval"]
    heads += ["chance", "clips probed"]
    return Grid("Silhouettes and linear probes", heads, rows, sortable=False)


def settings_of(comparison: Comparison) -> str:
    """Return what rows, folds and classifiers are made from, as JSON."""
    names = ("classifier", "classifier_parameters", "cv", "cv_parameters", "speaker_scaling")
    settings = {name: getattr(comparison, name) for name in (*names, "alignment", "digests")}
    settings["rows"] = [
        {"features": row.features, "layer": row.layer, "embedder": row.embedder}
        for row in comparison.rows
    ]
    return json.dumps(settings, indent=1, ensure_ascii=False)

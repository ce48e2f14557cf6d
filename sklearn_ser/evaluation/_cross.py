"""Train on one corpus, test on another: how far what was learnt carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser.datasets import pool_corpora
from sklearn_ser.evaluation._alignment import ALIGNMENTS
from sklearn_ser.evaluation._comparison import Comparison, versions
from sklearn_ser.evaluation._fits import Clips, Task, fit_all, scores
from sklearn_ser.evaluation._matrices import embed
from sklearn_ser.model_selection._folds import Folds, folds_of

__all__ = ["CrossComparison", "compare_across"]

Array = npt.NDArray[Any]


class CrossComparison(Comparison):
    """What :func:`compare_across` found.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds: corpora, scheme, emotions, chance, cv (within a corpus),
        classifier, versions, and ``rows``, one a feature set, layer, alignment, training and test
        corpora.
    predictions : DataFrame
        One line a row of the results and a tested clip: row, fold, clip (its position among the
        clips put together), speaker, emotion, predicted.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_across
    >>> corpora = {
    ...     name: make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
    ...     for seed, name in enumerate(["one", "two"])
    ... }
    >>> found = compare_across(corpora, ["mfcc"], classifier="lda", cache=None)
    >>> found.matrix().shape
    (2, 2)
    """

    def matrix(
        self, features: str | None = None, layer: Any = None, alignment: str | None = None
    ) -> pd.DataFrame:
        """Return the UAR of each pair of corpora: a row for what was trained on.

        Parameters
        ----------
        features : str, default=None
            Which feature set; by default that of the best row between corpora.
        layer : int or str, default=None
            Which layer; by default its best.
        alignment : str, default=None
            Which alignment.

        Returns
        -------
        uar : DataFrame
            On its diagonal, folds within the corpus that share no speaker, never aligned. The
            last row, "all others", trains on all corpora but the one that is tested.
        """
        frame = self.frame
        aligned = (
            frame["alignment"].isna() if alignment is None else frame["alignment"].eq(alignment)
        )
        frame = frame[aligned | (frame["train"] == frame["test"])]
        if features is not None:
            frame = frame[frame["features"] == features]
        if layer is not None:
            frame = frame[frame["layer"] == layer]
        if not len(frame):
            raise ValueError(f"no row of features={features!r}, layer={layer!r}.")
        between = frame[frame["train"] != frame["test"]]
        mean = between.groupby(["features", "layer"], dropna=False)["uar"].mean()
        best_features, best_layer = mean.idxmax()
        chosen = frame["features"] == best_features
        chosen &= frame["layer"].isna() if pd.isna(best_layer) else frame["layer"] == best_layer
        uar = frame[chosen].pivot(index="train", columns="test", values="uar")
        corpora = self.results["corpora"]
        return uar.loc[[n for n in [*corpora, ALL_OTHERS] if n in uar.index], list(corpora)]


ALL_OTHERS = "all others"


class _Cell(NamedTuple):
    """Training and test corpora, and the folds that are averaged for their score."""

    train: str
    test: str
    folds: Folds


def compare_across(
    corpora: Mapping[str, Any],
    features: Any = None,
    *,
    scheme: str | None = "four",
    alignment: str | Sequence[str | None] | None = None,
    layer: int | str | Sequence[int] = "all",
    cv: Any = "loso",
    classifier: Any = "logistic",
    n_jobs: int | None = None,
    verbose: bool = False,
    random_state: int = 0,
    **parameters: Any,
) -> CrossComparison:
    """Compare features across corpora: train on each, test on each other, and on all the others.

    Each clip is embedded once. The classifier's C is chosen inside the training corpora, by a
    search whose folds share no speaker. Within a corpus, too, speakers are kept apart.

    Parameters
    ----------
    corpora : mapping of str to Bunch
        Two corpora or more by name, each with X, y and groups, as the loaders return.
    features : mapping, or sequence of str and embedders, default=None
        As in :func:`compare`.
    scheme : {"four", "ekman", "arousal", "valence", "quadrants"} or None, default="four"
        The labels that all corpora are given, see :func:`~sklearn_ser.datasets.harmonize_labels`.
        Only emotions that every corpus has are kept, so that chance is the same everywhere.
    alignment : {"standardize", "coral"}, None or list of these, default=None
        How features of another corpus are aligned. "standardize": each corpus by its own mean and
        standard deviation. "coral" [1]_: training clips are given the covariance of the test clips.
        Both look at the test corpus, though not at its labels: such rows are marked transductive.
        A list makes a row of each.
    layer, classifier, n_jobs, verbose, random_state, **parameters
        As in :func:`compare`.
    cv : str, cross-validator, default="loso"
        Folds within a corpus, as in :func:`compare`.

    Returns
    -------
    comparison : CrossComparison
        Its rows are those of :func:`compare`, with train and test, alignment, transductive,
        n_train, n_test and chance. ``matrix()`` gives the UARs as a square.

    Raises
    ------
    ValueError
        If there is but one corpus, or they have fewer than two emotions in common.

    References
    ----------
    .. [1] B. Sun, J. Feng, K. Saenko, "Correlation alignment for unsupervised domain adaptation",
       in "Domain Adaptation in Computer Vision Applications", 2017.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_across
    >>> corpora = {
    ...     name: make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
    ...     for seed, name in enumerate(["one", "two"])
    ... }
    >>> found = compare_across(corpora, ["mfcc"], classifier="lda", cache=None)
    >>> found.frame[["train", "test", "chance"]].to_numpy().tolist()
    [['one', 'one', 0.25], ['one', 'two', 0.25], ['two', 'one', 0.25], ['two', 'two', 0.25]]
    """
    alignments: list[Any] = list(alignment) if isinstance(alignment, (list, tuple)) else [alignment]
    unknown = [name for name in alignments if name not in (None, *ALIGNMENTS)]
    if unknown:
        raise ValueError(f"alignment={unknown[0]!r}; it must be None or one of {list(ALIGNMENTS)}.")
    if len(corpora) < 2:
        raise ValueError("compare_across needs two corpora or more; compare is for one.")
    pooled = pool_corpora(corpora, scheme)
    emotions = _in_all(pooled)
    kept = np.flatnonzero(np.isin(pooled.y, emotions))
    matrices, usable = embed(
        [pooled.X[i] for i in kept],
        features,
        layer=layer,
        n_jobs=n_jobs,
        verbose=verbose,
        **parameters,
    )
    clip_of_row = kept[usable]
    frame = pooled.frame.iloc[clip_of_row].reset_index(drop=True)
    clips = Clips(*(frame[name].to_numpy(dtype=str) for name in ("emotion", "speaker", "corpus")))
    descriptions: list[dict[str, Any]] = []
    tasks: list[Task] = []
    for matrix in matrices:
        for cell in _cells(list(corpora), frame, cv):
            for how in alignments if cell.train != cell.test else [None]:
                row = len(descriptions)
                descriptions.append(
                    {
                        **matrix.description,
                        "train": cell.train,
                        "test": cell.test,
                        "alignment": how,
                        "transductive": how is not None,
                        "n_train": len(cell.folds[0][0]),
                        "n_test": sum(len(test) for _, test in cell.folds),
                        "chance": 1 / len(emotions),
                        "seconds_extract": round(matrix.seconds, 3),
                    }
                )
                tasks += [
                    Task(row, fold, matrix.values, *sides, how)
                    for fold, sides in enumerate(cell.folds)
                ]
    predictions = fit_all(tasks, classifier, clips, n_jobs=n_jobs, verbose=verbose)
    rows = [
        {**description, **scores(predictions[predictions["row"] == row], random_state)}
        for row, description in enumerate(descriptions)
    ]
    predictions["clip"] = clip_of_row[predictions["clip"]]
    results = {
        "corpora": {name: int(np.sum(clips.corpora == name)) for name in corpora},
        "n_speakers": {
            name: frame.loc[frame["corpus"] == name, "speaker"].nunique() for name in corpora
        },
        "n_clips_left_out": len(kept) - len(usable),
        "scheme": scheme,
        "emotions": emotions,
        "chance": 1 / len(emotions),
        "cv": cv if isinstance(cv, str) else repr(cv),
        "classifier": classifier if isinstance(classifier, str) else repr(classifier),
        "versions": versions(),
        "rows": rows,
    }
    return CrossComparison(results, predictions.drop(columns="seconds"))


def _in_all(pooled: Any) -> list[str]:
    """Return the emotions that every corpus has."""
    emotions = pooled.frame.groupby("corpus")["emotion"].agg(set)
    common = sorted(set.intersection(*emotions))
    if len(common) < 2:
        told = "; ".join(f"{name}: {', '.join(sorted(its))}" for name, its in emotions.items())
        raise ValueError(f"the corpora have {len(common)} emotions in common ({told}).")
    return common


def _cells(names: list[str], frame: pd.DataFrame, cv: Any) -> list[_Cell]:
    corpus = frame["corpus"].to_numpy()
    own = {name: np.flatnonzero(corpus == name) for name in names}
    cells = []
    for train in names:
        for test in names:
            folds: Folds = [(own[train], own[test])]
            if train == test:
                within, _ = folds_of(cv, frame.iloc[own[train]].reset_index(drop=True))
                folds = [(own[train][a], own[train][b]) for a, b in within]
            cells.append(_Cell(train, test, folds))
    if len(names) > 2:
        for test in names:
            others = np.flatnonzero(corpus != test)
            cells.append(_Cell(ALL_OTHERS, test, [(others, own[test])]))
    return cells

"""Compare features of speech on a corpus, for speakers who are not in the training set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_ser._utils import (
    Folds,
    are_ratings,
    check_corpus,
    cv_name,
    given_corpus,
    is_missing,
    tested_folds,
    warn,
)
from sklearn_ser.datasets import pool_corpora
from sklearn_ser.evaluation._alignment import ALIGNMENTS
from sklearn_ser.evaluation._classifiers import named_classifiers
from sklearn_ser.evaluation._published import published_beside
from sklearn_ser.evaluation._recipes import corpus_digests, recipe_of_folds
from sklearn_ser.evaluation._results import Comparison
from sklearn_ser.evaluation._runner import Cell, Setup, chance_of, run
from sklearn_ser.exceptions import LeakageWarning
from sklearn_ser.model_selection import check_cv, corpus_folds

__all__ = ["compare"]


def compare(
    corpus: Any = None,
    features: Any = None,
    *,
    train: Any = None,
    test: Any = None,
    layer: int | str | Sequence[int] | None = None,
    cv: Any = None,
    classifier: Any = None,
    speaker_scaling: str | None = None,
    alignment: str | None = None,
    same_scale: bool = False,
    nested: bool = True,
    audit: bool = True,
    n_jobs: int | None = None,
    memory: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **parameters: Any,
) -> Comparison:
    """Compare feature sets, and layers of pretrained models, on a corpus.

    Each clip is embedded once. Every row of the result, one a feature set, layer and classifier,
    then fits the classifier on the training folds, chooses its C there by a search whose folds
    share no speaker, and predicts the test fold's clips.

    Parameters
    ----------
    corpus : Bunch or dict
        With X (clips), y (emotions) and groups (speakers), as the loaders return. If y holds
        floats, it is ratings (arousal, valence, dominance), which regressors predict; integers are
        refused, as they may be codes of emotions; titles say what is rated if the corpus has
        ``rating``, as `load_table` gives it. None where `train` and `test` are given. Where groups
        is None, speakers are unknown: `cv` has to be folds that need none, such as
        :class:`~sklearn_ser.model_selection.EmoBoxFolds`, inner folds are of clips, and intervals
        and paired tests are over the folds, with Nadeau and Bengio's correction of the tests.
    features : mapping, or sequence of str and embedders, default=None
        Names of feature sets ("mfcc", "egemaps", "nano", "ssl", "ssl:MODEL" with the id or folder
        of a speech model, "ssl:MODEL@REVISION" with the branch, tag or commit of one on the hub,
        "module:Class" or "file.py:Class" for your own), embedders, or a mapping
        from any name to one of these. "egemaps+nano" joins the columns of both, with those of each
        layer of one model in turn; so does a FeatureUnion of embedders. None takes all that come
        with this package. A classifier, such as a Pipeline of embedder and network, is a row of its
        own, fitted on the clips of each training fold. Speaker labels are given to it as groups,
        or, where a part of it has a ``speaker`` column, in a frame of clips and that column, of
        which samplers make copies. "pretrained:MODEL" is a published model
        (:class:`~sklearn_ser.classifiers.PretrainedEmotionClassifier`), of which nothing is fitted;
        for ratings a :class:`~sklearn_ser.classifiers.PretrainedEmotionRegressor`, whose ``output``
        ("arousal") is a parameter.
    train, test : Bunch, default=None
        Two corpora instead: train on all of the one, test on all of the other, which must have no
        other emotions, or ratings on the same scale. :func:`compare_across` does this in all
        directions, with labels that mean the same in all corpora, and aligned features.
    layer : int, "middle", "mean", "all" or list of int, default=None
        Layers of "ssl" and of bundled models, a row each. None is all of them.
    cv : str, cross-validator or iterable of (train, test), default=None
        None is "loso", and has to be None with `train` and `test`, which are the one fold. "loso"
        leaves one speaker out, "group5" makes five folds of speakers, "balanced5" five that
        are alike in emotions and sex; "session", "ravdess", "sentence" and "corpus" are further
        protocols of :mod:`sklearn_ser.model_selection`. Or a scikit-learn splitter, or the indices
        of folds: positions in the corpus, clips that are left out among them.
    classifier : {"logistic", "lda", "svm"}, estimator, list or dict, default=None
        Several, in a list or a dict, make a row each of every feature set and layer; in a list,
        estimators are called by their class. A name stands for StandardScaler and the classifier,
        its C chosen inside the training folds. "lda" is linear discriminant analysis with
        Ledoit-Wolf shrinkage. None is "logistic". For ratings it is "ridge" (the default; alpha is
        chosen), "svr" (support vector regression, its C) or any regressor. Whatever part of an
        estimator takes ``groups`` (a search's splitter, a network that holds speakers out) is given
        the speakers, also inside of pipelines and searches, but not of a StackingClassifier.
    speaker_scaling : {"own", "global"}, default=None
        Standardise each speaker's features, by
        :class:`~sklearn_ser.preprocessing.SpeakerScaler`, with test speakers scaled by their own
        clips ("own": transductive) or by those of the training fold ("global": inductive). None
        standardises all by the training fold.
    alignment : {"standardize", "coral"}, default=None
        With `train` and `test`, how features are aligned to the test corpus, as in
        :func:`compare_across`: transductive.
    same_scale : bool, default=False
        With `train` and `test` of ratings, whether they are on one scale although their ranges
        differ much, which is an error otherwise.
    nested : bool, default=True
        Whether to also choose one of the layers, poolings and classifiers of a feature set inside
        each training fold, by the UAR over folds of its speakers. It takes the scores by which C
        is chosen, and of other classifiers, five more fits a row and fold; of a single classifier
        that is a search of your own, that search's scores. A training fold that is too small
        to be split itself has no such score, and the comparison none for its features.
    audit : bool, default=True
        Whether to look for the same audio in training and test folds, too; speakers, sessions and
        sentences are always looked for.
    n_jobs : int, default=None
        Number of folds that are fitted, and threads that extract, at once. None fits on all cores,
        or as many as :func:`joblib.parallel_config` says.
    memory : str or path-like, default=None
        Folder in which each fit is kept when it is done, so that a comparison that is killed, or
        extended, fits only what is missing. What is kept is found by the features' values, labels,
        folds, all settings and versions. Estimators whose fits depend on more are fitted
        again each time, with a warning: those with ``random_state=None`` somewhere, or with
        functions or objects that no file defines.
    verbose : bool, default=False
        Whether to show progress bars.
    **parameters
        Set on the embedders made from a name that have them: model, revision, pooling, window,
        dtype, device, cache, on_error, … One of them has to have it. Those that are given
        ready-made are used as they are. ``pooling=["mean", "std"]`` concatenates statistics;
        ``pooling=[["mean"], ["mean", "std"]]`` are alternatives, a row each.

    Returns
    -------
    comparison : Comparison
        ``uar`` is the mean over folds of the unweighted average recall, ``uar_ci`` its 95 %
        interval (:func:`speaker_interval`; None with fewer than four speakers); accuracy and macro
        F1 are means over folds too. Where folds lack emotions, all of these are pooled over folds
        instead, each emotion once, and ``averaging`` says so; ``fold_uar`` is each fold's UAR over
        the emotions that it has. Chance is 1 / number of emotions. ``difference`` and what follows
        it compare a row with the best one, paired by speaker (:meth:`Comparison.differences`).
        Of ratings, rows are :class:`RatingRow`: ``ccc``, the concordance correlation coefficient of
        the predictions of all folds together, with the interval ``ccc_ci``
        (:func:`concordance_interval`), ``pearson`` and ``rmse``.
        ``nested`` holds the scores of layers and classifiers that are chosen inside the training
        folds.
        ``embedder`` and ``classifier_parameters`` are what to make a row's estimators from. The
        results also hold what
        :func:`~sklearn_ser.audit.audit_split` found, and the figures published for the
        same protocol on the same clips.

    Raises
    ------
    ValueError
        If `cv` needs speakers and the corpus has none, or too few of them, or speakers, emotions or
        ratings are missing, or emotions are integers; or a classifier is given for ratings, or a
        regressor for emotions; or a fold has one emotion only to train on; or not both of `train`
        and `test` or just `corpus` are given; or `cv`, `alignment`, `classifier` or a classifier's
        ``speaker`` would have no effect.
    TypeError
        If `corpus`, `train` or `test` is no corpus, something in `features` is no embedder, or a
        parameter would have no effect, as none of the feature sets takes it.

    Warns
    -----
    LeakageWarning
        If a test fold holds speakers, or audio, of its training fold, or speakers are unknown, so
        that this cannot be ruled out.
    UserWarning
        If a published model lacks emotions of the corpus, or has others; or ratings are all whole
        numbers, as codes of emotions are.

    See Also
    --------
    Comparison : What it returns.
    compare_corpora : On several corpora, with ranks.
    compare_across : From one corpus to another.
    sklearn_ser.plotting.ComparisonDisplay : Draws what it returns.

    Notes
    -----
    Clips that cannot be embedded by one feature set (with ``on_error="warn"`` or "nan") are left
    out of all of them, so that every row is computed on the same clips. Those that an embedder
    inside of a classifier of clips cannot embed are, too.

    Emotions that a published model has no class for are counted as wrong, as are clips for which
    it predicts a class that the corpus lacks; a warning says how many there are.

    The best of many rows is best partly by chance: to report one number for a feature set of
    several layers or classifiers, report its ``nested`` one.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    >>> comparison.frame[["features", "uar"]].shape
    (1, 2)
    """
    given = tuple(one is not None for one in (corpus, train, test))
    if given not in ((True, False, False), (False, True, True)):
        raise ValueError("compare needs either a corpus, or both train and test.")
    if speaker_scaling not in (None, "own", "global"):
        raise ValueError(
            f'speaker_scaling={speaker_scaling!r}; it must be None, "own" or "global".'
        )
    if alignment is not None and corpus is not None:
        raise ValueError("alignment is for two corpora, train and test.")
    if same_scale and corpus is not None:
        raise ValueError("same_scale has no effect: it is for two corpora, train and test.")
    if alignment not in (None, *ALIGNMENTS):
        raise ValueError(f"alignment={alignment!r}; it must be None or one of {list(ALIGNMENTS)}.")
    if alignment == "standardize" and speaker_scaling == "own":
        raise ValueError(
            'alignment="standardize" has no effect with speaker_scaling="own", which standardises '
            "the features again, speaker by speaker: choose one of them."
        )
    if corpus is not None:
        cv = "loso" if cv is None else cv
        corpus = check_corpus(corpus, ratings=True)
        names = (corpus.name, corpus.name)
    elif cv is not None:
        raise ValueError(
            f"cv={cv!r} has no effect: cv is for folds within a corpus, and train and test are "
            "the one fold. Leave it out."
        )
    else:
        corpus, cv, names = _as_one(train, test, same_scale)
        corpus = check_corpus(corpus, ratings=True)
    if corpus.groups is None and not is_missing(corpus.frame.get("speaker", [None])).all():
        raise ValueError(
            "the corpus has no speaker labels (groups is None), and its frame has a column "
            "speaker: give it groups=frame['speaker'], or a frame without that column."
        )
    if corpus.groups is None and speaker_scaling is not None:
        raise ValueError(
            f"speaker_scaling={speaker_scaling!r} needs speaker labels, and the corpus has no "
            "speaker labels (groups is None)."
        )
    ratings = are_ratings(corpus.y)
    classifiers = named_classifiers(classifier, ratings=ratings)
    folds = corpus_folds(corpus.frame, cv)  # checked again, as a frame may name other clips
    setup = Setup(
        caller=compare,
        features=features,
        layer=layer,
        cv=cv,
        classifiers=classifiers,
        classifiers_are_asked_for=classifier is not None,
        nested=nested,
        audit=audit,
        n_jobs=n_jobs,
        verbose=verbose,
        parameters=parameters,
        memory=memory,
        speaker_scaling=speaker_scaling,
        alignments=[alignment],
    )
    found = run(corpus, [Cell(*names, folds)], setup)
    (audited,), (n_folds,) = found.audits, found.n_folds
    name = cv_name(cv, len(folds))
    if audited.leaks:
        warn(f"{name}: {audited.verdict}", LeakageWarning)
    used = found.corpus
    emotions = [] if ratings else sorted(set(used.y.tolist()))
    comparison = Comparison(
        corpus=corpus.name,
        rating=corpus.get("rating"),
        n_clips=len(used.y),
        n_speakers=None if used.groups is None else len(np.unique(used.groups)),
        n_clips_left_out=len(found.left_out),
        clips_left_out=found.left_out,
        digests=corpus_digests(used.X, used.y, used.groups, found.waveform_rate),
        emotions=emotions,
        emotions_not_tested=sorted(set(emotions) - set(found.predictions["emotion"])),
        chance=chance_of(used.y),
        cv=name,
        cv_folds=recipe_of_folds(cv, tested_folds(folds, found.usable), len(corpus.y)),
        n_folds=n_folds,
        speaker_scaling=speaker_scaling,
        alignment=alignment,
        transductive=speaker_scaling == "own" or alignment is not None,
        audit={
            "speaker_independent": audited.speaker_independent,
            "shares_audio": audited.shares_audio,
            "verdict": audited.verdict,
            "speaker_uar": audited.speaker_uar,
            "speaker_ccc": audited.speaker_ccc,
            "confounded": audited.confounded,
            "n_folds_lacking_emotions": audited.n_folds_lacking_emotions,
        },
        published=[],
        published_note="",
        rows=found.rows,
        nested=found.nested,
        predictions=found.predictions,
        embeddings=found.embeddings,
        **found.asked,
    )
    published, note = published_beside(comparison, check_cv(cv) if isinstance(cv, str) else cv)
    return replace(comparison, published=published, published_note=note)


def _as_one(train: Any, test: Any, same_scale: bool) -> tuple[Bunch, Folds, tuple[str, str]]:
    """Return two corpora as one, the fold that trains on the first, and their names."""
    train, test = given_corpus(train, "train"), given_corpus(test, "test")
    names = [corpus.get("name", "corpus") for corpus in (train, test)]
    if names[0] == names[1]:
        names = [f"{name} ({side})" for name, side in zip(names, ("train", "test"), strict=True)]
    pair = dict(zip(names, (train, test), strict=True))
    both = pool_corpora(pair, scheme=None, same_scale=same_scale)
    both.name = f"{names[0]} → {names[1]}"
    n_train = len(train.y)
    unknown = sorted(set(both.y[n_train:]) - set(both.y[:n_train]))
    if unknown and not are_ratings(both.y):
        raise ValueError(
            f"the test corpus has emotions that the training corpus lacks: {', '.join(unknown)}. "
            "Give both the same labels with pool_corpora or harmonize_labels, or leave these "
            "clips out; compare_across does so."
        )
    fold = np.arange(n_train), np.arange(n_train, len(both.y))
    return both, [fold], (names[0], names[1])

"""The map of embeddings by emotion, beside the same by speaker, with probes and silhouettes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser._utils import as_classes, as_speakers, check_lengths, refuse_masked
from sklearn_ser.audit import probe_labels, probe_values, silhouettes, standardized
from sklearn_ser.plotting._style import INK, new_figure, wrapped

__all__ = ["EmbeddingMapDisplay"]

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
# Okabe and Ito's colours, which colour-blind readers distinguish; markers distinguish them in grey.
COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", INK]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h"]
MAX_VECTORS = 2000  # points that a page or a PDF draws as vectors
MAX_LISTED = 48  # labels in a legend
LEGEND_ROWS = 16
MAP_WIDTH, LETTER = 4.6, 0.075  # inches
PCA_BEFORE = 50  # components that t-SNE and UMAP start from

Array = npt.NDArray[Any]


class EmbeddingMapDisplay:
    """Two-dimensional map of embeddings by emotion, beside the same map by speaker.

    A map shows what is near what, and may mislead; the titles say what a linear model reads from
    all dimensions, for speakers that it was not fitted on.

    Parameters
    ----------
    positions : ndarray of shape (n_clips, 2)
        Where clips are drawn.
    emotions, speakers : ndarray of shape (n_clips,)
        Labels.
    scores : DataFrame
        A row for each of emotion and speaker, and sex, text and duration if they are known, with
        the columns silhouette (NaN for duration), probe (UAR; R² for duration), chance, low and
        high (95 % interval of the UAR; NaN where there is none) and n_clips.
    axis_labels : (str, str)
        What the directions of the map are.

    Attributes
    ----------
    ax_ : ndarray of two matplotlib Axes
        By emotion, and by speaker.
    figure_ : matplotlib Figure

    See Also
    --------
    sklearn_ser.audit.diagnose : What is wrong with embeddings, in words.

    Examples
    --------
    >>> from sklearn_ser import MFCCEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.plotting import EmbeddingMapDisplay
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    >>> X = MFCCEmbedder(cache=None).fit_transform(corpus.X)
    >>> display = EmbeddingMapDisplay.from_embeddings(X, corpus.y, corpus.groups)
    >>> list(display.scores.index)
    ['emotion', 'speaker']
    """

    def __init__(
        self,
        positions: Array,
        emotions: Array,
        speakers: Array,
        scores: pd.DataFrame,
        axis_labels: tuple[str, str] = ("", ""),
    ) -> None:
        self.positions = positions
        self.emotions = emotions
        self.speakers = speakers
        self.scores = scores
        self.axis_labels = axis_labels

    @classmethod
    def from_embeddings(
        cls,
        X: Any,
        y: Any,
        groups: Any,
        *,
        sex: Any = None,
        text: Any = None,
        durations: Any = None,
        method: str = "pca",
        random_state: int | None = 0,
        figure: Any = None,
    ) -> EmbeddingMapDisplay:
        """Draw embeddings.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Embeddings or other features; columns are standardised.
        y : array-like of shape (n_clips,)
            Emotion labels.
        groups : array-like of shape (n_clips,)
            Speaker labels.
        sex, text : array-like of shape (n_clips,), default=None
            Sex of the speaker, and the sentence, to be probed too.
        durations : array-like of shape (n_clips,), default=None
            In seconds, to be probed too.
        method : {"pca", "tsne", "umap"}, default="pca"
            How the map is made; "umap" needs the package umap-learn.
        random_state : int or None, default=0
            Determines folds, t-SNE and UMAP.
        figure : matplotlib Figure, default=None
            Where to draw; a new one by default.

        Returns
        -------
        display : EmbeddingMapDisplay

        Raises
        ------
        ValueError
            If `X` holds NaN, labels are missing or are not as many as rows, or there are fewer
            than three clips.
        ImportError
            If `method` is "umap" and umap-learn is not installed.

        Notes
        -----
        Probes are ridge classifiers (of duration, ridge regression) on columns that are
        standardised in the training folds, with the number of columns as penalty: in five folds
        that share no speaker, and in five stratified folds of clips for speakers themselves.
        """
        from sklearn.utils import check_array

        if method not in METHODS:
            raise ValueError(f"method={method!r}; it must be one of {list(METHODS)}.")
        refuse_masked(X)
        X = check_array(X, dtype=[np.float64, np.float32], ensure_min_samples=3, input_name="X")
        given = {"sex": sex, "text": text}
        check_lengths(X=X, y=y, groups=groups, durations=durations, **given)
        labels = {"emotion": as_classes(y).astype(str), "speaker": as_speakers(groups, "groups")}
        for name, values in given.items():
            if values is not None:
                labels[name] = as_classes(values, name)
        positions, axis_labels = _map(standardized(X), method, random_state)
        rows = {}
        found = silhouettes(X, *labels.values(), random_state=random_state)
        for (name, values), silhouette in zip(labels.items(), found, strict=True):
            speakers = None if name == "speaker" else labels["speaker"]
            probe = probe_labels(X, values, speakers, random_state)
            rows[name] = _score(probe, silhouette)
        if durations is not None:
            refuse_masked(durations, "durations")
            seconds = check_array(
                np.ravel(durations), dtype=np.float64, ensure_2d=False, input_name="durations"
            )
            probe = probe_values(X, seconds, labels["speaker"], random_state)
            rows["duration"] = _score(probe, np.nan)
        scores = pd.DataFrame.from_dict(rows, orient="index")
        display = cls(positions, labels["emotion"], labels["speaker"], scores, axis_labels)
        return display.plot(figure=figure)

    def plot(self, *, figure: Any = None) -> EmbeddingMapDisplay:
        """Draw the map twice.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            What to draw into; None is a new one, which is not shown by itself.

        Returns
        -------
        display : EmbeddingMapDisplay
            The display itself, with what was drawn.
        """
        if figure is None:
            legends = _legend_width(self.emotions) + _legend_width(self.speakers)
            figure = new_figure(2 * MAP_WIDTH + legends, 5.2)
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        for ax, name, labels in zip(
            axes, ("emotion", "speaker"), (self.emotions, self.speakers), strict=True
        ):
            names = np.unique(labels)
            for i, label in enumerate(names):
                of_label = labels == label
                ax.scatter(
                    *self.positions[of_label].T,
                    s=22,
                    color=COLORS[i % len(COLORS)],
                    marker=MARKERS[(i % len(COLORS) + i // len(COLORS)) % len(MARKERS)],
                    edgecolors="0.25",
                    linewidths=0.3,
                    alpha=0.85,
                    rasterized=len(labels) > MAX_VECTORS,
                    label=wrapped(f"{label} ({np.count_nonzero(of_label)})", 99),  # one line
                )
            if len(names) <= MAX_LISTED:
                where = {"loc": "upper left", "bbox_to_anchor": (1, 1), "ncols": _n_columns(names)}
                ax.legend(title=f"{name} (clips)", fontsize="small", frameon=False, **where)
            described = self._describe(name).replace(", linear", "\nlinear")
            ax.set_title(f"{len(names)} {name}s: {described}", fontsize="medium")
            ax.set(xlabel=self.axis_labels[0], xticks=[], yticks=[])
        axes[0].set_ylabel(self.axis_labels[1])
        others = [name for name in self.scores.index if name not in ("emotion", "speaker")]
        caption = [f"n = {len(self.positions):,} clips; 95 % intervals"]
        caption += [f"{name}: {self._describe(name)}" for name in others]
        figure.supxlabel("; ".join(caption), fontsize="small", wrap=True)
        self.ax_, self.figure_ = axes, figure
        return self

    def _describe(self, name: str) -> str:
        """Return silhouette and probe of what clips are labelled by, as text."""
        score = self.scores.loc[name]
        parts = [f"silhouette {score['silhouette']:z.2f}"] if name != "duration" else []
        if np.isnan(score["probe"]):
            return ", ".join([*parts, "not probed"])
        if name == "duration":
            return f"linear probe R² {score['probe']:.2f}"
        parts.append(f"linear probe UAR {score['probe']:.2f}")
        within = f"chance {score['chance']:.2f}"
        if not np.isnan(score["low"]):
            within = f"{score['low']:.2f} to {score['high']:.2f}, {within}"
        return f"{', '.join(parts)} ({within})"


def _n_columns(names: Array) -> int:
    return -(-len(names) // LEGEND_ROWS)


def _legend_width(labels: Array) -> float:
    """Return about how many inches a legend takes, so that names of any length have room."""
    names = np.unique(labels)
    longest = max(len(name) for name in names) + len(" (9999)")
    return _n_columns(names) * (0.4 + longest * LETTER) if len(names) <= MAX_LISTED else 0.0


def _score(probe: Any, silhouette: float) -> dict[str, float]:
    """Return a row of the scores."""
    if probe is None:
        none = dict.fromkeys(("probe", "chance", "low", "high"), np.nan)
        return {"silhouette": silhouette, **none, "n_clips": 0}
    low, high = probe.interval or (np.nan, np.nan)
    score = {"probe": probe.score, "chance": probe.chance, "low": low, "high": high}
    return {"silhouette": silhouette, **score, "n_clips": probe.n_clips}


def _map(Z: Array, method: str, random_state: Any) -> tuple[Array, tuple[str, str]]:
    """Return two dimensions of standardised embeddings, and what they are."""
    from sklearn.decomposition import PCA

    if Z.shape[1] == 0:
        raise ValueError("all columns of X are constant.")
    n_components = min(*Z.shape, 2 if method == "pca" else PCA_BEFORE)
    pca = PCA(n_components, random_state=random_state)
    found: Array = pca.fit_transform(Z)
    if found.shape[1] == 1:  # of a single feature
        found = np.column_stack([found, np.zeros(len(found))])
    if method == "pca":
        shares = [*pca.explained_variance_ratio_, 0.0]
        first, second = (
            f"principal component {i} ({share:.0%} of variance)"
            for i, share in enumerate(shares[:2], start=1)
        )
        return found[:, :2], (first, second)
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(Z) - 1) / 3)
        reducer = TSNE(
            perplexity=perplexity,
            init=found[:, :2] * 1e-4 / found[:, 0].std(),
            random_state=random_state,
        )
    else:
        try:
            from umap import UMAP
        except ImportError:
            raise ImportError(
                'method="umap" needs the package umap-learn: pip install umap-learn. "pca" and '
                '"tsne" do without.'
            ) from None
        reducer = UMAP(random_state=random_state)
    name = METHODS[method]
    return reducer.fit_transform(found), (f"{name}, dimension 1", f"{name}, dimension 2")

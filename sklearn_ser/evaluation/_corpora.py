"""Compare features on several corpora, each by itself, and rank them over all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sklearn_ser._utils import are_ratings, check_corpora
from sklearn_ser.evaluation._compare import compare
from sklearn_ser.evaluation._formats import NESTED
from sklearn_ser.evaluation._ranks import Ranks, rank
from sklearn_ser.evaluation._results import Comparison
from sklearn_ser.evaluation._rows import row_name

__all__ = ["CorporaComparison", "compare_corpora"]

SCHEMA = 1  # of corpora.json


@dataclass(frozen=True)
class CorporaComparison(Mapping[str, Comparison]):
    """What :func:`compare_corpora` found: a mapping of each corpus's name to its comparison.

    Parameters
    ----------
    comparisons : dict of str to Comparison
        In the order of the corpora.
    """

    comparisons: dict[str, Comparison]

    def __getitem__(self, name: str) -> Comparison:
        return self.comparisons[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.comparisons)

    def __len__(self) -> int:
        return len(self.comparisons)

    @property
    def frame(self) -> pd.DataFrame:
        """The score of every row that all corpora have, and a column for each corpus."""
        return self._scores(
            [[(row_name(row, each.rows), row) for row in each.rows] for each in self.values()]
        )

    @property
    def chosen(self) -> pd.DataFrame:
        """The score of each feature set, and a column for each corpus.

        Of a feature set with several rows, by layer or classifier, it is that of the row that is
        chosen inside the training folds: the best one was chosen by the score itself.
        """
        return self._scores([_one_each(comparison) for comparison in self.values()])

    def _scores(self, of_corpora: list[list[tuple[str, Any]]]) -> pd.DataFrame:
        columns = [pd.Series({name: row.score for name, row in rows}) for rows in of_corpora]
        frame = pd.concat(columns, axis=1, keys=list(self), join="inner")
        return frame.rename_axis(index="features", columns="corpus")

    def ranks(self, scores: pd.DataFrame | None = None) -> Ranks:
        """Rank feature sets on each corpus, and test whether they differ.

        Parameters
        ----------
        scores : DataFrame, default=None
            What to rank: `chosen` by default, or `frame`.

        Returns
        -------
        ranks : Ranks

        Notes
        -----
        With few corpora the tests tell little: of five feature sets on three corpora, mean ranks
        have to differ by 3.52. Differences on one corpus are those of `Comparison.differences`.
        """
        return rank(self.chosen if scores is None else scores)

    def save(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write a folder for each corpus, as `Comparison.save` does, and ``corpora.json``.

        Parameters
        ----------
        folder : str or path-like
            Made if it is not there.

        Returns
        -------
        names : list of str
            Of the files written.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        index = Path(folder, "corpora.json")
        index.unlink(missing_ok=True)
        folders = {name: f"{k:02d}" for k, name in enumerate(self)}
        names = []
        for name, comparison in self.items():
            written = comparison.save(Path(folder, folders[name]))
            names += [f"{folders[name]}/{file}" for file in written]
        content = {"schema": SCHEMA, "kind": "compare_corpora", "folders": folders}
        index.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return [*names, "corpora.json"]

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> CorporaComparison:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : str or path-like

        Returns
        -------
        comparison : CorporaComparison

        Raises
        ------
        ValueError
            If the files are of another kind or schema.
        """
        content = json.loads(Path(folder, "corpora.json").read_text(encoding="utf-8"))
        if (content.get("schema"), content.get("kind")) != (SCHEMA, "compare_corpora"):
            raise ValueError(f"{folder} holds no comparison on several corpora by schema {SCHEMA}.")
        folders = content["folders"].items()
        return cls({name: Comparison.load(Path(folder, its)) for name, its in folders})


def compare_corpora(
    corpora: Mapping[str, Any], features: Any = None, **parameters: Any
) -> CorporaComparison:
    """Compare feature sets on several corpora: a comparison of each, and ranks over all.

    On each corpus it is :func:`compare`: folds, the choice of C and intervals are of that corpus
    alone. :func:`compare_across` trains on one corpus and tests on another.

    Parameters
    ----------
    corpora : mapping of str to Bunch
        Corpora by name, each with X, y and groups, as the loaders return.
    features : mapping, or sequence of str and embedders, default=None
        As in :func:`compare`.
    **parameters
        As in :func:`compare`: cv, classifier, layer, cache, …

    Returns
    -------
    comparison : CorporaComparison
        ``comparison["emodb"]`` is the :class:`Comparison` of that corpus, ``comparison.chosen`` a
        table of feature sets by corpus, and ``comparison.ranks()`` their mean ranks with Friedman's
        and Nemenyi's tests.

    Raises
    ------
    TypeError, ValueError
        As :func:`compare`, with the corpus's name; or if there is no corpus.

    See Also
    --------
    compare : On one corpus.
    compare_across : Train on one corpus, test on another.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_corpora
    >>> corpora = {
    ...     f"speech {seed}": make_emotional_speech(3, 1, random_state=seed) for seed in range(2)
    ... }
    >>> found = compare_corpora(corpora, ["mfcc", "egemaps"], classifier="lda", cache=None)
    >>> found.chosen.shape
    (2, 2)
    >>> sorted(found.ranks().mean_ranks.index)
    ['egemaps', 'mfcc']
    """
    corpora = check_corpora(corpora)
    if not corpora:
        raise ValueError("corpora is empty: name a corpus at least.")
    rated = [name for name, corpus in corpora.items() if are_ratings(corpus.y)]
    if rated and len(rated) < len(corpora):
        others = ", ".join(name for name in corpora if name not in rated)
        raise ValueError(
            f"y of {', '.join(rated)} holds ratings (floats), and y of {others} emotions, so that "
            "scores cannot be put together. Compare the ones by themselves."
        )
    comparisons = {}
    for name, corpus in corpora.items():
        try:
            comparisons[name] = compare(corpus, features, **parameters)
        except (ValueError, TypeError) as error:
            error.add_note(f"while comparing on {name}")
            raise
    return CorporaComparison(comparisons)


def _one_each(comparison: Comparison) -> list[tuple[str, Any]]:
    """Return a row, or a nested score, for each feature set."""
    of_features: dict[str, list[Any]] = {}
    for row in comparison.rows:
        of_features.setdefault(row.features, []).append(row)
    nested = {each.features: each for each in comparison.nested}
    found: list[tuple[str, Any]] = []
    for features, rows in of_features.items():
        if len(rows) == 1:
            found.append((rows[0].name, rows[0]))
        elif features in nested:
            found.append((f"{rows[0].name}, {NESTED}", nested[features]))
    return found

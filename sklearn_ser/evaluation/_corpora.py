"""Compare features on several corpora, each by itself, and rank them over all."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser._utils import all_rated, check_corpora, naming_file, read_text, write_atomically
from sklearn_ser.evaluation._compare import compare
from sklearn_ser.evaluation._formats import NESTED, Shown, Table
from sklearn_ser.evaluation._ranks import Ranks, rank
from sklearn_ser.evaluation._results import Comparison
from sklearn_ser.evaluation._rows import features_name, row_name, score_cell

__all__ = ["CorporaComparison", "compare_corpora"]

SCHEMA = 1  # of corpora.json


@dataclass(frozen=True, repr=False)
class CorporaComparison(Shown, Mapping[str, Comparison]):
    """What :func:`compare_corpora` found: a mapping of each corpus's name to its comparison.

    Parameters
    ----------
    comparisons : dict of str to Comparison
        In the order of the corpora.

    See Also
    --------
    compare_corpora : Makes it.
    sklearn_ser.plotting.RanksDisplay : Draws the ranks.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_corpora
    >>> corpora = {
    ...     f"corpus {k}": make_emotional_speech(n_speakers=3, n_sentences=1, random_state=k)
    ...     for k in range(2)
    ... }
    >>> found = compare_corpora(corpora, ["mfcc", "nano"], layer=2, classifier="lda", audit=False)
    >>> found.chosen.shape
    (2, 2)
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

    def to_frame(self) -> pd.DataFrame:
        """Return the scores of all corpora as numbers, a line a row and a nested score.

        Returns
        -------
        scores : DataFrame
            As `Comparison.to_frame`, with the column corpus.
        """
        frames = [each.to_frame().assign(corpus=name) for name, each in self.items()]
        return pd.concat(frames, ignore_index=True)

    def _tables(self, digits: int, timings: bool) -> list[Table]:
        of_corpora = [dict(_all_rows(comparison)) for comparison in self.values()]
        shared = [name for name in of_corpora[0] if all(name in rows for rows in of_corpora)]
        ranks = self.ranks().mean_ranks
        first, *others = self.values()
        metric = first.rows[0].metric
        cells, bold = [], set()
        best = [max(rows[name].score for name in shared) for rows in of_corpora]
        for k, name in enumerate(shared):
            scored = [rows[name] for rows in of_corpora]
            bold |= {
                (k, 1 + column) for column, row in enumerate(scored) if row.score == best[column]
            }
            rank = f"{ranks[name]:.2f}" if name in ranks else ""
            cells.append([name, *(score_cell(row, digits) for row in scored), rank])
        which = "; ".join(
            f"{name}: {each.title.removeprefix(f'{each.corpus}: ')}" for name, each in self.items()
        )
        unknown = [name for name, each in self.items() if each.n_speakers is None]
        over = "for new speakers"
        if unknown:
            over += f" (over folds where speakers are unknown: {', '.join(unknown)})"
        nested = any(hasattr(rows[name], "rows") for rows in of_corpora for name in shared)
        chosen = f"; {NESTED}: chosen inside the training folds" if nested else ""
        notes = [
            f"{metric}, 95 % interval {over}{chosen}.",
            f"Rank: mean over {len(self)} corpora, of one score a feature set. {which}.",
        ]
        of_each = {name: None for each in self.values() for name, _ in _one_each(each)}
        if unranked := [name for name in of_each if name not in ranks]:
            notes.append(
                f"Not ranked, as not all corpora have that score: {', '.join(unranked)} (training "
                "speakers that cannot be split give no nested score)."
            )
        columns = ["features", *self, "rank"]
        what = first.rating and f" of {first.rating}" * all(
            each.rating == first.rating for each in others
        )
        return [Table(f"{metric}{what or ''} by corpus", columns, cells, notes, 1, frozenset(bold))]

    def ranks(self, scores: pd.DataFrame | None = None) -> Ranks:
        """Rank feature sets on each corpus, and test whether they differ.

        Parameters
        ----------
        scores : DataFrame, default=None
            What to rank: `chosen` by default, or `frame`.

        Returns
        -------
        ranks : Ranks
            Of the feature sets that have one score on every corpus, which may be none.

        Notes
        -----
        With few corpora the tests tell little: of five feature sets on three corpora, mean ranks
        have to differ by 3.52. Differences on one corpus are those of `Comparison.differences`.
        """
        if scores is None and (scores := self.chosen).empty:
            return Ranks(pd.Series(dtype=float), len(self), np.nan, np.nan)
        return rank(scores)

    def with_command(self, command: dict[str, Any]) -> CorporaComparison:
        """Return it with the command that made it, as in `Comparison`, in every comparison.

        Parameters
        ----------
        command : dict
            Its arguments, and the directory that it was run in.

        Returns
        -------
        comparison : CorporaComparison
        """
        return CorporaComparison(
            {name: replace(each, command=command) for name, each in self.items()}
        )

    @property
    def command(self) -> dict[str, Any] | None:
        """The command that made it; None of what was made in Python."""
        return next(iter(self.values())).command

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        corpora: Mapping[str, Any] | None = None,
        command: str | None = None,
        formats: Sequence[str] = (),
    ) -> list[str]:
        """Write a folder for each corpus, ``report.html``, ``table.tex`` and ``corpora.json``.

        Parameters
        ----------
        folder : str or path-like
            Made if it is not there.
        corpora : mapping of str to Bunch, default=None
            The corpora that were compared, for their reports.
        command, formats : str, sequence of str
            As in `Comparison.save`.

        Returns
        -------
        names : list of str
            Of the files written.
        """
        from sklearn_ser._report import render_corpora

        Path(folder).mkdir(parents=True, exist_ok=True)
        index = Path(folder, "corpora.json")
        index.unlink(missing_ok=True)
        folders = _folders(list(self))
        names = []
        for name, comparison in self.items():
            written = comparison.save(
                Path(folder, folders[name]),
                corpus=None if corpora is None else corpora[name],
                command=command,
                formats=formats,
            )
            names += [f"{folders[name]}/{file}" for file in written]
        places = {name: f"{its}/report.html" for name, its in folders.items()}
        page = render_corpora(self, places=places, command=command)
        write_atomically(Path(folder, "report.html"), page.encode())
        write_atomically(Path(folder, "table.tex"), self.to_latex().encode())
        content = {"schema": SCHEMA, "kind": "compare_corpora", "folders": folders}
        write_atomically(index, f"{json.dumps(content, indent=1)}\n".encode())
        return [*names, "report.html", "table.tex", "corpora.json"]

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
        path = Path(folder, "corpora.json")
        with naming_file(path):
            content = json.loads(read_text(path))
            names = [Path(its) for its in dict(content.get("folders", {})).values()]
            if any(its.is_absolute() or ".." in its.parts for its in names):
                raise ValueError(f"{path} names results outside of its folder.")
        if (content.get("schema"), content.get("kind")) != (SCHEMA, "compare_corpora"):
            raise ValueError(f"{folder} holds no comparison on several corpora by schema {SCHEMA}.")
        folders = content["folders"].items()
        return cls({name: Comparison.load(Path(folder, its)) for name, its in folders})


def compare_corpora(
    corpora: Mapping[str, Any], features: Any = None, *, cv: Any = None, **parameters: Any
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
    cv : str, cross-validator, iterable, or mapping of str to these, default=None
        As in :func:`compare`; a mapping has one for each corpus, by its name.
    **parameters
        As in :func:`compare`: classifier, layer, cache, …

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
    all_rated(corpora)
    cvs = cv if isinstance(cv, Mapping) else dict.fromkeys(corpora, cv)
    if cvs.keys() != corpora.keys():
        raise ValueError(f"cv is for {', '.join(cvs)}, and the corpora are {', '.join(corpora)}.")
    comparisons = {}
    for name, corpus in corpora.items():
        try:
            comparisons[name] = compare(corpus, features, cv=cvs[name], **parameters)
        except (ValueError, TypeError) as error:
            error.add_note(f"while comparing on {name}")
            raise
    return CorporaComparison(comparisons)


def _all_rows(comparison: Comparison) -> Iterator[tuple[str, Any]]:
    """Yield the rows and the nested scores of a comparison, each with its name."""
    for row in comparison.rows:
        yield row_name(row, comparison.rows), row
    for nested in comparison.nested:
        name = features_name(comparison.rows[nested.rows[0]], comparison.rows)
        yield f"{name}, {NESTED}", nested


def _folders(names: list[str]) -> dict[str, str]:
    """Return a folder for each corpus, by its name's letters, digits and dashes."""
    folders: dict[str, str] = {}
    for k, name in enumerate(names):
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        folders[name] = plain if plain and plain not in folders.values() else f"{plain}-{k}"
    return folders


def _one_each(comparison: Comparison) -> list[tuple[str, Any]]:
    """Return a row, or a nested score, for each feature set."""
    n_rows = Counter(row.features for row in comparison.rows)
    return [
        (name, scored)
        for name, scored in _all_rows(comparison)
        if hasattr(scored, "rows") or n_rows[scored.features] == 1
    ]

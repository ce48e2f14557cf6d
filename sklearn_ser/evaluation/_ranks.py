"""Ranks of feature sets over several corpora, and whether they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln

__all__ = ["Ranks", "rank"]

LEVEL = 0.05
ROUNDING = 12  # decimals, as sums of the same recalls in another order differ in the 16th


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over corpora, with the tests that Demšar [1]_ recommends.

    Parameters
    ----------
    mean_ranks : Series
        By name, from the best; 1 would be the best one on every corpus. Equal scores share ranks.
    n_corpora : int
        How many the ranks are averaged over.
    p_value : float
        Of Friedman's test that all are alike, by Iman and Davenport's F, and never below the
        probability that all corpora agree by chance. NaN of fewer than three.
    critical_difference : float
        Of mean ranks that differ by less, Nemenyi's test does not tell at the level of 5 %, all
        pairs taken together. NaN of fewer than two.

    See Also
    --------
    CorporaComparison : Its ``ranks`` makes it.
    sklearn_ser.plotting.RanksDisplay : Draws it.

    References
    ----------
    .. [1] J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7,
       2006.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_ser.evaluation import Ranks
    >>> means = pd.Series({"nano": 1.3, "egemaps": 1.9, "mfcc": 2.8})
    >>> Ranks(means, n_corpora=8, p_value=0.01, critical_difference=1.2).groups
    [['nano', 'egemaps'], ['egemaps', 'mfcc']]
    """

    mean_ranks: pd.Series
    n_corpora: int
    p_value: float
    critical_difference: float

    @property
    def groups(self) -> list[list[str]]:
        """The longest runs of names, by rank, that are not told apart; single names are none."""
        names, ranks = self.mean_ranks.index.tolist(), self.mean_ranks.to_numpy()
        groups: list[list[str]] = []
        for first in range(len(names)):
            close = ranks[first:] - ranks[first] <= self.critical_difference
            group = names[first : first + int(close.sum())]
            if len(group) > 1 and not (groups and set(group) <= set(groups[-1])):
                groups.append(group)
        return groups

    def __str__(self) -> str:
        lines = [f"{rank:5.2f}  {name}" for name, rank in self.mean_ranks.items()]
        if np.isfinite(self.p_value):
            lines.append(f"Friedman's test (Iman and Davenport): p = {self.p_value:.3g}")
        if np.isfinite(self.critical_difference):
            lines.append(
                f"Nemenyi's critical difference of mean ranks: {self.critical_difference:.2f} "
                f"({self.n_corpora} corpora)"
            )
        return "\n".join(["Mean ranks over corpora, 1 is the best:", *lines])


def rank(scores: pd.DataFrame) -> Ranks:
    """Return the mean ranks of scores.

    Parameters
    ----------
    scores : DataFrame
        A line for each of what is compared, and a column for each corpus; higher is better.

    Returns
    -------
    ranks : Ranks

    Raises
    ------
    ValueError
        If there is no score, or one is missing.
    """
    if scores.empty or scores.isna().any(axis=None):
        raise ValueError("ranks need a score of everything on every corpus, and one at least.")
    scores = scores.round(ROUNDING)
    ranks = scores.rank(ascending=False).mean(axis=1).sort_values(kind="stable")
    k, n = scores.shape
    p_value = critical = np.nan
    if k > 2 and n > 1:
        p_value = 1.0  # all are alike on every corpus
        if (scores.nunique() > 1).any():
            statistic = stats.friedmanchisquare(*scores.to_numpy()).statistic
            left = n * (k - 1) - statistic
            f = (n - 1) * statistic / left if left > 0 else np.inf
            # Where all corpora agree, F is infinite; that they do has a probability by chance.
            agree = float(np.exp(-(n - 1) * gammaln(k + 1)))
            p_value = max(float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))), agree)
    if k > 1 and n > 1:
        quantile = stats.studentized_range.ppf(1 - LEVEL, k, np.inf) / np.sqrt(2)
        critical = float(quantile * np.sqrt(k * (k + 1) / (6 * n)))
    return Ranks(ranks, n, p_value, critical)

"""Which copies of which clips stand on both sides of a fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sklearn_ser.audit._matching import LARGEST_GROUP

__all__ = ["PAIR", "Copies"]

PAIR = ("test", "train", "kind", "offset", "overlap", "error_rate")


class Copies:
    """Pairs of clips with the same audio, and the groups that they make.

    Parameters
    ----------
    pairs : DataFrame
        What :func:`find_duplicates` returned. Of a large group it lists links only.
    n_clips : int
        Number of clips.
    """

    def __init__(self, pairs: pd.DataFrame, n_clips: int) -> None:
        self.partners: dict[int, list[dict[str, Any]]] = {}
        for pair in pairs.to_dict("records"):
            clip, other = pair["clip"], pair["other"]
            rest = {name: pair[name] for name in PAIR[2:]}
            self.partners.setdefault(clip, []).append({"test": clip, "train": other, **rest})
            rest = {**rest, "offset": -pair["offset"]}
            self.partners.setdefault(other, []).append({"test": other, "train": clip, **rest})
        identical = _groups(pairs[pairs["kind"] == "identical"], n_clips)
        alike = _groups(pairs, n_clips)
        # In a smaller group every pair is listed, and two parts of one recording are none.
        small = np.bincount(alike, minlength=n_clips)[alike] <= LARGEST_GROUP
        alike = np.where(small, n_clips + identical, alike)
        self.groups = {"identical": identical, "near-identical": alike}

    def crossing(self, train: npt.NDArray[Any], test: npt.NDArray[Any]) -> list[dict[str, Any]]:
        """Return the pairs of a test and a training clip, as dicts of `PAIR`.

        A test clip that is paired with none, but belongs to a group that is trained on, is paired
        with one clip of that group.
        """
        trained = set(np.asarray(train).tolist())
        in_group = {
            kind: {int(groups[clip]): clip for clip in sorted(trained, reverse=True)}
            for kind, groups in self.groups.items()
        }
        found = []
        for clip in np.asarray(test).tolist():
            if clip not in self.partners:
                continue
            pairs = [pair for pair in self.partners[clip] if pair["train"] in trained]
            for kind, groups in self.groups.items():
                other = in_group[kind].get(int(groups[clip]))
                if other is not None and not any(pair["kind"] == kind for pair in pairs):
                    if kind == "near-identical" and pairs:
                        continue
                    pairs.append(
                        {"test": clip, "train": other, "kind": kind}
                        | dict.fromkeys(PAIR[3:], np.nan)
                    )
            found += sorted(pairs, key=lambda pair: (pair["kind"], pair["train"]))
        return sorted(found, key=lambda pair: pair["kind"])


def _groups(pairs: pd.DataFrame, n_clips: int) -> npt.NDArray[np.int32]:
    """Return the number of the group that each clip belongs to."""
    ones = np.ones(len(pairs))
    links = coo_array(
        (ones, (pairs["clip"].to_numpy(), pairs["other"].to_numpy())), shape=(n_clips, n_clips)
    )
    found: npt.NDArray[np.int32] = connected_components(links, directed=False)[1]
    return found

"""What differs between a comparison and its repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn_ser.evaluation._results import Comparison
from sklearn_ser.evaluation._rows import Scored

__all__ = ["differences_of_runs"]

# Of the results as a whole, beside versions.
FIELDS: tuple[str, ...] = (
    "corpus",
    "n_clips",
    "n_speakers",
    "n_clips_left_out",
    "emotions",
    "rating",
    "audit",
)
FIELDS += ("cv", "cv_parameters", "cv_folds", "classifier_parameters")
FIELDS += ("speaker_scaling", "alignment")
# Of what is chosen inside the training folds.
CHOICES = ("layers", "poolings", "classifiers")
# Parameters of embedders that change how they compute, and not what.
FREE = {"cache", "device", "n_jobs", "verbose"}


def differences_of_runs(earlier: Comparison, later: Comparison) -> tuple[list[str], list[str]]:
    """Return in words which versions differ, and what else does.

    Parameters
    ----------
    earlier, later : Comparison

    Returns
    -------
    versions, others : list of str
    """
    old, new = earlier.versions, later.versions
    versions = [
        f"{name}: {old.get(name, 'none')} → {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    others = []
    for name in FIELDS:
        values = [getattr(each, name) for each in (earlier, later)]
        if values[0] != values[1]:
            others.append(f"{name}: {values[0]!r:.120} → {values[1]!r:.120}")
    changed = [
        name
        for name in sorted({*earlier.digests, *later.digests})
        if earlier.digests.get(name) != later.digests.get(name)
    ]
    if changed:
        others.append(f"digests: {' and '.join(changed)} of the clips")
    if "labels" in changed:  # clips are known by their positions
        others[-1] += "; predictions are not compared one by one"
    rows = [{_key(row): k for k, row in enumerate(each.rows)} for each in (earlier, later)]
    others += [f"{_called(key)}: is no row any more" for key in rows[0] if key not in rows[1]]
    others += [f"{_called(key)}: was no row before" for key in rows[1] if key not in rows[0]]
    for key in rows[0]:
        if key in rows[1]:
            told = _differences_of_rows(earlier, rows[0][key], later, rows[1][key])
            if "labels" not in changed:
                told += _differences_of_predictions(earlier, rows[0][key], later, rows[1][key])
            others += [f"{_called(key)}: {', '.join(told)}"] if told else []
    nested = [{(row.features, row.model): row for row in each.nested} for each in (earlier, later)]
    for chosen in (key for key in nested[0] if key in nested[1]):
        old, new = nested[0][chosen], nested[1][chosen]
        told = _differences_of_scores(old, new)
        if any(getattr(old, name) != getattr(new, name) for name in CHOICES):
            told.append("other choices in the folds")
        others += [f"{chosen[0]}, nested: {', '.join(told)}"] if told else []
    return versions, others


def _differences_of_scores(old: Scored, new: Scored) -> list[str]:
    before, after = ({row.metric: row.score, **row.other_scores} for row in (old, new))
    return [
        f"{name} {value:.4f} → {after[name]:.4f}"
        for name, value in before.items()
        if name in after and value != after[name]
    ]


def _differences_of_rows(earlier: Comparison, k: int, later: Comparison, m: int) -> list[str]:
    old, new = earlier.rows[k], later.rows[m]
    told = _differences_of_scores(old, new)
    if _settled(old.embedder) != _settled(new.embedder):
        told.append("settings, weights or versions of its embedder differ")
    return told


def _differences_of_predictions(
    earlier: Comparison, k: int, later: Comparison, m: int
) -> list[str]:
    lines = [
        each.predictions[each.predictions["row"] == row].set_index(["fold", "clip"])["predicted"]
        for each, row in ((earlier, k), (later, m))
    ]
    first, second = lines[0].align(lines[1])
    n_others = int((first.astype(object) != second.astype(object)).sum())
    return [f"{n_others} of {len(first)} predictions differ"] if n_others else []


def _settled(recipe: Any) -> Any:
    """Return a recipe without what changes no values."""
    if isinstance(recipe, Mapping):
        return {name: _settled(value) for name, value in recipe.items() if name not in FREE}
    return [_settled(each) for each in recipe] if isinstance(recipe, list) else recipe


def _key(row: Any) -> tuple[Any, ...]:
    return row.features, row.model, row.layer, row.pooling, row.classifier


def _called(key: tuple[Any, ...]) -> str:
    features, _, layer, _, classifier = key
    parts = [features, None if layer is None else f"layer {layer}", classifier]
    return ", ".join(part for part in parts if part is not None)

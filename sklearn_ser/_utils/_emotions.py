"""What this package calls emotions, and what others call them; used by loaders and models."""

from __future__ import annotations

from typing import Any

from sklearn_ser._utils._labels import composed

__all__ = ["CANONICAL", "EMOTIONS", "canonical"]

# Each emotion's label in the schemes "four" and "ekman" (None: dropped), and its arousal and
# valence, as high or low and positive or negative.
EMOTIONS: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "anger": ("anger", "anger", "high", "negative"),
    "happiness": ("happiness", "happiness", "high", "positive"),
    "sadness": ("sadness", "sadness", "low", "negative"),
    "neutral": ("neutral", "neutral", "low", "positive"),
    "fear": (None, "fear", "high", "negative"),
    "disgust": (None, "disgust", "low", "negative"),
    "surprise": (None, "surprise", "high", "positive"),
    "boredom": (None, None, "low", "negative"),
    "calm": ("neutral", "neutral", "low", "positive"),
    "excitement": ("happiness", "happiness", "high", "positive"),
    "frustration": (None, None, "high", "negative"),
    "contempt": (None, None, None, "negative"),
    "other": (None, None, None, None),
    "no agreement": (None, None, None, None),
}
# What corpora and toolkits call them.
_ALIASES = {
    "anger": ("angry", "ang", "rage", "wut", "ärger"),
    "happiness": ("happy", "hap", "joy", "joyful", "freude"),
    "sadness": ("sad", "trauer"),
    "neutral": ("neu",),
    "fear": ("fearful", "fea", "anxiety", "anxious", "angst"),
    "disgust": ("disgusted", "dis", "ekel"),
    "surprise": ("surprised", "sur", "ps", "pleasant_surprise", "pleasant_surprised"),
    "boredom": ("bored", "boredem", "langeweile"),
    "calm": ("calmness",),
    "excitement": ("excited", "exc"),
    "frustration": ("frustrated", "fru"),
    "contempt": ("contemptuous",),
    "other": ("oth",),
    "no agreement": ("xxx",),
}
CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}


def canonical(label: Any) -> Any:
    """Return this package's name of an emotion; the label in lower case if it is another.

    What is no text is returned as it is: `as_corpus` refuses it, with its rows.
    """
    if not isinstance(label, str):
        return label
    label = composed(label.strip()).lower()
    return CANONICAL.get(label, label)

"""Speech emotion recognition for scikit-learn.

Embedders turn clips of speech into rows of features and are plain scikit-learn transformers.
Names and rooms are imported when they are first asked for, as scikit-learn alone takes a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn_ser.embedders import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder, TextEmbedder

__version__ = "0.1.0"

__all__ = ["EGeMAPSEmbedder", "MFCCEmbedder", "SSLEmbedder", "TextEmbedder"]

_ROOMS = (
    "audit",
    "classifiers",
    "datasets",
    "embedders",
    "evaluation",
    "exceptions",
    "model_selection",
    "plotting",
    "preprocessing",
    "recognition",
    "store",
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in __all__:
        return getattr(import_module(f"{__name__}.embedders"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})

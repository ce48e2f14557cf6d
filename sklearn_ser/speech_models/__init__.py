"""Pretrained speech models of the transformers library: finding, loading and running them."""

from typing import Any

from sklearn_ser.speech_models._files import BUNDLED, find_model, model_digest

__all__ = ["BUNDLED", "SpeechModel", "find_model", "load_model", "model_digest"]


def __getattr__(name: str) -> Any:
    # torch is imported with these, and takes seconds.
    if name in ("SpeechModel", "load_model"):
        from sklearn_ser.speech_models import _model

        return getattr(_model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Pretrained speech and text models of the transformers library: find, load and run them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sklearn_ser._models._files import (
    BUNDLED,
    TOKENIZERS,
    find_model,
    model_digest,
    read_config,
    read_speech_config,
)

if TYPE_CHECKING:
    from sklearn_ser._models._heads import load_fine_tuned
    from sklearn_ser._models._loading import frames_per_second
    from sklearn_ser._models._speech_model import SpeechModel, load_model
    from sklearn_ser._models._text_model import load_text_model
    from sklearn_ser._models._trainable import FineTunedNetwork, add_lora, last_layers

__all__ = [
    "BUNDLED",
    "TOKENIZERS",
    "FineTunedNetwork",
    "SpeechModel",
    "add_lora",
    "find_model",
    "frames_per_second",
    "last_layers",
    "load_fine_tuned",
    "load_model",
    "load_text_model",
    "model_digest",
    "read_config",
    "read_speech_config",
]

# torch is imported with these, and takes seconds.
_MODULES = {
    "FineTunedNetwork": "_trainable",
    "SpeechModel": "_speech_model",
    "add_lora": "_trainable",
    "frames_per_second": "_loading",
    "last_layers": "_trainable",
    "load_fine_tuned": "_heads",
    "load_model": "_speech_model",
    "load_text_model": "_text_model",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        globals()[name] = found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

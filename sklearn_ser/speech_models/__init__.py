"""Pretrained speech models of the transformers library: finding, loading and running them."""

from sklearn_ser.speech_models._files import find_model, model_digest
from sklearn_ser.speech_models._model import SpeechModel, load_model

__all__ = ["SpeechModel", "find_model", "load_model", "model_digest"]

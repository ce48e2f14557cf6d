"""Classifiers and regressors for emotion in speech: networks, fine-tuning, published models."""

from sklearn_ser.classifiers._fine_tuned import FineTunedClassifier
from sklearn_ser.classifiers._layer_weighted import LayerWeightedClassifier
from sklearn_ser.classifiers._mlp import MLPHead
from sklearn_ser.classifiers._pretrained import (
    PretrainedEmotionClassifier,
    PretrainedEmotionRegressor,
)
from sklearn_ser.classifiers._sequence import SequenceClassifier
from sklearn_ser.classifiers._training import temperature_of as temperature_of  # for recognizers

__all__ = [
    "FineTunedClassifier",
    "LayerWeightedClassifier",
    "MLPHead",
    "PretrainedEmotionClassifier",
    "PretrainedEmotionRegressor",
    "SequenceClassifier",
]

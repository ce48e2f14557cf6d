"""Classifiers and regressors for emotion in speech."""

from sklearn_ser.classifiers._fine_tuned import FineTunedClassifier
from sklearn_ser.classifiers._layer_weighted import LayerWeightedClassifier
from sklearn_ser.classifiers._mlp import MLPHead
from sklearn_ser.classifiers._pretrained import (
    PretrainedEmotionClassifier,
    PretrainedEmotionRegressor,
)
from sklearn_ser.classifiers._sequence import SequenceClassifier

__all__ = [
    "FineTunedClassifier",
    "LayerWeightedClassifier",
    "MLPHead",
    "PretrainedEmotionClassifier",
    "PretrainedEmotionRegressor",
    "SequenceClassifier",
]

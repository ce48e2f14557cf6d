"""Classifiers and regressors that take clips of speech."""

from sklearn_ser.classifiers._pretrained import (
    PretrainedEmotionClassifier,
    PretrainedEmotionRegressor,
)

__all__ = ["PretrainedEmotionClassifier", "PretrainedEmotionRegressor"]

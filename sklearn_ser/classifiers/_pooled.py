"""What classifiers of pooled embeddings have in common."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, validate_data

from sklearn_ser._utils import find_speaker_column, refuse_masked
from sklearn_ser.classifiers._neural import Array, NeuralClassifier, only_centre_constants

__all__ = ["PooledClassifier"]


class PooledClassifier(NeuralClassifier):
    """A network on a matrix of features, one row a clip, one column of which may be the speaker."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "standardize": ["boolean"],
        **NeuralClassifier._parameter_constraints,
    }

    standardize: bool
    # So that a clip's scores do not depend on the clips beside it, by rounding.
    _predicts_in = "float64"

    def _split(self, X: Any, groups: Any, reset: bool) -> tuple[Any, Any]:
        refuse_masked(X)
        if self.speaker is None:
            return validate_data(self, X, reset=reset, dtype=np.float32), groups
        X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        names = list(getattr(self, "feature_names_in_", []))
        column = find_speaker_column(self.speaker, X.shape[1], names)
        features = check_array(np.delete(X, column, axis=1), dtype=np.float32, estimator=self)
        return features, X[:, column] if groups is None else groups

    def _prepare(self, clips: Any, train: Array) -> None:
        self.n_features_ = clips.shape[1]
        self.scaler_ = None
        if self.standardize:  # with arrays as output, whatever scikit-learn's settings say
            self.scaler_ = StandardScaler().set_output(transform="default").fit(clips[train])
            only_centre_constants(self.scaler_)

    def _dataset(self, clips: Any, rows: Array, codes: Array | None) -> Any:
        import torch

        inputs = torch.from_numpy(self._inputs(clips[rows]))
        targets = np.zeros(len(rows), np.int64) if codes is None else codes[rows]
        return torch.utils.data.TensorDataset(inputs, torch.from_numpy(targets))

    def _inputs(self, X: Array) -> Array:
        return X if self.scaler_ is None else self.scaler_.transform(X)

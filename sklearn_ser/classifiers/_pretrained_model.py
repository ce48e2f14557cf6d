"""The base of published emotion models: an embedder of a checkpoint's outputs.

So that clips are read, computed once and stored as those of other embedders.
"""

from __future__ import annotations

from abc import abstractmethod
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.utils.validation import check_consistent_length

from sklearn_ser._extraction import Extractor, WaveformExtractor
from sklearn_ser._utils import (
    find_device,
    thread_count,
)
from sklearn_ser.embedders import BaseEmbedder, VectorLayout

__all__ = ["Array", "PretrainedModel"]

Array = npt.NDArray[np.float32]
# Part of the key: its last number is raised when a model and a waveform would give other values.
RECORD_VERSION = "mean over equal pieces of at most 30 s of clips over 40 s, Whisper over 30 s; 1"


class PretrainedModel(BaseEmbedder):
    """A checkpoint's outputs as the only row of a clip's record."""

    task: ClassVar[str]  # what the checkpoint was trained for

    _parameter_constraints = {
        **BaseEmbedder._parameter_constraints,
        "model": [str],
        "revision": [str, None],
        "device": [str],
    }

    model: str
    revision: str | None
    device: str

    def _folder(self) -> Any:
        from sklearn_ser._models import find_model

        return find_model(self.model, self.revision)

    def _loaded(self) -> Any:
        from sklearn_ser._models import load_fine_tuned

        return load_fine_tuned(self._folder(), find_device(self.device))

    def compute_settings(self) -> dict[str, Any]:
        """Return a digest of the model's files, and the version of transformers.

        Returns
        -------
        settings : dict
        """
        from sklearn_ser._models import model_digest

        return {
            "weights": model_digest(self._folder()),
            "transformers": version("transformers"),
            "meaning": RECORD_VERSION,
        }

    def compute(self, waveform: Array) -> Array:
        """Return the model's outputs for a clip, averaged over the pieces of a long one.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32

        Returns
        -------
        outputs : ndarray of shape (n_outputs,)
        """
        outputs: Array = self._loaded()(waveform)
        if self.task == "single_label_classification":
            outputs = softmax(outputs, axis=1)
        mean: Array = outputs.mean(axis=0)
        return mean

    def make_extractor(self) -> Extractor:
        """Return what runs the model.

        Returns
        -------
        extractor : WaveformExtractor
        """
        model, make_record = self._loaded(), self.layout().make_record
        return WaveformExtractor(
            lambda waveform: make_record(self.compute(waveform)),
            model.rate,
            model.shortest,
            thread_count(self.n_jobs),
            model=model,
        )

    def layout(self) -> VectorLayout:
        """Return the checkpoint's outputs as a vector.

        Returns
        -------
        layout : VectorLayout
        """
        return VectorLayout(self._outputs())

    def _outputs(self) -> list[str]:
        """Return the checkpoint's names of its outputs, in its order."""
        from sklearn_ser._models import read_speech_config

        config = read_speech_config(self._folder())
        task = config.problem_type
        if task is None:  # as transformers takes it
            task = "regression" if config.num_labels == 1 else "single_label_classification"
        if task != self.task:
            raise ValueError(
                f"{type(self).__name__} takes models for {self.task}, but {self.model} is one for "
                f"{task}, by its config.json (problem_type)."
            )
        return [str(config.id2label[i]) for i in range(config.num_labels)]

    def fit(self, X: Any, y: Any = None) -> Any:
        """Check the parameters, the kind of input and the targets; nothing is learned.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.
        y : array-like of shape (n_clips,) or (n_clips, n_outputs), or None
            Targets, only checked: labels, if they are text, for having some in common with
            `classes_`; values for being finite.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If targets are missing, more or fewer than clips, or labels that the model never gives;
            or if `label_map` does not fit to the model.
        """
        super().fit(X)
        targets = self._check_targets(y)
        if targets is not None:
            check_consistent_length(X, targets)
        return self

    @abstractmethod
    def _check_targets(self, y: Any) -> Any:
        """Return targets as an array, or None without any; raise an error if they do not fit."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags
